"""Operations that move codes about, on the grid of their input: exact as they stand."""

import jax
import jax.numpy as jnp

from aqtaudio.program.kernels.call import Call, Kind


def reshape(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """RESHAPE; the batch axis stays."""
    (x,) = values
    return jnp.reshape(x, (x.shape[0], *attributes["shape"]))


def transpose(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """TRANSPOSE; `permutation` of the axes after the batch, counted from 0."""
    (x,) = values
    return jnp.transpose(x, (0, *(axis + 1 for axis in attributes["permutation"])))


def slice_(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """STRIDED_SLICE: `begin`, `end`, `strides` per axis after the batch."""
    (x,) = values
    ranges = zip(attributes["begin"], attributes["end"], attributes["strides"], strict=True)
    return x[(slice(None), *(slice(*bounds) for bounds in ranges))]


def concat(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """CONCATENATION along `axis` (after the batch, from 0); all inputs on one grid."""
    batch = max(x.shape[0] for x in values)
    whole = [jnp.broadcast_to(x, (batch, *x.shape[1:])) for x in values]
    return jnp.concatenate(whole, axis=attributes["axis"] + 1)


def pad(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """PAD with zeros; `widths` (before, after) per axis after the batch."""
    (x,) = values
    return jnp.pad(x, ((0, 0), *attributes["widths"]))


def _on_codes(real):
    return lambda call: real(call.codes, call.attributes)


def _pad_codes(call: Call) -> jax.Array:
    """The code of a padded zero is the zero point."""
    zero_point = call.output.zero_point
    return pad((call.codes[0] - zero_point,), call.attributes) + zero_point


def keep(values: tuple[jax.Array, ...], attributes) -> jax.Array:
    """The same, kept for the next block of a stream."""
    return values[0]


KINDS = {
    "write_state": Kind(_on_codes(keep), keep, differentiable=True),
    "reshape": Kind(_on_codes(reshape), reshape, differentiable=True),
    "transpose": Kind(_on_codes(transpose), transpose, differentiable=True),
    "slice": Kind(_on_codes(slice_), slice_, differentiable=True),
    "concat": Kind(_on_codes(concat), concat, differentiable=True),
    "pad": Kind(_pad_codes, pad, differentiable=True),
}
