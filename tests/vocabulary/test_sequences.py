"""What is particular to layers over frames: upsampling, states, masks."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initial import calibrated, initial
from jax import lax
from operation_cases import CASES, RECIPES

from aqtaudio.errors import BadInput
from aqtaudio.program.cost import cost
from aqtaudio.program.execute import Executor
from aqtaudio.program.micro import Micro
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layers import (
    GRU,
    Attention,
    Dense,
    Input,
    PositionalEmbedding,
    Resampled,
    SubPixelConv1D,
    TransposedConv2D,
)
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.recording import record
from aqtaudio.vocabulary.signal import Signal, start
from aqtaudio.vocabulary.upsampling import from_transposed, resampling

pytestmark = pytest.mark.optimized("slow")

FRAMES = 6


@pytest.mark.parametrize(("size", "stride"), [(4, 2), (5, 2), (3, 3), (7, 3), (2, 4), (1, 1)])
def test_sub_pixel_convolution_is_a_transposed_one(size: int, stride: int):
    """Two rearrangements of the same sums: XLA's transposed convolution, its tail cut."""
    rng = np.random.default_rng(size)
    x = jnp.float32(rng.normal(size=(2, FRAMES, 3)))
    kernel, bias = jnp.float32(rng.normal(size=(size, 3, 4))), jnp.float32(rng.normal(size=4))
    transposed = lax.conv_general_dilated(
        x,
        kernel[::-1],
        (1,),
        [(size - 1, size - 1)],
        lhs_dilation=(stride,),
        dimension_numbers=("NWC", "WIO", "NWC"),
    )
    length = min(FRAMES * stride, transposed.shape[1])
    params = from_transposed(kernel, bias, stride)
    layer = SubPixelConv1D(4, stride, params["kernel"].shape[0], name="up")
    found = layer.apply({"params": params}, start(x, Floating())).real()
    assert found.shape == (2, FRAMES * stride, 4)
    np.testing.assert_allclose(found[:, :length], transposed[:, :length] + bias, atol=1e-5)
    # The kernel does not reach beyond.
    np.testing.assert_allclose(found[:, length:], jnp.broadcast_to(bias, found[:, length:].shape))


@pytest.mark.parametrize("stride", [2, 4])
def test_a_convolution_of_two_taps_is_a_transposed_one(stride: int):
    """Two strides of taps, half a stride of padding, as gradients of convolutions are computed."""
    rng = np.random.default_rng(stride)
    x = jnp.float32(rng.normal(size=(2, 3, 5, 4)))
    taps, bias = jnp.float32(rng.normal(size=(2 * stride, 4, 3))), jnp.float32(rng.normal(size=3))
    reach = 2 * stride - 1 - stride // 2
    expected = lax.conv_general_dilated(
        x,
        taps[None, ::-1],
        (1, 1),
        ((0, 0), (reach, reach)),
        lhs_dilation=(1, stride),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    own, older = (part.transpose(1, 0, 2).reshape(4, -1) for part in jnp.split(taps, 2))
    params = {"taps": jnp.stack([older, own]), "bias": bias}
    layer = TransposedConv2D(3, stride, name="up")
    found = layer.apply({"params": params}, start(x, Floating())).real()
    assert found.shape == (2, 3, 5 * stride, 3)
    np.testing.assert_allclose(found, expected + bias, atol=1e-5)


@pytest.mark.parametrize(("given", "made"), [(16, 64), (64, 16), (3, 4), (4, 3), (5, 5)])
def test_resampled_rows(given: int, made: int):
    """Each sees what lies less than a step of the fewer away; to more of them, a slope stays."""
    shares = resampling(given, made)
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-6)
    places, peaks = np.linspace(-1, 1, given), np.linspace(-1, 1, made)
    step = 2 / (min(given, made) - 1)
    near = np.abs(places[:, None] - peaks) < step * (1 - 1e-9)
    np.testing.assert_array_equal(shares > 1e-9, near)
    slope = jnp.asarray(places, jnp.float32)[None, None, :, None]
    found = Resampled(made, name="rows").apply({}, start(slope, Floating())).real()
    assert found.shape == (1, 1, made, 1)
    np.testing.assert_allclose(found[0, 0, :, 0], places @ shares, atol=1e-6)
    if made >= given:
        np.testing.assert_allclose(found[0, 0, :, 0], peaks, atol=1e-6)


