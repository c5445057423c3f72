"""Hours of sound without keywords, as an encoder of phones puts them out.

Thresholds of keywords that nobody recorded are found on it. It is kept beside the encoder as codes,
and in the cache for folders that a user names, so that enrolling takes seconds.
"""

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.adaptation.text_encoder import TextEncoder
from aqtaudio.data.cache_folder import default_folder
from aqtaudio.data.labels import says
from aqtaudio.data.manifest import fingerprint
from aqtaudio.data.manifest import read as read_manifest
from aqtaudio.errors import BadInput
from aqtaudio.files import write_arrays
from aqtaudio.program.execute import Executor
from aqtaudio.runs.network import blocks_of
from aqtaudio.tasks.keywords.negatives import WORDS, hear, negatives
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.stream import Stream

NAME = "negatives.npz"
HOURS = 3.0
WINDOW_FRAMES, BEFORE_FRAMES, WINDOWS = 1500, 250, 32
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, eq=False)
class NegativeCodes:
    """Streams of recordings, one per kind.

    Attributes:
      kinds: of each stream, one of `negatives.RUNNING`.
      codes: int8 [N, C] of each, a row per frame.
      ends_s: [R] of each: where its recordings end.
      texts: of each, what is said in each recording as far as that is known.
    """

    kinds: tuple[str, ...]
    codes: tuple[np.ndarray, ...]
    ends_s: tuple[np.ndarray, ...]
    texts: tuple[tuple[str, ...], ...]

    @property
    def hours(self) -> float:
        """Of all."""
        return sum(float(ends[-1]) for ends in self.ends_s) / 3600

    def said(self, stream: int, words: Sequence[str]) -> tuple[frozenset[str], ...]:
        """Which of the words each recording of a stream holds."""
        return tuple(frozenset(w for w in words if says(t, w)) for t in self.texts[stream])

    def half(self, which: int) -> "NegativeCodes":
        """Every other recording: of each stream those with even numbers (0) or odd ones (1)."""
        streams = []
        for number, codes in enumerate(self.codes):
            ends = self.ends(number)
            kept = range(which, len(ends), 2)
            if not kept:
                continue
            parts = [codes[ends[one - 1] if one else 0 : ends[one]] for one in kept]
            rate = len(codes) / self.ends_s[number][-1]
            ends_s = np.cumsum([len(part) for part in parts]) / rate
            texts = tuple(self.texts[number][one] for one in kept)
            streams.append((self.kinds[number], np.concatenate(parts), ends_s, texts))
        return NegativeCodes(*zip(*streams, strict=True)) if streams else self

    def ends(self, stream: int) -> np.ndarray:
        """Where its recordings end: numbers of frames, int [R]."""
        ends_s = self.ends_s[stream]
        return np.rint(ends_s * len(self.codes[stream]) / ends_s[-1]).astype(int)

    def write(self, file: Path) -> None:
        """Writes it."""
        arrays = {"kinds": np.asarray(self.kinds)}
        for n, (codes, ends_s, texts) in enumerate(
            zip(self.codes, self.ends_s, self.texts, strict=True)
        ):
            arrays |= {f"codes/{n}": codes, f"ends_s/{n}": ends_s, f"texts/{n}": np.asarray(texts)}
        write_arrays(file, arrays)


def read(file: Path) -> NegativeCodes:
    """Reads what `write` wrote. Raises BadInput for another file."""
    try:
        with np.load(file, allow_pickle=False) as kept:
            kinds = tuple(str(kind) for kind in kept["kinds"])
            each = range(len(kinds))
            return NegativeCodes(
                kinds,
                tuple(kept[f"codes/{n}"] for n in each),
                tuple(kept[f"ends_s/{n}"] for n in each),
                tuple(tuple(str(text) for text in kept[f"texts/{n}"]) for n in each),
            )
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{file} holds no codes of negatives ({error})") from None


