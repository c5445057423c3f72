"""The firmware bundle: what a C++ compiler reads is what was written."""

import re
import shutil
import subprocess
from pathlib import Path

import chains
import exports
import numpy as np
import programs
import pytest
import reference
from initial import calibrated, initial
from stream_cases import BANDS, STREAMS

from aqtaudio.errors import BadInput
from aqtaudio.program import firmware
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import W8A8
from aqtaudio.vocabulary.recording import record

COMPILER = shutil.which("g++") or shutil.which("c++")
ARENA_BYTES = 24_010
CLIPS = 3
BLOCK_FRAMES = 4

# From its micro_mutable_op_resolver.h, for every operator that we write.
METHODS = {
    "ADD": "AddAdd",
    "ASSIGN_VARIABLE": "AddAssignVariable",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "BATCH_MATMUL": "AddBatchMatMul",
    "CALL_ONCE": "AddCallOnce",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "FULLY_CONNECTED": "AddFullyConnected",
    "HARD_SWISH": "AddHardSwish",
    "L2_NORMALIZATION": "AddL2Normalization",
    "LEAKY_RELU": "AddLeakyRelu",
    "LOGISTIC": "AddLogistic",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MUL": "AddMul",
    "PAD": "AddPad",
    "PRELU": "AddPrelu",
    "QUANTIZE": "AddQuantize",
    "READ_VARIABLE": "AddReadVariable",
    "RELU": "AddRelu",
    "RESHAPE": "AddReshape",
    "SOFTMAX": "AddSoftmax",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
    "SUM": "AddSum",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
    "VAR_HANDLE": "AddVarHandle",
}

# The part of TFLite Micro's interface that the bundle touches, playing back the golden outputs.
STUBS = {
    "tensorflow/lite/micro/micro_mutable_op_resolver.h": """
        #pragma once
        enum TfLiteStatus { kTfLiteOk, kTfLiteError };
        #define TF_LITE_ENSURE_STATUS(call) if ((call) != kTfLiteOk) return kTfLiteError
        namespace tflite {
        template <unsigned count> struct MicroMutableOpResolver {
          unsigned added = 0;
          TfLiteStatus Add() { return ++added <= count ? kTfLiteOk : kTfLiteError; }
          TfLiteStatus AddConv2D() { return Add(); }
          TfLiteStatus AddDepthwiseConv2D() { return Add(); }
          TfLiteStatus AddAveragePool2D() { return Add(); }
          TfLiteStatus AddFullyConnected() { return Add(); }
          TfLiteStatus AddCallOnce() { return Add(); }
          TfLiteStatus AddVarHandle() { return Add(); }
          TfLiteStatus AddReadVariable() { return Add(); }
          TfLiteStatus AddAssignVariable() { return Add(); }
          TfLiteStatus AddStridedSlice() { return Add(); }
          TfLiteStatus AddConcatenation() { return Add(); }
        };
        }
    """,
    "tensorflow/lite/schema/schema_generated.h": """
        #pragma once
        namespace tflite { inline const void* GetModel(const void* data) { return data; } }
    """,
    "tensorflow/lite/micro/micro_allocator.h": """
        #pragma once
        #include <cstddef>
        namespace tflite {
        struct MicroAllocator {
          static MicroAllocator* Create(unsigned char*, std::size_t) {
            static MicroAllocator one;
            return &one;
          }
        };
        }
    """,
    "tensorflow/lite/micro/micro_resource_variable.h": """
        #pragma once
        #include "tensorflow/lite/micro/micro_allocator.h"
        namespace tflite {
        struct MicroResourceVariables {
          int count;
          static MicroResourceVariables* Create(MicroAllocator* allocator, int count) {
            static MicroResourceVariables one;
            one.count = allocator ? count : -1;
            return &one;
          }
        };
        }
    """,
    "tensorflow/lite/micro/micro_interpreter.h": """
        #pragma once
        #include <cstdint>
        #include <cstddef>
        #include "model_golden.h"
        #include "tensorflow/lite/micro/micro_resource_variable.h"
        struct TfLiteTensor { union { std::int8_t* int8; } data; };
        namespace tflite {
        struct MicroInterpreter {
          std::int8_t codes[sizeof aqtaudio::kGoldenInputs[0]];
          std::int8_t answer[sizeof aqtaudio::kGoldenOutputs[0]];
          TfLiteTensor in, out;
          int clip = 0, variables = 0;
          template <typename Resolver>
          MicroInterpreter(const void*, Resolver&, unsigned char*, std::size_t) {
            in.data.int8 = codes;
            out.data.int8 = answer;
          }
          template <typename Resolver>
          MicroInterpreter(const void* model, Resolver& resolver, MicroAllocator*,
                           MicroResourceVariables* resources)
              : MicroInterpreter(model, resolver, static_cast<unsigned char*>(nullptr), 0) {
            variables = resources->count;
          }
          TfLiteStatus AllocateTensors() {
            return variables == STATES ? kTfLiteOk : kTfLiteError;
          }
          TfLiteStatus Reset() {
            clip = 0;
            return kTfLiteOk;
          }
          TfLiteTensor* input(int) { return &in; }
          TfLiteTensor* output(int) { return &out; }
          TfLiteStatus Invoke() {
            for (std::size_t i = 0; i < sizeof answer; ++i)
              answer[i] = aqtaudio::kGoldenOutputs[clip][i];
            answer[0] += clip++ == 1;  // one wrong code in the second clip
            return kTfLiteOk;
          }
        };
        }
    """,
}

