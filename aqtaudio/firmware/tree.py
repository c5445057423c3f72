"""A TFLite Micro tree whose owner has built its library: where things are in it."""

import dataclasses
from pathlib import Path
from typing import Literal, get_args

from aqtaudio.errors import BadInput
from aqtaudio.firmware.boards import Board

Kernels = Literal["reference", "cmsis-nn"]
KERNELS: tuple[Kernels, ...] = get_args(Kernels)
INTERPRETER = Path("tensorflow/lite/micro/micro_interpreter.h")
RESOLVER = Path("tensorflow/lite/micro/micro_mutable_op_resolver.h")
LIBRARY = "libtensorflow-microlite.a"
CMSIS_NN = "_cmsis_nn_"


@dataclasses.dataclass(frozen=True)
class Library:
    """A library for a board."""

    path: Path
    kernels: Kernels


def require(tree: Path) -> None:
    """Raises BadInput where `tree` is no TFLite Micro tree with its downloads."""
    if not (tree / INTERPRETER).is_file():
        raise BadInput(f"{tree}: no TFLite Micro tree: it has no {INTERPRETER}")
    downloads = tree / "tensorflow/lite/micro/tools/make/downloads"
    for needed in ("flatbuffers/include", "gemmlowp", "ruy"):
        if not (downloads / needed).is_dir():
            raise BadInput(
                f"{tree}: {needed} is not among its downloads ({downloads}); TFLite Micro's own "
                "Makefile puts it there"
            )


def library(tree: Path, board: Board, kernels: Kernels | None) -> Library:
    """The library of a board, of CMSIS-NN's kernels if there is one and `kernels` asks for none.

    Raises BadInput where it is not built.
    """
    require(tree)
    found = libraries(tree, board)
    for wanted in (kernels,) if kernels else reversed(KERNELS):
        for one in found:
            if one.kernels == wanted:
                return one
    asked = f" with {kernels} kernels" if kernels else ""
    raise BadInput(
        f"{tree}: no library for {board.name}{asked}: no {LIBRARY} in gen of TARGET_ARCH="
        f"{board.architecture}; build it there with its own Makefile, target microlite"
        + (" and OPTIMIZED_KERNEL_DIR=cmsis_nn" if kernels == "cmsis-nn" else "")
    )


def libraries(tree: Path, board: Board) -> list[Library]:
    """All that are built for a board, in the order of their folders' names."""
    # gen/TARGET_ARCHITECTURE_BUILD[_cmsis_nn]_TOOLCHAIN/lib
    paths = sorted(tree.glob(f"gen/*_{board.architecture}_*/lib/{LIBRARY}"))
    return [
        Library(path, "cmsis-nn" if CMSIS_NN in path.parents[1].name else "reference")
        for path in paths
    ]


def require_operators(tree: Path, methods: list[str]) -> None:
    """Raises BadInput where the tree's resolver lacks one of these methods (`AddConv2D`, ...)."""
    text = (tree / RESOLVER).read_text()
    lacking = [name for name in methods if f" {name}(" not in text]
    if lacking:
        raise BadInput(f"{tree}: this TFLite Micro has no {', '.join(lacking)}; take a newer one")
