"""Is a manifest folder fit to train on? Every problem found, not only the first."""

import collections
import dataclasses
import hashlib
import math
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from aqtaudio.data import audio, device_dump, manifest, sidecars
from aqtaudio.data.counted import Say, side_by_side, silent
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput

ERROR = "error"
WARNING = "warning"
SECONDS_TOLERANCE = 0.01
CLIPPED_RUN = 4  # samples at full scale, one after the other
SILENT_PEAK = 2.0**-12
CANCELLED = OFFSET = 0.1
"""RMS of the channels' mean over theirs, and of the sound over its constant part."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong with a recording or, with an empty path, with the folder.

    Attributes:
      kind: missing, unreadable, empty, nan, rate, duration, clipped, silent, dc, cancels,
        duplicate-path, duplicate-audio, two-labels, label, speaker, list or fold.
      path: of the recording.
      message: what is wrong, in one line.
      severity: "error" (figures would be wrong) or "warning".
    """

    kind: str
    path: str
    message: str
    severity: str


def check(folder: Path, deep: bool = True, say: Say = silent) -> list[Problem]:
    """Compares a folder with its manifest.

    Args:
      folder: with a manifest.
      deep: also reads every sample, not only the files' headers.
      say: told how far it is, where that takes long.

    Returns:
      Problems in the order of the manifest, those of the whole folder last.

    Raises:
      BadInput: the manifest cannot be read.
    """
    folder = Path(folder)
    recordings = manifest.read(folder)

    def examine(recording: Recording) -> tuple[list[Problem], str]:
        return _examine(folder, recording, deep)

    with side_by_side(examine, recordings, say) as found:
        examined = list(found)
    problems = [problem for found, _ in examined for problem in found]
    problems += _duplicate_paths(recordings)
    problems += _duplicate_audio(recordings, [content for _, content in examined])
    problems += _labels(recordings)
    problems += _speakers(recordings)
    problems += _lists(folder, recordings)
    return problems


def _examine(folder: Path, recording: Recording, deep: bool) -> tuple[list[Problem], str]:
    """The problems of one recording, and a digest of its samples (empty: none to compare)."""
    try:
        return _examined(folder, recording, deep)
    except Exception as refused:  # noqa: BLE001 - no file ends the check of the others
        reason = " ".join(str(refused).split()) or type(refused).__name__
        return [Problem("unreadable", recording.path, reason, ERROR)], ""


def _examined(folder: Path, recording: Recording, deep: bool) -> tuple[list[Problem], str]:
    path = recording.path

    def error(kind: str, message: str) -> Problem:
        return Problem(kind, path, message, ERROR)

    if not (folder / path).is_file():
        return [error("missing", "no such file")], ""
    if Path(path).suffix == device_dump.SUFFIX:
        return _examine_features(folder, recording)
    try:
        with soundfile.SoundFile(os.fsencode(folder / path)) as file:
            if file.frames >= audio.NO_LENGTH:
                return [error("unreadable", audio.NO_LENGTH_TOLD)], ""
            problems = list(_header_problems(file, recording))
            wanted = file.frames if deep else 0  # told, as GSM wants it
            samples = file.read(wanted, dtype="float32", always_2d=True) if wanted else None
    except (soundfile.SoundFileError, OSError, TypeError) as refused:
        return [error("unreadable", " ".join(str(refused).split()))], ""
    if samples is None:
        return problems, ""
    if not np.isfinite(samples).all():
        return [*problems, error("nan", "samples that are NaN or infinite")], ""
    problems += _sample_problems(samples, recording)
    return problems, _digest(samples)


def _digest(samples: np.ndarray) -> str:
    """Tells a sound, whatever its container and channels; empty for silence.

    Of 16-bit codes of the mean of the channels that hold something, zeros around them left out.
    """
    if samples.shape[1] == 1:
        mono = samples[:, 0]
    else:
        heard = samples[:, samples.any(axis=0)]
        mono = heard.mean(axis=1) if heard.shape[1] else samples[:, 0]
    codes = audio.to_int16(mono)
    places = np.flatnonzero(codes)
    if not len(places):
        return ""
    return hashlib.sha1(codes[places[0] : places[-1] + 1].tobytes()).hexdigest()


