"""aqtaudio data: recordings, made, imported, checked."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from aqtaudio.commands import synthesis
from aqtaudio.commands.answers import answer
from aqtaudio.commands.arguments import Verbs, add_json


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    group = verbs.group("data", "recordings: make, import, check")
    synthesis.add(group)
    _add_import(group)
    _add_check(group)


def _add_import(verbs: Verbs) -> None:
    command = verbs.add("import", import_corpus, "a public corpus as a manifest folder")
    command.add_argument("corpus", choices=("speech-commands",))
    command.add_argument("source", type=Path)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--link", action="store_true", help="hard links instead of copies")
    command.add_argument("--twelve-labels", action="store_true", help="val, test: the protocol's")


def import_corpus(options: argparse.Namespace) -> int:
    """Imports a public corpus."""
    from aqtaudio.data.speech_commands import import_speech_commands

    out = import_speech_commands(options.source, options.out, options.link, options.twelve_labels)
    print(out)
    return 0


def _add_check(verbs: Verbs) -> None:
    command = verbs.add("check", check, "what is wrong with a manifest folder")
    command.add_argument("folder", type=Path)
    add_json(command)


def check(options: argparse.Namespace) -> int:
    """Reports problems; status 1 when one of them is an error."""
    from aqtaudio.data.check import check

    problems = check(options.folder)
    errors = sum(problem.severity == "error" for problem in problems)
    value = {
        "errors": errors,
        "warnings": len(problems) - errors,
        "problems": [dataclasses.asdict(problem) for problem in problems],
    }

    def show(value: dict[str, Any]) -> None:
        for problem in problems:
            print(f"{problem.severity}: {problem.path or options.folder}: {problem.message}")
        print(f"{value['errors']} errors, {value['warnings']} warnings")

    answer(value, options.json, show)
    return 1 if errors else 0
