"""Every operation of the vocabulary in a small model of its own: the laws run over these."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from aqtaudio.recipe import Recipe, Rule
from aqtaudio.vocabulary import layers as L
from aqtaudio.vocabulary.edges import SIGNED_TWO
from aqtaudio.vocabulary.signal import Signal

Params = dict[str, Any]

MAX = {"calibration": "max"}
RECIPES = {
    "w8a8": Recipe(rules=(Rule(**MAX),)),
    "w4a8": Recipe(rules=(Rule(weight_bits=4, **MAX),)),
    "w4a8_conv": Recipe(rules=(Rule(weight_bits=4, int4_dense="conv", **MAX),)),
    "w8a16": Recipe(rules=(Rule(activation_bits=16, **MAX),)),
    # int16 where it matters: a memory; all but what softmax and L2 normalisation cannot do.
    "memory_16": Recipe(rules=(Rule(".*/memory", activation_bits=16, **MAX), Rule(**MAX))),
    "mixed_16": Recipe(
        rules=(Rule("op|.*/scores|.*/probabilities", **MAX), Rule(activation_bits=16, **MAX))
    ),
}
WEIGHTED = ("w8a8", "w4a8", "w8a16")
PLAIN = ("w8a8", "w8a16")
NARROW = ("w8a8", "mixed_16")


class Net(nn.Module):
    """Features on an input edge, then whatever `body` makes of them."""

    features: tuple[int, ...]
    body: Callable[[Signal], Signal]

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        return self.body(L.Input(self.features, name="input")(x))


def op(kind: type[L.Layer], *arguments, **settings) -> Callable[..., Signal]:
    """A layer called "op", made where it is used."""
    return lambda *signals: kind(*arguments, **settings, name="op")(*signals)


@dataclasses.dataclass(frozen=True)
class OperationCase:
    """A model.

    Attributes:
      model: the operation is called "op"; a layer before it lets gradients show.
      features: shape of one input.
      precisions: keys of RECIPES that TFLite Micro can run it with.
      plain: the same function in plain jax.numpy: (params, x [B, ...]) -> [B, ...].
    """

    model: nn.Module
    features: tuple[int, ...]
    precisions: tuple[str, ...]
    plain: Callable[[Params, jax.Array], jax.Array]


def dense(p: Params, x: jax.Array) -> jax.Array:
    return x @ p["kernel"] + p["bias"]


def image(body, plain, precisions=WEIGHTED, shape=(6, 5, 4)) -> OperationCase:
    """A case on images, without a layer before."""
    return OperationCase(Net(shape, body), shape, precisions, lambda p, x: plain(p["op"], x))


def unary(body, plain, precisions=PLAIN, shape=(4, 3), channels=6) -> OperationCase:
    """A case of op(dense(x))."""

    def model(x: Signal) -> Signal:
        return body(L.Dense(channels, gain=3.0, name="dense")(x))

    def function(p: Params, x: jax.Array) -> jax.Array:
        return plain(p.get("op", {}), dense(p["dense"], x))

    return OperationCase(Net(shape, model), shape, precisions, function)


def binary(body, plain, precisions=PLAIN, shape=(4, 3), channels=6) -> OperationCase:
    """A case of op(dense_1(x), dense_2(x)) on grids that differ."""

    def model(x: Signal) -> Signal:
        a = L.Dense(channels, name="dense_1")(x)
        return body(a, L.Dense(channels, relu=True, gain=0.3, name="dense_2")(x))

    def function(p: Params, x: jax.Array) -> jax.Array:
        return plain(dense(p["dense_1"], x), jax.nn.relu(dense(p["dense_2"], x)))

    return OperationCase(Net(shape, model), shape, precisions, function)


def conv(p: Params, x, strides=(1, 1), padding="SAME", dilation=(1, 1), groups=1) -> jax.Array:
    kernel = p["kernel"] if p["kernel"].ndim == 4 else p["kernel"][:, :, None]
    y = lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        rhs_dilation=dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )
    return y + p.get("bias", 0.0)


def relu6(x: jax.Array) -> jax.Array:
    return jnp.clip(x, 0, 6)


WIDE = {"relu": False, "norm": False}
CONVOLUTIONS = {
    "conv_strided": image(
        op(L.Conv2D, 6, (3, 2), (2, 1), **WIDE),
        lambda p, x: conv(p, x, (2, 1)),
    ),
    "conv_dilated": image(
        op(L.Conv2D, 3, (2, 3), (1, 1), (3, 2), "VALID", norm=False),
        lambda p, x: jax.nn.relu(conv(p, x, padding="VALID", dilation=(3, 2))),
        ("w8a8", "w4a8"),
    ),
    "conv_causal": image(
        op(L.Conv2D, 3, (3, 3), (2, 2), (1, 1), "CAUSAL", **WIDE),
        lambda p, x: conv(p, x, (2, 2), ((1, 0), (1, 1))),
    ),
    "conv_grouped": image(
        op(L.Conv2D, 6, (3, 3), groups=2, **WIDE),
        lambda p, x: conv(p, x, groups=2),
    ),
    "conv_unbiased": image(
        op(L.Conv2D, 6, (3, 2), biased=False, **WIDE),
        lambda p, x: conv(p, x),
    ),
    "conv_relu6": image(
        op(L.Conv2D, 6, (2, 2), norm=False, most=6.0),
        lambda p, x: relu6(conv(p, x)),
    ),
    "depthwise": image(
        op(L.DepthwiseConv2D, (3, 2), (2, 2), multiplier=2, **WIDE),
        lambda p, x: conv(p, x, (2, 2), groups=4),
    ),
    "depthwise_causal": image(
        op(L.DepthwiseConv2D, (3, 1), dilation=(2, 1), padding="CAUSAL", **WIDE),
        lambda p, x: conv(p, x, padding=((4, 0), (0, 0)), dilation=(2, 1), groups=4),
        ("w8a8", "w4a8"),
    ),
    "dense": image(op(L.Dense, 7), dense, (*WEIGHTED, "w4a8_conv"), (4, 5)),
    "dense_vector": image(
        op(L.Dense, 7, relu=True),
        lambda p, x: jax.nn.relu(dense(p, x)),
        ("w8a8", "w4a8_conv"),
        (9,),
    ),
}


def sub_pixel(p: Params, x: jax.Array) -> jax.Array:
    y = conv(p, x[:, :, None], padding=((2, 0), (0, 0)))
    return y.reshape(x.shape[0], -1, 5)


CONVOLUTIONS["sub_pixel"] = image(
    op(L.SubPixelConv1D, 5, 3, 3), sub_pixel, ("w8a8", "w4a8"), (4, 6)
)


def grouped_dense(p: Params, x: jax.Array) -> jax.Array:
    """Slice by slice."""
    kernels = jnp.split(p["kernel"][0, 0], 3, -1)
    parts = zip(jnp.split(x, 3, -1), kernels, strict=True)
    return jnp.concatenate([part @ kernel for part, kernel in parts], -1)


def doubled(p: Params, x: jax.Array) -> jax.Array:
    """Even and odd columns from the one before, the same and the one after."""
    near = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
    near = jnp.stack([near[:, :, :-2], near[:, :, 1:-1], near[:, :, 2:]], -2)
    channels = x.shape[-1]
    if "taps" in p:  # a transposed convolution of stride 2
        a, b, c = p["taps"]
        even, odd = b * x, c * x + a * near[..., 2, :]
    else:
        even = (near * p["kernel"][0, :, :channels]).sum(-2)
        odd = (near * p["kernel"][0, :, channels:]).sum(-2)
    return jnp.stack([even, odd], 3).reshape(*x.shape[:2], -1, channels)


CONVOLUTIONS |= {
    "grouped_dense": image(op(L.GroupedDense, 9, 3), grouped_dense, WEIGHTED, (4, 6)),
    "doubled_depthwise": image(op(L.DoubledDepthwise), doubled),
    "doubled_depthwise_tied": image(op(L.DoubledDepthwise, tied=True), doubled),
}


def block_dense(blocks: int, parts: int):
    """Block by block; each makes its share of every part."""

    def function(p: Params, x: jax.Array) -> jax.Array:
        made = [
            part @ kernel for part, kernel in zip(jnp.split(x, blocks, -1), p["taps"], strict=True)
        ]
        shares = [jnp.split(y, parts, -1) for y in made]
        return (
            jnp.concatenate([y for part in zip(*shares, strict=True) for y in part], -1) + p["bias"]
        )

    return function


def transposed(p: Params, x: jax.Array, groups: int = 1) -> jax.Array:
    """A transposed convolution of stride 2 over W, as gradients of convolutions are computed."""
    taps = p["taps"] if p["taps"].ndim == 4 else p["taps"][:, :, None]
    rows, columns = taps.shape[0] - 1, taps.shape[1] // 2
    y = lax.conv_general_dilated(
        x,
        taps[:, ::-1],
        (1, 1),
        ((rows, 0), (columns, columns)),
        lhs_dilation=(1, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )
    return y + p["bias"]


CONVOLUTIONS |= {
    "block_dense": image(op(L.BlockDense, 12, 2, 3), block_dense(2, 3), WEIGHTED, (3, 4, 6)),
    "doubled_conv": image(op(L.DoubledConv2D, 3, (2, 5)), transposed),
    "doubled_depthwise_conv": image(
        op(L.DoubledConv2D, 4, (2, 3), True), lambda p, x: transposed(p, x, 4), PLAIN
    ),
}

ELEMENTWISE = {
    "add": binary(op(L.Add), lambda a, b: a + b),
    "add_relu": binary(op(L.Add, relu=True), lambda a, b: jax.nn.relu(a + b), ("w8a8",)),
    "sub": binary(op(L.Sub), lambda a, b: a - b),
    "sub_of_units": binary(
        lambda a, b: L.Sub(edge=SIGNED_TWO, name="op")(
            L.Tanh(name="first")(a), L.Tanh(name="second")(b)
        ),
        lambda a, b: jnp.tanh(a) - jnp.tanh(b),
    ),
    "mul": binary(op(L.Mul), lambda a, b: a * b),
    "mul_gate": binary(
        lambda a, b: L.Mul(name="op")(a, L.Mean((0,), keep=True, name="mean")(b)),
        lambda a, b: a * b.mean(1, keepdims=True),
        ("w8a8",),
    ),
    "scale": unary(op(L.Scale), lambda p, x: x * p["scale"]),
    "offset": unary(op(L.Offset), lambda p, x: x + p["offset"]),
    "concat": binary(
        lambda a, b: L.Concat(1, name="op")(a, b), lambda a, b: jnp.concatenate([a, b], -1)
    ),
    "concat_many": unary(
        lambda x: L.Concat(0, name="op")(*[x] * 12), lambda p, x: jnp.concatenate([x] * 12, 1)
    ),
    "batch_matmul": binary(
        op(L.BatchMatMul, transpose_b=True),
        lambda a, b: a @ b.swapaxes(1, 2),
    ),
    "batch_matmul_transposed": binary(
        op(L.BatchMatMul, transpose_a=True),
        lambda a, b: a.swapaxes(1, 2) @ b,
        ("w8a8",),
    ),
}


def split_sum(x: Signal) -> Signal:
    a, b, c = L.split(x, 3, 1, "split")
    return L.Add(name="sum")(L.Add(name="pair")(a, b), L.Slice(1, 1, 2, name="op")(c))


MOVEMENT = {
    "slice": unary(op(L.Slice, 1, 1, 6, 2), lambda p, x: x[:, :, 1:6:2], ("w8a8",)),
    "split": unary(
        split_sum,
        lambda p, x: x[:, :, :2] + x[:, :, 2:4] + x[:, :, 5:6],
        ("w8a8",),
    ),
    "pad": unary(
        op(L.Pad, ((1, 0), (2, 1))),
        lambda p, x: jnp.pad(x, ((0, 0), (1, 0), (2, 1))),
        ("w8a8",),
    ),
    "transpose": unary(op(L.Transpose, (1, 0)), lambda p, x: x.swapaxes(1, 2), ("w8a8",)),
    "regrid": unary(
        lambda x: L.Regrid(name="op")(L.Slice(1, 0, 2, name="part")(x)), lambda p, x: x[:, :, :2]
    ),
    "flip": unary(op(L.Flip, 1), lambda p, x: x[:, :, ::-1]),
    "channel_shuffle": unary(
        op(L.ChannelShuffle, 2),
        lambda p, x: jnp.stack(jnp.split(x, 2, -1), -1).reshape(x.shape),
        shape=(2, 3, 4),
    ),
    "unfold": unary(
        op(L.Unfold),
        lambda p, x: jnp.concatenate(
            [jnp.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))[:, :, i : i + 3] for i in range(3)], -1
        ),
        shape=(2, 3, 4),
    ),
    "reshape": unary(op(L.Reshape, (-1, 8)), lambda p, x: x.reshape(-1, 3, 8), ("w8a8",)),
}


def windows(x: jax.Array, reduce) -> jax.Array:
    """reduce over 2x2 windows of [B, 4, 4, C]."""
    return reduce(x.reshape(x.shape[0], 2, 2, 2, 2, -1), (2, 4))


SQUARE = {"shape": (4, 4, 3)}
POOLING = {
    "average_pool": unary(op(L.AveragePool, (2, 2)), lambda p, x: windows(x, jnp.mean), **SQUARE),
    "max_pool": unary(op(L.MaxPool, (2, 2)), lambda p, x: windows(x, jnp.max), **SQUARE),
    "global_average_pool": unary(op(L.GlobalAveragePool), lambda p, x: x.mean(1), shape=(7, 3)),
    "mean": unary(op(L.Mean, (0,)), lambda p, x: x.mean(1)),
    "mean_kept": unary(
        op(L.Mean, (1, 2), keep=True),
        lambda p, x: x.mean((2, 3), keepdims=True),
        ("w8a8",),
        (2, 3, 4),
    ),
    "sum": unary(op(L.Sum, (1,)), lambda p, x: x.sum(2)),
}


def l2(x: jax.Array) -> jax.Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def layer_norm(p: Params, x: jax.Array) -> jax.Array:
    x = x - x.mean(-1, keepdims=True)
    x = x / jnp.sqrt(jnp.mean(jnp.square(x), -1, keepdims=True))
    return x * p["scale"] + p["offset"]


def rms_norm(p: Params, x: jax.Array) -> jax.Array:
    return x / jnp.sqrt(jnp.mean(jnp.square(x), -1, keepdims=True)) * p["scale"]


def band_norm(p: Params, x: jax.Array) -> jax.Array:
    x = x - x.mean((2, 3), keepdims=True)
    x = x / jnp.sqrt(jnp.mean(jnp.square(x), (2, 3), keepdims=True))
    return x * p["scale"] + p["offset"]


FUNCTIONS = {
    "relu": unary(op(L.Relu), lambda p, x: jax.nn.relu(x)),
    "relu6": unary(op(L.Relu6), lambda p, x: relu6(x), channels=12),
    "leaky_relu": unary(op(L.LeakyRelu, 0.3), lambda p, x: jnp.where(x > 0, x, 0.3 * x)),
    "prelu": unary(op(L.PRelu), lambda p, x: jnp.where(x > 0, x, p["slope"] * x)),
    "prelu_shared": unary(
        op(L.PRelu, shared=True), lambda p, x: jnp.where(x > 0, x, p["slope"] * x), ("w8a8",)
    ),
    "affine_prelu": unary(
        op(L.AffinePRelu),
        lambda p, x: x * p["scale"] + p["offset"] + jnp.where(x > 0, x, p["slope"] * x),
        shape=(2, 3, 4),
    ),
    "hard_swish": unary(op(L.HardSwish), lambda p, x: x * relu6(x + 3) / 6, ("w8a8",)),
    "elu": unary(op(L.Elu), lambda p, x: jax.nn.elu(x), ("w8a8",)),
    "sigmoid": unary(op(L.Sigmoid), lambda p, x: jax.nn.sigmoid(x)),
    "swish": unary(op(L.Swish), lambda p, x: x * jax.nn.sigmoid(x)),
    "tanh": unary(op(L.Tanh), lambda p, x: jnp.tanh(x)),
    "softmax": unary(op(L.Softmax, 0.5), lambda p, x: jax.nn.softmax(0.5 * x)),
    "l2_normalize": unary(op(L.L2Normalize), lambda p, x: l2(x), NARROW),
    "layer_norm": unary(op(L.LayerNorm), layer_norm, NARROW),
    "rms_norm": unary(op(L.RMSNorm), rms_norm, NARROW),
    "band_norm": unary(op(L.BandNorm), band_norm, shape=(2, 5, 4)),
}


def gru(p: Params, x: jax.Array) -> jax.Array:
    """Frame by frame, gates in the order update, reset, candidate."""
    h, states = jnp.zeros((x.shape[0], p["kernel"]["bias"].size // 3)), []
    for frame in jnp.unstack(x, axis=1):
        a = jnp.split(dense(p["kernel"], frame), 3, -1)
        b = jnp.split(dense(p["cell"]["recurrent_kernel"], h), 3, -1)
        z, r = (jax.nn.sigmoid(a[i] + b[i]) for i in range(2))
        n = jnp.tanh(a[2] + r * b[2])
        h = (1 - z) * n + z * h
        states.append(h)
    return jnp.stack(states, 1)


def lstm(p: Params, x: jax.Array) -> jax.Array:
    """Frame by frame, gates in the order input, forget, output, candidate."""
    h = c = jnp.zeros((x.shape[0], p["kernel"]["bias"].size // 4))
    states = []
    for frame in jnp.unstack(x, axis=1):
        gates = dense(p["kernel"], frame) + dense(p["cell"]["recurrent_kernel"], h)
        i, f, o, g = jnp.split(gates, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        states.append(h)
    return jnp.stack(states, 1)


def grouped_gru(groups: int, along: str):
    """Each group on its own, over each row or each column."""

    def function(p: Params, x: jax.Array) -> jax.Array:
        x = x if along == "bands" else x.swapaxes(1, 2)
        kernel, recurrent = p["kernel"], p["cell"]["recurrent_kernel"]
        given = block_dense(groups, 3)(kernel, x)
        units = given.shape[-1] // 3
        h, states = jnp.zeros((*x.shape[:2], units)), []
        for step in jnp.unstack(given, axis=2):
            a = jnp.split(step, 3, -1)
            b = jnp.split(block_dense(groups, 3)(recurrent, h), 3, -1)
            z, r = (jax.nn.sigmoid(a[i] + b[i]) for i in range(2))
            n = jnp.tanh(a[2] + r * b[2])
            h = (1 - z) * n + z * h
            states.append(h)
        found = jnp.stack(states, 2)
        return found if along == "bands" else found.swapaxes(1, 2)

    return function


def attention(heads: int, window: tuple[int, int] | None):
    def function(p: Params, x: jax.Array) -> jax.Array:
        frames, channels = x.shape[1:]
        q, k, v = (
            dense(p[name], x).reshape(-1, frames, heads, channels // heads)
            for name in ("query", "key", "value")
        )
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(channels // heads)
        if window:
            apart = np.arange(frames)[None] - np.arange(frames)[:, None]
            hidden = (apart < -window[0]) | (apart > window[1])
            scores = jnp.where(hidden, -jnp.inf, scores)
        y = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
        return dense(p["output"], y.reshape(-1, frames, channels))

    return function


SEQUENCES = {
    "gru": image(op(L.GRU, 4), gru, WEIGHTED, (3, 3)),
    "gru_reverse": image(
        op(L.GRU, 4, reverse=True), lambda p, x: gru(p, x[:, ::-1])[:, ::-1], ("w8a8",), (3, 3)
    ),
    "gru_last": image(op(L.GRU, 4, last=True), lambda p, x: gru(p, x)[:, -1], ("w8a8",), (3, 3)),
    "gru_grouped": image(op(L.GroupedGRU, 4, 2), grouped_gru(2, "frames"), WEIGHTED, (3, 2, 4)),
    "gru_bands": image(
        op(L.GroupedGRU, 4, 2, "bands"), grouped_gru(2, "bands"), WEIGHTED, (2, 3, 4)
    ),
    "lstm": image(op(L.LSTM, 4), lstm, (*WEIGHTED, "memory_16"), (3, 3)),
    "attention": image(op(L.Attention, 2), attention(2, None), (*WEIGHTED, "mixed_16"), (5, 6)),
    "attention_causal": image(
        op(L.Attention, 1, (9, 0)),
        attention(1, (9, 0)),
        ("w8a8", "mixed_16"),
        (5, 6),
    ),
    "attention_local": image(
        op(L.Attention, 2, (1, 1)),
        attention(2, (1, 1)),
        ("w8a8", "w4a8"),
        (6, 4),
    ),
}

CASES = CONVOLUTIONS | ELEMENTWISE | MOVEMENT | POOLING | FUNCTIONS | SEQUENCES
