"""The quantized reading: native integers on AQT's weight quantizers and dots.

Every layer becomes one operation of a program and runs
through the same kernel that executes recorded programs, so the forward pass of a training step is
the device's integers by construction. Gradients are straight-through.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from aqtaudio.program import kernels
from aqtaudio.program.kernel_libraries import four_bits_everywhere
from aqtaudio.program.kernels.call import Engine, Grid, Target
from aqtaudio.program.kernels.weighted import bias_codes
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.vocabulary.aqt_arithmetic import (
    RoundedGradients,
    aqt_dot,
    constant_codes,
    selected_weight_codes,
    weight_codes,
)
from aqtaudio.vocabulary.edge_grids import bits_of, edge_grid, edge_scale, most_bits
from aqtaudio.vocabulary.edges import Edge, Fixed, Own, Same
from aqtaudio.vocabulary.linear import Linear
from aqtaudio.vocabulary.owner import Owner
from aqtaudio.vocabulary.signal import Signal

BIAS_LIMIT = 2.0**30
"""Bias codes stay below this, so that int32 accumulators cannot overflow in a dead channel."""
NARROW_KINDS = ("rsqrt",)
"""Operations that are int8 even among int16 activations: no other form is right everywhere."""
NARROW = ("prelu", 1)
"""An input that is int8 even among int16 activations: slopes (tflite-micro, prelu.cc)."""


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
        attributes: Mapping[str, Any],
        constants: Mapping[str, Any],
    ) -> None:
        """An operation that has just been computed."""
        ...


@dataclasses.dataclass(frozen=True)
class Quantized:
    """Integer codes everywhere.

    Where the collection "bits" holds a layer's bits (up to 8), they are taken from there and may be
    traced: so runs of other bits are one program (`training.traced`). The integers are the same.

    Attributes:
      recipe: bits per layer.
      integer: int8 x int8 -> int32 dots; False: the same integers carried in float32.
      target: whose arithmetic, TFLite Micro's or LiteRT's.
      notebook: set by the recording reading.
      suffix: of the names of edges: the frame that they belong to.
    """

    recipe: Recipe
    integer: bool = False
    target: Target = "micro"
    notebook: Notebook | None = None
    suffix: str = ""

    @property
    def scans(self) -> bool:  # noqa: D102
        return self.notebook is None

    @property
    def unobserved(self) -> None:  # noqa: D102
        return None

    def frame(self, number: int) -> "Quantized":  # noqa: D102
        return dataclasses.replace(self, suffix=f"/t{number}")

    def input(self, layer: Owner, x: Signal, edge: Own | Fixed) -> Signal:  # noqa: D102
        if isinstance(edge, Fixed):
            grid = self._grid(layer, "output", edge)
        else:
            bits = edge_grid(False, self.recipe.rule(layer.label).activation_bits).bits
            grid = Grid(edge_scale(layer, "output"), 0, bits)
        codes = kernels.quantize(x.values, grid, self._step(layer, "output", edge))
        return self._leave(layer, "output", codes, grid, layer.owner_name("output", edge))

    def linear(  # noqa: D102
        self,
        layer: Owner,
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
        x = self._in_width(layer, part, 0, x, rule.activation_bits == 16)
        if linear.kind == "dense" and rule.weight_bits < 8 and rule.int4_dense == "conv":
            return self._dense_as_conv(layer, part, x, kernel, bias, linear)
        return self._linear(layer, part, part, x, kernel, bias, linear)

    def _dense_as_conv(
        self,
        layer: Owner,
        part: str,
        x: Signal,
        kernel: jax.Array,
        bias: jax.Array,
        linear: Linear,
    ) -> Signal:
        """A dense layer [..., K] as a 1x1 convolution: that may have a weight scale per channel."""
        *lead, depth = x.shape
        image = {"shape": (math.prod(lead), 1, depth)}
        x = self.operation(layer, f"{part}_image", "reshape", (x,), image, Same())
        conv = dataclasses.replace(linear, kind="conv2d")
        y = self._linear(layer, part, f"{part}_conv", x, kernel[None, None], bias, conv)
        shape = {"shape": (*lead, kernel.shape[-1])}
        return self.operation(layer, part, "reshape", (y,), shape, Same())

    def _linear(
        self,
        layer: Owner,
        part: str,
        name: str,
        x: Signal,
        kernel: jax.Array,
        bias: jax.Array,
        linear: Linear,
    ) -> Signal:
        """One weighted operation: its range is `part`'s, its edge is called `name`."""
        rule = self.recipe.rule(layer.label)
        weight_bits, activation_bits = bits_of(layer, rule)
        dilated = linear.dilation != (1, 1)
        if self._everywhere and not four_bits_everywhere(
            linear.kind, x.shape[-1], kernel.shape[-1], dilated
        ):
            weight_bits = 8
        output = self._grid(layer, part, linear.edge)
        attributes: dict[str, Any] = {"low": output.lowest, "high": output.highest}
        if linear.fixed is None:
            codes = edge_grid(linear.relu, activation_bits)
            attributes = {"low": codes.low, "high": codes.high}
        attributes["weight_bits"] = most_bits(weight_bits)
        if linear.most < math.inf:
            attributes["most"] = linear.most
        if linear.kind != "dense":
            attributes |= {
                "strides": linear.strides,
                "dilation": linear.dilation,
                "padding": linear.padding,
            }
        if linear.kind == "conv2d" and kernel.shape[2] != x.shape[-1]:
            attributes["groups"] = x.shape[-1] // kernel.shape[2]
        constants = _constants(x, kernel, bias, weight_bits, is_per_tensor(linear, rule, 4))
        owner, step = layer.owner_name(part, linear.edge), self._step(layer, part, linear.edge)
        return self._run(layer, name, linear.kind, (x,), output, owner, attributes, constants, step)

    def operation(  # noqa: D102
        self,
        layer: Owner,
        part: str,
        kind: str,
        inputs: tuple[Signal, ...],
        attributes: dict[str, Any],
        edge: Edge,
    ) -> Signal:
        if isinstance(edge, Same):
            grid, owner = inputs[0].grid, inputs[0].owner
            if edge.margin:
                step = np.float32(edge.margin / (grid.highest - grid.zero_point))
                grid, owner = grid._replace(scale=grid.scale + step), layer.edge_name(part)
            return self._run(layer, part, kind, inputs, grid, owner, attributes, {})
        rule = self.recipe.rule(layer.label)
        narrowed = rule.activation_bits == 16 and kind in NARROW_KINDS
        wide = rule.activation_bits == 16 and not narrowed
        inputs = tuple(
            x
            if kind == "requantize" or (kind, i) == NARROW
            else self._in_width(layer, part, i, x, wide)
            for i, x in enumerate(inputs)
        )
        output = self._grid(layer, part, edge)
        if narrowed:
            output = Grid(output.scale * np.float32(32767 / 127), 0, 8)
        if isinstance(edge, Own):
            bits = 8 if narrowed else bits_of(layer, rule).activations
            codes = edge_grid(edge.relu, bits)
            attributes = attributes | {"low": codes.low, "high": codes.high}
            if edge.most < math.inf:
                attributes["most"] = edge.most
            scale = kernels.safe_scale(kind, tuple(x.grid for x in inputs), output.scale)
            output = output._replace(scale=scale)
        owner = layer.owner_name(part, edge)
        step = None if narrowed else self._step(layer, part, edge)
        if kind == "sub" and wide and self._everywhere:
            inputs = inputs[0], _negatable(inputs[1])
        if kind == "concat":
            inputs = tuple(
                self._requantized(layer, f"{part}_{i}", x, output, owner, step)
                for i, x in enumerate(inputs)
            )
        return self._run(layer, part, kind, inputs, output, owner, attributes, {}, step)

    def constant(  # noqa: D102
        self,
        layer: Owner,
        part: str,
        value: jax.Array,
        narrow: bool = False,
        trained: bool = True,
    ) -> Signal:
        wide = self.recipe.rule(layer.label).activation_bits == 16 and not narrow
        bits = 16 if wide else 8
        codes, scale = constant_codes(value, bits)
        grid = Grid(lax.stop_gradient(scale), 0, bits)
        out = self._signal(layer, part, codes[None], grid, layer.edge_name(part))
        if self.notebook:
            arrays = {"codes": codes, "real": value}
            self.notebook.operation("constant", (), out, {"trained": trained}, arrays)
        return out

    def zeros(  # noqa: D102
        self, layer: Owner, part: str, shape: tuple[int, ...], like: str, edge: Own | Fixed
    ) -> Signal:
        grid = self._grid(layer, like, edge)
        codes = jnp.full((1, *shape), grid.zero_point, jnp.float32)
        out = self._signal(layer, part, codes, grid, layer.owner_name(like, edge))
        if layer.streams:
            return self.past(layer, part, out, shape[0])
        if self.notebook:
            constants = {"codes": codes[0], "real": jnp.zeros(shape)}
            self.notebook.operation("constant", (), out, {"trained": False}, constants)
        return out

    def past(self, layer: Owner, part: str, like: Signal, frames: int) -> Signal:  # noqa: D102
        shape = (like.values.shape[0], frames, *like.shape[1:])
        zeros = functools.partial(jnp.full, shape, like.zero_point, jnp.float32)
        state = layer.variable("state", part, zeros)
        out = self._signal(layer, part, state.value, like.grid, like.owner)
        if self.notebook:
            attributes = {"state": layer.edge_name(part)}
            codes = jnp.full(shape[1:], like.zero_point)
            self.notebook.operation("read_state", (), out, attributes, {"codes": codes})
        return out

    def keep(self, layer: Owner, part: str, x: Signal) -> None:  # noqa: D102
        layer.put_variable("state", part, x.values)
        if self.notebook:
            state = layer.edge_name(part)
            out = dataclasses.replace(x, edge=f"{state}_kept{self.suffix}")
            self.notebook.operation("write_state", (x,), out, {"state": state}, {})

    @property
    def _everywhere(self) -> bool:
        """Whether the program must be right on all kernels."""
        return self.recipe.kernels == "everywhere"

    def _grid(self, layer: Owner, part: str, edge: Own | Fixed) -> Grid:
        rule = self.recipe.rule(layer.label)
        if isinstance(edge, Fixed):
            return edge.grid(rule.activation_bits == 16)
        codes = edge_grid(edge.relu, bits_of(layer, rule).activations)
        scale = edge_scale(layer, part)
        if self.recipe.learn_ranges and edge.most < math.inf:
            scale = jnp.minimum(scale, np.float32(edge.most / codes.levels))
        return Grid(scale, codes.zero_point, codes.bits)

    def _step(self, layer: Owner, part: str, edge: Own | Fixed) -> jax.Array | None:
        """The scale of an edge, where it is trained: there it gets a gradient."""
        if not self.recipe.learn_ranges or isinstance(edge, Fixed):
            return None
        return layer.get_variable("ranges", part)["scale"]

    def _in_width(self, layer: Owner, part: str, index: int, x: Signal, wide: bool) -> Signal:
        """x in int16 (`wide`) or int8: a requantization where it is in the other."""
        if wide == (x.bits == 16):
            return x
        if wide:
            levels = x.grid.highest - x.zero_point
            grid = Grid(x.grid.scale * np.float32(levels / 32767), 0, 16)
        else:
            grid = Grid(x.grid.scale * np.float32(32767 / 127), 0, 8)
        name = f"{part}_input" if index == 0 else f"{part}_input_{index}"
        return self._requantized(layer, name, x, grid, layer.edge_name(name))

    def _requantized(
        self,
        layer: Owner,
        part: str,
        x: Signal,
        grid: Grid,
        owner: str,
        step: jax.Array | None = None,
    ) -> Signal:
        """x on another grid; itself where it is on that grid already."""
        if x.owner == owner:
            return x
        return self._run(layer, part, "requantize", (x,), grid, owner, {}, {}, step)

    def _run(
        self,
        layer: Owner,
        part: str,
        kind: str,
        inputs: tuple[Signal, ...],
        output: Grid,
        owner: str,
        attributes: dict[str, Any],
        constants: dict[str, Any],
        step: jax.Array | None = None,
    ) -> Signal:
        codes = tuple(x.values for x in inputs)
        grids = tuple(x.grid for x in inputs)
        engine = Engine(aqt_dot(self.integer, self._gradients(layer)), self.target)
        call = kernels.call_of(kind, codes, grids, output, attributes, constants, engine, step)
        out = self._signal(layer, part, kernels.run(call), output, owner)
        if self.notebook:
            self.notebook.operation(kind, inputs, out, attributes, call.constants)
        return out

    def _gradients(self, layer: Owner) -> RoundedGradients | None:
        """How an operation's backward dots are rounded."""
        bits, stochastic = self.recipe.gradient_bits, self.recipe.stochastic_rounding
        if bits is None:
            return None
        draws = stochastic and layer.has_rng("gradients")
        key = layer.make_rng("gradients") if draws else None
        return RoundedGradients(bits, stochastic, key)

    def _leave(self, layer: Owner, part: str, codes: jax.Array, grid: Grid, owner: str) -> Signal:
        """The signal on an edge that no operation makes."""
        out = self._signal(layer, part, codes, grid, owner)
        if self.notebook:
            self.notebook.edge(out)
        return out

    def _signal(self, layer: Owner, part: str, codes: jax.Array, grid: Grid, owner: str) -> Signal:
        layer.sow("codes", part, codes)
        return Signal(
            codes,
            self,
            jnp.asarray(grid.scale),
            grid.zero_point,
            grid.bits,
            layer.edge_name(part) + self.suffix,
            owner,
        )


