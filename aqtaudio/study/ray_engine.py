"""Jobs of a sweep on an existing Ray cluster: the same commands, on whichever node has room.

Ray finds room and notices when a node is gone; it keeps no results. Results, recordings and the
Python environment have to be at the same paths on every node, so the results on a shared file
system.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.exceptions import RayError, RayTaskError

from aqtaudio.errors import BadInput
from aqtaudio.study.engine import Attempt, variables
from aqtaudio.study.process import InUse, Process, stop

_GRACE_SECONDS = 15.0
_C_LIBRARY = ctypes.CDLL(None)
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


class Ray:
    """Jobs on a cluster."""

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        gpus_per_job: float | None = None,
    ):
        """Connect to the cluster.

        address: of its head; default: what RAY_ADDRESS says, or a cluster that runs here; a process
        that is connected stays so. workers: jobs at once at most; default: as many as there is room
        for. gpus_per_job: share of an accelerator, default 1; 0, the default without any: one job
        per node, on its CPU.

        Raises BadInput when there is no such cluster.
        """
        if gpus_per_job is not None and not 0 <= gpus_per_job <= 1:
            raise BadInput(f"gpus per job is {gpus_per_job}: allowed are shares in [0, 1]")
        try:
            if not ray.is_initialized():
                ray.init(address or "auto", log_to_driver=False, logging_level="error")
        except (ConnectionError, RuntimeError, ValueError) as error:
            text = " ".join(str(error).split())
            raise BadInput(
                f"no Ray cluster at {address or 'auto'} (ray start --head): {text}"
            ) from error
        nodes = _nodes()
        has_gpus = any(node.get("GPU") for node in nodes)
        self.workers = workers
        self.gpus = float(has_gpus) if gpus_per_job is None else gpus_per_job
        if self.gpus and not has_gpus:
            ray.shutdown()
            raise BadInput("the Ray cluster has no accelerators: 0 gpus per job is allowed")
        # XLA takes all cores of a node, so a job on a CPU needs the node for itself.
        cpus = [node["CPU"] for node in nodes if node.get("CPU")]
        self.cpus = 1.0 if self.gpus else min(cpus, default=1.0)
        self._work = ray.remote(_work).options(
            num_cpus=self.cpus, num_gpus=self.gpus, max_retries=0, scheduling_strategy="SPREAD"
        )

    @property
    def slots(self) -> int:
        """See `Engine`; one at least, which waits for a node to join."""
        room = sum(self._room(node) for node in _nodes())
        return max(1, room if self.workers is None else min(room, self.workers))

    def start(
        self, command: Sequence[str], run_dirs: Sequence[Path], environment: Mapping[str, str]
    ) -> RayAttempt:
        """See `Engine`. Paths in the command are as seen from this process's folder."""
        folders = [Path(run_dir).absolute() for run_dir in run_dirs]
        reference = self._work.remote(
            [str(part) for part in command], folders, dict(environment), Path.cwd(), self.gpus
        )
        return RayAttempt(reference)

    def stop(self, attempts: Iterable[Attempt]) -> None:
        """See `Engine`."""
        running = [a.reference for a in attempts if isinstance(a, RayAttempt)]
        for reference in running:
            ray.cancel(reference)
        if running:
            _, running = ray.wait(running, num_returns=len(running), timeout=_GRACE_SECONDS)
        for reference in running:
            ray.cancel(reference, force=True)

    def _room(self, node: Mapping[str, float]) -> int:
        room = node.get("CPU", 0.0) / self.cpus
        if self.gpus:
            room = min(room, node.get("GPU", 0.0) * int(1 / self.gpus + 1e-6))
        return int(room + 1e-6)


@dataclass(frozen=True)
class _End:
    status: int
    error: str = ""
    seconds: float | None = None
    lost: bool = False


class RayAttempt:
    """A job that the cluster has."""

    def __init__(self, reference: ray.ObjectRef):
        self.reference = reference
        self._started = time.monotonic()
        self._end: _End | None = None

    @property
    def seconds(self) -> float:
        """Wall seconds since the start; until it has ended, with the wait for room."""
        measured = self._end.seconds if self._end else None
        return time.monotonic() - self._started if measured is None else measured

    @property
    def lost(self) -> bool:
        """See `Attempt`."""
        return self._end is not None and self._end.lost

    def status(self) -> int | None:
        """See `Attempt`."""
        if self._end is None and ray.wait([self.reference], timeout=0)[0]:
            self._end = _end(self.reference)
        return self._end.status if self._end else None

    def error(self, status: int) -> str:
        """See `Attempt`."""
        return (self._end.error if self._end else "") or f"exit status {status}"


def _end(reference: ray.ObjectRef) -> _End:
    try:
        return _End(*ray.get(reference))
    except InUse as error:  # perhaps by a process on a node that is cut off
        return _End(1, str(error).splitlines()[-1], lost=True)
    except RayTaskError as error:
        return _End(1, str(error.cause or error).strip().splitlines()[-1])
    except RayError as error:
        return _End(-signal.SIGKILL, f"its machine went away ({type(error).__name__})", lost=True)


def _nodes() -> list[dict[str, float]]:
    """Resources of the nodes that are there."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _work(
    command: Sequence[str],
    run_dirs: Sequence[Path],
    environment: Mapping[str, str],
    folder: Path,
    gpus: float,
) -> tuple[int, str, float]:
    """On a node: the command from start to end. Returns exit status, error and seconds."""
    # When the node's Ray is killed, this process ends, and the command must not outlive it: another
    # node gets the job, and could neither see nor end it.
    before = _die_with_parent if sys.platform == "linux" else None
    job = Process(command, run_dirs, variables(environment, gpus), folder, before)
    try:
        while (status := job.status()) is None:
            time.sleep(0.05)
        return status, job.error(status) if status else "", job.seconds
    finally:
        stop([job])


def _die_with_parent() -> None:
    _C_LIBRARY.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
