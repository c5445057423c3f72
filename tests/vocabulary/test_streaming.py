"""Streaming = whole clip: in float, in integers, in TFLite Micro; whatever the block."""

import functools
from collections.abc import Container
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initial import calibrated, initial
from operation_programs import RUNTIMES
from stream_cases import BANDS, STREAMS, Streamed

from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layers import Conv2D
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.recording import record
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized("slow")

CLIPS, FRAMES = 3, 24
RECIPE = Recipe(rules=(Rule(calibration="max"),))
SHORT = {name: 4 if name in ("strided", "pooled") else 1 for name in STREAMS}
BLOCK = {
    name: SHORT[name] if name in ("valid", "strided", "gru", "lstm") else 3 * SHORT[name]
    for name in STREAMS
}
SLOW = ("causal", "valid", "lstm")
"""Frames of a block: short for some layers, long for the others. Every time each layer runs in one;
slow are the other one, the second recurrent layer and convolutions that others contain."""


def slow_if(slow: bool):
    return pytest.mark.slow if slow else ()


NAMES = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=slow_if(name in SLOW)) for name in STREAMS]
)


def pairs(quick: Container[str]):
    """All layers in all blocks."""
    return pytest.mark.parametrize(
        ("name", "block"),
        [
            pytest.param(name, block, marks=slow_if(name not in quick or block != BLOCK[name]))
            for name in STREAMS
            for block in (SHORT[name], 3 * SHORT[name])
        ],
    )


PAIRS = pairs(set(STREAMS) - {*SLOW})


def features() -> np.ndarray:
    shape = (CLIPS, FRAMES, BANDS)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@functools.cache
def variables(name: str) -> dict[str, Any]:
    model, x = STREAMS[name].model, features()
    params = initial(model, x)["params"]
    rng = np.random.default_rng(5)
    params = jax.tree.map(lambda p: p + 0.1 * rng.normal(size=p.shape).astype(np.float32), params)
    return {"params": params, "ranges": calibrated(model, params, [x], RECIPE)}


@functools.cache
def whole_clip(name: str, reading) -> np.ndarray:
    model = STREAMS[name].model
    return np.asarray(
        jax.jit(lambda v, x: model.apply(v, start(x, reading)).values)(variables(name), features())
    )


def streamed(name: str, reading, block: int) -> np.ndarray:
    """Outputs of every block, one after the other, without those before a whole clip's first."""
    model, x, trained = STREAMS[name].model, features(), variables(name)

    @jax.jit
    def push(state: dict[str, Any], x: jax.Array):
        out, updated = model.apply(trained | state, start(x, reading), mutable=["state"])
        return updated, out.values

    state: dict[str, Any] = {}
    outputs = []
    for first in range(0, FRAMES, block):
        state, values = push(state, x[:, first : first + block])
        outputs.append(values)
    return np.concatenate(outputs, 1)[:, STREAMS[name].skipped :]


@functools.cache
def program(name: str, block: int) -> Program:
    model = STREAMS[name].model
    return record(model, variables(name), (block, BANDS), RECIPE, stream=True)


@functools.cache
def executor(name: str, block: int, target: str = "micro") -> Executor:
    """Compiled once: every test gives it CLIPS streams."""
    return Executor(program(name, block), target=target)


def blocks(name: str, block: int) -> np.ndarray:
    codes = executor(name, block).quantize(features().reshape(-1, block, BANDS))
    return codes.reshape(CLIPS, -1, *codes.shape[1:])


def frames_of(name: str, outputs: np.ndarray) -> np.ndarray:
    """[B, N, T, ...] one after the other."""
    return outputs.reshape(len(outputs), -1, *outputs.shape[3:])[:, STREAMS[name].skipped :]


@pairs(("residual", "pooled", "gru"))
def test_float(name: str, block: int):
    found, expected = streamed(name, Floating(), block), whole_clip(name, Floating())
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


@PAIRS
def test_integers(name: str, block: int):
    """The quantized reading and the recorded program, block by block, give a whole clip's codes."""
    expected = whole_clip(name, Quantized(RECIPE))
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(streamed(name, Quantized(RECIPE), block), expected)
    outputs, _ = executor(name, block).blocks(blocks(name, block))
    np.testing.assert_array_equal(frames_of(name, outputs), expected)


@PAIRS
def test_state_goes_on_where_it_was_left(name: str, block: int):
    run, inputs = executor(name, block), blocks(name, block)
    expected, _ = run.blocks(inputs)
    half = inputs.shape[1] // 2
    first, state = run.blocks(inputs[:, :half])
    second, _ = run.blocks(inputs[:, half:], state)
    np.testing.assert_array_equal(np.concatenate([first, second], 1), expected)
    nothing, same = run.blocks(inputs[:, :0], state)
    assert nothing.shape == (*inputs.shape[:1], 0, *expected.shape[2:])
    jax.tree.map(np.testing.assert_array_equal, same, state)
    assert run._loop._cache_size() == 1  # one compilation


@pytest.mark.parametrize("target", ["micro", pytest.param("litert", marks=pytest.mark.slow)])
@PAIRS
def test_resource_variables(name: str, block: int, target: str):
    inputs = blocks(name, block)
    expected, _ = executor(name, block, target).blocks(inputs)
    with RUNTIMES[target](to_tflite(program(name, block))) as runtime:
        np.testing.assert_array_equal(runtime.invoke(inputs[0])[0], expected[0])


@NAMES
def test_explicit_state(name: str):
    made, inputs = program(name, BLOCK[name]), blocks(name, BLOCK[name])
    expected, _ = executor(name, BLOCK[name]).blocks(inputs)
    state = [np.asarray(values) for values in executor(name, BLOCK[name]).state().values()]
    found = []
    with RUNTIMES["micro"](to_tflite(made, explicit_state=True)) as runtime:
        for codes in inputs[0]:
            output, *state = runtime.invoke(codes[None], *state)
            found.append(output[0])
    np.testing.assert_array_equal(np.stack(found), expected[0])


@NAMES
def test_state_is_counted(name: str):
    state = executor(name, BLOCK[name]).state()
    assert program(name, BLOCK[name]).state_bytes == sum(x.nbytes for x in state.values()) > 0


def test_a_state_starts_at_zero_whatever_its_code():
    """relu edges have their zero at -128."""
    made = program("residual", BLOCK["residual"])
    assert {int(np.unique(op.constants["codes"])[0]) for op in made.states} <= {-128, 0}
    depth = program("strided", BLOCK["strided"])
    assert any(np.all(op.constants["codes"] == -128) for op in depth.states)


def test_what_looks_ahead_does_not_stream():
    layer = Streamed(Conv2D(4, (3, 1), name="conv", parent=None))
    x = start(jnp.zeros((1, 4, BANDS)), Floating())
    params = layer.init(jax.random.key(0), x)
    with pytest.raises(ValueError, match="layer body: SAME padding looks ahead"):
        layer.apply(params, x, mutable=["state"])
