"""Embeddings: a network that answers sound as a teacher does."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.data.mixing import Mixing, mix
from aqtaudio.errors import BadInput
from aqtaudio.settings import added
from aqtaudio.tasks.embedding.cache import embedded
from aqtaudio.tasks.embedding.data import FOREGROUNDS, ClipItem, EmbeddingData
from aqtaudio.tasks.embedding.embed import of_clips, probed_samples
from aqtaudio.tasks.embedding.judging import Judgement, judge, judged, lines
from aqtaudio.tasks.embedding.label_probes import LabelProbe
from aqtaudio.tasks.embedding.metrics import agreement
from aqtaudio.tasks.embedding.probe_clips import require_clips
from aqtaudio.tasks.embedding.teachers import Teacher, in_deviations, require_teaching
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.stream import Stream
from aqtaudio.tasks.task import Batch, Beside, Headlines, Network, Networks, Scores, Task

VALIDATED_CLIPS = 64
"""Clips that are embedded while training."""

TITLES = {
    "cosine": "cosine to the teacher",
    "standardised_cosine": "cosine to the teacher, standardised",
    "explained": "explained variance",
}
TOLD = ("cosine", "standardised_cosine", "relative_error", "explained")


@dataclasses.dataclass(frozen=True)
class Embedding(Task):
    """Regression of a teacher's vectors.

    Attributes:
      teacher: what is regressed.
      clip_ms: of a clip; for a teacher of single windows one window.
      teacher_hears: "clean", the clip as it was recorded, so that the student learns to leave out
        rooms, noise and level; "noisy", what the student hears: both for teachers that a step can
        compute. "recordings": whole recordings, once; their vectors are kept on disk
        (`cache.default_folder`).
      foreground: what clips are cut from: "speech" (words too; noise is mixed in), "noise", "any".
      mixing: how noise, rooms and levels are put on clips; None: not at all.
      skipped: of a clip's answers so many first ones are not compared: they have heard less than
        a window.
      probes: what `evaluate` and rows judge the embedding by, beside the agreement. They need
        split "train" of the folders. Their main figures are headlines.
    """

    item: ClassVar[type] = ClipItem
    unused: ClassVar[tuple[str, ...]] = (
        *("augmentation", "optimizer.label_smoothing", "finetune.label_smoothing"),
    )

    teacher: Teacher
    clip_ms: int = 2415
    teacher_hears: Literal["clean", "noisy", "recordings"] = "noisy"
    foreground: str = "speech"
    mixing: Mixing | None = Mixing()
    skipped: int = 9
    probes: tuple[LabelProbe, ...] = added(())

    def __post_init__(self):
        rules = (
            (self.clip_ms >= 100, f"clip_ms is {self.clip_ms}; at least 100 is needed"),
            (
                self.teacher_hears in ("clean", "noisy", "recordings"),
                f"teacher_hears is {self.teacher_hears!r}; allowed: clean, noisy, recordings",
            ),
            (
                self.teacher_hears == "recordings" or self.teacher.in_step,
                f"teacher_hears is {self.teacher_hears!r}, and a training step cannot compute "
                f"{type(self.teacher).__name__}; allowed: recordings",
            ),
            (
                self.foreground in FOREGROUNDS,
                f"foreground is {self.foreground!r}; allowed: {', '.join(FOREGROUNDS)}",
            ),
            (self.skipped >= 0, f"skipped is {self.skipped}; allowed: >= 0"),
            (
                self.mixing is None or self.foreground == "speech",
                "mixing puts noise on speech; with another foreground it is None",
            ),
            (
                len({probe.name for probe in self.probes}) == len(self.probes),
                "probes have a name twice; allowed: each has its own",
            ),
        )
        for holds, message in rules:
            if not holds:
                raise BadInput(f"task.{message}")

    @property
    def headlines(self) -> Headlines:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The agreement with the teacher, then what each probe is called by."""
        return Headlines(
            ("standardised_cosine", *(probe.main for probe in self.probes)), titles=TITLES
        )

    # What fits.

    def require_fit(self, setup: Setup) -> None:
        """Teacher and front end hear the same samples."""
        if setup.frontend.sample_rate_hz != self.teacher.sample_rate_hz:
            raise BadInput(
                f"the front end hears {setup.frontend.sample_rate_hz} Hz, the teacher "
                f"{self.teacher.sample_rate_hz} Hz; allowed: the same"
            )
        frames, block = setup.frontend.frames(setup.clip_samples), setup.block_frames
        if block and frames % block:  # else the model would not hear a clip's beginning
            hop = setup.frontend.hop_samples
            longer = setup.clip_samples + (block - frames % block) * hop
            longer_ms = math.ceil(longer * 1000 / setup.frontend.sample_rate_hz)
            raise BadInput(
                f"task.clip_ms is {self.clip_ms}, {frames} frames; allowed: whole blocks of "
                f"{block} frames, {longer_ms} ms say"
            )
        if setup.clips_before:
            raise BadInput(
                "an embedding run is trained from silence: stream_context_clips must be 0; "
                "task.skipped leaves out what has not heard enough"
            )
        for probe in self.probes:
            probed_samples(probe.name, probe.clip_ms, setup)

    def require_answers(self, shape: tuple[int, ...], setup: Setup) -> None:
        """As many vectors of as many values as the teacher's, and some that count."""
        vectors = shape[1:] if len(shape) == 3 else (1, *shape[1:])
        require_teaching(self.teacher, vectors, setup.clip_samples)
        if self.skipped >= vectors[0]:
            raise BadInput(
                f"task.skipped is {self.skipped}; allowed: less than {vectors[0]}, a clip's answers"
            )
        for probe in self.probes if setup.streams else ():
            heard = dataclasses.replace(setup, clip_ms=probe.clip_ms).feature_shape[0]
            answers = vectors[0] * heard // setup.feature_shape[0]
            if answers <= self.skipped:
                raise BadInput(
                    f"probe {probe.name!r}: {probe.clip_ms} ms make {answers} vectors, "
                    f"of which task.skipped leaves out {self.skipped}; allowed: longer ones"
                )

    # Data.

    def load(self, folders: Sequence[Path], setup: Setup, splits: Sequence[str]) -> EmbeddingData:
        """Foreground and noise."""
        rate_hz = setup.frontend.sample_rate_hz
        how = rate_hz, setup.clip_samples, splits, self.foreground
        return EmbeddingData.load(folders, *how)

    def prepared(self, data: EmbeddingData, setup: Setup) -> EmbeddingData:
        """With the teacher's vectors of recordings, where it hears these.

        Raises BadInput where a probe has nothing to be trained or scored on.
        """
        for probe in self.probes:
            require_clips(data, probe, "val")
        if self.teacher_hears != "recordings":
            return data
        clip, teacher = setup.clip_samples, self.teacher
        one, more = (teacher.embed(np.zeros((1, n), np.int16)).shape[1] for n in (clip, 9 * clip))
        hop = round(8 * clip / max(more - one, 1))
        return data.taught(lambda clips: embedded(teacher, clips, say=print), hop, one)

    def given(self, data: Any) -> Any:
        """The variables of a teacher that steps compute."""
        return self.teacher.variables() if self.teacher.in_step else ()

    # Training.

    def examples(self, key: jax.Array, batch: Batch, given: Any, setup: Setup) -> tuple[Any, Any]:
        """Features of clips as a device hears them, and the teacher's vectors [B, m, D]."""
        clips, noises = (to_float(x) for x in batch[:2])
        heard = clips
        if self.mixing is not None:
            heard = mix(key, clips, noises, self.mixing, setup.frontend.sample_rate_hz).noisy
        features = setup.features(heard)
        if self.teacher_hears == "recordings":
            return features, batch[2]
        return features, self.teacher.answers(
            given, clips if self.teacher_hears == "clean" else heard
        )

    def objective(
        self,
        answers: jax.Array,
        targets: jax.Array,
        setup: Setup,
        beside: Beside,
        label_smoothing: Any,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean squared error over variance."""
        loss = self.divergence(answers, targets, targets, setup)
        return loss, {"unexplained": loss}

    def divergence(
        self, answers: jax.Array, taught: jax.Array, targets: Any, setup: Setup
    ) -> jax.Array:
        """The same against another teacher."""
        answers, taught = (x.reshape(len(x), -1, x.shape[-1]) for x in (answers, taught))
        counts = jnp.arange(answers.shape[1]) >= self.skipped
        return in_deviations(answers - taught, taught, counts)

    # Figures.

    def validation(
        self,
        network: Network,
        arrays: tuple[np.ndarray, ...],
        setup: Setup,
        label_smoothing: float | None,
    ) -> dict[str, float]:
        """Agreement on a few clips as they were recorded, each from silence."""
        clips = arrays[0][:VALIDATED_CLIPS]
        ours = _vectors(network.whole(setup.features_of(clips), at_once=16))
        found = agreement(*self._compared(ours, self.teacher.embed(clips)))
        scores = {"val_explained": found["explained"], "val_cosine": found["standardised_cosine"]}
        return scores | (
            {"val_loss": 1 - found["explained"]} if label_smoothing is not None else {}
        )

    def scores(
        self, network: Network, data: EmbeddingData, items: Sequence[ClipItem], setup: Setup
    ) -> Scores:
        """Agreement with the teacher; a stream hears clips one after the other, without a break."""
        (clips,) = data.evaluation_arrays(items)
        if not setup.streams:
            ours = _vectors(network.whole(setup.features_of(clips), at_once=16))
        else:
            ours = _in_a_stream(network, clips, setup)
        found = agreement(*self._compared(ours, self.teacher.embed(clips)))
        split = data.split_of(items)
        return {name: found[name] for name in TOLD} | judged(
            self.probes, lambda probe: self._judged(probe, network, data, split, setup)
        )

    def _judged(
        self, probe: LabelProbe, network: Network, data: EmbeddingData, split: str, setup: Setup
    ) -> Judgement:
        samples = probed_samples(probe.name, probe.clip_ms, setup)

        def embed(clips: np.ndarray) -> np.ndarray:
            return of_clips(network, clips, setup, self.skipped)

        return judge(probe, embed, data, split, samples)

    def row(
        self,
        networks: Networks,
        runtimes: Sequence[str],
        data: Any,
        items: Sequence[ClipItem],
        setup: Setup,
    ) -> dict[str, Any]:
        """The quantized reading is the program, to the bit: probes are not trained for both."""
        scored = [name for name in runtimes if not (self.probes and name == "quantized")]
        return super().row(networks, scored, data, items, setup)

    def show(self, scores: Scores) -> list[str]:
        """The agreement, then the figures of each probe with their intervals."""
        plain = {name: scores[name] for name in TOLD if name in scores}
        probed = (line for probe in self.probes for line in lines(probe, scores))
        return [*super().show(plain), *probed]

    def _compared(self, ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What counts of vectors [n, m, D]: [n * m', D] each."""
        most = min(ours.shape[1], theirs.shape[1])
        kept = (x[:, self.skipped : most].reshape(-1, x.shape[-1]) for x in (ours, theirs))
        ours, theirs = kept
        return ours, theirs


def _vectors(answers: np.ndarray) -> np.ndarray:
    """[n, m, D] of a network's answers, in whatever shape its runtime gives them."""
    return answers.reshape(len(answers), -1, answers.shape[-1])


def _in_a_stream(network: Network, clips: np.ndarray, setup: Setup) -> np.ndarray:
    """Vectors [n, m, D] of clips that follow each other.

    Each starts with a block, so that its answers are where those of a clip from silence would be.
    """
    hop = setup.block_frames * setup.frontend.hop_samples
    per_clip = math.ceil(clips.shape[1] / hop)
    padded = np.pad(clips, ((0, 0), (0, per_clip * hop - clips.shape[1])))
    stream = Stream(network, setup)
    more = np.zeros(setup.frontend.window_samples, np.int16)  # so that the last block is answered
    answers = stream.push(np.concatenate([padded.reshape(-1), more]))
    answers = answers.reshape(-1, answers.shape[-1])
    vectors = len(answers) // (len(padded) * per_clip) * per_clip
    return answers[: len(padded) * vectors].reshape(len(padded), vectors, -1)
