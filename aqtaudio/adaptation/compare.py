"""How two front ends differ on recordings, and what that does to a run."""

import dataclasses
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.adaptation.keyword_scores import scores
from aqtaudio.data import audio, crops, manifest
from aqtaudio.errors import BadInput
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.runs.evaluate import served
from aqtaudio.runs.run import Run
from aqtaudio.settings import differences, to_json
from aqtaudio.tasks.keywords.data import EvaluationItem
from aqtaudio.tasks.keywords.task import Keywords
from aqtaudio.tasks.setup import Setup

WORST = 5
CLIP_MS = 1000
"""Where no run tells the length of clips."""


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip under both front ends.

    Attributes:
      item: where it is.
      features: of A and of B, float32 [T, F] each.
    """

    item: EvaluationItem
    features: tuple[np.ndarray, np.ndarray]

    @property
    def mean_abs_diff(self) -> float:
        """Mean of |B - A|."""
        a, b = self.features
        return float(np.mean(np.abs(b.astype(np.float64) - a)))


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
      figures: what `frontend compare --json` prints.
      worst: the clips that differ most, the worst first.
      hop_s: seconds between two frames.
    """

    figures: dict[str, Any]
    worst: tuple[Clip, ...]
    hop_s: float


def compare(
    front_ends: tuple[Frontend, Frontend],
    folders: Sequence[Path],
    split: str = "val",
    run: Run | None = None,
    limit: int | None = None,
    worst: int = WORST,
) -> Comparison:
    """Compares front ends A and B on recordings, every clip from silence.

    Frame k of both begins with the same sample, so frames are compared in pairs, as many as the
    front end with fewer has. Values are what a model sees, after normalisation.

    Args:
      front_ends: A and B.
      folders: manifest folders.
      split: "train", "val" or "test".
      run: clips are those it is evaluated on, and it is evaluated under A and under B. Without
        one, clips are the loudest second of every recording.
      limit: at most so many clips (a fair sample).
      worst: how many clips to keep.

    Returns:
      Figures: "split", "n" (clips), "sample_rate_hz", "hop_samples", "a" and "b" ({"frames" per
      clip, "window_samples", "settings"}), "frames" and "features" (what was compared, per clip
      and per frame), "differences" (settings in words, "" where none differs), then what
      `statistics` returns, "worst" ([{"path", "label", "start_sample", "mean_abs_diff"}]) and
      "run": null or {"path", "runtime", "a", "b"}, with the metrics of `evaluate` under each.

    Raises:
      BadInput: nothing can be compared, or the run cannot take the features of A or of B; the
        message names the settings.
    """
    a, b = front_ends
    require_comparable(a, b)
    heard = None if run is None else (run.hearing(a), run.hearing(b))
    clip_ms = CLIP_MS if run is None else run.experiment.task.clip_ms
    if run is None:
        items, clips = loudest_clips(folders, split, a, clip_ms, limit)
        evaluation = None
    else:
        Keywords.of(run.experiment.task)
        data = run.data(folders, (split,))
        items = run.items(data, split)[:limit]
        evaluation = data.evaluation_arrays(items)
        clips = evaluation[0]
    in_a, in_b = (Setup(f, clip_ms).features_of(clips) for f in (a, b))
    frames = min(in_a.shape[1], in_b.shape[1])
    pairs = (in_a[:, :frames], in_b[:, :frames])
    found = _worst(items, *pairs, worst)
    figures = {
        "split": split,
        "n": len(items),
        "sample_rate_hz": a.sample_rate_hz,
        "hop_samples": a.hop_samples,
        "a": _side(a, in_a),
        "b": _side(b, in_b),
        "frames": frames,
        "features": a.features,
        "differences": differences(a, b, "in A", "in B"),
        **statistics(*pairs),
        "worst": [dataclasses.asdict(c.item) | {"mean_abs_diff": c.mean_abs_diff} for c in found],
        "run": None if heard is None else _effect(heard, evaluation),
    }
    return Comparison(figures, found, a.hop_samples / a.sample_rate_hz)


