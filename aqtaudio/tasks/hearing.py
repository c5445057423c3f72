"""How much an ear would notice: disturbance of loudness in bands, as PESQ weighs it.

After ITU-T P.862 and P.862.2 and their differentiable relatives (Martin-Donas et al., "A Deep
Learning Loss Function Based on the Perceptual Evaluation of the Speech Quality", IEEE Signal
Processing Letters 2018): Zwicker's loudness in half-Bark bands; small differences are masked; what
is added disturbs more than what is missing. A difference of the average spectrum is forgiven, up to
20 dB a band, and so is one of the gain of short frames: a line without its upper band loses little,
and an upper band is worth something only where it comes and goes as that of the original. Without
P.862's alignment in time and of levels: both signals share them.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

WINDOW_MS = 32.0
BARK_STEP = 0.5
LOWEST_HZ = 100.0
NOMINAL_DBFS, NOMINAL_DB_SPL = -25.0, 96.0
"""Clips at the former are heard at the latter. Of the levels tried from 79 to 100 it is the one at
which gains follow those of PESQ best, on extended validation clips (results/bandwidth)."""
LOUDNESS_POWER, LOUDNESS_SCALE = 0.23, 0.1866
BASS_BARK = 4.0
"""Below it loudness grows faster with power."""
MASKED = 0.25
"""Share of the quieter loudness below which a difference is not heard."""
AUDIBLE = 100.0
"""Times the threshold of hearing: what counts for the average spectrum."""
LEAST_SPEECH = 1e7
"""Power of a frame that counts for it."""
FORGIVEN, FORGIVEN_FLOOR = 100.0, 1e3
"""Ratio of average powers that is forgiven at most, and what is added to both."""
GAIN_LEAST, GAIN_MOST, GAIN_FLOOR, GAIN_KEPT = 3e-4, 5.0, 5e3, 0.2
"""Of the gain of frames: its limits, what is added to both powers, and the share of the last."""
GAIN_FRAMES = 8
"""After so many nothing is left of a gain."""
ADDED_POWER, ADDED_LEAST, ADDED_MOST, ADDED_FLOOR = 1.2, 3.0, 12.0, 50.0
"""Of the ratio of powers that weighs what was added."""
LOUD_POWER, LOUD_FLOOR, LOUD_NOMINAL = 0.04, 1e5, 1e7
"""Loud frames hide more."""
WORST_FRAME = 45.0
STRETCH_FRAMES, STRETCH_POWER = 20, 6
"""The worst frames of a third of a second count for all of it."""
EVEN_WEIGHT, ADDED_WEIGHT = 0.1, 0.0309
BEST_RAW = 4.5
TINY = 1e-9


def disturbance(made: jax.Array, wanted: jax.Array, sample_rate_hz: int) -> jax.Array:
    """Of clips [B, N] at -25 dBFS: raw points of a PESQ score lost, nearly; a scalar."""
    return jnp.mean(disturbances(made, wanted, sample_rate_hz))


def score(lost: np.ndarray) -> np.ndarray:
    """The wide-band PESQ of clips, nearly, from the raw points that they lost (P.862.2)."""
    return 0.999 + 4 / (1 + np.exp(-1.3669 * (BEST_RAW - lost) + 3.8224))


def disturbances(made: jax.Array, wanted: jax.Array, sample_rate_hz: int) -> jax.Array:
    """Of clips [B, N], one by one: [B]."""
    bands, quiet, power = _ear(sample_rate_hz)
    ours, theirs = (_powers(x, bands, sample_rate_hz) for x in (made, wanted))
    theirs = _forgiven_spectrum(ours, theirs, quiet)
    ours, heard = _forgiven_gain(ours, theirs, quiet)
    louder, loud = (_loudness(x, quiet, power) for x in (ours, theirs))
    apart = jnp.abs(louder - loud) - MASKED * jnp.minimum(louder, loud)
    apart = jnp.maximum(apart, 0.0) * BARK_STEP
    ratio = ((ours + ADDED_FLOOR) / (theirs + ADDED_FLOOR)) ** ADDED_POWER
    added = jnp.where(ratio < ADDED_LEAST, 0.0, jnp.minimum(ratio, ADDED_MOST))
    width = bands.shape[1] * BARK_STEP
    even = jnp.sqrt(jnp.sum(jnp.square(apart), -1) * width + TINY)
    more = jnp.sum(jax.lax.stop_gradient(added) * apart, -1)
    hides = ((heard + LOUD_FLOOR) / LOUD_NOMINAL) ** LOUD_POWER
    both = (EVEN_WEIGHT, even), (ADDED_WEIGHT, more)
    return sum(weight * _over_time(jnp.minimum(x / hides, WORST_FRAME)) for weight, x in both)


def _over_time(frames: jax.Array) -> jax.Array:
    """Loud disturbances count for more: [B, T] to [B]."""
    length = min(STRETCH_FRAMES, frames.shape[-1])
    starts = np.arange(0, frames.shape[-1] - length + 1, STRETCH_FRAMES // 2)
    stretches = frames[..., starts[:, None] + np.arange(length)]
    # As a share of the largest, which cancels: no power overflows.
    most = jax.lax.stop_gradient(jnp.max(stretches, -1, keepdims=True)) + TINY
    mean = jnp.mean((stretches / most) ** STRETCH_POWER, -1) + TINY
    worst = mean ** (1 / STRETCH_POWER) * most[..., 0]
    return jnp.sqrt(jnp.mean(jnp.square(worst), -1) + TINY)


def _powers(clips: jax.Array, bands: np.ndarray, sample_rate_hz: int) -> jax.Array:
    """Powers in bands [B, T, K], 1: 0 dB SPL."""
    size = round(WINDOW_MS * sample_rate_hz / 1000)
    starts = np.arange(0, clips.shape[-1] - size + 1, size // 2)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    spectrum = jnp.fft.rfft(clips[..., starts[:, None] + np.arange(size)] * window)
    power = jnp.square(jnp.real(spectrum)) + jnp.square(jnp.imag(spectrum))
    full = 10 ** ((NOMINAL_DB_SPL - NOMINAL_DBFS) / 10)  # of samples whose mean square is 1
    gains = bands * np.float32(2 * full / (size * np.square(window).sum()))
    return jnp.matmul(power, gains, precision="highest")


def _forgiven_spectrum(ours: jax.Array, theirs: jax.Array, quiet: np.ndarray) -> jax.Array:
    """Theirs [B, T, K] with our average spectrum, as far as that is forgiven."""
    is_speech = _audible(theirs, AUDIBLE * quiet)[..., None] > LEAST_SPEECH

    def average(x: jax.Array) -> jax.Array:
        counts = is_speech & (x > AUDIBLE * quiet)
        return jnp.mean(jnp.where(counts, x, 0.0), 1, keepdims=True) + FORGIVEN_FLOOR

    return theirs * jnp.clip(average(ours) / average(theirs), 1 / FORGIVEN, FORGIVEN)


def _forgiven_gain(
    ours: jax.Array, theirs: jax.Array, quiet: np.ndarray
) -> tuple[jax.Array, jax.Array]:
    """Ours [B, T, K] with the gain of their frames; the powers [B, T] that are heard of theirs."""
    heard = _audible(theirs, quiet)
    gain = (heard + GAIN_FLOOR) / (_audible(ours, quiet) + GAIN_FLOOR)
    before = jnp.pad(gain, ((0, 0), (GAIN_FRAMES - 1, 0)), mode="edge")
    shares = (1 - GAIN_KEPT) * GAIN_KEPT ** np.arange(GAIN_FRAMES)
    count = gain.shape[1]
    gain = sum(
        np.float32(share) * before[:, GAIN_FRAMES - 1 - ago :][:, :count]
        for ago, share in enumerate(shares)
    )
    return ours * jnp.clip(gain, GAIN_LEAST, GAIN_MOST)[..., None], heard


def _audible(power: jax.Array, least: np.ndarray) -> jax.Array:
    """The power [B, T] of all bands but the lowest that are above `least` [K]."""
    return jnp.sum(jnp.where(power > least, power, 0.0)[..., 1:], -1)


def _loudness(power: jax.Array, quiet: np.ndarray, exponent: np.ndarray) -> jax.Array:
    """In sone, after Zwicker: [B, T, K]; 0 at the threshold of hearing and below."""
    above = (0.5 + 0.5 * power / quiet) ** exponent - 1.0
    return LOUDNESS_SCALE * (quiet / 0.5) ** exponent * jnp.maximum(above, 0.0)


@functools.cache
def _ear(sample_rate_hz: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles over bins [bins, K]; thresholds of hearing as powers [K] (Terhardt 1979), and by
    which power loudness grows [K].
    """
    size = round(WINDOW_MS * sample_rate_hz / 1000)
    frequency_hz = np.fft.rfftfreq(size, 1 / sample_rate_hz)
    first, last = (float(_bark(x)) for x in (LOWEST_HZ, sample_rate_hz / 2))
    centers = np.arange(first, last, BARK_STEP)
    distance = np.abs(_bark(frequency_hz)[:, None] - centers) / BARK_STEP
    weights = np.maximum(1.0 - distance, 0.0)
    heard = weights.sum(0) > 0.5  # some bands are narrower than a bin
    centers, weights = centers[heard], weights[:, heard]
    center_khz = 0.65 * np.sinh(centers / 7.0)
    threshold_db = (
        3.64 * center_khz**-0.8
        - 6.5 * np.exp(-0.6 * (center_khz - 3.3) ** 2)
        + 1e-3 * center_khz**4
    )
    quiet = 10.0 ** (threshold_db / 10.0)
    faster = np.where(centers < BASS_BARK, np.minimum(6.0 / (centers + 2.0), 2.0) ** 0.15, 1.0)
    tables = weights, quiet, LOUDNESS_POWER * faster
    return tuple(x.astype(np.float32) for x in tables)  # pyright: ignore[reportReturnType]


def _bark(frequency_hz: float | np.ndarray) -> np.ndarray:
    return 7.0 * np.arcsinh(np.asarray(frequency_hz) / 650.0)
