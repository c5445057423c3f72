"""What tasks compute in a training step around the model becomes a GPU program.

From sound to features and targets, from answers to the loss, and its gradient; companions included.
"""

import dataclasses
import runpy
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lowered import largest_double, like, lowered, require_of_gpus, rounded

from aqtaudio.experiment import Experiment
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.models.phone_encoder import PhoneEncoder
from aqtaudio.settings import overlay
from aqtaudio.tasks.enhancement import stream as enhancement_stream
from aqtaudio.tasks.enhancement.task import Enhancement, frontend_of
from aqtaudio.tasks.keywords.spotting import Spotting
from aqtaudio.tasks.text_keywords.filters import Shape
from aqtaudio.tasks.text_keywords.task import MOST_PHONES, TextKeywords
from aqtaudio.training.companions import companions_of
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

pytestmark = [pytest.mark.optimized(False), pytest.mark.usefixtures("on_gpu")]

CONFIGS = Path(__file__).parents[2] / "configs"
CLIPS = 3


def config(name: str, **changes: Any) -> Experiment:
    experiment = runpy.run_path(str(CONFIGS / f"{name}.py"))["EXPERIMENT"]
    return overlay(experiment, changes)


def around_the_model(experiment: Experiment, given: Any, *batch: Any) -> list:
    """Operations of all that a step has but the model, its answers given."""
    task, setup = experiment.task, experiment.setup
    companions = companions_of(experiment, experiment.finetune)
    model, key = experiment.built_model(), jax.random.key(0)

    def answered(batch: Any, given: Any) -> Any:
        features, _ = task.examples(key, batch, given, setup)
        signal = start(features, Floating())
        return model.apply(model.init(key, signal), signal).real()

    def step(params: Any, answers: jax.Array, number: jax.Array, batch: Any, given: Any) -> Any:
        here = jax.random.fold_in(key, number)
        _, targets = seen = task.examples(here, batch, given, setup)

        def loss(answers: jax.Array, params: Any) -> jax.Array:
            beside = companions.functions(params)
            found = task.objective(answers, targets, setup, beside, 0.1)[0]
            if any(one.opposes for one in task.companions(setup).values()):
                found += task.opposing_objective(answers, targets, setup, beside)[0]
            return found

        return seen, jax.grad(loss, (0, 1))(answers, params)

    answers = jax.eval_shape(answered, batch, given)
    params = jax.eval_shape(lambda: companions.fresh(0)).get("companions", {})
    return lowered(step, params, answers, np.int32(1), batch, given)


def sound(experiment: Experiment, *leading: int) -> Any:
    return like((*leading, experiment.setup.clip_samples), jnp.int16)


def test_words_in_noise_and_rooms():
    experiment = config("kws_ds_cnn")
    batch = sound(experiment, CLIPS), like((CLIPS,), jnp.int32)
    operations = around_the_model(experiment, like((2, 20_000), jnp.int16), *batch)
    require_of_gpus(operations)
    assert largest_double(operations) == 0
    assert not rounded(operations)


def test_words_in_scenes():
    experiment = dataclasses.replace(config("wake_words"), task=Spotting(("alexa", "jarvis")))
    features = like((CLIPS, *experiment.setup.feature_shape))
    deviations = like(features.shape[-1:])
    operations = around_the_model(experiment, deviations, features, like((CLIPS,), jnp.int32))
    require_of_gpus(operations)
    assert largest_double(operations) == 0
    assert not rounded(operations)


def denoiser(network: str = "deep_filter_net") -> Experiment:
    return config(f"denoise_{network}", **{"task.clip_ms": "400"})


@pytest.mark.slow
@pytest.mark.parametrize("network", ["deep_filter_net", "fast_enhancer"])
def test_noise_suppression(network: str):
    experiment = denoiser(network)
    operations = around_the_model(
        experiment, (), sound(experiment, CLIPS), sound(experiment, CLIPS, 3)
    )
    require_of_gpus(operations)
    # Of the front end alone, whose law it is; the loss is float32.
    hops = experiment.setup.clip_samples // experiment.frontend.hop_samples + 3
    window = 2 * experiment.frontend.hop_samples
    assert 0 < largest_double(operations) <= 3 * CLIPS * hops * window
    assert not rounded(operations)


def test_a_hop_of_noise_suppression():
    experiment = denoiser()
    task = Enhancement.of(experiment.task)
    frontend = frontend_of(experiment.setup)
    hear, apply = enhancement_stream._steps.__wrapped__(frontend, task.filtering)
    state = jax.eval_shape(lambda: frontend.initial_state(1))
    samples = like((1, frontend.hop_samples))
    require_of_gpus(lowered(hear, samples, state))
    _, spectrum, _ = jax.eval_shape(hear, samples, state)
    outputs = like((1, 1, task.filtering.values(frontend)))
    tail, gain = like((1, frontend.hop_samples)), like((1,))
    spectra = like((1, task.filtering.taps, spectrum.shape[-1]), spectrum.dtype)
    operations = lowered(apply, outputs, spectra, tail, gain)
    require_of_gpus(operations)
    assert largest_double(operations) == 0
    assert not rounded(operations)


def extender(**changes: Any) -> Experiment:
    return config("bandwidth_seanet_small", **{"task.clip_ms": "400"}, **changes)


@pytest.mark.parametrize("weight", [0.0, pytest.param(0.1, marks=pytest.mark.slow)])
def test_bandwidth_extension(weight):
    """With discriminators, where they weigh something."""
    experiment = extender(**{"task.adversary.weight": str(weight)})
    assert len(experiment.task.companions(experiment.setup)) == (6 if weight else 0)
    operations = around_the_model(experiment, (), sound(experiment, CLIPS))
    require_of_gpus(operations)
    assert largest_double(operations) == 0
    assert weight or not rounded(operations)


def test_codecs_are_what_the_processor_does_meanwhile():
    experiment = extender(**{"task.narrowing.codec_probability": "0.5"})
    clips = sound(experiment, CLIPS)

    def examples(clips: jax.Array) -> Any:
        return experiment.task.examples(jax.random.key(0), (clips,), (), experiment.setup)

    # Lowered it can only be beside a GPU, whose processor it is that is called.
    assert str(jax.make_jaxpr(examples)(clips)).count("pure_callback[") == 1


def test_phones_and_their_filters():
    experiment = Experiment(
        model=PhoneEncoder(width=8, kernels=(3,)),
        task=TextKeywords(
            clip_ms=3000, mixing=None, channels=44, filters=Shape(2, 2, 2, 3), phrases=2
        ),
        frontend=Mfcc(),
        stream_block_frames=1,
        stream_context_clips=0,
    )
    features = like((CLIPS, *experiment.setup.feature_shape), jnp.float16)
    whole = jnp.int32
    labels, asked = (
        (like((CLIPS, 20), whole), like((CLIPS,), whole)),
        (
            like((CLIPS, 4, MOST_PHONES), whole),
            like((CLIPS, 4), whole),
            like((CLIPS, 2), whole),
            like((CLIPS, 2), whole),
            like((CLIPS, 4, CLIPS), whole),
        ),
    )
    operations = around_the_model(experiment, like(features.shape[-1:]), features, *labels, *asked)
    require_of_gpus(operations)
    assert largest_double(operations) <= 1000  # scales of the filters' codes
