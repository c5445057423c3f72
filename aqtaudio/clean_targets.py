"""Training speech without the noise of its own recording.

Recordings of rooms have a floor. As a target it teaches a model to leave so much noise; a published
model, trained on studio recordings, takes it away once, before training.
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from aqtaudio.data.audio import to_int16
from aqtaudio.enhancement import whole
from aqtaudio.enhancement.filtering import Filtering
from aqtaudio.enhancement.mixing import NOMINAL_DBFS, SILENT_RMS
from aqtaudio.enhancement.task import Enhancement
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.models.deep_filter_net import DeepFilterNet3
from aqtaudio.training.restore import is_published, published
from aqtaudio.vocabulary.floating import Floating

PIECE_S, BEFORE_S, BEHIND_S = 10, 2, 1
"""Recordings are cleaned in pieces, each with what comes before and behind it."""


def cleaner_of(experiment: Experiment) -> Callable[[np.ndarray], np.ndarray] | None:
    """Recordings int16 [N] to int16 [N], by the published weights that `task.cleaned_by` names.

    None where it names nothing. Raises BadInput where it names something else.
    """
    if not isinstance(experiment.task, Enhancement) or experiment.task.cleaned_by is None:
        return None
    task, frontend = experiment.suppression
    if not is_published(task.cleaned_by):
        raise BadInput(f"task.cleaned_by is {task.cleaned_by}; allowed: published weights (.npz)")
    rate_hz = frontend.sample_rate_hz
    try:
        reference = dataclasses.replace(
            experiment,
            model=DeepFilterNet3(norm=False),
            frontend=DeepFilterFeatures(sample_rate_hz=rate_hz),
            task=Enhancement(),
            init_from=task.cleaned_by,
            init_differs=(),
            stream_block_frames=1,
        )
        variables = published(reference)
    except BadInput as error:
        raise BadInput(f"task.cleaned_by: {error}") from None
    enhance = whole.enhancer(reference.model, Floating(), Filtering(), reference.frontend)
    piece, before, behind = (seconds * rate_hz for seconds in (PIECE_S, BEFORE_S, BEHIND_S))

    def cleaned(samples: np.ndarray) -> np.ndarray:
        rms = float(np.sqrt(np.mean(np.square(samples / 32768))))
        gain = 10 ** (NOMINAL_DBFS / 20) / max(rms, SILENT_RMS)
        pieces = -(-len(samples) // piece)
        padded = np.pad(samples, (before, pieces * piece - len(samples) + behind))
        audio = (gain / 32768 * padded).astype(np.float32)
        sounds = []
        for start in range(0, pieces * piece, piece):
            heard = audio[start : start + before + piece + behind]
            sound = np.asarray(enhance(variables, jnp.asarray(heard[None])))[0]
            sounds.append(sound[before : before + piece])
        return to_int16(np.concatenate(sounds)[: len(samples)] / gain)

    return cleaned
