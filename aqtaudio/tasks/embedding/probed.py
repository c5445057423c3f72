"""An embedding with a probe behind it, as one program: classes of recordings.

Artifacts have this task; nothing is trained by it.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import jax
import numpy as np
from scipy.special import expit

from aqtaudio.errors import BadInput
from aqtaudio.program.execute import Executor
from aqtaudio.tasks.embedding.data import ClipItem, EmbeddingData
from aqtaudio.tasks.embedding.label_probes import LabelProbe
from aqtaudio.tasks.embedding.metrics import accuracy, tagging_scores
from aqtaudio.tasks.embedding.probe_clips import scored_clips
from aqtaudio.tasks.setup import Setup
from aqtaudio.tasks.task import Batch, Beside, Headlines, Network, Scores, Task


@dataclasses.dataclass(frozen=True)
class Probed(Task):
    """What a probe says of single clips.

    Attributes:
      probe: which recordings are of which class; its labels, not its settings, count here.
      classes: in the order of the outputs.
      clip_ms: of the network.
    """

    item: ClassVar[type] = ClipItem

    probe: LabelProbe
    classes: tuple[str, ...]
    clip_ms: int

    @property
    def headlines(self) -> Headlines:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The probe's main figure."""
        return Headlines((self.probe.main,))

    def load(self, folders: Sequence[Path], setup: Setup, splits: Sequence[str]) -> EmbeddingData:
        """All recordings."""
        return EmbeddingData.load(
            folders, setup.frontend.sample_rate_hz, setup.clip_samples, splits, "any"
        )

    def scores(
        self, network: Network, data: EmbeddingData, items: Sequence[ClipItem], setup: Setup
    ) -> Scores:
        """On the split of the items; every recording of the classes in it."""
        split = data.split_of(items)
        clips = scored_clips(data, self.probe, setup.clip_samples, split, self.classes)
        logits = network.whole(setup.features_of(clips.clips)).reshape(len(clips.clips), -1)
        if self.probe.settings.multi_label:
            figure = tagging_scores(clips.truths, expit(logits.astype(np.float64)))["micro_auprc"]
            return {self.probe.main: figure, "details": {"n": len(logits), "intervals": {}}}
        found = accuracy(clips.truths, logits.argmax(axis=1))
        details = {"n": found["n"], "intervals": {self.probe.main: found["interval"]}}
        return {self.probe.main: found["accuracy"], "details": details}

    def show(self, scores: Scores) -> list[str]:
        """The figure, on how many recordings."""
        (line,) = super().show(scores)
        return [f"{line}, {scores['details']['n']} recordings"]

    def device_files(self, setup: Setup, executor: Executor) -> Mapping[str, str]:
        """And the classes, in the order of the outputs."""
        names = ", ".join(json.dumps(name, ensure_ascii=False) for name in self.classes)
        labels = (
            "// The classes, in the order of the outputs.\n#pragma once\n\n"
            f"static const char* const kModelLabels[{len(self.classes)}] = {{{names}}};\n"
        )
        files = super().device_files(setup, executor)
        return {**files, "firmware/model_labels.h": labels}

    # Nothing is trained.

    def examples(  # noqa: D102
        self, key: jax.Array, batch: Batch, given: Any, setup: Setup
    ) -> NoReturn:
        self._refuse()

    def objective(  # noqa: D102
        self, answers: jax.Array, targets: Any, setup: Setup, beside: Beside, label_smoothing: Any
    ) -> NoReturn:
        self._refuse()

    def validation(  # noqa: D102
        self,
        network: Network,
        arrays: tuple[np.ndarray, ...],
        setup: Setup,
        label_smoothing: float | None,
    ) -> NoReturn:
        self._refuse()

    def require_answers(self, shape: tuple[int, ...], setup: Setup) -> NoReturn:
        """Training asks this first."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise BadInput(
            "an embedding with its probe is not trained; allowed: the embedding, and probe again"
        )
