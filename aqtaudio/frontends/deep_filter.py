"""The features of DeepFilterNet: levels of ERB bands and a normalised complex spectrum.

Schröter et al., arXiv:2205.05474 and arXiv:2305.08227, as in the authors' libDF. A frame is made of
a hop of samples and of the hop before it, under a Vorbis window; the spectrum is divided by the
window's length. Levels are in dB less their running mean, over 40. The spectrum of the low bins is
divided by the square root of the running mean of its magnitude.

The published normalisation starts at fixed levels and divides by a square root, so that a quieter
input has smaller features; the published network falls silent below about -48 dBFS. With
`level_invariant` nothing depends on the level of the input:

* the spectrum is also divided by the square root of its overall running level, over that of a
  recording at -25 dBFS;
* the power under which a band is silent follows that level;
* the running means start at the level of the first frame that is not silent;
* they are moved at once where the level steps down. A step is seen where a quarter of the bands lie
  further below their own recent minimum than noise gets; by how much they do, beyond what is usual,
  is the step. Steps up need no help but beyond 40 dB;
* with `fall_db` a step is also seen where three quarters of the bands fall by that within two
  frames: sound that pauses hides a step from its minima. Clicks, barks and some words end as
  abruptly and leave the means too low for a second or two, which costs less than a step missed
  (`results/denoise`).

All is computed in float64 and rounded once, the state after every frame. How many frames are
computed at once changes the order of sums and products, and so the last digits: in float32 that
moves an input code of the network now and then, and a stream has other samples than the whole file.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.frontends.spectrum import SpectrumFrontend
from aqtaudio.settings import added

POWER_FLOOR = 1e-10
LEVEL_START_DB = -60.0, -90.0
MAGNITUDE_START = 1e-3, 1e-4
"""Running means before the first frame, from the lowest band or bin to the highest."""
LEVEL_SCALE_DB = 40.0
SMALLEST = 1e-37
"""Of what is divided by: running means of digital silence get to zero."""
# Of level invariance.
OVERALL_NEW = 0.0025
"""Share of a frame in the overall level."""
USUAL_MAGNITUDE = 1.1e-3
"""Running mean of the magnitudes of low bins, of noisy speech at -25 dBFS."""
SILENT_POWER = 1e-13
"""Per bin: less than what rounding to 16 bits leaves."""
FIRST_RISE_DB = 5.0
"""How far the first frame lies above the running means that it starts."""
MOST_RISE_DB = 40.0
MINIMUM_RISE_DB = 0.03
"""Per frame: how recent minima are forgotten."""
LOW_QUANTILE = 0.25
STEP_DB = -10.0
"""How far below its recent minimum a quarter of the bands lies at a step."""
USUAL_ABOVE_DB = 5.0
"""How far above it a quarter of the bands lies in noise."""
HIGH_QUANTILE = 0.75
FALL_FRAMES = 2
"""A fall is looked for between frames that share no samples."""


class DeepFilterState(NamedTuple):
    """After a frame, of B streams.

    Attributes:
      before: [B, hop] samples of the hop before.
      levels: [B, E] running mean of band levels, dB.
      magnitudes: [B, D] running mean of the magnitudes of low bins.
      overall: [B] running mean of all of them.
      minima: [B, E] recent minima of band levels, dB.
      above: [B] what a quarter of the bands usually lies above its minimum, dB.
      heard: [B, 2, E] band levels of the last two frames, the older one first, dB.
      fell: [B] by how much a fall moved everything in the last frame, dB.
      is_started: [B] whether a frame was not silent.
    """

    before: jax.Array
    levels: jax.Array
    magnitudes: jax.Array
    overall: jax.Array
    minima: jax.Array
    above: jax.Array
    heard: jax.Array
    fell: jax.Array
    is_started: jax.Array


@dataclasses.dataclass(frozen=True)
class DeepFilterFeatures(SpectrumFrontend):
    """Audio to [T, bands + 2 filtered_bins]: levels, then (re, im) of each low bin.

    There is a frame for every whole hop; what a window needs before the first is zeros.

    Attributes:
      bands: equal steps on the ERB scale, from 0 to `bands_to_hz`.
      least_bins: of a band.
      bands_to_hz: half the rate that the bands were made for. A model of 48 kHz keeps its bands at
        a lower rate: those above half of that are empty.
      filtered_bins: low bins whose spectrum is a feature.
      mean_ms: time constant of running means.
      level_invariant: see above; the published features are not.
      fall_db: see above; 0: no falls are looked for.
    """

    sample_rate_hz: int = 48_000
    window_ms: float = 10.0
    hop_ms: float = 10.0
    bands: int = 32
    least_bins: int = 2
    bands_to_hz: float = 24_000.0
    filtered_bins: int = 96
    mean_ms: float = 1000.0
    level_invariant: bool = False
    fall_db: float = added(0.0)
    skipped_frames: ClassVar[int] = 2

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.bands_to_hz < math.inf or not 0 < self.mean_ms < math.inf:
            raise BadInput("frontend: bands_to_hz and mean_ms must be above 0")
        if not 0 <= self.fall_db < math.inf or (self.fall_db and not self.level_invariant):
            raise BadInput(
                f"frontend: fall_db is {self.fall_db}; allowed: 0, and above it where "
                "level_invariant is set"
            )
        if self.bands < 1 or self.least_bins < 1:
            raise BadInput("frontend: bands and least_bins must be at least 1")
        if self.hop_samples < 2 or not 0 < self.filtered_bins <= self.bins:
            raise BadInput(
                f"frontend: filtered_bins is {self.filtered_bins}; allowed: 1 to the {self.bins} "
                f"bins of a hop of {self.hop_samples} samples"
            )
        if not 0 < self.decay < 1:
            raise BadInput(
                f"frontend: mean_ms is {self.mean_ms}; allowed: {self.hop_ms / 7:g} to "
                f"{self.hop_ms * 1900:g}: means that move, by a share of three digits"
            )
        _ = self.widths  # raises where bands do not fit

    @property
    def features(self) -> int:
        """Features per frame, F."""
        return self.bands + 2 * self.filtered_bins

    @property
    def spectrum_scale(self) -> float:
        """The window's length."""
        return float(self.fft_samples)

    @property
    def widths(self) -> tuple[int, ...]:
        """Bins of each band, from the lowest; 0 where it lies above the spectrum."""
        return _widths(self.bands, self.least_bins, self.bands_to_hz, self._bin_hz, self.bins)

    @property
    def _bin_hz(self) -> float:
        return self.sample_rate_hz / self.fft_samples

    @property
    def decay(self) -> float:
        """Share of a running mean that a frame leaves of it; as in libDF, of three digits."""
        return round(float(np.exp(-self.hop_ms / self.mean_ms)), 3)

    def window(self) -> np.ndarray:
        """The Vorbis window of analysis and synthesis, float32 [2 hop]."""
        places = (np.arange(self.fft_samples) + 0.5) / self.fft_samples
        return np.sin(np.pi / 2 * np.sin(np.pi * places) ** 2).astype(np.float32)

    def band_means(self) -> np.ndarray:
        """float32 [bins, bands]: powers of bins times this are means of bands."""
        share = 1 / np.maximum(self.widths, 1)
        return (self.band_members() * share).astype(np.float32)

    def band_members(self) -> np.ndarray:
        """float32 [bins, bands]: 1 where a bin belongs to a band."""
        ends = np.cumsum(self.widths)
        bins = np.arange(self.bins)[:, None]
        return ((bins < ends) & (bins >= ends - self.widths)).astype(np.float32)

    def initial_state(self, clips: int) -> DeepFilterState:  # noqa: D102
        def each(values: Any) -> jax.Array:
            return jnp.broadcast_to(jnp.asarray(values, jnp.float32), (clips, *np.shape(values)))

        levels = np.linspace(*LEVEL_START_DB, self.bands)
        magnitudes = np.linspace(*MAGNITUDE_START, self.filtered_bins)
        return DeepFilterState(
            each(np.zeros(self.hop_samples)),
            each(levels),
            each(magnitudes),
            each(np.mean(magnitudes)),
            each(levels),
            each(np.float32(USUAL_ABOVE_DB)),
            each(np.zeros((FALL_FRAMES, self.bands))),
            each(np.float32(0)),
            jnp.zeros((clips,), bool),
        )

    def push_with_spectrum(  # noqa: D102
        self, audio: jax.Array, state: DeepFilterState
    ) -> tuple[jax.Array, jax.Array, DeepFilterState]:
        with jax.enable_x64(True):
            spectrum, before = self.analysed(audio, state.before)
            features, state = self._normalised(spectrum, state._replace(before=before))
            return features.astype(jnp.float32), spectrum.astype(jnp.complex64), state

    def _normalised(
        self, spectrum: jax.Array, state: DeepFilterState
    ) -> tuple[jax.Array, DeepFilterState]:
        """Features [B, T, F] of a spectrum [B, T, bins], and the state after it."""
        powers = jnp.square(jnp.real(spectrum)) + jnp.square(jnp.imag(spectrum))
        low = spectrum[..., : self.filtered_bins]
        bands = jnp.matmul(powers, self.band_means(), precision="highest")
        magnitudes = jnp.sqrt(powers[..., : self.filtered_bins])
        step = _rounded(self._follow if self.level_invariant else self._mean)
        frames_first = (jnp.swapaxes(x, 0, 1) for x in (bands, magnitudes))
        state, (levels, scale) = jax.lax.scan(step, state, tuple(frames_first))
        levels, scale = jnp.swapaxes(levels, 0, 1), jnp.swapaxes(scale, 0, 1)
        parts = jnp.stack([jnp.real(low), jnp.imag(low)], -1) * scale[..., None]
        return jnp.concatenate([levels, parts.reshape(*parts.shape[:2], -1)], -1), state

    def _mean(self, state: DeepFilterState, frame: tuple[jax.Array, jax.Array]):
        """The published normalisation."""
        powers, magnitude = frame
        x = 10 * jnp.log10(powers + POWER_FLOOR)
        state, levels = self._updated(state, x, magnitude)
        return state, (levels, _over_root(state.magnitudes))

    def _updated(self, state: DeepFilterState, x: jax.Array, magnitude: jax.Array):
        """Running means with the frame in them, and the levels above them."""
        old, new = np.float32(self.decay), np.float32(1 - self.decay)
        levels = new * x + old * state.levels
        magnitudes = new * magnitude + old * state.magnitudes
        return (
            state._replace(levels=levels, magnitudes=magnitudes),
            (x - levels) / LEVEL_SCALE_DB,
        )

    def _follow(self, state: DeepFilterState, frame: tuple[jax.Array, jax.Array]):
        """The level-invariant normalisation."""
        powers, magnitude = frame
        heard_db = 10 * jnp.log10(powers + SILENT_POWER)
        is_silent = self._quantile(powers, 0.5) < SILENT_POWER
        before = self._moved(state, heard_db, is_silent)
        least = POWER_FLOOR * _level(before)[:, None] ** 2
        x = 10 * jnp.log10(powers + jnp.maximum(least, SILENT_POWER))
        mean = jnp.mean(magnitude, -1)
        overall = before.overall + OVERALL_NEW * (mean - before.overall)
        after, levels = self._updated(before._replace(overall=overall), x, magnitude)
        # Silence before the first sound says nothing of a level.
        waits = ~after.is_started
        held = {
            name: jnp.where(_per_stream(waits, value), value, getattr(after, name))
            for name, value in before._asdict().items()
            if name in ("levels", "magnitudes", "overall")
        }
        after = after._replace(
            minima=jnp.minimum(before.minima + MINIMUM_RISE_DB, heard_db), **held
        )
        return after, (levels, _over_root(after.magnitudes * _level(after)[:, None]))

    def _moved(
        self, state: DeepFilterState, heard_db: jax.Array, is_silent: jax.Array
    ) -> DeepFilterState:
        """Running means at the level of the frame: its first, one far above them, or a step down.

        heard_db: levels of bands [B, E]. is_silent: [B].
        """
        rise = self._quantile(heard_db - state.levels, 0.5)
        first = ~state.is_started & ~is_silent
        state = _louder(
            state, jnp.where(first, rise - FIRST_RISE_DB, jnp.maximum(rise - MOST_RISE_DB, 0))
        )
        state = state._replace(
            minima=jnp.where(first[:, None], heard_db, state.minima),
            heard=jnp.where(first[:, None, None], heard_db[:, None], state.heard),
        )
        above = self._quantile(heard_db - state.minima, LOW_QUANTILE)
        goes_on = state.is_started & ~is_silent
        steps = goes_on & (above < STEP_DB)
        falls, fall_db = self._fall(state, heard_db)
        falls &= goes_on
        usual = state.above + np.float32(1 - self.decay) * (above - state.above)
        moved = _louder(state, jnp.where(falls, fall_db, jnp.where(steps, above - state.above, 0)))
        return moved._replace(
            above=jnp.where(goes_on & ~steps & ~falls, usual, state.above),
            heard=jnp.concatenate([moved.heard[:, 1:], heard_db[:, None]], 1),
            fell=jnp.where(falls, fall_db, 0),
            is_started=state.is_started | first,
        )

    def _fall(self, state: DeepFilterState, heard_db: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Whether the level falls, [B], and by how much more than was seen in the last frame."""
        if not self.fall_db:
            return jnp.zeros_like(state.is_started), jnp.zeros_like(state.fell)
        by_db = heard_db - state.heard[:, 0]
        # A step inside of a frame is seen in part, then whole.
        falls = self._quantile(by_db, HIGH_QUANTILE) + state.fell < -self.fall_db
        return falls, self._quantile(by_db, 0.5)

    def _quantile(self, x: jax.Array, share: float) -> jax.Array:
        """Of bands [B, E] that hold bins: [B]."""
        return jnp.quantile(x[..., np.asarray(self.widths) > 0], share, axis=-1)


def _rounded(step: Callable) -> Callable:
    """A step in float64 of a state that is remembered in float32."""

    def rounded(state: DeepFilterState, frame: tuple[jax.Array, jax.Array]):
        after, features = step(_floats(state, jnp.float64), frame)
        return _floats(after, jnp.float32), features

    return rounded


def _floats(state: DeepFilterState, kind: Any) -> DeepFilterState:
    return DeepFilterState(*(x if x.dtype == bool else x.astype(kind) for x in state))


def _louder(state: DeepFilterState, by_db: jax.Array) -> DeepFilterState:
    """What would be remembered had everything been louder by so much, [B]."""
    by = by_db[:, None]
    return state._replace(
        levels=state.levels + by,
        minima=state.minima + by,
        heard=state.heard + by[:, None],
        magnitudes=state.magnitudes * 10 ** (by / 20),
        overall=state.overall * 10 ** (by_db / 20),
    )


def _level(state: DeepFilterState) -> jax.Array:
    """Of all that was heard lately, over that of speech at -25 dBFS: [B]."""
    return state.overall / USUAL_MAGNITUDE


def _per_stream(flags: jax.Array, like: jax.Array) -> jax.Array:
    return flags.reshape(-1, *(1,) * (like.ndim - 1))


def _over_root(means: jax.Array) -> jax.Array:
    """What spectra are multiplied by; finite after minutes of digital silence."""
    return jax.lax.rsqrt(jnp.maximum(means, SMALLEST))


def _erb(hz: float) -> float:
    """The ERB rate scale of libDF."""
    return 9.265 * np.log1p(hz / (24.7 * 9.265))


@functools.cache
def _widths(bands: int, least_bins: int, to_hz: float, bin_hz: float, bins: int) -> tuple[int, ...]:
    """Bins of each band.

    Equal steps on the ERB scale. A band that would be narrower than `least_bins` takes bins of the
    ones after it; the last one has the bin at `to_hz`.
    """
    steps = np.arange(1, bands + 1) * _erb(to_hz) / bands
    edges = np.round(24.7 * 9.265 * np.expm1(steps / 9.265) / bin_hz).astype(int)
    widths, before, owed = [], 0, 0
    for edge in edges:
        width = edge - before - owed
        owed = max(least_bins - width, 0)
        widths.append(int(max(width, least_bins)))
        before = int(edge)
    widths[-1] += 1
    ends = np.minimum(np.cumsum(widths), bins)
    if ends[-1] < bins:
        raise BadInput(
            f"frontend: {bands} bands up to {to_hz} Hz end below half the sample rate; allowed: "
            "bands_to_hz of at least that"
        )
    return tuple(int(n) for n in np.diff(ends, prepend=0))
