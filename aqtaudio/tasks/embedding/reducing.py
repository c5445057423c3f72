"""From a corpus and a teacher to the reduction of its vectors: embed, draw a sample, fit."""

import dataclasses
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput
from aqtaudio.tasks.embedding.cache import Say, embedded_in_clips
from aqtaudio.tasks.embedding.data import EmbeddingData
from aqtaudio.tasks.embedding.reduction import Moments, Reduction, fit
from aqtaudio.tasks.embedding.sampling import Sampler, loudness_percentiles, sample
from aqtaudio.tasks.embedding.teachers import Teacher

PUBLISHED = {"ridge": 0.1, "norm": "l1"}
"""Of the published recipe's kernel, to compare with."""


@dataclasses.dataclass(frozen=True)
class Vectors:
    """A teacher's vectors of a corpus.

    Attributes:
      embeddings: float32 [n, D].
      sources: the speaker of each, or the folder of its recording where nobody speaks.
      levels_db: of the sound that each stands for, [n]; -inf is digital silence.
    """

    embeddings: np.ndarray
    sources: tuple[str, ...]
    levels_db: np.ndarray


def vectors_of(teacher: Teacher, data: EmbeddingData, skipped: int, say: Say) -> Vectors:
    """Of the training recordings of the foreground, cut into clips; kept on disk (`cache`).

    The first vectors of each clip, `skipped` many, are left out. Raises BadInput where none is
    left.
    """
    recordings = data.foreground("train")
    sounds = [samples for _, samples in recordings]
    found = embedded_in_clips(teacher, sounds, data.clip_samples, say=say)
    parts, sources, levels = [], [], []
    for (recording, samples), vectors in zip(recordings, found, strict=True):
        kept = vectors[:, skipped:]
        if not kept.size:
            raise BadInput(f"clips have {vectors.shape[1]} vectors, of which {skipped} are skipped")
        parts.append(kept.reshape(-1, kept.shape[-1]))
        sources += [_source(recording)] * len(parts[-1])
        levels.append(_levels_db(samples, data.clip_samples, vectors.shape[1])[:, skipped:].ravel())
    return Vectors(np.concatenate(parts), tuple(sources), np.concatenate(levels))


def _source(recording: Recording) -> str:
    if recording.speaker in ("", "-"):
        return str(PurePosixPath(recording.path).parent)
    return recording.speaker


def _levels_db(samples: np.ndarray, clip_samples: int, vectors: int) -> np.ndarray:
    """[clips, vectors]: of equal parts of each clip, one for each of its vectors."""
    count = len(samples) // clip_samples
    clips = samples[: count * clip_samples].reshape(count, clip_samples).astype(np.float64)
    part = clip_samples // vectors
    powers = np.square(clips[:, : part * vectors].reshape(count, vectors, part)).mean(-1)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(powers)


def reduced(
    vectors: Vectors,
    sampler: Sampler,
    samples: int,
    kind: str,
    dimensions: int | None,
    seed: int,
) -> tuple[Reduction, dict[str, Any]]:
    """A reduction, fitted on a sample that is drawn source by source; and what is told of it.

    Told are "vectors" and "sources", "drawn", "near_duplicate_ratio" of the sampler and that of the
    published kernel, and which share of the variance the reduction has, of the sample ("explained")
    and of all vectors ("explained_of_all").

    Raises BadInput as `reduction.fit` and `sampling.sample` do.
    """
    embeddings, sources = vectors.embeddings, vectors.sources
    relevance = loudness_percentiles(vectors.levels_db, sources)
    periods = [""] * len(sources)
    rows = sample(embeddings, sources, periods, samples, sampler, seed, relevance)
    found = fit(Moments.of(embeddings[rows]), kind, dimensions)
    published = dataclasses.replace(sampler, **PUBLISHED)
    return found, {
        "vectors": len(embeddings),
        "sources": len(set(sources)),
        "drawn": len(rows),
        "dimensions": found.components.shape[1],
        "near_duplicate_ratio": sampler.near_duplicate_ratio(embeddings, relevance),
        "near_duplicate_ratio_published": published.near_duplicate_ratio(embeddings, relevance),
        "explained": float(found.explained.sum()),
        "explained_of_all": explained(found, embeddings),
    }


def explained(found: Reduction, embeddings: np.ndarray) -> float:
    """Share of the variance of standardised embeddings that a reduction's components have."""
    kernel = found.components / np.linalg.norm(found.components, axis=0)
    own = Moments.of(embeddings)
    correlation = own.scatter / own.count * np.outer(found.scale, found.scale)
    return float(np.trace(kernel.T @ correlation @ kernel) / np.trace(correlation))
