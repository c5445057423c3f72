"""aqtaudio enroll, negatives, verification: a detector of phrases from their text alone."""

import argparse
import json
from pathlib import Path
from typing import Any

from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import (
    Verbs,
    above_zero,
    add_json,
    add_run,
    positive,
    require_there,
)
from aqtaudio.commands.names import named
from aqtaudio.commands.neighbours import add_dictionary
from aqtaudio.commands.progress import Progress
from aqtaudio.commands.voices import add_voices, engine_of
from aqtaudio.errors import BadInput
from aqtaudio.files import require_new, require_place

STUDY = Path(__file__).parents[2] / "results/text_keywords"


def add(verbs: Verbs) -> None:
    """The verbs."""
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
        "--false-alarms-per-hour", type=above_zero, default=0.5, metavar="RATE",
        help="of each keyword (0.5)",
    )  # fmt: skip
    command.add_argument(
        "--negatives", type=Path, action="append", default=[], metavar="DIR",
        help="a manifest folder of other sound, or several; default: what RUN keeps",
    )  # fmt: skip
    command.add_argument("--language", default="en-us", metavar="NAME", help="for unknown words")
    command.add_argument(
        "--refine", action="store_true", help="train the filters on synthetic voices, in minutes"
    )
    command.add_argument(
        "--recordings", type=Path, action="append", default=[], metavar="DIR",
        help="a manifest folder of people who say the keywords; filters are trained on it",
    )  # fmt: skip
    command.add_argument("--takes", type=positive, default=120, metavar="N", help="by voices (120)")
    add_voices(command)
    add_dictionary(command)
    add_json(command)
    _add_negatives(verbs)
    _add_verification(verbs)


def _add_negatives(verbs: Verbs) -> None:
    text = "keep hours without keywords, encoded, beside an encoder of phones: enroll takes seconds"
    command = verbs.add("negatives", negatives, text)
    add_run(command)
    command.add_argument("--negatives", type=Path, action="append", required=True, metavar="DIR")
    command.add_argument(
        "--hours", type=above_zero, default=1.0, help="at most, beyond split val (1)"
    )


def _add_verification(verbs: Verbs) -> None:
    text = "equal error rates of phrases of speech with their own text and with other texts"
    command = verbs.add("verification", verification, text)
    add_run(command)
    command.add_argument(
        "--data", type=Path, action="append", default=[], metavar="DIR", help="with transcripts"
    )
    command.add_argument(
        "--pairs", type=Path, action="append", default=[], metavar="LIST.csv", help="LibriPhrase's"
    )
    command.add_argument("--recordings", type=Path, metavar="DIR", help="of --pairs")
    command.add_argument("--runtime", choices=("float", "integer"), default="integer")
    command.add_argument(
        "--limit", type=positive, default=1000, metavar="N", help="clips, at most (1000)"
    )
    add_json(command)


def verification(options: argparse.Namespace) -> int:
    """Equal error rates, by score and kind of the other text."""
    if bool(options.pairs) == bool(options.data) or bool(options.pairs) != bool(options.recordings):
        raise BadInput("allowed: --data DIR, or --pairs LIST.csv with --recordings DIR")
    require_there(options.path, options.data)
    for file in options.pairs:
        if not file.is_file():
            raise BadInput(f"{file}: no such file")
    if options.pairs:
        return _listed_pairs(options)
    from aqtaudio.adaptation import verification as measured
    from aqtaudio.adaptation.text_encoder import text_encoder
    from aqtaudio.runs.network import network
    from aqtaudio.runs.run import Run

    run = Run(options.path)
    encoder = text_encoder(run)
    with network(run, options.runtime) as opened:
        data = run.data(options.data, ("val",))
        items = run.listed(data, "val").items[: options.limit]
        value = {"runtime": options.runtime, **measured.verification(encoder, opened, data, items)}

    def show(value: dict[str, Any]) -> None:
        print(f"{value['runtime']}, {value['pairs']} phrases of {len(items)} clips")
        for score in measured.SCORES:
            told = (
                f"{kind} {100 * value[f'{score}_{kind}']['eer']:.1f}" for kind in measured.KINDS
            )
            print(f"  {score}: equal error rate, %: {', '.join(told)}")

    answer(value, options.json, show)
    return 0


