"""A frozen network as a front end: what a head hears are the vectors of an encoder that streams.

The encoder runs in integers, as on the device: a head is trained on the very codes that it will be
given, and the two programs are joined to one (`program.joined`).
"""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends.frontend import Frontend, State
from aqtaudio.program import program as programs
from aqtaudio.program.execute import Executor
from aqtaudio.settings import from_json

PROJECT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Embedded(Frontend):
    """Vectors [B, m, D] of an encoder, a frame each: `hop_ms` is that of its blocks.

    Attributes:
      run: directory of a finished quantized run, or an artifact, that streams; one that is not
        there from where the project lies. Rate, window and hop are its own.
      mean, scale: as of other front ends: features are (x - mean) / scale. They stay 0 and 1: the
        head gets the encoder's codes.
    """

    mean: ClassVar[tuple[float, ...]] = (0.0,)
    scale: ClassVar[tuple[float, ...]] = (1.0,)

    run: str = ""

    def __post_init__(self):
        inner, block = self.encoder.frontend, self.encoder.block_frames
        more_ms = inner.window_ms - inner.hop_ms
        own = {
            "sample_rate_hz": inner.sample_rate_hz,
            "hop_ms": block * inner.hop_ms,
            "window_ms": block * inner.hop_ms + more_ms,
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property
    def folder(self) -> Path:
        """Where `run` is."""
        return _there(self.run)

    @property
    def encoder(self) -> "Encoder":
        """What runs. Raises BadInput where the run has no program that streams vectors."""
        return _encoder(self.run)

    @property
    def features(self) -> int:
        """D."""
        return self.encoder.dimensions

    @property
    def features_scale(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The step of the encoder's codes."""
        return self.encoder.output.scale

    def fingerprint(self) -> str:
        """Of the encoder's front end and its program."""
        program = (_there(self.run) / "program.npz").read_bytes()
        inner = self.encoder.frontend.fingerprint()
        return f"{inner}\n{self.encoder.executor.target}\n{hashlib.sha256(program).hexdigest()}"

    def initial_state(self, clips: int) -> State:
        """Of the encoder's front end, and of the encoder."""
        encoder = self.encoder
        return encoder.frontend.initial_state(clips), encoder.executor.state(clips)

    def push(self, audio: jax.Array, state: State) -> tuple[jax.Array, State]:
        """Returns vectors float32 [B, m, D] of audio [B, N], and what to remember."""
        encoder, (inner, memory) = self.encoder, state
        features, inner = encoder.frontend.push(audio, inner)
        count = features.shape[1] // encoder.block_frames
        shape = (len(audio), count, *encoder.input.shape)
        blocks = features[:, : count * encoder.block_frames].reshape(shape)
        outputs, memory = encoder.executor.traced(blocks, memory)
        return outputs.reshape(len(audio), count, -1), (inner, memory)


@dataclasses.dataclass(frozen=True)
class Encoder:
    """A run's program and what it hears.

    Attributes:
      frontend: from samples to its features.
      executor: of its program.
    """

    frontend: Frontend
    executor: Executor

    @property
    def input(self) -> programs.Edge:
        """Of its program."""
        return self.executor.program.edges[self.executor.program.inputs[0]]

    @property
    def output(self) -> programs.Edge:
        """Of its program."""
        return self.executor.program.edges[self.executor.program.outputs[0]]

    @property
    def block_frames(self) -> int:
        """Frames that make a vector."""
        return self.input.shape[0]

    @property
    def dimensions(self) -> int:
        """D."""
        return int(np.prod(self.output.shape))


def _there(run: str) -> Path:
    path = Path(run)
    return path if path.is_dir() else PROJECT / path


@functools.lru_cache(maxsize=4)
def _encoder(run: str) -> Encoder:
    path = _there(run)
    if not run or not path.is_dir():
        raise BadInput(
            f"front end: no encoder {run or '(frontend.run is not set)'}; allowed: a run"
        )
    try:
        config: Any = json.loads((path / "config.json").read_text())
        frontend = from_json(config["frontend"])
        target = config["recipe"].get("target", "micro")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadInput(f"front end: {run} is not a run ({error})") from None
    executor = Executor(programs.load(path / "program.npz"), target=target)
    if not executor.program.states:
        raise BadInput(f"front end: {run} takes whole clips; allowed: an encoder that streams")
    found = Encoder(frontend, executor)
    if found.output.bits != 8 or found.output.zero_point != 0:
        raise BadInput(f"front end: the vectors of {run} are not signed codes of 8 bits")
    return found
