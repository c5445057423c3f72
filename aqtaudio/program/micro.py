"""TFLite Micro's own interpreter on this machine: the truth that a program is compared with.

It runs in a child process; see `program.child`.
"""

import dataclasses
import re
from typing import Any, Self

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.program.child import DEFAULT_TIMEOUT_S, Child, MicroError

CLIPS_PER_MESSAGE = 64
_ARENA = re.compile(r"Arena allocation total (\d+)")


@dataclasses.dataclass(frozen=True)
class Details:
    """An input or output of a file; `scale` and `zero_point` are None when not quantized."""

    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float | None
    zero_point: int | None


class Interpreter:
    """A file loaded in a child process, by `Micro` or `LiteRT`.

    The process is one of its own, or `child`, which its owner closes.
    """

    runtime = ""

    def __init__(
        self,
        model: bytes,
        resolver: str = "",
        timeout_s: float = DEFAULT_TIMEOUT_S,
        child: Child | None = None,
    ):
        self._child = child or Child(timeout_s)
        try:
            request = {"do": "load", "runtime": self.runtime, "resolver": resolver}
            answer, _ = self._child.ask(request, model)
        except MicroError:
            if child is None:
                self._child.close()
            raise
        self.input_details = [_details(value) for value in answer["inputs"]]
        self.output_details = [_details(value) for value in answer["outputs"]]
        self._read_log(answer["log"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the child process."""
        self._child.close()

    def invoke(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Runs the file on every clip of a batch.

        Args:
          *inputs: one [B, ...] per input, of its dtype and shape; files have batch size 1.

        Returns:
          One [B, ...] per output.

        Raises:
          BadInput: an input does not fit the file.
          MicroError: the interpreter failed, crashed, or took longer than `timeout_s` for
            `CLIPS_PER_MESSAGE` clips.
        """
        self._require_fit(inputs)
        parts = [
            self._invoke([values[start : start + CLIPS_PER_MESSAGE] for values in inputs])
            for start in range(0, len(inputs[0]), CLIPS_PER_MESSAGE)
        ]
        if not parts:
            return [np.empty((0, *d.shape[1:]), d.dtype) for d in self.output_details]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        batch = len(inputs[0])
        payload = b"".join(values.tobytes() for values in inputs)
        _, content = self._child.ask({"do": "invoke", "batch": batch}, payload)
        outputs, offset = [], 0
        for details in self.output_details:
            count = batch * int(np.prod(details.shape))
            values = np.frombuffer(content, details.dtype, count, offset)
            outputs.append(values.reshape(batch, *details.shape[1:]))
            offset += values.nbytes
        return outputs

    def _require_fit(self, inputs: tuple[np.ndarray, ...]) -> None:
        if len(inputs) != len(self.input_details):
            raise BadInput(f"{len(inputs)} inputs for a file that has {len(self.input_details)}")
        for details in (*self.input_details, *self.output_details):
            if details.shape[:1] != (1,):
                raise BadInput(f"the file has a tensor of batch size {details.shape[:1]}, not 1")
        for values, details in zip(inputs, self.input_details, strict=True):
            found = (len(values), values.shape[1:], values.dtype)
            if found != (len(inputs[0]), details.shape[1:], details.dtype):
                raise BadInput(
                    f"input {values.shape} {values.dtype}; the file takes "
                    f"[{len(inputs[0])}, *{details.shape[1:]}] {details.dtype}"
                )

    def _read_log(self, log: str) -> None:
        """Hook for what a runtime says while loading."""


class Micro(Interpreter):
    """TFLite Micro's reference kernels.

    Attributes:
      arena_used_bytes: of the tensor arena, after loading, on this (64-bit) host.
    """

    runtime = "micro"
    arena_used_bytes: int

    def __init__(
        self, model: bytes, timeout_s: float = DEFAULT_TIMEOUT_S, child: Child | None = None
    ):
        self._model = model
        super().__init__(model, timeout_s=timeout_s, child=child)

    def _read_log(self, log: str) -> None:
        found = _ARENA.search(log)
        if found is None:
            raise MicroError("TFLite Micro reported no arena size", log)
        self.arena_used_bytes = int(found[1])

    def run_noise(self) -> None:
        """Runs random inputs, of the types that hold samples and codes, and forgets them.

        Raises MicroError: zeros, which loading ran, are no proof.
        """
        self._child.ask({"do": "noise"})

    def least_arena_bytes(self) -> int:
        """The least arena in which the file loads and runs on this (64-bit) host.

        At least what is in use afterwards, and the temporary memory of planning. Raises MicroError.
        """
        request = {"do": "least_arena", "near": self.arena_used_bytes}
        return self._child.ask(request, self._model)[0]["bytes"]


def _details(value: dict[str, Any]) -> Details:
    shape = tuple(value["shape"])
    return Details(shape, np.dtype(value["dtype"]), value["scale"], value["zero_point"])
