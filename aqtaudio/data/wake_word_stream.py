"""The long stream of Picovoice's wake word benchmark, made piece by piece in constant memory.

github.com/Picovoice/wake-word-benchmark (README, mixer.py): recordings of one word in random order,
speech or as long a silence between them, noise under everything. Its draws are made in its order by
the generator that it uses, so the same folders and its seed give its stream. Two things differ:
utterances that say the word are left out whatever their case (its own test never meets the capitals
of LibriSpeech), and files without a sound stay silent.
"""

import bisect
import dataclasses
import functools
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from aqtaudio.data import audio
from aqtaudio.data.labels import says, spoken
from aqtaudio.errors import BadInput

RATE_HZ = 16000
SEED = 778
SNR_DB = 10.0
FRAME_SAMPLES = 512
"""Of the energies that the signal-to-noise ratio is of."""
SPEECH_PROBABILITY = 0.2
AUDIO = {".flac", ".wav", ".ogg", ".mp3", ".opus"}


@dataclasses.dataclass(frozen=True)
class Part:
    """A recording in a stream, or a silence of its length.

    Attributes:
      file: None of a silence.
      start: first sample in the stream.
      samples: its length.
      is_word: whether the word is said in it.
    """

    file: Path | None
    start: int
    samples: int
    is_word: bool = False

    @property
    def end(self) -> int:
        """The sample after its last one."""
        return self.start + self.samples


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is where in a stream.

    Attributes:
      parts: words, speech and silences, without a gap.
      noise: what runs under them, without a gap, at least as long.
      unreadable: recordings of the word that could not be read, and are left out.
    """

    parts: tuple[Part, ...]
    noise: tuple[Part, ...]
    unreadable: int = 0

    @property
    def samples(self) -> int:
        """Length of the stream."""
        return self.parts[-1].end

    @property
    def hours(self) -> float:
        """Duration."""
        return self.samples / RATE_HZ / 3600

    @property
    def words(self) -> list[Part]:
        """Where the word is said."""
        return [part for part in self.parts if part.is_word]

    def fingerprint(self) -> str:
        """12 hex digits that tell the stream: which files, how long, where."""
        digest = hashlib.sha256()
        for part in (*self.parts, *self.noise):
            digest.update(f"{part.file}\t{part.start}\t{part.samples}\t{part.is_word}\n".encode())
        return digest.hexdigest()[:12]


def word_folders(folder: Path, words: Sequence[str]) -> dict[str, Path]:
    """The folder of each word's recordings: one named like it in `folder`, or `folder` itself where
    it is named like the word, or holds the recordings of a run's only word.

    Raises BadInput where there is none.
    """
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}; allowed: recordings of a word, or a folder per word")
    named = {spoken(path.name): path for path in sorted(folder.iterdir()) if path.is_dir()}
    found = {word: named[spoken(word)] for word in words if spoken(word) in named}
    if not found:
        own = [word for word in words if spoken(word) == spoken(folder.resolve().name)]
        if not own and len(words) == 1 and audio_files(folder):
            own = list(words)
        found = {word: folder for word in own}
    if not found:
        raise BadInput(f"{folder} has no folder of a word; allowed: {', '.join(words)}")
    return found


def plan(word: str, clips: Path, background: Path, noise: Path, hours: float, seed: int) -> Plan:
    """The stream of a word.

    Args:
      word: what background utterances must not say.
      clips: folder of recordings of the word.
      background: a LibriSpeech tree: FLAC files beside *.trans.txt.
      noise: a DEMAND tree: a ch01.wav per environment.
      hours: of speech and silence, at least; a little more comes out.
      seed: of the three generators: of orders, of utterances, of noises.

    Raises:
      BadInput: a folder without such files, or a file that is not at 16 kHz with one channel.
    """
    words, unreadable = _readable(audio_files(clips))
    if not words:
        raise BadInput(f"{clips} has no recordings of {word!r} that can be read")
    utterances, noises = utterances_without(word, background), sorted(noise.rglob("ch01.wav"))
    if not noises:
        raise BadInput(f"{noise} has no */ch01.wav; needed: DEMAND at 16 kHz")
    orders, draws = np.random.RandomState(seed), np.random.RandomState(seed)
    gap = int(hours * 3600 * RATE_HZ) // (len(words) + 1)
    if gap < 1:
        raise BadInput(f"--hours {hours:g} is too short for {len(words)} recordings of {word!r}")
    parts: list[Part] = []

    def append(file: Path, is_word: bool, is_silent: bool = False) -> int:
        start, count = parts[-1].end if parts else 0, length(file)
        parts.append(Part(None if is_silent else file, start, count, is_word))
        return count

    def fill() -> None:
        left = gap
        while left > 0:
            file = utterances[draws.randint(low=0, high=len(utterances))]
            left -= append(file, False, not orders.uniform() < SPEECH_PROBABILITY)

    order = orders.permutation(np.arange(len(words)))
    fill()
    for number in order:
        append(words[number], True)
        fill()
    return Plan(tuple(parts), _noise(noises, parts[-1].end, seed), unreadable)


def utterances_without(word: str, folder: Path) -> list[Path]:
    """FLAC files of a LibriSpeech tree in the order of their paths, but those that say the word."""
    found = []
    for transcript in folder.rglob("*.trans.txt"):
        for line in transcript.read_text(encoding="utf-8").splitlines():
            name, _, text = line.partition(" ")
            if name and not says(text, word):
                found.append(transcript.parent / f"{name}.flac")
    if not found:
        raise BadInput(f"{folder} has no *.trans.txt of utterances; needed: a LibriSpeech tree")
    return sorted(found, key=str)


def mixed(plan: Plan, first: int, last: int) -> np.ndarray:
    """Samples of the stream from `first` to before `last`, float32, before the final scale.

    Every file is scaled to a peak of 1, and then every part to `SNR_DB` over the noise under it:
    the largest energies of frames of 512 samples are compared.
    """
    result = _under(plan.noise, first, last)
    starts = [part.start for part in plan.parts]
    index = max(0, bisect.bisect_right(starts, first) - 1)
    for part in plan.parts[index:]:
        if part.start >= last:
            break
        if part.file is None or part.end <= first:
            continue
        speech = _loudest_at_one(part.file)
        noise = _under(plan.noise, part.start, part.end)
        speech = speech * _scale(speech, noise)
        low, high = max(first, part.start), min(last, part.end)
        result[low - first : high - first] += speech[low - part.start : high - part.start]
    return result


def audio_files(folder: Path) -> list[Path]:
    """Audio files by their ending, in the order of their paths; not those of folders in it."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in AUDIO and path.is_file())
    return sorted(found, key=str)


