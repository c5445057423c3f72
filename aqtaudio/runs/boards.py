"""Artifacts on every board at hand: what is measured is kept beside them."""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from aqtaudio.firmware import arena, self_test, tree
from aqtaudio.firmware.boards import BOARDS, Board
from aqtaudio.firmware.self_test import Result
from aqtaudio.runs import export
from aqtaudio.runs.run import BOARDS as MEASURED
from aqtaudio.runs.run import Run

Target = tuple[Board, tree.Library]
Row = dict[str, Any]


def targets(tflm: Path) -> list[Target]:
    """The boards that a tree has a library for, with each of its kernels."""
    tree.require(tflm)
    return [(board, library) for board in BOARDS for library in tree.libraries(tflm, board)]


def on_boards(
    run: Run,
    wanted: Sequence[Target],
    kept: Sequence[Row],
    tflm: Path,
    toolchain: str,
    say: Callable[[str], None],
) -> list[Row]:
    """A row per target: of `kept`, those that hold still; the others are measured.

    The least arena of every board is kept beside the artifact, and the bundle states it from then
    on; a row of a bundle that states something else does not hold.
    """
    rows = {(row["board"], row["kernels"]): row for row in kept}

    def measure(targets: Sequence[Target]) -> None:
        if targets:
            say(f"{run.path.name}: self-test on {', '.join(map(' '.join, map(_key, targets)))}")
            with tempfile.TemporaryDirectory() as scratch:
                found = _results(run, targets, tflm, toolchain, Path(scratch))
            rows.update({(row["board"], row["kernels"]): row for row in found})

    measure([target for target in wanted if _key(target) not in rows])
    stated = _stated(run, rows.values())
    measure([target for target in wanted if rows[_key(target)]["arena_bytes"] != stated(target)])
    return list(rows.values())


def _key(target: Target) -> tuple[str, str]:
    board, library = target
    return board.name, library.kernels


def _stated(run: Run, rows: Iterable[Row]) -> Callable[[Target], int]:
    """Keeps the least arenas of rows beside the artifact. What its bundle states now, by target."""
    known, digest = arena.read(run.path / MEASURED), arena.sha256(run.model)
    least = dict(known.least_arena_bytes) if known and known.model_sha256 == digest else {}
    for row in rows:
        least[row["board"]] = max(least.get(row["board"], 0), row["arena_least_bytes"] or 0)
    measured = arena.Measured(digest, least)
    if measured != known:
        arena.write(run.path / MEASURED, measured)
    row = json.loads((run.path / "row.json").read_text())
    stated = arena.stated(run.program, run.model, row["costs"]["arena_bytes"], measured)
    return lambda target: stated.narrow_bytes if target[0].emulated else stated.wide_bytes


def _results(
    run: Run, wanted: Sequence[Target], tflm: Path, toolchain: str, scratch: Path
) -> list[Row]:
    bundle = export.firmware_folder(run, scratch / "bundle")
    return [
        _row(run, self_test.run(bundle, board, library, tflm, toolchain, scratch / str(number)))
        for number, (board, library) in enumerate(wanted)
    ]


def _row(run: Run, result: Result) -> Row:
    row = json.loads((run.path / "row.json").read_text())
    setup = run.experiment.setup
    return dataclasses.asdict(result) | {
        "run_id": run.path.name,
        "model": row["model"],
        "width": row["width"],
        "precision": row["precision"],
        "model_sha256": arena.sha256(run.model),
        "file_bytes": len(run.model),
        "host_arena_bytes": row["costs"]["arena_bytes"],
        "audio_ms_per_call": setup.block_ms if setup.streams else setup.clip_ms,
    }
