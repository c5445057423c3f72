"""Is a TFLite file fit for TFLite Micro, and if not, why not?

The file may come from anywhere: it is parsed and run in a child process.
"""

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from aqtaudio.errors import BadInput
from aqtaudio.program import flatbuffer, remedies
from aqtaudio.program.child import DEFAULT_TIMEOUT_S, Child, MicroError
from aqtaudio.program.esphome_contract import Target
from aqtaudio.program.micro import Micro

if TYPE_CHECKING:
    from aqtaudio.program.program import Program  # loads JAX

REGISTERED = frozenset(
    """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
    BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM
    DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL
    EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER
    GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG
    LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM
    MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX
    REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT
    SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE
    SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV
    UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
    """.split()
)
"""Builtin operators that TFLite Micro's Python interpreter registers.

Found by loading a file of one operator for every code of the schema, with the pinned version.
"""

FLEX = "CUSTOM:Flex"  # operators of TensorFlow itself; of other custom ones, Micro has some
_MISSING = re.compile(r"Didn't find op for builtin opcode '(\w+)'")
_LOG_LINES = 3


@dataclasses.dataclass(frozen=True)
class Report:
    """The verdict on a file; the fields are the keys of `aqtaudio check --json`.

    Attributes:
      micro_compatible: TFLite Micro allocates and invokes it, and it computes in integers.
      reasons: why not, one line each.
      kernels: by library of kernels ("reference", "cmsis-nn", "litert"), what it gets wrong of a
        file that the reference kernels take.
      targets: by target that was asked for ("esphome"), what of the file breaks its contract.
      ops: number of operators by name.
      float_ops: names of operators that read or write a FLOAT32 tensor.
      unsupported: names of operators that TFLite Micro lacks.
      arena_bytes: least tensor arena in which the file loads and runs on this host; None when it
        does not.
      arena_used_bytes: of it, in use afterwards.
      file_bytes: size of the file.
      weight_bytes: size of its constants.
    """

    micro_compatible: bool
    reasons: tuple[str, ...]
    kernels: dict[str, list[str]]
    targets: dict[str, list[str]]
    ops: dict[str, int]
    float_ops: tuple[str, ...]
    unsupported: tuple[str, ...]
    arena_bytes: int | None
    arena_used_bytes: int | None
    file_bytes: int
    weight_bytes: int

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return dataclasses.asdict(self)


def check(
    model: bytes,
    allow_float: bool = False,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    program: "Program | None" = None,
    target: Target = "micro",
) -> Report:
    """Judges a file.

    Args:
      model: contents of the file.
      allow_float: whether FLOAT32 tensors may stay.
      timeout_s: limit for the parse, and again for loading and one invocation.
      program: what the file was made from, if known; reasons then name its layers.
      target: "esphome": its micro_wake_word, which has a contract of its own.

    Raises:
      BadInput: this is not a TFLite file, or a damaged one.
    """
    with Child(timeout_s) as child:
        return _judged(child, model, allow_float, program, target)


def _judged(
    child: Child, model: bytes, allow_float: bool, program: "Program | None", target: Target
) -> Report:
    facts = _inspect(child, model, program)
    reasons = [*([] if allow_float else facts["float_reasons"]), *facts["trap_reasons"]]
    unsupported = [
        name
        for name in facts["ops"]
        if name not in REGISTERED and (not name.startswith("CUSTOM:") or name.startswith(FLEX))
    ]
    arena_bytes = arena_used_bytes = None
    try:
        micro = Micro(model, child=child)
        arena_used_bytes = micro.arena_used_bytes
        arena_bytes = micro.least_arena_bytes()
    except MicroError as error:
        unsupported = list(dict.fromkeys([*unsupported, *_MISSING.findall(error.log)]))
        reasons += [_lacking(name, facts["first"].get(name, "")) for name in unsupported]
        # Of UINT8 the interpreter says that it is hybrid, which is another fault.
        is_told = any("UINT8" in line for line in facts["trap_reasons"])
        if not unsupported and not is_told:
            reasons.append(_explain(error))
    return Report(
        micro_compatible=not reasons,
        reasons=tuple(reasons),
        kernels=facts["kernel_reasons"],
        targets={name: found for name, found in facts["target_reasons"].items() if name == target},
        ops=facts["ops"],
        float_ops=tuple(facts["float_ops"]),
        unsupported=tuple(unsupported),
        arena_bytes=arena_bytes,
        arena_used_bytes=arena_used_bytes,
        file_bytes=len(model),
        weight_bytes=facts["weight_bytes"],
    )


def _inspect(child: Child, model: bytes, program: "Program | None") -> dict[str, Any]:
    if model[4:8] != flatbuffer.IDENTIFIER:
        raise BadInput("not a TFLite file: bytes 4 to 8 are not 'TFL3'")
    edges = program.to_json()["edges"] if program else []
    try:
        return child.ask({"do": "inspect", "edges": edges}, model)[0]
    except MicroError as error:
        raise BadInput(f"a damaged TFLite file: {error.reason}") from error


def _lacking(name: str, place: str) -> str:
    where = f" ({place})" if place else ""
    return f"TFLite Micro has no operator {name}{where}; {remedies.for_unsupported(name)}"


def _explain(error: MicroError) -> str:
    lines = [line for line in error.log.splitlines() if line and not line.startswith("INFO")]
    detail = "; ".join(lines[:_LOG_LINES])
    return f"TFLite Micro: {error.reason}" + (f": {detail}" if detail else "")
