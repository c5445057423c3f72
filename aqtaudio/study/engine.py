"""Where the jobs of a sweep run. A job is one command that trains one run or several.

An engine only starts and watches commands; what is finished is read from the run directories, so
the same sweep may go on under another engine.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from aqtaudio.errors import BadInput
from aqtaudio.study.process import Process, stop

# Of a device's memory; what JAX takes for itself when it has the device alone.
_MEMORY_SHARE = 0.75
_MEMORY = {"XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"}  # the second: deprecated


class Attempt(Protocol):
    """A job that was started."""

    @property
    def seconds(self) -> float:
        """Wall seconds since the start."""
        ...

    @property
    def lost(self) -> bool:
        """Whether it ended because its machine went away: it may be started again elsewhere."""
        ...

    def status(self) -> int | None:
        """Exit status, None while it runs, negative when a signal ended it."""
        ...

    def error(self, status: int) -> str:
        """What went wrong, in one line."""
        ...


class Engine(Protocol):
    """What the scheduler needs: how many jobs at once, and to start and stop them."""

    @property
    def slots(self) -> int:
        """Jobs that may run at once, now."""
        ...

    def start(
        self, command: Sequence[str], run_dirs: Sequence[Path], environment: Mapping[str, str]
    ) -> Attempt:
        """Start a job that holds the locks of its runs' directories for as long as it lives.

        Its output goes to the first directory's `log.txt`. environment: variables beside those of
        the machine that it runs on.
        """
        ...

    def stop(self, attempts: Iterable[Attempt]) -> None:
        """End jobs, and wait for their end."""
        ...


class Local:
    """Jobs on this machine: so many per device, one at a time on a CPU."""

    def __init__(
        self,
        workers: int | None = None,
        gpus_per_job: float = 1.0,
        devices: Sequence[str] | None = None,
    ):
        """Take the accelerators that are here.

        workers: jobs at once at most; default: as many as the devices take, one on a CPU.
        gpus_per_job: share of a device; 0.25: four jobs on each. devices: as CUDA names them.
        """
        if workers is not None and workers < 1:
            raise BadInput(f"workers is {workers}: at least 1 is needed")
        if not 0 < gpus_per_job <= 1:
            raise BadInput(f"gpus per job is {gpus_per_job}: allowed are shares in (0, 1]")
        self.devices = visible_devices() if devices is None else list(devices)
        self.per_device = int(1 / gpus_per_job + 1e-6)
        room = len(self.devices) * self.per_device
        self.slots = min(workers or room, room) if self.devices else workers or 1
        self._placed: list[tuple[str, Process]] = []

    def start(
        self, command: Sequence[str], run_dirs: Sequence[Path], environment: Mapping[str, str]
    ) -> Process:
        """See `Engine`; the job sees only the device that has the fewest jobs."""
        if not self.devices:
            return Process(command, run_dirs, variables(environment, 0))
        self._placed = [(device, job) for device, job in self._placed if job.status() is None]
        busy = [device for device, _ in self._placed]
        device = min(self.devices, key=busy.count)
        own = {**variables(environment, 1 / self.per_device), "CUDA_VISIBLE_DEVICES": device}
        job = Process(command, run_dirs, own)
        self._placed.append((device, job))
        return job

    def stop(self, attempts: Iterable[Attempt]) -> None:
        """See `Engine`."""
        stop(attempt for attempt in attempts if isinstance(attempt, Process))


def variables(environment: Mapping[str, str], gpus: float) -> dict[str, str]:
    """All variables of a job on this machine; `gpus` is its share of a device, 0 on a CPU."""
    own = {**os.environ, **environment}
    if 0 < gpus < 1 and not _MEMORY & own.keys():
        own["XLA_CLIENT_MEM_FRACTION"] = f"{_MEMORY_SHARE * gpus:.3f}"
    return own


def visible_devices() -> list[str]:
    """The accelerators that a command here would see, without loading JAX; none: a CPU."""
    if os.environ.get("JAX_PLATFORMS", "").startswith("cpu"):
        return []
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        named = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
        return [name.strip() for name in named if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    # A device that is split into instances can only be used through them.
    instances = re.findall(r"UUID: (MIG-[^)]+)\)", listed.stdout)
    return instances or re.findall(r"UUID: (GPU-[^)]+)\)", listed.stdout)
