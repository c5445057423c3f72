"""Evaluation of a run in any runtime, and parity of its program with a runtime's integers."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio import enhance
from aqtaudio.enhancement.data import EnhancementData
from aqtaudio.enhancement.task import Enhancement
from aqtaudio.errors import BadInput
from aqtaudio.program.execute import Executor
from aqtaudio.program.kernels.call import TARGETS
from aqtaudio.program.program import Program
from aqtaudio.run_directory import Data, Run
from aqtaudio.streaming import Framer, Stream
from aqtaudio.training import keyword_loss as task
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
    speed = {}
    if isinstance(data, EnhancementData):
        noisy, _ = data.evaluation_arrays(items[:1])
        speed = {"real_time_factor": enhance.real_time_factor(run, noisy[0], runtime)}
        speed |= _macs_per_second(run)
    metrics = measured(run, data, items, runtime)
    return {"runtime": runtime, "split": split, "n": len(items), "metrics": metrics} | speed


def _macs_per_second(run: Run) -> dict[str, int]:
    """Of a finished run's network, as its row tells it."""
    row = run.path / "row.json"
    if not row.is_file():
        return {}
    return {"macs_per_second": json.loads(row.read_text())["stream"]["macs_per_second"]}


def measured(run: Run, data: Data, items: Sequence[Any], runtime: str) -> dict[str, Any]:
    """Metrics of `runtime` on the items of an evaluation list."""
    if isinstance(data, EnhancementData):
        return enhance.scores(run, data, items, runtime)
    return evaluate_clips(run, data.evaluation_arrays(items), runtime)


def evaluate_clips(
    run: Run, evaluation: tuple[np.ndarray, np.ndarray], runtime: str
) -> dict[str, Any]:
    """Metrics of `runtime` on (int16 clips [n, N], class numbers [n])."""
    clips, classes = evaluation
    return task.metrics(logits(run, clips, runtime), classes, run.experiment.words.classes)


def logits(run: Run, clips: np.ndarray, runtime: str) -> np.ndarray:
    """Real logits [n, C] of int16 clips [n, N] as `runtime` computes them.

    A stream hears the clips one after the other without a break. It is asked at the last whole
    block of each, which lies up to a block before the clip's end.
    """
    experiment = run.experiment
    if experiment.streams:
        return _stream_logits(run, clips, runtime)
    if runtime in ("float", "quantized"):
        return _clip_logits(run, clips, runtime)
    executor = run.executor
    codes = executor.quantize(features_of_clips(experiment, clips))
    outputs = executor(codes) if runtime == "integer" else interpret(run.model, codes, runtime)
    return executor.dequantize(outputs)


def from_silence(run: Run, evaluation: tuple[np.ndarray, np.ndarray], phase: str) -> dict[str, Any]:
    """Metrics of a stream's model on whole clips, each from silence.

    `phase`: "float" or "quantized".
    """
    clips, classes = evaluation
    found = _clip_logits(run, clips, phase)
    return task.metrics(found, classes, run.experiment.words.classes)


def _clip_logits(run: Run, clips: np.ndarray, phase: str) -> np.ndarray:
    experiment = run.experiment
    reading = Floating() if phase == "float" else quantized_reading(experiment)
    return predict(experiment, run.variables(phase), reading, clips)


def _stream_logits(run: Run, clips: np.ndarray, runtime: str) -> np.ndarray:
    with Stream(run, runtime) as stream:
        answers = stream.push(clips.reshape(-1))
        ends = [stream.blocks_in(n * clips.shape[1]) - 1 for n in range(1, len(clips) + 1)]
    return answers[ends]


def real_codes(run: Run, executor: Executor, clips: np.ndarray) -> np.ndarray:
    """Input codes of int16 clips [n, N]; of a stream's blocks, the clips without a break."""
    if run.experiment.streams:
        return executor.quantize(Framer(run.experiment).push(clips.reshape(-1)))
    return executor.quantize(features_of_clips(run.experiment, clips))


def interpret(model: bytes, codes: np.ndarray, runtime: str) -> np.ndarray:
    """Output codes of a TFLite file in TFLite Micro ("micro") or LiteRT ("litert").

    Raises BadInput when the file is not one that it runs.
    """
    from aqtaudio.program.interpreters import running

    with running(model, runtime) as interpreter:
        return interpreter.invoke(codes)[0]


def parity(
    run: Run,
    recordings: Path | Data | None = None,
    n: int = 1000,
    runtime: str = "micro",
    seed: int = 0,
) -> dict[str, Any]:
    """Compares the program with a runtime, in that runtime's arithmetic.

    On `n` random inputs and, given recordings (a folder, or training and validation clips of one),
    `n` clips (blocks of a stream): of the validation list first, then of training clips.

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
    if recordings is not None:
        clips = parity_clips(run, recordings, n)
        codes = np.concatenate([real_codes(run, executor, clips)[:n], codes])
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


def parity_clips(run: Run, recordings: Path | Data, n: int) -> np.ndarray:
    """int16 clips [up to n, N], or what holds n blocks of a stream.

    The validation list, filled up with training clips; of enhancement as many noisy clips as it
    has.
    """
    is_folder = isinstance(recordings, Path)
    data = run.data(recordings, ("train", "val")) if is_folder else recordings
    if run.experiment.streams:
        enhances = isinstance(data, EnhancementData)
        samples = data.evaluation_samples if enhances else data.clip_samples
        n = 1 + math.ceil(n * run.experiment.block_ms * data.sample_rate_hz / 1000 / samples)
    clips, _ = data.evaluation_arrays(run.items(data, "val")[:n])
    if len(clips) < n and not isinstance(run.experiment.task, Enhancement):
        more, _ = data.training_batch(0, n - len(clips), seed=0)
        clips = np.concatenate([clips, more])
    return clips
