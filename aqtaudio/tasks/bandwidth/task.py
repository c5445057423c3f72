"""Bandwidth extension: speech of 8 kHz to speech of 16 kHz, from wave to wave."""

import dataclasses
import functools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.data.narrowing import Narrowing, narrowed
from aqtaudio.errors import BadInput
from aqtaudio.frontends.wave import WaveBlocks
from aqtaudio.program.execute import Executor
from aqtaudio.tasks import sound_quality
from aqtaudio.tasks.bandwidth import device, robustness, whole
from aqtaudio.tasks.bandwidth import scores as figures
from aqtaudio.tasks.bandwidth.data import BandwidthData, SpeechItem
from aqtaudio.tasks.bandwidth.discriminators import SpectrumDiscriminator, WaveDiscriminator
from aqtaudio.tasks.bandwidth.loss import (
    Adversary,
    SpectralLoss,
    caught,
    features_apart,
    fooled,
)
from aqtaudio.tasks.bandwidth.stream import Extender
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import (
    Batch,
    Beside,
    Companion,
    Headlines,
    Network,
    Networks,
    Scores,
    Sounds,
    Task,
    Tree,
)

VALIDATED_CLIPS = 16
GOLDEN_BLOCKS = 64
HEADLINES = Headlines(
    fronts=("lsd_high_gain", "pesq"),
    together=("lsd_high_gain", "pesq", "lsd_high_db", "stoi", "si_sdr_db"),
    titles=figures.TITLES,
)
"""Noise in the upper band has a fair distance, silence a fair PESQ: neither alone."""


