"""A slow, plain numpy reading of a Program: the oracle of the tests of this folder.

It follows TensorFlow Lite Micro's reference kernels with int64 accumulators and shares no code
with the package's own execution.
"""

import numpy as np

from aqtaudio.program.program import Operation, Program


def run(program: Program, codes: np.ndarray) -> np.ndarray:
    """Output codes int8 [B, ...] of input codes int8 [B, ...]."""
    return edges(program, codes)[program.outputs[0]]


def edges(program: Program, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Codes of every edge, by name."""
    values = {program.inputs[0]: codes.astype(np.int64)}
    for op in program.operations:
        values[op.output] = operation(program, op, values[op.inputs[0]])
    return {name: value.astype(np.int8) for name, value in values.items()}


def operation(program: Program, op: Operation, x: np.ndarray) -> np.ndarray:
    """Output codes of one operation, int64 [B, ...]."""
    if op.kind == "reshape":
        return x.reshape(x.shape[0], *op.attributes["shape"])
    low, high = op.attributes["low"], op.attributes["high"]
    if op.kind == "average_pool":
        return np.clip(_average_pool(op, x), low, high)
    acc = accumulate(op, x - program.edges[op.inputs[0]].zero_point)
    y = rescale(acc, op.constants["mantissa"], op.constants["exponent"])
    return np.clip(y + program.edges[op.output].zero_point, low, high)


def accumulate(op: Operation, x: np.ndarray) -> np.ndarray:
    """Accumulators with bias of centred input codes, int64 [B, ..., C]."""
    weights = op.constants["weights"].astype(np.int64)
    if op.kind == "dense":
        acc = x @ weights
    else:
        acc = 0
        for (i, j), window in _windows(op, x, weights.shape[:2]):
            tap = weights[i, j]
            acc = acc + (window * tap if op.kind == "depthwise_conv2d" else window @ tap)
    return acc + op.constants["bias"]


def rescale(acc: np.ndarray, mantissa: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """acc * mantissa * 2**(exponent - 31), rounded twice, halves away from zero."""
    mantissa, exponent = np.asarray(mantissa, np.int64), np.asarray(exponent, np.int64)
    right = np.maximum(-exponent, 0)
    shifted = acc << np.maximum(exponent, 0)
    shifted = ((shifted + 2**31) & 0xFFFFFFFF) - 2**31
    product = shifted * mantissa
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.sign(nudged) * (np.abs(nudged) >> 31)
    mask = (np.int64(1) << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


def multiplier(scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mantissa and exponent, int32 [C], of real multipliers float64 [C]."""
    fraction, exponent = np.frexp(np.asarray(scale, np.float64))
    mantissa = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    carry = mantissa == 2**31
    mantissa, exponent = np.where(carry, mantissa // 2, mantissa), exponent + carry
    return mantissa.astype(np.int32), exponent.astype(np.int32)


def _average_pool(op: Operation, x: np.ndarray) -> np.ndarray:
    window = op.attributes["window"]
    total = sum(part for _, part in _windows(op, x, window))
    n = window[0] * window[1]
    dividend = np.where(total > 0, total + n // 2, total - n // 2)
    return np.sign(dividend) * (np.abs(dividend) // n)  # as C divides: toward zero


def _windows(op: Operation, x: np.ndarray, kernel: tuple[int, int]):
    strides = op.attributes["strides"]
    dilation = op.attributes.get("dilation", (1, 1))
    pads, sizes = [(0, 0)], []
    for axis in range(2):
        length, span = x.shape[1 + axis], (kernel[axis] - 1) * dilation[axis] + 1
        if op.attributes.get("padding", "VALID") == "SAME":
            size = -(-length // strides[axis])
            pad = max((size - 1) * strides[axis] + span - length, 0)
        else:
            size, pad = (length - span) // strides[axis] + 1, 0
        pads.append((pad // 2, pad - pad // 2))
        sizes.append(size)
    x = np.pad(x, [*pads, (0, 0)])
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i * dilation[0], i * dilation[0] + (sizes[0] - 1) * strides[0] + 1)
            columns = slice(j * dilation[1], j * dilation[1] + (sizes[1] - 1) * strides[1] + 1)
            yield (i, j), x[:, rows, columns][:, :: strides[0], :: strides[1]]
