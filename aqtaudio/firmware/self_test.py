"""Builds a bundle's self-test, runs it, and reads what it says."""

import dataclasses
import re
import subprocess
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.firmware import tree
from aqtaudio.firmware.boards import EMULATOR, Board

TIMEOUT_S = 1800.0
_LINE = re.compile(r"^(\w+): (\d+) ?(\w*)$", re.MULTILINE)
_METHOD = re.compile(r"resolver\.(\w+)\(\)")


@dataclasses.dataclass(frozen=True)
class Result:
    """What a self-test found; the fields are keys of `aqtaudio firmware test --json`.

    Attributes:
      board: its name.
      kernels: of the library: "reference" or "cmsis-nn".
      loads: whether the model loads in the arena that the bundle states.
      mismatches: of `outputs` codes, how many differ; None where it does not load or run.
      arena_bytes: that the bundle states.
      arena_used_bytes: of it, after loading.
      arena_least_bytes: in which the model loads on this board.
      per_call: of one call, in `unit`: instructions where they are counted, else nanoseconds.
      failure: in words, else empty.
    """

    board: str
    kernels: str
    loads: bool
    outputs: int | None
    mismatches: int | None
    arena_bytes: int
    arena_used_bytes: int | None
    arena_least_bytes: int | None
    per_call: int | None
    unit: str
    failure: str

    @property
    def passed(self) -> bool:
        """Whether every code was right."""
        return self.mismatches == 0


def run(
    bundle: Path,
    board: Board,
    library: tree.Library,
    tflm: Path,
    toolchain: str,
    build: Path,
    timeout_s: float = TIMEOUT_S,
) -> Result:
    """Builds in the folder `build` and runs.

    Args:
      bundle: folder with the CMake project and the model.
      board: to run on.
      library: of TFLite Micro, for this board.
      tflm: the tree that it was built from.
      toolchain: prefix of the compiler for boards.
      build: folder for what the compiler makes.
      timeout_s: limit for the run.

    Raises:
      BadInput: it does not compile, or ends without a verdict.
    """
    operators = (bundle / "model_operators.h").read_text()
    tree.require_operators(tflm, _METHOD.findall(operators))
    _compile(bundle, board, library, tflm, toolchain, build)
    program = build / "self_test"
    command = _emulator(board) if board.emulated else []
    try:
        ran = subprocess.run(
            [*command, str(program)], capture_output=True, text=True, timeout=timeout_s
        )
    except subprocess.TimeoutExpired as error:
        raise BadInput(f"the self-test on {board.name} took longer than {timeout_s:g} s") from error
    return _result(board, library, ran)


def _compile(
    bundle: Path, board: Board, library: tree.Library, tflm: Path, toolchain: str, build: Path
) -> None:
    settings = {
        "BOARD": board.name,
        "TFLM": tflm.resolve(),
        "TFLM_LIBRARY": library.path.resolve(),
        "ARENA_LIMIT_BYTES": 2 * _arena_bytes(bundle),
    }
    if board.emulated:
        settings["CMAKE_TOOLCHAIN_FILE"] = (bundle / "boards/arm-none-eabi.cmake").resolve()
        settings["TOOLCHAIN"] = toolchain
    flags = [f"-D{name}={value}" for name, value in settings.items()]
    _require_success(["cmake", "-S", bundle, "-B", build, "-G", "Unix Makefiles", *flags], bundle)
    _require_success(["cmake", "--build", build, "--target", "self_test"], bundle)


def _arena_bytes(bundle: Path) -> int:
    """The larger of the two that a bundle states."""
    text = (bundle / "model_settings.h").read_text()
    found = re.search(r"kArenaBytes =\s+sizeof\(void\*\) == 8 \? (\d+) : (\d+)", text)
    if found is None:
        raise BadInput(f"{bundle}: model_settings.h has no kArenaBytes")
    return max(int(found[1]), int(found[2]))


def _require_success(command: list, bundle: Path) -> None:
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        lines = (ran.stdout + ran.stderr).splitlines()
        told = [line for line in lines if "rror" in line or "undefined" in line] or lines[-1:]
        raise BadInput(f"{bundle}: its self-test does not build: {'; '.join(told[:3])}")


def _emulator(board: Board) -> list[str]:
    """As in the bundle's CMakeLists.txt."""
    return [
        *(EMULATOR, "-M", board.name, "-nographic", "-monitor", "none", "-serial", "none"),
        *("-icount", "shift=0", "-semihosting-config", "enable=on,target=native", "-kernel"),
    ]


def _result(board: Board, library: tree.Library, ran: subprocess.CompletedProcess) -> Result:
    # The emulator writes what a board prints to standard error.
    text = ran.stdout + ran.stderr
    said = {name: (int(value), unit) for name, value, unit in _LINE.findall(text)}
    if "arena_bytes" not in said:
        text = " ".join(text.split())[-300:]
        raise BadInput(
            f"the self-test on {board.name} said nothing (status {ran.returncode}): {text}"
        )

    def number(name: str) -> int | None:
        return said[name][0] if name in said else None

    failed = re.search(r"^(?:failed|fault): (.*)$", text, re.MULTILINE)
    failure = failed[1] if failed else ""
    if ran.returncode not in (0, 1) and not failure:
        failure = f"the self-test ended with status {ran.returncode}"
    return Result(
        board=board.name,
        kernels=library.kernels,
        loads="arena_used_bytes" in said,
        outputs=number("outputs"),
        mismatches=number("mismatches"),
        arena_bytes=said["arena_bytes"][0],
        arena_used_bytes=number("arena_used_bytes"),
        arena_least_bytes=number("arena_least_bytes"),
        per_call=number("per_call"),
        unit=said["per_call"][1] if "per_call" in said else "",
        failure=failure,
    )
