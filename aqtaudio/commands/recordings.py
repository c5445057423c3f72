"""aqtaudio data: recordings, made, imported, checked."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqtaudio.commands import synthesis
from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import Verbs, add_json
from aqtaudio.errors import BadInput

if TYPE_CHECKING:
    from aqtaudio.data.import_tree import LeftOut


CORPORA = (
    *("speech-commands", "esc", "sonyc-ust", "urbansound8k", "voicebank-demand"),
    *("dns-challenge", "folders"),
)
FLAGS = {"twelve_labels": "speech-commands", "esc10": "esc"}
FLAGS |= dict.fromkeys(("speaker", "val", "test", "licence"), "folders")


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    group = verbs.group("data", "recordings: make, import, check")
    synthesis.add(group)
    _add_import(group)
    _add_check(group)


def _add_import(verbs: Verbs) -> None:
    command = verbs.add(
        "import", import_corpus, "a public corpus, or folders of words, as a manifest folder"
    )
    command.add_argument("corpus", choices=CORPORA)
    command.add_argument("source", type=Path)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--link", action="store_true", help="hard links instead of copies")
    command.add_argument(
        "--twelve-labels", action="store_true", help="speech-commands: val, test: the protocol's"
    )
    command.add_argument("--esc10", action="store_true", help="esc: of ESC-50 only ESC-10")
    command.add_argument(
        "--speaker",
        metavar="REGEX",
        help="folders: finds the speaker in a path, in its one group, as in '([^/_]+)_[^/]*$'",
    )
    command.add_argument("--val", type=float, metavar="PERCENT", help="folders: held out (10)")
    command.add_argument("--test", type=float, metavar="PERCENT", help="folders: held out (10)")
    command.add_argument("--licence", metavar="NAME", help="folders: of the recordings")


def import_corpus(options: argparse.Namespace) -> int:
    """Imports a public corpus; says what of it is left out."""
    from aqtaudio.data.import_tree import summary

    for flag, corpus in FLAGS.items():
        if getattr(options, flag) not in (None, False) and options.corpus != corpus:
            raise BadInput(f"--{flag.replace('_', '-')}: only with {corpus}")
    for line in summary(_imported(options)):
        print(line)
    print(options.out)
    return 0


def _imported(options: argparse.Namespace) -> "list[LeftOut]":
    source, out, link = options.source, options.out, options.link
    if options.corpus == "esc":
        from aqtaudio.data.esc import import_esc

        return import_esc(source, out, link, options.esc10, say)
    if options.corpus == "urbansound8k":
        from aqtaudio.data.urbansound8k import import_urbansound8k

        return import_urbansound8k(source, out, link, say)
    if options.corpus == "sonyc-ust":
        from aqtaudio.data.sonyc_ust import import_sonyc_ust

        return import_sonyc_ust(source, out, link, say)
    if options.corpus == "voicebank-demand":
        from aqtaudio.data.voicebank_demand import import_voicebank_demand

        return import_voicebank_demand(source, out, link, say)
    if options.corpus == "dns-challenge":
        from aqtaudio.data.dns_challenge import import_dns_challenge

        return import_dns_challenge(source, out, link, say)
    if options.corpus == "folders":
        from aqtaudio.data.folders import UNSAID, import_folders

        val, test = (10.0 if share is None else share for share in (options.val, options.test))
        licence = options.licence or UNSAID
        return import_folders(source, out, link, options.speaker, (val, test), licence, say)
    from aqtaudio.data.import_tree import read_left_out
    from aqtaudio.data.speech_commands import import_speech_commands

    return read_left_out(import_speech_commands(source, out, link, options.twelve_labels, say=say))


def _add_check(verbs: Verbs) -> None:
    command = verbs.add("check", check, "what is wrong with a manifest folder")
    command.add_argument("folder", type=Path)
    add_json(command)


def check(options: argparse.Namespace) -> int:
    """Reports problems and what the folder holds; status 1 when one problem is an error."""
    from aqtaudio.data import manifest, readiness
    from aqtaudio.data.check import check

    problems = check(options.folder, say=say)
    recordings = manifest.read(options.folder)
    problems += readiness.lacking(recordings)
    held = readiness.holdings(recordings)
    errors = sum(problem.severity == "error" for problem in problems)
    value = {
        "errors": errors,
        "warnings": len(problems) - errors,
        "problems": [dataclasses.asdict(problem) for problem in problems],
        "labels": [dataclasses.asdict(line) for line in held],
        "training_bytes": readiness.training_bytes(recordings),
    }

    def show(value: dict[str, Any]) -> None:
        for problem in problems:
            print(f"{problem.severity}: {problem.path or options.folder}: {problem.message}")
        _show_held(value)
        print(f"{value['errors']} errors, {value['warnings']} warnings")

    answer(value, options.json, show)
    return 1 if errors else 0


def _show_held(value: dict[str, Any]) -> None:
    """A line per label: clips, minutes and speakers of each split."""
    lines = value["labels"]
    width = max([len("label"), *(len(line["label"]) for line in lines)])
    print(f"{'label':<{width}}  {'split':<5}  {'clips':>7}  {'minutes':>8}  {'speakers':>8}")
    for line in lines:
        print(
            f"{line['label']:<{width}}  {line['split']:<5}  {line['clips']:>7,}  "
            f"{line['minutes']:>8.2f}  {line['speakers'] or '-':>8}"
        )
    print(f"train holds train and val in memory: {value['training_bytes'] / 1e6:,.1f} MB at 16 kHz")
