"""Evaluation of a run in any runtime, and parity of its program with a runtime's integers."""

from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.program.execute import Executor
from aqtaudio.program.kernels.call import TARGETS
from aqtaudio.program.program import Program
from aqtaudio.run_directory import Run
from aqtaudio.training import task
from aqtaudio.training.phases import quantized_reading
from aqtaudio.training.predict import features_of_clips, predict
from aqtaudio.vocabulary.floating import Floating

RUNTIMES = ("float", "quantized", "integer", "litert", "micro")


def evaluate(
    run: Run, folder: Path, split: str, runtime: str, limit: int | None = None
) -> dict[str, Any]:
    """Metrics of `run` on a split of a manifest folder, as the JSON that `evaluate --json` prints.

    Args:
      run: its own evaluation list is used for "val" where the folder holds it.
      folder: recordings.
      split: "train", "val" or "test".
      runtime: one of RUNTIMES.
      limit: at most so many clips (a fair sample).
    """
    if runtime not in RUNTIMES:
        raise BadInput(f"runtime {runtime!r}; allowed: {', '.join(RUNTIMES)}")
    data = run.data(folder, (split,))
    items = run.items(data, split)[:limit]
    metrics = evaluate_clips(run, data.evaluation_arrays(items), runtime)
    return {"runtime": runtime, "split": split, "n": len(items), "metrics": metrics}


def evaluate_clips(
    run: Run, evaluation: tuple[np.ndarray, np.ndarray], runtime: str
) -> dict[str, Any]:
    """Metrics of `runtime` on (int16 clips [n, N], class numbers [n])."""
    clips, classes = evaluation
    return task.metrics(logits(run, clips, runtime), classes, run.experiment.task.classes)


def logits(run: Run, clips: np.ndarray, runtime: str) -> np.ndarray:
    """Real logits [n, C] of int16 clips [n, N] as `runtime` computes them."""
    experiment = run.experiment
    if runtime == "float":
        return predict(experiment, run.variables("float"), Floating(), clips)
    if runtime == "quantized":
        reading = quantized_reading(experiment)
        return predict(experiment, run.variables("quantized"), reading, clips)
    executor = Executor(run.program, target=experiment.recipe.target)
    codes = executor.quantize(features_of_clips(experiment, clips))
    outputs = executor(codes) if runtime == "integer" else interpret(run.model, codes, runtime)
    return executor.dequantize(outputs)


def interpret(model: bytes, codes: np.ndarray, runtime: str) -> np.ndarray:
    """Output codes of a TFLite file in TFLite Micro ("micro") or LiteRT ("litert").

    Raises BadInput when the file is not one that it runs.
    """
    from aqtaudio.program.child import MicroError
    from aqtaudio.program.litert import LiteRT
    from aqtaudio.program.micro import Micro

    try:
        with {"micro": Micro, "litert": LiteRT}[runtime](model) as interpreter:
            return interpreter.invoke(codes)[0]
    except MicroError as error:
        raise BadInput(f"model.tflite does not run in {runtime}: {error.reason}") from error


def parity(
    run: Run, folder: Path | None = None, n: int = 1000, runtime: str = "micro", seed: int = 0
) -> dict[str, Any]:
    """Compares the program with a runtime, in that runtime's arithmetic.

    On `n` random inputs and, given recordings, `n` clips: of the validation list first, then of
    training clips.

    Returns:
      What `parity --json` prints; "outputs" counts the integers that were compared.
    """
    if runtime not in TARGETS:
        raise BadInput(f"runtime {runtime!r}; allowed: {', '.join(TARGETS)}")
    if n < 1:
        raise BadInput(f"--n is {n}; at least 1 is needed")
    executor = Executor(run.program, target="litert" if runtime == "litert" else "micro")
    codes = random_codes(run.program, n, seed)
    if folder is not None:
        clips = parity_clips(run, folder, n)
        real = executor.quantize(features_of_clips(run.experiment, clips))
        codes = np.concatenate([real, codes])
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


def random_codes(program: Program, n: int, seed: int) -> np.ndarray:
    """Uniform input codes [n, ...]."""
    edge = program.edges[program.inputs[0]]
    limits = np.iinfo(edge.dtype)
    random = np.random.default_rng(seed)
    return random.integers(limits.min, limits.max + 1, (n, *edge.shape), edge.dtype)


def parity_clips(run: Run, folder: Path, n: int) -> np.ndarray:
    """int16 clips [up to n, N]: the validation list, filled up with training clips."""
    data = run.data(folder, ("train", "val"))
    clips, _ = data.evaluation_arrays(run.items(data, "val")[:n])
    if len(clips) < n:
        more, _ = data.training_batch(0, n - len(clips), seed=0)
        clips = np.concatenate([clips, more])
    return clips
