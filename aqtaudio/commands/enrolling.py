"""aqtaudio enroll: a detector of phrases from their text alone."""

import argparse
import json
from pathlib import Path

from aqtaudio.commands.answers import say
from aqtaudio.commands.arguments import Verbs, add_json, add_run
from aqtaudio.commands.neighbours import add_dictionary
from aqtaudio.errors import BadInput

ARTIFACTS = Path(__file__).parents[2] / "results/text_keywords"


def add(verbs: Verbs) -> None:
    """The verb."""
    text = "a detector of phrases from their text alone, in seconds"
    command = verbs.add("enroll", enroll, text)
    add_run(command)
    for name, told in (
        ("--keyword", "a word or phrase; /HH EY/ in it is a pronunciation"),
        ("--add", "the same, where RUN has keywords already"),
        ("--remove", "one of the keywords that RUN has"),
    ):
        command.add_argument(name, action="append", default=[], metavar="TEXT", help=told)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument(
        "--false-alarms-per-hour", type=float, default=0.5, metavar="RATE",
        help="of each keyword (0.5)",
    )  # fmt: skip
    command.add_argument(
        "--negatives", type=Path, action="append", default=[], metavar="DIR",
        help="a manifest folder of other sound, or several; default: what RUN keeps",
    )  # fmt: skip
    command.add_argument("--language", default="en-us", metavar="NAME", help="for unknown words")
    add_dictionary(command)
    add_json(command)


def enroll(options: argparse.Namespace) -> int:
    """Makes it, and prints its page."""
    from aqtaudio.adaptation import enroll as made
    from aqtaudio.adaptation.enroll_page import warnings
    from aqtaudio.data import dictionary
    from aqtaudio.runs.run import Run

    source = options.path
    if not source.exists() and (ARTIFACTS / source).is_dir():
        source = ARTIFACTS / source
    run = Run(source)
    has = (source / made.ENROLLED).exists()
    if (options.add or options.remove) and not has:
        raise BadInput(f"{source} has no keywords yet; allowed: --keyword")
    if options.keyword and has:
        raise BadInput(f"{source} has keywords already; allowed: --add and --remove")
    if not (options.keyword or options.add or options.remove):
        raise BadInput("no keyword; allowed: --keyword TEXT, once or several times")
    run, value = made.enroll(
        run,
        options.keyword or options.add,
        options.out,
        remove=options.remove,
        false_alarms_per_hour=options.false_alarms_per_hour,
        negatives=options.negatives,
        known=dictionary.find(options.dictionary),
        language=options.language,
        say=say,
    )
    for line in warnings(value):
        say(f"warning: {line}")
    if options.json:
        print(json.dumps(value))
    else:
        print((run.path / made.PAGE).read_text())
        print(f"run   {run.path}\npage  {run.path / made.PAGE}")
    return 0
