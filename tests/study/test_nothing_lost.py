"""Every run is there exactly once, whatever dies on the way, and unfinished ones go on."""

import os
import random
import signal

import pytest
from crashes import (
    active,
    finished,
    pid_of,
    start_and_kill,
    started,
    undisturbed,
    wait_for,
)
from fake_sweep import slow_study, sweep

from aqtaudio.study.store import Store


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
    dice = random.Random(workers + 10 * batch)
    for _ in range(kills):
        start_and_kill(folder, dice, workers, batch)
    assert finished(folder, workers, batch)
    assert undisturbed(Store(folder).rows()) == expected
    assert not list(folder.glob("work/*/clash"))


@pytest.mark.parametrize(("workers", "batch"), [(1, 1), (3, 1), (1, 4)])
def test_killed_at_random_every_run_is_there_exactly_once(tmp_path, expected, workers, batch):
    killed_often(tmp_path, expected, 8, workers, batch)


@pytest.mark.parametrize("orphan_lives", [True, False])
@pytest.mark.parametrize("batch", [1, 2])
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
