"""What a task may know of the run that it is trained in: how clips become what a model sees."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.data.augmentation import Augmentation
from aqtaudio.errors import BadInput
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.program.compiler import compiled

AT_ONCE = 128
"""Clips whose features are made together, always as many, whoever asks: so two runtimes see the
same input codes."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """Front end, clips and blocks of a run.

    Attributes:
      frontend: from samples to features.
      clip_ms: length of a clip of training.
      block_frames: frames that a stream's program takes per call; 0: it takes whole clips.
      clips_before: that a stream has heard before each clip of training.
      augmentation: of training clips.
    """

    frontend: Frontend
    clip_ms: int
    block_frames: int = 0
    clips_before: int = 0
    augmentation: Augmentation = Augmentation()

    @property
    def clip_samples(self) -> int:
        """Length of one clip."""
        return self.frontend.clip_samples(self.clip_ms)

    def require_audio(self) -> None:
        """Raises BadInput where only the device can compute features."""
        if not self.frontend.takes_audio:
            raise BadInput("the run was trained on a device's features, and takes no audio")

    @property
    def streams(self) -> bool:
        """Whether the program is a stream's."""
        return self.block_frames > 0

    @property
    def feature_shape(self) -> tuple[int, int]:
        """(frames, features) of one clip, as models see it; of a stream's, in whole blocks."""
        frames, features = self.frontend.feature_shape(self.clip_samples)
        frames -= self.frontend.skipped_frames
        return frames - frames % max(self.block_frames, 1), features

    @property
    def input_shape(self) -> tuple[int, int]:
        """(frames, features) of one call of the program: a clip or a block."""
        frames, features = self.feature_shape
        return self.block_frames or frames, features

    @property
    def hop_ms(self) -> float:
        """Time between two frames."""
        return 1000 * self.frontend.hop_samples / self.frontend.sample_rate_hz

    @property
    def block_ms(self) -> float:
        """Time between two calls of a stream's program."""
        return self.block_frames * self.hop_ms

    def features(self, audio: jax.Array, clips_before: int = 0) -> jax.Array:
        """Features [B, *feature_shape] of clips, float32 [B, N] in [-1, 1): the latest frames.

        Args:
          audio: the clips.
          clips_before: others of the batch that the front end has heard before each.
        """
        state = self.frontend.initial_state(len(audio))
        for number in range(clips_before, 0, -1):
            _, state = self.frontend.push(jnp.roll(audio, number, 0), state)
        return self.frontend.push(audio, state)[0][:, -self.feature_shape[0] :]

    def features_of(self, clips: np.ndarray) -> np.ndarray:
        """Features [n, *feature_shape] of int16 clips [n, N], compiled, each from silence."""
        found = [np.zeros((0, *self.feature_shape), np.float32)]
        for first in range(0, len(clips), AT_ONCE):
            batch = clips[first : first + AT_ONCE]
            padded = np.zeros((AT_ONCE, *clips.shape[1:]), np.int16)
            padded[: len(batch)] = batch
            found.append(np.asarray(_features(self)(padded))[: len(batch)])
        return np.concatenate(found)


@functools.cache
def _features(setup: Setup):
    return compiled(lambda clips: setup.features(to_float(clips)))
