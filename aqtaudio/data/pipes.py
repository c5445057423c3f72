"""Raw samples out of a pipe, as they arrive."""

import dataclasses
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import soxr

from aqtaudio.data.audio import to_float, to_int16
from aqtaudio.data.containers import container
from aqtaudio.data.kept import READ_BYTES
from aqtaudio.errors import BadInput

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
