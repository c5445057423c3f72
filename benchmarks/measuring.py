"""What benchmarks share: functions that take turns, the machine, tables, and a journal of items."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.program import memory

HERE = Path(__file__).parents[1]
Function = Callable[[], object]

memory.keep_freed()  # as the command line does


def alternating(functions: Mapping[str, Function], rounds: int) -> dict[str, np.ndarray]:
    """Seconds [rounds, 2] of each, by the clock and of all cores; one round before is not counted.

    They take turns, so that a drift of the machine meets all.
    """
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in functions}
    for _ in range(rounds + 1):
        for name, function in functions.items():
            begin, cores_begin = time.perf_counter(), time.process_time()
            function()
            seconds[name].append((time.perf_counter() - begin, time.process_time() - cores_begin))
    return {name: np.asarray(times[1:]) for name, times in seconds.items()}


def ratio(times: np.ndarray, of: np.ndarray) -> str:
    """Median of times / of, pair by pair, and between which values half of the pairs lie."""
    low, middle, high = np.percentile(times / of, (25, 50, 75))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def keep_compiled() -> None:
    """Keeps compiled programs for the next call, where the project keeps all that can be made
    again.
    """
    import jax

    from aqtaudio.data.cache_folder import default_folder

    jax.config.update("jax_compilation_cache_dir", str(default_folder() / "benchmarks"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def machine() -> dict[str, Any]:
    """What figures depend on: devices, processor, versions, and the state of the project."""
    import jax
    import jaxlib

    device = jax.devices()[0]
    return {
        "device": f"{len(jax.devices())} x {device.device_kind}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "commit": _commit(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _commit() -> str:
    """Of the checkout; "" where it is none."""
    command = ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def described(facts: Mapping[str, Any]) -> str:
    """A line of a machine."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items() if value)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table. Columns are all keys, in their first order; what a row lacks is empty."""
    titles = list(dict.fromkeys(title for row in rows for title in row))
    lines = [f"| {' | '.join(titles)} |", f"|---|{'---:|' * (len(titles) - 1)}"]
    for row in rows:
        lines.append(f"| {' | '.join(str(row.get(title, '')) for title in titles)} |")
    return "\n".join(lines)


class Journal:
    """Items that were measured, in a JSON file, so that a benchmark goes on where it was stopped.

    Args:
      file: written after every item.
      facts: of the machine and the settings: what was measured on others is begun anew.
    """

    def __init__(self, file: Path, facts: Mapping[str, Any]):
        self.file, self.facts = file, dict(facts)
        self.done: dict[str, Any] = {}
        self.skipped: dict[str, str] = {}
        if file.exists():
            known = json.loads(file.read_text())
            if known["facts"] == self.facts:
                self.done = known["done"]

    def take(self, name: str, measure: Callable[[], Any]) -> Any:
        """What was measured of an item, now or before; None where it cannot be, and why is kept."""
        if name in self.done:
            return self.done[name]
        try:
            self.done[name] = measure()
        except Skipped as reason:
            self.skipped[name] = str(reason)
        self.write()
        return self.done.get(name)

    def write(self) -> None:
        """Writes the file, whole or not at all."""
        state = {"facts": self.facts, "done": self.done, "skipped": self.skipped}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(state, indent=1) + "\n")
        new.replace(self.file)


class Skipped(Exception):  # noqa: N818
    """An item cannot be measured; says why."""
