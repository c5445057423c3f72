"""Features that a device computed and dumped, where no code for its front end exists.

The "audio" of this front end is the dumped integers themselves, frame after frame, so everything
that works on clips works on dumps. docs/device_features.md has the files.
"""

import dataclasses
from typing import ClassVar

import jax

from aqtaudio.errors import BadInput
from aqtaudio.frontends.frontend import Frontend, State, int16_samples, normalised


@dataclasses.dataclass(frozen=True)
class DeviceFeatures(Frontend):
    """A device's integers, float32 [B, T * bands] / 32768, to features float32 [B, T, bands].

    Raises BadInput for settings that make no sense; there are no defaults that do.

    Attributes:
        sample_rate_hz: integers per second, which follows; it must be whole.
        window_ms: what the device's frames cover: how many frames a clip has depends on it.
        hop_ms: from one frame to the next.
        bands: integers per frame.
        mean: subtracted from the integers, rounded; one value per band, the last one repeated.
        scale: what they are then divided by.
    """

    sample_rate_hz: int = dataclasses.field(init=False, default=0)
    window_ms: float = 30.0
    hop_ms: float = 20.0
    bands: int = 0
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    takes_audio: ClassVar[bool] = False

    def __post_init__(self):
        for name in ("mean", "scale"):  # lists, as read from JSON, would not hash
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check(self)
        object.__setattr__(self, "sample_rate_hz", round(1000 * self.bands / self.hop_ms))

    @property
    def features(self) -> int:
        """Features per frame, F."""
        return self.bands

    @property
    def window_samples(self) -> int:
        """Integers per frame."""
        return self.bands

    @property
    def hop_samples(self) -> int:
        """Integers per frame: frames do not overlap."""
        return self.bands

    def clip_samples(self, clip_ms: int) -> int:
        """Returns the integers of the frames whose windows lie in a clip."""
        frames = 1 + (clip_ms - self.window_ms) / self.hop_ms
        return max(0, int(frames + 1e-6)) * self.bands

    def push(self, audio: jax.Array, state: State) -> tuple[jax.Array, State]:
        """Returns normalised features [B, T, bands]; nothing is remembered."""
        clips, samples = audio.shape
        frames = self.frames(samples)
        steps = int16_samples(audio[:, : frames * self.bands]).reshape(clips, frames, self.bands)
        return normalised(steps, self.mean, self.scale), state


def _check(settings: DeviceFeatures) -> None:
    """Raises BadInput, naming the setting and what is allowed."""
    s = settings
    rules = (
        (s.bands > 0, f"bands {s.bands} must be positive"),
        (s.hop_ms > 0, f"hop_ms {s.hop_ms} must be positive"),
        (s.window_ms > 0, f"window_ms {s.window_ms} must be positive"),
        (1 <= len(s.mean) <= s.bands, f"mean has {len(s.mean)} values: 1 to {s.bands}"),
        (
            1 <= len(s.scale) <= s.bands and min(s.scale) > 0,
            f"scale {s.scale}: 1 to {s.bands} values, each positive",
        ),
    )
    for holds, message in rules:
        if not holds:
            raise BadInput(f"front end: {message}")
    rate_hz = 1000 * s.bands / s.hop_ms
    if rate_hz < 1 or abs(rate_hz - round(rate_hz)) > 1e-6 * rate_hz:
        raise BadInput(
            f"front end: {s.bands} bands every {s.hop_ms} ms are {rate_hz:g} integers per second, "
            "which must be a whole number"
        )
