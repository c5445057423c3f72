"""`check` judges any file, with reasons, and survives it."""

import json
import os
from pathlib import Path

import chains
import exports
import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.program.check import check
from aqtaudio.program.micro import Micro

SHARED = Path(os.environ.get("AQTAUDIO_SHARED", "../shared"))
KEYS = {
    "micro_compatible",
    "reasons",
    "ops",
    "float_ops",
    "unsupported",
    "arena_bytes",
    "file_bytes",
    "weight_bytes",
}


@pytest.mark.parametrize("variant", ["int8", "int4"])
def test_our_files_pass(variant: str):
    model = exports.model(variant)
    report = check(model)
    assert report.micro_compatible
    assert report.reasons == report.float_ops == report.unsupported == ()
    assert report.ops == {
        "DEPTHWISE_CONV_2D": 5,
        "CONV_2D": 4,
        "AVERAGE_POOL_2D": 1,
        "FULLY_CONNECTED": 1,
    }
    assert report.file_bytes == len(model)
    with Micro(model) as micro:
        assert report.arena_bytes == micro.arena_bytes


def test_weight_bytes_are_those_of_weights_and_biases():
    constants = [op.constants for op in exports.program("int8").operations if op.constants]
    weights = sum(c["weights"].size for c in constants)
    biases = sum(c["bias"].size for c in constants)
    assert check(exports.model("int8")).weight_bytes == weights + 4 * biases
    assert check(exports.model("int4")).weight_bytes == weights // 2 + 4 * biases


def test_the_report_is_json_with_the_documented_keys():
    report = check(exports.model("int8")).to_json()
    assert set(json.loads(json.dumps(report))) == KEYS


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared folder")
def test_a_third_party_file_passes():
    report = check((SHARED / "golden/mlperf_tiny/kws_ref_model.tflite").read_bytes())
    assert report.micro_compatible
    assert report.ops["SOFTMAX"] == 1
    assert 20_000 < report.arena_bytes < 30_000


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared folder")
def test_custom_operators_that_micro_has_pass():
    path = SHARED / "golden/micro_frontend/audio_preprocessor_int8.tflite"
    report = check(path.read_bytes())
    assert report.micro_compatible
    assert report.ops["CUSTOM:SignalRfft"] == 1


def test_a_float_model_is_refused_unless_allowed():
    model = chains.chain(["RELU", "LOGISTIC"], ["FLOAT32"] * 3)
    report = check(model)
    assert not report.micro_compatible
    assert report.reasons == ("a float model: all 2 operators compute in FLOAT32 (RELU, LOGISTIC)",)
    assert report.float_ops == ("RELU", "LOGISTIC")
    assert report.arena_bytes > 0
    assert check(model, allow_float=True).micro_compatible


def test_a_float_island_is_named():
    operators = ["RELU", "DEQUANTIZE", "SQRT", "QUANTIZE", "RELU"]
    model = chains.chain(operators, ["INT8", "INT8", "FLOAT32", "FLOAT32", "INT8", "INT8"])
    report = check(model)
    assert report.reasons == (
        "float island: DEQUANTIZE, SQRT, QUANTIZE from operator 1 on; tensor t2 is FLOAT32",
    )
    assert report.float_ops == ("DEQUANTIZE", "SQRT", "QUANTIZE")


def test_a_float_border_is_named():
    report = check(chains.chain(["QUANTIZE", "RELU"], ["FLOAT32", "INT8", "INT8"]))
    assert report.reasons == ("float border: QUANTIZE at operator 0; tensor t0 is FLOAT32",)


@pytest.mark.parametrize("allow_float", [False, True])
def test_gelu_is_refused_with_the_reason(allow_float: bool):
    report = check(chains.chain(["RELU", "GELU"], ["INT8"] * 3), allow_float)
    assert not report.micro_compatible
    assert report.reasons == ("TFLite Micro has no operator GELU",)
    assert report.unsupported == ("GELU",)
    assert report.arena_bytes is None
    assert check(chains.chain(["RELU", "GELU"], ["FLOAT32"] * 3), allow_float).unsupported


def test_every_unsupported_operator_is_listed():
    report = check(chains.chain(["GELU", "RELU", "SIGN"], ["INT8"] * 4))
    assert report.unsupported == ("GELU", "SIGN")


def test_a_type_that_a_kernel_lacks_is_refused_with_its_words():
    report = check(chains.chain(["SQRT"], ["INT8", "INT8"]))
    assert not report.micro_compatible
    (reason,) = report.reasons
    assert reason.startswith("TFLite Micro: ")
    assert "SQRT" in reason or "FLOAT32" in reason


def test_a_file_that_crashes_micro_is_refused():
    report = check(chains.chain(["SOFTMAX"], ["INT8", "INT8"], width=512))
    (reason,) = report.reasons
    assert reason.startswith("TFLite Micro: the interpreter crashed (SIGABRT)")


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a model at all", bytes(1000)])
def test_other_files_are_bad_input(content: bytes):
    with pytest.raises(BadInput, match="not a TFLite file"):
        check(content)


@pytest.mark.parametrize("size", [8, 100, 0.5, 0.99])
def test_truncated_files_are_bad_input(size: float):
    model = exports.model("int8")
    with pytest.raises(BadInput, match="a damaged TFLite file"):
        check(model[: int(size if size > 1 else size * len(model))])


def test_random_damage_is_judged_or_refused():
    model = chains.chain(["RELU", "LOGISTIC"], ["INT8"] * 3)
    random = np.random.default_rng(0)
    verdicts = set()
    for _ in range(8):
        damaged = bytearray(model)
        for place in random.integers(8, len(model), 2):
            damaged[place] = random.integers(256)
        try:
            verdicts.add(check(bytes(damaged), timeout_s=20).micro_compatible)
        except BadInput as error:
            assert "\n" not in str(error)
            verdicts.add("refused")
    assert "refused" in verdicts
