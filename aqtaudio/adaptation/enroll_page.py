"""What was enrolled, as a page of text."""

from collections.abc import Mapping, Sequence
from typing import Any

SURE_PHONES = 8
"""A phrase of fewer phones rings on more of running speech."""


def markdown(value: Mapping[str, Any]) -> str:
    """The page of what `enroll` returns."""
    names = [one["text"] for one in value["keywords"]]
    rows = ["| keyword | phones | threshold | found on |", "| --- | --- | ---: | --- |"]
    for one in value["keywords"]:
        rows.append(
            f"| {one['text']} | {one['phones']} | {one['threshold']:.3f} | {_found(one['found'])} |"
        )
    parts = [
        f"# {', '.join(names)}",
        "What was understood:\n\n"
        + "\n".join(f"- {one['understood']}" for one in value["keywords"]),
        "\n".join(rows),
        f"Thresholds are for {value['false_alarms_per_hour']:g} false alarms per hour of each "
        "keyword.",
        _training(value["keywords"]),
        f"The file has {value['file_bytes']:,} bytes, {value['weight_bytes']:,} of them weights; "
        f"{value['filter_bytes']:,} are those of the keywords. It takes "
        f"{value['macs_per_s'] / 1e6:.1f} million products per second, "
        f"{value['filter_macs_per_s'] / 1e6:.2f} of them for the keywords.",
        "## What to do next\n",
        "\n".join(_next(value)),
    ]
    return "\n\n".join(parts) + "\n"


def warnings(value: Mapping[str, Any]) -> list[str]:
    """A line for each keyword that is a poor choice."""
    return [
        f"{one['text']}: {one['phones']} phones; running speech holds what sounds like it. Add a "
        f"word: from {SURE_PHONES} phones on it is surer"
        for one in value["keywords"]
        if one["phones"] < SURE_PHONES
    ]


def _training(keywords: Sequence[Mapping[str, Any]]) -> str:
    """What training brought, where there was any."""
    lines = [
        f"- {one['text']}: trained on {told['clips']} clips. Of recordings that training did not "
        "hear, at few alarms in other sound, the filter of the text finds "
        f"{_rates(told['before'])}; this one {_rates(told['after'])}."
        for one in keywords
        if (told := one["refined"])
    ]
    if lines:
        return "\n".join(lines)
    return (
        "Nobody recorded the keywords, so no recall can be told here: `aqtaudio detect` tells it "
        "of recordings."
    )


def _rates(told: Mapping[str, float | None]) -> str:
    found, wrong = told["found"], told["wrong"]
    rings = f"rings on {100 * wrong:.0f} % of neighbours" if wrong is not None else ""
    return f"{100 * (found or 0.0):.0f} % (and {rings or 'no neighbours were there'})"


def _found(found: Mapping[str, Any]) -> str:
    how = {"tail": "the tail of", "count": "alarms in", "guess": "a guess, with too little of"}
    return f"{how[found['by']]} {found['hours']:.2f} h ({found['audio']})"


def _next(value: Mapping[str, Any]) -> list[str]:
    run = value["detector"]
    lines = [f"- {line}." for line in warnings(value)]
    return [
        *lines,
        f"- Try it: `aqtaudio listen {run} -` reads 16 kHz samples of a microphone.",
        f"- Ship it: `aqtaudio export {run} --out BUNDLE`.",
        f'- One more keyword: `aqtaudio enroll {run} --add "..." --out ARTIFACT`; the others stay '
        "as they are, to the bit.",
        "- More hours of your own sound as --negatives make thresholds surer.",
        "- Surer, in minutes: `--refine` trains the filters on synthetic voices, `--recordings "
        'DIR` on people; `aqtaudio wake "..."` trains a larger detector.',
    ]
