"""Where a command of several stages is, and how long it still takes."""

import io
import time

import pytest
from rich.console import Console
from rich.text import Text

from aqtaudio.study.progress import Counts
from aqtaudio.sweep import tour as module
from aqtaudio.sweep.tour import Tour

pytestmark = pytest.mark.optimized(False)

EXPECTED_S = {"first": 10.0, "second": 30.0}


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when a test says so."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def wait_for(screen: Console, lines: int) -> None:
    deadline = time.monotonic() + 20
    while screen.file.getvalue().count("\n") < lines:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=80)


def test_time_left_follows_the_pace(clock):
    tour = Tour(console(False), EXPECTED_S)
    assert tour.left_s() == 40
    clock(10)
    tour.tell(1.0, "")
    tour._now()
    assert tour.left_s() == pytest.approx(30)
    tour.begin("second")
    clock(30)
    tour.tell(0.5, "")
    tour._now()
    # 40 s for what takes 25 as a rule, or up to 15 % of the stage more than was told.
    assert 15 * 0.7 < tour.left_s() < 15 * 70 / 55


def test_time_left_never_vanishes_before_the_end(clock):
    tour = Tour(console(False), EXPECTED_S)
    clock(1000)
    assert tour.left_s() > 30


def test_what_was_done_before_is_no_pace(clock):
    fresh, resumed = (Tour(console(False), EXPECTED_S) for _ in range(2))
    for tour, share in ((fresh, 0.0), (resumed, 0.8)):
        tour.begin("second")
        tour.watch(lambda share=share: (share, ""))
    clock(4)
    assert fresh.left_s() > 2 * resumed.left_s() > 5


def test_without_a_terminal_lines_come_at_once_and_again(monkeypatch):
    monkeypatch.setattr(module, "LINE_EVERY_S", 0.01)
    screen = console(False)
    with Tour(screen, EXPECTED_S) as tour:
        wait_for(screen, 2)
        tour.begin("second", "[half] way")
        wait_for(screen, 5)
    lines = screen.file.getvalue().splitlines()
    assert lines[0].startswith(" 0:00  1/2 first; about 0:")
    assert "  2/2 second: [half] way; about 0:" in lines[-1]


def test_a_terminal_has_a_bar_and_the_runs_of_a_sweep_below(tmp_path):
    screen = console(True)
    counts = Counts(total=4, before=1, entered=0, failed=0, blocked=0, waiting=2)
    with Tour(screen, EXPECTED_S) as tour:
        tour.begin("second")
        active = [module.Active((("w8a8", tmp_path),), 75.0)]
        with tour.runs()(Console(), lambda: counts, lambda: active, "a hint") as shown:
            shown.event("finished  one")
            with screen.capture() as capture:
                screen.print(tour._view())
    told = Text.from_ansi(capture.get()).plain
    assert "2/2 second" in told and "w8a8: starting" in told and "1:15" in told
    assert "finished  one" in screen.file.getvalue()
