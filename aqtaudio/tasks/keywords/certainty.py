"""How sure accuracies of clips are."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aqtaudio.detection.intervals import wilson_interval


def of_accuracies(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Of scores with a confusion matrix: {"clips": by class, "intervals": Wilson's, of 95 %}.

    "intervals" has the keys of the accuracies: "accuracy", "accuracy_without_silence" where it is
    known, "per_class". Empty where the scores have no confusion matrix.
    """
    if "confusion" not in scores:
        return {}
    names, counts = scores["confusion"]["classes"], np.asarray(scores["confusion"]["counts"])
    total, right = counts.sum(1), np.diag(counts)

    def interval(places: list[int]) -> list[float]:
        return list(wilson_interval(int(right[places].sum()), int(total[places].sum())))

    every = range(len(names))
    spoken = [place for place in every if names[place] != "silence"]
    intervals: dict[str, Any] = {"accuracy": interval(list(every))}
    if total[spoken].any():
        intervals["accuracy_without_silence"] = interval(spoken)
    intervals["per_class"] = {names[place]: interval([place]) for place in every if total[place]}
    return {
        "clips": {name: int(count) for name, count in zip(names, total, strict=True)},
        "intervals": intervals,
    }


def in_words(scores: Mapping[str, Any]) -> list[str]:
    """Lines that tell accuracies, over all and per class."""
    known = of_accuracies(scores)
    clips, intervals = known.get("clips", {}), known.get("intervals", {})
    by_class = intervals.get("per_class", {})
    lines = [f"accuracy {scores['accuracy']:.4f}{_between(intervals.get('accuracy'))}"]
    for name, share in scores["per_class"].items():
        of = f" of {clips[name]:,} clips" if name in clips else ""
        lines.append(f"{name:>10} {share:.4f}{_between(by_class.get(name))}{of}")
    return lines


def _between(interval: list[float] | None) -> str:
    return f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else ""
