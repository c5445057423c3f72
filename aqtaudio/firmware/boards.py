"""Where a bundle's self-test runs: this machine, or a board that QEMU emulates."""

import dataclasses
import shutil
from collections.abc import Iterator

from aqtaudio.errors import BadInput

EMULATOR = "qemu-system-arm"
EXACT_SINCE = "90b983c (2026-08-20)"
"""Commit of TensorFlow Lite Micro that bundles were compared with."""


@dataclasses.dataclass(frozen=True)
class Board:
    """A board.

    Attributes:
      name: as QEMU calls it, or "host".
      processor: in words.
      architecture: how TFLite Micro's Makefile calls its processor: part of the library's folder.
      clock_hz: a usual clock of a microcontroller with this processor; 0 of the host.
    """

    name: str
    processor: str
    architecture: str
    clock_hz: int = 0

    @property
    def emulated(self) -> bool:
        """Whether QEMU runs it, and counts instructions."""
        return self.name != "host"


BOARDS = (
    Board("host", "this machine", "x86_64"),
    Board("mps3-an547", "Cortex-M55 with MVE", "cortex-m55", 160_000_000),
    Board("mps2-an386", "Cortex-M4 with DSP", "cortex-m4+fp", 120_000_000),
)
NAMES = tuple(board.name for board in BOARDS)


def board(name: str) -> Board:
    """A board by its name. BadInput for another."""
    for known in BOARDS:
        if known.name == name:
            return known
    raise BadInput(f"board {name!r}; allowed: {', '.join(NAMES)}")


def require_tools(wanted: Board, toolchain: str) -> None:
    """Raises BadInput where a program that a self-test needs is missing: says what to install."""
    missing = [f"{name} (Debian: {package})" for name, package in _tools(wanted, toolchain)
               if shutil.which(name) is None]  # fmt: skip
    if missing:
        raise BadInput(f"not installed: {', '.join(missing)}")


def _tools(wanted: Board, toolchain: str) -> Iterator[tuple[str, str]]:
    yield "cmake", "cmake"
    yield "make", "make"
    if wanted.emulated:
        packages = "gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib"
        yield f"{toolchain}g++", packages
        yield EMULATOR, "qemu-system-arm"
    else:
        yield "c++", "g++"