def _listed_pairs(options: argparse.Namespace) -> int:
    """Of pairs that lists name, in integers."""
    from aqtaudio.adaptation import listed_pairs
    from aqtaudio.adaptation.text_encoder import text_encoder
    from aqtaudio.runs.run import Run

    if options.runtime != "integer":
        raise BadInput("--pairs are scored in integers; allowed: --runtime integer")
    encoder = text_encoder(Run(options.path))
    pairs = listed_pairs.read(options.pairs, options.recordings)
    value = listed_pairs.verification(encoder, pairs, say)

    def show(value: dict[str, Any]) -> None:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in value["pairs"].items())
        print(f"pairs of {value['texts']:,} texts: {counts}")
        for reason, count in value["left_out"].items():
            print(f"  left out: {count:,}, {reason}")
        for score in listed_pairs.SCORES:
            told = (
                f"{kind} {100 * value[f'{score}_{kind}']['eer']:.1f}"
                for kind in listed_pairs.KINDS.values()
                if f"{score}_{kind}" in value
            )
            print(f"  {score}: equal error rate, %: {', '.join(told)}")

    answer(value, options.json, show)
    return 0


def negatives(options: argparse.Namespace) -> int:
    """Keeps them as the encoder's codes, 4 MB or so an hour."""
    require_there(options.path, options.negatives)
    from aqtaudio.adaptation import negative_codes
    from aqtaudio.adaptation.text_encoder import text_encoder
    from aqtaudio.runs.run import Run

    file = options.path / negative_codes.NAME
    require_place(file)
    encoder = text_encoder(Run(options.path))
    found = negative_codes.encoded(encoder, options.negatives, options.hours, say)
    found.write(file)
    print(f"{file}: {found.hours:.2f} h, {file.stat().st_size:,} bytes")
    return 0


def enroll(options: argparse.Namespace) -> int:
    """Makes it, and prints its page."""
    source = named(options.path, STUDY)
    assert source is not None  # a path is required
    require_there(source, [*options.negatives, *options.recordings])
    require_new(options.out)
    from aqtaudio.data import dictionary
    from aqtaudio.data.phrase import understood

    if not (options.keyword or options.add or options.remove):
        raise BadInput("no keyword; allowed: --keyword TEXT, once or several times")
    known = dictionary.find(options.dictionary)
    for text in options.keyword or options.add:  # a mistake is told before JAX is loaded
        understood(text, known, language=options.language)
    from aqtaudio.adaptation import enroll as made
    from aqtaudio.adaptation.enroll_examples import Sayings
    from aqtaudio.adaptation.enroll_page import warnings
    from aqtaudio.runs.run import Run

    run = Run(source)
    has = (source / made.ENROLLED).exists()
    if (options.add or options.remove) and not has:
        raise BadInput(f"{source} has no keywords yet; allowed: --keyword")
    if options.keyword and has:
        raise BadInput(f"{source} has keywords already; allowed: --add and --remove")
    sayings = None
    if options.refine or options.recordings:
        engine = engine_of(options) if options.refine else None
        sayings = Sayings(engine, options.recordings, options.takes)
    run, value = made.enroll(
        run,
        options.keyword or options.add,
        options.out,
        remove=options.remove,
        false_alarms_per_hour=options.false_alarms_per_hour,
        negatives=options.negatives,
        known=known,
        language=options.language,
        sayings=sayings,
        say=say,
        progress=Progress("clips"),
    )
    for line in warnings(value):
        say(f"warning: {line}")
    if options.json:
        print(json.dumps(value))
    else:
        print((run.path / made.PAGE).read_text())
        print(f"run   {run.path}\npage  {run.path / made.PAGE}")
    return 0