@dataclasses.dataclass(frozen=True)
class Bandwidth(Task):
    """Bandwidth extension: what a narrow-band line took from speech.

    Attributes:
      clip_ms: of a training clip.
      narrowing: how clips lose their upper half.
      loss: what the extended clip is compared by, at -25 dBFS.
      adversary: discriminators beside the generator.
    """

    item: ClassVar[type] = SpeechItem
    headlines: ClassVar[Headlines] = HEADLINES
    unused: ClassVar[tuple[str, ...]] = (
        *("augmentation", "optimizer.label_smoothing", "finetune.label_smoothing"),
    )

    clip_ms: int = 1024
    narrowing: Narrowing = Narrowing()
    loss: SpectralLoss = SpectralLoss()
    adversary: Adversary = Adversary()

    def __post_init__(self):
        windows = (*self.loss.windows_ms, *self.adversary.windows_ms)
        if self.clip_ms < 2 * max(windows):
            raise BadInput(
                f"task.clip_ms is {self.clip_ms}; allowed: twice the longest window of the loss "
                f"or more, {2 * max(windows):g}"
            )

    # What fits.

    def require_fit(self, setup: Setup) -> None:
        """Blocks of samples as features, streams that are trained from silence."""
        if not isinstance(setup.frontend, WaveBlocks):
            raise BadInput(
                f"a bandwidth task has no {type(setup.frontend).__name__}; allowed: WaveBlocks"
            )
        if not setup.streams or setup.clips_before:
            raise BadInput(
                "a bandwidth run is a stream that is trained from silence: stream_block_frames "
                "must be at least 1 and stream_context_clips 0"
            )

    def require_answers(self, shape: tuple[int, ...], setup: Setup) -> None:
        """As many samples as it is given."""
        if shape[1:] != setup.feature_shape:
            raise BadInput(
                f"the model's outputs are {list(shape[1:])} (blocks, samples); the task asks for "
                f"{list(setup.feature_shape)}: as many samples as it hears"
            )

    def notice(self) -> str:
        """Whether scores are missing."""
        if sound_quality.models_are_installed():
            return ""
        return f"scored by spectra and SI-SDR; PESQ and STOI: {sound_quality.INSTALL}"

    # Data.

    def load(self, folders: Sequence[Path], setup: Setup, splits: Sequence[str]) -> BandwidthData:
        """Full-band speech."""
        rate_hz = setup.frontend.sample_rate_hz
        return BandwidthData.load(folders, rate_hz, setup.clip_samples, splits)

    # Training.

    def examples(
        self, key: jax.Array, batch: Batch, given: Any, setup: Setup
    ) -> tuple[jax.Array, Tree]:
        """Blocks of narrow-band clips; what they were made from, and their levels."""
        (clips,) = batch
        line = narrowed(key, to_float(clips), self.narrowing, setup.frontend.sample_rate_hz)
        blocks, gains = whole.heard(line.narrow, frontend_of(setup))
        blocks, gains = blocks[:, : setup.feature_shape[0]], gains[:, : setup.feature_shape[0]]
        return blocks, {"wide": line.wide, "level": line.level, "gains": gains}

    def objective(
        self, answers: jax.Array, targets: Tree, setup: Setup, beside: Beside, label_smoothing: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Of spectra, and of what discriminators say."""
        made, wanted = self._pair(answers, targets)
        spectral = self.loss(made, wanted, setup.frontend.sample_rate_hz)
        if not self.adversary.weight:
            return spectral, {"spectral": spectral}
        judged, true = self._judged(beside, made), self._judged(beside, wanted)
        hinge, apart = fooled(judged), features_apart(judged, true)
        weighed = self.adversary.weight * (hinge + self.adversary.feature_weight * apart)
        return spectral + weighed, {"spectral": spectral, "hinge": hinge, "features": apart}

    def opposing_objective(
        self, answers: jax.Array, targets: Tree, setup: Setup, beside: Beside
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Hinge loss of the discriminators."""
        made, wanted = self._pair(answers, targets)
        loss = caught(self._judged(beside, made), self._judged(beside, wanted))
        return loss, {"caught": loss}

    def divergence(
        self, answers: jax.Array, taught: jax.Array, targets: Tree, setup: Setup
    ) -> jax.Array:
        """The spectral loss against the teacher's sound."""
        ours, theirs = (self._pair(x, targets)[0] for x in (answers, taught))
        return self.loss(ours, theirs, setup.frontend.sample_rate_hz)

    def companions(self, setup: Setup) -> Mapping[str, Companion]:
        """Discriminators, where they weigh something."""
        settings = self.adversary
        if not settings.weight:
            return {}
        rate_hz, clips = setup.frontend.sample_rate_hz, jnp.zeros((1, setup.clip_samples))
        modules = {
            f"wave_{rate}": WaveDiscriminator(rate, settings.channels) for rate in settings.rates
        } | {
            f"spectrum_{window_ms:g}": SpectrumDiscriminator(
                round(window_ms * rate_hz / 1000), settings.spectrum_channels
            )
            for window_ms in settings.windows_ms
        }
        rate = settings.learning_rate
        return {
            name: Companion(module, (clips,), opposes=True, learning_rate=rate)
            for name, module in modules.items()
        }

    def _pair(self, answers: jax.Array, targets: Tree) -> tuple[jax.Array, jax.Array]:
        """Extended and wide clips at -25 dBFS."""
        made = whole.sound(answers, targets["gains"]) / targets["level"]
        return made, (targets["wide"] / targets["level"])[:, : made.shape[1]]

    @staticmethod
    def _judged(beside: Beside, clips: jax.Array) -> list[list[jax.Array]]:
        return [beside[name](clips) for name in sorted(beside)]

    # Figures.

    def validation(
        self,
        network: Network,
        arrays: tuple[np.ndarray, ...],
        setup: Setup,
        label_smoothing: float | None,
    ) -> dict[str, float]:
        """Distances of a few clips, and what is gained over the narrow band."""
        narrow, wide = (to_float(x[:VALIDATED_CLIPS]) for x in arrays)
        made = whole.extended(network, narrow, frontend_of(setup))
        rows = [
            figures.scores(*signals, setup.frontend.sample_rate_hz, with_models=False)
            for signals in zip(wide, narrow, made, strict=True)
        ]
        means = sound_quality.summary(rows)
        found = {f"val_{name}": means[name] for name in ("lsd_high_db", "lsd_high_gain", "lsd_db")}
        if label_smoothing is not None:
            rate_hz = setup.frontend.sample_rate_hz
            found["val_loss"] = float(self.loss(jnp.asarray(made), jnp.asarray(wide), rate_hz))
        return found

    def scores(
        self, network: Network, data: BandwidthData, items: Sequence[SpeechItem], setup: Setup
    ) -> Scores:
        """Means, intervals over speakers, and per condition; of the narrow band too."""
        return self._scored(network, data, setup, items)

    def robustness(
        self,
        network: Network,
        data: BandwidthData,
        items: Sequence[SpeechItem],
        setup: Setup,
        split: str,
        say: Callable[[str], None],
    ) -> Scores:
        """One clip of every speaker over every line, DNSMOS too (`robustness.robustness`)."""
        scored = functools.partial(self._scored, network, data, setup, with_dnsmos=True)
        return robustness.robustness(scored, data, items)

    def show_robustness(self, told: Scores) -> list[str]:
        """A line per telephone line."""
        return [f"{x['condition']:<10} {self.headlines.line(x)}" for x in told["lines"]]

    def _scored(
        self,
        network: Network,
        data: BandwidthData,
        setup: Setup,
        items: Sequence[SpeechItem],
        with_dnsmos: bool = False,
    ) -> Scores:
        narrow, wide = (to_float(x) for x in data.evaluation_arrays(items))
        made = whole.extended(network, narrow, frontend_of(setup))
        return compared(wide, narrow, made, data, items, with_dnsmos)

    def sounds(
        self, network: Network, data: BandwidthData, items: Sequence[SpeechItem], setup: Setup
    ) -> list[Sounds]:
        """Narrow, extended and wide clips."""
        narrow, wide = (to_float(x) for x in data.evaluation_arrays(items))
        made = whole.extended(network, narrow, frontend_of(setup))
        return [
            Sounds(f"{item.condition}, {item.level_dbfs:g} dBFS", data.sample_rate_hz, *clips)
            for item, *clips in zip(items, narrow, made, wide, strict=True)
        ]

    def speed(
        self, network: Network, data: BandwidthData, items: Sequence[SpeechItem], setup: Setup
    ) -> dict[str, float]:
        """Time of extending a second, a block at a time, over that second.

        The median of seconds, so compiling is not counted where there are three or more.
        """
        audio, factors = to_float(data.evaluation_arrays(items[:1])[0][0]), []
        extender = Extender(network, setup.block_frames, frontend_of(setup))
        size, rate_hz = setup.frontend.window_samples, setup.frontend.sample_rate_hz
        for start in range(0, len(audio), rate_hz):
            second = audio[start : start + rate_hz]
            started = time.perf_counter()
            for place in range(0, len(second), size):
                extender.push(second[place : place + size])
            factors.append((time.perf_counter() - started) * rate_hz / len(second))
        return {"real_time_factor": statistics.median(factors)}

    def row(
        self,
        networks: Networks,
        runtimes: Sequence[str],
        data: BandwidthData,
        items: Sequence[SpeechItem],
        setup: Setup,
    ) -> dict[str, Any]:
        """By runtime: plain figures, and `details` of them (counts, intervals, conditions).

        The quantized reading is the program, to the bit: it is not scored twice.
        """
        scored = [name for name in runtimes if name != "quantized"]
        found = super().row(networks, scored, data, items, setup)["metrics"]
        return {"metrics": {name: _with_details(scores) for name, scores in found.items()}}

    def show(self, scores: Mapping[str, Any]) -> list[str]:
        """Means with their intervals, beside the narrow band's; and by condition."""
        lines = []
        for name in figures.TITLES:
            if name not in scores:
                continue
            low, high = scores["intervals"].get(name, (math.nan, math.nan))
            before = scores.get(f"narrow_{name}")
            told = "" if before is None else f"   narrow band {before:7.3f}"
            lines.append(f"{name:<14} {scores[name]:7.3f}  [{low:.3f}, {high:.3f}]{told}")
        lines += [
            f"{condition:<10} {self.headlines.line(found)}"
            for condition, found in scores["per_condition"].items()
        ]
        return lines

    # The device.

    def golden_frames(self, setup: Setup) -> int:
        """A second."""
        return min(super().golden_frames(setup), GOLDEN_BLOCKS)

    def device_files(self, setup: Setup, executor: Executor) -> Mapping[str, str]:
        """Levels and codes of samples, as C."""
        return device.files(frontend_of(setup), executor)


def compared(
    wide: np.ndarray,
    narrow: np.ndarray,
    made: np.ndarray,
    data: BandwidthData,
    items: Sequence[SpeechItem],
    with_dnsmos: bool = False,
) -> Scores:
    """Scores of extended clips [n, N], as `evaluate` tells them."""
    with_models = sound_quality.models_are_installed()
    rows = [
        figures.scores(
            *signals,
            data.sample_rate_hz,
            with_models=with_models,
            with_dnsmos=with_models and with_dnsmos,
        )
        for signals in zip(wide, narrow, made, strict=True)
    ]
    speakers = [data.speaker_of(item) for item in items]
    found = sound_quality.summary(rows, speakers)
    found["per_condition"] = {
        name: sound_quality.summary(
            [row for row, item in zip(rows, items, strict=True) if item.condition == name],
            [who for who, item in zip(speakers, items, strict=True) if item.condition == name],
        )
        for name in dict.fromkeys(item.condition for item in items)
    }
    return found


def frontend_of(setup: Setup) -> WaveBlocks:
    """The front end of a bandwidth run: `require_fit` allows no other."""
    assert isinstance(setup.frontend, WaveBlocks)
    return setup.frontend


def _with_details(summary: Scores) -> Scores:
    """Means on top, what else `compared` says of them below."""
    kinds = ("n", "left_out", "intervals", "per_condition")
    means = {key: value for key, value in summary.items() if key not in kinds}
    return means | {"details": {key: summary[key] for key in kinds if key in summary}}
