"""The README of a firmware bundle: how to load the model, how to feed it, how to prove it."""

import textwrap

import numpy as np

_MEMBERS = {"int8": "int8", "int16": "i16"}  # of TfLitePtrUnion
_CLIP_INTERPRETER = """\
  static tflite::MicroInterpreter interpreter(tflite::GetModel(aqtaudio::kModel), resolver, arena,
                                              sizeof(arena));"""
_STREAM_INTERPRETER = """\
  static tflite::MicroAllocator* allocator = tflite::MicroAllocator::Create(arena, sizeof(arena));
  static tflite::MicroInterpreter interpreter(
      tflite::GetModel(aqtaudio::kModel), resolver, allocator,
      tflite::MicroResourceVariables::Create(allocator, aqtaudio::kResourceVariables));"""


def of_clips(operators: list[str], inputs: np.ndarray, outputs: np.ndarray) -> str:
    """Of a model that takes whole clips; golden codes [N, ...]."""
    example = _example(("micro_interpreter",), _CLIP_INTERPRETER, _compare("clip", inputs, outputs))
    return f"""\
# Model for TensorFlow Lite Micro

Operators: {", ".join(operators)}.

{example}

`model_golden.h` holds {len(inputs)} clips. {_quantization(inputs)}
"""


def of_stream(operators: list[str], inputs: np.ndarray, outputs: np.ndarray, block: str) -> str:
    """Of a model that takes a stream, `block` (in words) per call; golden codes [N, ...]."""
    headers = ("micro_allocator", "micro_interpreter", "micro_resource_variable")
    # In old releases Reset() sets code 0, which need not be real 0: only a second stream tells.
    compare = f"""\
  for (int stream = 0; stream < 2; ++stream) {{  // the second proves that Reset() forgets
    if (interpreter.Reset() != kTfLiteOk) return -1;
{textwrap.indent(_compare("block", inputs, outputs), "  ")}
  }}"""
    return f"""\
# Streaming model for TensorFlow Lite Micro

One `Invoke()` takes the next {block}. Every frame goes in
once and in order: blocks neither overlap nor leave a gap.

Operators: {", ".join(operators)}.

{_example(headers, _STREAM_INTERPRETER, compare)}

What the model remembers of earlier blocks is in resource variables, `kResourceVariables` of them.
They live in the arena; `kArenaBytes` includes them. `AllocateTensors()` fails without the
`MicroResourceVariables`.

A stream begins after `AllocateTensors()`, and anew after `interpreter.Reset()`, which sets every
variable to its zero point, real 0. (Releases of TensorFlow Lite Micro that set code 0 instead fail
the second round of `Mismatches()`.) `Reset()` forgets all: streams side by side need an interpreter
and an arena each.

`model_golden.h` holds {len(inputs)} consecutive blocks of one stream, from its beginning.
{_quantization(inputs)}
"""


def _example(headers: tuple[str, ...], interpreter: str, compare: str) -> str:
    includes = "\n".join(f'#include "tensorflow/lite/micro/{name}.h"' for name in headers)
    return f"""\
```cpp
#include <cstring>

#include "model_data.h"
#include "model_golden.h"
#include "model_operators.h"
#include "model_settings.h"
{includes}
#include "tensorflow/lite/schema/schema_generated.h"

alignas(16) static unsigned char arena[aqtaudio::kArenaBytes];

// Number of output codes that differ from the model's: 0 on a faithful build, -1 on failure.
int Mismatches() {{
  static aqtaudio::OpResolver resolver;
  if (aqtaudio::RegisterOps(resolver) != kTfLiteOk) return -1;
{interpreter}
  if (interpreter.AllocateTensors() != kTfLiteOk) return -1;
  int mismatches = 0;
{compare}
  return mismatches;
}}
```"""


def _compare(unit: str, inputs: np.ndarray, outputs: np.ndarray) -> str:
    source, target = _MEMBERS[inputs.dtype.name], _MEMBERS[outputs.dtype.name]
    return f"""\
  for (int {unit} = 0; {unit} < aqtaudio::kGolden{unit.capitalize()}s; ++{unit}) {{
    std::memcpy(interpreter.input(0)->data.{source}, aqtaudio::kGoldenInputs[{unit}],
                sizeof(aqtaudio::kGoldenInputs[{unit}]));
    if (interpreter.Invoke() != kTfLiteOk) return -1;
    for (int i = 0; i < aqtaudio::kOutputValues; ++i) {{
      mismatches +=
          interpreter.output(0)->data.{target}[i] != aqtaudio::kGoldenOutputs[{unit}][i];
    }}
  }}"""


def _quantization(inputs: np.ndarray) -> str:
    limits = np.iinfo(inputs.dtype)
    return f"""\
Features go in as
`round(feature / kInputScale) + kInputZeroPoint`, clipped to {limits.min}..{limits.max}."""
