"""An encoder of phones that streams, and the network that makes keywords' filters for it.

The encoder is trained by CTC on phones; the network of filters trains beside it (a companion) on
phrases of the same clips, whose places the encoder's own alignment tells. A device runs the encoder
and filters; `adaptation.enroll` makes these of text.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict

from aqtaudio.data.mixing import Mixing
from aqtaudio.errors import BadInput
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import Batch, Beside, Companion, Headlines, Network, Scores, Task, Tree
from aqtaudio.tasks.text_keywords import ctc
from aqtaudio.tasks.text_keywords.contrast import Asked, contrast
from aqtaudio.tasks.text_keywords.data import PhoneData, SpokenItem
from aqtaudio.tasks.text_keywords.filters import FilterNetwork, Shape, answers, quantized
from aqtaudio.tasks.text_keywords.queries import MOST_PHONES

FILTERS = "filters"
TRUSTED_NATS = 2.2
"""Per label: above it an alignment says nothing yet, and the clip teaches filters nothing."""
HEARD = Mixing(
    snr_db=(5.0, 30.0),
    noise_only_probability=0.0,
    speech_only_probability=0.35,
    reverb_probability=0.3,
    band_limit_probability=0.1,
    level_dbfs=(-50.0, -14.0),
    level_step_probability=0.03,
    clipping_probability=0.05,
)


@dataclasses.dataclass(frozen=True)
class TextKeywords(Task):
    """Phones of continuous speech, and filters that find phrases by their phones.

    The first `ctc.CLASSES` values that the model puts out are the blank's and phones' logits; the
    others are there for the filters, which see all.

    Attributes:
      clip_ms: of a clip of training: several utterances.
      held_out: words whose recordings are left out, and all in whose transcript one is.
      mixing: how noise, rooms and levels are put on clips; None: not at all.
      passes: over all utterances, each in another order, at other speeds, in other noise.
      feature_noise: standard deviation of noise on features, in units of each feature's own.
      masked_frames: the longest of the two stretches of a clip that training hides.
      phrases: that are asked of each clip in a step.
      near: phrases nearly like each of them.
      filter_weight: of the filters' loss, over that of CTC per label.
      channels: values that the model puts out per frame.
      filters: the shape of a filter.
    """

    item: ClassVar[type] = SpokenItem
    headlines: ClassVar[Headlines] = Headlines(
        ("phone_accuracy",), titles={"phone_accuracy": "1 - phone error rate"}
    )
    unused: ClassVar[tuple[str, ...]] = (
        *("augmentation", "optimizer.label_smoothing", "finetune.label_smoothing"),
    )

    clip_ms: int = 17000
    held_out: tuple[str, ...] = ()
    mixing: Mixing | None = HEARD
    passes: int = 3
    feature_noise: float = 0.15
    masked_frames: int = 4
    phrases: int = 4
    near: int = 1
    filter_weight: float = 0.5
    channels: int = 64
    filters: Shape = Shape()

    def __post_init__(self):
        for name, least, most in (
            ("clip_ms", 1000, 60000),
            ("passes", 1, 100),
            ("feature_noise", 0, 10),
            ("masked_frames", 0, 50),
            ("phrases", 1, 32),
            ("near", 0, 8),
            ("filter_weight", 0, 100),
        ):
            if not least <= getattr(self, name) <= most:
                raise BadInput(
                    f"task.{name} is {getattr(self, name)}; allowed: {least:g} to {most:g}"
                )

    # What fits.

    def require_fit(self, setup: Setup) -> None:
        """Raises BadInput for a run of whole clips, or one that hears clips before clips."""
        if not setup.streams or setup.clips_before:
            raise BadInput(
                "an encoder of phones streams, and its clips are from silence: set "
                "stream_block_frames to 1 and stream_context_clips to 0"
            )

    def require_answers(self, shape: tuple[int, ...], setup: Setup) -> None:
        """Raises BadInput where a frame has no answer, or there are too few values for phones."""
        if len(shape) != 3 or shape[1] != setup.feature_shape[0] or shape[2] < ctc.CLASSES:
            raise BadInput(
                f"the model's answers have shape {shape[1:]}; allowed: ({setup.feature_shape[0]}, "
                f"{ctc.CLASSES} or more), a frame for each of the front end's"
            )

    def fitted(self, model: nn.Module, more: int = 0) -> nn.Module:
        """The model with so many values per frame."""
        return model.clone(channels=self.channels + more)  # type: ignore[call-arg]

    # Data.

    def load(self, folders: Sequence[Path], setup: Setup, splits: Sequence[str]) -> PhoneData:
        """Recordings with transcripts, and isolated words."""
        asked = self.phrases, self.near
        how = setup, splits, self.held_out, self.mixing, self.passes, asked
        return PhoneData.load(folders, *how)

    def prepared(self, data: PhoneData, setup: Setup) -> PhoneData:
        """With the features of all clips."""
        return data.prepared(lambda text: print(text, flush=True))

    def given(self, data: PhoneData) -> np.ndarray:
        """The standard deviation of each feature."""
        return data.deviations()

    def recordings(self, data: PhoneData, items: Sequence[SpokenItem], n: int) -> np.ndarray:
        """Clips of the list."""
        return data.recordings(items[:n])

    # Training.

    def examples(self, key: jax.Array, batch: Batch, given: Any, setup: Setup) -> tuple[Any, Any]:
        """Features [B, T, F] in noise and with gaps; labels, counts and what is asked."""
        features, labels, counts, *asked = batch
        noise_key, mask_key = jax.random.split(key)
        features = features.astype(jnp.float32)
        features += self.feature_noise * given * jax.random.normal(noise_key, features.shape)
        for each in jax.random.split(mask_key):
            features = _gap(each, features, self.masked_frames)
        return features, (labels, counts, Asked(*asked))

    def objective(
        self, answers: jax.Array, targets: Any, setup: Setup, beside: Beside, label_smoothing: Any
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """CTC per label, and what filters of the phrases find."""
        labels, counts, asked = targets
        logits = answers[..., : ctc.CLASSES]
        padding = jnp.arange(labels.shape[1]) >= counts[:, None]
        free = jnp.zeros(logits.shape[:2])
        each = optax.ctc_loss(logits, free, labels, padding.astype(jnp.float32)) / counts
        loss = jnp.mean(each)
        measures = {"ctc": loss}
        if not self.filter_weight:
            return loss, measures
        fixed = jax.lax.stop_gradient(jax.nn.log_softmax(logits))
        frames = ctc.aligned(fixed, labels, counts)
        trust = jax.nn.sigmoid(6 * (TRUSTED_NATS - jax.lax.stop_gradient(each)))
        phones = asked.phones.reshape(-1, MOST_PHONES)
        made = quantized(beside[FILTERS](phones, asked.counts.reshape(-1)), self.filters)
        more, told = contrast(self._answers(answers, made), asked, frames, trust)
        return loss + self.filter_weight * more, measures | told

    def _answers(self, features: jax.Array, made: jax.Array) -> jax.Array:
        return answers(features, made, self.filters)

    def companions(self, setup: Setup) -> Mapping[str, Companion]:
        """The network of filters."""
        if not self.filter_weight:
            return {}
        phones, counts = jnp.ones((1, MOST_PHONES), jnp.int32), jnp.ones((1,), jnp.int32)
        return {FILTERS: Companion(self.filter_network, (phones, counts), learning_rate=2e-3)}

    @property
    def filter_network(self) -> FilterNetwork:
        """Which makes filters."""
        return FilterNetwork(self.filters, self.channels)

    def kept(self, companions: Mapping[str, Tree]) -> Mapping[str, np.ndarray]:
        """Its parameters, in half precision: they are rounded to codes in any case."""
        if FILTERS not in companions:
            return {}
        flat = flatten_dict(companions[FILTERS], sep="/")
        return {name: np.asarray(value, np.float16) for name, value in flat.items()}

    # Figures.

    def validation(
        self,
        network: Network,
        arrays: tuple[np.ndarray, ...],
        setup: Setup,
        label_smoothing: float | None,
    ) -> dict[str, float]:
        """The phone error rate."""
        rate = 1 - self.scores_of(network, arrays)["phone_accuracy"]
        return {"val_per": rate} | ({} if label_smoothing is None else {"val_loss": rate})

    def scores(
        self, network: Network, data: PhoneData, items: Sequence[SpokenItem], setup: Setup
    ) -> Scores:
        """The phone error rate of the greedy path."""
        return self.scores_of(network, data.evaluation_arrays(items))

    def scores_of(self, network: Network, arrays: tuple[np.ndarray, ...]) -> Scores:
        """The same of arrays as `PhoneData.evaluation_arrays` gives them."""
        _, features, labels, counts = arrays
        found = network.whole(features, at_once=16)
        found = found.reshape(len(features), -1, found.shape[-1])[..., : ctc.CLASSES]
        wrong = [
            ctc.errors(path, label[:count])
            for path, label, count in zip(ctc.greedy(found), labels, counts, strict=True)
        ]
        total = int(np.sum(counts))
        return {"phone_accuracy": 1 - sum(wrong) / total, "phones": total}


def _gap(key: jax.Array, features: jax.Array, most: int) -> jax.Array:
    """A stretch of up to `most` frames of each clip is zero."""
    clips, frames, _ = features.shape
    length_key, place_key = jax.random.split(key)
    length = jax.random.randint(length_key, (clips, 1), 0, most + 1)
    first = jax.random.randint(place_key, (clips, 1), 0, frames)
    at = jnp.arange(frames)
    return jnp.where(((at >= first) & (at < first + length))[..., None], 0.0, features)
