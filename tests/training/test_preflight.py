"""Starting from another run, and what is refused before anything is trained or written."""

import json
import shutil

import jax
import numpy as np
import pytest
from corpus import EXPERIMENT, LOW_RANK, RATE_HZ

from aqtaudio.compression import low_rank
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, Keywords
from aqtaudio.frontends.spectral import LogMel
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.models.gru import KeywordGRU
from aqtaudio.recipe import FLOAT, Recipe, Rule
from aqtaudio.recipe import low_rank as low_rank_recipe
from aqtaudio.runs.run import Run
from aqtaudio.settings import overlay
from aqtaudio.tasks.keywords.data import KeywordData
from aqtaudio.training.loop import Trainer
from aqtaudio.training.phases import phase_directory
from aqtaudio.training.preflight import require_trainable
from aqtaudio.training.restore import answering_anew, fresh
from aqtaudio.vocabulary.layer_tree import flatten

pytestmark = pytest.mark.optimized(False)


@pytest.fixture(scope="module")
def data(tone_corpus):
    return KeywordData.load([tone_corpus], ("low", "high"), RATE_HZ, RATE_HZ // 2)


def test_float_phase_of_no_steps_is_the_parents_model(tiny_run, data, tmp_path):
    child = overlay(
        EXPERIMENT, {"init_from": str(tiny_run), "optimizer.steps": 0, "recipe": FLOAT, "seed": 7}
    )
    evaluation = data.evaluation_arrays(data.evaluation_list("val"))
    floating, quantized = Trainer(child, data, tmp_path, evaluation).train()
    parent = Run(tiny_run).variables("float")
    assert quantized is None
    assert jax.tree.structure(floating) == jax.tree.structure(parent)
    for ours, theirs in zip(jax.tree.leaves(floating), jax.tree.leaves(parent), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model.width": 16}, "model.*width is 8 there, 16 here"),
        ({"model.strides": (1, 1)}, "model.*strides"),
        ({"task.keywords": ("low", "other")}, "task.*keywords"),
        ({"frontend.coefficients": 8}, "frontend.*coefficients is 10 there, 8 here"),
        ({"frontend": LogMel(RATE_HZ, upper_hz=3500.0)}, "frontend.*Mfcc there, LogMel here"),
    ],
)
def test_parent_of_another_kind(change, named, tiny_run):
    with pytest.raises(BadInput, match=named):
        require_trainable(overlay(EXPERIMENT, {"init_from": str(tiny_run), **change}))


def test_parent_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="nowhere.*not a run"):
        require_trainable(overlay(EXPERIMENT, {"init_from": str(tmp_path / "nowhere")}))


def test_parent_that_has_no_checkpoint(tiny_artifact):
    with pytest.raises(BadInput, match="no checkpoint"):
        require_trainable(overlay(EXPERIMENT, {"init_from": str(tiny_artifact)}))


def test_parent_that_has_not_ended(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "parent")
    shutil.rmtree(phase_directory(tmp_path / "parent", "float") / "60")
    with pytest.raises(BadInput, match="a checkpoint of step 40; .* at 60"):
        require_trainable(overlay(EXPERIMENT, {"init_from": str(tmp_path / "parent")}))


def test_parent_whose_settings_are_damaged(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "parent")
    (tmp_path / "parent" / "config.json").write_text(json.dumps({"type": "nothing:At"}))
    with pytest.raises(BadInput, match="config"):
        require_trainable(overlay(EXPERIMENT, {"init_from": str(tmp_path / "parent")}))


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        (Recipe(rules=(Rule("conv"),)), "no rule matches"),
        (Recipe(rules=(Rule("conv|depthwise_1|pointwise_1"),)), "no rule matches layer 'logits'"),
        (Recipe(rules=(Rule("conv|.*wise_1|logits"),)), "no rule matches layer 'input'"),
        (Recipe(rules=(Rule("conv|.*wise_1|logits|input"),)), None),
        (Recipe(rules=(Rule("conv", svd_penalty=0.1), Rule())), "layer 'conv'.*1x1"),
        (Recipe(rules=(Rule("depth.*", svd_penalty=0.1), Rule())), "layer 'depthwise_1'.*1x1"),
        (LOW_RANK.recipe, None),
        (EXPERIMENT.recipe, None),
    ],
)
def test_recipe_that_does_not_fit_the_model(recipe, named):
    experiment = overlay(EXPERIMENT, {"recipe": recipe})
    if named is None:
        require_trainable(experiment)
        return
    with pytest.raises(BadInput, match=named):
        require_trainable(experiment)


@pytest.mark.parametrize(
    ("path", "value"),
    [("model.width", 0), ("model.width", -3), ("model.kernel", (0, 4)), ("model.strides", (0, 1))],
)
def test_model_that_cannot_be_built(path, value):
    with pytest.raises(BadInput, match="cannot be built"):
        require_trainable(overlay(EXPERIMENT, {path: value}))


