"""When a device that puts out one word's probability should ring: measured on recordings."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from aqtaudio.detection.detector import DetectorSettings
from aqtaudio.program.execute import Executor
from aqtaudio.tasks.keywords.data import EvaluationItem, KeywordData
from aqtaudio.tasks.keywords.listening import Trial, detect
from aqtaudio.tasks.keywords.negatives import Negative
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.stream import Stream


def word_threshold(
    executor: Executor,
    word: str,
    setup: Setup,
    data: KeywordData,
    items: Sequence[EvaluationItem],
    split: str,
    settings: DetectorSettings,
    rate: float,
    found: Sequence[Negative],
) -> dict[str, Any]:
    """What `detect` finds of the word with a program of its probability alone.

    Other keywords are neither words to be found nor background here. Raises BadInput as `detect`.

    Args:
      executor: of a program that puts out one probability.
      word: which.
      setup: of the run.
      data: of the run's task.
      items: of `split`, to be scored.
      split: of the recordings.
      settings: of the detector; its threshold does not count.
      rate: of false alarms per hour, that half of the recordings choose the threshold for.
      found: recordings without the word.
    """

    @contextlib.contextmanager
    def listening() -> Iterator[Stream]:
        yield Stream(WordNetwork(executor), setup)

    trial = Trial(listening, Keywords((word,)), setup, settings)
    return detect(trial, data, items, found, split, rate)


class WordNetwork:
    """A probability p as logits [n, 3] of word, unknown and silence whose softmax is (p, 1 - p, 0).

    So everything that reads logits reads it.
    """

    def __init__(self, executor: Executor):
        self._executor = executor
        self._state: Any = None

    def whole(self, features: np.ndarray, at_once: int = 128) -> np.ndarray:
        """A stream of blocks hears no whole clips."""
        raise NotImplementedError("a word's probability is there block by block")

    def endless(self, blocks: np.ndarray) -> np.ndarray:
        """Logits of consecutive blocks [n, t, F]."""
        codes = self._executor.quantize(blocks)[None]
        outputs, self._state = self._executor.blocks(codes, self._state)
        share = self._executor.dequantize(outputs[0]).astype(np.float64).reshape(-1)
        with np.errstate(divide="ignore"):
            odds = np.log(share) - np.log1p(-share)
        return np.stack([odds, np.zeros_like(odds), np.full_like(odds, -np.inf)], 1)