MAIN = """
    #include <cstdio>
    #include <cstdint>
    int main() {
      using namespace aqtaudio;
      if (reinterpret_cast<std::uintptr_t>(kModel) % 16) return 1;
      std::fwrite(kModel, 1, kModelBytes, stdout);
      std::fwrite(kGoldenInputs, 1, sizeof kGoldenInputs, stdout);
      std::fwrite(kGoldenOutputs, 1, sizeof kGoldenOutputs, stdout);
      const float scales[] = {kInputScale, kOutputScale};
      const int others[] = {kInputZeroPoint, kOutputZeroPoint, int(kArenaBytes), Mismatches()};
      std::fwrite(scales, 1, sizeof scales, stdout);
      std::fwrite(others, 1, sizeof others, stdout);
    }
"""


@pytest.fixture(scope="module")
def golden() -> tuple[np.ndarray, np.ndarray]:
    codes = programs.random_codes((CLIPS, 49, 10, 1), seed=0)
    return codes, reference.run(exports.program("int8"), codes)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, golden: tuple) -> Path:
    folder = tmp_path_factory.mktemp("export") / "firmware"
    program, model = exports.program("int8"), exports.model("int8")
    written = firmware.write_bundle(folder, program, model, ARENA_BYTES, *golden)
    assert sorted(written) == sorted(folder.iterdir())
    return folder


@pytest.fixture(scope="module")
def stream() -> Program:
    model = STREAMS["strided"].model
    x = np.random.default_rng(0).normal(size=(4, 12, BANDS)).astype(np.float32)
    params = initial(model, x)["params"]
    ranges = calibrated(model, params, [x], W8A8)
    shape = (BLOCK_FRAMES, BANDS)
    return record(model, {"params": params, "ranges": ranges}, shape, W8A8, stream=True)


@pytest.fixture(scope="module")
def stream_bundle(tmp_path_factory: pytest.TempPathFactory, stream: Program) -> Path:
    folder = tmp_path_factory.mktemp("stream") / "firmware"
    codes = programs.random_codes((CLIPS, BLOCK_FRAMES, 1, BANDS), seed=0)
    outputs = Executor(stream)(codes)
    firmware.write_bundle(folder, stream, to_tflite(stream), ARENA_BYTES, codes, outputs, 40.0)
    return folder


