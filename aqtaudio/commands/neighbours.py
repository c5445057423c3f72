"""aqtaudio neighbours: what sounds almost like a word or phrase."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import Verbs, add_json, positive

if TYPE_CHECKING:
    from aqtaudio.data.dictionary import Dictionary
    from aqtaudio.data.neighbours import Neighbour
    from aqtaudio.data.phrase import Phrase


def add(verbs: Verbs) -> None:
    """The verb."""
    command = verbs.add("neighbours", neighbours, "what sounds almost like a word or phrase")
    command.add_argument("text", metavar="TEXT", help="words; /HH EY/ or /hˈeɪ/: a pronunciation")
    command.add_argument("-n", type=positive, default=20, dest="count", metavar="N")
    command.add_argument(
        "--pronounced", default="", metavar="PHONES", help="the whole text, in IPA or ARPAbet"
    )
    command.add_argument(
        "--language", default="en-us", metavar="NAME", help="of espeak-ng, for unknown words"
    )
    add_dictionary(command)
    add_json(command)


def add_dictionary(command: argparse._ActionsContainer) -> None:
    """--dictionary."""
    command.add_argument(
        "--dictionary", type=Path, metavar="FILE", help="pronunciations as in CMUdict"
    )


def dictionary_of(options: argparse.Namespace) -> "Dictionary | None":
    """The dictionary that was given, or the installed one; says so where there is none."""
    from aqtaudio.data import dictionary

    known = dictionary.find(options.dictionary)
    if known is None:
        say(f"no pronouncing dictionary ({dictionary.INSTALL}): neighbours are parts and non-words")
    return known


def neighbours(options: argparse.Namespace) -> int:
    """Prints them, nearest first."""
    from aqtaudio.data.neighbours import Finder
    from aqtaudio.data.phrase import understood

    known = dictionary_of(options)
    phrase = understood(options.text, known, options.pronounced, options.language)
    found = Finder(known).neighbours(phrase, options.count)
    answer(_value(phrase, found), options.json, _show)
    return 0


def _value(phrase: "Phrase", found: "list[Neighbour]") -> dict[str, Any]:
    return {
        "text": phrase.text,
        "understood": phrase.line,
        "words": [
            {
                "text": word.text,
                "phones": [" ".join(v) for v in word.variants],
                "source": word.source,
            }
            for word in phrase.words
        ],
        "neighbours": [
            {
                "text": each.phrase.text,
                "phones": [" ".join(word) for word in each.phrase.phones],
                "distance": each.distance,
                "kind": each.kind,
            }
            for each in found
        ],
    }


def _show(value: dict[str, Any]) -> None:
    print(value["understood"])
    rows = [
        (each["text"], " . ".join(each["phones"]), each["kind"], f"{each['distance']:.2f}")
        for each in value["neighbours"]
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for *cells, distance in rows:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        print(f"{distance}  {'  '.join(padded).rstrip()}")
