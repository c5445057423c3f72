"""What every front end is: settings that are also the function from audio to features."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.program.program import Edge

State = Any
Quantize = Callable[[jax.Array], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Frontend(abc.ABC):
    """Audio to frames of features: whole windows, a hop apart; nothing is padded.

    A clip of N samples gives 1 + (N - window) // hop frames. The features of a stream are those of
    the whole: what a front end remembers between frames is a state that callers hand on.

    Attributes:
        sample_rate_hz: of the audio.
        window_ms: length of a frame.
        hop_ms: from one frame to the next.
        streams: whether a frame is known as soon as its window is. A front end that scales a clip
            by its loudest value does not stream.
        takes_audio: whether it computes features; False where a device has (`DeviceFeatures`).
        skipped_frames: of the beginning, which models are not shown: they look so far ahead.
        features_scale: the step of features that are a network's codes; None: they are real.
    """

    sample_rate_hz: int = 16_000
    window_ms: float = 40.0
    hop_ms: float = 20.0
    streams: ClassVar[bool] = True
    takes_audio: ClassVar[bool] = True
    skipped_frames: ClassVar[int] = 0
    features_scale: ClassVar[float | None] = None

    @property
    @abc.abstractmethod
    def features(self) -> int:
        """Features per frame, F."""

    @property
    def window_samples(self) -> int:
        """Samples per frame."""
        return round(self.window_ms * self.sample_rate_hz / 1000)

    @property
    def hop_samples(self) -> int:
        """Samples from one frame to the next."""
        return round(self.hop_ms * self.sample_rate_hz / 1000)

    def clip_samples(self, clip_ms: int) -> int:
        """Returns the number of samples in a clip of that length."""
        return clip_ms * self.sample_rate_hz // 1000

    def frames(self, samples: int) -> int:
        """Returns the number of whole frames, T, in a clip of that many samples."""
        return max(0, 1 + (samples - self.window_samples) // self.hop_samples)

    def feature_shape(self, samples: int) -> tuple[int, int]:
        """Returns (T, F) of a clip of that many samples."""
        return self.frames(samples), self.features

    def initial_state(self, clips: int) -> State:
        """Returns what is remembered of so many streams that begin; () where nothing is."""
        return ()

    @abc.abstractmethod
    def push(self, audio: jax.Array, state: State) -> tuple[jax.Array, State]:
        """Returns the frames that are whole in `audio`, and what to remember.

        Args:
            audio: float32 [B, N] in [-1, 1); the first frame's window begins with it.
            state: after the frames before.

        Returns:
            Features float32 [B, T, F], state after them.
        """

    def fingerprint(self) -> str:
        """Returns what tells its features from those of others: features are kept under it."""
        return repr(self)

    def device_files(self, quantize: Quantize, edge: Edge) -> dict[str, str]:
        """Returns texts by their path in an artifact that tell a device how to be this front end.

        Args:
            quantize: of features, the network's input codes.
            edge: that they go into, of a call.
        """
        return {}

    def __call__(self, audio: jax.Array) -> jax.Array:
        """Returns features, float32 [B, T, F], of audio, float32 [B, N] in [-1, 1).

        Raises BadInput when the clips are shorter than one window.
        """
        clips, samples = audio.shape
        if self.frames(samples) == 0:
            raise BadInput(
                f"clips of {samples} samples are shorter than the window"
                f" of {self.window_samples} samples"
            )
        return self.push(audio, self.initial_state(clips))[0]


def int16_samples(audio: jax.Array) -> jax.Array:
    """Returns the 16-bit samples that a device would hear, int32, of audio in [-1, 1)."""
    return jnp.clip(jnp.round(audio * 32768.0), -32768, 32767).astype(jnp.int32)


def per_feature(values: tuple[float, ...], features: int) -> np.ndarray:
    """Returns one value per feature, float64 [features]: the last one is repeated."""
    return np.pad(np.asarray(values, np.float64), (0, features - len(values)), "edge")


def normalised(
    steps: jax.Array, mean: tuple[float, ...], scale: tuple[float, ...], steps_per_unit: float = 1.0
) -> jax.Array:
    """Returns float32 features [..., F], (x - mean) / scale, of a device's integers [..., F].

    An exact difference and one product: no compiler can round it in another way.

    Args:
        steps: the integers; x is of them / `steps_per_unit`.
        mean: in units, rounded to steps; as of `per_feature`.
        scale: in units; as of `per_feature`.
        steps_per_unit: of the integers.
    """
    features = steps.shape[-1]
    offset = np.rint(steps_per_unit * per_feature(mean, features)).astype(np.int32)
    gain = (1 / (steps_per_unit * per_feature(scale, features))).astype(np.float32)
    return (steps - offset).astype(jnp.float32) * gain


def cut(audio: jax.Array, frontend: Frontend) -> jax.Array:
    """Returns windows [..., T, window] of audio [..., N]."""
    starts = np.arange(frontend.frames(audio.shape[-1])) * frontend.hop_samples
    return audio[..., starts[:, None] + np.arange(frontend.window_samples)]