def encoded(encoder: TextEncoder, folders: Sequence[Path], hours: float, say: Say) -> NegativeCodes:
    """Of manifest folders: split "val", then others up to `hours`; kept in the cache."""
    told = hashlib.sha256(f"{hours}\n{[fingerprint(folder) for folder in folders]}\n".encode())
    told.update(encoder.fingerprint)
    for folder in folders:
        told.update(f"{_written_ns(folder)}".encode())  # of files of the same size
    file = default_folder() / "negatives" / f"{told.hexdigest()[:24]}.npz"
    if file.exists():
        return read(file)
    found = [one for one in negatives(folders, (), (), "val", hours) if one.kind != WORDS]
    if not found:
        raise BadInput("--negatives: no speech, noise or music there; needed: some, by the hour")
    setup, executor = encoder.experiment.setup, Executor(encoder.program)
    rate_hz, streams = setup.frontend.sample_rate_hz, []
    for kind in dict.fromkeys(one.kind for one in found):
        some = [dataclasses.replace(one, trained=False) for one in found if one.kind == kind]
        stream = Stream(_Encoding(executor, setup), setup)
        (it,) = hear(functools.partial(contextlib.nullcontext, stream), some, rate_hz, say)
        if not len(it.logits):
            raise BadInput(f"--negatives: all {kind} is shorter than a block of the encoder hears")
        codes = it.logits.reshape(len(it.logits), -1).astype(np.int8)
        streams.append((kind, codes, it.ends_s, tuple(one.recording.text for one in some)))
    kept = NegativeCodes(*zip(*streams, strict=True))
    file.parent.mkdir(parents=True, exist_ok=True)
    kept.write(file)
    return kept


def _written_ns(folder: Path) -> list[int]:
    """When each recording of a folder was written last; 0 where it is not there."""
    files = [row.file for row in read_manifest(folder)]
    return [file.stat().st_mtime_ns if file.is_file() else 0 for file in files]


def in_windows(codes: np.ndarray, run: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What `run` puts out for the frames of a stream [N, C], [N, ...]: windows of it side by side.

    Args:
      codes: of the stream.
      run: from windows [n, T, C], n and T always the same, to [n, T, ...]; it remembers fewer than
        `BEFORE_FRAMES` frames.
    """
    count = -(-len(codes) // WINDOW_FRAMES)
    count += -count % WINDOWS
    # Not by zeros: to paths a frame in which all labels are alike is a frame of each of them.
    missing = count * WINDOW_FRAMES - len(codes)
    padded = np.pad(codes, ((BEFORE_FRAMES, missing), (0, 0)), mode="edge")
    total = BEFORE_FRAMES + WINDOW_FRAMES
    windows = np.lib.stride_tricks.sliding_window_view(padded, total, 0)[::WINDOW_FRAMES]
    windows = np.moveaxis(windows, 2, 1)
    found = [
        run(windows[first : first + WINDOWS])[:, BEFORE_FRAMES:]
        for first in range(0, count, WINDOWS)
    ]
    found = np.concatenate(found)
    return found.reshape(-1, *found.shape[2:])[: len(codes)]


def codes_of_clips(executor: Executor, features: np.ndarray, setup: Setup) -> np.ndarray:
    """Codes [n, blocks, C] of clips' features [n, T, F], each from silence."""
    blocks = blocks_of(features, setup.block_frames)
    given = executor.quantize(blocks.reshape(-1, *blocks.shape[2:]))
    codes, _ = executor.blocks(given.reshape(*blocks.shape[:2], *given.shape[1:]))
    return codes.reshape(*blocks.shape[:2], -1).astype(np.int8)


class _Encoding:
    """Codes of an encoder over one endless stream, as a `tasks.task.Network`."""

    def __init__(self, executor: Executor, setup: Setup):
        self._executor, self._setup = executor, setup
        self._state: Any = None

    def whole(self, features: np.ndarray, at_once: int = 128) -> np.ndarray:
        """Codes [n, blocks, C] of clips [n, T, F]."""
        return codes_of_clips(self._executor, features, self._setup)

    def endless(self, blocks: np.ndarray) -> np.ndarray:
        """Codes [n, ...] of consecutive blocks [n, t, F]."""
        given = self._executor.quantize(blocks)[None]
        codes, self._state = self._executor.blocks(given, self._state)
        return np.asarray(codes[0])
