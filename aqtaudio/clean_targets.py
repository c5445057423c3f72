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
from aqtaudio.enhancement.data import EnhancementData
from aqtaudio.enhancement.filtering import Filtering
from aqtaudio.enhancement.task import Enhancement
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.models.deep_filter_net import DeepFilterNet3
from aqtaudio.run_directory import Data
from aqtaudio.training.restore import is_published, published
from aqtaudio.vocabulary.floating import Floating

LEVEL_RMS = 10 ** (-25 / 20)  # published models depend on it
LENGTH_S = 10  # recordings are padded to multiples of it: few lengths to compile


def with_clean_targets(data: Data, experiment: Experiment) -> Data:
    """`data` with its training speech as `task.cleaned_by` leaves it; as it is without one."""
    if not isinstance(data, EnhancementData) or experiment.suppression[0].cleaned_by is None:
        return data
    return data.with_training_speech(cleaner(experiment))


def cleaner(experiment: Experiment) -> Callable[[np.ndarray], np.ndarray]:
    """Recordings int16 [N] to int16 [N], by the published weights that `task.cleaned_by` names.

    Raises BadInput where it names none.
    """
    task, frontend = experiment.suppression
    if not is_published(task.cleaned_by):
        raise BadInput(f"task.cleaned_by is {task.cleaned_by}; allowed: published weights (.npz)")
    rate_hz = frontend.sample_rate_hz
    reference = dataclasses.replace(
        experiment,
        model=DeepFilterNet3(norm=False),
        frontend=DeepFilterFeatures(sample_rate_hz=rate_hz),
        task=Enhancement(),
        init_from=task.cleaned_by,
        init_differs=(),
    )
    try:
        variables = published(reference)
    except BadInput as error:
        raise BadInput(f"task.cleaned_by: {error}") from None
    enhance = whole.enhancer(reference.model, Floating(), Filtering(), reference.frontend)

    def cleaned(samples: np.ndarray) -> np.ndarray:
        audio = samples / np.float32(32768)
        gain = LEVEL_RMS / max(float(np.sqrt(np.mean(np.square(audio)))), 1e-6)
        padded = np.pad(gain * audio, (0, -len(audio) % (LENGTH_S * rate_hz)))
        sound = np.asarray(enhance(variables, jnp.asarray(padded[None])))[0, : len(audio)]
        return to_int16(sound / gain)

    return cleaned
