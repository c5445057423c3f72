"""A second look: where a small detector rings, a larger one hears the same sound again.

A device runs the small one all the time and the larger one now and then; what both hear is one
stream of answers, so that thresholds are found for it as for a single detector.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.stream import Stream

QUIET = -50.0
"""Logit of a word while the second does not look."""
HOLD_MS = 320.0
"""How long it looks after the first rang."""
Opens = Callable[[], contextlib.AbstractContextManager[Stream]]


@dataclasses.dataclass
class Looks:
    """How often the second looked, in blocks."""

    looked: int = 0
    blocks: int = 0

    @property
    def share(self) -> float:
        """Of the time."""
        return self.looked / max(1, self.blocks)


class SecondLook(Stream):
    """Two streams as one: the second's answers where the first rings and `HOLD_MS` longer."""

    def __init__(
        self,
        streams: tuple[Stream, Stream],
        task: Keywords,
        thresholds: Mapping[str, float],
        looks: Looks,
    ):
        """`thresholds`: posteriors of the first, by word, at which the second looks."""
        self._first, self._second = streams
        self.block_ms, self.delay_ms = self._first.block_ms, self._first.delay_ms
        self._task, self._looks = task, looks
        self._places = [task.words[word] for word in task.keywords]
        self._thresholds = np.asarray([thresholds[word] for word in task.keywords])
        self._hold_blocks = max(1, round(HOLD_MS / self.block_ms))
        self._since_blocks = self._hold_blocks

    def blocks_in(self, samples: int) -> int:
        """Blocks that are answered after so many samples."""
        return self._first.blocks_in(samples)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Real answers [n, C] to the blocks that int16 samples [N] complete."""
        first, second = self._first.push(samples), self._second.push(samples)
        rings = self._task.posteriors(first)[:, self._places] >= self._thresholds
        looks = np.zeros(len(first), bool)
        for block in range(len(first)):
            self._since_blocks = 0 if rings[block].any() else self._since_blocks + 1
            looks[block] = self._since_blocks < self._hold_blocks
        self._looks.looked += int(looks.sum())
        self._looks.blocks += len(looks)
        quiet = np.zeros(second.shape[1])
        quiet[self._places] = QUIET
        return np.where(looks[:, None], second, quiet)


def second_look(
    first: Opens, second: Opens, task: Keywords, thresholds: Mapping[str, float], looks: Looks
) -> Opens:
    """Opens both. `thresholds`: as of `SecondLook`."""

    @contextlib.contextmanager
    def opens() -> Iterator[Stream]:
        with first() as one, second() as other:
            yield SecondLook((one, other), task, thresholds, looks)

    return opens


def require_pair(task: Keywords, setup: Setup, other: Keywords, others: Setup) -> None:
    """Raises BadInput where answers of two runs do not stand for the same words and times."""
    if type(task) is not type(other) or task.classes != other.classes:
        raise BadInput(
            f"--second: it listens for {', '.join(other.keywords)}; allowed: a run of the same "
            f"kind for {', '.join(task.keywords)}"
        )

    def times(of: Setup) -> tuple[int, float, int, int]:
        frontend = of.frontend
        more_samples = frontend.window_samples - frontend.hop_samples
        return frontend.sample_rate_hz, of.block_ms, of.block_frames > 0, more_samples

    if times(setup) != times(others):
        raise BadInput(
            f"--second: its blocks are of {others.block_ms:g} ms, or known at other times; "
            f"allowed: blocks of {setup.block_ms:g} ms behind a front end with the same window"
        )
