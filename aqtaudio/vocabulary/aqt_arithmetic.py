"""AQT (aqtp 0.9.0) as this project uses it: weight quantizers, and dots of codes. The only file
that imports it.
"""

import dataclasses
import functools
import itertools
import math
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from aqt.jax.v2 import aqt_dot_general, aqt_quantizer, aqt_tensor, calibration
from aqt.jax.v2 import config as aqt_config
from jax import lax

from aqtaudio.program.kernels.weighted import bound, chunked, column_sums
from aqtaudio.program.linear import EXACTLY, contraction

SHARDS = 16
"""Groups of examples of a backward dot."""


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


def selected_weight_codes(
    weights: jax.Array, floor: jax.Array, bits: jax.Array, four_per_tensor: bool
) -> tuple[jax.Array, jax.Array]:
    """`weight_codes` where bits, int32 [] 4 or 8, are traced: both, and a choice."""
    four = weight_codes(weights, floor, 4, four_per_tensor)
    eight = weight_codes(weights, floor, 8, False)
    codes, scale = (jnp.where(bits == 8, b, a) for a, b in zip(four, eight, strict=True))
    return codes, scale


@dataclasses.dataclass(frozen=True)
class RoundedGradients:
    """Backward dots of integers: AQT's backward configuration.

    Attributes:
      bits: of both operands. Weight codes are what they are; centred input codes are rounded again.
      stochastic: how the gradient is rounded; to nearest else.
      key: of an operation; every dot of it draws from a key of its own. None: nothing draws, and
        stochastic gradients are an error.
    """

    bits: int
    stochastic: bool = False
    key: jax.Array | None = None

    def config(self, rows: tuple[int, ...], number: int) -> aqt_dot_general.DotGeneral:
        """AQT's for the dot of that number, of inputs [*rows, K].

        A weight's gradient is a sum over all rows. They are split into up to SHARDS groups of
        examples, each with scales of its own; into more where int32 could not hold a group's sum.
        """
        shards = math.gcd(rows[0], SHARDS)
        if math.prod(rows) // shards * 127**2 >= 2**31:
            shards = rows[0]
        config = aqt_dot_general.dot_general_make(
            None,
            None,
            self.bits,
            use_fwd_quant=False,
            drhs_local_aqt=aqt_dot_general.LocalAqt(contraction_axis_shard_count=shards),
            allow_dummy_gradients=True,
        )
        assert config is not None
        weights = config.dlhs.dg_quantizer.rhs
        of_one = weights.numerics.get_quant_bound()
        weights.calibration = functools.partial(calibration.ConstantCalibration, bound=of_one)
        if not self.stochastic:
            return config
        aqt_config.set_stochastic_rounding(config, True, False, "jax.uniform")
        for dot in (config.dlhs, config.drhs):
            # The largest value is on the last code, not half a code beyond: no draw is clipped.
            dot.dg_quantizer.lhs.numerics.preserve_max_val = True
        key = None if self.key is None else jax.random.fold_in(self.key, number)
        return aqt_config.set_context(config, key, None)


def aqt_dot(integer: bool, gradients: RoundedGradients | None = None):
    """AQT's dot on complete QTensors of our codes, as a kernel's `dot`.

    AQT cannot hold a zero point, so its dot sees raw int8 codes (integer) and the zero point is a
    separate term, or sees centred codes in exact float32. Gradients are AQT's backward dots, of
    float32 or of `gradients`.
    """
    numbers = itertools.count()

    def dot(x: jax.Array, zero_point: int, w: jax.Array, weight_bits: int) -> list[jax.Array]:
        def integers(a: jax.Array, b: jax.Array) -> jax.Array:
            return _qtensor_dot(a, b, jnp.int8) - zero_point * column_sums(b)

        def carriers(a: jax.Array, b: jax.Array) -> jax.Array:
            return _qtensor_dot(a - zero_point, b, jnp.float32)

        def rounded(a: jax.Array, b: jax.Array) -> jax.Array:
            # Centred codes get the gradient in both engines: zeros stay zeros when rounded.
            assert gradients is not None
            config = gradients.config(a.shape[b.ndim - 2 : -1], next(numbers))
            if not integer:
                return _qtensor_dot(a - zero_point, b, jnp.float32, config)
            product = _qtensor_dot(a - zero_point, b, jnp.int8, config, a)
            return product - zero_point * lax.stop_gradient(column_sums(b))

        function = rounded if gradients else integers if integer else carriers
        return chunked(function, x, w, bound(zero_point), weight_bits)

    return dot


def _qtensor_dot(
    a: jax.Array,
    b: jax.Array,
    dtype: Any,
    config: aqt_dot_general.DotGeneral | None = None,
    codes: jax.Array | None = None,
) -> jax.Array:
    """AQT's dot of a [..., K] and b [K, C] (or [N, M, K] and [N, K, C]) that hold codes; exact.

    `codes` are multiplied in place of a, which gets the gradient.
    """
    config = config or aqt_dot_general.dot_general_make(
        None, None, None, use_fwd_quant=False, allow_dummy_gradients=True
    )
    assert config is not None
    if dtype == jnp.int8:
        config.fwd.dg_accumulator_dtype = jnp.int32
    else:
        config.fwd.dot_general = _exact_dot_general
    quantized = [
        aqt_tensor.QTensor(
            qvalue=lax.stop_gradient(codes).astype(dtype),
            scale=[],
            scale_t=None,
            bias=[],
            dequant_dtype=jnp.float32,
        )
        for codes in (a if codes is None else codes, b)
    ]
    with warnings.catch_warnings():
        # aqtp 0.9.0 calls jnp.promote_types on arrays; fixed after that release.
        warnings.simplefilter("ignore", DeprecationWarning)
        out, _ = config.dg_core(a, b, *quantized, contraction(a, b))
    return out


def _exact_dot_general(*arrays: jax.Array, **settings: Any) -> jax.Array:
    """lax.dot_general of float32 codes. AQT asks for the default precision, in which accelerators
    round operands.
    """
    return lax.dot_general(*arrays, **settings | {"precision": EXACTLY})


def constant_codes(value: jax.Array, bits: int = 8) -> tuple[jax.Array, jax.Array]:
    """AQT's int8 or int16 codes of trained values [...], in float32, and their one scale [].

    Zeros have the scale of nothing: the floor keeps it a normal float.
    """
    floor = np.full((value.shape[-1],), 1e-8, np.float32)
    codes, scale = weight_codes(value, floor, bits, True)
    return codes, scale.reshape(())


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
