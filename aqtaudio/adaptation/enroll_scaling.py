"""How a keyword's two answers count: by what they are over hours of other sound.

An answer's tail over such hours tells its scale: a logit of 0 is reached about as often as wanted,
one more e times less often. Filter and path are scaled so each, and then their sum.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.adaptation.enroll_program import Answer, Line
from aqtaudio.adaptation.negative_codes import NegativeCodes, in_windows
from aqtaudio.adaptation.text_encoder import TextEncoder
from aqtaudio.data.phones import Phones
from aqtaudio.program.compiler import compiled
from aqtaudio.program.program import Edge
from aqtaudio.tasks.text_keywords import ctc
from aqtaudio.tasks.text_keywords.filter_bank import TOGETHER_FRAMES
from aqtaudio.tasks.text_keywords.filters import Shape, answers

EVENT_FRAMES = 18
"""Answers nearer than this are of one event: 0.7 s."""
TAIL_EVENTS_PER_HOUR = 60.0
"""So many of the loudest events without the phrase are the tail that its scale is found on."""
PRIOR_SHARE = 0.5
"""Of the logarithm of how frequent a class is, what is taken from its logits."""
SPEECH = "speech"


def priors(sound: NegativeCodes, output: Edge) -> np.ndarray:
    """What is taken from the logits of the classes, float32 [P]."""
    codes = [c for kind, c in zip(sound.kinds, sound.codes, strict=True) if kind == SPEECH]
    logits = np.concatenate(codes or sound.codes)[:, : ctc.CLASSES].astype(np.float32)
    likely = jax.nn.softmax(jnp.asarray(logits * np.float32(output.scale)))
    return np.asarray(PRIOR_SHARE * jnp.log(jnp.mean(likely, 0)), np.float32)


@dataclasses.dataclass(frozen=True)
class Hours:
    """Other sound, in which a keyword may ring so often.

    Attributes:
      sound: codes of it.
      encoder: that made them.
      priors: taken from the classes' logits.
      rate: false alarms per hour.
    """

    sound: NegativeCodes
    encoder: TextEncoder
    priors: np.ndarray
    rate: float

    def answer(self, text: str, taps: np.ndarray, phones: Phones) -> Answer:
        """Of a keyword: its filter float32 [taps, C] and its phones, scaled."""
        classes = tuple(int(number) for number in ctc.classes_of(phones))
        found = self._heard(taps, classes)
        both = [self._line(text, [scores[:, which] for scores in found]) for which in range(2)]
        return self._sum(text, taps, classes, found, both)

    def weighed(
        self, text: str, taps: np.ndarray, classes: tuple[int, ...], slopes: np.ndarray
    ) -> Answer:
        """Of a keyword whose filter and path count so much beside each other, [2]."""
        found, both = self._heard(taps, classes), []
        for which, slope in enumerate(slopes):
            alone = self._line(text, [scores[:, which] for scores in found])
            both.append(Line(float(slope), float(slope) * alone.bias / alone.slope))
        return self._sum(text, taps, classes, found, both)

    def _heard(self, taps: np.ndarray, classes: tuple[int, ...]) -> list[np.ndarray]:
        """Answers [N, 2] over each stream."""
        return [
            in_windows(codes, lambda some: self._answers(some, taps, classes))
            for codes in self.sound.codes
        ]

    def _sum(
        self,
        text: str,
        taps: np.ndarray,
        classes: tuple[int, ...],
        found: Sequence[np.ndarray],
        both: Sequence[Line],
    ) -> Answer:
        """Of the sum of both answers, each of which has its line."""
        slopes = np.asarray([line.slope for line in both], np.float32)
        total = [scores @ slopes for scores in found]
        slope, bias = self._line(text, total)
        (of_filter, filter_bias), (of_path, path_bias) = both
        # So that each is near 0 where it is likely; the sum is what `_line` says.
        spare = bias - slope * (filter_bias + path_bias)
        return Answer(
            taps, classes, Line(slope * of_filter, slope * filter_bias),
            Line(slope * of_path, slope * path_bias + spare),
        )  # fmt: skip

    def _answers(self, codes: np.ndarray, taps: np.ndarray, classes: tuple[int, ...]) -> np.ndarray:
        """Of filter and path [n, T, 2], each the largest of the last few frames."""
        shape, scale = self.encoder.task.filters, np.float32(self.encoder.output.scale)
        real = codes.astype(np.float32) * scale
        priors, labels = jnp.asarray(self.priors), jnp.asarray(classes)
        return np.asarray(_both(real, taps, priors, labels, shape=shape))

    def _line(self, text: str, scores: Sequence[np.ndarray]) -> Line:
        """From scores of streams [N] to logits."""
        events = np.sort(np.concatenate(list(self._events(text, scores))))[::-1]
        hours = len(events) * EVENT_FRAMES / self._frames_per_hour
        count = max(2, min(len(events) - 1, round(TAIL_EVENTS_PER_HOUR * hours)))
        level = events[count]
        excess = max(float(np.mean(events[:count] - level)), 1e-3)
        place = level + excess * math.log(count / (self.rate * hours))
        return Line(1 / excess, float(-place / excess))

    def _events(self, text: str, scores: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """The largest of every `EVENT_FRAMES` scores where nobody says the phrase."""
        for stream, those in enumerate(scores):
            ends = self.sound.ends(stream)
            said = self.sound.said(stream, (text,))
            for start, end, holds in zip([0, *ends[:-1]], ends, said, strict=True):
                if not holds and end > start:
                    part = those[start:end]
                    part = np.pad(part, (0, -len(part) % EVENT_FRAMES), constant_values=-np.inf)
                    yield part.reshape(-1, EVENT_FRAMES).max(1)

    @property
    def _frames_per_hour(self) -> float:
        return sum(map(len, self.sound.codes)) / self.sound.hours


def filter_answers(real: jax.Array, taps: jax.Array, shape: Shape) -> jax.Array:
    """Of a filter [taps, C] over vectors [n, T, C]: [n, T], the largest of the last few frames."""
    return _together(answers(real, taps[None], shape)[:, 0])


def path_answers(real: jax.Array, priors: jax.Array, labels: jax.Array) -> jax.Array:
    """Of one path, labels [L], over vectors [n, T, C] without priors [P]: likewise [n, T]."""
    return _together(ctc.path_scores(real[..., : ctc.CLASSES] - priors, labels))


def _both_answers(real, taps, priors, labels, *, shape):
    return jnp.stack([filter_answers(real, taps, shape), path_answers(real, priors, labels)], -1)


def _together(scores: jax.Array) -> jax.Array:
    """The largest of the last `TOGETHER_FRAMES` of each frame [n, T]."""
    frames = scores.shape[1]
    padded = jnp.pad(scores, ((0, 0), (TOGETHER_FRAMES - 1, 0)), constant_values=-1e9)
    return jnp.max(jnp.stack([padded[:, i : i + frames] for i in range(TOGETHER_FRAMES)]), 0)


_both = compiled(_both_answers, static_argnames=("shape",))
