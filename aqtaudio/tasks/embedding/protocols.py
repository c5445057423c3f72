"""How probes are judged: with few clips of every class, and over the folds of a corpus."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aqtaudio.detection.intervals import wilson_interval
from aqtaudio.errors import BadInput
from aqtaudio.tasks.embedding.metrics import mean_interval
from aqtaudio.tasks.embedding.probe_training import ProbeSettings, fit
from aqtaudio.tasks.embedding.probes import Labelled

SHOTS = (1, 5, 10)


def few_shot(
    train: Labelled,
    validation: Labelled | None,
    test: Labelled,
    classes: Sequence[str],
    settings: ProbeSettings,
    shots: Sequence[int] = SHOTS,
    draws: int = 10,
) -> dict[int, dict[str, Any]]:
    """Accuracy of probes that saw few clips of every class, other ones in each draw.

    With `validation` the strength of L2 is chosen on clips that somebody with so few would not
    have; without, there is one strength.

    Args:
      train: clips to draw from.
      test: clips to score, always all.
      shots: clips of every class.
      draws: how often each; draw k of a number is the same at every call.

    Returns:
      Number of clips -> what `metrics.mean_interval` finds over draws. The interval is about which
      clips are drawn, not about those of `test`.

    Raises:
      BadInput: clips have tags, or a class too few clips.
    """
    if settings.multi_label:
        raise BadInput("few-shot probes of clips with tags; allowed: of one class each")
    if draws < 1 or not shots or min(shots) < 1:
        raise BadInput(f"{draws} draws of {list(shots)} clips a class; allowed: 1 or more")
    clips = [np.flatnonzero(train.labels == place) for place in range(len(classes))]
    fewest = min(range(len(classes)), key=lambda place: len(clips[place]))
    if len(clips[fewest]) < max(shots):
        raise BadInput(
            f"class {classes[fewest]!r} has {len(clips[fewest])} clips to draw {max(shots)} from"
        )

    def drawn(count: int, number: int) -> Labelled:
        rng = np.random.default_rng([settings.seed, count, number])
        return train.at(np.concatenate([rng.choice(c, count, replace=False) for c in clips]))

    return {
        count: mean_interval(
            [
                fit(drawn(count, number), validation, classes, settings).scores(test)["accuracy"]
                for number in range(draws)
            ]
        )
        for count in shots
    }


def over_folds(
    data: Labelled, folds: Sequence[int], classes: Sequence[str], settings: ProbeSettings
) -> dict[str, Any]:
    """Every fold is scored once, by a probe that the next one validated and the others trained.

    Args:
      folds: of every clip, at least three; taken in ascending order, the first after the last.

    Returns:
      What `metrics.mean_interval` finds over folds, in order, of the accuracy (of tags, of
      micro-AUPRC), with "folds"; of classes also "accuracy" of all clips with its "wilson" interval
      and "n".

    Raises:
      BadInput: fewer than three folds.
    """
    numbers = np.asarray(folds)
    names = np.unique(numbers)
    if numbers.shape != (len(data),) or len(names) < 3:
        raise BadInput(f"{len(names)} folds of {len(data)} clips; at least 3 are needed")
    found = []
    for test, validation in zip(names, np.roll(names, -1), strict=True):
        train = data.at((numbers != test) & (numbers != validation))
        probe = fit(train, data.at(numbers == validation), classes, settings)
        found.append(probe.scores(data.at(numbers == test)))
    name = "micro_auprc" if settings.multi_label else "accuracy"
    summary = mean_interval([scores[name] for scores in found]) | {"folds": names.tolist()}
    if settings.multi_label:
        return summary
    n = len(data)
    right = round(sum(scores["accuracy"] * scores["n"] for scores in found))
    return summary | {"accuracy": right / n, "wilson": list(wilson_interval(right, n)), "n": n}