@pytest.mark.parametrize("mode", ["native", "fake"])
def test_what_no_kernel_runs_is_refused_with_its_rule(mode: str):
    recipe = Recipe(mode, (Rule("logits"), Rule(weight_bits=4, activation_bits=16)))
    experiment = Experiment(model=DSCNN(width=4, blocks=1), recipe=recipe)
    with pytest.raises(BadInput, match=r"recipe rule '\.\*', layer conv: 4-bit weights with 16"):
        require_trainable(experiment)


@pytest.mark.parametrize("mode", ["native", pytest.param("fake", marks=pytest.mark.slow), "float"])
def test_a_model_without_batch_norm_trains_too(mode: str):
    model = KeywordGRU(units=3, hidden=(2, 2))
    short = Keywords(("low", "high"), clip_ms=100)  # every frame of a GRU is recorded
    require_trainable(Experiment(model=model, task=short, recipe=Recipe(mode)))


# --- what may differ from the parent


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"frontend": LogMel(RATE_HZ, upper_hz=3500.0, mel_bands=10)}, None),
        ({"frontend": LogMel(RATE_HZ, upper_hz=3500.0)}, r"\(24, 10\) there, \(24, 40\) here"),
        ({"frontend.hop_ms": 10.0}, r"\(24, 10\) there, \(47, 10\) here"),
        ({"task.keywords": ("low", "other")}, "another task"),
        ({"model.width": 16}, "another model"),
    ],
)
def test_another_front_end_of_the_same_shape(change, named, tiny_run):
    asked = {"init_from": str(tiny_run), "init_differs": ("frontend",), **change}
    if named is None:
        require_trainable(overlay(EXPERIMENT, asked))
        return
    with pytest.raises(BadInput, match=named):
        require_trainable(overlay(EXPERIMENT, asked))


@pytest.mark.parametrize(
    ("keywords", "new"),
    [(("other",), ["logits"]), (("other", "low"), ["logits"]), (("low", "high"), [])],
)
def test_a_parent_of_another_task_gives_all_but_its_answers(keywords, new, tiny_run, tone_corpus):
    changes = {"task.keywords": keywords, "init_differs": ("task",), "optimizer.steps": 0}
    child = overlay(EXPERIMENT, {"init_from": str(tiny_run), "recipe": FLOAT, **changes})
    require_trainable(child)
    data = KeywordData.load([tone_corpus], keywords, RATE_HZ, RATE_HZ // 2)
    evaluation = data.evaluation_arrays(data.evaluation_list("val"))
    start = Trainer(child, data, tiny_run / "never", evaluation)._float_start()
    parent = Run(tiny_run).variables("float")
    assert start["params"]["logits"]["kernel"].shape[-1] == len(keywords) + 2
    assert set(start["params"]) == set(parent["params"])
    for name, layer in start["params"].items():
        shapes = [jax.tree.map(np.shape, one["params"][name]) for one in (start, parent)]
        same = shapes[0] == shapes[1] and jax.tree.all(
            jax.tree.map(np.array_equal, layer, parent["params"][name])
        )
        assert same == (name not in new), name
    assert jax.tree.all(jax.tree.map(np.array_equal, start["batch_stats"], parent["batch_stats"]))


def test_a_float_run_has_nobody_to_teach():
    with pytest.raises(BadInput, match="distillation is for the quantized phase"):
        require_trainable(overlay(EXPERIMENT, {"recipe": FLOAT, "distillation": "1.0"}))


def test_a_difference_needs_a_parent():
    with pytest.raises(BadInput, match="init_differs is given without init_from"):
        require_trainable(overlay(EXPERIMENT, {"init_differs": ("task",)}))


def test_a_decomposed_parent_of_another_task():
    """The logits start fresh as a whole, whatever form they were trained in."""
    recipe = low_rank_recipe("logits|pointwise_1", 0.02, 0.8)
    experiment = overlay(EXPERIMENT, {"recipe": recipe})
    child = overlay(experiment, {"task.keywords": ("low",), "seed": 1})
    parent, new = fresh(experiment), fresh(child)
    parent |= {"params": low_rank.decompose(parent["params"], recipe)}
    found = answering_anew(parent, child)["params"]
    assert np.array_equal(found["logits"]["kernel"], new["params"]["logits"]["kernel"])
    merged = low_rank.merge(parent["params"])
    assert np.array_equal(found["pointwise_1"]["kernel"], merged["pointwise_1"]["kernel"])


def test_fresh_layers_are_in_the_models_order():
    """What takes the last layers, and what tells of layers, goes by it."""
    for seed in (0, 1):
        layers = flatten(fresh(overlay(EXPERIMENT, {"seed": seed}))["params"])
        assert list(layers) == ["conv", "depthwise_1", "pointwise_1", "logits"]