def _header_problems(file: soundfile.SoundFile, recording: Recording) -> Iterator[Problem]:
    path = recording.path
    if not file.frames:
        yield Problem("empty", path, "no samples", ERROR)
        return
    if file.samplerate != recording.sample_rate_hz:
        message = f"{file.samplerate} Hz; the manifest says {recording.sample_rate_hz}"
        yield Problem("rate", path, message, ERROR)
    yield from _duration_problems(file.frames / file.samplerate, recording)


def _duration_problems(seconds: float, recording: Recording) -> Iterator[Problem]:
    if abs(seconds - recording.seconds) > SECONDS_TOLERANCE:
        message = f"{seconds:.3f} s; the manifest says {recording.seconds:.3f}"
        yield Problem("duration", recording.path, message, ERROR)


def _examine_features(folder: Path, recording: Recording) -> tuple[list[Problem], str]:
    """As `_examine`, of features that a device dumped."""
    try:
        features = device_dump.load(folder / recording.path)
    except BadInput as refused:
        return [Problem("unreadable", recording.path, str(refused), ERROR)], ""
    problems = list(_duration_problems(features.size / recording.sample_rate_hz, recording))
    digest = hashlib.sha1(features.tobytes()).hexdigest() if features.any() else ""
    return problems, digest


def _sample_problems(samples: np.ndarray, recording: Recording) -> Iterator[Problem]:
    loudest = np.abs(samples).max()
    if recording.label not in ("_silence_", "silence"):
        yield from _nothing_heard(samples, loudest, recording)
    if loudest >= 1 - 2.0**-15:
        full = (np.abs(samples) >= 1 - 2.0**-15).all(axis=1).astype(int)
        runs = np.convolve(full, np.ones(CLIPPED_RUN, int), "valid") == CLIPPED_RUN
        if runs.any():
            message = f"clipped: {int(full.sum())} samples at full scale"
            yield Problem("clipped", recording.path, message, WARNING)


def _nothing_heard(samples: np.ndarray, loudest: float, recording: Recording) -> Iterator[Problem]:
    """Of samples [N, channels]: what training hears, their mean, holds little or no sound."""
    path = recording.path
    if loudest < SILENT_PEAK:
        message = f"silent: no sample reaches {SILENT_PEAK} of full scale"
        yield Problem("silent", path, message, WARNING)
        return
    mono = samples.mean(axis=1)
    if samples.shape[1] > 1:
        kept, whole = (math.sqrt(np.mean(np.square(x))) for x in (mono, samples))
        if kept < CANCELLED * whole:
            message = (
                f"its channels cancel: their mean, which training hears, is "
                f"{_below_db(kept, whole)} below them; keep one channel"
            )
            gone = np.abs(mono).max() < SILENT_PEAK
            yield Problem("cancels", path, message, ERROR if gone else WARNING)
            return
    offset = float(mono.mean())
    rest = math.sqrt(max(0.0, float(np.mean(np.square(mono))) - offset**2))
    if abs(offset) >= SILENT_PEAK and rest < OFFSET * abs(offset):
        message = f"a constant {offset:.3g} and sound {_below_db(rest, abs(offset))} below it (DC)"
        yield Problem("dc", path, message, WARNING)


def _below_db(part: float, whole: float) -> str:
    return f"{-20 * math.log10(part / whole):.0f} dB" if part > 1e-6 * whole else "infinitely far"


def _duplicate_paths(recordings: Sequence[Recording]) -> list[Problem]:
    counts = collections.Counter(recording.path for recording in recordings)
    return [
        Problem("duplicate-path", path, f"{count} rows in the manifest", ERROR)
        for path, count in counts.items()
        if count > 1
    ]


