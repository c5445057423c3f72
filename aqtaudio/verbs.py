"""What each command does: call the package, print, return the exit status.

Packages are imported inside, so that a command loads only what it needs.
"""

import argparse
import contextlib
import dataclasses
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aqtaudio.errors import BadInput


def given(options: argparse.Namespace, settings: type) -> dict[str, Any]:
    """The fields of a settings class that were given on the command line."""
    names = (field.name for field in dataclasses.fields(settings))
    return {name: value for name in names if (value := getattr(options, name, None)) is not None}


def say(text: str) -> None:
    """Tells what goes on; standard output is for answers."""
    print(text, file=sys.stderr, flush=True)


def answer(value: dict[str, Any], as_json: bool, show: Callable[[dict[str, Any]], None]) -> None:
    """Prints an answer for people or as JSON."""
    if as_json:
        print(json.dumps(value))
    else:
        show(value)


def require_frontend(run: Any, requested: str | None) -> None:
    """Raises BadInput when a requested front end is not the run's."""
    from aqtaudio.frontend_choice import frontend_of, require_same

    if requested is not None:
        require_same(run.path, run.experiment.frontend, frontend_of(requested))


def quickstart(options: argparse.Namespace) -> int:
    """Synthetic recordings, a small sweep, report, export, parity."""
    from aqtaudio.quickstart import quickstart

    _end_as_ctrl_c()
    return quickstart(options.out)


def data_synth(options: argparse.Namespace) -> int:
    """Makes a synthetic corpus."""
    from aqtaudio.data.synth import SynthSettings, synth

    print(synth(options.out, SynthSettings(**given(options, SynthSettings))))
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

    answer(value, options.json, show)
    return 1 if errors else 0


def train(options: argparse.Namespace) -> int:
    """Trains one run; status 1 when its file and its program differ in an integer."""
    from aqtaudio import pipeline
    from aqtaudio.experiment import load_config
    from aqtaudio.settings import overlay

    experiment = overlay(load_config(options.config), _overrides(options.rest))
    run = pipeline.train(experiment, options.data, options.out, say)
    row = json.loads((run.path / "row.json").read_text())
    for runtime, metrics in row["metrics"].items():
        print(f"{runtime:>10}  {headline(metrics)}")
    if "parity" in row:
        print(f"    parity  {row['parity']['mismatches']} of {row['parity']['outputs']} differ")
    print(f"       run  {run.path}")
    return 1 if row.get("parity", {}).get("mismatches") else 0


HEADLINES = ("accuracy", "si_sdr_improvement_db", "pesq", "stoi", "dnsmos_ovrl")


def headline(metrics: dict[str, Any]) -> str:
    """The figures that a run is first asked for."""
    return "  ".join(f"{name} {metrics[name]:.4f}" for name in HEADLINES if name in metrics)


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


def adapt(options: argparse.Namespace) -> int:
    """Adapts a run to other words; status 1 when a file and its program differ in an integer."""
    from aqtaudio.adaptation.few_shot import FewShot, adapt
    from aqtaudio.run_directory import Run

    settings = FewShot(**given(options, FewShot))
    value = adapt(Run(options.path), options.data, settings, options.out, say)

    def show(value: dict[str, Any]) -> None:
        draws = len(value["draws"])
        print(f"{value['recordings']} recordings per command, draws: {draws}, {value['runtime']}")
        for title, key in (("commands", "accuracy_commands"), ("all classes", "accuracy")):
            before, after = value["before"][key], value["after"][key]
            spread = "" if after["std"] is None else f" +- {after['std']:.4f}"
            print(f"  {title:>11} {before['mean']:.4f} before, {after['mean']:.4f}{spread} after")
        print(f"  {options.out / 'adaptation.md'}")

    answer(value, options.json, show)
    return 1 if any(draw["mismatches"] for draw in value["draws"]) else 0


def evaluate(options: argparse.Namespace) -> int:
    """Evaluates a run."""
    from aqtaudio import evaluate as evaluation
    from aqtaudio.run_directory import Run

    run = Run(options.path)
    require_frontend(run, options.frontend)
    value = evaluation.evaluate(run, options.data, options.split, options.runtime, options.limit)

    def show(value: dict[str, Any]) -> None:
        metrics = value["metrics"]
        print(f"{value['runtime']} on {value['n']} clips of {value['split']}")
        _show_metrics(metrics)
        if "real_time_factor" in value:
            factor = value["real_time_factor"]
            print(f"  {factor:.3f} of the sound's time, hop by hop on this machine")
        if "macs_per_second" in value:
            print(f"  {value['macs_per_second'] / 1e6:.1f} million MACs per second")

    answer(value, options.json, show)
    return 0


