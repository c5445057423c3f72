"""Every operation: its function in float, its codes in a training step, its gradient."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initial import calibrated, initial
from operation_cases import CASES, RECIPES

from aqtaudio.errors import BadInput
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import Executor
from aqtaudio.program.portable import portable
from aqtaudio.vocabulary.fake import FakeQuantized
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layers import Conv2D
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.recording import record, record_real
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized("slow")

BATCH = 8
QUICK = {
    ("conv_causal", "w8a8"),
    ("dense_vector", "w4a8_conv"),
    ("concat", "w8a8"),
    ("split", "w8a8"),
    ("mul_gate", "w8a8"),
    ("prelu", "w8a16"),
    ("layer_norm", "w8a8"),
    ("attention_causal", "mixed_16"),
}
"""What runs every time: each way of building a layer once; scans in test_streaming. The others are
slow in sum."""


def quick_or_slow(pair: tuple[str, str]):
    return pytest.param(*pair, marks=() if pair in QUICK else pytest.mark.slow)


ALL = [(name, precision) for name, case in CASES.items() for precision in case.precisions]
PAIRS = [quick_or_slow(pair) for pair in ALL]
NAMES = [
    pytest.param(name, marks=() if any(name == n for n, _ in QUICK) else pytest.mark.slow)
    for name in CASES
]


def features(name: str, seed: int = 0) -> np.ndarray:
    shape = (BATCH, *CASES[name].features)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@functools.cache
def parameters(name: str) -> dict[str, Any]:
    """Initial ones, moved: zeros and ones hide mistakes."""
    params = initial(CASES[name].model, features(name))["params"]
    rng = np.random.default_rng(5)
    return jax.tree.map(lambda p: p + 0.1 * rng.normal(size=p.shape).astype(np.float32), params)


@functools.cache
def ranges(name: str, precision: str) -> dict[str, Any]:
    batches = [1.2 * jnp.asarray(features(name))]  # so that nothing clips
    return calibrated(CASES[name].model, parameters(name), batches, RECIPES[precision])


@functools.cache
def step(name: str, precision: str | None):
    """Real output, codes, output codes, gradients of a compiled training step; None: float."""
    reading = Floating() if precision is None else Quantized(RECIPES[precision])
    seen = {} if precision is None else ranges(name, precision)

    def loss(params, x):
        variables = {"params": params, "ranges": seen}
        out, sown = CASES[name].model.apply(variables, start(x, reading), mutable=["codes"])
        # Weighs outputs unevenly: those of softmax and norms sum to a constant.
        g = jnp.asarray(np.random.default_rng(3).normal(size=out.values.shape), jnp.float32)
        return jnp.sum(g * out.real()), (out.real(), sown.get("codes", {}), out.values)

    return compiled(jax.value_and_grad(loss, has_aux=True))


def flat(codes: dict[str, Any], path: str = "") -> dict[str, np.ndarray]:
    """The "codes" collection by edge, without frames."""
    found = {}
    for name, value in codes.items():
        if isinstance(value, tuple):
            found[path if name == "output" else f"{path}/{name}"] = np.asarray(value[0])
        else:
            found |= flat(value, f"{path}/{name}" if path else name)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_float_reading(name: str):
    case = CASES[name]
    expected = jax.jit(case.plain)(parameters(name), jnp.asarray(features(name)))
    (_, (found, _, _)), _ = step(name, None)(parameters(name), features(name))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_fake_quantization_is_near(name: str):
    """The baseline reads every layer too."""
    case, precision = CASES[name], CASES[name].precisions[0]
    variables = {"params": parameters(name), "ranges": ranges(name, precision)}
    x = jnp.asarray(features(name))

    def outputs(variables, x):
        readings = FakeQuantized(RECIPES[precision]), Floating()
        return [case.model.apply(variables, start(x, reading)).real() for reading in readings]

    found, expected = jax.jit(outputs)(variables, x)
    assert 0 < np.abs(found - expected).max() < 0.2 * np.abs(expected).max()


@pytest.mark.parametrize(("name", "precision"), PAIRS)
def test_training_step_and_program_agree(name: str, precision: str):
    case = CASES[name]
    variables = {"params": parameters(name), "ranges": ranges(name, precision)}
    read = record_real(case.model, variables, case.features, RECIPES[precision])[0]
    program = portable(read)  # its own edges are not the reading's
    executor = Executor(program)
    for loudness in (1.0, 4.0):
        x = loudness * features(name, seed=1)
        _, (_, codes, output) = step(name, precision)(variables["params"], x)[0]
        edges = executor.edges(executor.quantize(x))
        np.testing.assert_array_equal(edges[program.outputs[0]], output)
        assert len(np.unique(output)) > 2
        compared = compare(flat(codes), edges)
        left = set(read.edges) - compared
        if name.startswith(("gru", "lstm")):
            # A step takes all cuts of one edge, which is compared, at once.
            cuts = ("op/frame/", "op/band/")
            left -= {edge for edge in left if edge.startswith(cuts)} | {"op"}
        assert not left


def compare(codes: dict[str, np.ndarray], edges: dict[str, jax.Array]) -> set[str]:
    """Asserts equality edge by edge; the frames of a scan are on its codes' first axis."""
    compared = set()
    for name, values in codes.items():
        frames = [name] if name in edges else [f"{name}/t{t}" for t in range(len(values))]
        values = [values] if name in edges else values
        for edge, expected in zip(frames, values, strict=True):
            if edge in edges:  # zeros before the first frame are one edge
                if expected.size == edges[edge].size:  # frames that a scan over bands has as clips
                    expected = expected.reshape(edges[edge].shape)
                expected = np.broadcast_to(expected, edges[edge].shape)
                np.testing.assert_array_equal(edges[edge], expected, err_msg=edge)
                compared.add(edge)
    return compared


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


