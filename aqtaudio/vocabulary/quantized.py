"""The quantized reading: native integers on AQT's weight quantizers and dots.

The only file that imports AQT (aqtp 0.9.0). Every layer becomes one operation of a program and runs
through the same kernel that executes recorded programs, so the forward pass of a training step is
the device's integers by construction. Gradients are straight-through.
"""

import dataclasses
import functools
import warnings
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from aqt.jax.v2 import aqt_dot_general, aqt_quantizer, aqt_tensor
from jax import lax

from aqtaudio.compression.recipe import Recipe, Rule
from aqtaudio.program import kernels
from aqtaudio.vocabulary.layers import Layer, Linear
from aqtaudio.vocabulary.signal import Signal

BIAS_LIMIT = 2.0**30
"""Bias codes stay below this, so that int32 accumulators cannot overflow in a dead channel."""


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def weight_codes(
    weights: jax.Array, floor: jax.Array, bits: int, per_tensor: bool
) -> tuple[jax.Array, jax.Array]:
    """AQT's symmetric weight quantizer.

    Args:
      weights: float32 [..., C], output channels last.
      floor: smallest scale allowed, [C] (for dead channels, see BIAS_LIMIT).
      bits: 4 or 8.
      per_tensor: one scale for all channels (TFLite Micro has no per-channel int4 dense layer).

    Returns:
      (codes in float32 [..., C], scale [C] or [1]). Gradient: straight-through to the weights.
    """
    return _weight_codes(weights, floor, bits, per_tensor)[0]


def _weight_codes(weights, floor, bits, per_tensor):
    axes = tuple(range(weights.ndim - (0 if per_tensor else 1)))
    quantizer = aqt_quantizer.quantizer_make(bits)
    qtensor = quantizer.calibrate(weights, calibration_axes=axes)
    lowest = jnp.max(floor) if per_tensor else floor
    scale = jnp.maximum(qtensor.scale[0], lowest)
    qtensor = dataclasses.replace(qtensor, scale=[scale])
    qtensor, gradient = quantizer.calculate_qvalue(weights, qtensor)
    codes = lax.optimization_barrier(qtensor.qvalue.astype(jnp.float32))
    return (codes, scale.reshape(-1)), (gradient, scale)


def _weight_codes_backward(bits, per_tensor, residuals, g):
    gradient, scale = residuals
    return gradient(g[0])[0] / scale, None


weight_codes.defvjp(_weight_codes, _weight_codes_backward)


def aqt_dot(integer: bool):
    """AQT's dot on complete QTensors of our codes, as a kernel's `dot`.

    AQT cannot hold a zero point, so its dot sees raw int8 codes (integer) and the zero point is a
    separate term, or sees centred codes in exact float32. Gradients are AQT's backward dots.
    """

    def dot(x: jax.Array, zero_point: int, w: jax.Array, weight_bits: int) -> list[jax.Array]:
        def integers(a: jax.Array, b: jax.Array) -> jax.Array:
            return _qtensor_dot(a, b, jnp.int8) - zero_point * jnp.sum(b, 0)

        def carriers(a: jax.Array, b: jax.Array) -> jax.Array:
            return _qtensor_dot(a - zero_point, b, jnp.float32)

        function = integers if integer else carriers
        return kernels.chunked(function, x, w, kernels.bound(zero_point), weight_bits)

    return dot


def _qtensor_dot(a: jax.Array, b: jax.Array, dtype: Any) -> jax.Array:
    """AQT's dot of a [..., K] and b [K, C] that hold codes; float32 result, exact."""
    config = aqt_dot_general.dot_general_make(
        None, None, None, use_fwd_quant=False, allow_dummy_gradients=True
    )
    if dtype == jnp.int8:
        config.fwd.dg_accumulator_dtype = jnp.int32
    quantized = [
        aqt_tensor.QTensor(
            qvalue=lax.stop_gradient(codes).astype(dtype),
            scale=[],
            scale_t=None,
            bias=[],
            dequant_dtype=jnp.float32,
        )
        for codes in (a, b)
    ]
    with warnings.catch_warnings():
        # aqtp 0.9.0 calls jnp.promote_types on arrays; fixed after that release.
        warnings.simplefilter("ignore", DeprecationWarning)
        out, _ = config.dg_core(a, b, *quantized, (((a.ndim - 1,), (0,)), ((), ())))
    return out


class Notebook(Protocol):
    """Where the recording reading writes down what the quantized one does."""

    def edge(self, signal: Signal) -> None:
        """An edge and its grid."""
        ...

    def operation(
        self,
        kind: str,
        inputs: tuple[Signal, ...],
        output: Signal,
        attributes: dict,
        constants: dict,
    ) -> None:
        """An operation that has just been computed."""
        ...


