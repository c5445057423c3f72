"""The child's side of `program.child`: loads untrusted TFLite files and runs them.

Started as `python -m aqtaudio.program.micro_worker`; serves until its standard input closes.
"""

import bisect
import contextlib
import os
import resource
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from aqtaudio.program import child

MEMORY_LIMIT_BYTES = 8 << 30
LOG_LIMIT_BYTES = 256 << 20
ARENA_LIMIT_BYTES = 256 << 20  # reserved, touched only as far as used
ARENA_STEP_BYTES = 16  # what TFLite Micro aligns to
NOISY_BYTES = 2  # of integers that are codes


class MicroRunner:
    """TFLite Micro on the host."""

    def __init__(self, model: bytes, _: str):
        from tflite_micro import runtime

        graph = runtime.convert_bytearray_to_object(bytearray(model)).subgraphs[0]
        self._runtime = runtime.Interpreter.from_bytes(model, arena_size=ARENA_LIMIT_BYTES)
        self.inputs = [
            _details(self._runtime.get_input_details(i)) for i in range(len(graph.inputs))
        ]
        self.outputs = [
            _details(self._runtime.get_output_details(i)) for i in range(len(graph.outputs))
        ]
        self(*(np.zeros(details["shape"], details["dtype"]) for details in self.inputs))
        self._runtime.reset()
        # Written to standard error, from where the parent reads it: there is no other interface.
        self._runtime.print_allocations()

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """One invocation."""
        for index, values in enumerate(inputs):
            self._runtime.set_input(values, index)
        self._runtime.invoke()
        return [self._runtime.get_output(index) for index in range(len(self.outputs))]

    def run_noise(self) -> None:
        """One invocation on noise; wider integers, which may be sizes or indices, stay zero."""
        random = np.random.default_rng(0)
        self(*(_noise(random, details["shape"], details["dtype"]) for details in self.inputs))
        self._runtime.reset()


class LiteRunner:
    """LiteRT with one of its operator resolvers: AUTO (XNNPACK), BUILTIN_REF, ..."""

    def __init__(self, model: bytes, resolver: str):
        from ai_edge_litert import interpreter

        self._runtime = interpreter.Interpreter(
            model_content=model,
            experimental_op_resolver_type=interpreter.OpResolverType[resolver],
            num_threads=1,
        )
        self._runtime.allocate_tensors()
        inputs, outputs = self._runtime.get_input_details(), self._runtime.get_output_details()
        self._inputs = [details["index"] for details in inputs]
        self._outputs = [details["index"] for details in outputs]
        self.inputs = [_details(details) for details in inputs]
        self.outputs = [_details(details) for details in outputs]

    def shapes(self) -> list[list[int]]:
        """By tensor of the main subgraph."""
        details = self._runtime.get_tensor_details()
        found: list[list[int]] = [[] for _ in range(1 + max(d["index"] for d in details))]
        for tensor in details:
            found[tensor["index"]] = [int(size) for size in tensor["shape"]]
        return found

    def run_zeros(self) -> None:
        """One invocation."""
        self(*(np.zeros(details["shape"], details["dtype"]) for details in self.inputs))

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """One invocation."""
        for index, values in zip(self._inputs, inputs, strict=True):
            self._runtime.set_tensor(index, values)
        self._runtime.invoke()
        return [self._runtime.get_tensor(index) for index in self._outputs]


def _probe(model: bytes, is_run: bool) -> dict[str, Any]:
    from aqtaudio.program.litert_probe import probe  # with inspection's modules, not before

    return probe(model, is_run, LiteRunner)


def _run_micro(model: bytes) -> None:
    MicroRunner(model, "").run_noise()


