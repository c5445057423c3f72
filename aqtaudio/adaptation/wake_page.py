"""What a detector of phrases is worth, as a page of text."""

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(value: Mapping[str, Any]) -> str:
    """The page of what `wake` returns."""
    words, found = value["phrases"], value["detect"]
    speech = [line for line in found["negatives"] if line["kind"] == "speech"]
    hours = sum(line["hours"] for line in found["negatives"] if line["kind"] != "words")
    parts = [
        f"# {', '.join(words)}",
        f"Voices: {value['voices']}. The file has {value['file_bytes']:,} bytes. Thresholds were "
        f"found on one half of {hours:.2f} h without the phrases, for "
        f"{found['asked_false_alarms_per_hour']:g} false alarms per hour each; the other half "
        "measured.",
        _phrases(found["words"]),
        _alarms("All of it, all phrases together", found["background"]),
        *(_alarms("Running speech", line) for line in speech),
        "## By level and noise\n\nShare of validation clips that pass the thresholds.",
        _conditions(words, value["conditions"]),
        "## What else rings\n\nIn validation scenes, at the threshold of the same rate there.",
        _confusions(value["scenes"]),
        "## What to do next\n",
        _next(value),
    ]
    return "\n\n".join(parts) + "\n"


def _phrases(words: Mapping[str, Any]) -> str:
    rows = [["phrase", "threshold", "found in sound, %", "of", "false alarms", "in h", "per hour"]]
    for word, of in words.items():
        scene, alone = of["scene"], of["measured"]
        low, high = (100 * (1 - share) for share in reversed(scene["miss_rate_interval"]))
        share = 100 * (1 - scene["miss_rate"])
        least, most = alone["false_alarms_per_hour_interval"]
        rows.append(
            [
                word,
                f"{of['threshold']:.4f}",
                f"{share:.1f} ({low:.1f} to {high:.1f})",
                str(scene["events"]),
                str(alone["false_alarms"]),
                f"{alone['hours']:.2f}",
                f"{alone['false_alarms_per_hour']:.1f} ({least:.1f} to {most:.1f})",
            ]
        )
    return _table(rows)


def _alarms(name: str, figures: Mapping[str, Any]) -> str:
    if not figures["hours"]:
        return f"{name}: none there."
    low, high = figures["false_alarms_per_hour_interval"]
    return (
        f"{name}: {figures['false_alarms']} false alarms in {figures['hours']:.2f} h, "
        f"{figures['false_alarms_per_hour']:.1f} per hour ({low:.1f} to {high:.1f})."
    )


def _conditions(words: Sequence[str], shares: Mapping[str, Mapping[str, float]]) -> str:
    rows = [["", *words]]
    rows += [[name, *(f"{100 * of[word]:.0f} %" for word in words)] for name, of in shares.items()]
    return _table(rows)


def _confusions(words: Mapping[str, Any]) -> str:
    rows = [["phrase", "neighbours that ring", "other words that ring", "most"]]
    for word, of in words.items():
        counts = [
            f"{of[kind]['ring']} of {of[kind]['n']}" for kind in ("neighbours", "other_words")
        ]
        rows.append([word, *counts, ", ".join(of["rings_on"]) or "-"])
    return _table(rows)


def _next(value: Mapping[str, Any]) -> str:
    run = value["detector"]
    lines = [
        f"- Try it: `aqtaudio listen {run} -` reads 16 kHz samples of a microphone.",
        f"- Ship it: `aqtaudio export {run} --out BUNDLE`.",
        "- More hours of your own sound as --negatives make the threshold surer; recordings of the "
        "phrase as --recordings make it yours.",
    ]
    if value["voices"] == "espeak":
        lines.append(
            "- Neural voices (extra `voices`, --voices kokoro) find more: a head trained on them "
            "heard people whom one trained on espeak's did not."
        )
    return "\n".join(lines)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"| --- |{' ---: |' * (len(rows[0]) - 1)}", *body])
