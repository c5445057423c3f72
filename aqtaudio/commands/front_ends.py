"""aqtaudio frontend: front ends of devices, compared and followed."""

import argparse
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import (
    Verbs,
    add_data,
    add_json,
    add_run,
    add_split,
    given,
    positive,
    require_checkpoint,
    require_there,
)
from aqtaudio.errors import BadInput


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    group = verbs.group("frontend", "front ends of devices: compare, follow")
    _add_compare(group)
    _add_recalibrate(group)


def _add_compare(verbs: Verbs) -> None:
    command = verbs.add("compare", compare, "how two front ends differ on recordings")
    command.add_argument("a", metavar="A", help="a name, a run, a config or a frontend.json")
    command.add_argument("b", metavar="B")
    add_data(command)
    add_split(command)
    command.add_argument(
        "--run", type=Path, metavar="RUN", dest="run_folder", help="its accuracy under both"
    )
    command.add_argument("--limit", type=positive, metavar="N")
    command.add_argument("--worst", type=positive, default=5, metavar="N")
    command.add_argument("--out", type=Path, metavar="DIR", help="for pictures and JSON")
    add_json(command)


def compare(options: argparse.Namespace) -> int:
    """Tells how two front ends differ on recordings."""
    require_there(options.run_folder, options.data)
    from aqtaudio.adaptation.compare import compare
    from aqtaudio.files import new_folder
    from aqtaudio.runs.frontend_named import frontend_of
    from aqtaudio.runs.run import Run

    names = (options.a, options.b)
    front_ends = (frontend_of(options.a), frontend_of(options.b))
    run = None if options.run_folder is None else Run(options.run_folder)
    with contextlib.ExitStack() as opened:
        folder = opened.enter_context(new_folder(options.out)) if options.out else None
        found = compare(front_ends, options.data, options.split, run, options.limit, options.worst)
        if folder:
            from aqtaudio.adaptation.compare_figures import write  # matplotlib

            write(found, names, folder)

    def show(value: dict[str, Any]) -> None:
        print(f"A {options.a}, B {options.b}, on {value['n']} clips of {value['split']}")
        _show_features(value)
        _show_worst(value)
        if run is not None:
            _show_run(value["run"], run.experiment.task.headlines.line)

    answer(found.figures, options.json, show)
    return 0


def _add_recalibrate(verbs: Verbs) -> None:
    command = verbs.add("recalibrate", recalibrate, "train a run on for another front end")
    add_run(command)
    command.add_argument(
        "--to",
        required=True,
        metavar="FRONTEND",
        help="a name, a run, a config, a frontend.json or a folder of dumped features",
    )
    add_data(command, "default: the folder of dumped features; recordings", required=False)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--steps", type=int, metavar="N", help="of the float phase")
    command.add_argument("--finetune-steps", type=int, metavar="N", help="of the quantized phase")
    command.add_argument("--learning-rate", type=float, metavar="X", help="of the float phase")
    add_json(command)


def recalibrate(options: argparse.Namespace) -> int:
    """Trains a run on for another front end; status 1 when its file and its program differ."""
    require_there(options.path, options.data)
    require_checkpoint(options.path)
    from aqtaudio.adaptation.recalibrate import TrainingSettings, recalibrate
    from aqtaudio.adaptation.recalibration_page import markdown
    from aqtaudio.data import manifest
    from aqtaudio.runs.frontend_named import frontend_of
    from aqtaudio.runs.run import Run

    target, folders = frontend_of(options.to), options.data
    if not folders:
        folders = [Path(options.to)]
        if not (folders[0] / manifest.NAME).is_file():
            raise BadInput("--data is needed, but where --to is a folder of dumped features")
    settings = TrainingSettings(**given(options, TrainingSettings))
    tell = (lambda text: None) if options.json else say
    value = recalibrate(Run(options.path), target, folders, options.out, settings, tell)
    answer(value, options.json, lambda value: print(markdown(value)))
    return 1 if value["parity"] and value["parity"]["mismatches"] else 0


def _show_features(value: dict[str, Any]) -> None:
    """The settings and the table of bands."""
    print(f"  settings: {value['differences'] or 'the same'}")
    frames = value["frames"], value["a"]["frames"], value["b"]["frames"]
    if len(set(frames)) > 1:
        print(f"  the first {frames[0]} frames of a clip: A has {frames[1]}, B has {frames[2]}")
    print(
        f"  {100 * value['differing_share']:.4g} % of the values differ; |B - A| is "
        f"{value['mean_abs_diff']:.4g} in the mean, {value['max_abs_diff']:.4g} at most"
    )
    keys = ("mean_a", "std_a", "mean_b", "std_b", "mean_diff", "mean_abs_diff", "max_abs_diff")
    titles = ("mean A", "std A", "mean B", "std B", "B - A", "|B - A|", "largest", "correl.")
    print("  band" + "".join(f"{title:>9}" for title in titles))
    for band in value["bands"]:
        numbers = [band[key] for key in (*keys, "correlation")]
        cells = ("-" if number is None else f"{number:.4f}" for number in numbers)
        print(f"  {band['band']:>4}" + "".join(f"{cell:>9}" for cell in cells))


def _show_worst(value: dict[str, Any]) -> None:
    if value["worst"]:
        print("  clips that differ most: |B - A|, start, recording")
    for clip in value["worst"]:
        start_s = clip["start_sample"] / value["sample_rate_hz"]
        print(f"  {clip['mean_abs_diff']:9.4f} {start_s:7.2f} s  {clip['path']}")


def _show_run(effect: dict[str, Any], line: Callable[[dict[str, Any]], str]) -> None:
    """Accuracies and confusion matrices."""
    for side in ("a", "b"):
        metrics = effect[side]
        print(f"{effect['path']} ({effect['runtime']}) on {side.upper()}: {line(metrics)}")
        classes, counts = metrics["confusion"]["classes"], metrics["confusion"]["counts"]
        width = max(5, *(len(name) + 1 for name in classes))
        print(" " * (width + 2) + "".join(f"{name:>{width}}" for name in classes) + "  (heard)")
        for name, row in zip(classes, counts, strict=True):
            print(f"  {name:>{width}}" + "".join(f"{count:>{width}}" for count in row))
