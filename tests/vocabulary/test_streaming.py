"""Streaming = whole clip: in float, in integers, in TFLite Micro; whatever the block."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from operation_programs import RUNTIMES
from stream_cases import BANDS, STREAMS, Streamed

from aqtaudio.compression.calibrate import calibrate
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layers import Conv2D
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.recording import record
from aqtaudio.vocabulary.signal import start

CLIPS, FRAMES = 3, 24
RECIPE = Recipe(rules=(Rule(calibration="max"),))
PAIRS = [(name, block) for name in STREAMS for block in (1, 3) if name not in ("strided", "pooled")]
PAIRS += [(name, block) for name in ("strided", "pooled") for block in (4, 12)]


def features() -> np.ndarray:
    shape = (CLIPS, FRAMES, BANDS)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@functools.cache
def variables(name: str) -> dict[str, Any]:
    model, x = STREAMS[name].model, features()
    params = jax.jit(model.init)(jax.random.key(0), start(x, Floating()))["params"]
    rng = np.random.default_rng(5)
    params = jax.tree.map(lambda p: p + 0.1 * rng.normal(size=p.shape).astype(np.float32), params)
    return {"params": params, "ranges": calibrate(model, params, [x], RECIPE)}


def whole_clip(name: str, reading) -> np.ndarray:
    return np.asarray(STREAMS[name].model.apply(variables(name), start(features(), reading)).values)


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


def blocks(name: str, block: int) -> np.ndarray:
    codes = Executor(program(name, block)).quantize(features().reshape(-1, block, BANDS))
    return codes.reshape(CLIPS, -1, *codes.shape[1:])


def frames_of(name: str, outputs: np.ndarray) -> np.ndarray:
    """[B, N, T, ...] one after the other."""
    return outputs.reshape(len(outputs), -1, *outputs.shape[3:])[:, STREAMS[name].skipped :]


@pytest.mark.parametrize(("name", "block"), PAIRS)
def test_float(name: str, block: int):
    found, expected = streamed(name, Floating(), block), whole_clip(name, Floating())
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("name", "block"), PAIRS)
def test_integers(name: str, block: int):
    """The quantized reading and the recorded program, block by block, give a whole clip's codes."""
    expected = whole_clip(name, Quantized(RECIPE))
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(streamed(name, Quantized(RECIPE), block), expected)
    outputs, _ = Executor(program(name, block)).blocks(blocks(name, block))
    np.testing.assert_array_equal(frames_of(name, outputs), expected)


@pytest.mark.parametrize(("name", "block"), PAIRS[::2])
def test_state_goes_on_where_it_was_left(name: str, block: int):
    executor, inputs = Executor(program(name, block)), blocks(name, block)
    expected, _ = executor.blocks(inputs)
    half = inputs.shape[1] // 2
    first, state = executor.blocks(inputs[:, :half])
    second, _ = executor.blocks(inputs[:, half:], state)
    np.testing.assert_array_equal(np.concatenate([first, second], 1), expected)
    nothing, same = executor.blocks(inputs[:, :0], state)
    assert nothing.shape == (*inputs.shape[:1], 0, *expected.shape[2:])
    jax.tree.map(np.testing.assert_array_equal, same, state)
    assert executor._loop._cache_size() == 1  # one compilation


@pytest.mark.parametrize("target", ["micro", pytest.param("litert", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "block"), PAIRS)
def test_resource_variables(name: str, block: int, target: str):
    inputs = blocks(name, block)
    expected, _ = Executor(program(name, block), target=target).blocks(inputs[:1])
    with RUNTIMES[target](to_tflite(program(name, block))) as runtime:
        np.testing.assert_array_equal(runtime.invoke(inputs[0])[0], expected[0])


@pytest.mark.parametrize("name", STREAMS)
def test_explicit_state(name: str):
    block = STREAMS[name].stride * (3 if name == "pooled" else 1)
    made, inputs = program(name, block), blocks(name, block)[0]
    expected, _ = Executor(made).blocks(inputs[None])
    state = list(Executor(made).state().values())
    state = [np.asarray(values) for values in state]
    found = []
    with RUNTIMES["micro"](to_tflite(made, explicit_state=True)) as runtime:
        for codes in inputs:
            output, *state = runtime.invoke(codes[None], *state)
            found.append(output[0])
    np.testing.assert_array_equal(np.stack(found), expected[0])


@pytest.mark.parametrize("name", STREAMS)
def test_state_is_counted(name: str):
    made = program(name, STREAMS[name].stride * (3 if name == "pooled" else 1))
    assert made.state_bytes == sum(values.nbytes for values in Executor(made).state().values()) > 0


def test_a_state_starts_at_zero_whatever_its_code():
    """relu edges have their zero at -128."""
    made = program("residual", 1)
    assert {int(np.unique(op.constants["codes"])[0]) for op in made.states} <= {-128, 0}
    depth = program("strided", 4)
    assert any(np.all(op.constants["codes"] == -128) for op in depth.states)


def test_what_looks_ahead_does_not_stream():
    layer = Streamed(Conv2D(4, (3, 1), name="conv", parent=None))
    x = start(jnp.zeros((1, 4, BANDS)), Floating())
    params = layer.init(jax.random.key(0), x)
    with pytest.raises(ValueError, match="layer body: SAME padding looks ahead"):
        layer.apply(params, x, mutable=["state"])
