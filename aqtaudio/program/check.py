"""Is a TFLite file fit for TFLite Micro, and if not, why not?

The file may come from anywhere: it is parsed and run in a child process.
"""

import contextlib
import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aqtaudio.errors import BadInput
from aqtaudio.program import files_of_others, flatbuffer, remedies
from aqtaudio.program.child import DEFAULT_TIMEOUT_S, Child, MicroError
from aqtaudio.program.esphome_contract import Target
from aqtaudio.program.micro import Micro
from aqtaudio.program.operator_view import printable
from aqtaudio.program.registered import is_registered

if TYPE_CHECKING:
    from aqtaudio.program.program import Program  # loads JAX

_MISSING = re.compile(r"Didn't find op for builtin opcode '(\w+)'")
_NODE = re.compile(r"Node (\S+) \(number (\d+)\) failed to (?:prepare|invoke)")
_SOURCE = re.compile(r"^\S+\.(?:cc|h)(?::\d+)? ")
_DETAIL_CHARACTERS = 300
Places = Sequence[tuple[str, str]]
"""Of operators of the main subgraph: name, and number and first tensor in words."""


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
    unsupported = [name for name in facts["ops"] if not is_registered(name)]
    run = _run(child, model)
    if run.error is not None:
        unsupported = list(dict.fromkeys([*unsupported, *_MISSING.findall(run.error.log)]))
        reasons += [_lacking(name, facts["first"].get(name, "")) for name in unsupported]
        # Of UINT8 the interpreter says that it is hybrid, which is another fault.
        is_told = any("UINT8" in line for line in facts["trap_reasons"])
        if not unsupported and not is_told:
            crash = _crash_place(run.error, model, child.timeout_s)
            told = _explain(run.error, facts["places"], crash)
            reasons.append(f"{told} (with random inputs)" if run.is_loaded else told)
    return Report(
        micro_compatible=not reasons,
        reasons=tuple(reasons),
        kernels=facts["kernel_reasons"],
        targets={name: found for name, found in facts["target_reasons"].items() if name == target},
        ops=facts["ops"],
        float_ops=tuple(facts["float_ops"]),
        unsupported=tuple(unsupported),
        arena_bytes=run.arena_bytes,
        arena_used_bytes=run.arena_used_bytes,
        file_bytes=len(model),
        weight_bytes=facts["weight_bytes"],
    )


@dataclasses.dataclass
class _Run:
    """What TFLite Micro did: zeros on loading, then random inputs."""

    arena_bytes: int | None = None
    arena_used_bytes: int | None = None
    is_loaded: bool = False
    error: MicroError | None = None


def _run(child: Child, model: bytes) -> _Run:
    run = _Run()
    try:
        micro = Micro(model, child=child)
        run.arena_used_bytes = micro.arena_used_bytes
        run.arena_bytes = micro.least_arena_bytes()
        run.is_loaded = True
        micro.run_noise()
    except MicroError as error:
        run.error = error
    return run


def _inspect(child: Child, model: bytes, program: "Program | None") -> dict[str, Any]:
    if model[4:8] != flatbuffer.IDENTIFIER:
        raise BadInput(f"not a TFLite file: {files_of_others.what_it_is(model)}")
    edges = program.to_json()["edges"] if program else []
    try:
        return child.ask({"do": "inspect", "edges": edges}, model)[0]
    except MicroError as error:
        raise BadInput(f"a damaged TFLite file: {error.reason}") from error


def _lacking(name: str, place: str) -> str:
    where = f" ({place})" if place else ""
    return f"TFLite Micro has no operator {name}{where}; {remedies.for_unsupported(name)}"


def _crash_place(error: MicroError, model: bytes, timeout_s: float) -> int | None:
    """Number of the operator that crashes TFLite Micro; None without a crash, or where unknown."""
    if not error.is_crash:
        return None
    with contextlib.suppress(MicroError), Child(timeout_s) as child:
        return child.ask({"do": "failing_operator"}, model)[0]["number"]
    return None


def _explain(error: MicroError, places: Places, crash: int | None) -> str:
    """TFLite Micro's words in ours: which operator, what, what to do."""
    if crash is not None:
        return f"TFLite Micro: {error.reason} at {_named(*places[crash])}; {remedies.OF_A_CRASH}"
    if error.is_crash:
        return f"TFLite Micro: {error.reason}; {remedies.OF_A_CRASH}"
    log = error.log.replace("\r", "").splitlines()
    said = [line.strip() for line in log if line.strip() and not line.startswith("INFO")]
    nodes = [found for line in said if (found := _NODE.search(line))]
    detail = "; ".join(_SOURCE.sub("", line).rstrip(".") for line in said if not _NODE.search(line))
    detail = printable(detail or error.reason)[:_DETAIL_CHARACTERS].rstrip(".")
    where = ""
    if nodes:
        name, number = nodes[0][1], int(nodes[0][2])
        is_main = number < len(places) and places[number][0].removeprefix("CUSTOM:") == name
        place = places[number][1] if is_main else f"operator {number} of another subgraph"
        where = f"{name} ({place}): "
    return f"TFLite Micro: {where}{detail}; {remedies.for_refusal(detail)}"


def _named(name: str, place: str) -> str:
    return f"{name} ({place})"
