"""The command line: one verb per command; parse, dispatch, print.

Exit status: 0 fine, 1 the answer is no, 2 bad input (one line on standard error). With --json,
one JSON object on standard output and nothing else there.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from aqtaudio import __version__
from aqtaudio.errors import BadInput

RUNTIMES = ("float", "quantized", "integer", "litert", "micro")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{self.prog}: {message}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    try:
        options, rest = parser().parse_known_args(arguments)
        if options.run is not train and rest:
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
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND", parser_class=_Parser)

    def verb(name: str, run: Callable, text: str, parent=verbs) -> argparse.ArgumentParser:
        command = parent.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    command = verb("quickstart", quickstart, "the main job, offline, in minutes")
    command.add_argument("--out", type=Path, default=Path("quickstart"))

    data = verbs.add_parser("data", help="recordings: make, import, check")
    kinds = data.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    command = verb("synth", data_synth, "an offline keyword corpus from espeak-ng", kinds)
    command.add_argument("--out", type=Path, required=True)
    for name in ("words", "unknown-words", "languages"):
        command.add_argument(f"--{name}", type=_names, metavar="A,B,...")
    for name in ("speakers", "clips-per-speaker", "seed"):
        command.add_argument(f"--{name}", type=int, metavar="N")
    command = verb("import", data_import, "a public corpus as a manifest folder", kinds)
    command.add_argument("corpus", choices=("speech-commands",))
    command.add_argument("source", type=Path)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--link", action="store_true", help="hard links instead of copies")
    command.add_argument("--twelve-labels", action="store_true", help="val, test: the protocol's")
    command = verb("check", data_check, "what is wrong with a manifest folder", kinds)
    command.add_argument("folder", type=Path)
    _add_json(command)

    command = verb("train", train, "train one run; --any.setting VALUE overrides the config")
    command.add_argument("config", type=Path)
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--out", type=Path, required=True)

    command = verb("evaluate", evaluate, "accuracy of a run in any runtime")
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--split", choices=("train", "val", "test"), default="val")
    command.add_argument("--runtime", choices=RUNTIMES, default="integer")
    command.add_argument("--limit", type=_positive, metavar="N")
    _add_json(command)

    command = verb("listen", listen, "keywords in a recording or a microphone, as they are said")
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument(
        "source",
        metavar="FILE.wav|-",
        help="-: standard input, raw mono little-endian 16-bit samples at the front end's rate",
    )
    command.add_argument("--runtime", choices=RUNTIMES, default="integer")
    _add_detector(command)
    _add_json(command)

    command = verb("detect", detect, "misses and false alarms of a stream in continuous audio")
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--split", choices=("train", "val", "test"), default="val")
    command.add_argument("--runtime", choices=RUNTIMES, default="integer")
    command.add_argument("--false-alarms-per-hour", type=float, default=5.0, metavar="RATE")
    _add_detector(command, threshold=False)
    _add_json(command)

    command = verb("parity", parity, "program against the runtime's integers, exact")
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument("--data", type=Path)
    command.add_argument("--n", type=_positive, default=1000)
    command.add_argument("--runtime", choices=("micro", "litert"), default="micro")
    _add_json(command)

    command = verb("export", export, "an artifact folder with a firmware bundle")
    command.add_argument("path", type=Path, metavar="RUN")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--data", type=Path, help="recordings for the golden vectors")

    command = verb("check", check, "does a TFLite file run on TFLite Micro, in integers?")
    command.add_argument("path", type=Path, metavar="FILE.tflite|RUN")
    command.add_argument("--allow-float", action="store_true")
    _add_json(command)

    command = verb("cost", cost, "parameters, MACs, bit-operations and bytes, per operation")
    command.add_argument("path", type=Path, metavar="RUN")
    _add_json(command)

    command = verb("sweep", sweep, "the runs of a study, its report and its front's artifacts")
    command.add_argument("study", type=Path, metavar="STUDY.py")
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--out", type=Path, help="default: results/<study>")
    command.add_argument("--engine", choices=("local",), default="local")
    command.add_argument("--workers", type=_positive, default=1)
    command.add_argument("--resume", action="store_true")

    command = verb("report", report, "rows to HTML, PNG and CSV")
    command.add_argument("folder", type=Path, metavar="results/STUDY")
    return top


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="one JSON object on standard output")


def _add_detector(command: argparse.ArgumentParser, threshold: bool = True) -> None:
    """Settings of `detection.detector.DetectorSettings`; what is not given has its default."""
    if threshold:
        command.add_argument("--threshold", type=float, metavar="SHARE")
    command.add_argument("--smoothing-ms", type=float, metavar="MS")
    command.add_argument("--refractory-ms", type=float, metavar="MS")


def _given(options: argparse.Namespace, settings: type) -> dict[str, Any]:
    """The fields of a settings class that were given on the command line."""
    names = (field.name for field in dataclasses.fields(settings))
    return {name: value for name in names if (value := getattr(options, name, None)) is not None}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(value: dict[str, Any], as_json: bool, show: Callable[[dict[str, Any]], None]) -> None:
    if as_json:
        print(json.dumps(value))
    else:
        show(value)


# --- verbs ---------------------------------------------------------------------------------------


def quickstart(options: argparse.Namespace) -> int:
    """Synthetic recordings, a small sweep, report, export, parity."""
    from aqtaudio.quickstart import quickstart

    return quickstart(options.out)


def data_synth(options: argparse.Namespace) -> int:
    """Makes a synthetic corpus."""
    from aqtaudio.data.synth import SynthSettings, synth

    print(synth(options.out, SynthSettings(**_given(options, SynthSettings))))
    return 0


def data_import(options: argparse.Namespace) -> int:
    """Imports a public corpus."""
    from aqtaudio.data.speech_commands import import_speech_commands

    out = import_speech_commands(options.source, options.out, options.link, options.twelve_labels)
    print(out)
    return 0


def data_check(options: argparse.Namespace) -> int:
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

    _print(value, options.json, show)
    return 1 if errors else 0


def train(options: argparse.Namespace) -> int:
    """Trains one run; status 1 when its file and its program differ in an integer."""
    from aqtaudio import pipeline
    from aqtaudio.experiment import load_config
    from aqtaudio.settings import overlay

    experiment = overlay(load_config(options.config), _overrides(options.rest))
    run = pipeline.train(experiment, options.data, options.out, _say)
    row = json.loads((run.path / "row.json").read_text())
    for runtime, metrics in row["metrics"].items():
        print(f"{runtime:>10}  accuracy {metrics['accuracy']:.4f}")
    if "parity" in row:
        print(f"    parity  {row['parity']['mismatches']} of {row['parity']['outputs']} differ")
    print(f"       run  {run.path}")
    return 1 if row.get("parity", {}).get("mismatches") else 0


def _overrides(rest: Sequence[str]) -> dict[str, str]:
    """--a.b VALUE and --a.b=VALUE pairs."""
    overrides: dict[str, str] = {}
    remaining = list(rest)
    while remaining:
        name = remaining.pop(0)
        if not name.startswith("--"):
            raise BadInput(f"unexpected argument {name!r}; settings are given as --path VALUE")
        path, equals, value = name[2:].partition("=")
        if not equals:
            if not remaining:
                raise BadInput(f"setting --{path} needs a value")
            value = remaining.pop(0)
        overrides[path] = value
    return overrides


def evaluate(options: argparse.Namespace) -> int:
    """Evaluates a run."""
    from aqtaudio import evaluate as evaluation
    from aqtaudio.run_directory import Run

    run = Run(options.path)
    value = evaluation.evaluate(run, options.data, options.split, options.runtime, options.limit)

    def show(value: dict[str, Any]) -> None:
        metrics = value["metrics"]
        print(f"{value['runtime']} on {value['n']} clips of {value['split']}")
        print(f"  accuracy {metrics['accuracy']:.4f}")
        for name, share in metrics["per_class"].items():
            print(f"  {name:>10} {share:.4f}")

    _print(value, options.json, show)
    return 0


def listen(options: argparse.Namespace) -> int:
    """Prints detections as they happen; with --json, all of them at the end."""
    from aqtaudio.data import audio
    from aqtaudio.detection.detector import Detection, DetectorSettings
    from aqtaudio.listen import listen
    from aqtaudio.run_directory import Run

    run = Run(options.path)
    settings = DetectorSettings(**_given(options, DetectorSettings))
    rate_hz = run.experiment.frontend.sample_rate_hz
    if options.source == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise BadInput("standard input is no pipe; pipe raw 16-bit samples into it")
        samples = audio.raw_chunks(sys.stdin.buffer)
    else:
        samples = audio.chunks(Path(options.source), rate_hz)
    found: list[dict[str, Any]] = []

    def show(detection: Detection) -> None:
        if options.json:
            found.append(dataclasses.asdict(detection))
        else:
            line = f"{detection.time_s:9.2f} s  {detection.confidence:.2f}  {detection.label}"
            print(line, flush=True)

    seconds = listen(run, samples, settings, options.runtime, show)
    if options.json:
        print(json.dumps({"runtime": options.runtime, "seconds": seconds, "detections": found}))
    return 0


def detect(options: argparse.Namespace) -> int:
    """Error trade-off of a stream."""
    from aqtaudio.detection.detector import DetectorSettings
    from aqtaudio.listen import detect
    from aqtaudio.run_directory import Run

    settings = DetectorSettings(**_given(options, DetectorSettings))
    value = detect(
        Run(options.path),
        options.data,
        options.split,
        options.runtime,
        settings,
        options.false_alarms_per_hour,
    )

    def show(value: dict[str, Any]) -> None:
        scene, alone = value["scene"], value["background"]
        low, high = (100 * share for share in scene["miss_rate_interval"])
        print(f"{value['runtime']} on {value['split']}, threshold {value['threshold']:.4f}")
        print(f"  missed {scene['misses']} of {scene['events']} words: ", end="")
        print(f"{100 * scene['miss_rate']:.1f} % ({low:.1f} to {high:.1f})")
        count, hours = scene["false_alarms"], scene["hours"]
        print(f"  {count} false alarms in {hours:.2f} h among the words")
        count, hours, rate = (alone[k] for k in ("false_alarms", "hours", "false_alarms_per_hour"))
        low, high = alone["false_alarms_per_hour_interval"]
        print(f"  {count} false alarms in {hours:.2f} h without words: ", end="")
        print(f"{rate:.1f} per hour ({low:.1f} to {high:.1f})")
        if scene["latency_median_s"] is not None:
            print(f"  {scene['latency_median_s']:.2f} s after a word's end (median), ", end="")
            print(f"{scene['latency_p95_s']:.2f} s (95th percentile)")

    _print(value, options.json, show)
    return 0


def parity(options: argparse.Namespace) -> int:
    """Compares integers; status 1 when any differs."""
    from aqtaudio import evaluate as evaluation
    from aqtaudio.run_directory import Run

    value = evaluation.parity(Run(options.path), options.data, options.n, options.runtime)

    def show(value: dict[str, Any]) -> None:
        print(
            f"{value['runtime']}: {value['mismatches']} of {value['outputs']} integers differ "
            f"on {value['n']} inputs (largest difference {value['max_abs_diff']})"
        )

    _print(value, options.json, show)
    return 1 if value["mismatches"] else 0


def export(options: argparse.Namespace) -> int:
    """Writes an artifact folder."""
    from aqtaudio import pipeline
    from aqtaudio.run_directory import Run

    print(pipeline.export(Run(options.path), options.out, options.data))
    return 0


def check(options: argparse.Namespace) -> int:
    """Judges a TFLite file; status 1 when TFLite Micro cannot run it."""
    from aqtaudio.program.check import check
    from aqtaudio.run_directory import Run

    path = options.path
    if not path.exists():
        raise BadInput(f"{path}: no such file or run")
    program = None
    if path.is_dir():
        model = Run(path).model
        with contextlib.suppress(BadInput):  # a float run; it would only help to name layers
            program = Run(path).program
    else:
        model = path.read_bytes()
    value = check(model, options.allow_float, program=program).to_json()

    def show(value: dict[str, Any]) -> None:
        print("Micro-compatible" if value["micro_compatible"] else "not Micro-compatible")
        for reason in value["reasons"]:
            print(f"  {reason}")
        print("  " + ", ".join(f"{count} {name}" for name, count in value["ops"].items()))
        sizes = ("file_bytes", "weight_bytes", "arena_bytes")
        print("  " + ", ".join(f"{key} {value[key]}" for key in sizes))

    _print(value, options.json, show)
    return 0 if value["micro_compatible"] else 1


def cost(options: argparse.Namespace) -> int:
    """Prints costs."""
    from aqtaudio import pipeline
    from aqtaudio.program.cost import cost, table
    from aqtaudio.run_directory import Run

    run = Run(options.path)
    value = pipeline.costs(run)

    def show(value: dict[str, Any]) -> None:
        if run.experiment.recipe.mode != "float":
            table(cost(run.program))
        for key, number in value.items():
            print(f"{key:>16} {'-' if number is None else format(number, ',')}")

    _print(value, options.json, show)
    return 0


def sweep(options: argparse.Namespace) -> int:
    """Runs a study; status 1 when runs failed."""
    from aqtaudio.study.space import load_study
    from aqtaudio.sweep import sweep

    study = load_study(options.study)
    out = options.out or Path("results") / study.name
    failed = sweep(study, options.data, out, options.workers, options.resume)
    print(out / "report.html")
    return 1 if failed else 0


def report(options: argparse.Namespace) -> int:
    """Writes a study's report."""
    from aqtaudio.study.report import write_report

    print(write_report(options.folder))
    return 0
