"""The firmware bundle: what a C++ compiler reads is what was written."""

import re
import shutil
import subprocess
from pathlib import Path

import exports
import numpy as np
import programs
import pytest
import reference

from aqtaudio.errors import BadInput
from aqtaudio.program import firmware

COMPILER = shutil.which("g++") or shutil.which("c++")
ARENA_BYTES = 24_010
CLIPS = 3

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
        };
        }
    """,
    "tensorflow/lite/schema/schema_generated.h": """
        #pragma once
        namespace tflite { inline const void* GetModel(const void* data) { return data; } }
    """,
    "tensorflow/lite/micro/micro_interpreter.h": """
        #pragma once
        #include <cstdint>
        #include <cstddef>
        #include "model_golden.h"
        struct TfLiteTensor { union { std::int8_t* int8; } data; };
        namespace tflite {
        struct MicroInterpreter {
          std::int8_t codes[sizeof aqtaudio::kGoldenInputs[0]];
          std::int8_t answer[sizeof aqtaudio::kGoldenOutputs[0]];
          TfLiteTensor in, out;
          int clip = 0;
          template <typename Resolver>
          MicroInterpreter(const void*, Resolver&, unsigned char*, std::size_t) {
            in.data.int8 = codes;
            out.data.int8 = answer;
          }
          TfLiteStatus AllocateTensors() { return kTfLiteOk; }
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


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
def test_the_compiler_reads_back_what_was_written(bundle: Path, golden: tuple, tmp_path: Path):
    for name, text in STUBS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (example,) = re.findall(r"```cpp\n(.*?)```", (bundle / "README.md").read_text(), re.DOTALL)
    # The stub of the interpreter wants the resolver's types first.
    main = '#include "model_operators.h"\n' + example + MAIN
    (tmp_path / "main.cc").write_text(main)
    program = tmp_path / "program"
    subprocess.run(
        [COMPILER, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I", bundle, "-I", tmp_path]
        + [tmp_path / "main.cc", bundle / "model_data.cc", "-o", program],
        check=True,
    )
    content = subprocess.run([program], check=True, capture_output=True).stdout
    edges = exports.program("int8").edges
    source, target = edges["input"], edges["logits"]
    numbers = [source.zero_point, target.zero_point, 24_016, 1]
    expected = exports.model("int8") + golden[0].tobytes() + golden[1].tobytes()
    expected += np.float32([source.scale, target.scale]).tobytes() + np.int32(numbers).tobytes()
    assert content == expected


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
