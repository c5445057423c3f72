"""One operation on many scales at once: by the package's kernel and by a runtime."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import shared_child
from one_operator import Tensor, one_operator

from aqtaudio.program import kernels
from aqtaudio.program.compiler import compiled
from aqtaudio.program.kernels.call import Engine, Grid, Target
from aqtaudio.program.kernels.weighted import carrier_dot

ALL_INT8 = np.arange(-128, 128, dtype=np.int8)
ALL_INT16 = np.arange(-32768, 32768).astype(np.int16)

OPERATORS = {
    "logistic": ("LOGISTIC", None),
    "tanh": ("TANH", None),
    "hard_swish": ("HARD_SWISH", "HardSwishOptions"),
    "elu": ("ELU", None),
    "softmax": ("SOFTMAX", "SoftmaxOptions"),
    "l2_norm": ("L2_NORMALIZATION", "L2NormOptions"),
    "rsqrt": ("RSQRT", None),
}
FIXED_OUTPUTS = {
    ("logistic", 8): (1 / 256, -128),
    ("softmax", 8): (1 / 256, -128),
    ("tanh", 8): (1 / 128, 0),
    ("l2_norm", 8): (1 / 128, 0),
}


class Case(NamedTuple):
    """N calls. `codes` [N, ..., K], int8 or int16; scales float32 [N], zero points [N].

    `outputs` are the outputs' scales and zero points; None: those that the operation demands.
    """

    kind: str
    codes: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray
    outputs: tuple[np.ndarray, np.ndarray] | None = None
    attributes: Mapping[str, Any] = {}

    @property
    def bits(self) -> int:
        return 8 * self.codes.itemsize

    @property
    def output_grids(self) -> tuple[np.ndarray, np.ndarray]:
        if self.outputs is not None:
            return self.outputs
        scale, zero_point = FIXED_OUTPUTS.get((self.kind, self.bits), (1 / 32768, 0))
        count = len(self.codes)
        return np.full(count, scale, np.float32), np.full(count, zero_point)


def call(case: Case, codes, scale, zero_point, out_scale, out_zero, target: Target = "micro"):
    """One of the calls, by the kernel: float32 codes."""
    grids = Grid(scale, zero_point, case.bits), Grid(out_scale, out_zero, case.bits)
    engine = Engine(carrier_dot, target)
    return kernels.run(
        kernels.call_of(case.kind, (codes,), grids[:1], grids[1], case.attributes, {}, engine)
    )


def ours(case: Case, target: Target = "micro") -> np.ndarray:
    """What the kernel computes, int64; scales and zero points are traced."""

    def one(*values):
        return call(case, *values, target)

    arguments = case.codes.astype(np.float32), case.scales, case.zero_points, *case.output_grids
    return np.asarray(compiled(jax.vmap(one))(*arguments)).astype(np.int64)


def runtime(case: Case, target: Target = "micro") -> np.ndarray:
    """What TFLite Micro or LiteRT computes, int64."""
    name, table = OPERATORS[case.kind]
    outputs = np.empty_like(case.codes)
    columns = case.codes, case.scales, case.zero_points, *case.output_grids
    for index, (codes, scale, zero, out_scale, out_zero) in enumerate(zip(*columns, strict=True)):
        shape, dtype = (1, *codes.shape), codes.dtype.name
        source = Tensor(shape, dtype, float(scale), int(zero))
        result = Tensor(shape, dtype, float(out_scale), int(out_zero))
        model = one_operator(name, [source], result, case.attributes if table else None, table)
        outputs[index] = shared_child.invoke(target, model, codes[None])[0]
    return outputs.astype(np.int64)


def log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> np.ndarray:
    """float32 scales between 2**low and 2**high; every fourth is a power of two."""
    exponents = rng.uniform(low, high, count)
    exponents[::4] = np.rint(exponents[::4])
    return np.exp2(exponents).astype(np.float32)


def zero_points(rng: np.random.Generator, count: int) -> np.ndarray:
    """Uniform, the extremes among them."""
    found = rng.integers(-128, 128, count)
    found[:2] = -128, 127
    return found


def rows(rng: np.random.Generator, count: int, width: int, dtype: type) -> np.ndarray:
    """Codes [count, 8, width]: uniform, peaked and constant rows, and the extremes."""
    lowest, highest = np.iinfo(dtype).min, np.iinfo(dtype).max
    codes = rng.integers(lowest, highest + 1, (count, 8, width))
    codes[:, 1] = np.clip(rng.normal(0, highest / 10, (count, width)), lowest, highest)
    codes[:, 2] = lowest + np.abs(rng.normal(0, highest / 50, (count, width)))
    codes[:, 3:6] = lowest
    codes[:, 4, rng.integers(width)] = highest  # one peak
    codes[:, 5, : width // 2] = rng.integers(lowest, highest, (count, width // 2))
    codes[:, 6] = highest
    codes[:, 7] = rng.integers(lowest, highest + 1, (count, 1))
    return codes.astype(dtype)
