"""Models of randomly chosen operations: branches, residuals, concatenations."""

from collections.abc import Callable

import flax.linen as nn
from hypothesis import strategies as st

from aqtaudio.recipe import Recipe, Rule
from aqtaudio.vocabulary import layers as L
from aqtaudio.vocabulary.signal import Signal

FEATURES = (6, 5)  # frames, channels
PLAIN = {"relu": False, "norm": False}
Pick = tuple[str, int, int]
"""An operation, and which signals it reads, counted back from the last."""


def _image(layer: Callable[[Signal], Signal]) -> Callable[[Signal, str], Signal]:
    """A layer on [T, 1, C] as one on [T, C]."""

    def run(x: Signal, name: str) -> Signal:
        x = L.Reshape((x.shape[0], 1, x.shape[1]), name=f"{name}_image")(x)
        x = layer(x)
        return L.Reshape((x.shape[0], x.shape[2]), name=f"{name}_frames")(x)

    return run


def _named(kind: type[L.Layer], *arguments, **settings) -> Callable[[Signal, str], Signal]:
    return lambda x, name: kind(*arguments, **settings, name=name)(x)


def _imaged(kind: type[L.Layer], *arguments, **settings) -> Callable[[Signal, str], Signal]:
    return lambda x, name: _image(kind(*arguments, **settings, name=name))(x, name)


def _self_product(x: Signal, name: str) -> Signal:
    """softmax(x x^T) x."""
    scores = L.BatchMatMul(transpose_b=True, name=f"{name}_scores")(x, x)
    return L.BatchMatMul(name=name)(L.Softmax(0.3, name=f"{name}_softmax")(scores), x)


UNARY: dict[str, Callable[[Signal, str], Signal]] = {
    "dense": _named(L.Dense, 6),
    "dense_relu": _named(L.Dense, 4, relu=True),
    "conv": _imaged(L.Conv2D, 5, (3, 1), padding="CAUSAL", **PLAIN),
    "conv_relu": _imaged(L.Conv2D, 6, (2, 1), norm=False),
    "depthwise": _imaged(L.DepthwiseConv2D, (3, 1), dilation=(2, 1), **PLAIN),
    "average_pool": _imaged(L.AveragePool, (2, 1), (1, 1)),
    "max_pool": _imaged(L.MaxPool, (2, 1), (1, 1)),
    "mean": _named(L.Mean, (0,), keep=True),
    "sum": _named(L.Sum, (0,), keep=True),
    "relu": _named(L.Relu),
    "leaky_relu": _named(L.LeakyRelu, 0.2),
    "prelu": _named(L.PRelu),
    "sigmoid": _named(L.Sigmoid),
    "swish": _named(L.Swish),
    "tanh": _named(L.Tanh),
    "softmax": _named(L.Softmax),
    "scale": _named(L.Scale),
    "offset": _named(L.Offset),
    "pad": _named(L.Pad, ((1, 0), (0, 0))),
    "transpose": _named(L.Transpose, (1, 0)),
    "attention": _self_product,
    "hard_swish": _named(L.HardSwish),
    "elu": _named(L.Elu),
    "l2": _named(L.L2Normalize),
    "layer_norm": _named(L.LayerNorm),
}
BINARY = {"add": L.Add, "sub": L.Sub, "mul": L.Mul, "concat": L.Concat}
NEEDS_TWO_FRAMES = ("average_pool", "max_pool")
NARROW = "hard_swish|elu|l2|layer_norm"


class RandomModel(nn.Module):
    """[T, C] features through `picks`; the result is the last signal."""

    picks: tuple[Pick, ...]

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        signals = [L.Input(FEATURES, name="input")(x)]
        for number, (kind, first, second) in enumerate(self.picks):
            name = f"{kind}_{number}"
            a, b = signals[-1 - first % len(signals)], signals[-1 - second % len(signals)]
            if kind in NEEDS_TWO_FRAMES and a.shape[0] < 2:
                kind = "relu"
            signals.append(UNARY[kind](a, name) if kind in UNARY else _binary(kind, a, b, name))
        return signals[-1]


def _binary(kind: str, a: Signal, b: Signal, name: str) -> Signal:
    """Of signals made to fit: frames by their mean, channels by a dense layer."""
    if a.shape[0] != b.shape[0]:
        b = L.Mean((0,), keep=True, name=f"{name}_mean")(b)
        if kind == "concat":
            return L.Concat(0, name=name)(a, _fitted(b, a, name))
    if kind == "concat":
        return L.Concat(1, name=name)(a, b) if a.shape[1] + b.shape[1] < 20 else a
    return BINARY[kind](name=name)(a, _fitted(b, a, name))


def _fitted(b: Signal, a: Signal, name: str) -> Signal:
    return b if a.shape[1] == b.shape[1] else L.Dense(a.shape[1], name=f"{name}_fit")(b)


def _recipe(weight_bits: int, wide: str | None) -> Recipe:
    rules = [Rule(weight_bits=weight_bits, calibration="max")]
    if wide:
        rules.insert(0, Rule(f"({NARROW}).*", calibration="max"))
        rules.insert(1, Rule(wide, activation_bits=16, calibration="max"))
    return Recipe(rules=tuple(rules))


picks = st.tuples(st.sampled_from([*UNARY, *BINARY]), st.integers(0, 3), st.integers(0, 5))
models = st.lists(picks, min_size=3, max_size=20).map(lambda p: RandomModel(tuple(p)))
recipes = st.sampled_from(
    [_recipe(8, None), _recipe(4, None), _recipe(8, ".*"), _recipe(8, ".*[02468](_.*)?")]
)