def _negatable(x: Signal) -> Signal:
    """int16 codes whose negatives are codes too (`program.portable`)."""
    return dataclasses.replace(x, values=jnp.maximum(x.values, -32767.0))


def is_per_tensor(linear: Linear, rule: Rule, weight_bits: int) -> bool:
    """TFLite Micro has no 4-bit dense layer with a scale per channel."""
    return linear.kind == "dense" and weight_bits < 8 and rule.int4_dense == "tensor"


def _constants(
    x: Signal, kernel: jax.Array, bias: jax.Array, bits: Any, four_per_tensor: bool
) -> dict[str, jax.Array]:
    """Weight codes and bias codes of a linear operation; of 4 bits maybe of one scale."""
    assert x.scale is not None
    floor = lax.stop_gradient(jnp.abs(bias)) / (x.scale * BIAS_LIMIT)
    if isinstance(bits, int):
        codes, weight_scale = weight_codes(kernel, floor, bits, bits < 8 and four_per_tensor)
    else:
        codes, weight_scale = selected_weight_codes(kernel, floor, bits, four_per_tensor)
    weight_scale = lax.stop_gradient(weight_scale)
    return {
        "weights": codes,
        "weight_scale": weight_scale,
        "bias": bias_codes(bias, x.scale, weight_scale),
        "bias_steps": bias / (x.scale * weight_scale),
        "real_kernel": kernel,
        "real_bias": bias,
    }
