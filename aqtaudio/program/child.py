"""A child process that runs interpreters, so that a hostile file cannot take ours down.

Messages in both directions are two frames on a pipe, JSON and raw bytes, each after its length as 8
bytes little-endian.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

DEFAULT_TIMEOUT_S = 60.0
LOG_LIMIT_BYTES = 1 << 20
LOG_TAIL_CHARACTERS = 2000
FRAME_LIMIT_BYTES = 1 << 31
_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


class MicroError(RuntimeError):
    """An interpreter refused a file, crashed or did not answer in time.

    Attributes:
      reason: one line.
      is_crash: the interpreter's process ended by a signal.
      log: the end of what the interpreter wrote to standard error.
    """

    def __init__(self, reason: str, log: str = "", is_crash: bool = False):
        self.reason = reason
        self.is_crash = is_crash
        self.log = log[-LOG_TAIL_CHARACTERS:]
        super().__init__(f"{reason}\n{self.log}".strip())


class Child:
    """The process of `micro_worker`. Use as a context manager, or call `close`."""

    def __init__(self, timeout_s: float = DEFAULT_TIMEOUT_S):
        self._timeout_s = timeout_s
        self._log = tempfile.TemporaryFile()
        path = os.pathsep.join(filter(None, [str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "aqtaudio.program.micro_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            env=os.environ | {"PYTHONPATH": path},
        )
        assert self._process.stdin and self._process.stdout
        self._pipe = _Timed(self._process.stdout.fileno(), self._process.stdin.fileno())

    @property
    def timeout_s(self) -> float:
        """Limit for an answer."""
        return self._timeout_s

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: dict[str, Any], payload: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Sends one message and returns the answer. Raises MicroError."""
        if self._process.poll() is not None:
            raise MicroError(self._end())
        start = os.fstat(self._log.fileno()).st_size
        self._pipe.deadline = time.monotonic() + self._timeout_s
        try:
            send(self._pipe, request, payload)
            answer, content = receive(self._pipe)
        except (EOFError, OSError, ValueError) as error:
            self._process.kill()
            late = isinstance(error, TimeoutError)
            reason = f"no answer in {self._timeout_s:g} s" if late else self._end()
            crashed = not late and self._process.wait() < 0
            raise MicroError(reason, self._log_since(start), crashed) from error
        log = self._log_since(start)
        if "lacks" in answer:
            raise ModuleNotFoundError(f"no package {answer['lacks']}", name=answer["lacks"])
        if "error" in answer:
            raise MicroError(answer["error"], log)
        return answer | {"log": log}, content

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _end(self) -> str:
        status = self._process.wait()
        if status < 0:
            return f"the interpreter crashed ({signal.Signals(-status).name})"
        return f"the interpreter ended with status {status}"

    def _log_since(self, start: int) -> str:
        return os.pread(self._log.fileno(), LOG_LIMIT_BYTES, start).decode(errors="replace").strip()


class _Timed:
    """The parent's ends of both pipes: whoever waits past `deadline` gets a TimeoutError.

    A thread that watches the time costs more than a small network takes.
    """

    deadline = 0.0  # of time.monotonic

    def __init__(self, answers: int, requests: int):
        self._answers, self._requests = answers, requests
        os.set_blocking(requests, False)  # of a pipe with some room all would be waited for

    def write(self, data: bytes) -> None:
        """All of it."""
        left = memoryview(data)
        while left:
            self._wait(self._requests, select.POLLOUT)
            left = left[os.write(self._requests, left) :]

    def read(self, size: int) -> bytes:
        """So many bytes; fewer where the pipe was closed."""
        parts = []
        while size:
            self._wait(self._answers, select.POLLIN)
            parts.append(os.read(self._answers, size))
            if not parts[-1]:
                break
            size -= len(parts[-1])
        return b"".join(parts)

    def flush(self) -> None:
        """Nothing is held back."""

    def _wait(self, number: int, event: int) -> None:
        ready = select.poll()
        ready.register(number, event)
        if not ready.poll(max(0.0, 1000 * (self.deadline - time.monotonic()))):
            raise TimeoutError


def send(pipe: "IO[bytes] | _Timed", header: dict[str, Any], payload: bytes) -> None:
    """Writes one message."""
    frames = (json.dumps(header).encode(), payload)
    pipe.write(b"".join(part for f in frames for part in (len(f).to_bytes(8, "little"), f)))
    pipe.flush()


def receive(pipe: "IO[bytes] | _Timed") -> tuple[dict[str, Any], bytes]:
    """Reads one message.

    Raises EOFError when the other side is gone, ValueError when it does not speak our language: a
    hostile file may write where it likes in a child, its pipe included.
    """
    header, payload = _frame(pipe), _frame(pipe)
    message = json.loads(header)
    if not isinstance(message, dict):
        raise ValueError("a message without a header")
    return message, payload


def _frame(pipe: "IO[bytes] | _Timed") -> bytes:
    size = pipe.read(8)
    length = int.from_bytes(size, "little")
    if length > FRAME_LIMIT_BYTES:
        raise ValueError(f"a frame of {length} bytes")
    data = pipe.read(length)
    if len(size) < 8 or len(data) < length:
        raise EOFError("the pipe was closed")
    return data
