"""Interpreters in child processes: right answers, clear failures, no harm to this process."""

import os
import resource
import subprocess
import sys
import time

import chains
import exports
import numpy as np
import programs
import pytest
import reference

from aqtaudio.errors import BadInput
from aqtaudio.program import tflite
from aqtaudio.program.check import check
from aqtaudio.program.litert import LiteRT
from aqtaudio.program.micro import CLIPS_PER_MESSAGE, Micro, MicroError
from aqtaudio.program.micro_worker import ARENA_STEP_BYTES
from aqtaudio.program.program import Edge, Operation, Program

pytestmark = pytest.mark.own_children
FULL_SOFTMAX = chains.chain(["SOFTMAX"], ["INT8", "INT8"], width=512)
"""Aborts TFLite Micro on equal inputs: its sum of exponentials overflows at 512."""


@pytest.fixture(scope="module")
def relu() -> bytes:
    return chains.chain(["RELU"], ["INT8", "INT8"])


def test_batches_equal_single_clips_in_order(relu: bytes):
    codes = programs.random_codes((2 * CLIPS_PER_MESSAGE + 3, 4), seed=0)
    with Micro(relu) as micro:
        (batch,) = micro.invoke(codes)
        singles = [micro.invoke(clip[None])[0][0] for clip in codes]
        (empty,) = micro.invoke(codes[:0])
    np.testing.assert_array_equal(batch, codes)  # zero point -128: RELU keeps every code
    np.testing.assert_array_equal(singles, codes)
    assert empty.shape == (0, 4)
    assert empty.dtype == np.int8


def test_details_are_those_of_the_program():
    program = exports.program("int8")
    with Micro(exports.model("int8")) as micro, LiteRT(exports.model("int8")) as litert:
        for runtime in (micro, litert):
            for name, (details,) in (
                ("input", runtime.input_details),
                ("logits", runtime.output_details),
            ):
                edge = program.edges[name]
                assert details.shape == (1, *edge.shape)
                assert details.dtype == np.int8
                assert (details.scale, details.zero_point) == (edge.scale, edge.zero_point)


def test_litert_is_close_to_micro():
    codes = programs.random_codes((20, 49, 10, 1), seed=0)
    with Micro(exports.model("int8")) as micro:
        (expected,) = micro.invoke(codes)
    for resolver in ("AUTO", "BUILTIN_REF"):
        with LiteRT(exports.model("int8"), resolver) as litert:
            (found,) = litert.invoke(codes)
        assert np.abs(found.astype(int) - expected).max() <= 4
        assert (found == expected).mean() > 0.5


@pytest.mark.parametrize("kind", ["dense", "conv2d"])
@pytest.mark.parametrize("bits", [4, 8])
def test_per_tensor_multipliers_are_formed_in_float64(kind: str, bits: int):
    # Biases around every rounding threshold, where a float32 product of the scales would differ.
    x_scale, w_scale, y_scale = np.float32([0.0371234, 0.0112345, 431.7])
    ratio = np.float64(x_scale) * np.float64(w_scale) / np.float64(y_scale)
    bias = (np.rint((np.arange(-120, 120) + 0.5) / ratio)[:, None] + np.arange(-8, 9)).ravel()
    mantissa, exponent = reference.multiplier(np.full(len(bias), ratio))
    shape, target = ((1,), (len(bias),)) if kind == "dense" else ((1, 1, 2), (1, 1, len(bias)))
    weights = np.zeros((*shape, len(bias)), np.int8)
    geometry = {"strides": (1, 1), "dilation": (1, 1), "padding": "VALID"}
    op = Operation(
        kind,
        "layer",
        ("x",),
        "y",
        {"low": -128, "high": 127, "weight_bits": bits} | (geometry if kind == "conv2d" else {}),
        {
            "weights": weights,
            "weight_scale": np.array([w_scale]),
            "bias": bias.astype(np.int32),
            "mantissa": mantissa,
            "exponent": exponent,
        },
    )
    edges = {
        "x": Edge("x", shape, float(x_scale), 3),
        "y": Edge("y", target, float(y_scale), 0),
    }
    program = Program(edges, (op,), ("x",), ("y",))
    codes = np.zeros((1, *shape), np.int8)
    expected = reference.run(program, codes)
    single = np.float64(x_scale * w_scale) / np.float64(y_scale)
    other = reference.rescale(bias.astype(int), *reference.multiplier(np.full(len(bias), single)))
    assert (other.clip(-128, 127) != expected.ravel()).sum() > 100
    with Micro(tflite.to_tflite(program)) as micro:
        np.testing.assert_array_equal(micro.invoke(codes)[0], expected)


@pytest.mark.parametrize(
    "codes",
    [np.zeros((3, 5), np.int8), np.zeros((3, 4), np.float32), np.zeros(4, np.int8)],
)
def test_inputs_that_do_not_fit_are_bad_input(relu: bytes, codes: np.ndarray):
    with Micro(relu) as micro:
        with pytest.raises(BadInput, match="the file takes"):
            micro.invoke(codes)
        with pytest.raises(BadInput, match="2 inputs for a file that has 1"):
            micro.invoke(codes, codes)


@pytest.mark.parametrize("runtime", [Micro, LiteRT])
def test_nonsense_is_an_error(runtime: type):
    with pytest.raises(MicroError):
        runtime(b"nonsense" * 100)


def test_an_unknown_operator_is_named_in_the_log():
    with pytest.raises(MicroError, match="GELU") as caught:
        Micro(chains.chain(["GELU"], ["INT8", "INT8"]))
    assert caught.value.reason == "TFLM failed to allocate tensors"
    assert "GELU" in caught.value.log


def test_a_crash_is_an_error():
    with pytest.raises(MicroError, match=r"the interpreter crashed \(SIGABRT\)"):
        Micro(FULL_SOFTMAX)


def test_an_interpreter_that_crashed_stays_down(relu: bytes):
    with Micro(relu) as micro:
        micro._child._process.kill()
        for _ in range(2):
            with pytest.raises(MicroError, match=r"crashed \(SIGKILL\)"):
                micro.invoke(np.zeros((1, 4), np.int8))


def test_a_late_answer_is_an_error(relu: bytes):
    start = time.monotonic()
    with pytest.raises(MicroError, match=r"no answer in 0\.01 s"):
        Micro(relu, timeout_s=0.01)
    assert time.monotonic() - start < 5


def test_closing_ends_the_process(relu: bytes):
    with Micro(relu) as micro:
        process = micro._child._process
        assert process.poll() is None
    assert process.poll() is not None


def test_the_least_arena_loads_and_less_does_not():
    from tflite_micro import runtime

    model = exports.model("int8")
    with Micro(model) as micro:
        least, used = micro.least_arena_bytes(), micro.arena_used_bytes
    runtime.Interpreter.from_bytes(model, arena_size=least).invoke()
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(model, arena_size=least - ARENA_STEP_BYTES)
    assert least <= used + ARENA_STEP_BYTES


def test_a_file_is_not_blamed_for_a_package_that_is_not_there(tmp_path, monkeypatch):
    (tmp_path / "tflite_micro.py").write_text("import no_such_package")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        check(chains.chain(["RELU"], ["INT8", "INT8"]))


def test_a_child_lives_below_the_limits_of_its_parent():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000));"
        "from aqtaudio.program.child import Child; print(Child().ask("
        "{'do': 'inspect', 'edges': []}, sys.stdin.buffer.read())[0]['ops'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=chains.chain(["RELU"], ["INT8", "INT8"]),
        capture_output=True,
    )
    assert done.stdout == b"{'RELU': 1}\n", done.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before
