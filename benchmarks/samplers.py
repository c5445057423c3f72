"""Does it matter which of a teacher's vectors a reduction is fitted on?

    python benchmarks/samplers.py CONFIG --data DIR [--data DIR] --dimensions D --samples N [N]
        [--seeds 5] [--any.setting VALUE]

Vectors of the training recordings are drawn by each sampler, a whitened reduction is fitted on them
(as `aqtaudio reduce` does), and judged on recordings that were not drawn from: the share of the
variance of the validation recordings' vectors that it has, and what the config's probes (six
commands where it has none) find on the reduced vectors. Prints a Markdown table: means over seeds,
and the standard deviation.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from measuring import table

from aqtaudio.commands.answers import say
from aqtaudio.commands.arguments import overrides
from aqtaudio.experiment import load_config
from aqtaudio.settings import overlay
from aqtaudio.tasks.embedding.data import EmbeddingData
from aqtaudio.tasks.embedding.embed import probed_samples
from aqtaudio.tasks.embedding.judging import judge
from aqtaudio.tasks.embedding.label_probes import LabelProbe
from aqtaudio.tasks.embedding.reducing import explained, reduced, vectors_of
from aqtaudio.tasks.embedding.reduction import Reduction
from aqtaudio.tasks.embedding.sampling import KINDS, Sampler
from aqtaudio.tasks.embedding.task import Embedding
from aqtaudio.tasks.setup import Setup

TITLE = "does it matter which vectors a reduction is fitted on?"
COMMANDS = LabelProbe(
    "commands",
    ("yes", "up", "down", "on", "off", "stop"),
    ("unknown", "silence"),
    ("no", "go", "left", "right"),
    clip_ms=1615,
    few_shot_draws=0,
)


class Known:
    """A teacher's vectors of a probe's clips, each computed once."""

    def __init__(self, task: Embedding, setup: Setup):
        self._task, self._samples, self._found = task, setup.clip_samples, {}

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """Vectors [n, m, D] of clips int16 [n, N]."""
        key = hash(clips.tobytes())
        if key not in self._found:
            windows = clips if self._task.skipped else clips.reshape(-1, self._samples)
            vectors = self._task.teacher.embed(windows)[:, self._task.skipped :]
            self._found[key] = vectors.reshape(len(clips), -1, vectors.shape[-1])
        return self._found[key]


def judged(
    found: Reduction | None, known: Known, task: Embedding, data: EmbeddingData, setup: Setup
) -> dict[str, float]:
    """The main figure of each probe, on vectors that are reduced (or not: None)."""

    def embed(clips: np.ndarray) -> np.ndarray:
        vectors = known(clips)
        return vectors if found is None else found(vectors).astype(np.float32)

    return {
        probe.main: judge(
            probe, embed, data, "val", probed_samples(probe.name, probe.clip_ms, setup)
        ).figures[probe.main]
        for probe in task.probes
    }


def row(name: str, draws: list[dict[str, float]]) -> dict[str, Any]:
    """Means and standard deviations of a sampler's draws."""
    found = {"sampler": name}
    for key in draws[0]:
        values = np.array([draw[key] for draw in draws])
        spread = f" ± {values.std(ddof=1):.4f}" if len(values) > 1 else ""
        found[key.replace("_", " ")] = f"{values.mean():.4f}{spread}"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=TITLE)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--dimensions", type=int, required=True)
    parser.add_argument("--samples", type=int, nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    options, rest = parser.parse_known_args()
    experiment = overlay(load_config(options.config), overrides(rest))
    task, setup = Embedding.of(experiment.task), experiment.setup
    task = dataclasses.replace(task, probes=task.probes or (COMMANDS,))
    data = task.load(options.data, setup, ("train", "val"))
    train = vectors_of(task.teacher, data, task.skipped, say)
    clips = data.evaluation_arrays(data.evaluation_list("val"))[0]
    unheard = task.teacher.embed(clips)[:, task.skipped :]
    unheard = unheard.reshape(-1, unheard.shape[-1])
    known = Known(task, setup)
    rows = [row("not reduced", [judged(None, known, task, data, setup)])]
    for samples in options.samples:
        for kind in KINDS:
            draws = []
            for seed in range(options.seeds):
                found, facts = reduced(
                    train, Sampler(kind), samples, "whiten", options.dimensions, seed
                )
                draws.append(
                    {
                        "drawn": facts["drawn"],
                        "near_duplicate_ratio": facts["near_duplicate_ratio"],
                        "published_kernel": facts["near_duplicate_ratio_published"],
                        "explained": explained(found, unheard),
                    }
                    | judged(found, known, task, data, setup)
                )
            rows.append(row(f"{kind}, {samples}", draws))
            say(f"{kind}, {samples}: {rows[-1]}")
    print(f"{len(train.embeddings)} vectors of {len(set(train.sources))} speakers or folders\n")
    print(table(rows))


if __name__ == "__main__":
    main()