@functools.cache
def length(file: Path) -> int:
    """Samples of a file. BadInput where it is not audio at 16 kHz with one channel."""
    try:
        info = soundfile.info(os.fsencode(file))
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise BadInput(
            f"{file} is not audio that libsndfile reads: {audio.reason(error)}"
        ) from error
    if info.samplerate != RATE_HZ or info.channels != 1 or not info.frames:
        raise BadInput(
            f"{file}: {info.samplerate} Hz, {info.channels} channels, {info.frames} samples; "
            f"allowed: {RATE_HZ} Hz, one channel, not empty"
        )
    return info.frames


def _readable(files: Sequence[Path]) -> tuple[list[Path], int]:
    """Those that can be decoded, and how many cannot."""
    good = []
    for file in files:
        try:
            length(file)
            audio.load(file, RATE_HZ)
        except BadInput:
            continue
        good.append(file)
    return good, len(files) - len(good)


def _noise(noises: Sequence[Path], samples: int, seed: int) -> tuple[Part, ...]:
    draws, found, place = np.random.RandomState(seed), [], 0
    while place < samples:
        file = noises[draws.randint(low=0, high=len(noises))]
        found.append(Part(file, place, length(file)))
        place = found[-1].end
    return tuple(found)


def _under(noise: Sequence[Part], first: int, last: int) -> np.ndarray:
    """The noise from `first` to before `last`, float32."""
    result = np.zeros(last - first, np.float32)
    for part in noise:
        low, high = max(first, part.start), min(last, part.end)
        if low < high and part.file is not None:
            with soundfile.SoundFile(os.fsencode(part.file)) as file:
                file.seek(low - part.start)
                piece = file.read(high - low, dtype="float32")
            result[low - first : high - first] = piece * _to_one(part.file)
    return result


@functools.cache
def _to_one(file: Path) -> float:
    """What scales a file to a peak of 1."""
    peak = 0.0
    with soundfile.SoundFile(os.fsencode(file)) as opened:
        for block in opened.blocks(blocksize=1 << 20, dtype="float32"):
            peak = max(peak, float(np.abs(block).max()))
    return 1 / peak if peak else 0.0


def _loudest_at_one(file: Path) -> np.ndarray:
    samples = audio.load(file, RATE_HZ)
    peak = float(np.abs(samples).max())
    return samples / peak if peak else samples


def _scale(speech: np.ndarray, noise: np.ndarray) -> float:
    energy = _energy(speech)
    return float(np.sqrt(_energy(noise) * 10 ** (SNR_DB / 10) / energy)) if energy else 0.0


def _energy(samples: np.ndarray) -> float:
    """The largest of a whole frame; of all samples, where they are fewer than a frame."""
    size = min(FRAME_SAMPLES, len(samples))
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    return float(np.square(frames).sum(axis=1).max())
