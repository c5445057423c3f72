"""A run over continuous audio: samples in, logits of every block out, in any runtime.

Memory does not grow with the audio: what is kept is the samples that the next block needs, and the
model's state.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Self

import jax
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.frontends.frontend import Frontend, State
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import CHUNK_BLOCKS, Executor
from aqtaudio.run_directory import Run
from aqtaudio.training.phases import quantized_reading
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.recording import clip
from aqtaudio.vocabulary.signal import Reading, start


class Framer:
    """Cuts continuous audio into blocks of features."""

    def __init__(self, experiment: Experiment):
        frontend, frames = experiment.frontend, experiment.stream_block_frames
        self._push = _pushing(frontend)
        self._state = frontend.initial_state(1)
        self._shape = experiment.input_shape
        self._sample_rate_hz = frontend.sample_rate_hz
        self._hop_samples = frames * frontend.hop_samples
        self._more_samples = frontend.window_samples - frontend.hop_samples
        self._kept = np.zeros(0, np.int16)

    @property
    def delay_ms(self) -> float:
        """What the last window of a block needs beyond the block's hops."""
        return self._more_samples * 1e3 / self._sample_rate_hz

    def blocks_in(self, samples: int) -> int:
        """Blocks that are complete after so many samples of a stream."""
        return max(0, (samples - self._more_samples) // self._hop_samples)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Features [n, frames, F] of the blocks that int16 samples [N] complete."""
        audio = np.concatenate([self._kept, samples])
        blocks = [np.zeros((0, *self._shape), np.float32)]
        place, left = 0, self.blocks_in(len(audio))
        while left:
            count = CHUNK_BLOCKS if left >= CHUNK_BLOCKS else 1
            end = place + count * self._hop_samples
            window = audio[place : end + self._more_samples]
            features, self._state = self._push(window, self._state)
            blocks.append(np.asarray(features).reshape(count, *self._shape))
            place, left = end, left - count
        self._kept = audio[place:]
        return np.concatenate(blocks)


@functools.cache
def _pushing(frontend: Frontend) -> Callable:
    def push(samples: jax.Array, state: State) -> tuple[jax.Array, State]:
        return frontend.push(to_float(samples)[None], state)

    return compiled(push)


class Stream:
    """A run that listens: logits of block after block, from silence on.

    Use it as a context manager: interpreters are child processes.
    """

    def __init__(self, run: Run, runtime: str = "integer"):
        """Raises BadInput where the run takes whole clips, or does not run in `runtime`."""
        require_stream(run)
        if run.experiment.recipe.mode == "float" and runtime != "float":
            raise BadInput(f"{run.path}: a float run; its only runtime is float, not {runtime!r}")
        self._framer = Framer(run.experiment)
        self._open = contextlib.ExitStack()
        self._answer = answering(run, runtime, self._open)
        self.classes = run.experiment.words.classes
        self.block_ms = run.experiment.block_ms
        self.delay_ms = self._framer.delay_ms

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error) -> None:
        self._open.__exit__(*error)  # an interpreter's failure becomes BadInput there

    def blocks_in(self, samples: int) -> int:
        """Blocks that are answered after so many samples."""
        return self._framer.blocks_in(samples)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Real logits [n, C] of the blocks that int16 samples [N] complete."""
        features = self._framer.push(samples)
        whole = len(features) // CHUNK_BLOCKS * CHUNK_BLOCKS
        parts = [features[i : i + CHUNK_BLOCKS] for i in range(0, whole, CHUNK_BLOCKS)]
        parts += [features[i : i + 1] for i in range(whole, len(features))]
        nothing = np.zeros((0, len(self.classes)), np.float32)
        return np.concatenate([nothing, *map(self._answer, parts)])


def require_stream(run: Run) -> None:
    """Raises BadInput where the run takes whole clips."""
    if not run.experiment.streams:
        raise BadInput(
            f"{run.path}: the run takes whole clips; a run with stream_block_frames streams"
        )


Answer = Callable[[np.ndarray], np.ndarray]


def answering(run: Run, runtime: str, opened: contextlib.ExitStack) -> Answer:
    """A function from feature blocks [n, T, F] to logits [n, C]; interpreters go into `opened`."""
    if runtime == "float":
        return _model(run, run.variables("float"), Floating())
    if runtime == "quantized":
        return _model(run, run.variables("quantized"), quantized_reading(run.experiment))
    executor = run.executor
    if runtime == "integer":
        return _program(executor)
    from aqtaudio.program.interpreters import running

    interpreter = opened.enter_context(running(run.model, runtime))
    return lambda features: executor.dequantize(interpreter.invoke(executor.quantize(features))[0])


def _program(executor: Executor) -> Answer:
    state = executor.state()

    def answer(features: np.ndarray) -> np.ndarray:
        nonlocal state
        outputs, state = executor.blocks(executor.quantize(features)[None], state)
        return executor.dequantize(outputs[0])

    return answer


def _model(run: Run, variables: dict[str, Any], reading: Reading) -> Answer:
    """The model itself: its first block makes the state that scans over chunks carry on."""
    model = run.experiment.built_model()
    variables = variables | clip(model, variables, run.experiment.feature_shape)

    # Variables are arguments: as constants XLA would fold them with arithmetic of its own.
    def push(variables: dict[str, Any], state: dict[str, Any], block: jax.Array):
        signal = start(block[None], reading)
        out, updated = model.apply(variables | state, signal, mutable=["state"])
        return updated, out.real()[0]

    def scan(variables: dict[str, Any], state: dict[str, Any], blocks: jax.Array):
        return jax.lax.scan(functools.partial(push, variables), state, blocks)

    one, many = compiled(push), compiled(scan)
    state: dict[str, Any] = {}

    def answer(features: np.ndarray) -> np.ndarray:
        nonlocal state
        if state and len(features) > 1:
            state, logits = many(variables, state, features)
            return np.asarray(logits)
        parts = []
        for block in features:
            state, logits = one(variables, state, block)
            parts.append(np.asarray(logits))
        return np.stack(parts)

    return answer
