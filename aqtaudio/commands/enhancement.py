"""aqtaudio enhance: noise suppression by a run; robustness, of any run."""

import argparse
import contextlib
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import (
    Verbs,
    add_data,
    add_json,
    add_run,
    add_runtime,
    add_split,
    positive,
    require_there,
)
from aqtaudio.errors import BadInput

if TYPE_CHECKING:
    from aqtaudio.data.pipes import Raw

STUDY = Path(__file__).parents[2] / "results/denoise"
"""Of a checkout: where no run is named, its best artifact enhances."""


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    _add_enhance(verbs)
    _add_robustness(verbs)


def _add_enhance(verbs: Verbs) -> None:
    text = "a recording without its noise; any rate and length"
    command = verbs.add("enhance", enhance, text)
    command.add_argument("source", metavar="IN.wav|-", help="-: standard input; IN.raw: samples")
    command.add_argument("target", metavar="OUT.wav|-", help="-: standard output")
    command.add_argument("path", type=Path, nargs="?", metavar="RUN", help="default: the study's")
    add_runtime(command)
    command.add_argument("--stream", action="store_true", help="a hop at a time, as a device")
    command.add_argument("--post-filter", type=float, metavar="BETA", help="0.02 is usual")
    command.add_argument("--attenuation-limit-db", type=float, metavar="DB")
    command.add_argument(
        "--rate", type=positive, metavar="HZ", help="of raw 16-bit samples: IN.raw, -"
    )
    command.add_argument("--channels", type=positive, metavar="N", help="of raw samples (1)")
    command.add_argument("--png", type=Path, help="spectrograms; default: OUT.png")
    add_json(command)


def enhance(options: argparse.Namespace) -> int:
    """A recording without its noise, and a picture of both."""
    raw = _raw(options)
    if options.path is not None:
        require_there(options.path)
    from aqtaudio.runs.network import network
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.enhancement.sound_file import enhance_file
    from aqtaudio.tasks.enhancement.stream import Enhancer
    from aqtaudio.tasks.enhancement.task import Enhancement, frontend_of

    run = Run(options.path or _default_run())
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

    how = options.stream, options.png, raw, say
    value = enhance_file(options.source, options.target, enhancers, *how)
    value |= {"run": str(run.path), "runtime": options.runtime}

    tell = say if options.target == "-" else print  # standard output is the sound's

    def show(value: dict[str, Any]) -> None:
        tell(
            f"{value['out']}: {value['seconds']:.1f} s of {value['channels']} channels at "
            f"{value['sample_rate_hz']} Hz by {value['run']} ({value['runtime']})"
        )
        if value["clipped_samples"]:
            tell(f"  {value['clipped_samples']:,} samples passed full scale and were clipped")
        tell(
            f"  {value['real_time_factor']:.3f} of the recording's time, "
            f"{value['delay_ms']:.0f} ms behind it in a stream"
        )
        if value["png"]:
            tell(f"  {value['png']}: spectrograms before and after")

    answer(value, options.json, show)
    return 0


def _raw(options: argparse.Namespace) -> "Raw | None":
    """What raw samples are, where it is said. Raises BadInput for what cannot go together."""
    from aqtaudio.data.pipes import Raw

    if options.json and options.target == "-":
        raise BadInput("--json: standard output is the sound's; name a file")
    if options.source != "-" and not Path(options.source).is_file():
        raise BadInput(f"{options.source}: no such file")
    if options.channels and not options.rate:
        raise BadInput("--channels is of raw samples; needed: --rate HZ too")
    return Raw(options.rate, options.channels or 1) if options.rate else None


def _default_run() -> Path:
    """The artifact of the study that has the best quality."""
    from aqtaudio.study.headlines import main_metric
    from aqtaudio.study.measures import quality
    from aqtaudio.study.store import Store

    artifacts = STUDY / "artifacts"
    rows = [row for row in Store(STUDY).rows() if (artifacts / str(row["run_id"])).is_dir()]
    if not rows:
        raise BadInput("no run is named, and there is no study that has one: name a run directory")
    metric = main_metric(rows)
    best = max(rows, key=lambda row: quality(row, metric) or -math.inf)
    return artifacts / str(best["run_id"])


def _add_robustness(verbs: Verbs) -> None:
    text = "what levels, level steps, DC, clipping and noise do to a run"
    command = verbs.add("robustness", robustness, text)
    add_run(command)
    add_data(command)
    add_split(command)
    add_runtime(command)
    command.add_argument("--limit", type=positive, metavar="N")
    add_json(command)


def robustness(options: argparse.Namespace) -> int:
    """Levels and level steps; of a run of keywords, also what else they may go through."""
    require_there(options.path, options.data)
    from aqtaudio.commands.keywords import robustness_of_keywords
    from aqtaudio.runs.network import network
    from aqtaudio.runs.run import Run
    from aqtaudio.tasks.enhancement.robustness import robustness
    from aqtaudio.tasks.enhancement.task import Enhancement
    from aqtaudio.tasks.keywords.task import Keywords

    run, split = Run(options.path), options.split
    if isinstance(run.experiment.task, Keywords):
        return robustness_of_keywords(run, run.experiment.task, options)
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
