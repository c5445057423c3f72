"""Training speech without the noise of its own recording.

Recordings of rooms have a floor. As a target it teaches a model to leave so much noise; a published
model, trained on studio recordings, takes it away once, before training.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aqtaudio.data.audio import to_int16
from aqtaudio.data.cache_folder import default_folder
from aqtaudio.data.mixing import NOMINAL_DBFS, SILENT_RMS
from aqtaudio.errors import BadInput
from aqtaudio.files import replacing
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.models import published
from aqtaudio.models.deep_filter_net import DeepFilterNet3
from aqtaudio.tasks.enhancement import whole
from aqtaudio.tasks.enhancement.filtering import Filtering
from aqtaudio.tasks.model_network import ModelNetwork
from aqtaudio.tasks.setup import Setup
from aqtaudio.vocabulary.floating import Floating

PIECE_S, BEFORE_S, BEHIND_S = 10, 2, 1
"""Recordings are cleaned in pieces, each with what comes before and behind it."""
CLIP_MS = 3000
FORMAT = 1
"""Of what is kept; another where the arithmetic changes."""


def cleaner(file: str, rate_hz: int) -> Callable[[np.ndarray], np.ndarray]:
    """Recordings int16 [N] to int16 [N], by the published weights in `file`.

    What it made is kept on disk, under a hash of weights and recording: the model is slow.

    Raises BadInput, naming the setting, where it holds something else.
    """
    if not published.is_published(file):
        raise BadInput(f"task.cleaned_by is {file}; allowed: published weights (.npz)")
    frontend = DeepFilterFeatures(sample_rate_hz=rate_hz)
    model, setup = DeepFilterNet3(norm=False), Setup(frontend, CLIP_MS, block_frames=1)
    try:
        variables = published.read(model, file)
        published.require_layers(variables, model, setup.feature_shape, file)
    except BadInput as error:
        raise BadInput(f"task.cleaned_by: {error}") from None
    network = ModelNetwork(model, variables, Floating(), setup)
    piece, before, behind = (seconds * rate_hz for seconds in (PIECE_S, BEFORE_S, BEHIND_S))

    told = f"{FORMAT}\n{rate_hz}\n".encode() + Path(file).read_bytes()
    weights = hashlib.sha256(told).digest()

    def cleaned(samples: np.ndarray) -> np.ndarray:
        name = hashlib.sha256(weights + samples.tobytes()).hexdigest()[:24]
        kept = default_folder() / "cleaned" / f"{name}.npy"
        try:
            return np.load(kept)
        except (OSError, ValueError):  # not there, or not whole
            made = clean(samples)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as new:
            np.save(new, made)
        return made

    def clean(samples: np.ndarray) -> np.ndarray:
        rms = float(np.sqrt(np.mean(np.square(samples / 32768))))
        gain = 10 ** (NOMINAL_DBFS / 20) / max(rms, SILENT_RMS)
        pieces = -(-len(samples) // piece)
        padded = np.pad(samples, (before, pieces * piece - len(samples) + behind))
        audio = (gain / 32768 * padded).astype(np.float32)
        sounds = []
        for start in range(0, pieces * piece, piece):
            heard = audio[start : start + before + piece + behind]
            sound = whole.of_audio(network, heard[None], Filtering(), frontend)[0]
            sounds.append(sound[before : before + piece])
        return to_int16(np.concatenate(sounds)[: len(samples)] / gain)

    return cleaned