def run_example(bundle: Path, states: int, main: str, folder: Path) -> bytes:
    """What `main` prints, compiled with the README's example and the stubs."""
    for name, text in STUBS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (example,) = re.findall(r"```cpp\n(.*?)```", (bundle / "README.md").read_text(), re.DOTALL)
    # The stub of the interpreter wants the resolver's types first.
    (folder / "main.cc").write_text('#include "model_operators.h"\n' + example + main)
    program = folder / "program"
    subprocess.run(
        [COMPILER, "-std=c++17", "-Wall", "-Wextra", "-Werror", f"-DSTATES={states}"]
        + ["-I", bundle, "-I", folder, folder / "main.cc", bundle / "model_data.cc", "-o", program],
        check=True,
    )
    return subprocess.run([program], check=True, capture_output=True).stdout


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
def test_the_compiler_reads_back_what_was_written(bundle: Path, golden: tuple, tmp_path: Path):
    content = run_example(bundle, 0, MAIN, tmp_path)
    edges = exports.program("int8").edges
    source, target = edges["input"], edges["logits"]
    numbers = [source.zero_point, target.zero_point, 24_016, 1]
    expected = exports.model("int8") + golden[0].tobytes() + golden[1].tobytes()
    expected += np.float32([source.scale, target.scale]).tobytes() + np.int32(numbers).tobytes()
    assert content == expected


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
def test_the_compiler_reads_back_a_stream(stream: Program, stream_bundle: Path, tmp_path: Path):
    """One wrong code in each of the two rounds."""
    main = """
        #include <cstdio>
        int main() {
          using namespace aqtaudio;
          int numbers[] = {kBlockFrames, kResourceVariables, kGoldenBlocks, Mismatches()};
          for (int number : numbers) std::printf("%d ", number);
        }
    """
    assert len(stream.states) == 2
    assert run_example(stream_bundle, 2, main, tmp_path) == b"4 2 3 2 "


def test_the_readme_of_a_stream_says_how_much_a_call_takes(stream_bundle: Path):
    for name in ("README.md", "model_settings.h"):
        assert (
            "takes the next 4 feature frames (40 ms of audio)" in (stream_bundle / name).read_text()
        )


def test_the_resolver_of_a_stream_has_the_operators_of_all_subgraphs(stream_bundle: Path):
    methods = re.findall(r"resolver\.(\w+)\(\)", (stream_bundle / "model_operators.h").read_text())
    assert {METHODS[n] for n in METHODS if "VARIABLE" in n} < set(methods)
    assert {"AddCallOnce", "AddVarHandle"} < set(methods)
    assert len(methods) == len(set(methods))


def test_the_methods_of_the_resolver_are_those_of_tflite_micro(golden: tuple, tmp_path: Path):
    model = chains.chain(list(METHODS), ["INT8"] * (len(METHODS) + 1))
    firmware.write_bundle(tmp_path / "all", exports.program("int8"), model, 1, *golden)
    text = (tmp_path / "all/model_operators.h").read_text()
    assert re.findall(r"resolver\.(\w+)\(\)", text) == list(METHODS.values())


def test_the_resolver_lists_the_operators_of_the_file(bundle: Path):
    text = (bundle / "model_operators.h").read_text()
    assert "MicroMutableOpResolver<4>" in text
    assert re.findall(r"resolver\.(\w+)\(\)", text) == [
        "AddConv2D",
        "AddDepthwiseConv2D",
        "AddAveragePool2D",
        "AddFullyConnected",
    ]


def test_writing_again_replaces_the_files(bundle: Path, golden: tuple):
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    program, model = exports.program("int8"), exports.model("int8")
    firmware.write_bundle(bundle, program, model, ARENA_BYTES, *golden)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


@pytest.mark.parametrize("which", [0, 1])
def test_golden_codes_of_another_shape_are_refused(golden: tuple, tmp_path: Path, which: int):
    codes = list(golden)
    codes[which] = codes[which][..., :-1] if which else codes[which].astype(np.int16)
    with pytest.raises(BadInput, match="golden"):
        firmware.write_bundle(
            tmp_path / "firmware", exports.program("int8"), exports.model("int8"), 1, *codes
        )
    assert not (tmp_path / "firmware").exists()
