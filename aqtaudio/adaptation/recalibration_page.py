"""A recalibration as a page of text: accuracies side by side, confusion matrices."""

from typing import Any

TITLES = {
    "before": "before: the run behind the target's front end",
    "matched": "matched: the run behind its own front end",
    "after": "after: recalibrated, behind the target's front end",
}


def markdown(value: dict[str, Any]) -> str:
    """The page of what `recalibrate` returns."""
    found = {name: value[name] for name in TITLES if value[name] is not None}
    parts = [
        "# Recalibration",
        f"{value['clips_evaluated']} validation clips, {value['runtime']}. Trained on "
        f"{value['clips_used']} recordings: {value['steps']['float']} float and "
        f"{value['steps']['quantized']} quantized steps.",
        f"Front ends: {value['differences'] or 'the same settings'}.",
        _accuracies(found),
        _input(value),
    ]
    for name, metrics in found.items():
        parts += [f"## Confusion, {TITLES[name]}", _confusion(metrics["confusion"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _accuracies(found: dict[str, dict[str, Any]]) -> str:
    rows = [["accuracy, %", *found], ["all", *(_percent(m["accuracy"]) for m in found.values())]]
    for word in found["after"]["per_class"]:
        rows.append([word, *(_percent(metrics["per_class"][word]) for metrics in found.values())])
    return _table(rows)


def _input(value: dict[str, Any]) -> str:
    scale, zero_point = value["input_scale"], value["input_zero_point"]
    if scale["after"] is None:
        return ""
    rows = [[side, f"{scale[side]:.6g}", str(zero_point[side])] for side in ("before", "after")]
    return _table([["input", "scale", "zero point"], *rows])


def _confusion(confusion: dict[str, Any]) -> str:
    classes = confusion["classes"]
    rows = [[name, *map(str, row)] for name, row in zip(classes, confusion["counts"], strict=True)]
    return _table([["said, heard as", *classes], *rows])


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _table(rows: list[list[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"| --- |{' ---: |' * (len(rows[0]) - 1)}", *body])
