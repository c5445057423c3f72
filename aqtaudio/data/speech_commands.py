"""Google Speech Commands v1 and v2 (P. Warden, arXiv:1804.03209) as a manifest folder."""

import dataclasses
import hashlib
import math
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from aqtaudio.data import audio, crops, import_tree, manifest
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput
from aqtaudio.files import new_folder

WANTED = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
SOURCE = "Google Speech Commands (P. Warden)"
LICENCE = "CC BY 4.0"
NOISE_FOLDER = "_background_noise_"
# Of each background recording, which comes without a split: the rest is for training.
NOISE_VAL_SHARE = NOISE_TEST_SHARE = 0.1
PROTOCOL_SHARE = 0.1
_CLIP = re.compile(r"([0-9a-f]{8})_nohash_\d+\.wav")


def split_of(speaker: str) -> str:
    """The official split of a speaker: SHA-1 of the eight hex digits before `_nohash_`."""
    buckets = 2**27
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % buckets
    percent = number * 100.0 / (buckets - 1)
    return "val" if percent < 10 else "test" if percent < 20 else "train"


def import_speech_commands(
    source: Path, out: Path, link: bool = False, twelve_labels: bool = False, seed: int = 0
) -> Path:
    """Makes a manifest folder of an unpacked Speech Commands tree.

    All words keep their label: which of them are unknown is for a run's keyword list to say. The
    background recordings become `noise:*`, each cut into a training, validation and test part.

    With `twelve_labels`, `val` and `test` are the lists of the 12-label protocol instead (V2: 4890
    test clips): the clips of the ten `WANTED` words, and for each ten of them one `_unknown_` and
    one `_silence_`. Which unknown clips those are is decided by the hash of their names, not by
    the order of files, as in the reference code, where it differs between machines. Silence is
    all-zero audio there: report accuracies per class. Training keeps all words and all noise.

    Args:
      source: folder with one folder per word.
      out: the folder to make.
      link: hard links instead of copies.
      twelve_labels: as above.
      seed: of the choice of unknown clips.

    Returns:
      out.

    Raises:
      BadInput: the source is not such a tree, or `out` is there already.
    """
    source, out = Path(source), Path(out)
    recordings = _clips(source)
    with new_folder(out) as folder:
        noise = _cut_noise(source / NOISE_FOLDER, folder, whole=twelve_labels)
        if twelve_labels:
            recordings = _protocol(recordings, folder, seed)
        for recording in recordings:
            if recording.label != "_silence_":
                import_tree.place(source / recording.path, folder / recording.path, link)
        manifest.write(folder, [*recordings, *noise])
    return out


def protocol_choice(paths: Iterable[str], wanted: int, seed: int = 0) -> list[str]:
    """The unknown clips of a split of the 12-label protocol.

    Args:
      paths: of all clips of other words in the split, in any order.
      wanted: how many clips of wanted words the split has.
      seed: of the choice.

    Returns:
      A tenth of `wanted` paths, rounded up, in hash order.
    """
    return sorted(paths, key=lambda path: crops.hash_order(seed, path))[: _share(wanted)]


def _share(wanted: int) -> int:
    return math.ceil(PROTOCOL_SHARE * wanted)


def _clips(source: Path) -> list[Recording]:
    if not source.is_dir():
        raise BadInput(f"no folder {source}; allowed: an unpacked Speech Commands archive")
    words = [
        folder
        for folder in sorted(source.iterdir())
        if folder.is_dir() and not folder.name.startswith(("_", "."))
    ]
    files = [file for word in words for file in sorted(word.glob("*.wav"))]
    if not files:
        raise BadInput(f"{source} has no word folders with WAV files; allowed: Speech Commands")
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        return list(threads.map(_clip, files))


def _clip(file: Path) -> Recording:
    name = _CLIP.fullmatch(file.name)
    if name is None:
        raise BadInput(f"{file}: allowed names: eight hex digits, _nohash_, a number, .wav")
    word, speaker = file.parent.name, name[1]
    path = f"{word}/{file.name}"
    samples, rate_hz = import_tree.length(file)
    split = split_of(speaker)
    return Recording(path, word, speaker, split, SOURCE, LICENCE, samples / rate_hz, rate_hz)


def _cut_noise(source: Path, folder: Path, whole: bool) -> list[Recording]:
    recordings = []
    for file in sorted(source.glob("*.wav")):
        _, rate_hz = import_tree.length(file)
        samples = audio.load_int16(file, rate_hz)
        val, test = (
            round(len(samples) * share)
            for share in (1 - NOISE_VAL_SHARE - NOISE_TEST_SHARE, 1 - NOISE_TEST_SHARE)
        )
        parts = {"train": samples[:val], "val": samples[val:test], "test": samples[test:]}
        for split, part in ({"train": samples} if whole else parts).items():
            path = f"{NOISE_FOLDER}/{split}/{file.stem}.flac"
            label = f"noise:{file.stem}"
            recordings.append(_write(folder, path, label, split, part, rate_hz))
    return recordings


def _protocol(recordings: Sequence[Recording], folder: Path, seed: int) -> list[Recording]:
    kept = [recording for recording in recordings if recording.split == "train"]
    for split in ("val", "test"):
        of_split = [recording for recording in recordings if recording.split == split]
        wanted = [recording for recording in of_split if recording.label in WANTED]
        others = {row.path: row for row in of_split if row.label not in WANTED}
        unknown = [others[path] for path in protocol_choice(others, len(wanted), seed)]
        kept += wanted
        kept += [dataclasses.replace(recording, label="_unknown_") for recording in unknown]
        for number in range(_share(len(wanted))):
            path = f"_silence_/{split}/{number}.flac"
            silence = np.zeros(16000, np.int16)
            kept.append(_write(folder, path, "_silence_", split, silence, 16000))
    return kept


def _write(
    folder: Path, path: str, label: str, split: str, samples: np.ndarray, rate_hz: int
) -> Recording:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / path, samples, rate_hz)
    seconds = len(samples) / rate_hz
    return Recording(path, label, "-", split, SOURCE, LICENCE, seconds, rate_hz)
