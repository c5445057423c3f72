"""Sweeps of `fake_sweep` in processes of their own, and what can happen to them."""

import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import fake_sweep


def undisturbed(rows: Iterable[dict]) -> dict[str, dict]:
    """What must not depend on how a sweep went."""
    passing = {"seconds": None, "commit": None, "dirty": None}
    return {row["run_id"]: {**row, **passing} for row in rows}


def started(
    folder: Path, workers: int = 2, batch: int = 1, address: str = "", before: Sequence[str] = ()
) -> subprocess.Popen:
    """A launcher at work on the slow study. before: arguments of Python before the script."""
    script = Path(fake_sweep.__file__)
    return subprocess.Popen(
        [sys.executable, *before, script, folder, str(workers), str(batch), address],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        # A shell's background jobs ignore interrupts, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finished(folder: Path, workers: int, batch: int = 1, address: str = "") -> bool:
    """Lets a launcher work to the end."""
    with started(folder, workers, batch, address) as launcher:
        return bool(launcher.communicate(timeout=180)) and launcher.returncode == 0


def wait_for(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def active(folder: Path) -> list[Path]:
    """The `pid` files of runs at work."""
    return [path for path in folder.glob("work/*/pid") if is_locked(path.parent / "lock")]


def is_locked(path: Path) -> bool:
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def starts(folder: Path) -> list[str]:
    """The steps that commands started from so far."""
    paths = folder.glob("work/*/starts")
    return [line for path in paths for line in path.read_text().splitlines()]


def pid_of(path: Path) -> int:
    return int(path.read_text().split()[1])


def kill(path: Path) -> None:
    """Kill -9 the command of a `pid` file, if it still lives."""
    try:
        os.kill(pid_of(path), signal.SIGKILL)
    except (OSError, IndexError):
        pass


def start_and_kill(
    folder: Path, dice: random.Random, workers: int, batch: int, address: str = ""
) -> bool:
    """Start a launcher; once a command is at work, kill it, the launcher or both at some moment.

    Returns False when the launcher came to its end before that.
    """
    before = len(starts(folder))
    with started(folder, workers, batch, address) as launcher:
        while launcher.poll() is None and len(starts(folder)) == before:
            time.sleep(0.01)
        time.sleep(dice.uniform(0.0, 0.25))
        at_work = active(folder)
        if at_work and dice.random() < 0.6:
            kill(dice.choice(at_work))
            time.sleep(dice.choice((0.0, 0.2)))
        is_at_work = launcher.poll() is None
        launcher.kill()
    return is_at_work
