"""Artifacts on every board at hand: what is measured is kept beside them."""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aqtaudio.firmware import arena, self_test, tree
from aqtaudio.firmware.boards import BOARDS, Board
from aqtaudio.firmware.self_test import Result
from aqtaudio.runs import export
from aqtaudio.runs.run import BOARDS as MEASURED
from aqtaudio.runs.run import Run

Target = tuple[Board, tree.Library]


def targets(tflm: Path) -> list[Target]:
    """The boards that a tree has a library for, with each of its kernels."""
    tree.require(tflm)
    return [(board, library) for board in BOARDS for library in tree.libraries(tflm, board)]


def on_boards(
    run: Run, wanted: Sequence[Target], tflm: Path, toolchain: str, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measures the least arena of an artifact on every board, keeps it, then runs the self-test of
    the bundle that states it. A row per board.
    """
    with tempfile.TemporaryDirectory() as scratch:
        known = arena.read(run.path / MEASURED)
        if known is None or known.model_sha256 != arena.sha256(run.model):
            say(f"{run.path.name}: least arena")
            found = _results(run, wanted, tflm, toolchain, Path(scratch) / "first")
            least: dict[str, int] = {}
            for result in found:
                size = result.arena_least_bytes or 0
                least[result.board] = max(size, least.get(result.board, 0))
            arena.write(run.path / MEASURED, arena.Measured(arena.sha256(run.model), least))
        say(f"{run.path.name}: self-test")
        found = _results(run, wanted, tflm, toolchain, Path(scratch) / "second")
    return [_row(run, result) for result in found]


def _results(
    run: Run, wanted: Sequence[Target], tflm: Path, toolchain: str, scratch: Path
) -> list[Result]:
    bundle = export.firmware_folder(run, scratch / "bundle")
    return [
        self_test.run(bundle, board, library, tflm, toolchain, scratch / str(number))
        for number, (board, library) in enumerate(wanted)
    ]


def _row(run: Run, result: Result) -> dict[str, Any]:
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
