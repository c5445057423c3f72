"""How large an arena a device needs: from what this machine needs, and what CMSIS-NN takes more.

A 32-bit device needs less for TFLite Micro's structures than this 64-bit machine, and with
CMSIS-NN more: scratch memory, of one operation at a time, and sums of kernels, which stay. So the
least arena of this machine, plus the largest scratch, plus all sums, is enough; docs/boards.md has
how much too much it is.
"""

import math

from aqtaudio.program.program import Edge, Operation, Program

BLOCK_CHANNELS = 124
"""Of a depthwise convolution with vectors (arm_depthwise_conv_s8_opt: CH_IN_BLOCK_MVE)."""
LANES_BYTES = 16
COLUMNS = 4
"""Patches of an image that a convolution with vectors holds at once (arm_convolve_s8)."""


def device_arena_bytes(program: Program, host_bytes: int) -> int:
    """An arena for CMSIS-NN and for the reference kernels, on a Cortex-M.

    Args:
      program: of the file.
      host_bytes: the least arena in which the file loads with reference kernels on this machine.
    """
    calls = [op for op in program.operations if op.inputs]
    scratch = max((_scratch_bytes(program, op) for op in calls), default=0)
    return host_bytes + scratch + sum(_kept_bytes(program, op) for op in calls)


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
