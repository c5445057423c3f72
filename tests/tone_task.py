"""A task of one's own, as a user would write it in a module outside the package.

How high is the tone in a clip? Recordings are made up; beside the model train a discriminator that
tells its answers from true ones, and a readout that helps it.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.spectral import LogMel
from aqtaudio.settings import overlay
from aqtaudio.study.space import Study, param
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import Batch, Beside, Companion, Headlines, Network, Scores, Task
from aqtaudio.vocabulary.layers import AveragePool, Conv2D, Dense, Input, Reshape
from aqtaudio.vocabulary.signal import Signal

RATE_HZ = 8000
LOWEST_HZ, OCTAVES = 300.0, 3.0
CLOSE_OCTAVES = 0.25
SPLITS = {"train": 0, "val": 1, "test": 2}


class ToneModel(nn.Module):
    """Two answers: the tone's height, 0 to 1 over OCTAVES, and its square."""

    width: int = 8
    answers: int = 2

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        x = Input((*x.shape, 1), name="input")(x)
        x = Conv2D(self.width, (3, 5), (2, 2), name="conv")(x)
        x = Conv2D(2 * self.width, (3, 3), (2, 2), name="conv_2")(x)
        frames, bands, channels = x.shape
        x = AveragePool((frames, 1), name="pool")(x)
        x = Reshape((bands * channels,), name="flatten")(x)
        return Dense(self.answers, name="height")(x)


class Judge(nn.Module):
    """Logits [B] that say whether heights [B, 2] are true ones."""

    @nn.compact
    def __call__(self, heights: jax.Array) -> jax.Array:  # noqa: D102
        return nn.Dense(1)(nn.relu(nn.Dense(8)(heights)))[:, 0]


class Readout(nn.Module):
    """Heights [B, 1] of answers [B, 2]."""

    @nn.compact
    def __call__(self, answers: jax.Array) -> jax.Array:  # noqa: D102
        return nn.Dense(1)(answers)


@dataclasses.dataclass(frozen=True)
class Tone:
    """A line of evaluation.tsv."""

    seed: int
    height: float


class Tones:
    """Made-up recordings (`tasks.task.Data`)."""

    sample_rate_hz = RATE_HZ

    def __init__(self, samples: int):
        self.samples = samples

    def training_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        rng = np.random.default_rng([seed, step])
        heights = rng.uniform(size=batch_size).astype(np.float32)
        return self._clips(rng, heights), heights

    def evaluation_list(self, split: str) -> list[Tone]:
        rng = np.random.default_rng([SPLITS[split], 99])
        return [Tone(seed, float(height)) for seed, height in enumerate(rng.uniform(size=48))]

    def evaluation_arrays(self, items: Iterable[Tone]) -> tuple[np.ndarray, np.ndarray]:
        items = list(items)
        clips = [
            self._clips(np.random.default_rng(item.seed), np.asarray([item.height]))
            for item in items
        ]
        return np.concatenate(clips), np.asarray([item.height for item in items], np.float32)

    def holds(self, items: Iterable[Tone]) -> bool:
        return True

    def _clips(self, rng: np.random.Generator, heights: np.ndarray) -> np.ndarray:
        hertz = LOWEST_HZ * 2 ** (OCTAVES * heights[:, None])
        seconds = np.arange(self.samples) / RATE_HZ
        tones = 8000 * np.sin(2 * np.pi * hertz * seconds + rng.uniform(size=(len(heights), 1)))
        noise = 300 * rng.normal(size=tones.shape)
        return np.rint(tones + noise).astype(np.int16)


@dataclasses.dataclass(frozen=True)
class Height(Task):
    """How high a tone is."""

    item: ClassVar[type] = Tone
    headlines: ClassVar[Headlines] = Headlines(("hit_rate",), titles={"hit_rate": "tones hit"})
    unused: ClassVar[tuple[str, ...]] = ("augmentation",)

    clip_ms: int = 250
    judged: float = 0.002
    read: float = 0.05

    def load(self, folders: Sequence[Path], setup: Setup, splits: Sequence[str]) -> Tones:
        return Tones(setup.clip_samples)

    def given(self, data: Tones) -> np.ndarray:
        return np.linspace(0, 1e-3, data.samples, dtype=np.float32)  # a drift of all clips

    def examples(self, key: jax.Array, batch: Batch, given: jax.Array, setup: Setup) -> Any:
        clips, heights = batch
        audio = clips.astype(jnp.float32) / 32768 + given
        return setup.features(audio), jnp.stack([heights, heights**2], -1)

    def companions(self, setup: Setup) -> Mapping[str, Companion]:
        heights = jnp.zeros((1, 2))
        return {
            "judge": Companion(Judge(), (heights,), opposes=True, learning_rate=1e-2),
            "readout": Companion(Readout(), (heights,), learning_rate=1e-2),
        }

    def objective(
        self, answers: jax.Array, targets: Any, setup: Setup, beside: Beside, label_smoothing: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        error = jnp.mean(jnp.square(answers - targets))
        read = jnp.mean(jnp.square(beside["readout"](answers) - targets[:, :1]))
        fooled = jnp.mean(jax.nn.softplus(-beside["judge"](answers)))
        return error + self.read * read + self.judged * fooled, {"read": read, "fooled": fooled}

    def opposing_objective(
        self, answers: jax.Array, targets: Any, setup: Setup, beside: Beside
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        logits = beside["judge"](jnp.concatenate([answers, targets]))
        truth = jnp.repeat(jnp.asarray([0.0, 1.0]), len(answers))
        return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, truth)), {
            "caught": jnp.mean((logits > 0) == truth)
        }

    def kept(self, companions: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        return {"readout": np.asarray(companions["readout"]["Dense_0"]["kernel"])}

    def validation(
        self, network: Network, arrays: Any, setup: Setup, label_smoothing: float | None
    ) -> dict[str, float]:
        clips, heights = arrays
        return {"val_hit_rate": hit_rate(network.whole(setup.features_of(clips)), heights)}

    def scores(self, network: Network, data: Tones, items: Sequence[Tone], setup: Setup) -> Scores:
        clips, heights = data.evaluation_arrays(items)
        answers = network.whole(setup.features_of(clips))
        return {
            "hit_rate": hit_rate(answers, heights),
            "mean_error_octaves": float(OCTAVES * np.mean(np.abs(answers[:, 0] - heights))),
        }


def hit_rate(answers: np.ndarray, heights: np.ndarray) -> float:
    """Share of tones whose height is told within CLOSE_OCTAVES."""
    return float(np.mean(np.abs(answers[:, 0] - heights) * OCTAVES < CLOSE_OCTAVES))


EXPERIMENT = Experiment(
    model=ToneModel(),
    task=Height(),
    frontend=LogMel(sample_rate_hz=RATE_HZ, upper_hz=3800.0),
    optimizer=Optimizer(steps=200, batch_size=32, learning_rate=3e-3, warmup_steps=5),
    finetune=Optimizer(steps=20, batch_size=32, learning_rate=1e-3, warmup_steps=2),
    calibration_batches=2,
    evaluate_every=100,
    checkpoint_every=20,
)
SHORT = overlay(EXPERIMENT, {"optimizer.steps": 20, "finetune.steps": 4})
STUDY = Study("tones", SHORT, param("seed", 0, 1))
