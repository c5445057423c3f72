"""What an adaptation found, as adaptation.json and, for people, adaptation.md."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aqtaudio.files import write as write_file
from aqtaudio.files import write_json


def write(value: dict[str, Any], out: Path) -> None:
    """Writes both files below `out`, each whole or not at all."""
    write_json(out / "adaptation.json", value)
    write_file(out / "adaptation.md", "\n".join(lines(value)) + "\n")


SHARES = (("commands", "accuracy_commands"), ("all classes", "accuracy"))


def in_words(value: dict[str, Any]) -> list[str]:
    """What `adapt` prints."""
    draws = len(value["draws"])
    told = [f"{value['recordings']} recordings per command, draws: {draws}, {value['runtime']}"]
    for title, key in SHARES:
        before, after = value["before"][key], value["after"][key]
        spread = "" if after["std"] is None else f" +- {after['std']:.4f}"
        told.append(f"  {title:>11} {before['mean']:.4f} before, {after['mean']:.4f}{spread} after")
    return told


def lines(value: dict[str, Any]) -> list[str]:
    """The report in Markdown."""
    draws, held = len(value["draws"]), value["held_out"]
    start = "the run as it is" if value["knows_the_words"] else "logits that know no word"
    return [
        f"# Few-shot adaptation: commands {len(value['words'])}, recordings of each "
        f"{value['recordings']}",
        "",
        f"Run {value['run']}, adapted on {value['data']}: {value['recordings']} recordings per "
        f"command, {held} of them held out to stop training; draws: {draws}, seed {value['seed']}. "
        f"Trained layers: `{value['layers']}`. Accuracies on split val ({value['commands']} "
        f"recordings of commands, {value['n']} clips with unknown and silence), runtime "
        f"{value['runtime']}. Before is {start}; chance is {_percent(value['chance'])} %.",
        "",
        *_accuracies(value),
        "",
        *_confusion(value["confusion"]),
    ]


def _accuracies(value: dict[str, Any]) -> list[str]:
    rows = [
        _row(
            name,
            *(_spread(value[when][key]) for when in ("before", "after")),
            *(_percent(draw["after"][key]) for draw in value["draws"]),
        )
        for name, key in SHARES
    ]
    titles = (f"draw {draw['draw']}" for draw in value["draws"])
    head = _row("accuracy, %", "before", "after", *titles)
    return [head, _row("---", *["---:"] * (2 + len(value["draws"]))), *rows]


def _confusion(confusion: dict[str, Any]) -> list[str]:
    classes, counts = confusion["classes"], confusion["counts"]
    rows = [_row(name, *map(str, row)) for name, row in zip(classes, counts, strict=True)]
    head = _row("said, heard as", *classes)
    title = "Confusion matrix after adaptation, all draws together (rows: what was said):"
    return [title, "", head, _row("---", *["---:"] * len(classes)), *rows]


def _spread(value: dict[str, float | None]) -> str:
    mean = _percent(value["mean"])
    if value["std"] is None:
        return mean
    return (
        f"{mean} ± {_percent(value['std'])} ({_percent(value['min'])} to {_percent(value['max'])})"
    )


def _percent(share: float | None) -> str:
    return f"{100 * (share or 0.0):.1f}"


def _row(first: str, *rest: str | Iterable[str]) -> str:
    return f"| {' | '.join([first, *map(str, rest)])} |"
