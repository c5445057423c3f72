"""aqtaudio firmware test: a run's bundle on this machine or on an emulated board."""

import argparse
import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

from aqtaudio.commands.answers import answer
from aqtaudio.commands.arguments import Verbs, add_json
from aqtaudio.errors import BadInput

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
    command.add_argument("--toolchain", default="arm-none-eabi-", metavar="PREFIX")
    add_json(command)


def tree_of(given: Path | None) -> Path:
    """The TFLite Micro tree that a command is given, or that the environment names."""
    named = os.environ.get(TREE_VARIABLE)
    if given is None and not named:
        raise BadInput(f"--tflm FOLDER is missing: a TFLite Micro tree (or set {TREE_VARIABLE})")
    return given or Path(named or "")


def test(options: argparse.Namespace) -> int:
    """Builds and runs a self-test."""
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
