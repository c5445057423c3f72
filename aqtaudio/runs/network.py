"""A run's network in one of its runtimes (`tasks.task.Network`)."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.program.execute import Executor
from aqtaudio.runs.run import Run
from aqtaudio.tasks.stream import Stream
from aqtaudio.tasks.task import Network

RUNTIMES = ("float", "quantized", "integer", "litert", "micro")


@contextlib.contextmanager
def network(run: Run, runtime: str) -> Iterator[Network]:
    """Opens the network of `run`; interpreters are child processes that end with it.

    Raises BadInput for another runtime, and where the run does not run in this one.
    """
    if runtime not in RUNTIMES:
        raise BadInput(f"runtime {runtime!r}; allowed: {', '.join(RUNTIMES)}")
    experiment = run.experiment
    if experiment.recipe.mode == "float" and runtime != "float":
        raise BadInput(f"{run.path}: a float run; its only runtime is float, not {runtime!r}")
    if runtime in ("float", "quantized"):
        # Heavy, and integers do without: AQT, what trains, what records.
        from aqtaudio.tasks.model_network import ModelNetwork
        from aqtaudio.training.phases import quantized_reading
        from aqtaudio.vocabulary.floating import Floating

        reading = Floating() if runtime == "float" else quantized_reading(experiment)
        model = experiment.built_model()
        yield ModelNetwork(model, run.variables(runtime), reading, experiment.setup)
    elif runtime == "integer":
        yield _Program(run.executor)
    else:
        with contextlib.ExitStack() as opened:
            yield _Interpreted(run.model, run.executor, runtime, opened)


def quickest(run: Run) -> str:
    """The runtime that compiles least and has the integers of the run's program."""
    recipe = run.experiment.recipe
    return "float" if recipe.mode == "float" else recipe.target


@contextlib.contextmanager
def listening(run: Run, runtime: str) -> Iterator[Stream]:
    """Opens the network of a run that streams, over continuous audio.

    Raises BadInput as `network` does, and where the run takes whole clips.
    """
    require_stream(run)
    with network(run, runtime) as opened:
        yield Stream(opened, run.experiment.setup)


def require_stream(run: Run) -> None:
    """Raises BadInput where the run takes whole clips."""
    if not run.experiment.setup.streams:
        raise BadInput(
            f"{run.path}: the run takes whole clips; a run with stream_block_frames streams"
        )


def blocks_of(features: np.ndarray, frames: int) -> np.ndarray:
    """Blocks [n, blocks, frames, F] of clips [n, T, F], the last one filled up with zeros."""
    padded = np.pad(features, ((0, 0), (0, -features.shape[1] % frames), (0, 0)))
    return padded.reshape(len(features), -1, frames, features.shape[2])


class _Program:
    """The recorded program in JAX."""

    def __init__(self, executor: Executor):
        self._executor = executor
        self._state: Any = None

    def whole(self, features: np.ndarray, at_once: int = 128) -> np.ndarray:
        executor = self._executor
        if not executor.program.states:
            return executor.dequantize(executor(executor.quantize(features)))
        codes = _block_codes(executor, features)
        return executor.dequantize(executor.blocks(codes)[0])

    def endless(self, blocks: np.ndarray) -> np.ndarray:
        codes = self._executor.quantize(blocks)[None]
        outputs, self._state = self._executor.blocks(codes, self._state)
        return self._executor.dequantize(outputs[0])


class _Interpreted:
    """The file in an interpreter."""

    def __init__(
        self, model: bytes, executor: Executor, runtime: str, opened: contextlib.ExitStack
    ):
        self._model, self._executor, self._runtime = model, executor, runtime
        self._opened, self._streaming = opened, None

    def whole(self, features: np.ndarray, at_once: int = 128) -> np.ndarray:
        executor = self._executor
        if not executor.program.states:
            codes = executor.quantize(features)
            return executor.dequantize(interpret(self._model, codes, self._runtime))
        clips = _block_codes(executor, features)
        outputs = [interpret(self._model, codes, self._runtime) for codes in clips]
        return executor.dequantize(np.stack(outputs))

    def endless(self, blocks: np.ndarray) -> np.ndarray:
        if not len(blocks):
            edge = self._executor.program.edges[self._executor.program.outputs[0]]
            return np.zeros((0, *edge.shape), np.float32)
        if self._streaming is None:
            from aqtaudio.program.interpreters import running

            self._streaming = self._opened.enter_context(running(self._model, self._runtime))
        codes = self._executor.quantize(blocks)
        return self._executor.dequantize(self._streaming.invoke(codes)[0])


def _block_codes(executor: Executor, features: np.ndarray) -> np.ndarray:
    """Input codes [n, blocks, ...] of clips [n, T, F]."""
    edge = executor.program.edges[executor.program.inputs[0]]
    blocks = blocks_of(features, edge.shape[0])
    return executor.quantize(blocks.reshape(-1, *blocks.shape[2:])).reshape(
        *blocks.shape[:2], *edge.shape
    )


def interpret(model: bytes, codes: np.ndarray, runtime: str) -> np.ndarray:
    """Output codes of a TFLite file in TFLite Micro ("micro") or LiteRT ("litert"), from its start.

    Raises BadInput when the file is not one that it runs.
    """
    from aqtaudio.program.interpreters import running

    with running(model, runtime) as interpreter:
        return interpreter.invoke(codes)[0]
