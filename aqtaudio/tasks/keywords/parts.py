"""Figures of a list in its parts: keywords, other words that training heard, and such that it never
heard.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aqtaudio.data.labels import SILENCE, UNKNOWN
from aqtaudio.detection.intervals import wilson_interval
from aqtaudio.tasks.task import Headlines

OPEN, UNHEARD, HEARD = "accuracy_open", "accuracy_unheard", "accuracy_heard"
KEYWORDS = "accuracy_keywords"
HEADLINES = Headlines(
    (OPEN, UNHEARD),
    titles={
        OPEN: "accuracy, mean of the classes (unknown: words that training never heard)",
        UNHEARD: "accuracy on words that training never heard",
        HEARD: "accuracy on other words that training heard",
        KEYWORDS: "accuracy on keywords",
    },
)

TOLD = {KEYWORDS: "keywords", HEARD: "other words", UNHEARD: "words never heard"}
"""In a table."""


def parts(
    right: np.ndarray, classes: np.ndarray, names: Sequence[str], words: np.ndarray
) -> dict[str, Any]:
    """Accuracy on the parts that a list has, with Wilson's intervals.

    "accuracy_open" is the mean of the classes' accuracies; that of "unknown" is of the words that
    training never heard.

    Args:
      right: bool [n], of each clip.
      classes: numbers [n].
      names: of the classes.
      words: [n]: of each clip the word, if training never heard it, else "".

    Returns:
      Shares by name, and "details": "intervals", "counts" [right, of] of each part and "unheard",
      the same of each word. Nothing of a part without clips.
    """
    unknown, unheard = classes == names.index(UNKNOWN), words != ""
    members = {
        KEYWORDS: ~unknown & (classes != names.index(SILENCE)),
        HEARD: unknown & ~unheard,
        UNHEARD: unheard,
    }
    counts = {name: _count(right, mine) for name, mine in members.items() if mine.any()}
    found: dict[str, Any] = {name: count / n for name, (count, n) in counts.items()}
    if UNHEARD in found:
        others = [number for number in np.unique(classes) if names[number] != UNKNOWN]
        each = [np.mean(right[classes == number]) for number in others]
        found[OPEN] = float(np.mean([*each, found[UNHEARD]]))
    known = sorted(set(words[unheard].tolist()))
    details = {
        "intervals": {name: wilson_interval(*count) for name, count in counts.items()},
        "counts": {name: list(count) for name, count in counts.items()},
        "unheard": {word: list(_count(right, words == word)) for word in known},
    }
    return found | {"details": details}


def wrong(found: dict[str, Any]) -> float:
    """What training is stopped by: one minus the mean of the figures that studies rank by."""
    return 1.0 - float(np.mean([found[name] for name in HEADLINES.fronts]))


def lines(scores: Mapping[str, Any]) -> list[str]:
    """The parts, for people."""
    details, shown = scores["details"], []
    if OPEN in scores:
        shown.append(f"{HEADLINES.titles[OPEN]}: {scores[OPEN]:.4f}")
    for name, (low, high) in details["intervals"].items():
        of = f"{low:.3f} to {high:.3f}, {details['counts'][name][1]} clips"
        shown.append(f"{HEADLINES.titles[name]}: {scores[name]:.4f} ({of})")
    if details["unheard"]:
        each = (f"{word} {right} of {n}" for word, (right, n) in details["unheard"].items())
        shown.append(f"never heard: {', '.join(each)}")
    return shown


def _count(right: np.ndarray, mine: np.ndarray) -> tuple[int, int]:
    return int(np.sum(right[mine])), int(np.sum(mine))
