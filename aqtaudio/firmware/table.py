"""docs/boards.md: artifacts on boards, from the rows of `runs.boards`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aqtaudio.firmware.boards import BOARDS, EXACT_SINCE

Row = Mapping[str, Any]
RANDOM = "random_programs.json"
"""Beside the document: what random programs gave on a kernel library (`tests/program`)."""

HEAD = f"""\
# Boards

Written by `aqtaudio firmware boards`: the self-test of artifacts, built against TensorFlow
Lite Micro {EXACT_SINCE}, run on this machine (`host`, 64-bit) and on boards that QEMU emulates:
`mps3-an547`, a Cortex-M55 with vectors (MVE), and `mps2-an386`, a Cortex-M4 with DSP instructions.
"differ": golden output codes that differ, of so many. "stated": `kArenaBytes` of the bundle;
"used": after loading; "least": in which the model loads; "over": stated over least. Instructions
are those of one call; they differ by a few from build to build.

"""
CYCLES = """
## Instructions per second of audio

And the share of a processor that they are **at one instruction per cycle**: a bound that no
processor reaches (memory, multi-cycle instructions), not a measurement of cycles. Clips: one call
per clip of so much audio.

"""


def text(rows: Sequence[Row], random: Mapping[str, Any] | None = None) -> str:
    """The document. `random`: what `RANDOM` holds."""
    return HEAD + _random(random) + _results(rows) + CYCLES + _instructions(rows)


def _random(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    return (
        f"Random programs of the vocabulary on the host's {found['kernels']} kernels: "
        f"{found['differ']} of {found['codes']:,} codes of {found['programs']} programs differ.\n\n"
    )


def _results(rows: Iterable[Row]) -> str:
    heads = (
        *("study", "run", "model", "board", "kernels", "differ", "of"),
        *("stated, B", "used, B", "least, B", "over", "instructions"),
    )
    return _table(heads, map(_result, rows))


def _result(row: Row) -> Sequence[str]:
    counted = row["unit"] == "instructions"
    over = _over(row)
    return (
        row["study"],
        row["run_id"],
        f"{row['model']} {row['width'] or ''} {row['precision']}",
        row["board"],
        row["kernels"],
        row["failure"] if row["mismatches"] is None else f"{row['mismatches']:,}",
        _number(row["outputs"]),
        _number(row["arena_bytes"]),
        _number(row["arena_used_bytes"]),
        _number(row["arena_least_bytes"]),
        "" if over is None else f"{over:.1%}",
        _number(row["per_call"]) if counted else "",
    )


def _over(row: Row) -> float | None:
    least = row["arena_least_bytes"]
    return row["arena_bytes"] / least - 1 if least else None


def _instructions(rows: Iterable[Row]) -> str:
    clocks = {board.name: board for board in BOARDS if board.emulated}
    heads = ("study", "run", "model", "board", "audio of a call", "million a second", "share")
    lines = []
    for row in rows:
        if row["board"] not in clocks or row["per_call"] is None:
            continue
        board = clocks[row["board"]]
        rate = row["per_call"] * 1000 / row["audio_ms_per_call"]
        lines.append(
            (
                row["study"],
                row["run_id"],
                f"{row['model']} {row['width'] or ''} {row['precision']}",
                row["board"],
                f"{row['audio_ms_per_call']:g} ms",
                f"{rate / 1e6:.2f}",
                f"{rate / board.clock_hz:.1%} of {board.clock_hz / 1e6:.0f} MHz",
            )
        )
    return _table(heads, lines)


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    all_lines = [heads, ["---"] * len(heads), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in all_lines)


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
