"""What the commands below `aqtaudio frontend` do; as `verbs`."""

import argparse
import contextlib
from pathlib import Path
from typing import Any

from aqtaudio.errors import BadInput
from aqtaudio.verbs import answer, given, say


def compare(options: argparse.Namespace) -> int:
    """Tells how two front ends differ on recordings."""
    from aqtaudio.adaptation.compare import compare
    from aqtaudio.data.new_folder import new_folder
    from aqtaudio.frontend_choice import frontend_of
    from aqtaudio.run_directory import Run

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
        if value["run"]:
            _show_run(value["run"])

    answer(found.figures, options.json, show)
    return 0


def recalibrate(options: argparse.Namespace) -> int:
    """Trains a run on for another front end; status 1 when its file and its program differ."""
    from aqtaudio.adaptation.recalibrate import TrainingSettings, recalibrate
    from aqtaudio.adaptation.recalibration_page import markdown
    from aqtaudio.data import manifest
    from aqtaudio.frontend_choice import frontend_of
    from aqtaudio.run_directory import Run

    target, folder = frontend_of(options.to), options.data
    if folder is None:
        folder = Path(options.to)
        if not (folder / manifest.NAME).is_file():
            raise BadInput("--data is needed, but where --to is a folder of dumped features")
    settings = TrainingSettings(**given(options, TrainingSettings))
    tell = (lambda text: None) if options.json else say
    value = recalibrate(Run(options.path), target, folder, options.out, settings, tell)
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


def _show_run(effect: dict[str, Any]) -> None:
    """Accuracies and confusion matrices."""
    for side in ("a", "b"):
        metrics = effect[side]
        accuracy = metrics["accuracy"]
        print(f"{effect['path']} ({effect['runtime']}) on {side.upper()}: accuracy {accuracy:.4f}")
        classes, counts = metrics["confusion"]["classes"], metrics["confusion"]["counts"]
        width = max(5, *(len(name) + 1 for name in classes))
        print(" " * (width + 2) + "".join(f"{name:>{width}}" for name in classes) + "  (heard)")
        for name, row in zip(classes, counts, strict=True):
            print(f"  {name:>{width}}" + "".join(f"{count:>{width}}" for count in row))