def require_comparable(a: Frontend, b: Frontend) -> None:
    """Raises BadInput unless frames begin together and have as many features; it names what."""
    for side, frontend in (("A", a), ("B", b)):
        if not frontend.takes_audio:
            raise BadInput(f"front end {side} is what a device dumped: it hears no recordings")
    facts = {
        "sample_rate_hz": (a.sample_rate_hz, b.sample_rate_hz),
        "hop_samples": (a.hop_samples, b.hop_samples),
        "features per frame": (a.features, b.features),
    }
    apart = [f"{name} {x} in A, {y} in B" for name, (x, y) in facts.items() if x != y]
    if apart:
        raise BadInput(
            f"these front ends cannot be compared: {'; '.join(apart)} "
            f"({differences(a, b, 'in A', 'in B')})"
        )


def loudest_clips(
    folders: Sequence[Path], split: str, frontend: Frontend, clip_ms: int, limit: int | None
) -> tuple[list[EvaluationItem], np.ndarray]:
    """The loudest clip of every recording of a split, whatever its label, in hash order.

    Returns:
      Where they are, with the recordings' labels, and int16 [n, N]; shorter recordings are padded.
    """
    recordings = [row for row in manifest.read_all(folders) if row.split == split]
    if not recordings:
        where = ", ".join(map(str, folders))
        raise BadInput(f"{where} has no recordings in split {split!r}")
    recordings = sorted(recordings, key=lambda row: crops.hash_order(0, row.path))[:limit]
    length = frontend.clip_samples(clip_ms)

    def read(recording: manifest.Recording) -> tuple[EvaluationItem, np.ndarray]:
        samples = audio.load_int16(recording.file, frontend.sample_rate_hz)
        samples = crops.pad(samples, length)
        start = int(crops.starts(samples, length, loudness=1.0)[0])
        item = EvaluationItem(recording.path, recording.label, start)
        return item, samples[start : start + length].copy()

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        items, clips = zip(*threads.map(read, recordings), strict=True)
    return list(items), np.stack(clips)


def statistics(a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    """Statistics of features [n, T, F] and of B - A.

    Returns:
      "differing_share" (of all values), "mean_abs_diff", "max_abs_diff", and "bands": for each
      feature of a frame {"band", "mean_a", "std_a", "mean_b", "std_b", "mean_diff",
      "mean_abs_diff", "max_abs_diff", "correlation" (null where A or B is constant)}.
    """
    bands = [{"band": band} | _band(a[..., band], b[..., band]) for band in range(a.shape[-1])]
    return {
        "differing_share": float(np.count_nonzero(a != b) / a.size),
        "mean_abs_diff": float(np.abs(b.astype(np.float64) - a).mean()),
        "max_abs_diff": float(np.abs(b.astype(np.float64) - a).max()),
        "bands": bands,
    }


def _band(a: np.ndarray, b: np.ndarray) -> dict[str, float | None]:
    a, b = a.astype(np.float64), b.astype(np.float64)
    difference = b - a
    correlation = None
    if np.ptp(a) > 0 and np.ptp(b) > 0:
        correlation = float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    return {
        "mean_a": float(a.mean()),
        "std_a": float(a.std()),
        "mean_b": float(b.mean()),
        "std_b": float(b.std()),
        "mean_diff": float(difference.mean()),
        "mean_abs_diff": float(np.abs(difference).mean()),
        "max_abs_diff": float(np.abs(difference).max()),
        "correlation": correlation,
    }


def _worst(
    items: Sequence[EvaluationItem], a: np.ndarray, b: np.ndarray, count: int
) -> tuple[Clip, ...]:
    clips = [Clip(item, (x, y)) for item, x, y in zip(items, a, b, strict=True)]
    return tuple(sorted(clips, key=lambda clip: -clip.mean_abs_diff)[:count])


def _side(frontend: Frontend, features: np.ndarray) -> dict[str, Any]:
    return {
        "frames": features.shape[1],
        "window_samples": frontend.window_samples,
        "settings": to_json(frontend),
    }


def _effect(pair: tuple[Run, Run], evaluation: Any) -> dict[str, Any]:
    """Figures of a run under A and under B, in the runtime that counts."""
    runtime = served(pair[0])
    a, b = (scores(run, evaluation, runtime) for run in pair)
    return {"path": str(pair[0].path), "runtime": runtime, "a": a, "b": b}
