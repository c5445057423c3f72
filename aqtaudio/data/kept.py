"""What arrives in a pipe while nobody looks. Imports nothing that takes time."""

import os
import queue
import threading
from collections.abc import Callable
from typing import BinaryIO

from aqtaudio.errors import BadInput

READ_BYTES = 1 << 16


class Kept:
    """A pipe that is read by a thread of its own from the beginning on, into memory.

    So a microphone's program is never kept waiting while models are loaded and compiled.
    """

    def __init__(self, pipe: BinaryIO):
        self._read = _reader(pipe)
        self._arrived: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
        self._first: bytes | Exception | None = None
        threading.Thread(target=self._keep, daemon=True).start()

    def first(self, seconds: float) -> bytes | None:
        """What arrives first, without taking it: empty at the end, None where nothing does."""
        if self._first is None:
            try:
                self._first = self._arrived.get(timeout=seconds)
            except queue.Empty:
                return None
        return self._first if isinstance(self._first, bytes) else None

    def read1(self, size: int = -1) -> bytes:
        """What has arrived; waits for it. Empty at the end."""
        content, self._first = self._first, None
        if content is None:
            content = self._arrived.get()
        if isinstance(content, Exception):
            raise BadInput(f"standard input cannot be read: {content}") from content
        if not content:
            self._first = content  # the end stays the end
        return content

    def _keep(self) -> None:
        content: bytes | Exception = b"?"
        while content and not isinstance(content, Exception):
            try:
                content = self._read(READ_BYTES)
            except (OSError, ValueError) as error:
                content = error
            self._arrived.put(content)


def _reader(pipe: BinaryIO) -> Callable[[int], bytes]:
    """Reads what is there: of files by a number of their own, so that no lock is held for ever when
    the process ends, and nobody else's file is read when the pipe is closed.
    """
    try:
        number = os.dup(pipe.fileno())
    except OSError:  # made up, of bytes in memory
        return getattr(pipe, "read1", pipe.read)

    def read(size: int) -> bytes:
        content = os.read(number, size)
        if not content:
            os.close(number)
        return content

    return read
