"""What tells made speech from true speech: by the wave at several rates, and by spectra.

Kumar et al., "MelGAN", arXiv:1910.06711: layers of a wave discriminator; a quarter of the rate per
strided layer, channels four times as many, in groups of four. Spectra: convolutions over time and
frequency of complex spectra, as in EnCodec (arXiv:2210.13438), with fewer channels. They are float,
train beside the generator and are never exported.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

SLOPE = 0.2


class WaveDiscriminator(nn.Module):
    """Clips [B, N] at 1 / `rate` of their rate: layers [B, T, C], judgements [B, T, 1] last.

    Attributes:
      rate: samples that are averaged to one.
      channels: of the first layer.
      most: channels of any layer.
    """

    rate: int = 1
    channels: int = 16
    most: int = 256

    @nn.compact
    def __call__(self, clips: jax.Array) -> list[jax.Array]:  # noqa: D102
        x = clips[..., None]
        if self.rate > 1:
            x = nn.avg_pool(x, (2 * self.rate,), (self.rate,), "SAME")
        layers = [_leaky(nn.Conv(self.channels, (15,), name="first")(x))]
        for number in range(1, 4):
            before = layers[-1].shape[-1]
            channels = min(4 * before, self.most)
            conv = nn.Conv(
                channels,
                (41,),
                4,
                feature_group_count=max(1, before // 4),
                name=f"strided_{number}",
            )
            layers.append(_leaky(conv(layers[-1])))
        layers.append(_leaky(nn.Conv(layers[-1].shape[-1], (5,), name="seen")(layers[-1])))
        return [*layers, nn.Conv(1, (3,), name="judged")(layers[-1])]


class SpectrumDiscriminator(nn.Module):
    """Spectra of clips [B, N] in windows of `size` samples: layers, the last one judgements."""

    size: int = 512
    channels: int = 16

    @nn.compact
    def __call__(self, clips: jax.Array) -> list[jax.Array]:  # noqa: D102
        starts = np.arange(0, clips.shape[-1] - self.size + 1, self.size // 4)
        window = np.hanning(self.size + 1)[:-1].astype(np.float32)
        frames = clips[..., starts[:, None] + np.arange(self.size)] * window
        spectrum = jnp.fft.rfft(frames) / np.float32(np.sqrt(np.square(window).sum()))
        x = jnp.stack([jnp.real(spectrum), jnp.imag(spectrum)], -1)
        layers = [_leaky(nn.Conv(self.channels, (3, 9), name="first")(x))]
        for number, dilation in enumerate((1, 2, 4), 1):
            conv = nn.Conv(
                self.channels,
                (3, 9),
                (1, 2),
                kernel_dilation=(dilation, 1),
                name=f"strided_{number}",
            )
            layers.append(_leaky(conv(layers[-1])))
        return [*layers, nn.Conv(1, (3, 3), name="judged")(layers[-1])]


def _leaky(x: jax.Array) -> jax.Array:
    return nn.leaky_relu(x, SLOPE)
