"""How large an arena a device needs: measured on boards, or by a rule that is safe.

A 32-bit device needs less for TFLite Micro's structures than this 64-bit machine, and with
CMSIS-NN more: scratch memory, of one operation at a time, what planning notes of each operation
that asks for some, and sums of kernels, which stay. So the least arena of this machine, plus the
largest scratch, plus all notes and sums, is enough; docs/boards.md has how much too much it is.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

from aqtaudio.errors import BadInput
from aqtaudio.files import write_json
from aqtaudio.program.program import Edge, Operation, Program

MARGIN = 1.05
"""Of a stated arena over the least that was measured: other compilers, other releases."""
STEP_BYTES = 16
BLOCK_CHANNELS = 124
"""Of a depthwise convolution with vectors (arm_depthwise_conv_s8_opt: CH_IN_BLOCK_MVE)."""
LANES_BYTES = 16
REQUEST_BYTES = 72
"""That planning notes of a request for scratch memory, on a 64-bit processor: 63 were seen, of 168
requests of the 16x8 denoiser."""
COLUMNS = 4
"""Patches of an image that a convolution with vectors holds at once (arm_convolve_s8)."""


@dataclasses.dataclass(frozen=True)
class Arena:
    """What a bundle states: bytes for 64-bit and for 32-bit processors."""

    wide_bytes: int
    narrow_bytes: int


@dataclasses.dataclass(frozen=True)
class Measured:
    """Least arenas of a file on boards, by the board's name."""

    model_sha256: str
    least_arena_bytes: Mapping[str, int]


def stated(
    program: Program, model: bytes, host_bytes: int, measured: Measured | None = None
) -> Arena:
    """The arena of a bundle, for the reference kernels and for CMSIS-NN.

    Args:
      program: of the file.
      model: the file.
      host_bytes: the least arena in which it loads with reference kernels on this machine.
      measured: on boards; what was measured of another file does not count.
    """
    enough = _enough_bytes(program, host_bytes)
    if measured is None or measured.model_sha256 != sha256(model):
        return Arena(enough, enough)
    boards = dict(measured.least_arena_bytes)
    wide = max(enough, _stepped(MARGIN * boards.pop("host", 0)))
    return Arena(wide, _stepped(MARGIN * max(boards.values())) if boards else enough)


def sha256(model: bytes) -> str:
    """What tells a file from another."""
    return hashlib.sha256(model).hexdigest()


def write(path: Path, measured: Measured) -> None:
    """As JSON."""
    write_json(path, dataclasses.asdict(measured))


def read(path: Path) -> Measured | None:
    """What `write` wrote; None where nothing was measured. BadInput for something else."""
    if not path.exists():
        return None
    try:
        return Measured(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path}: not what was measured on boards ({error})") from error


def _stepped(size: float) -> int:
    return math.ceil(size / STEP_BYTES) * STEP_BYTES


def _enough_bytes(program: Program, host_bytes: int) -> int:
    calls = [op for op in program.operations if op.inputs]
    scratch = [size for op in calls if (size := _scratch_bytes(program, op))]
    kept = sum(_kept_bytes(program, op) for op in calls)
    return _stepped(host_bytes + max(scratch, default=0) + REQUEST_BYTES * len(scratch) + kept)


def _scratch_bytes(program: Program, op: Operation) -> int:
    """The most that any kernel of CMSIS-NN asks for while an operation runs."""
    source, target = program.edges[op.inputs[0]], program.edges[op.output]
    if op.kind == "conv2d":
        return _columns_bytes(source, op)
    if op.kind == "depthwise_conv2d":
        taps, channels = math.prod(op.constants["weights"].shape[:2]), target.shape[-1]
        if source.shape[-1] == 1:  # computed as an ordinary convolution, with a copy of its kernel
            return _columns_bytes(source, op) + taps * channels
        wide = target.bits == 16
        return COLUMNS * taps * (2 * channels if wide else max(BLOCK_CHANNELS, channels))
    if op.kind == "dense":
        return 8 * target.shape[-1]  # a multiplier and a shift per channel
    if op.kind in ("average_pool", "batch_matmul", "mean"):
        return 4 * target.shape[-1]
    return 0


def _columns_bytes(source: Edge, op: Operation) -> int:
    width = math.prod(op.constants["weights"].shape[:3]) * source.dtype.itemsize
    return COLUMNS * -(-width // LANES_BYTES) * LANES_BYTES


def _kept_bytes(program: Program, op: Operation) -> int:
    """The sums of a dense layer's kernel."""
    target = program.edges[op.output]
    return 4 * target.shape[-1] if op.kind == "dense" and target.bits != 16 else 0
