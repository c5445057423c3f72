"""The command line: parse, and call the verb.

Exit status: 0 fine, 1 the answer is no, 2 bad input (one line on standard error). With --json,
one JSON object on standard output and nothing else there.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from aqtaudio import __version__
from aqtaudio.commands import (
    embedding,
    enhancement,
    enrolling,
    firmware,
    front_ends,
    keywords,
    neighbours,
    probing,
    recordings,
    reducing,
    runs,
    studies,
    training,
    wake,
)
from aqtaudio.commands.arguments import Parser, Verbs, one_folder_each
from aqtaudio.errors import BadInput

TOPICS = (
    *(studies, recordings, neighbours, training, runs, firmware, front_ends),
    *(keywords, wake, enrolling, enhancement, embedding, probing, reducing),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        options, rest = parser().parse_known_args(one_folder_each(given))
        if rest and not options.takes_settings:
            raise BadInput(f"unknown argument {rest[0]!r}; see aqtaudio {options.verb} --help")
        options.rest = rest
        return options.run(options)
    except BadInput as error:
        print(f"aqtaudio: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"aqtaudio: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("aqtaudio: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = Parser(prog="aqtaudio", description="Quantization studies of on-device audio models.")
    top.add_argument("--version", action="version", version=__version__)
    verbs = Verbs(top, dest="verb")
    for topic in TOPICS:
        topic.add(verbs)
    return top
