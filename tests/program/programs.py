"""Random programs, calibrated so that every edge uses its range."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import reference

from aqtaudio.program.program import Edge, Operation, Program

CALIBRATION_CLIPS = 2


class Builder:
    """Appends operations with random weights to a chain."""

    def __init__(self, shape: tuple[int, ...], seed: int):
        self.random = np.random.default_rng(seed)
        self.edges = {"input": Edge("input", shape, float(np.float32(0.0371)), 5)}
        self.operations: list[Operation] = []
        self.codes = random_codes((CALIBRATION_CLIPS, *shape), seed).astype(np.int64)

    @property
    def last(self) -> Edge:
        """The edge that the next operation reads."""
        return list(self.edges.values())[-1]

    def program(self) -> Program:
        """What was built so far."""
        return Program(dict(self.edges), tuple(self.operations), ("input",), (self.last.name,))

    def weighted(
        self,
        kind: str,
        name: str,
        shape: tuple[int, ...],
        *,
        weight_bits: int = 8,
        relu: bool = True,
        activation_bits: int = 8,
        per_tensor: bool = False,
        **attributes: Any,
    ) -> None:
        """A convolution (HWIO), depthwise convolution (HWC) or dense layer (IO)."""
        channels, peak = shape[-1], 2 ** (weight_bits - 1) - 1
        fan_in = math.prod(shape[:-1])
        weights = np.clip(np.rint(self.random.normal(0, peak / 2, shape)), -peak, peak)
        scale = self.random.uniform(0.2, 2, 1 if per_tensor else channels) / (
            peak * np.sqrt(fan_in)
        )
        spread = 300 * peak / 127 * np.sqrt(fan_in)
        bias = np.rint(self.random.normal(0, spread, channels))
        zero_point = (112 if activation_bits == 4 else -128) if relu else 0
        constants = {
            "weights": weights.astype(np.int8),
            "weight_scale": scale.astype(np.float32),
            "bias": bias.astype(np.int32),
        }
        attributes |= {"low": max(-128, zero_point) if relu else -128, "high": 127}
        attributes["weight_bits"] = weight_bits
        op = Operation(kind, name, (self.last.name,), name, attributes, constants)
        acc = reference.accumulate(op, self.codes - self.last.zero_point)
        # Scaled so that the real values of every edge have a spread of about 1.
        real = np.std(acc * constants["weight_scale"].astype(np.float64)) * self.last.scale
        constants["weight_scale"] = (constants["weight_scale"] / real).astype(np.float32)
        levels = 16 if activation_bits == 4 else 256
        edge_scale = np.float32(self.random.uniform(0.8, 1.2) * (3 if relu else 6) / levels)
        edge = Edge(name, acc.shape[1:], float(edge_scale), zero_point, activation_bits)
        product = np.float64(np.float32(self.last.scale)) * constants["weight_scale"].astype(float)
        ratio = np.broadcast_to(product / np.float64(edge_scale), (channels,))
        constants["mantissa"], constants["exponent"] = reference.multiplier(ratio)
        self._append(op, edge)

    def average_pool(self, name: str, window: tuple[int, int]) -> None:
        """A pool over whole windows; its edge has the grid of its input."""
        op = Operation(
            "average_pool", name, (self.last.name,), name,
            {"window": window, "strides": window, "low": -128, "high": 127},
        )  # fmt: skip
        self._append_like_input(op)

    def reshape(self, name: str, shape: tuple[int, ...]) -> None:
        """The same codes in another shape."""
        self._append_like_input(
            Operation("reshape", name, (self.last.name,), name, {"shape": shape})
        )

    def _append_like_input(self, op: Operation) -> None:
        shape = reference.operation(self.program(), op, self.codes).shape[1:]
        last = self.last
        self._append(op, Edge(op.output, shape, last.scale, last.zero_point, last.bits))

    def _append(self, op: Operation, edge: Edge) -> None:
        self.operations.append(op)
        self.edges[edge.name] = edge
        self.codes = reference.operation(self.program(), op, self.codes)


def ds_cnn(
    seed: int = 0,
    *,
    shape: tuple[int, int, int] = (49, 10, 1),
    width: int = 64,
    blocks: int = 4,
    classes: int = 8,
    rank: int | None = None,
    weight_bits: Mapping[str, int] | int = 8,
    activation_bits: int = 8,
) -> Program:
    """A DS-CNN: convolution, depthwise-separable blocks, pool, dense.

    Args:
      seed: of the weights and scales.
      shape: of the features: frames, bands, 1.
      width: channels.
      blocks: depthwise-separable blocks.
      classes: outputs.
      rank: pointwise convolutions as two of this rank with a signed edge between them.
      weight_bits: of every layer, or by layer name (default 8).
      activation_bits: 4 gives edges of 16 levels at zero point 112.
    """
    build = Builder(shape, seed)

    def layer(kind: str, name: str, kernel: tuple[int, ...], **options: Any) -> None:
        bits = weight_bits if isinstance(weight_bits, int) else weight_bits.get(name, 8)
        if kind != "dense":
            options = {"strides": (1, 1), "dilation": (1, 1), "padding": "SAME"} | options
        options = {"activation_bits": activation_bits} | options
        per_tensor = kind == "dense" and bits == 4
        build.weighted(kind, name, kernel, weight_bits=bits, per_tensor=per_tensor, **options)

    layer("conv2d", "stem", (10, 4, shape[-1], width), strides=(2, 2))
    for block in range(blocks):
        layer("depthwise_conv2d", f"block{block}/depthwise", (3, 3, width))
        if rank is None:
            layer("conv2d", f"block{block}/pointwise", (1, 1, width, width))
        else:
            down, up = (1, 1, width, rank), (1, 1, rank, width)
            layer("conv2d", f"block{block}/down", down, relu=False, activation_bits=8)
            layer("conv2d", f"block{block}/up", up)
    build.average_pool("pool", build.last.shape[:2])
    build.reshape("flat", (width,))
    layer("dense", "logits", (width, classes), relu=False, activation_bits=8)
    return build.program()


def random_codes(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Uniform int8 codes."""
    return np.random.default_rng(seed).integers(-128, 128, shape, np.int8)
