"""How qualities are called and written, and which are told together."""

from __future__ import annotations

from collections.abc import Mapping

from aqtaudio.study.measures import Interval, is_share

TITLES: Mapping[str, str] = {
    "pesq": "PESQ (wide band)",
    "si_sdr_db": "SI-SDR, dB",
    "si_sdr_improvement_db": "SI-SDR improvement, dB",
    "stoi": "STOI",
    "dnsmos_ovrl": "DNSMOS OVRL",
    "dnsmos_sig": "DNSMOS SIG",
    "dnsmos_bak": "DNSMOS BAK",
    "dnsmos_p808": "DNSMOS P.808",
}
"""Of enhanced speech. Other metrics are called by their key."""
_TOGETHER = ("pesq", "si_sdr_improvement_db", "stoi", "dnsmos_ovrl")


def title(metric: str) -> str:
    """What people call it."""
    return TITLES.get(metric, metric)


def told_beside(metric: str) -> list[str]:
    """The metrics to be told with one of enhanced speech; none with others.

    Each of them alone can be had at the cost of the others: silence has a fair DNSMOS.
    """
    return [key for key in _TOGETHER if key != metric] if metric in TITLES else []


def fronts_beside(metric: str) -> list[str]:
    """The metrics that a study has a front of file size of, beside those of its main one."""
    return [key for key in told_beside(metric) if key == "dnsmos_ovrl"]


def written(
    metric: str, value: float | None, spread: float | None = None, interval: Interval | None = None
) -> str:
    """`94.00 % ± 0.12`, `2.183 ± 0.014 [2.036, 2.326]`; nothing for None."""
    if value is None:
        return ""
    if is_share(metric, [value]):
        text, scale, form = f"{100 * value:.2f} %", 100, ".2f"
    else:
        text, scale, form = f"{value:#.4g}", 1, "#.2g"
    text += "" if spread is None else f" ± {scale * spread:{form}}"
    if interval is not None:
        low, high = (f"{100 * end:.2f}" if scale == 100 else f"{end:#.4g}" for end in interval)
        text += f" [{low}, {high}]"
    return text
