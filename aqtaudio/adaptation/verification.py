"""Verification of keywords: whether a stretch of speech says a text, by what filters answer.

As LibriPhrase makes them (Shin et al., "Learning Audio-Text Agreement for Open-vocabulary Keyword
Spotting", arXiv:2206.15400): phrases of one to four words of sentences; each with its own text,
with the text of any other phrase (easy) and with that of the phrase that sounds most alike (hard).
Sentences are heard whole, as a device hears them; only answers from the phrase's beginning to a
little after its end count.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.adaptation.text_encoder import LEAST_PHONES, TextEncoder
from aqtaudio.data import phones
from aqtaudio.data.phones import INVENTORY, Phones
from aqtaudio.errors import BadInput
from aqtaudio.program.compiler import compiled
from aqtaudio.tasks.task import Network
from aqtaudio.tasks.text_keywords import ctc, queries
from aqtaudio.tasks.text_keywords.contrast import LATE_FRAMES
from aqtaudio.tasks.text_keywords.filters import answers

PER_CLIP = 12
"""Phrases of a clip of training's length."""
SCORES = FILTER, CTC, SUM = "filter", "ctc", "sum"
KINDS = "easy", "hard"
PHRASES = 1500
"""At most, drawn of all: each is compared with each."""
ALIKE_PHONES = 3
"""A text that sounds alike has at most so many phones more or fewer, if there is one."""
FAR = 1000 * phones.UNIT
"""A distance that no two texts have."""
AT_ONCE = 64
"""Filters that are applied together."""


@dataclasses.dataclass(frozen=True)
class Spoken:
    """A phrase in a clip.

    Attributes:
      clip: number.
      first, last: frames, the last one after the phrase.
      classes: its phones' class numbers.
    """

    clip: int
    first: int
    last: int
    classes: tuple[int, ...]

    @property
    def phones(self) -> Phones:
        """Its phones."""
        return tuple(INVENTORY[number - 1] for number in self.classes)


def verification(
    encoder: TextEncoder, network: Network, data: Any, items: Sequence[Any], seed: int = 0
) -> dict[str, Any]:
    """Equal error rates and areas under the curve, by score and kind of pair; and how many.

    Args:
      encoder: makes filters.
      network: of the run, behind its front end.
      data: of the run's task.
      items: clips.
      seed: of the phrases that are drawn.
    """
    _, features, labels, counts = data.evaluation_arrays(items)
    values = network.whole(features, at_once=16)
    values = values.reshape(len(features), -1, values.shape[-1])
    logs = np.asarray(jax.nn.log_softmax(jnp.asarray(values[..., : ctc.CLASSES])))
    found = spoken(logs, labels, counts, data.clips("val", items), seed)
    texts = sorted({one.classes for one in found})
    ids = {classes: number for number, classes in enumerate(texts)}
    own = np.asarray([ids[one.classes] for one in found])
    others = drawn(found, texts, np.random.default_rng(seed))
    filtered = _filtered(encoder, values, texts, found)
    listened = _listened(logs, texts, found)
    scores = {FILTER: filtered, CTC: listened, SUM: _alike(filtered) + _alike(listened)}
    rows = np.arange(len(found))
    return {
        "pairs": len(found),
        "texts": len(texts),
        **{
            f"{score}_{kind}": dict(
                zip(("eer", "auc"), rates(table[rows, own], table[rows, others[kind]]), strict=True)
            )
            for score, table in scores.items()
            for kind in KINDS
        },
    }


def spoken(
    logs: np.ndarray, labels: np.ndarray, counts: np.ndarray, clips: Sequence[Any], seed: int
) -> list[Spoken]:
    """Phrases of clips, where the alignment has them."""
    frames = np.asarray(compiled(ctc.aligned)(logs, labels, counts))
    rng, found = np.random.default_rng(seed), []
    for number, clip in enumerate(clips):
        for first, end in sorted(set(queries.spans(clip, PER_CLIP, rng))):
            if end - first < LEAST_PHONES:
                continue  # a recording of a short word
            at = frames[number]
            said = tuple(int(x) for x in clip.labels[first:end])
            found.append(Spoken(number, int(at[first]), int(at[end - 1]) + LATE_FRAMES, said))
    kept = np.sort(rng.permutation(len(found))[:PHRASES])
    return [found[number] for number in kept]


