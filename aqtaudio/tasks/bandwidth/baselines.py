"""Answers without a network, that one has to be better than: folding, a predicted envelope."""

import dataclasses

import numpy as np

WINDOW_MS = 32
LOW_BANDS, HIGH_BANDS = 16, 8
RIDGE = 1e-3
FLOOR = 1e-10


@dataclasses.dataclass(frozen=True)
class Baselines:
    """Answers whose few numbers were fitted to pairs of narrow and wide clips.

    Attributes:
      sample_rate_hz: of the clips.
      gain: of the mirrored band.
      weights: [LOW_BANDS + 1, HIGH_BANDS], of the logarithms of energies of the lower band, and 1.
    """

    sample_rate_hz: int
    gain: float
    weights: np.ndarray

    @classmethod
    def fitted(cls, narrow: np.ndarray, wide: np.ndarray, sample_rate_hz: int) -> "Baselines":
        """To clips [n, N], float of full scale 1."""
        size = WINDOW_MS * sample_rate_hz // 1000
        low, high, mirrored = [], [], []
        for heard, whole in zip(narrow, wide, strict=True):
            spectrum = _spectra(heard, size)
            low.append(_inputs(spectrum))
            mirrored.append(_band_levels(spectrum[:, ::-1], HIGH_BANDS, upper=True))
            high.append(_band_levels(_spectra(whole, size), HIGH_BANDS, upper=True))
        inputs, wanted = np.concatenate(low), np.concatenate(high)
        ridge = RIDGE * len(inputs) * np.eye(inputs.shape[1])
        weights = np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ wanted)
        gain = np.exp(np.mean(wanted - np.concatenate(mirrored)) / 2)
        return cls(sample_rate_hz, float(gain), weights)

    def folded(self, narrow: np.ndarray) -> np.ndarray:
        """The lower band mirrored into the upper one, at one gain: clips [n, N]."""
        return narrow + self.gain * _mirrored(narrow)

    def predicted(self, narrow: np.ndarray) -> np.ndarray:
        """The mirrored band with the levels that the lower band predicts, frame by frame."""
        return np.stack([self._predicted(clip) for clip in narrow])

    def _predicted(self, clip: np.ndarray) -> np.ndarray:
        size = WINDOW_MS * self.sample_rate_hz // 1000
        padded = np.pad(clip, (size, 2 * size))
        spectrum, upper = _spectra(padded, size), _spectra(_mirrored(padded), size)
        wanted = _inputs(spectrum) @ self.weights
        apart = np.clip(wanted - _band_levels(upper, HIGH_BANDS, upper=True), -20, 20)
        half = spectrum.shape[1] // 2
        gains = np.zeros(upper.shape)
        edges = np.linspace(half, spectrum.shape[1], HIGH_BANDS + 1).astype(int)
        for band, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            gains[:, first:last] = np.exp(apart[:, band : band + 1] / 2)
        made = _waves(upper * gains, size, len(padded))
        return clip + made[size : size + len(clip)]


def _mirrored(samples: np.ndarray) -> np.ndarray:
    """Samples [..., N] with their spectrum mirrored at half of the band."""
    return samples * (-1.0) ** np.arange(samples.shape[-1])


def _spectra(samples: np.ndarray, size: int) -> np.ndarray:
    """[T, bins] of half-overlapping windows whose squares add up to one."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2]
    return np.fft.rfft(frames * _window(size))


def _waves(spectra: np.ndarray, size: int, samples: int) -> np.ndarray:
    frames, hop = np.fft.irfft(spectra, size) * _window(size), size // 2
    out = np.zeros(samples)
    for number, frame in enumerate(frames):
        out[number * hop : number * hop + size] += frame
    return out


def _window(size: int) -> np.ndarray:
    return np.sin(np.pi * (np.arange(size) + 0.5) / size)


def _inputs(spectra: np.ndarray) -> np.ndarray:
    levels = _band_levels(spectra, LOW_BANDS, upper=False)
    return np.concatenate([levels, np.ones((len(levels), 1))], 1)


def _band_levels(spectra: np.ndarray, bands: int, upper: bool) -> np.ndarray:
    """Logarithms of mean powers [T, bands] of equal bands of a half of the spectrum."""
    half = spectra.shape[1] // 2
    start, end = (half, spectra.shape[1]) if upper else (0, half)
    edges = np.linspace(start, end, bands + 1).astype(int)
    power = np.square(np.abs(spectra))
    pairs = zip(edges[:-1], edges[1:], strict=True)
    return np.log(np.stack([power[:, a:b].mean(1) for a, b in pairs], 1) + FLOOR)
