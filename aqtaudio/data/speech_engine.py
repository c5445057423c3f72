"""What speaks: the interface of `espeak_engine`, `kokoro` and `piper`."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from aqtaudio.data.spoken_texts import SpokenText


@dataclasses.dataclass(frozen=True)
class Manner:
    """How something is said.

    Attributes:
      voice: of the engine; kokoro's may be a sum, 0.6*af_heart+0.4*am_adam.
      language: of espeak-ng: whose accent reads the text.
      speed: 1 is the voice's own, 2 twice as fast.
      pitch: 1 is the voice's own, 1.1 a tenth higher.
      seed: of the voice's random parts, where it has any.
    """

    voice: str
    language: str = "en-us"
    speed: float = 1.0
    pitch: float = 1.0
    seed: int = 0


class Engine(Protocol):
    """A synthesizer. What it says depends on its files and on the call alone."""

    @property
    def name(self) -> str:
        """Of the engine, before the voice's name in a manifest."""
        ...

    @property
    def voices(self) -> tuple[str, ...]:
        """Its single voices, each another person; of the corpus's language."""
        ...

    @property
    def foreign(self) -> tuple[str, ...]:
        """Further voices, of which only a pinch is mixed in."""
        ...

    @property
    def most_speakers(self) -> int:
        """How many different speakers it can be."""
        ...

    def identity(self) -> dict[str, str]:
        """What of its files and settings changes what it says."""
        ...

    def prepared(self, texts: Sequence[SpokenText], language: str) -> list[str]:
        """The texts as `say` takes them; raises BadInput for one that it cannot say."""
        ...

    def compose(
        self, own: Sequence[str], foreign: Sequence[str], turn: int, rng: np.random.Generator
    ) -> str:
        """The voice of a split's speaker number `turn`, made of single voices of that split."""
        ...

    def say(self, prepared: str, manner: Manner) -> tuple[np.ndarray, float]:
        """Speech as float32 [N], and the rate in hertz at which it is to be played."""
        ...


def split_of(number: int) -> str:
    """1 of 8 test, 1 of 6 val, and from three on each split has somebody."""
    return "test" if number % 8 == 1 else "val" if number % 6 == 2 else "train"
