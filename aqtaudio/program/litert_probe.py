"""What LiteRT makes of a file: whether it takes it, and the shapes that it derives.

LiteRT derives the shape of every result from its operator; TFLite Micro believes the file, and
writes past the end of a result that the file calls smaller than it is.
"""

import contextlib
import json
import math
import os
import re
import resource
import signal
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from aqtaudio.program.file_faults import BITS
from aqtaudio.program.findings import Finding, lines
from aqtaudio.program.operator_view import Operator, printable

LIMIT_S = 5
"""Of processor time, after which LiteRT is not waited for."""
_NODE = re.compile(r"\s*Node number (\d+) \((\S+?)\) failed to (?:prepare|invoke)\.?")
_DELEGATED = re.compile(r"failed to delegate (\S+) node #(\d+)")
_SOURCE = re.compile(r"\S+\.(?:cc|h):?(?:\d+)? ")
_UNKNOWN = re.compile(r"Didn't find op for builtin opcode '(\w*)' version '(\d+)'")
_CUSTOM = re.compile(r"Encountered unresolved custom op: ([^\n]*?)\.?(?:\n|$)")
_FAULT = re.compile(r"Invalid (axis|begin)|Pad value has|paddings must|\baxis (<|>=) ")
"""Words about sizes and indices that fit nothing: TFLite Micro reads or writes elsewhere then."""
_DIVISIONS = ("DIV", "FLOOR_DIV", "FLOOR_MOD")
_ANY_SHAPE = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
_SIZES = ("INT32", "INT64")
_AGAIN = "convert the model again"
_CONVERT = f"{_AGAIN}, or leave LiteRT out"


class Runner(Protocol):
    """LiteRT with a file loaded."""

    def shapes(self) -> list[list[int]]:
        """Of the tensors of the main subgraph, as LiteRT derives them."""
        ...

    def run_zeros(self) -> None:
        """One invocation."""
        ...


def probe(model: bytes, is_run: bool, load: Callable[[bytes, str], Runner]) -> dict[str, Any]:
    """Loads a file in LiteRT, in a process of its own, as files crash it.

    Args:
      is_run: whether zeros are run through it, too.
      load: loads a file with a resolver of this name.

    Returns:
      "error": why it does not take it, one line; empty when it does.
      "shapes": by tensor of the main subgraph; empty when it does not.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        with contextlib.suppress(BaseException):
            resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
            with os.fdopen(writing, "w") as answers:
                json.dump(_probed(model, is_run, load), answers)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        text = answers.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(ValueError):
        return json.loads(text)
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return {"error": f"it takes longer than {LIMIT_S} s", "shapes": []}
    name = signal.Signals(-status).name if status < 0 else f"status {status}"
    return {"error": f"the interpreter crashed ({name})", "shapes": []}


def _probed(model: bytes, is_run: bool, load: Callable[[bytes, str], Runner]) -> dict[str, Any]:
    shapes: list[list[int]] = []
    try:
        shapes = load(model, "BUILTIN_WITHOUT_DEFAULT_DELEGATES").shapes()
        runner = load(model, "AUTO")
        if is_run:
            runner.run_zeros()
    except (RuntimeError, ValueError, TypeError) as error:
        return {"error": str(error) or type(error).__name__, "shapes": shapes}
    return {"error": "", "shapes": shapes}


def is_runnable_on_zeros(operators: Sequence[Operator]) -> bool:
    """Whether zeros are fair: inputs are numbers, none a size or an index, and nobody divides."""
    if any(operator.name in _DIVISIONS for operator in operators):
        return False
    inputs = [tensor for o in operators for tensor in o.inputs if tensor and tensor.is_input]
    return all(tensor.type in BITS and tensor.type not in _SIZES for tensor in inputs)


def fault(error: str, operators: Sequence[Operator]) -> list[str]:
    """What LiteRT finds of sizes and indices that TFLite Micro takes without a look."""
    if not _FAULT.search(error):
        return []
    where, text = _parts(error, operators)
    return [f"{where}{text}: TFLite Micro does not look, and reads elsewhere; {_AGAIN}"]


def refusal(error: str, operators: Sequence[Operator]) -> str:
    """LiteRT's words in ours: which operator, what, what to do."""
    lacking = _CUSTOM.search(error)
    if lacking:
        return f"LiteRT has no operator CUSTOM:{printable(lacking[1])}; register it there"
    unknown = _UNKNOWN.search(error)
    if unknown:
        return f"LiteRT has no operator {unknown[1]} of version {unknown[2]}; {_CONVERT}"
    where, text = _parts(error, operators)
    return f"{where}LiteRT refuses it: {text}; {_CONVERT}"


def _parts(error: str, operators: Sequence[Operator]) -> tuple[str, str]:
    """Where, empty when it does not say, and what."""
    main = [operator for operator in operators if not operator.subgraph]
    node = _NODE.search(error)
    text = error[: node.start()] if node else error
    delegated = _DELEGATED.search(error)
    name, number = (node[2], node[1]) if node else ("", "")
    if delegated:
        name, number = delegated[1], delegated[2]
        text = "XNNPACK finds types, scales or their numbers that do not fit"
    text = text.split(" in XNNPACK delegate")[0]  # what follows follows from it
    text = "; ".join(filter(None, map(str.strip, _SOURCE.sub("", text).splitlines()[:2])))
    text = printable(re.sub(r"\s+", " ", text)).rstrip(".") or "it gives no reason"
    where = ""
    if name and int(number) < len(main) and main[int(number)].name.endswith(name):
        operator = main[int(number)]
        labels = [tensor.label for tensor in operator.outputs if tensor]
        where = f"{operator.name} ({', '.join([operator.place, *labels[:1]])}): "
    return where, text


def shape_reasons(shapes: Sequence[Sequence[int]], operators: Sequence[Operator]) -> list[str]:
    """The first result of the main subgraph whose shape is not what its operator gives."""

    def rule(operator: Operator) -> list[Finding]:
        found: list[Finding] = []
        for tensor in operator.outputs:
            if not tensor or tensor.type not in BITS or min(tensor.shape, default=0) < 0:
                continue
            derived = shapes[tensor.index] if tensor.index < len(shapes) else tensor.shape
            if _alike(tensor.shape, derived, operator.name):
                continue
            said = f"is {list(tensor.shape)}, but its operator gives {list(derived)}"
            wrong = f"{said}: TFLite Micro believes the file"
            found.append((tensor, wrong, "convert the model again, with concrete shapes"))
        return found

    for operator in operators:
        wrong = [] if operator.subgraph else rule(operator)
        if wrong:
            return lines([operator], [lambda _, wrong=wrong: iter(wrong[:1])])
    return []


def _alike(said: Sequence[int], derived: Sequence[int], name: str) -> bool:
    """The same numbers in the same order, whatever axes of one element there are.

    TFLite Micro's dense kernel takes the last axis for its units, and all others for rows.
    """
    if name in _ANY_SHAPE:
        return math.prod(said) == math.prod(derived)
    if name == "FULLY_CONNECTED":
        return math.prod(said) == math.prod(derived) and list(said[-1:]) == list(derived[-1:])
    return [size for size in said if size != 1] == [size for size in derived if size != 1]
