"""aqtaudio firmware test, boards: runs on the kernels and boards that they will be served on."""

import argparse
import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from aqtaudio.commands.answers import answer, say
from aqtaudio.commands.arguments import Verbs, add_json, require_there
from aqtaudio.errors import BadInput
from aqtaudio.files import write

TREE_VARIABLE = "AQTAUDIO_TFLM"


def add(verbs: Verbs) -> None:
    """The verbs of this file."""
    from aqtaudio.firmware.boards import NAMES
    from aqtaudio.firmware.tree import KERNELS

    group = verbs.group("firmware", "a run on the kernels and boards that it will be served on")
    command = group.add("test", test, "build a bundle's self-test against TFLite Micro and run it")
    command.add_argument("path", type=Path, metavar="RUN", help="a run, an artifact or a bundle")
    tree = "a TFLite Micro tree whose library is built"
    command.add_argument(
        "--tflm", type=Path, metavar="FOLDER", help=f"{tree}; default: ${TREE_VARIABLE}"
    )
    command.add_argument("--board", choices=NAMES, default="host")
    command.add_argument("--kernels", choices=KERNELS, help="default: cmsis-nn where it is built")
    _add_toolchain(command)
    add_json(command)
    text = "the artifacts of studies on every board that the tree has a library for, as a table"
    command = group.add("boards", on_boards, text)
    command.add_argument("folders", type=Path, nargs="+", metavar="results/STUDY")
    command.add_argument("--tflm", type=Path, metavar="FOLDER", help=tree)
    _add_toolchain(command)
    command.add_argument("--out", type=Path, default=Path("docs/boards.md"))


def _add_toolchain(command: argparse.ArgumentParser) -> None:
    command.add_argument("--toolchain", default="arm-none-eabi-", metavar="PREFIX")


def tree_of(given: Path | None) -> Path:
    """The TFLite Micro tree that a command is given, or that the environment names."""
    named = os.environ.get(TREE_VARIABLE)
    if given is None and not named:
        raise BadInput(f"--tflm FOLDER is missing: a TFLite Micro tree (or set {TREE_VARIABLE})")
    return given or Path(named or "")


def test(options: argparse.Namespace) -> int:
    """Builds and runs a self-test."""
    require_there(options.path)
    from aqtaudio.firmware import boards, self_test, tree
    from aqtaudio.runs.export import firmware_folder
    from aqtaudio.runs.run import Run

    run, board, tflm = Run(options.path), boards.board(options.board), tree_of(options.tflm)
    library = tree.library(tflm, board, options.kernels)
    boards.require_tools(board, options.toolchain)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = firmware_folder(run, Path(scratch) / "bundle")
        result = self_test.run(
            bundle, board, library, tflm, options.toolchain, Path(scratch) / "build"
        )
    answer(dataclasses.asdict(result), options.json, show)
    return 0 if result.passed else 1


def show(value: dict[str, Any]) -> None:
    """For people."""
    kernels = f"{value['board']}, {value['kernels']} kernels"
    if value["mismatches"] is None:
        print(f"{kernels}: {value['failure']}")
    else:
        print(f"{kernels}: {value['mismatches']} of {value['outputs']:,} codes differ")
    arena = {"stated": "arena_bytes", "used": "arena_used_bytes", "least": "arena_least_bytes"}
    told = (f"{name} {value[key]:,}" for name, key in arena.items() if value[key] is not None)
    print(f"  arena, bytes: {', '.join(told)}")
    if value["per_call"] is not None:
        print(f"  per call: {value['per_call']:,} {value['unit']}")


def on_boards(options: argparse.Namespace) -> int:
    """Writes the table, and its rows beside it; measures what has no row. 1: something differs."""
    artifacts_of = {folder: _artifacts(folder) for folder in options.folders}
    from aqtaudio.firmware import arena, boards, table
    from aqtaudio.runs import boards as measure
    from aqtaudio.runs.run import Run

    tflm, rows_path = tree_of(options.tflm), options.out.with_suffix(".jsonl")
    targets = measure.targets(tflm)
    for board, _ in targets:
        boards.require_tools(board, options.toolchain)
    kept = _rows(rows_path)
    rows: list[dict[str, Any]] = []
    for folder, artifacts in artifacts_of.items():
        for run in map(Run, artifacts):
            digest = arena.sha256(run.model)
            same = [row for row in kept if row["model_sha256"] == digest]
            found = measure.on_boards(run, targets, same, tflm, options.toolchain, say)
            rows += [row | {"study": folder.name, "run_id": run.path.name} for row in found]
            write(rows_path, _lines(_united(rows, kept)))
    asked = {folder.name for folder in options.folders}
    others = [row for row in kept if row["study"] not in asked]
    write(rows_path, _lines(rows + others))  # not those of artifacts that are gone
    random = options.out.with_name(table.RANDOM)
    found = json.loads(random.read_text()) if random.exists() else None
    write(options.out, table.text(rows + others, found))
    print(options.out)
    return 1 if any(row["mismatches"] != 0 for row in rows) else 0


def _artifacts(study: Path) -> list[Path]:
    found = sorted((study / "artifacts").glob("*/"))
    if not found:
        raise BadInput(f"{study}: has no artifacts: name the folder of a study")
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _united(rows: list[dict[str, Any]], kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows, and those kept that are of other files; an artifact's older file is none."""
    files = {row["model_sha256"] for row in rows}
    artifacts = {(row["study"], row["run_id"]) for row in rows}
    return rows + [
        row
        for row in kept
        if row["model_sha256"] not in files and (row["study"], row["run_id"]) not in artifacts
    ]
