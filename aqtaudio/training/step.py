"""One training step: clips to features to logits to new parameters, in one compiled program."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from aqtaudio.compression import low_rank
from aqtaudio.data.augmentation import augment_audio, mask_features
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.program.compiler import compiled
from aqtaudio.training import task
from aqtaudio.training.context import heard
from aqtaudio.training.learned_ranges import changed, logarithmic, replaced, trained
from aqtaudio.training.phases import Phase
from aqtaudio.vocabulary.signal import start

State = dict[str, Any]


def transformation(settings: Optimizer) -> optax.GradientTransformation:
    """AdamW, warm-up, cosine decay; weight decay on kernels only."""

    def kernels_only(params: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    return optax.chain(
        optax.clip_by_global_norm(5.0),
        optax.adamw(schedule(settings), weight_decay=settings.weight_decay, mask=kernels_only),
    )


def schedule(settings: Optimizer) -> optax.Schedule:
    """Learning rate by step."""
    warmup = min(settings.warmup_steps, max(settings.steps - 1, 0))
    return optax.warmup_cosine_decay_schedule(
        0.0, settings.learning_rate, warmup, max(settings.steps, 1), 0.0
    )


def initial_state(variables: dict[str, Any], phase: Phase) -> State:
    """State of a phase that starts from a copy of `variables` (steps donate their state)."""
    variables = jax.tree.map(jnp.copy, variables)
    return {
        "params": variables["params"],
        "collections": {name: variables[name] for name in phase.collections},
        "optimizer": transformation(phase.optimizer).init(trained(variables, phase)),
    }


def make_features(experiment: Experiment, noise: jax.Array) -> Callable:
    """(key, int16 clips [B, N]) -> augmented features [B, T, F]."""
    settings = experiment.augmentation
    clips_before = experiment.stream_context_clips if experiment.streams else 0

    def features(key: jax.Array, clips: jax.Array) -> jax.Array:
        audio_key, mask_key = jax.random.split(key)
        audio = clips.astype(jnp.float32) / 32768
        audio = augment_audio(audio_key, audio, noise, settings, experiment.frontend.sample_rate_hz)
        return mask_features(mask_key, experiment.features(audio, clips_before), settings)

    return features


def make_step(experiment: Experiment, model: nn.Module, phase: Phase, noise: jax.Array) -> Callable:
    """A compiled (state, step, clips int16 [B, N], classes [B]) -> (state, measures)."""
    update = transformation(phase.optimizer)
    features_of = make_features(experiment, noise)
    smoothing = phase.optimizer.label_smoothing
    offset = 0 if phase.name == "float" else 1_000_000

    def step(state: State, number: jax.Array, clips: jax.Array, classes: jax.Array):
        key = jax.random.fold_in(jax.random.key(experiment.seed), number + offset)
        features = features_of(key, clips)
        # Augmentation draws from the keys 0 and 1 below this one.
        keys = {"gradients": jax.random.fold_in(key, 2)} if phase.draws else None

        before = {"params": state["params"], **state["collections"]}
        values = trained(before, phase)

        def objective(values: Any):
            variables = replaced(before, values, phase)
            mutable = list(phase.mutable)
            if experiment.streams:
                clips_before = experiment.stream_context_clips
                variables |= heard(
                    model, variables, features, phase.reading, clips_before, phase.mutable
                )
                mutable.append("state")
            out, updated = model.apply(
                variables, start(features, phase.reading), mutable=mutable, rngs=keys
            )
            updated = {name: updated[name] for name in phase.mutable if name in updated}
            logits = out.real()
            fit = task.loss(logits, classes, smoothing)
            measures = {"loss": fit, "accuracy": task.accuracy(logits, classes)}
            extra = low_rank.penalty(variables["params"], experiment.recipe)
            return fit + extra, (measures | {"penalty": extra}, updated)

        gradients, (measures, updated) = jax.grad(objective, has_aux=True)(values)
        gradients = logarithmic(gradients, values, phase)
        changes, optimizer = update.update(gradients, state["optimizer"], values)
        after = replaced(before, changed(values, changes, phase), phase)
        new = {
            "params": after.pop("params"),
            "collections": after | updated,
            "optimizer": optimizer,
        }
        return new, measures

    return compiled(step, donate_argnums=0)