def _show_metrics(metrics: dict[str, Any]) -> None:
    """Of keywords by class, of enhancement by SNR."""
    if "accuracy" in metrics:
        print(f"  accuracy {metrics['accuracy']:.4f}")
        for name, share in metrics["per_class"].items():
            print(f"  {name:>10} {share:.4f}")
        return
    from aqtaudio.enhancement_verbs import show_scores

    show_scores(metrics)


def listen(options: argparse.Namespace) -> int:
    """Prints detections as they happen; with --json, all of them at the end."""
    from aqtaudio.data import audio
    from aqtaudio.detection.detector import Detection, DetectorSettings
    from aqtaudio.listen import listen
    from aqtaudio.run_directory import Run

    run = Run(options.path)
    require_frontend(run, options.frontend)
    settings = DetectorSettings(**given(options, DetectorSettings))
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

    settings = DetectorSettings(**given(options, DetectorSettings))
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

    answer(value, options.json, show)
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

    answer(value, options.json, show)
    return 1 if value["mismatches"] else 0


def export(options: argparse.Namespace) -> int:
    """Writes an artifact folder."""
    from aqtaudio.export import export as write_artifact
    from aqtaudio.run_directory import Run

    print(write_artifact(Run(options.path), options.out, options.data))
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

    answer(value, options.json, show)
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

    answer(value, options.json, show)
    return 0


def sweep(options: argparse.Namespace) -> int:
    """Runs a study; status 1 when runs failed."""
    from aqtaudio.study.space import load_study
    from aqtaudio.sweep import sweep

    study = load_study(options.study)
    out = options.out or Path("results") / study.name
    engine = _engine(options)
    _end_as_ctrl_c()
    failed = sweep(study, options.data, out, engine, options.batch, options.resume, say=say)
    print(out / "report.html")
    return 1 if failed else 0


def _end_as_ctrl_c() -> None:
    """So that the jobs end too: clusters ask a launcher to end this way."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _engine(options: argparse.Namespace) -> Any:
    """Where the jobs of a sweep run."""
    if options.engine == "ray":
        try:
            from aqtaudio.study.ray_engine import Ray
        except ImportError as error:
            raise BadInput('--engine ray needs Ray: pip install "aqtaudio[ray]"') from error
        return Ray(options.address, options.workers, options.gpus_per_job)
    if options.address:
        raise BadInput("--address is of a Ray cluster: allowed with --engine ray")
    from aqtaudio.study.engine import Local

    share = 1.0 if options.gpus_per_job is None else options.gpus_per_job
    return Local(options.workers, share)


def choose(options: argparse.Namespace) -> int:
    """Prints and exports the best run under a budget; status 1 when nothing fits."""
    from aqtaudio.choose import artifact, chosen, in_words

    asked = {
        "file_bytes": options.max_flash,
        "arena_bytes": options.max_arena,
        "macs": options.max_macs,
        "bitops": options.max_bitops,
        "macs_per_second": options.max_macs_per_second,
    }
    limits = {axis: limit for axis, limit in asked.items() if limit is not None}
    value = chosen(options.folder, limits, options.metric)
    if best := value["best"]:
        value["artifact"] = str(artifact(options.folder, best, options.out, options.data))

    def show(value: dict[str, Any]) -> None:
        print("\n".join([*in_words(value), value["artifact"] or ""]).rstrip())

    answer(value, options.json, show)
    return 0 if best else 1


def report(options: argparse.Namespace) -> int:
    """Writes a study's report, or that of one study against another."""
    from aqtaudio.study.comparison import write_comparison
    from aqtaudio.study.report import write_report

    if options.out and not options.against:
        raise BadInput("report --out goes with --against: a study's own report is in its folder")
    if options.against:
        print(write_comparison(options.folder, options.against, options.out, options.metric))
    else:
        print(write_report(options.folder, options.metric))
    return 0
