"""Is a manifest folder fit to train on? Every problem found, not only the first."""

import collections
import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from aqtaudio.data import device_dump, manifest, sidecars
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput

ERROR = "error"
WARNING = "warning"
SECONDS_TOLERANCE = 0.01
CLIPPED_RUN = 4  # samples at full scale, one after the other
SILENT_PEAK = 2.0**-12


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong with a recording or, with an empty path, with the folder.

    Attributes:
      kind: missing, unreadable, empty, nan, rate, duration, clipped, silent, duplicate-path,
        duplicate-audio, speaker, list or fold.
      path: of the recording.
      message: what is wrong, in one line.
      severity: "error" (figures would be wrong) or "warning".
    """

    kind: str
    path: str
    message: str
    severity: str


def check(folder: Path, deep: bool = True) -> list[Problem]:
    """Compares a folder with its manifest.

    Args:
      folder: with a manifest.
      deep: also reads every sample, not only the files' headers.

    Returns:
      Problems in the order of the manifest, those of the whole folder last.

    Raises:
      BadInput: the manifest cannot be read.
    """
    folder = Path(folder)
    recordings = manifest.read(folder)

    def examine(recording: Recording) -> tuple[list[Problem], str]:
        return _examine(folder, recording, deep)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        examined = list(threads.map(examine, recordings))
    problems = [problem for found, _ in examined for problem in found]
    problems += _duplicate_paths(recordings)
    problems += _duplicate_audio(recordings, [content for _, content in examined])
    problems += _speakers(recordings)
    problems += _lists(folder, recordings)
    return problems


def _examine(folder: Path, recording: Recording, deep: bool) -> tuple[list[Problem], str]:
    """The problems of one recording, and a digest of its samples (empty: none to compare)."""
    path = recording.path

    def error(kind: str, message: str) -> Problem:
        return Problem(kind, path, message, ERROR)

    if not (folder / path).is_file():
        return [error("missing", "no such file")], ""
    if Path(path).suffix == device_dump.SUFFIX:
        return _examine_features(folder, recording)
    try:
        with soundfile.SoundFile(folder / path) as file:
            problems = list(_header_problems(file, recording))
            samples = file.read(dtype="float32", always_2d=True) if deep and file.frames else None
    except (soundfile.SoundFileError, OSError, TypeError) as refused:
        return [error("unreadable", " ".join(str(refused).split()))], ""
    if samples is None:
        return problems, ""
    if not np.isfinite(samples).all():
        return [*problems, error("nan", "samples that are NaN or infinite")], ""
    problems += _sample_problems(samples, recording)
    digest = hashlib.sha1(samples.tobytes()).hexdigest() if samples.any() else ""
    return problems, digest


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
    if loudest < SILENT_PEAK and recording.label not in ("_silence_", "silence"):
        message = f"silent: no sample reaches {SILENT_PEAK} of full scale"
        yield Problem("silent", recording.path, message, WARNING)
    if loudest >= 1 - 2.0**-15:
        full = (np.abs(samples) >= 1 - 2.0**-15).all(axis=1).astype(int)
        runs = np.convolve(full, np.ones(CLIPPED_RUN, int), "valid") == CLIPPED_RUN
        if runs.any():
            message = f"clipped: {int(full.sum())} samples at full scale"
            yield Problem("clipped", recording.path, message, WARNING)


def _duplicate_paths(recordings: Sequence[Recording]) -> list[Problem]:
    counts = collections.Counter(recording.path for recording in recordings)
    return [
        Problem("duplicate-path", path, f"{count} rows in the manifest", ERROR)
        for path, count in counts.items()
        if count > 1
    ]


def _duplicate_audio(recordings: Sequence[Recording], digests: Sequence[str]) -> list[Problem]:
    """The same samples in two splits: what is evaluated was trained on."""
    first: dict[str, Recording] = {}
    problems = []
    for recording, digest in zip(recordings, digests, strict=True):
        other = first.setdefault(digest, recording)
        if digest and other.split != recording.split:
            message = f"in {recording.split}, same samples as {other.path} in {other.split}"
            problems.append(Problem("duplicate-audio", recording.path, message, ERROR))
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