def rates(positives: np.ndarray, negatives: np.ndarray) -> tuple[float, float]:
    """Equal error rate and area under the curve of scores."""
    every = np.sort(np.concatenate([positives, negatives]))
    missed = np.searchsorted(np.sort(positives), every, "left") / len(positives)
    rang = 1 - np.searchsorted(np.sort(negatives), every, "left") / len(negatives)
    at = int(np.argmin(np.abs(missed - rang)))
    below = [np.searchsorted(np.sort(negatives), positives, side) for side in ("left", "right")]
    return float((missed[at] + rang[at]) / 2), float(np.mean(below) / len(negatives))


def drawn(
    found: Sequence[Spoken], texts: Sequence[tuple[int, ...]], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Of each phrase the number of a text that it does not say, by kind of pair.

    Raises:
      BadInput: there are no phrases, or all texts are in one.
    """
    if not found or not all(any(not _is_in(one, text) for text in texts) for one in found):
        raise BadInput(
            f"{len(found)} phrases of {len(texts)} texts were found in the recordings; pairs need "
            "for each phrase a text that is no part of it: give more recordings"
        )
    return {
        "easy": np.asarray([_other(one, texts, rng) for one in found]),
        "hard": np.asarray([_nearest(one, texts) for one in found]),
    }


def _filtered(
    encoder: TextEncoder,
    values: np.ndarray,
    texts: Sequence[tuple[int, ...]],
    found: Sequence[Spoken],
) -> np.ndarray:
    """Scores of filters [phrases, texts], normalised per text."""
    said = [tuple(INVENTORY[number - 1] for number in classes) for classes in texts]
    shape = encoder.task.filters
    run = compiled(lambda x, made: answers(x, made, shape))
    table = np.zeros((len(found), len(texts)))
    for first in range(0, len(texts), AT_ONCE):
        some = said[first : first + AT_ONCE]
        made = encoder.filters([*some, *([said[0]] * (AT_ONCE - len(some)))])
        for clip in range(len(values)):
            rows = [row for row, one in enumerate(found) if one.clip == clip]
            if rows:
                heard = np.asarray(run(values[clip : clip + 1], made))[0, : len(some)]
                for row in rows:
                    part = heard[:, found[row].first : found[row].last + 1]
                    table[row, first : first + len(some)] = part.max(1)
    return _normalised(table)


def _listened(
    logs: np.ndarray, texts: Sequence[tuple[int, ...]], found: Sequence[Spoken]
) -> np.ndarray:
    """CTC scores [phrases, texts], normalised per text."""
    parts = [logs[one.clip, max(0, one.first - 2) : one.last + 1] for one in found]
    # All of one length, so that phrases of as many phones are one program; behind the end nothing.
    total = max(map(len, parts))
    heard = np.stack([np.pad(part, ((0, total - len(part)), (0, 0))) for part in parts])
    ends = np.arange(total) < np.asarray([len(part) for part in parts])[:, None]

    def best(heard: jax.Array, labels: jax.Array) -> jax.Array:
        return jnp.max(jnp.where(ends, ctc.path_scores(heard, labels), -jnp.inf), 1)

    run = compiled(best)
    columns = [np.asarray(run(heard, jnp.asarray(classes))) for classes in texts]
    return _normalised(np.stack(columns, 1) / [len(classes) for classes in texts])


def _normalised(table: np.ndarray) -> np.ndarray:
    """In deviations of each text's scores, over their median: most are of other phrases."""
    return (table - np.median(table, 0)) / np.maximum(np.std(table, 0), 1e-6)


def _alike(table: np.ndarray) -> np.ndarray:
    return table / np.std(table)


def _other(one: Spoken, texts: Sequence[tuple[int, ...]], rng: np.random.Generator) -> int:
    while True:
        number = int(rng.integers(len(texts)))
        if not _is_in(one, texts[number]):
            return number


def _nearest(one: Spoken, texts: Sequence[tuple[int, ...]]) -> int:
    """The text that sounds most alike, and is no part of it."""

    def distance(classes: tuple[int, ...]) -> int:
        if _is_in(one, classes):
            return 2 * FAR
        if abs(len(classes) - len(one.classes)) > ALIKE_PHONES:
            return FAR
        return phones.distance(one.phones, tuple(INVENTORY[number - 1] for number in classes))

    return int(np.argmin([distance(classes) for classes in texts]))


def _is_in(one: Spoken, classes: tuple[int, ...]) -> bool:
    return queries.contains(np.asarray(one.classes), np.asarray(classes)) > 0
