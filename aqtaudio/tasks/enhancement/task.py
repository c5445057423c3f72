"""Noise suppression: speech and noise, mixed at random, to speech."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.data.mixing import Mixing, mix
from aqtaudio.errors import BadInput
from aqtaudio.frontends.spectrum import SpectrumFrontend
from aqtaudio.program.execute import Executor
from aqtaudio.settings import added
from aqtaudio.tasks import sound_quality
from aqtaudio.tasks.enhancement import clean_targets, dnsmos, noise_kinds, robustness, whole
from aqtaudio.tasks.enhancement.changing import Changing
from aqtaudio.tasks.enhancement.data import EnhancementData, MixtureItem
from aqtaudio.tasks.enhancement.device import bundle
from aqtaudio.tasks.enhancement.filtering import Filtering
from aqtaudio.tasks.enhancement.loss import SpectralLoss, local_snr_db
from aqtaudio.tasks.enhancement.stream import Enhancer, real_time_factor
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import (
    Batch,
    Beside,
    Headlines,
    Network,
    Networks,
    Scores,
    Sounds,
    Task,
    Tree,
)

VALIDATED_CLIPS = 15
"""Mixtures that are scored while training."""
GOLDEN_HOPS = 64
"""A thousand codes each, and only GRUs remember more than a few."""
HEADLINES = Headlines(
    fronts=("pesq", "dnsmos_ovrl"),
    together=("pesq", "si_sdr_improvement_db", "stoi", "dnsmos_ovrl"),
    titles={
        "pesq": "PESQ (wide band)",
        "si_sdr_db": "SI-SDR, dB",
        "si_sdr_improvement_db": "SI-SDR improvement, dB",
        "stoi": "STOI",
        "dnsmos_ovrl": "DNSMOS OVRL",
        "dnsmos_sig": "DNSMOS SIG",
        "dnsmos_bak": "DNSMOS BAK",
        "dnsmos_p808": "DNSMOS P.808",
    },
)
"""Silence has a fair DNSMOS: each of them alone can be had at the cost of the others."""


@dataclasses.dataclass(frozen=True)
class Enhancement(Task):
    """Noise suppression: speech and noise, mixed at random, to speech.

    Attributes:
      clip_ms: of a training clip.
      mixing: how clips are mixed.
      filtering: what results do to the noisy spectrum: `Filtering`, or `masking.Masking`.
      loss: what the enhanced clip is compared by.
      snr_weight: of the squared error of the local SNR, in dB, where the model tells it.
      cleaned_by: published weights (.npz); the training speech goes through their model once, so
        that the noise of its own recording is not learned as a part of the target.
      full_band: training speech that lacks the upper part of its band, as compressed recordings do,
        is left out: a model would learn to take it from others.
    """

    item: ClassVar[type] = MixtureItem
    headlines: ClassVar[Headlines] = HEADLINES
    unused: ClassVar[tuple[str, ...]] = (
        *("augmentation", "optimizer.label_smoothing", "finetune.label_smoothing"),
    )

    clip_ms: int = 3000
    mixing: Mixing = Mixing()
    filtering: Changing = Filtering()
    loss: SpectralLoss = SpectralLoss()
    snr_weight: float = 1e-3
    cleaned_by: str | None = added(None)
    full_band: bool = added(False)

    def __post_init__(self):
        if self.clip_ms < 200:
            raise BadInput(f"task.clip_ms is {self.clip_ms}; at least 200 is needed")
        longest = max(self.loss.windows_ms)
        if longest > self.clip_ms / 2:
            raise BadInput(
                f"task.loss.windows_ms has {longest}; allowed: up to half of task.clip_ms, "
                f"{self.clip_ms / 2:g}"
            )
        if not 0 <= self.snr_weight < math.inf:
            raise BadInput(f"task.snr_weight is {self.snr_weight}; allowed: >= 0")

    # What fits.

    def require_fit(self, setup: Setup) -> None:
        """Its front end, the front end's look-ahead, streams that are trained from silence."""
        self.filtering.require_fit(setup.frontend)
        if not setup.streams or setup.clips_before:
            raise BadInput(
                "an enhancement run is a stream that is trained from silence: "
                "stream_block_frames must be at least 1 and stream_context_clips 0"
            )
        if self.loss.dnsmos_weight and setup.frontend.sample_rate_hz != dnsmos.RATE_HZ:
            raise BadInput(
                f"task.loss.dnsmos_weight is {self.loss.dnsmos_weight:g}; allowed: 0 at "
                f"{setup.frontend.sample_rate_hz} Hz, as DNSMOS hears {dnsmos.RATE_HZ}"
            )

    def require_answers(self, shape: tuple[int, ...], setup: Setup) -> None:
        """What results are made of, of every frame."""
        wanted = setup.feature_shape[0], self.filtering.values(frontend_of(setup))
        if shape[1:] != wanted:
            raise BadInput(
                f"the model's outputs are {list(shape[1:])} (frames, values); task.filtering and "
                f"the front end ask for {list(wanted)}: {self.filtering.told()}"
            )

    def notice(self) -> str:
        """Whether scores are missing."""
        if sound_quality.models_are_installed():
            return ""
        return f"scored by SI-SDR alone; PESQ, STOI and DNSMOS: {sound_quality.INSTALL}"

    # Data.

    def load(self, folders: Sequence[Path], setup: Setup, splits: Sequence[str]) -> EnhancementData:
        """Speech and noise."""
        rate_hz = setup.frontend.sample_rate_hz
        return EnhancementData.load(folders, rate_hz, setup.clip_samples, splits)

    def prepared(self, data: EnhancementData, setup: Setup) -> EnhancementData:
        """Training speech as `full_band` and `cleaned_by` say."""
        if self.full_band:
            data = data.with_full_band_training_speech()
        if self.cleaned_by is None:
            return data
        clean = clean_targets.cleaner(self.cleaned_by, setup.frontend.sample_rate_hz)
        return data.with_training_speech(clean)

    # Training.

    def examples(
        self, key: jax.Array, batch: Batch, given: Any, setup: Setup
    ) -> tuple[jax.Array, Tree]:
        """Features of mixtures, and the speech in them."""
        frontend = frontend_of(setup)
        speech, noises = (to_float(x) for x in batch)
        mixture = mix(key, speech, noises, self.mixing, frontend.sample_rate_hz)
        features, spectrum = whole.analysed(mixture.noisy, frontend)
        targets = {"clean": mixture.clean, "gain": mixture.gain, "spectrum": spectrum}
        if self.filtering.tells_snr:
            parts = (whole.analysed(x, frontend)[1] for x in (mixture.clean, mixture.noise))
            targets["snr_db"] = local_snr_db(*parts)[:, : features.shape[1]]
        return features, targets

    def objective(
        self, answers: jax.Array, targets: Tree, setup: Setup, beside: Beside, label_smoothing: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Of the spectrum of the sound, and of the local SNR."""
        enhanced, results = self._enhanced(answers, targets, setup)
        clean = (targets["clean"] / targets["gain"])[:, : enhanced.shape[1]]
        spectral = self.loss(enhanced, clean, setup.frontend.sample_rate_hz)
        if not self.filtering.tells_snr:
            return spectral, {}
        error = jnp.mean(jnp.square(self.filtering.snr_db(results) - targets["snr_db"]))
        return spectral + self.snr_weight * error, {"snr_error_db": jnp.sqrt(error)}

    def divergence(
        self, answers: jax.Array, taught: jax.Array, targets: Tree, setup: Setup
    ) -> jax.Array:
        """The spectral loss against the teacher's sound, and the error of all outputs."""
        ours, theirs = (self._enhanced(x, targets, setup)[0] for x in (answers, taught))
        spectral = self.loss(ours, theirs, setup.frontend.sample_rate_hz)
        return spectral + jnp.mean(jnp.square(answers - taught))

    def _enhanced(self, answers: jax.Array, targets: Tree, setup: Setup) -> tuple[jax.Array, Any]:
        """Enhanced clips at the nominal level, and the results behind them."""
        frontend, filtering = frontend_of(setup), self._unfiltered
        enhanced = whole.synthesised(answers, targets["spectrum"], filtering, frontend)
        gain = targets["gain"][:, : enhanced.shape[1]]
        return enhanced / gain, filtering.results(answers, frontend)

    @property
    def _unfiltered(self) -> Changing:
        """What only listeners want is not trained against."""
        return for_listeners(self.filtering, post_filter=0.0, attenuation_limit_db=None)

    # Figures.

    def validation(
        self,
        network: Network,
        arrays: tuple[np.ndarray, ...],
        setup: Setup,
        label_smoothing: float | None,
    ) -> dict[str, float]:
        """SI-SDR of a few mixtures."""
        noisy, clean = (x[:VALIDATED_CLIPS] for x in arrays)
        sounds = whole.enhanced(network, noisy, self._unfiltered, frontend_of(setup))
        noisy, clean = (to_float(x) for x in (noisy, clean))
        better = [
            sound_quality.si_sdr(c, y) - sound_quality.si_sdr(c, x)
            for c, x, y in zip(clean, noisy, sounds, strict=True)
        ]
        scores = {"val_si_sdr_improvement_db": float(np.mean(better))}
        if label_smoothing is not None:
            loss = self.loss(jnp.asarray(sounds), clean, setup.frontend.sample_rate_hz)
            scores["val_loss"] = float(loss)
        return scores

    def scores(
        self,
        network: Network,
        data: EnhancementData,
        items: Sequence[MixtureItem],
        setup: Setup,
    ) -> Scores:
        """Means, intervals over speakers, and per SNR.

        SI-SDR alone where the packages of the other scores are missing.
        """
        with_models = sound_quality.models_are_installed()
        noisy, clean = data.evaluation_arrays(items)
        sounds = whole.enhanced(network, noisy, self.filtering, frontend_of(setup))
        references, heard = (to_float(x) for x in (clean, noisy))
        rows = [
            sound_quality.scores(*signals, data.sample_rate_hz, with_models=with_models)
            for signals in zip(references, heard, sounds, strict=True)
        ]
        speakers = [data.speaker_of(item) for item in items]
        return sound_quality.summary(rows, speakers, [item.snr_db for item in items])

    def sounds(
        self, network: Network, data: EnhancementData, items: Sequence[MixtureItem], setup: Setup
    ) -> list[Sounds]:
        """Noisy, enhanced and clean clips."""
        noisy, clean = (to_float(x) for x in data.evaluation_arrays(items))
        made = whole.of_audio(network, noisy, self.filtering, frontend_of(setup))
        return [
            Sounds(f"SNR {item.snr_db:g} dB", data.sample_rate_hz, *clips)
            for item, *clips in zip(items, noisy, made, clean, strict=True)
        ]

    def speed(
        self,
        network: Network,
        data: EnhancementData,
        items: Sequence[MixtureItem],
        setup: Setup,
    ) -> dict[str, float]:
        """Of the first clip, hop by hop (`stream.real_time_factor`)."""
        audio = to_float(data.evaluation_arrays(items[:1])[0][0])
        enhancer = Enhancer(network, setup.block_frames, frontend_of(setup), self.filtering)
        return {"real_time_factor": real_time_factor(enhancer, audio)}

    def robustness(
        self,
        network: Network,
        data: EnhancementData,
        items: Sequence[MixtureItem],
        setup: Setup,
        split: str,
        say: Callable[[str], None],
    ) -> Scores:
        """At levels, after steps of the level, by kind of noise (`robustness.robustness`)."""
        noisy, clean = (to_float(x) for x in data.evaluation_arrays(items))
        speakers = [data.speaker_of(item) for item in items]

        def enhance(clip: np.ndarray) -> np.ndarray:
            return whole.of_audio(network, clip[None], self.filtering, frontend_of(setup))[0]

        pairs, rate_hz = list(zip(clean, noisy, strict=True)), data.sample_rate_hz
        noises = noise_kinds.recorded(data, split) | noise_kinds.made(rate_hz, noisy.shape[1])
        return robustness.robustness(enhance, pairs, speakers, noises, rate_hz)

    def show_robustness(self, told: Scores) -> list[str]:
        """A line per level, step and kind of noise."""
        return robustness.lines(told)

    def row(
        self,
        networks: Networks,
        runtimes: Sequence[str],
        data: EnhancementData,
        items: Sequence[MixtureItem],
        setup: Setup,
    ) -> dict[str, Any]:
        """By runtime: plain figures, and `details` of them (counts, intervals, by SNR).

        The quantized reading is the program, to the bit: it is not scored twice.
        """
        scored = [name for name in runtimes if name != "quantized"]
        found = super().row(networks, scored, data, items, setup)["metrics"]
        return {"metrics": {name: _with_details(scores) for name, scores in found.items()}}

    def show(self, scores: Mapping[str, Any]) -> list[str]:
        """Means with their intervals, and by SNR."""
        lines, intervals = [], scores["intervals"]
        for name, count in scores["n"].items():
            if not count:
                lines.append(f"{name:<22} no mixture has a score")
                continue
            low, high = intervals.get(name, (math.nan, math.nan))
            left_out = scores.get("left_out", {}).get(name)
            unscored = f", {left_out} without a score" if left_out else ""
            lines.append(f"{name:<22} {scores[name]:7.3f}  [{low:.3f}, {high:.3f}]{unscored}")
        lines += [
            f"at {snr_db:>3} dB: {self.headlines.line(found)}"
            for snr_db, found in scores["per_snr"].items()
        ]
        return lines

    # The device.

    def golden_frames(self, setup: Setup) -> int:
        """Few: a hop has a thousand codes."""
        return min(super().golden_frames(setup), GOLDEN_HOPS)

    def device_files(self, setup: Setup, executor: Executor) -> Mapping[str, str]:
        """The float arithmetic around the network, as C."""
        return bundle.files(frontend_of(setup), self.filtering, executor)


def frontend_of(setup: Setup) -> SpectrumFrontend:
    """The front end of an enhancement run: `require_fit` allows no other."""
    assert isinstance(setup.frontend, SpectrumFrontend)
    return setup.frontend


def for_listeners(filtering: Changing, **settings: Any) -> Changing:
    """With another post-filter or limit."""
    return dataclasses.replace(filtering, **settings)  # type: ignore[type-var]


def _with_details(summary: Scores) -> Scores:
    """Means on top, what `sound_quality.summary` says of them below."""
    kinds = ("n", "left_out", "intervals", "per_snr")
    means = {key: value for key, value in summary.items() if key not in kinds}
    return means | {"details": {key: summary[key] for key in kinds if key in summary}}
