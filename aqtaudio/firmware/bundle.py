"""C++ files that carry a model into a TFLite Micro firmware, with vectors to prove it there."""

import math
from importlib import resources
from pathlib import Path

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.files import write
from aqtaudio.firmware import readme
from aqtaudio.firmware.arena import Arena
from aqtaudio.program import flatbuffer
from aqtaudio.program.c_text import lines, literal, table
from aqtaudio.program.program import Edge, Program


def write_bundle(
    folder: Path,
    program: Program,
    model: bytes,
    arena: Arena,
    inputs: np.ndarray,
    outputs: np.ndarray,
    block_ms: float | None = None,
) -> list[Path]:
    """Writes the bundle; every file is replaced as a whole.

    Args:
      folder: made if missing.
      program: whose input and output edges the constants describe.
      model: the TFLite file of the program; states of a stream are resource variables in it.
      arena: that the bundle states.
      inputs: golden input codes [N, ...], of the input edge's type; of a stream's program,
        consecutive blocks from its beginning.
      outputs: the program's output codes for them [N, ...].
      block_ms: of audio in a stream's block, where it is known.

    Returns:
      The files written.

    Raises:
      BadInput: the golden codes do not fit the program.
    """
    source, target = program.edges[program.inputs[0]], program.edges[program.outputs[0]]
    _require_codes("golden inputs", inputs, source, len(inputs))
    _require_codes("golden outputs", outputs, target, len(inputs))
    operators = _operators(model)
    block = ""
    if program.states:
        block = f"{source.shape[0]} feature frames"
        block += f" ({block_ms:g} ms of audio)" if block_ms else ""
    contents = {
        "model_data.h": _model_header(model),
        "model_data.cc": _model_source(model),
        "model_settings.h": _settings(program, arena, block),
        "model_operators.h": _resolver(operators),
        "model_golden.h": _golden(inputs, outputs, bool(block)),
        "README.md": readme.text(operators, inputs, len(program.states), block, arena),
    } | project_files()
    (folder / "boards").mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        write(folder / name, text)
    return [folder / name for name in contents]


def project_files() -> dict[str, str]:
    """What is the same in every bundle, by path: the CMake project, the self-test, boards."""
    root = resources.files("aqtaudio.firmware") / "project"
    folders = {"": root, "boards/": root / "boards"}
    return {
        prefix + file.name: file.read_text()
        for prefix, folder in folders.items()
        for file in folder.iterdir()
        if file.is_file()
    }


def _require_codes(what: str, codes: np.ndarray, edge: Edge, count: int) -> None:
    if codes.dtype != edge.dtype or codes.shape != (count, *edge.shape) or count == 0:
        expected = f"{edge.dtype} [N, *{edge.shape}]"
        raise BadInput(f"{what}: {codes.dtype} {codes.shape}, expected {expected}")


def _operators(model: bytes) -> list[str]:
    """Names of the operators in the file, once each, in the order of their first use."""
    parsed = flatbuffer.read(model)
    names = [flatbuffer.operator_name(parsed, o) for g in parsed.subgraphs for o in g.operators]
    return list(dict.fromkeys(names))


def _model_header(model: bytes) -> str:
    return f"""\
// The model as a TFLite file in memory.
#pragma once

#include <cstddef>

namespace aqtaudio {{
constexpr std::size_t kModelBytes = {len(model)};
extern const unsigned char kModel[kModelBytes];
}}  // namespace aqtaudio
"""


def _model_source(model: bytes) -> str:
    return f"""\
#include "model_data.h"

namespace aqtaudio {{
alignas(16) const unsigned char kModel[kModelBytes] = {{
{lines(f"0x{value:02x}" for value in model)}
}};
}}  // namespace aqtaudio
"""


def _settings(program: Program, arena: Arena, block: str) -> str:
    source, target = program.edges[program.inputs[0]], program.edges[program.outputs[0]]
    return f"""\
// real value = (code - zero point) * scale
#pragma once

#include <cstddef>

namespace aqtaudio {{
// Enough with TensorFlow Lite Micro's reference kernels and with CMSIS-NN; README.md, "Memory".
constexpr std::size_t kArenaBytes =
    sizeof(void*) == 8 ? {arena.wide_bytes} : {arena.narrow_bytes};
{_edge_constants("Input", source)}
{_edge_constants("Output", target)}
// Streams: what a model remembers is in so many tflite::MicroResourceVariables.
constexpr int kResourceVariables = {len(program.states)};
{_stream(source, block) if block else ""}}}  // namespace aqtaudio
"""


def _stream(source: Edge, block: str) -> str:
    return f"""\
// One call takes the next {block}, every frame once.
constexpr int kBlockFrames = {source.shape[0]};
"""


def _edge_constants(name: str, edge: Edge) -> str:
    return f"""\
// {name}: {edge.name} {list(edge.shape)}
constexpr int k{name}Values = {math.prod(edge.shape)};
constexpr float k{name}Scale = {literal(edge.scale)};
constexpr int k{name}ZeroPoint = {edge.zero_point};"""


def _resolver(operators: list[str]) -> str:
    calls = "\n".join(f"  TF_LITE_ENSURE_STATUS(resolver.{_add(name)}());" for name in operators)
    return f"""\
// The operators of the model, and no others, so that the linker drops the rest.
#pragma once

#ifndef TF_LITE_STATIC_MEMORY
#error "Compile with -DTF_LITE_STATIC_MEMORY, as the library is: else tensors have another layout."
#endif

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace aqtaudio {{
using OpResolver = tflite::MicroMutableOpResolver<{len(operators)}>;

inline TfLiteStatus RegisterOps(OpResolver& resolver) {{
{calls}
  return kTfLiteOk;
}}
}}  // namespace aqtaudio
"""


def _add(operator: str) -> str:
    """The resolver's method (tflite-micro, micro_mutable_op_resolver.h)."""
    if operator == "BATCH_MATMUL":
        return "AddBatchMatMul"
    parts = operator.split("_")
    return "Add" + "".join(part if part[0].isdigit() else part.capitalize() for part in parts)


def _golden(inputs: np.ndarray, outputs: np.ndarray, streams: bool) -> str:
    calls = "consecutive blocks of a stream, from its beginning" if streams else "clips"
    return f"""\
// Input codes, and the output codes that this model must give for them: equal, not close.
// The calls are {calls}.
#pragma once

#include <cstdint>

namespace aqtaudio {{
constexpr int kGoldenCalls = {len(inputs)};
{table(f"constexpr std::{inputs.dtype.name}_t", "kGoldenInputs", inputs)}
{table(f"constexpr std::{outputs.dtype.name}_t", "kGoldenOutputs", outputs)}
}}  // namespace aqtaudio
"""
