"""Raw samples of a pipe: none is lost, none is made of a container's bytes."""

import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile
import soxr

from aqtaudio.data import audio
from aqtaudio.data.containers import container
from aqtaudio.data.kept import Kept
from aqtaudio.data.pipes import Raw, raw_chunks
from aqtaudio.errors import BadInput

CODES = np.random.default_rng(0).integers(-32768, 32768, 999, dtype=np.int16)


PLAIN = Raw()


class Slow(io.BytesIO):
    """Gives so many bytes at a time."""

    def __init__(self, content, chunk_bytes):
        super().__init__(content)
        self._chunk_bytes = chunk_bytes

    def read1(self, size=-1):
        return super().read1(self._chunk_bytes)


def heard(content, chunk_bytes=1 << 16, rate_hz=16000, raw=PLAIN):
    return np.concatenate(list(raw_chunks(Slow(content, chunk_bytes), rate_hz, raw)))


@pytest.mark.parametrize("chunk_bytes", [1, 3, 64, 100_000])
def test_raw_samples_of_a_pipe(chunk_bytes):
    found = heard(CODES.astype("<i2").tobytes() + b"x", chunk_bytes)  # ends within a sample
    assert found.dtype == np.int16 and np.array_equal(found, CODES)


@pytest.mark.parametrize("chunk_bytes", [5, 100_000])
def test_the_mean_of_channels_is_heard(chunk_bytes):
    pair = np.stack([CODES, CODES[::-1]], 1)
    mean = audio.to_int16(audio.to_float(pair).mean(1))
    found = heard(pair.astype("<i2").tobytes(), chunk_bytes, raw=Raw(channels=2))
    np.testing.assert_array_equal(found, mean)


def test_another_rate_is_resampled_as_a_file_of_it():
    tone = np.rint(9000 * np.sin(np.arange(44100) / 9)).astype(np.int16)
    whole = audio.to_int16(soxr.resample(audio.to_float(tone), 44100, 16000))
    found = heard(tone.astype("<i2").tobytes(), 1000, raw=Raw(44100))
    assert abs(len(found) - len(whole)) <= 1
    length = min(len(found), len(whole))
    assert np.abs(found[:length].astype(int) - whole[:length])[400:-400].max() <= 8


WRITTEN = [
    ("WAV", {}),
    ("WAV", {"endian": "BIG"}),
    ("AIFF", {}),
    ("FLAC", {}),
    ("OGG", {}),
    ("CAF", {}),
    ("AU", {}),
    ("AU", {"endian": "LITTLE"}),
    ("W64", {}),
    ("RF64", {}),
    ("NIST", {}),
    ("VOC", {"subtype": "PCM_16"}),
    ("IRCAM", {}),
    ("AVR", {}),
    ("MP3", {}),
]


@pytest.mark.parametrize(("kind", "how"), WRITTEN, ids=str)
@pytest.mark.parametrize("chunk_bytes", [2, 1 << 16])
def test_a_container_is_never_taken_for_samples(kind, how, chunk_bytes):
    if kind == "MP3" and chunk_bytes == 2:
        pytest.skip("is told from two whole frames")
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.sin(np.arange(16000) / 9), 16000, format=kind, **how)
    with pytest.raises(BadInput, match="holds an audio file .*pipe raw samples"):
        heard(file.getvalue(), chunk_bytes)


def test_samples_are_not_taken_for_a_container():
    rng = np.random.default_rng(1)
    for _ in range(2000):
        content = rng.integers(-2000, 2000, 3000, dtype=np.int16)
        content[:2] = -1025  # the bytes of an MPEG header's beginning
        assert container(content.astype("<i2").tobytes()) == ""


def test_nothing_is_refused_by_name():
    with pytest.raises(BadInput, match="the microphone holds no samples"):
        list(raw_chunks(io.BytesIO(b""), 16000, name="the microphone"))


def test_what_arrives_while_nobody_reads_is_kept():
    """Far more than a pipe takes: whoever writes is never kept waiting."""
    read, write = os.pipe()
    kept = Kept(os.fdopen(read, "rb"))
    content = np.random.default_rng(2).integers(-99, 99, 500_000, dtype=np.int16).tobytes()
    writer = threading.Thread(target=lambda: [os.write(write, content), os.close(write)])
    writer.start()
    writer.join(timeout=10)
    assert not writer.is_alive()
    first = kept.first(1.0)
    assert first and content.startswith(first)
    found = np.concatenate(list(raw_chunks(kept, 16000)))
    assert found.tobytes() == content
    assert kept.read1() == b"" == kept.read1()


def test_a_silent_pipe_does_not_hold_up():
    read, write = os.pipe()
    kept = Kept(os.fdopen(read, "rb"))
    assert kept.first(0.01) is None
    os.write(write, b"ab")
    os.close(write)
    assert kept.read1() == b"ab" and kept.first(1.0) == kept.read1() == b""


WAITS = """
import sys, threading
from aqtaudio.data.kept import Kept
kept = Kept(sys.stdin.buffer)
print(len(kept.read1()), flush=True)
"""


def test_a_process_ends_while_its_pipe_is_open():
    """In order, and in silence: somebody waits for what will never come."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(b"abcd")
    process.stdin.flush()
    assert process.wait(timeout=20) == 0
    assert process.stdout.read() == b"4\n" and process.stderr.read() == b""
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
