"""A job as a child process: a command that works in its runs' directories.

The child holds a lock on every `<run_dir>/lock` for as long as it lives, through inherited file
handles, whatever becomes of the process that started it. So a later launcher knows an orphan of a
killed one for certain, and ends it before it touches a directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from aqtaudio.errors import BadInput

# The child writes its own host and process id before it becomes the command: from the moment the
# locks are held, somebody can be found to end. $0: the host, $1: how many files are to say so.
_INTRODUCE = """
files=$1; shift
while [ $files -gt 0 ]; do echo "$0 $$" > "$1"; shift; files=$((files - 1)); done
exec "$@"
"""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class InUse(BadInput):
    """A directory belongs to a process that cannot be ended from here."""


class Process:
    """A running command; its output goes to the first directory's `log.txt`."""

    lost = False

    def __init__(
        self,
        command: Sequence[str],
        run_dirs: Sequence[Path],
        environment: Mapping[str, str],
        folder: Path | None = None,
        before: Callable[[], object] | None = None,
    ):
        """folder: where the command runs. before: called in the child before all else.

        Raises InUse when a run's directory is, on another machine.
        """
        self.log_path = run_dirs[0] / "log.txt"
        self.started = time.monotonic()
        locks: list[int] = []
        try:
            for run_dir in run_dirs:
                run_dir.mkdir(parents=True, exist_ok=True)
                locks.append(_claim(run_dir))
                (run_dir / "pid").unlink(missing_ok=True)
            owners = [run_dir / "pid" for run_dir in run_dirs]
            introduction = [_INTRODUCE, socket.gethostname(), str(len(owners)), *owners]
            with self.log_path.open("wb") as log:
                self.process = subprocess.Popen(
                    ["/bin/sh", "-c", *introduction, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=locks,
                    start_new_session=True,
                    env=dict(environment),
                    cwd=folder,
                    preexec_fn=before,
                )
        finally:
            for lock in locks:
                os.close(lock)

    @property
    def seconds(self) -> float:
        """Wall seconds since the start."""
        return time.monotonic() - self.started

    def status(self) -> int | None:
        """Exit status, None while it runs, negative when a signal ended it."""
        return self.process.poll()

    def error(self, status: int) -> str:
        """What went wrong, in one line: the last thing the command said, or how it ended."""
        said = _last_line(self.log_path)
        if status < 0:
            return f"ended by signal {-status}" + (f" after: {said}" if said else "")
        return said or f"exit status {status}"


def stop(processes: Iterable[Process], grace_seconds: float = 10.0) -> None:
    """Ask the commands and what they started to end, all at once, then make those that did not."""
    running = [one.process for one in processes if one.status() is None]
    for process in running:
        _signal_group(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()


def tail(path: Path, size_bytes: int = 16384) -> str:
    """The end of a text file; empty when the file is not there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size_bytes))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _last_line(path: Path) -> str:
    lines = re.split(r"[\r\n]+", tail(path))
    said = [text for line in lines if (text := _CONTROL.sub("", line).strip())]
    return said[-1][:500] if said else ""


def _claim(run_dir: Path, patience_seconds: float = 20.0) -> int:
    """A handle that holds the run's lock; an orphan that has it is ended first."""
    lock = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise InUse(f"{run_dir} is in use by {_owner(run_dir)}: end it first") from None
            _end_orphan(run_dir)
            time.sleep(0.05)


def _end_orphan(run_dir: Path) -> None:
    host, _, pid = _owner(run_dir).partition(" ")
    if host == socket.gethostname() and pid.isdigit():
        _signal_group(int(pid), signal.SIGKILL)


def _owner(run_dir: Path) -> str:
    """`host pid` of the run's last child."""
    return tail(run_dir / "pid").strip() or "an unknown process"


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
