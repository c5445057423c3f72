"""aqtaudio probe: a classifier on an embedding run, as one program."""

import argparse
from pathlib import Path
from typing import Any

from aqtaudio.commands.answers import answer
from aqtaudio.commands.arguments import Verbs, add_data, add_json, add_run, add_split, require_there


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    text = "a probe of an embedding run, trained and put behind it as one program"
    command = verbs.add("probe", probe, text)
    add_run(command)
    command.add_argument("--probe", required=True, metavar="NAME", help="of the run's task.probes")
    add_data(command)
    add_split(command)
    command.add_argument("--out", type=Path, required=True, metavar="ARTIFACT")
    add_json(command)


def probe(options: argparse.Namespace) -> int:
    """Trains a probe on the run's integers and writes the artifact of both."""
    require_there(options.path, options.data)
    from aqtaudio.adaptation.probe_program import probed
    from aqtaudio.runs.run import Run

    value = probed(Run(options.path), options.probe, options.data, options.out, options.split)

    def show(value: dict[str, Any]) -> None:
        print(f"{value['out']}: {', '.join(value['classes'])}")
        print(f"  trained on {value['training_clips']} clips, scored on {value['n']}", end="")
        print(f" of {value['split']}")
        for key, text in (("float_probe", "probe in float"), ("program", "program")):
            print(f"  {value['figure']} {value[key]:.4f}  {text}")

    answer(value, options.json, show)
    return 0