KEY_BIAS = (jax.tree_util.DictKey("key"), jax.tree_util.DictKey("bias"))
"""Adds the same to all scores of a frame: softmax does not see it."""


@pytest.mark.parametrize(("name", "precision"), PAIRS)
def test_gradients(name: str, precision: str):
    """Finite, nonzero, and those of the float model, within what rounding does."""
    _, found = step(name, precision)(parameters(name), features(name))
    _, expected = step(name, None)(parameters(name), features(name))
    least = 0.6 if "w4" in precision else 0.9
    for path, wanted in jax.tree_util.tree_leaves_with_path(expected):
        got = functools.reduce(lambda tree, key: tree[key.key], path, found)
        if path[-2:] == KEY_BIAS:
            assert np.linalg.norm(got) < 1e-3 and np.linalg.norm(wanted) < 1e-5
            continue
        assert np.isfinite(got).all() and np.linalg.norm(got) > 0, path
        assert cosine(got, wanted) > least, (path, cosine(got, wanted))


@pytest.mark.parametrize(
    ("precision", "kinds", "scales"),
    [("w4a8", ["dense"], 1), ("w4a8_conv", ["reshape", "conv2d", "reshape"], 7)],
)
def test_int4_dense_layers(precision: str, kinds: list[str], scales: int):
    """One weight scale, or one per channel as a 1x1 convolution."""
    variables = {"params": parameters("dense"), "ranges": ranges("dense", precision)}
    case = CASES["dense"]
    program = record(case.model, variables, case.features, RECIPES[precision])
    assert [op.kind for op in program.operations] == kinds
    (op,) = (op for op in program.operations if "weights" in op.constants)
    assert op.constants["weight_scale"].shape == (scales,)
    assert program.outputs == ("op",) and program.edges["op"].shape == (4, 7)


def test_grouped_convolutions_have_no_low_rank_form():
    """Their groups could not be told from the thin factors."""
    x = start(jnp.ones((1, 5, 5, 4)), Floating())
    thin = {"down": jnp.ones((1, 1, 2, 1)), "up": jnp.ones((1, 1, 1, 6)), "bias": jnp.ones(6)}
    layer = Conv2D(6, groups=2, norm=False, name="grouped")
    with pytest.raises(BadInput, match="grouped convolution .* no svd_penalty"):
        layer.apply({"params": thin}, x)


def test_scales_of_a_float_model_are_not_looked_at():
    """Its integers are served to nobody; only its operations must be known."""
    case, recipe = CASES["sigmoid"], RECIPES["w8a8"]
    loud = [1e3 * jnp.asarray(features("sigmoid"))]
    seen = calibrated(case.model, parameters("sigmoid"), loud, recipe)
    given = case.model, {"params": parameters("sigmoid"), "ranges": seen}, case.features, recipe
    with pytest.raises(BadInput, match="TFLite Micro is wrong"):
        record_real(*given)
    program, _ = record_real(*given, is_served=False)
    assert [op.kind for op in program.operations][-1] == "logistic"