@dataclasses.dataclass(frozen=True)
class Quantized:
    """Integer codes everywhere.

    Attributes:
      recipe: bits per layer.
      integer: int8 x int8 -> int32 dots; False: the same integers carried in float32.
      notebook: set by the recording reading.
    """

    recipe: Recipe
    integer: bool = False
    notebook: Notebook | None = None

    def input(self, layer: Layer, x: Signal) -> Signal:  # noqa: D102
        scale = edge_scale(layer, "output")
        values = kernels.quantize(x.values, scale, 0)
        out = dataclasses.replace(x, values=values, scale=scale, edge=layer.label)
        if self.notebook:
            self.notebook.edge(out)
        layer.sow("codes", "output", values)
        return out

    def linear(  # noqa: D102
        self,
        layer: Layer,
        part: str,
        x: Signal,
        kernel: jax.Array,
        bias: jax.Array | None,
        linear: Linear,
    ) -> Signal:
        if linear.norm and layer.is_normalised:
            raise ValueError(f"layer {layer.label}: fold batch norm before quantizing")
        rule = self.recipe.rule(layer.label)
        if bias is None:
            bias = jnp.zeros((kernel.shape[-1],), kernel.dtype)
        y_scale = edge_scale(layer, part)
        constants = _constants(x, kernel, bias, y_scale, linear, rule)
        grid = edge_grid(linear.relu, rule.activation_bits)
        attributes = {"low": grid.low, "high": grid.high, "weight_bits": rule.weight_bits}
        if linear.kind != "dense":
            attributes |= {
                "strides": linear.strides,
                "dilation": linear.dilation,
                "padding": linear.padding,
            }
        name = layer.label if part == "output" else f"{layer.label}/{part}"
        out = dataclasses.replace(
            x, scale=y_scale, zero_point=grid.zero_point, bits=grid.bits, edge=name
        )
        return self._run(layer, part, linear.kind, x, out, attributes, constants)

    def same_scale(self, layer: Layer, kind: str, x: Signal, attributes: dict) -> Signal:  # noqa: D102
        out = dataclasses.replace(x, edge=layer.label)
        return self._run(layer, "output", kind, x, out, attributes, {})

    def _run(self, layer, part, kind, x, out, attributes, constants) -> Signal:
        values = kernels.run(
            kind,
            (x.values,),
            (x.zero_point, out.zero_point),
            constants,
            attributes,
            aqt_dot(self.integer),
        )
        out = dataclasses.replace(out, values=values)
        if self.notebook:
            self.notebook.operation(kind, (x,), out, attributes, constants)
        layer.sow("codes", part, values)
        return out


@dataclasses.dataclass(frozen=True)
class Grid:
    """The codes of an output edge: real 0, and the clip."""

    zero_point: int
    low: int
    high: int
    bits: int

    @property
    def levels(self) -> int:
        """Steps between zero and the largest magnitude."""
        return self.high - self.zero_point


def edge_grid(relu: bool, bits: int) -> Grid:
    """relu edges use the codes from zero up; signed ones are symmetric and stay at 8 bits."""
    if not relu:
        return Grid(0, -128, 127, 8)
    zero_point = 128 - 2**bits if bits < 8 else -128
    return Grid(zero_point, zero_point, 127, bits)


def edge_scale(layer: Layer, part: str) -> jax.Array:
    """The calibrated float32 step of an edge."""
    if not layer.has_variable("ranges", part):
        raise ValueError(f"layer {layer.label}: no activation range; calibrate the model first")
    return layer.range_of(part).value["scale"]


def _constants(
    x: Signal, kernel: jax.Array, bias: jax.Array, y_scale: jax.Array, linear: Linear, rule: Rule
) -> dict[str, jax.Array]:
    """Weight codes, bias codes and multipliers of a linear operation."""
    assert x.scale is not None
    floor = lax.stop_gradient(jnp.abs(bias)) / (x.scale * BIAS_LIMIT)
    per_tensor = linear.kind == "dense" and rule.weight_bits < 8
    codes, weight_scale = weight_codes(kernel, floor, rule.weight_bits, per_tensor)
    weight_scale = lax.stop_gradient(weight_scale)
    mantissa, exponent = kernels.quantized_multiplier(x.scale, weight_scale, y_scale)
    return {
        "weights": codes,
        "weight_scale": weight_scale,
        "bias": kernels.bias_codes(bias, x.scale, weight_scale),
        "bias_steps": bias / (x.scale * weight_scale),
        "mantissa": mantissa,
        "exponent": exponent,
    }


@functools.partial(jax.jit, static_argnums=(2, 3))
def fake_quant_weights(
    kernel: jax.Array, floor: jax.Array, bits: int, per_tensor: bool
) -> jax.Array:
    """Real weights on AQT's grid, straight-through gradient."""
    codes, scale = weight_codes(kernel, floor, bits, per_tensor)
    return codes * lax.stop_gradient(scale)


def zeros_floor(kernel: jax.Array) -> jax.Array:
    """No floor under the scales of a kernel [..., C]."""
    return np.zeros((kernel.shape[-1],), np.float32)