def _duplicate_audio(recordings: Sequence[Recording], digests: Sequence[str]) -> list[Problem]:
    """The same samples in two splits: what is evaluated was trained on. Or under two labels."""
    first: dict[str, Recording] = {}
    problems = []
    for recording, digest in zip(recordings, digests, strict=True):
        other = first.setdefault(digest, recording)
        if not digest or other is recording:
            continue
        if other.split != recording.split:
            message = f"in {recording.split}, same samples as {other.path} in {other.split}"
            problems.append(Problem("duplicate-audio", recording.path, message, ERROR))
        if _meaning(other.label) != _meaning(recording.label):
            message = (
                f"labelled {recording.label!r}, same samples as {other.path}, which is labelled "
                f"{other.label!r}"
            )
            problems.append(Problem("two-labels", recording.path, message, ERROR))
    return problems


def _meaning(label: str) -> str:
    """Noises are one class, whatever they are called."""
    return "noise:" if label.startswith("noise:") else label


def _labels(recordings: Sequence[Recording]) -> list[Problem]:
    """Labels that differ only in case or blanks, or have blanks around: other words to training."""
    counts = collections.Counter(recording.label for recording in recordings)
    alike: dict[str, list[str]] = collections.defaultdict(list)
    for label in counts:
        text = unicodedata.normalize("NFKC", label).casefold()
        alike["".join(text.split())].append(label)
    problems = []
    for labels in alike.values():
        told = ", ".join(f"{label!r} ({counts[label]:,})" for label in sorted(labels))
        if len(labels) > 1:
            message = f"labels that differ only in case or blanks are other words: {told}"
            problems.append(Problem("label", "", message, ERROR))
        elif labels[0] != labels[0].strip():
            message = f"a label with blanks around it, which no keyword has: {told}"
            problems.append(Problem("label", "", message, ERROR))
    return problems


def _speakers(recordings: Sequence[Recording]) -> list[Problem]:
    splits: dict[str, set[str]] = collections.defaultdict(set)
    for recording in recordings:
        if recording.speaker not in ("", "-"):
            splits[recording.speaker].add(recording.split)
    return [
        Problem("speaker", "", f"speaker {speaker} is in {' and '.join(sorted(found))}", ERROR)
        for speaker, found in splits.items()
        if len(found) > 1
    ]


def _lists(folder: Path, recordings: Sequence[Recording]) -> list[Problem]:
    """What lists beside the manifest say of recordings that are not there, and the reverse."""
    try:
        folds, tags = sidecars.folds(folder), sidecars.tags(folder)
        neighbours = sidecars.neighbours(folder)
    except BadInput as refused:
        return [Problem("list", "", str(refused), ERROR)]
    texts = manifest.sidecar(folder, manifest.TRANSCRIPTS)
    paths, problems = [recording.path for recording in recordings], []
    for name, told in (
        (manifest.TRANSCRIPTS, texts),
        (manifest.FOLDS, folds),
        (manifest.TAGS, tags),
        (manifest.NEIGHBOURS, neighbours),
    ):
        stray, known = set(told) - set(paths), set(told)
        problems += [
            Problem("list", path, f"in {name}, not in the manifest", ERROR)
            for path in told
            if path in stray
        ]
        if told and name in (manifest.FOLDS, manifest.TAGS):  # the others tell of some alone
            problems += [
                Problem("list", path, f"not in {name}", WARNING)
                for path in paths
                if path not in known
            ]
    return problems + _fold_problems(folds, recordings)


def _fold_problems(folds: Mapping[str, int], recordings: Sequence[Recording]) -> list[Problem]:
    """A fold in two splits: its clips may come from one original recording."""
    splits: dict[int, set[str]] = collections.defaultdict(set)
    for recording in recordings:
        if recording.path in folds:
            splits[folds[recording.path]].add(recording.split)
    return [
        Problem("fold", "", f"fold {fold} is in {' and '.join(sorted(found))}", WARNING)
        for fold, found in sorted(splits.items())
        if len(found) > 1
    ]
