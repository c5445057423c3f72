"""Front ends whose spectrum is changed and made sound again."""

import abc
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends.frontend import Frontend, State


@dataclasses.dataclass(frozen=True)
class SpectrumFrontend(Frontend):
    """Features of a spectrum, and the spectrum itself.

    There is a frame for every whole hop; what a window needs before the first is zeros. A frame is
    made of a hop of samples and of the hop before it.
    """

    def __post_init__(self):
        if self.window_ms != self.hop_ms:
            raise BadInput(
                f"frontend: window_ms is {self.window_ms}; allowed: hop_ms, {self.hop_ms}: what is "
                "new in a frame; its window is twice as long"
            )

    @property
    def fft_samples(self) -> int:
        """Of a window."""
        return 2 * self.hop_samples

    @property
    def bins(self) -> int:
        """Of the spectrum."""
        return self.hop_samples + 1

    @property
    def spectrum_scale(self) -> float:
        """What a spectrum was divided by."""
        return 1.0

    @abc.abstractmethod
    def window(self) -> np.ndarray:
        """Of analysis and synthesis, float32 [2 hop]; its squares half a window apart sum to 1."""

    @abc.abstractmethod
    def push_with_spectrum(
        self, audio: jax.Array, state: State
    ) -> tuple[jax.Array, jax.Array, State]:
        """As `push`; features [B, T, F], spectrum complex64 [B, T, bins], state."""

    def push(self, audio: jax.Array, state: State) -> tuple[jax.Array, State]:  # noqa: D102
        features, _, state = self.push_with_spectrum(audio, state)
        return features, state

    def analysed(self, audio: jax.Array, before: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Spectrum complex128 [B, T, bins] of whole hops of [B, N], and the last hop, [B, hop].

        To be called, and its result used, inside of `jax.enable_x64(True)`. `before`: the hop
        before.
        """
        whole = audio.shape[1] // self.hop_samples * self.hop_samples
        audio = jnp.concatenate([before, audio[:, :whole].astype(jnp.float32)], 1)
        hops = audio.reshape(len(audio), -1, self.hop_samples)
        windows = jnp.concatenate([hops[:, :-1], hops[:, 1:]], -1).astype(jnp.float64)
        spectrum = jnp.fft.rfft(windows * self.window()) / self.spectrum_scale
        return spectrum, audio[:, -self.hop_samples :]
