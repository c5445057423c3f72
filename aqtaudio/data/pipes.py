"""Raw samples out of a pipe, as they arrive; what arrives while nobody looks is kept."""

import dataclasses
import queue
import threading
from collections.abc import Iterator
from typing import BinaryIO, Protocol

import numpy as np
import soxr

from aqtaudio.data.audio import to_float, to_int16
from aqtaudio.data.containers import container
from aqtaudio.errors import BadInput

READ_BYTES = 1 << 16
HEADER_BYTES = 20
"""From which a container is told, but for MP3."""


@dataclasses.dataclass(frozen=True)
class Raw:
    """What raw samples are: little-endian 16-bit, channels in turn.

    Attributes:
      rate_hz: None: as whoever hears them wants it.
      channels: of which the mean is heard.
    """

    rate_hz: int | None = None
    channels: int = 1


class Pipe(Protocol):
    """What is read as it comes."""

    def read1(self, size: int = -1, /) -> bytes:
        """At least a byte, as many as are there; none at the end."""
        ...


class Kept:
    """A pipe that is read by a thread of its own from the beginning on, into memory.

    So a microphone's program is never kept waiting while models are loaded and compiled.
    """

    def __init__(self, pipe: BinaryIO):
        self._read = getattr(pipe, "read1", pipe.read)
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


def raw_chunks(
    pipe: Pipe, rate_hz: int, raw: Raw = Raw(), name: str = "standard input"
) -> Iterator[np.ndarray]:
    """Raw samples as they arrive, mono and at a rate: int16 [n] each, until the pipe ends.

    Raises:
      BadInput: as `require_raw`.
    """
    held, started = b"", False
    exact = raw.channels == 1 and raw.rate_hz in (None, rate_hz)
    resampler = None
    if raw.rate_hz not in (None, rate_hz):
        resampler = soxr.ResampleStream(raw.rate_hz, rate_hz, 1, dtype="float32")
    frame_bytes = 2 * raw.channels
    while True:
        content = pipe.read1(READ_BYTES)
        held += content
        if not started and content and len(held) < HEADER_BYTES:
            continue  # too few bytes to tell a container by
        if not started:
            require_raw(held, name)
            started = True
        whole = len(held) // frame_bytes * frame_bytes
        codes, held = np.frombuffer(held[:whole], "<i2").astype(np.int16), held[whole:]
        if exact:
            if content or len(codes):
                yield codes
        else:
            mono = to_float(codes).reshape(-1, raw.channels).mean(1)
            if resampler is not None:
                mono = resampler.resample_chunk(mono, last=not content)
            yield to_int16(mono)
        if not content:
            return


def require_raw(start: bytes, name: str = "standard input") -> None:
    """Raises BadInput where bytes begin a file with a header, whose samples would be noise, and
    where there are none. `name` is what they are called.
    """
    if not start:
        raise BadInput(f"{name} holds no samples")
    if kind := container(start):
        raise BadInput(
            f"{name} holds an audio file ({kind}); name the file, or pipe raw samples: "
            "ffmpeg -i FILE -f s16le -ac 1 -ar HZ -"
        )
