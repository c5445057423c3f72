"""aqtaudio reduce: a teacher's embedding in fewer dimensions, for students to regress."""

import argparse
from pathlib import Path
from typing import Any

from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import (
    Verbs,
    add_data,
    add_json,
    overrides,
    positive,
    require_there,
)

SAMPLERS = ("random", "relevance", "diversity", "both")
KINDS = ("pca", "whiten", "standardise")


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    text = "a teacher's embedding in fewer dimensions; --any.setting VALUE overrides the config"
    command = verbs.add("reduce", reduce, text, takes_settings=True)
    command.add_argument("config", type=Path, help="whose teacher is reduced")
    add_data(command)
    command.add_argument("--sampler", choices=SAMPLERS, default="diversity")
    command.add_argument("--samples", type=positive, required=True, metavar="N")
    command.add_argument("--dimensions", type=positive, metavar="D", help="default: all")
    command.add_argument("--kind", choices=KINDS, default="whiten")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    add_json(command)


def reduce(options: argparse.Namespace) -> int:
    """Embeds the training recordings, draws a sample of the vectors, and fits a reduction."""
    require_there(None, options.data)
    from aqtaudio.errors import BadInput
    from aqtaudio.experiment import load_config
    from aqtaudio.settings import overlay
    from aqtaudio.tasks.embedding.reducing import reduced, vectors_of
    from aqtaudio.tasks.embedding.sampling import Sampler
    from aqtaudio.tasks.embedding.task import Embedding
    from aqtaudio.tasks.embedding.teachers import Reduced

    if options.out.suffix != ".npz":
        raise BadInput(f"--out {options.out}; allowed: a file that ends in .npz")
    if options.seed < 0:
        raise BadInput(f"--seed is {options.seed}; allowed: 0 or more")
    experiment = overlay(load_config(options.config), overrides(options.rest))
    task = Embedding.of(experiment.task)
    teacher = task.teacher.teacher if isinstance(task.teacher, Reduced) else task.teacher
    data = task.load(options.data, experiment.setup, ("train",))
    vectors = vectors_of(teacher, data, task.skipped, say)
    sampler = Sampler(options.sampler)
    how = options.samples, options.kind, options.dimensions, options.seed
    found, facts = reduced(vectors, sampler, *how)
    found.save(options.out)
    value = {"out": str(options.out), "kind": options.kind, "sampler": options.sampler} | facts

    def show(value: dict[str, Any]) -> None:
        print(f"{value['out']}: {value['kind']}, {value['dimensions']} dimensions")
        print(
            f"  {value['drawn']} of {value['vectors']} vectors, {value['sampler']}, from "
            f"{value['sources']} speakers or folders"
        )
        print(
            f"  a repetition is {value['near_duplicate_ratio']:.3f} times as likely as another "
            f"vector (the published kernel: {value['near_duplicate_ratio_published']:.3f})"
        )
        print(
            f"  {value['explained']:.4f} of the sample's variance explained, "
            f"{value['explained_of_all']:.4f} of all vectors'"
        )

    answer(value, options.json, show)
    return 0
