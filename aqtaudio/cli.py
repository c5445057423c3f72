"""The command line: parse, and call the verb (`verbs`).

Exit status: 0 fine, 1 the answer is no, 2 bad input (one line on standard error). With --json,
one JSON object on standard output and nothing else there.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from aqtaudio import __version__, enhancement_verbs, frontend_verbs, verbs
from aqtaudio.errors import BadInput
from aqtaudio.quantities import count, size_bytes

RUNTIMES = ("float", "quantized", "integer", "litert", "micro")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{self.prog}: {message}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    try:
        options, rest = parser().parse_known_args(arguments)
        if options.run is not verbs.train and rest:
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
    top = _Parser(prog="aqtaudio", description="Quantization studies of on-device audio models.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(
        dest="verb", required=True, metavar="COMMAND", parser_class=_Parser
    )

    def verb(name: str, run: Callable, text: str, parent=commands) -> argparse.ArgumentParser:
        command = parent.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    command = verb("quickstart", verbs.quickstart, "the main job, offline, in minutes")
    command.add_argument("--out", type=Path, default=Path("quickstart"))

    data = commands.add_parser("data", help="recordings: make, import, check")
    kinds = data.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    command = verb("synth", verbs.data_synth, "an offline keyword corpus from espeak-ng", kinds)
    command.add_argument("--out", type=Path, required=True)
    for name in ("words", "unknown-words", "languages"):
        command.add_argument(f"--{name}", type=_names, metavar="A,B,...")
    for name in ("speakers", "clips-per-speaker", "seed"):
        command.add_argument(f"--{name}", type=int, metavar="N")
    command = verb("import", verbs.data_import, "a public corpus as a manifest folder", kinds)
    command.add_argument("corpus", choices=("speech-commands",))
    command.add_argument("source", type=Path)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--link", action="store_true", help="hard links instead of copies")
    command.add_argument("--twelve-labels", action="store_true", help="val, test: the protocol's")
    command = verb("check", verbs.data_check, "what is wrong with a manifest folder", kinds)
    command.add_argument("folder", type=Path)
    _add_json(command)

    command = verb("train", verbs.train, "train one run; --any.setting VALUE overrides the config")
    command.add_argument("config", type=Path)
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--out", type=Path, required=True)

    command = verb("adapt", verbs.adapt, "a run for other words, from a few recordings of each")
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--words", type=_names, required=True, metavar="A,B,...")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--recordings", type=_positive, metavar="N", help="per word; default: 10")
    command.add_argument("--draws", type=_positive, metavar="N", help="of recordings; default: 1")
    command.add_argument("--seed", type=int, metavar="N")
    command.add_argument("--layers", metavar="REGEX", help="to train; default: the last ones")
    _add_json(command)

    command = verb("evaluate", verbs.evaluate, "quality of a run in any runtime")
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--split", choices=("train", "val", "test"), default="val")
    command.add_argument("--runtime", choices=RUNTIMES, default="integer")
    command.add_argument("--limit", type=_positive, metavar="N")
    _add_frontend(command)
    _add_json(command)

    frontends = commands.add_parser("frontend", help="front ends of devices: compare, follow")
    kinds = frontends.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    command = verb(
        "compare", frontend_verbs.compare, "how two front ends differ on recordings", kinds
    )
    command.add_argument("a", metavar="A", help="a name, a run, a config or a frontend.json")
    command.add_argument("b", metavar="B")
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--split", choices=("train", "val", "test"), default="val")
    command.add_argument(
        "--run", type=Path, metavar="RUN", dest="run_folder", help="its accuracy under both"
    )
    command.add_argument("--limit", type=_positive, metavar="N")
    command.add_argument("--worst", type=_positive, default=5, metavar="N")
    command.add_argument("--out", type=Path, metavar="DIR", help="for pictures and JSON")
    _add_json(command)
    command = verb(
        "recalibrate", frontend_verbs.recalibrate, "train a run on for another front end", kinds
    )
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument(
        "--to",
        required=True,
        metavar="FRONTEND",
        help="a name, a run, a config, a frontend.json or a folder of dumped features",
    )
    command.add_argument("--data", type=Path, help="default: the folder of dumped features")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--steps", type=int, metavar="N", help="of the float phase")
    command.add_argument("--finetune-steps", type=int, metavar="N", help="of the quantized phase")
    command.add_argument("--learning-rate", type=float, metavar="X", help="of the float phase")
    _add_json(command)

    command = verb(
        "listen", verbs.listen, "keywords in a recording or a microphone, as they are said"
    )
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument(
        "source",
        metavar="FILE.wav|-",
        help="-: standard input, raw mono little-endian 16-bit samples at the front end's rate",
    )
    command.add_argument("--runtime", choices=RUNTIMES, default="integer")
    _add_frontend(command)
    _add_detector(command)
    _add_json(command)

    command = verb(
        "detect", verbs.detect, "misses and false alarms of a stream in continuous audio"
    )
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--split", choices=("train", "val", "test"), default="val")
    command.add_argument("--runtime", choices=RUNTIMES, default="integer")
    command.add_argument("--false-alarms-per-hour", type=float, default=5.0, metavar="RATE")
    _add_detector(command, threshold=False)
    _add_json(command)

    command = verb(
        "enhance", enhancement_verbs.enhance, "a recording without its noise; any rate and length"
    )
    command.add_argument("source", type=Path, metavar="IN.wav")
    command.add_argument("target", type=Path, metavar="OUT.wav")
    command.add_argument("path", type=Path, nargs="?", metavar="RUN", help="default: the study's")
    command.add_argument("--runtime", choices=RUNTIMES, default="integer")
    command.add_argument("--stream", action="store_true", help="a hop at a time, as a device")
    command.add_argument("--post-filter", type=float, metavar="BETA", help="0.02 is usual")
    command.add_argument("--attenuation-limit-db", type=float, metavar="DB")
    command.add_argument("--png", type=Path, help="spectrograms; default: OUT.png")
    _add_json(command)

    command = verb(
        "robustness", enhancement_verbs.robustness, "noise suppression at low levels, after steps"
    )
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--split", choices=("train", "val", "test"), default="val")
    command.add_argument("--runtime", choices=RUNTIMES, default="integer")
    command.add_argument("--limit", type=_positive, metavar="N")
    _add_json(command)

    command = verb("parity", verbs.parity, "program against the runtime's integers, exact")
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument("--data", type=Path)
    command.add_argument("--n", type=_positive, default=1000)
    command.add_argument("--runtime", choices=("micro", "litert"), default="micro")
    _add_json(command)

    command = verb("export", verbs.export, "an artifact folder with a firmware bundle")
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--data", type=Path, help="recordings for the golden vectors")

    command = verb("check", verbs.check, "does a TFLite file run on TFLite Micro, in integers?")
    command.add_argument("path", type=Path, metavar="FILE.tflite|RUN")
    command.add_argument("--allow-float", action="store_true")
    _add_json(command)

    command = verb("cost", verbs.cost, "parameters, MACs, bit-operations and bytes, per operation")
    command.add_argument("path", type=Path, metavar="RUN")
    _add_json(command)

    command = verb(
        "sweep", verbs.sweep, "the runs of a study, its report and its front's artifacts"
    )
    command.add_argument("study", type=Path, metavar="STUDY.py")
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--out", type=Path, help="default: results/<study>")
    command.add_argument("--engine", choices=("local", "ray"), default="local")
    command.add_argument("--address", metavar="A", help="of the Ray cluster; default: the one here")
    command.add_argument("--workers", type=_positive, metavar="N", help="jobs at once at most")
    command.add_argument(
        "--gpus-per-job", type=float, metavar="F", help="share of an accelerator; default: 1"
    )
    command.add_argument(
        "--batch", type=_positive, default=1, metavar="N", help="runs that may share a job"
    )
    command.add_argument("--resume", action="store_true")

    command = verb("choose", verbs.choose, "the best run of a study under a budget, exported")
    command.add_argument("folder", type=Path, metavar="results/STUDY")
    for name, text in (("flash", "the TFLite file"), ("arena", "TFLite Micro's tensor arena")):
        command.add_argument(
            f"--max-{name}", type=_size, metavar="SIZE", help=f"{text}; 64KB is 65536 bytes"
        )
    for name in ("macs", "bitops", "macs-per-second"):
        command.add_argument(f"--max-{name}", type=_count, metavar="N", help="3M is 3000000")
    _add_metric(command)
    command.add_argument("--out", type=Path, help="default: its folder in the study's artifacts")
    command.add_argument("--data", type=Path, help="recordings for the golden vectors")
    _add_json(command)

    command = verb("report", verbs.report, "rows to HTML, PNG and CSV; one study against another")
    command.add_argument("folder", type=Path, metavar="results/STUDY")
    command.add_argument(
        "--against", type=Path, metavar="results/OTHER", help="a page of both and what differs"
    )
    command.add_argument(
        "--out", type=Path, help="with --against; default: results/STUDY/against_OTHER"
    )
    _add_metric(command)
    return top


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="one JSON object on standard output")


def _add_metric(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--metric",
        metavar="NAME",
        help="the quality; default: accuracy where runs have it, or PESQ",
    )


def _add_frontend(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--frontend",
        metavar="FRONTEND",
        help="what the device has (a name, run, config or frontend.json): refused unless the run's",
    )


def _add_detector(command: argparse.ArgumentParser, threshold: bool = True) -> None:
    """Settings of `detection.detector.DetectorSettings`; what is not given has its default."""
    if threshold:
        command.add_argument("--threshold", type=float, metavar="SHARE")
    command.add_argument("--smoothing-ms", type=float, metavar="MS")
    command.add_argument("--refractory-ms", type=float, metavar="MS")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _size(text: str) -> int:
    return _quantity(size_bytes, text)


def _count(text: str) -> int:
    return _quantity(count, text)


def _quantity(parse: Callable[[str], int], text: str) -> int:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value
