"""The command line: parse, and call the verb.

Exit status: 0 fine, 1 the answer is no, 2 bad input (one line on standard error). With --json,
one JSON object on standard output and nothing else there.
"""

import argparse
import atexit
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence

from aqtaudio import __version__
from aqtaudio.commands import (
    bandwidth,
    embedding,
    enhancement,
    enrolling,
    firmware,
    front_ends,
    keywords,
    listening,
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
from aqtaudio.data import compilations
from aqtaudio.errors import BadInput
from aqtaudio.program import memory

TOPICS = (
    *(studies, recordings, neighbours, training, runs, firmware, front_ends),
    *(listening, keywords, wake, enrolling, enhancement, bandwidth),
    *(embedding, probing, reducing),
)

_INSTALLED = "install aqtaudio with what it needs, as README.md says"
COLLECTED_AFTER_OBJECTS = 500_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; without arguments, this process's."""
    given = sys.argv[1:] if arguments is None else arguments
    options = argparse.Namespace()
    if arguments is None:
        _as_a_process()
        memory.keep_freed()
        compilations.keep()
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
        print(f"aqtaudio: {_in_words(error, options)}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "aqtaudio" or not package:
            raise
        print(f"aqtaudio: the package {package} is not installed; {_INSTALLED}", file=sys.stderr)
        return 2
    except MemoryError:
        print("aqtaudio: not enough memory", file=sys.stderr)
        return 2
    except Ended as ended:
        print(f"aqtaudio: ended by {ended.signal.name}", file=sys.stderr)
        return 128 + ended.signal
    except KeyboardInterrupt:
        print("aqtaudio: interrupted", file=sys.stderr)
        return 130


class Ended(KeyboardInterrupt):
    """Somebody asked the process to end; what was half written is taken away on the way out."""

    def __init__(self, number: int):
        super().__init__(number)
        self.signal = signal.Signals(number)


def _as_a_process() -> None:
    """What is said can be said on any terminal, and asked to end, the process ends in order.

    Python's collector of cycles would go through all that imports make, again and again while they
    make it and once more at the end: half a second of a short command.
    """
    gc.set_threshold(COLLECTED_AFTER_OBJECTS)
    atexit.register(gc.freeze)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def end(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # once: the way out is not to be cut short
        raise Ended(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP, and is to
            signal.signal(number, end)


def _in_words(error: OSError, options: argparse.Namespace) -> str:
    """With the files that it names; where it names none, what was to be written."""
    files = [str(file) for file in (error.filename, error.filename2) if file is not None]
    if not files:
        written = getattr(options, "out", None) or getattr(options, "target", None)
        files = [f"while writing {written if written not in (None, '-') else 'standard output'}"]
    return ": ".join([*files, error.strerror or str(error)])


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = Parser(prog="aqtaudio", description="Quantization studies of on-device audio models.")
    top.add_argument("--version", action="version", version=__version__)
    verbs = Verbs(top, dest="verb")
    for topic in TOPICS:
        topic.add(verbs)
    return top
