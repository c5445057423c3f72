"""Google Speech Commands v1 and v2 (P. Warden, arXiv:1804.03209) as a manifest folder."""

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from aqtaudio.data import audio, crops, import_tree, manifest
from aqtaudio.data.counted import Say, silent
from aqtaudio.data.import_tree import LeftOut, Listed
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
READY = ("_unknown_", "_silence_")
"""Folders of the official test archive: a list that is made already."""
_SPEAKER = re.compile(r"(?:.*_)?([0-9a-f]{8})_nohash_\d+(\.\w+)+", re.IGNORECASE)
_NO_SPEAKER = "its name is not SPEAKER_nohash_NUMBER.wav (`data import folders` takes any name)"


def split_of(speaker: str) -> str:
    """The official split of a speaker: SHA-1 of the eight hex digits before `_nohash_`."""
    buckets = 2**27
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % buckets
    percent = number * 100.0 / (buckets - 1)
    return "val" if percent < 10 else "test" if percent < 20 else "train"


def import_speech_commands(
    source: Path,
    out: Path,
    link: bool = False,
    twelve_labels: bool = False,
    seed: int = 0,
    say: Say = silent,
) -> Path:
    """Makes a manifest folder of an unpacked Speech Commands tree.

    All words keep their label: which of them are unknown is for a run's keyword list to say. The
    background recordings become `noise:*`, each cut into a training, validation and test part.
    Words may lie below `training/`, `validation/` and `testing/`, which are then their splits, and
    clips in folders below their word's. The official test archive's `_unknown_` and `_silence_`
    keep these labels. What is not imported is in left_out.tsv, with the reason.

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
      say: told how far it is, where that takes long.

    Returns:
      out.

    Raises:
      BadInput: the source is not such a tree, or `out` is there already.
    """
    source, out = Path(source), Path(out)
    listed, noises, left = _found(source)
    with new_folder(out) as folder:
        noise, more = _cut_noise(source, noises, folder, whole=twelve_labels)
        left += more
        made: list[Recording] = []
        if twelve_labels:
            listed, made = _protocol(listed, folder, seed)
        recordings, more = import_tree.placed(source, folder, listed, link, say)
        left += more
        if not recordings:
            raise BadInput(f"{source}: none of its {len(listed)} clips can be read")
        manifest.write(folder, [*recordings, *made, *noise])
        import_tree.write_left_out(folder, left)
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


def _found(source: Path) -> tuple[list[Listed], list[str], list[LeftOut]]:
    """Clips, paths of background recordings, and what is neither."""
    if not source.is_dir():
        raise BadInput(f"no folder {source}; allowed: an unpacked Speech Commands archive")
    files, left = import_tree.walk(source)
    noises, clips = [], []
    for path in files:
        if reason := import_tree.why_not_audio(source, path):
            left.append(LeftOut(path, reason))
        elif NOISE_FOLDER in PurePosixPath(path).parts[:-1]:
            noises.append(path)
        else:
            clips.append(path)
    listed = []
    splits = {split_of(_speaker(path)) for path in clips if _speaker(path)}
    for path in clips:
        split, within = import_tree.split_folder(path)
        word, slash, _ = within.partition("/")
        speaker = _speaker(path)
        if not slash:
            left.append(LeftOut(path, "in no word's folder"))
        elif not speaker and word != "_silence_":
            left.append(LeftOut(path, _NO_SPEAKER))
        else:
            # Of a list that is made already all clips are of one split; silence has no speaker.
            by_hash = split_of(speaker or path) if speaker or len(splits) != 1 else min(splits)
            listed.append(Listed(path, word, split or by_hash, SOURCE, LICENCE, speaker or "-"))
    if not listed:
        raise BadInput(f"{source} has no word folders with WAV files; allowed: Speech Commands")
    return listed, noises, left


def _speaker(path: str) -> str:
    """Eight hex digits of a clip's name; empty where it has none."""
    name = _SPEAKER.fullmatch(PurePosixPath(path).name)
    return name[1].lower() if name else ""


def _cut_noise(
    source: Path, paths: Sequence[str], folder: Path, whole: bool
) -> tuple[list[Recording], list[LeftOut]]:
    recordings: list[Recording] = []
    left: list[LeftOut] = []
    taken: set[str] = set()
    for path in paths:
        file = source / path
        try:
            frames, rate_hz = import_tree.length(file)
            samples = audio.load_int16(file, rate_hz) if frames else np.zeros(0, np.int16)
        except BadInput:
            left.append(LeftOut(path, "damaged" if file.stat().st_size else "empty"))
            continue
        if len(samples) < import_tree.LEAST_S * rate_hz:
            tiny = f"shorter than {1000 * import_tree.LEAST_S:g} ms"
            left.append(LeftOut(path, tiny if len(samples) else "empty"))
            continue
        given, _ = import_tree.split_folder(path)
        parts = _parts(samples, rate_hz, given, whole)
        name = _new_name(Path(path).stem, parts, taken)
        for split, part in parts.items():
            kept = f"{NOISE_FOLDER}/{split}/{name}.flac"
            recordings.append(_write(folder, kept, f"noise:{name}", split, part, rate_hz))
    return recordings, left


def _parts(
    samples: np.ndarray, rate_hz: int, split: str | None, whole: bool
) -> dict[str, np.ndarray]:
    """A background recording by split: cut, where it is long enough and has none of its own."""
    val, test = (
        round(len(samples) * share)
        for share in (1 - NOISE_VAL_SHARE - NOISE_TEST_SHARE, 1 - NOISE_TEST_SHARE)
    )
    if split or whole or len(samples) - test < import_tree.LEAST_S * rate_hz:
        return {split or "train": samples}
    return {"train": samples[:val], "val": samples[val:test], "test": samples[test:]}


def _new_name(stem: str, splits: Iterable[str], taken: set[str]) -> str:
    """The stem, with a number where another file of a split has it, whatever its case."""
    name, number = stem, 1
    while taken & {f"{split}/{name.lower()}" for split in splits}:
        number += 1
        name = f"{stem}_{number}"
    taken |= {f"{split}/{name.lower()}" for split in splits}
    return name


def _protocol(
    listed: Sequence[Listed], folder: Path, seed: int
) -> tuple[list[Listed], list[Recording]]:
    """The clips of the protocol, and the silence that is made; a list that is there is kept."""
    kept = [each for each in listed if each.split == "train"]
    made = []
    for split in ("val", "test"):
        of_split = [each for each in listed if each.split == split]
        wanted = [each for each in of_split if each.label in WANTED]
        ready = [each for each in of_split if each.label in READY]
        kept += [*wanted, *ready]
        if ready:
            continue
        others = {each.path: each for each in of_split if each.label not in WANTED}
        unknown = [others[path] for path in protocol_choice(others, len(wanted), seed)]
        kept += [dataclasses.replace(each, label="_unknown_") for each in unknown]
        for number in range(_share(len(wanted))):
            path = f"_silence_/{split}/{number}.flac"
            silence = np.zeros(16000, np.int16)
            made.append(_write(folder, path, "_silence_", split, silence, 16000))
    return kept, made


def _write(
    folder: Path, path: str, label: str, split: str, samples: np.ndarray, rate_hz: int
) -> Recording:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    audio.write(folder / path, samples, rate_hz)
    seconds = len(samples) / rate_hz
    return Recording(path, label, "-", split, SOURCE, LICENCE, seconds, rate_hz)
