"""What probes say of an embedding: figures of the very vectors that a network computes.

Each probe is trained on the vectors of split "train". How strongly it is held back is chosen on
clips of speakers that the rest has not heard; then it is trained on all of them, and scored on
another split.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aqtaudio.data import crops
from aqtaudio.data.labels import SILENCE, UNKNOWN
from aqtaudio.tasks.embedding.label_probes import LabelProbe
from aqtaudio.tasks.embedding.metrics import retrieval_map
from aqtaudio.tasks.embedding.probe_clips import (
    Embed,
    ProbeClips,
    Recordings,
    scored_clips,
    training_clips,
)
from aqtaudio.tasks.embedding.probe_training import fit
from aqtaudio.tasks.embedding.probes import Labelled, Probe, pooled
from aqtaudio.tasks.embedding.protocols import SHOTS, few_shot

HELD_OUT = 5
"""One of so many speakers chooses the strength of L2."""
FEW_SHOT_STRENGTH = 0.01
"""Who has a clip of each class has nothing to choose by."""
MOST_RANKED = 2000
"""Clips among which retrieval looks."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Of a probe.

    Attributes:
      figures: by name, numbers.
      intervals: of some of them, 95 %.
      details: what else there is to know.
    """

    figures: dict[str, float]
    intervals: dict[str, list[float]]
    details: dict[str, Any]


def trained(probe: LabelProbe, clips: ProbeClips, embed: Embed) -> tuple[Probe, Labelled]:
    """The probe, and what it was trained on."""
    data = labelled(clips, embed)
    settings = probe.settings
    if len(settings.strengths) > 1:
        held = held_out(clips.groups)
        chosen = fit(data.at(~held), data.at(held), clips.classes, settings)
        settings = dataclasses.replace(settings, strengths=(chosen.strength,))
    return fit(data, None, clips.classes, settings), data


def judged(
    probes: Sequence[LabelProbe], judge_one: Callable[[LabelProbe], Judgement]
) -> dict[str, Any]:
    """Figures of all probes by name, and "details" of them; {} without probes."""
    figures: dict[str, Any] = {}
    intervals: dict[str, list[float]] = {}
    details: dict[str, Any] = {}
    for probe in probes:
        found = judge_one(probe)
        figures |= found.figures
        intervals |= found.intervals
        details[probe.name] = found.details | {"figures": list(found.figures)}
    return figures | ({"details": {"intervals": intervals, "probes": details}} if probes else {})


def judge(
    probe: LabelProbe, embed: Embed, data: Recordings, split: str, clip_samples: int
) -> Judgement:
    """Trains the probe on vectors of "train" and scores it on a split."""
    training = training_clips(data, probe, clip_samples)
    scored = scored_clips(data, probe, clip_samples, split)
    found, train = trained(probe, training, embed)
    test = labelled(scored, embed)
    scores = found.scores(test)
    details = {
        "n": len(test),
        "training_clips": len(train),
        "classes": list(found.classes),
        "strength": found.strength,
        "parameters": found.parameters,
    }
    if probe.settings.multi_label:
        per_tag = dict(zip(found.classes, scores["auprc_per_tag"], strict=True))
        figures = {probe.main: scores["micro_auprc"]}
        figures |= {f"{probe.name}_{key}": scores[key] for key in ("macro_auprc", "micro_f1")}
        return Judgement(figures, {}, details | {"auprc_per_tag": per_tag})
    right = found.logits(test.embeddings).argmax(axis=1) == test.labels
    details["per_class"] = {
        name: float(right[test.labels == place].mean())
        for place, name in enumerate(found.classes)
        if (test.labels == place).any()
    }
    figures = {probe.main: scores["accuracy"]}
    figures |= _retrieval(probe, scored, test)
    shots = _few_shot(probe, train, test, found.classes)
    details["few_shot"] = {str(count): value for count, value in shots.items()}
    figures |= {f"{probe.name}_{count}_shot": shots[count]["mean"] for count in shots}
    intervals = {probe.main: scores["interval"]}
    intervals |= {
        f"{probe.name}_{count}_shot": value["interval"]
        for count, value in shots.items()
        if value["interval"]
    }
    return Judgement(figures, intervals, details)


def _retrieval(probe: LabelProbe, clips: ProbeClips, test: Labelled) -> dict[str, float]:
    """Of clips of the probe's own classes, by the cosine of the mean of their vectors."""
    own = [place for place, name in enumerate(clips.classes) if name not in (UNKNOWN, SILENCE)]
    rows = np.flatnonzero(np.isin(test.labels, own))[:MOST_RANKED]
    if not len(rows):
        return {}
    means = pooled(test.embeddings[rows], "mean")
    found = retrieval_map(means, test.labels[rows].tolist(), [clips.groups[row] for row in rows])
    return {} if math.isnan(found["map"]) else {f"{probe.name}_map": found["map"]}


def _few_shot(
    probe: LabelProbe, train: Labelled, test: Labelled, classes: tuple[str, ...]
) -> dict[int, Any]:
    """Of linear probes; of as many clips as every class has."""
    fewest = np.bincount(train.labels, minlength=len(classes)).min()
    shots = [count for count in SHOTS if count <= fewest]
    if not (shots and probe.few_shot_draws):
        return {}
    one = {"hidden": (), "strengths": (FEW_SHOT_STRENGTH,)}
    settings = dataclasses.replace(probe.settings, **one)
    return few_shot(train, None, test, classes, settings, shots, probe.few_shot_draws)


def held_out(groups: tuple[str, ...]) -> np.ndarray:
    """Clips to choose by, bool [n]: those of a fifth of the groups, one at least.

    Where all are of one group, a fifth of the clips.
    """
    names = groups if len(set(groups)) > 1 else tuple(map(str, range(len(groups))))
    order = sorted(set(names), key=lambda name: crops.hash_order("held out", name))
    chosen = set(order[: math.ceil(len(order) / HELD_OUT)])
    return np.array([name in chosen for name in names])


def labelled(clips: ProbeClips, embed: Embed) -> Labelled:
    """Their vectors: [n, m, D], or [n, D] where a clip has one."""
    vectors = embed(clips.clips)
    return Labelled(vectors[:, 0] if vectors.shape[1] == 1 else vectors, clips.truths)


def lines(probe: LabelProbe, scores: dict[str, Any]) -> list[str]:
    """What a probe found, for people."""
    details = scores["details"]
    intervals, own = details["intervals"], details["probes"][probe.name]
    found = []
    for name in own["figures"]:
        low_high = intervals.get(name)
        ends = f" ({low_high[0]:.4f} to {low_high[1]:.4f})" if low_high else ""
        found.append(f"{name} {scores[name]:.4f}{ends}")
    found[0] += (
        f", {own['n']} clips of {len(own['classes'])} classes, trained on {own['training_clips']}"
    )
    return found
