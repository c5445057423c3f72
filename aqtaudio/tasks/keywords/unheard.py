"""Words that training never hears: kept out of it whole, so that validation tells of an open world.

A list of other words that repeats those of training says little of the words that people say.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from aqtaudio.data import crops
from aqtaudio.data.labels import is_word_label
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Unheard:
    """Which labels they are; keywords and what is no isolated word never are.

    Raises BadInput where one that is named cannot be, or for a share that is none.

    Attributes:
      keywords: the words that training is for.
      named: labels.
      share: of all other labels, chosen by a hash of each.
    """

    keywords: tuple[str, ...]
    named: tuple[str, ...] = ()
    share: float = 0.0

    def __post_init__(self):
        for word in self.named:
            if word in self.keywords or not is_word_label(word):
                raise BadInput(f"task.unheard names {word!r}; allowed: words that are no keywords")
        if not 0 <= self.share < 1:
            raise BadInput(f"task.unheard_share is {self.share}; allowed: 0 to below 1")

    def __bool__(self) -> bool:
        """Whether there may be any."""
        return bool(self.named or self.share)

    def holds(self, label: str) -> bool:
        """Whether a label is one of them."""
        if label in self.keywords or not is_word_label(label):
            return False
        return label in self.named or crops.hash_order("unheard", label) < self.share * 2**64

    def kept_out(self, recordings: Iterable[Recording]) -> list[Recording]:
        """The recordings, those of these words moved from split "train" to "val"."""
        return [
            dataclasses.replace(one, split="val")
            if one.split == "train" and self.holds(one.label)
            else one
            for one in recordings
        ]

    def words(self, recordings: Sequence[Recording]) -> list[str]:
        """Of each recording the label if it is one of them, else ""."""
        return [one.label if self.holds(one.label) else "" for one in recordings]
