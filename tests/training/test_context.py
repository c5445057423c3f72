"""Training with context: a clip's forward pass is that of a stream that has heard others."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from cases import SMALL_KEYWORDS
from corpus import RATE_HZ, STREAM
from initial import calibrated, initial
from trained import random_features

from aqtaudio.compression.fold import fold
from aqtaudio.errors import BadInput
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import Executor
from aqtaudio.recipe import W8A8
from aqtaudio.settings import overlay
from aqtaudio.training.context import after_clips
from aqtaudio.training.preflight import require_trainable
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.recording import clip, record
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized("slow")

CASES = {case.name: case for case in SMALL_KEYWORDS}


@functools.cache
def trained(name: str):
    case, x = CASES[name], random_features(CASES[name], 4)
    fresh = initial(case.model, x)
    params = fold(fresh["params"], fresh.get("batch_stats", {}))
    return case, x, {"params": params, "ranges": calibrated(case.model, params, [x], W8A8)}


@functools.cache
def streamed(name: str) -> Executor:
    case, _, variables = trained(name)
    lengths = clip(case.model, variables, case.features)
    shape = (1, case.features[1])
    return Executor(record(case.model, variables | lengths, shape, W8A8, stream=True))


@pytest.mark.parametrize(
    ("name", "clips"),
    [
        ("matchbox_net_small_causal", 2),
        pytest.param("matchbox_net_small_causal", 0, marks=pytest.mark.slow),
        pytest.param("gru_small", 2, marks=pytest.mark.slow),
        pytest.param("gru_small", 0, marks=pytest.mark.slow),
    ],
)
def test_training_step_is_the_program_in_a_stream(name: str, clips: int):
    """The integers of the forward pass with context are those of the recorded stream."""
    case, x, variables = trained(name)
    reading = Quantized(W8A8)

    @compiled
    def forward(variables, features):
        context = after_clips(case.model, variables, features, reading, clips)
        signal = start(features, reading)
        return case.model.apply(variables | context, signal, mutable=["state"])[0].values

    found = np.asarray(forward(variables, x))
    executor, row = streamed(name), 3
    audio = np.concatenate([x[row - n] for n in range(clips, -1, -1)])
    codes = executor.quantize(audio)
    np.testing.assert_array_equal(executor(codes)[-1], found[row])


def test_context_has_no_gradient_and_leaves_statistics_alone():
    case, x, _ = trained("matchbox_net_small_causal")
    variables = initial(case.model, x)

    def state(params):
        context = after_clips(
            case.model, variables | {"params": params}, x, Floating(), 1, ("batch_stats",)
        )
        assert set(context) == {"clip", "state"}
        return sum(jax.numpy.sum(leaf) for leaf in jax.tree.leaves(context["state"]))

    gradients = jax.jit(jax.grad(state))(variables["params"])
    assert all(np.all(np.asarray(leaf) == 0) for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.causal": False}, "SAME padding looks ahead"),
        ({"stream_block_frames": 25}, "0 (whole clips) to 24"),
        ({"stream_block_frames": -1}, "0 (whole clips) to 24"),
        ({"stream_context_clips": -1}, "allowed: 0 to 15"),
    ],
)
def test_what_does_not_stream_is_refused_before_training(changes, message):
    with pytest.raises(BadInput) as refusal:
        require_trainable(overlay(STREAM, changes))
    assert message in str(refusal.value)


def test_front_ends_that_remember_have_heard_the_clips_before():
    """Row 1 of a batch comes after row 0, as if they were one recording."""
    frontend = MicroFrontend(sample_rate_hz=RATE_HZ, channels=10, upper_hz=3500.0)
    experiment = dataclasses.replace(STREAM, frontend=frontend)
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal((3, experiment.setup.clip_samples))).astype(np.float32)
    push = jax.jit(frontend.push)
    _, state = push(audio[:1], frontend.initial_state(1))
    expected, _ = push(audio[1:2], state)
    found = experiment.setup.features(audio, clips_before=1)
    np.testing.assert_array_equal(found[1], expected[0][-experiment.setup.feature_shape[0] :])
    assert not np.array_equal(found[1], experiment.setup.features(audio)[1])
