"""espeak-ng as an engine: formant synthesis in many languages and variants, quick and plain."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from aqtaudio.data import espeak, pronunciation
from aqtaudio.data.espeak import Utterance
from aqtaudio.data.speech_engine import Manner
from aqtaudio.data.spoken_texts import SpokenText
from aqtaudio.errors import BadInput

WORDS_PER_MINUTE = 155
RATE_HZ = 22050  # espeak-ng's own


@dataclasses.dataclass(frozen=True)
class Espeak:
    """Speaks through `espeak.speak`, each utterance in a fresh process.

    Attributes:
      voices: variants of espeak-ng's voice.
    """

    voices: tuple[str, ...] = espeak.VARIANTS
    name = "espeak"
    foreign = ()

    def __post_init__(self) -> None:
        unknown = sorted(set(self.voices) - set(espeak.VARIANTS))
        if unknown or not self.voices:
            raise BadInput(
                f"voice {unknown[0] if unknown else ''!r}; allowed: {', '.join(espeak.VARIANTS)}"
            )

    @property
    def most_speakers(self) -> int:
        """As many as variants."""
        return len(self.voices)

    def identity(self) -> dict[str, str]:
        """The variants; espeak-ng is the one that is pinned."""
        return {"engine": self.name, "voices": " ".join(self.voices)}

    def prepared(self, texts: Sequence[SpokenText], language: str) -> list[str]:
        """The texts, those with phones as mnemonics."""
        said = espeak.phones([each.text for each in texts], language)
        for each, found in zip(texts, said, strict=True):
            if not found and not each.phones:
                raise BadInput(f"text {each.text!r}: espeak-ng says nothing in {language}")
        return [
            pronunciation.mnemonics(each.phones) if each.phones else each.text for each in texts
        ]

    def compose(
        self, own: Sequence[str], foreign: Sequence[str], turn: int, rng: np.random.Generator
    ) -> str:
        """The variants in turns."""
        return own[turn % len(own)]

    def say(self, prepared: str, manner: Manner) -> tuple[np.ndarray, float]:
        """float32 [N] at `RATE_HZ`."""
        utterance = Utterance(
            text=prepared,
            language=manner.language,
            variant=manner.voice,
            words_per_minute=round(min(max(WORDS_PER_MINUTE * manner.speed, 80), 450)),
            pitch=round(min(max(50 + 150 * (manner.pitch - 1), 0), 100)),
            seed=manner.seed,
        )
        (samples,) = espeak.speak([utterance], RATE_HZ)
        return samples, RATE_HZ