class Worker:
    """Answers the parent's requests."""

    runner: MicroRunner | LiteRunner

    def answer(self, request: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """The answer to one request, of what `case` has."""
        match request["do"]:
            case "inspect":
                from aqtaudio.program import inspection  # as long to load as the rest

                return inspection.inspect_file(payload, request["edges"], _probe), b""
            case "load":
                kind = {"micro": MicroRunner, "litert": LiteRunner}[request["runtime"]]
                self.runner = kind(payload, request["resolver"])
                return {"inputs": self.runner.inputs, "outputs": self.runner.outputs}, b""
            case "least_arena":
                return {"bytes": self._least_arena_bytes(payload, request["near"])}, b""
            case "noise":
                assert isinstance(self.runner, MicroRunner)
                self.runner.run_noise()
                return {}, b""
            case "failing_operator":
                from aqtaudio.program.failing_operator import failing_operator

                return {"number": failing_operator(payload, _run_micro)}, b""
            case _:
                return {}, self._invoke(request["batch"], payload)

    def _least_arena_bytes(self, model: bytes, near: int) -> int:
        zeros = [np.zeros(details["shape"], details["dtype"]) for details in self.runner.inputs]
        return least_arena_bytes(model, zeros, near)

    def _invoke(self, batch: int, payload: bytes) -> bytes:
        columns, offset = [], 0
        for details in self.runner.inputs:
            dtype = np.dtype(details["dtype"])
            count = batch * int(np.prod(details["shape"]))
            values = np.frombuffer(payload, dtype, count, offset)
            columns.append(values.reshape(batch, *details["shape"]))
            offset += values.nbytes
        rows = [
            [np.array(output) for output in self.runner(*(column[i] for column in columns))]
            for i in range(batch)
        ]
        return b"".join(np.stack(outputs).tobytes() for outputs in zip(*rows, strict=True))


def least_arena_bytes(model: bytes, inputs: Sequence[np.ndarray], near: int) -> int:
    """The least arena, a multiple of 16 bytes, in which TFLite Micro allocates and runs a file.

    More than is in use afterwards where the planner needs temporary memory.

    Args:
      model: contents of the file.
      inputs: what it runs on.
      near: where the search begins, in bytes; what is in use in a large arena is at the end or
        just before it.
    """

    def runs(steps: int) -> bool:
        process = os.fork()  # with too little, TFLite Micro may crash
        if process == 0:
            os._exit(0 if _runs_in(model, inputs, steps * ARENA_STEP_BYTES) else 1)
        return os.waitpid(process, 0)[1] == 0

    # Each trial is a process: strides double away from the start, and end on either side of it.
    most, stride = -(-near // ARENA_STEP_BYTES), 1
    too_little = most
    while not runs(most):
        if most * ARENA_STEP_BYTES > ARENA_LIMIT_BYTES:
            raise MemoryError(f"needs more than {ARENA_LIMIT_BYTES} bytes of arena")
        too_little, most, stride = most, most + stride, 2 * stride
    if too_little == most:
        too_little = max(0, most - stride)
        while too_little and runs(too_little):
            stride *= 2
            most, too_little = too_little, max(0, too_little - stride)
    least = bisect.bisect_left(range(most), True, lo=too_little + 1, key=runs)
    return least * ARENA_STEP_BYTES


def _runs_in(model: bytes, inputs: Sequence[np.ndarray], arena_bytes: int) -> bool:
    from tflite_micro import runtime

    try:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)
        for index, values in enumerate(inputs):
            interpreter.set_input(values, index)
        interpreter.invoke()
    except RuntimeError:
        return False
    return True


def _noise(random: np.random.Generator, shape: list[int], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return random.normal(size=shape).astype(kind)
    if kind.kind == "b":
        return random.integers(0, 2, shape).astype(kind)
    if kind.itemsize > NOISY_BYTES:
        return np.zeros(shape, kind)
    limits = np.iinfo(kind)
    return random.integers(limits.min, limits.max, shape, kind, endpoint=True)


def _details(details: dict[str, Any]) -> dict[str, Any]:
    parameters = details["quantization_parameters"]
    return {
        "shape": [int(size) for size in details["shape"]],
        "dtype": np.dtype(details["dtype"]).name,
        "scale": float(parameters["scales"][0]) if len(parameters["scales"]) else None,
        "zero_point": int(parameters["zero_points"][0]) if len(parameters["zero_points"]) else None,
    }


def _limit(what: int, size_bytes: int) -> None:
    """Not above a limit that the process was born with, which can only be lowered."""
    hard = resource.getrlimit(what)[1]
    most = size_bytes if hard == resource.RLIM_INFINITY else min(size_bytes, hard)
    resource.setrlimit(what, (most, most))


def main() -> None:
    """Serves requests until the parent closes the pipe."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(resource.RLIMIT_FSIZE, LOG_LIMIT_BYTES)
    with contextlib.suppress(OSError, ValueError):  # not every system limits address space
        _limit(resource.RLIMIT_AS, MEMORY_LIMIT_BYTES)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever native code prints must not land among the answers
    worker = Worker()
    while True:
        try:
            request, payload = child.receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            header, content = worker.answer(request, payload)
        except ModuleNotFoundError as error:  # no fault of the file
            header, content = {"lacks": error.name}, b""
        except Exception as error:  # every fault of a foreign file is an answer
            header, content = {"error": str(error).strip() or type(error).__name__}, b""
        child.send(answers, header, content)


if __name__ == "__main__":
    main()
