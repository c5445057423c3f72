"""A run's program against a runtime: the same integers, or not."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.program.execute import Executor
from aqtaudio.program.kernels.call import TARGETS
from aqtaudio.program.program import Program
from aqtaudio.runs.lists import FOLDER
from aqtaudio.runs.network import interpret
from aqtaudio.runs.run import Run
from aqtaudio.tasks.stream import Framer


def parity(
    run: Run,
    data: Any = None,
    n: int = 1000,
    runtime: str = "micro",
    seed: int = 0,
    items: Sequence[Any] | None = None,
) -> dict[str, Any]:
    """Compares the program with a runtime, in that runtime's arithmetic.

    On `n` random inputs and, given data of training and validation recordings, `n` clips of them
    (blocks of a stream), those of `items` first (the data's validation list where none are given).

    Returns:
      What `parity --json` prints; "outputs" counts the integers that were compared. A stream's
      inputs are blocks, one stream of all.
    """
    if runtime not in TARGETS:
        raise BadInput(f"runtime {runtime!r}; allowed: {', '.join(TARGETS)}")
    if n < 1:
        raise BadInput(f"--n is {n}; at least 1 is needed")
    own = runtime == run.experiment.recipe.target
    executor = run.executor if own else Executor(run.program, target=runtime)
    codes = random_codes(run.program, n, seed)
    if data is not None:
        codes = np.concatenate([recorded_codes(run, executor, data, n, items), codes])
    ours = executor(codes).astype(int)
    theirs = interpret(run.model, codes, runtime).astype(int)
    difference = np.abs(ours - theirs)
    return {
        "runtime": runtime,
        "n": len(codes),
        "outputs": int(difference.size),
        "mismatches": int(np.count_nonzero(difference)),
        "max_abs_diff": int(difference.max()),
    }


def parity_on(
    run: Run,
    folders: Sequence[Path] | None,
    n: int = 1000,
    runtime: str = "micro",
    seed: int = 0,
    which: str = FOLDER,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """`parity` on the recordings of manifest folders, if any; of `which` list comes first.

    `say` is told where the run's list and the folder's differ, and the result tells of it.
    """
    if not folders:
        return parity(run, None, n, runtime, seed)
    data = run.data(folders, ("train", "val"))
    listed = run.listed(data, "val", which)
    if listed.notice:
        say(listed.notice)
    return parity(run, data, n, runtime, seed, listed.items) | listed.facts()


def random_codes(program: Program, n: int, seed: int) -> np.ndarray:
    """Uniform input codes [n, ...]."""
    edge = program.edges[program.inputs[0]]
    limits = np.iinfo(edge.dtype)
    random = np.random.default_rng(seed)
    return random.integers(limits.min, limits.max + 1, (n, *edge.shape), edge.dtype)


def recorded_codes(
    run: Run, executor: Executor, data: Any, n: int, items: Sequence[Any] | None = None
) -> np.ndarray:
    """Input codes of up to n clips (blocks of a stream) of recordings, `items` first.

    A stream hears the clips without a break.
    """
    experiment, setup = run.experiment, run.experiment.setup
    items = run.items(data, "val") if items is None else items
    if not setup.streams:
        clips = experiment.task.recordings(data, items, n)
        return executor.quantize(setup.features_of(clips))[:n]
    samples = data.evaluation_arrays(items[:1])[0].shape[1]
    count = 1 + math.ceil(n * setup.block_ms * data.sample_rate_hz / 1000 / samples)
    clips = experiment.task.recordings(data, items, count)
    return executor.quantize(Framer(setup).push(clips.reshape(-1)))[:n]
