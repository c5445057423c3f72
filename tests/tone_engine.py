"""A synthesizer for tests: voices are tones, speech lasts as long as its text and its speed say."""

from collections.abc import Sequence

import numpy as np

from aqtaudio.data.speech_engine import Manner
from aqtaudio.data.spoken_texts import SpokenText

RATE_HZ = 24000
SILENCE_S = 0.3
SECONDS_PER_LETTER = 0.1


class Tones:
    """Says tones; may end its process, or be interrupted, after so many of them."""

    name = "tones"
    most_speakers = 1000

    def __init__(self, voices: int = 24, foreign: int = 24, ends_after: int = -1, end=None):
        self.voices = tuple(f"v{number}" for number in range(voices))
        self.foreign = tuple(f"f{number}" for number in range(foreign))
        self.said, self._ends_after, self._end = 0, ends_after, end

    def identity(self) -> dict[str, str]:
        return {"engine": self.name, "voices": " ".join(self.voices)}

    def prepared(self, texts: Sequence[SpokenText], language: str) -> list[str]:
        return [each.phones or each.text for each in texts]

    def compose(self, own, foreign, turn, rng) -> str:
        parts = [own[turn % len(own)], str(rng.choice(own))]
        return "+".join([*parts, str(rng.choice(foreign))] if foreign else parts)

    def say(self, prepared: str, manner: Manner) -> tuple[np.ndarray, float]:
        if self.said == self._ends_after:
            self._end()
        self.said += 1
        if prepared == "mute":
            return np.zeros(1000, np.float32), RATE_HZ
        speed = manner.speed / manner.pitch
        seconds = np.arange(int(len(prepared) * SECONDS_PER_LETTER / speed * RATE_HZ)) / RATE_HZ
        tone_hz = 200 + 40 * len(manner.voice)
        rng = np.random.default_rng(manner.seed)
        tone = 0.3 * np.sin(2 * np.pi * tone_hz * seconds + rng.uniform(0, 6))
        silence = np.zeros(int(SILENCE_S * RATE_HZ))
        return np.float32(np.concatenate([silence, tone, silence])), RATE_HZ * manner.pitch
