"""aqtaudio enhance: noise suppression by a run; robustness, of any run."""

import argparse
import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aqtaudio.commands import sound_files
from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import (
    RUNTIMES,
    Verbs,
    add_data,
    add_json,
    add_run,
    add_runtime,
    add_split,
    positive,
    require_there,
)

STUDY = Path(__file__).parents[2] / "results/denoise"
"""Of a checkout: where no run is named, its best artifact enhances."""


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    _add_enhance(verbs)
    _add_robustness(verbs)


def _add_enhance(verbs: Verbs) -> None:
    text = "a recording without its noise; any rate and length"
    command = verbs.add("enhance", enhance, text)
    sound_files.add(command, "IN.wav|-")
    command.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="default: the one that starts fastest with the program's integers",
    )
    command.add_argument("--post-filter", type=float, metavar="BETA", help="0.02 is usual")
    command.add_argument("--attenuation-limit-db", type=float, metavar="DB")
    add_json(command)


def enhance(options: argparse.Namespace) -> int:
    """A recording without its noise, and a picture of both."""
    raw = sound_files.raw_of(options)
    if options.path is not None:
        require_there(options.path)
    from aqtaudio.runs.network import network, quickest
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.enhancement.stream import Enhancer
    from aqtaudio.tasks.enhancement.task import Enhancement, frontend_of
    from aqtaudio.tasks.sound_file import convert_file

    run = Run(options.path or sound_files.best_of(STUDY))
    options.runtime = options.runtime or quickest(run)
    setup = run.experiment.setup
    filtering = Enhancement.of(run.experiment.task, run.path).filtering
    changes = {"post_filter": options.post_filter}
    changes |= {"attenuation_limit_db": options.attenuation_limit_db}
    changes = {name: value for name, value in changes.items() if value is not None}
    filtering = dataclasses.replace(filtering, **changes)

    @contextlib.contextmanager
    def enhancers() -> Iterator[Enhancer]:
        with network(run, options.runtime) as opened:
            yield Enhancer(opened, setup.block_frames, frontend_of(setup), filtering)

    value = convert_file(
        options.source, options.target, enhancers, options.stream, options.png, raw, say
    )
    return sound_files.tell(options, run, value)


def _add_robustness(verbs: Verbs) -> None:
    text = "what levels, steps of them, DC, clipping, noise or telephone lines do to a run"
    command = verbs.add("robustness", robustness, text)
    add_run(command)
    add_data(command)
    add_split(command)
    add_runtime(command)
    command.add_argument("--limit", type=positive, metavar="N")
    add_json(command)


def robustness(options: argparse.Namespace) -> int:
    """Levels and level steps; of keywords also what else they may go through; telephone lines."""
    require_there(options.path, options.data)
    from aqtaudio.commands.bandwidth import robustness_of_bandwidth
    from aqtaudio.commands.keywords import robustness_of_keywords
    from aqtaudio.runs.network import network
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.bandwidth.task import Bandwidth
    from aqtaudio.tasks.enhancement.robustness import robustness
    from aqtaudio.tasks.enhancement.task import Enhancement
    from aqtaudio.tasks.keywords.task import Keywords

    run, split = Run(options.path), options.split
    if isinstance(run.experiment.task, Keywords):
        return robustness_of_keywords(run, run.experiment.task, options)
    if isinstance(run.experiment.task, Bandwidth):
        return robustness_of_bandwidth(run, options)
    task, setup = Enhancement.of(run.experiment.task, run.path), run.experiment.setup
    data = task.load(options.data, setup, (split,))
    items = run.items(data, split)[: options.limit]
    with network(run, options.runtime) as opened:
        value = {"runtime": options.runtime, "split": split}
        value |= robustness(opened, task, data, items, setup)
    answer(value, options.json, _show)
    return 0


def _show(value: dict[str, Any]) -> None:
    print(f"{value['runtime']} on {value['n']} mixtures of {value['split']}")
    for row in value["levels"]:
        print(
            f"  {row['level_dbfs']:6.0f} dBFS  SI-SDR {_signed(row, 'si_sdr_improvement_db')} "
            f"dB better, output {_signed(row, 'output_ratio_db')} dB"
        )
    for row in value["steps"]:
        times = (row["recovery_ms_median"], row["recovery_ms_worst"])
        median, worst = ("never" if t is None else f"{t:.0f} ms" for t in times)
        lost = _signed(row, "loss_0_500_ms_db").removeprefix("+")
        print(
            f"  {row['step_db']:+6.0f} dB    {lost} dB lost in 500 ms; "
            f"recovered after {median} (median), {worst} (worst), "
            f"{100 * row['recovered_within_100_ms']:.0f} % within 100 ms"
        )


def _signed(row: dict[str, Any], name: str) -> str:
    return f"{row[name]:+.1f}" if name in row else "?"
