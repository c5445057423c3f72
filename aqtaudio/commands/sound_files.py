"""A sound file, or a pipe, through a run: what `enhance` and `extend` share."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import positive
from aqtaudio.errors import BadInput

if TYPE_CHECKING:
    from aqtaudio.data.pipes import Raw
    from aqtaudio.runs.run import Run


def add(command: argparse.ArgumentParser, source: str) -> None:
    """What is read, what is written, by which run, and what raw samples are."""
    command.add_argument("source", metavar=source, help="-: standard input; IN.raw: samples")
    command.add_argument("target", metavar="OUT.wav|-", help="-: standard output")
    command.add_argument("path", type=Path, nargs="?", metavar="RUN", help="default: the study's")
    command.add_argument("--stream", action="store_true", help="a hop at a time, as a device")
    add_raw(command)
    command.add_argument("--png", type=Path, help="spectrograms; default: OUT.png")


def add_raw(command: argparse.ArgumentParser) -> None:
    """What samples without a header are."""
    command.add_argument(
        "--rate", type=positive, metavar="HZ", help="of raw 16-bit samples: IN.raw, -"
    )
    command.add_argument("--channels", type=positive, metavar="N", help="of raw samples (1)")


def require_source(options: argparse.Namespace) -> None:
    """Raises BadInput for a source and a target that cannot be."""
    if options.json and options.target == "-":
        raise BadInput("--json: standard output is the sound's; name a file")
    if options.source != "-" and not Path(options.source).is_file():
        raise BadInput(f"{options.source}: no such file")


def raw_of(options: argparse.Namespace) -> "Raw | None":
    """What raw samples are, where it is said. Raises BadInput for channels of no known rate."""
    from aqtaudio.data.pipes import Raw

    if options.channels and not options.rate:
        raise BadInput("--channels is of raw samples; needed: --rate HZ too")
    return Raw(options.rate, options.channels or 1) if options.rate else None


def best_of(study: Path) -> Path:
    """The artifact of a study that has the best quality."""
    from aqtaudio.study.headlines import main_metric
    from aqtaudio.study.measures import quality
    from aqtaudio.study.store import Store

    artifacts = study / "artifacts"
    rows = [row for row in Store(study).rows() if (artifacts / str(row["run_id"])).is_dir()]
    if not rows:
        raise BadInput("no run is named, and there is no study that has one: name a run directory")
    metric = main_metric(rows)
    best = max(rows, key=lambda row: quality(row, metric) or float("-inf"))
    return artifacts / str(best["run_id"])


def tell(options: argparse.Namespace, run: "Run", value: dict[str, Any]) -> int:
    """Prints what `tasks.sound_file.convert_file` did with a run."""
    line = say if options.target == "-" else print  # standard output is the sound's

    def show(value: dict[str, Any]) -> None:
        line(
            f"{value['out']}: {value['seconds']:.1f} s of {value['channels']} channels at "
            f"{value['sample_rate_hz']} Hz by {value['run']} ({value['runtime']})"
        )
        if value["clipped_samples"]:
            line(f"  {value['clipped_samples']:,} samples passed full scale and were clipped")
        line(
            f"  {value['real_time_factor']:.3f} of the recording's time, "
            f"{value['delay_ms']:.0f} ms behind it in a stream, beyond resampling"
        )
        if value["png"]:
            line(f"  {value['png']}: spectrograms before and after")

    answer(value | {"run": str(run.path), "runtime": options.runtime}, options.json, show)
    return 0
