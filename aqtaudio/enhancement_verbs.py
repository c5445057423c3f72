"""What the commands of noise suppression do; as `verbs`."""

import argparse
import math
from typing import Any

from aqtaudio.verbs import answer, headline, say


def enhance(options: argparse.Namespace) -> int:
    """A recording without its noise, and a picture of both."""
    from aqtaudio.enhance_file import enhance_file

    value = enhance_file(
        options.source,
        options.target,
        options.path,
        options.runtime,
        options.stream,
        options.post_filter,
        options.attenuation_limit_db,
        options.png,
    )

    def show(value: dict[str, Any]) -> None:
        print(
            f"{value['out']}: {value['seconds']:.1f} s of {value['channels']} channels at "
            f"{value['sample_rate_hz']} Hz by {value['run']} ({value['runtime']})"
        )
        print(
            f"  {value['real_time_factor']:.3f} of the recording's time, "
            f"{value['delay_ms']:.0f} ms behind it in a stream"
        )
        print(f"  {value['png']}: spectrograms before and after")

    answer(value, options.json, show)
    return 0


def robustness(options: argparse.Namespace) -> int:
    """Levels and level steps."""
    from aqtaudio.robustness import robustness
    from aqtaudio.run_directory import Run

    value = robustness(
        Run(options.path), options.data, options.split, options.runtime, options.limit
    )

    def show(value: dict[str, Any]) -> None:
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

    answer(value, options.json, show)
    return 0


def _signed(row: dict[str, Any], name: str) -> str:
    return f"{row[name]:+.1f}" if name in row else "?"


def show_scores(metrics: dict[str, Any]) -> None:
    """Means with their intervals, and by SNR."""
    intervals = metrics["intervals"]
    for name, count in metrics["n"].items():
        if not count:
            print(f"  {name:<22} no mixture has a score")
            continue
        low, high = intervals.get(name, (math.nan, math.nan))
        left_out = metrics.get("left_out", {}).get(name)
        unscored = f", {left_out} without a score" if left_out else ""
        print(f"  {name:<22} {metrics[name]:7.3f}  [{low:.3f}, {high:.3f}]{unscored}")
    if "pesq" not in metrics["n"]:
        from aqtaudio.enhancement.metrics import INSTALL

        say(f"PESQ, STOI and DNSMOS: {INSTALL}")
    for snr_db, found in metrics["per_snr"].items():
        print(f"  at {snr_db:>3} dB: {headline(found)}")