class Frames(nn.Module):
    """A GRU over some frames."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        return GRU(4, name="gru")(Input(x.shape, name="input")(x))


def test_calibration_takes_the_largest_of_a_batch_of_frames():
    """Not their mean: early frames of a state are quiet."""
    x = jax.random.normal(jax.random.key(2), (2, 4, FRAMES, 3))
    params = initial(Frames(), x[0], 1)["params"]
    recipe = Recipe()  # mean over batches of the largest magnitude

    def step(*batches: jax.Array) -> float:
        found = calibrated(Frames(), params, batches, recipe)["gru"]["cell"]
        assert found["away"]["batches"] == len(batches)
        return float(found["recurrent_kernel"]["output"]["scale"])

    first = [step(x[0, :, :count]) for count in (1, 2, 4)]
    assert first == sorted(first) and first[1] < 0.8 * first[2]
    np.testing.assert_allclose(step(*x), (step(x[0]) + step(x[1])) / 2, rtol=1e-6)


def test_frames_share_arrays():
    x = jax.random.normal(jax.random.key(2), (4, 3, 3))
    params = initial(Frames(), x, 1)["params"]
    variables = {"params": params, "ranges": calibrated(Frames(), params, [x], Recipe())}
    program = record(Frames(), variables, (3, 3), Recipe())
    frames = [op for op in program.operations if op.name.startswith("gru/cell/recurrent_kernel")]
    assert [op.name[-3:] for op in frames] == ["/t0", "/t1", "/t2"]
    assert len({id(op.constants["weights"]) for op in frames}) == 1
    rows = [row.params for row in cost(program).operations if row.kind == "dense"]
    assert rows == [3 * 12 + 12, 4 * 12 + 12, 0, 0]


class Attending(nn.Module):
    """Attention with large scores."""

    window: tuple[int, int]

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        x = Input((FRAMES, 8), name="input")(x)
        return Attention(2, self.window, name="op")(Dense(8, gain=20.0, name="dense")(x))


@pytest.mark.parametrize("window", [(FRAMES, 0), (2, 0), (1, 1)])
def test_hidden_frames_get_nothing(window: tuple[int, int]):
    """Probability 0, in codes, even for frames much louder than any that was calibrated."""
    model = Attending(window)
    x = jax.random.normal(jax.random.key(0), (16, FRAMES, 8))
    params = initial(model, x, 1)["params"]
    variables = {"params": params, "ranges": calibrated(model, params, [x], Recipe())}

    @jax.jit
    def probabilities(x):
        signal = start(x, Quantized(Recipe()))
        _, sown = model.apply(variables, signal, mutable=["codes"])
        return sown["codes"]["op"]["probabilities"]["output"][0]

    found = probabilities(jnp.concatenate([x, 3 * x]))
    apart = np.arange(FRAMES) - np.arange(FRAMES)[:, None]
    hidden = (apart < -window[0]) | (apart > window[1])
    assert (found[:, :, hidden] == -128).all()
    shown = (found + 128)[:, :, ~hidden].sum() / found[..., 0].size / 256
    assert 0.97 < shown < 1.03


def test_a_hidden_frame_changes_no_code():
    """What a frame-by-frame execution relies on."""
    model = Attending((FRAMES, 0))
    x = jax.random.normal(jax.random.key(0), (16, FRAMES, 8))
    params = initial(model, x, 1)["params"]
    variables = {"params": params, "ranges": calibrated(model, params, [x], Recipe())}
    output = jax.jit(lambda x: model.apply(variables, start(x, Quantized(Recipe()))).values)
    other = x.at[:, 4:].multiply(-3)
    np.testing.assert_array_equal(output(x)[:, :4], output(other)[:, :4])
    assert (output(x)[:, 4:] != output(other)[:, 4:]).any()


def test_wide_scores_cannot_be_masked():
    model = Attending((1, 0))
    x = jnp.ones((1, FRAMES, 8))
    params = initial(model, x, 1)["params"]
    recipe = Recipe(rules=(Rule(activation_bits=16),))
    variables = {"params": params, "ranges": calibrated(model, params, [x], recipe)}
    with pytest.raises(BadInput, match="layer op: scores of 16 bits .* op/scores"):
        jax.eval_shape(lambda v: model.apply(v, start(x, Quantized(recipe))), variables)


def test_a_memory_may_have_16_bits():
    """Of all the edges of an LSTM, only those of its memory."""
    case = CASES["lstm"]
    x = jnp.ones((1, *case.features))
    params = initial(case.model, x, 1)["params"]
    ranges = calibrated(case.model, params, [x], RECIPES["memory_16"])
    codes = jax.eval_shape(
        lambda v: case.model.apply(v, start(x, Quantized(RECIPES["memory_16"])), mutable=["codes"])[
            1
        ],
        {"params": params, "ranges": ranges},
    )["codes"]["op"]["cell"]
    assert {"kept", "written", "output", "start"} <= set(codes["memory"])
    assert "shown_input" in codes  # back in int8 before tanh


class Rows(nn.Module):
    """Attention over the rows of each frame, told apart."""

    @nn.compact
    def __call__(self, x: Signal) -> Signal:
        x = PositionalEmbedding(name="embedded")(Input(x.shape, name="input")(x))
        return Attention(2, biased=False, name="op")(x)


ROWS = np.random.default_rng(3).normal(size=(4, FRAMES, 3, 8)).astype(np.float32)


def test_rows_see_the_rows_of_their_frame():
    """Each frame is what the attention over frames makes of it as a clip."""
    params = initial(Rows(), ROWS, 1)["params"]
    found = Rows().apply({"params": params}, start(jnp.asarray(ROWS), Floating())).real()
    clips = jnp.asarray(ROWS + params["embedded"]["offset"]).reshape(-1, 3, 8)
    layer = Attention(2, biased=False, name="op")
    expected = layer.apply({"params": params["op"]}, start(clips, Floating())).real()
    np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-5)
    assert sum(x.size for x in jax.tree.leaves(params["op"])) == 4 * 64 + 8


@pytest.mark.parametrize("bits", [8, 16])
def test_rows_in_integers(bits: int):
    """The quantized reading is the program, and the program TFLite Micro's."""
    recipe = Recipe(rules=(Rule(activation_bits=bits, calibration="max"),))
    params = initial(Rows(), ROWS, 1)["params"]
    variables = {"params": params, "ranges": calibrated(Rows(), params, [ROWS], recipe)}
    program = record(Rows(), variables, ROWS.shape[1:], recipe)
    codes = Executor(program).quantize(ROWS)
    expected = Executor(program)(codes)
    apply = jax.jit(lambda x: Rows().apply(variables, start(x, Quantized(recipe))).values)
    np.testing.assert_array_equal(apply(jnp.asarray(ROWS)), expected)
    with Micro(to_tflite(program)) as micro:
        np.testing.assert_array_equal(micro.invoke(codes)[0], expected)


def test_rows_have_no_window():
    with pytest.raises(ValueError, match="rows of a frame have no window"):
        Attention(2, (1, 0), name="op").init(jax.random.key(0), start(ROWS, Floating()))
