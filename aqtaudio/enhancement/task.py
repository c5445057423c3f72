"""The enhancement task: what is mixed, what a model's results do to it, what they should."""

import dataclasses
import math

from aqtaudio.enhancement.filtering import Filtering
from aqtaudio.enhancement.loss import SpectralLoss
from aqtaudio.enhancement.mixing import Mixing
from aqtaudio.errors import BadInput
from aqtaudio.settings import added


@dataclasses.dataclass(frozen=True)
class Enhancement:
    """Noise suppression: speech and noise, mixed at random, to speech.

    Attributes:
      clip_ms: of a training clip.
      mixing: how clips are mixed.
      filtering: what results do to the noisy spectrum.
      loss: what the enhanced clip is compared by.
      snr_weight: of the squared error of the local SNR, in dB.
      cleaned_by: published weights (.npz); the training speech goes through their model once, so
        that the noise of its own recording is not learned as a part of the target.
    """

    clip_ms: int = 3000
    mixing: Mixing = Mixing()
    filtering: Filtering = Filtering()
    loss: SpectralLoss = SpectralLoss()
    snr_weight: float = 1e-3
    cleaned_by: str | None = added(None)

    def __post_init__(self):
        if self.clip_ms < 200:
            raise BadInput(f"task.clip_ms is {self.clip_ms}; at least 200 is needed")
        longest = max(self.loss.windows_ms)
        if longest > self.clip_ms / 2:
            raise BadInput(
                f"task.loss.windows_ms has {longest}; allowed: up to half of task.clip_ms, "
                f"{self.clip_ms / 2:g}"
            )
        if not 0 <= self.snr_weight < math.inf:
            raise BadInput(f"task.snr_weight is {self.snr_weight}; allowed: >= 0")
