"""aqtaudio train, adapt: runs are made."""

import argparse
import json
from pathlib import Path
from typing import Any

from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import (
    Verbs,
    add_data,
    add_json,
    add_run,
    given,
    names,
    overrides,
    positive,
    require_checkpoint,
    require_there,
)
from aqtaudio.errors import BadInput


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    _add_train(verbs)
    _add_adapt(verbs)


def _add_train(verbs: Verbs) -> None:
    text = "train one run; --any.setting VALUE overrides the config"
    command = verbs.add("train", train, text, takes_settings=True)
    command.add_argument("config", type=Path)
    add_data(command)
    command.add_argument("--out", type=Path, required=True)


def train(options: argparse.Namespace) -> int:
    """Trains one run; status 1 when its file and its program differ in an integer."""
    changes = overrides(options.rest)
    if not options.config.is_file():
        raise BadInput(f"{options.config}: no such config file")
    require_there(None, options.data)
    from aqtaudio.experiment import load_config
    from aqtaudio.runs.train import train
    from aqtaudio.settings import overlay

    experiment = overlay(load_config(options.config), changes)
    run = train(experiment, options.data, options.out, say)
    row = json.loads((run.path / "row.json").read_text())
    for runtime, metrics in row["metrics"].items():
        print(f"{runtime:>10}  {experiment.task.headlines.line(metrics)}")
    if "parity" in row:
        print(f"    parity  {row['parity']['mismatches']} of {row['parity']['outputs']} differ")
    print(f"       run  {run.path}")
    return 1 if row.get("parity", {}).get("mismatches") else 0


def _add_adapt(verbs: Verbs) -> None:
    command = verbs.add("adapt", adapt, "a run for other words, from a few recordings of each")
    add_run(command)
    add_data(command)
    command.add_argument("--words", type=names, required=True, metavar="A,B,...")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--recordings", type=positive, metavar="N", help="per word; default: 10")
    command.add_argument("--draws", type=positive, metavar="N", help="of recordings; default: 1")
    command.add_argument("--seed", type=int, metavar="N")
    command.add_argument("--layers", metavar="REGEX", help="to train; default: the last ones")
    add_json(command)


def adapt(options: argparse.Namespace) -> int:
    """Adapts a run to other words; status 1 when a file and its program differ in an integer."""
    require_there(options.path, options.data)
    require_checkpoint(options.path)
    from aqtaudio.adaptation.few_shot import FewShot, adapt
    from aqtaudio.adaptation.few_shot_report import in_words
    from aqtaudio.runs.run import Run

    settings = FewShot(**given(options, FewShot))
    value = adapt(Run(options.path), options.data, settings, options.out, say)

    def show(value: dict[str, Any]) -> None:
        print("\n".join([*in_words(value), f"  {options.out / 'adaptation.md'}"]))

    answer(value, options.json, show)
    return 1 if any(draw["mismatches"] for draw in value["draws"]) else 0
