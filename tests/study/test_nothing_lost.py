"""Every run is there exactly once, whatever dies on the way, and unfinished ones go on."""

import json
import os
import random
import signal
import sys

import pytest
from crashes import (
    active,
    finished,
    pid_of,
    start_and_kill,
    started,
    starts,
    undisturbed,
    wait_for,
)
from fake_sweep import launch, slow_study, sweep

from aqtaudio.study.store import Store

# A disk that takes so many bytes of a file, for what comes after.
CRAMPED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    sweep(folder, study=slow_study())
    return undisturbed(Store(folder).rows())


def test_interrupt_ends_the_commands(tmp_path):
    launcher = started(tmp_path)
    wait_for(lambda: list(tmp_path.glob("work/*/checkpoint")))
    launcher.send_signal(signal.SIGINT)
    assert "--resume goes on" in launcher.communicate(timeout=90)[1]
    for path in tmp_path.glob("work/*/pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(pid_of(path), 0)


def killed_often(folder, expected, kills, workers, batch):
    """Kills sweeps, the next one when one has come to its end, all of which have the rows."""
    dice, done, sweeps = random.Random(workers + 10 * batch), 0, [folder / "0"]
    while done < kills:
        if start_and_kill(sweeps[-1], dice, workers, batch):
            done += 1
        elif undisturbed(Store(sweeps[-1]).rows()) == expected:
            sweeps.append(folder / str(len(sweeps)))
    assert finished(sweeps[-1], workers, batch)
    for out in sweeps:
        assert undisturbed(Store(out).rows()) == expected
        assert not list(out.glob("work/*/clash"))
    begun = [int(step) for out in sweeps for step in starts(out)]
    return (
        f"{done} kills in {len(sweeps)} sweeps of {len(expected)} runs: {len(begun)} starts, "
        + (f"{sum(map(bool, begun))} from a checkpoint")
    )


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("workers", "batch"), [(3, 1), (1, 4)])
def test_killed_at_random_every_run_is_there_exactly_once(tmp_path, expected, workers, batch):
    killed_often(tmp_path, expected, 6, workers, batch)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("orphan_lives", "batch"), [(True, 2), (False, 1)])
def test_a_killed_job_goes_on_from_its_checkpoints(tmp_path, expected, orphan_lives, batch):
    with started(tmp_path, workers=1, batch=batch) as launcher:
        wait_for(lambda: len(list(tmp_path.glob("work/*/checkpoint"))) >= batch)
        launcher.kill()
    pids = active(tmp_path)
    assert len(pids) == batch and len({pid_of(path) for path in pids}) == 1
    # An orphan that sleeps can't finish by itself before the next launcher is there to end it.
    os.kill(pid_of(pids[0]), signal.SIGSTOP if orphan_lives else signal.SIGKILL)
    assert finished(tmp_path, 1, batch)
    assert undisturbed(Store(tmp_path).rows()) == expected
    for path in pids:
        assert int((path.parent / "starts").read_text().split()[1]) > 0
        assert not (path.parent / "clash").exists()


def test_finished_runs_that_were_not_entered_are_not_run_again(tmp_path, expected):
    sweep(tmp_path, study=slow_study(), workers=2)
    Store(tmp_path).rows_path.unlink()
    outcome = sweep(tmp_path, launch=None, study=slow_study(), resume=True)
    assert len(outcome.entered) == 6
    assert undisturbed(Store(tmp_path).rows()) == expected


@pytest.mark.parametrize("content", ["", '{"tot'])
def test_a_torn_row_is_made_again(tmp_path, expected, content):
    """As a power cut may leave it: renamed, but not on the disk."""
    sweep(tmp_path, study=slow_study(), workers=2)
    store = Store(tmp_path)
    *kept, torn = store.rows_path.read_bytes().splitlines(keepends=True)
    store.rows_path.write_bytes(b"".join(kept) + torn[: len(torn) // 2])
    row = tmp_path / "work" / json.loads(torn)["run_id"] / "row.json"
    row.write_text(content)
    outcome = sweep(tmp_path, study=slow_study(), resume=True)
    assert len(outcome.entered) == 1 and not outcome.failed
    assert undisturbed(store.rows()) == expected


def test_a_full_disk_of_a_job_is_a_failure_that_heals(tmp_path, expected):
    """Its checkpoint is half-written when it ends."""

    def cramped(specs):
        return [sys.executable, "-IS", "-c", CRAMPED, "300", *launch(specs)]

    outcome = sweep(tmp_path, cramped, slow_study(), batch=2)
    assert len(outcome.failed) == 2 and len(outcome.blocked) == 4
    assert not Store(tmp_path).rows()
    healed = sweep(tmp_path, study=slow_study(), batch=2, resume=True)
    assert len(healed.entered) == 6
    assert undisturbed(Store(tmp_path).rows()) == expected
    begun = [path.read_text().split() for path in tmp_path.glob("work/*/starts")]
    assert sum(len(steps) == 2 and int(steps[1]) > 0 for steps in begun) == 2


def test_a_full_disk_of_the_launcher_stops_the_sweep(tmp_path, expected):
    """No room for the third row: the rows before it stay, and nothing is half-written."""
    with started(tmp_path, 2, before=("-IS", "-c", CRAMPED, "700", sys.executable)) as launcher:
        told = launcher.communicate(timeout=90)[1]
    assert launcher.returncode == 1 and "disk full?" in told
    rows = Store(tmp_path).rows()
    assert 0 < len(rows) < 6 and Store(tmp_path).rows_path.read_bytes().endswith(b"}\n")
    assert not active(tmp_path)
    assert finished(tmp_path, 2)
    assert undisturbed(Store(tmp_path).rows()) == expected
    assert Store(tmp_path).rows()[: len(rows)] == rows


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "batch"), [(1, 1), (3, 1), (1, 4), (2, 2)])
def test_killed_fifty_times(tmp_path, expected, workers, batch):
    print(killed_often(tmp_path, expected, 50, workers, batch))
