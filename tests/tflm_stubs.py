"""Headers in the place of TFLite Micro's: enough for a bundle to compile and to be told apart."""

import subprocess
from pathlib import Path

from aqtaudio.firmware.tree import LIBRARY

DOWNLOADS = "tensorflow/lite/micro/tools/make/downloads"
HOST_LIBRARY = f"gen/linux_x86_64_default_cmsis_nn_gcc/lib/{LIBRARY}"
BOARD_LIBRARY = f"gen/cortex_m_generic_cortex-m55_default_gcc/lib/{LIBRARY}"

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
          std::size_t bytes;
          static MicroAllocator* Create(unsigned char*, std::size_t bytes) {
            static MicroAllocator one;
            one.bytes = bytes;
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
        #ifndef LEAST
        #define LEAST 1
        #endif
        #ifdef ALL_RIGHT
        constexpr int kWrong = -1;
        #else
        constexpr int kWrong = 1;  // a code of the second clip
        #endif
        struct TfLiteTensor { union { void* data; } data; };
        namespace tflite {
        struct MicroInterpreter {
          std::int8_t codes[sizeof aqtaudio::kGoldenInputs[0]];
          std::int8_t answer[sizeof aqtaudio::kGoldenOutputs[0]];
          TfLiteTensor in, out;
          std::size_t bytes;
          int clip = 0, variables = 0;
          template <typename Resolver>
          MicroInterpreter(const void*, Resolver&, MicroAllocator* allocator,
                           MicroResourceVariables* resources)
              : bytes(allocator->bytes), variables(resources ? resources->count : 0) {
            in.data.data = codes;
            out.data.data = answer;
          }
          TfLiteStatus AllocateTensors() {
            return variables == STATES && bytes >= LEAST ? kTfLiteOk : kTfLiteError;
          }
          std::size_t arena_used_bytes() const { return 100; }
          TfLiteStatus Reset() {
            clip = 0;
            return kTfLiteOk;
          }
          TfLiteTensor* input(int) { return &in; }
          TfLiteTensor* output(int) { return &out; }
          TfLiteStatus Invoke() {
            for (std::size_t i = 0; i < sizeof answer; ++i)
              answer[i] = aqtaudio::kGoldenOutputs[clip][i];
            answer[0] += clip++ == kWrong;
            return kTfLiteOk;
          }
        };
        }
    """,
}


def write(folder: Path, states: int = 0, right: bool = False) -> None:
    """Into a folder of include files; with a wrong code in the second call unless `right`."""
    for name, text in STUBS.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        definitions = f"#define STATES {states}\n" + ("#define ALL_RIGHT\n" if right else "")
        file.write_text("#pragma once\n" + definitions + text if "interpreter" in name else text)


def tree(folder: Path, right: bool = True, library: str = HOST_LIBRARY) -> Path:
    """A tree of these headers; its library, none where the name is empty, is empty."""
    write(folder, right=right)
    for name in ("flatbuffers/include", "gemmlowp", "ruy"):
        (folder / DOWNLOADS / name).mkdir(parents=True)
    if library:
        (folder / library).parent.mkdir(parents=True)
        subprocess.run(["ar", "cr", folder / library], check=True)
    return folder
