"""Runs that train side by side in one compiled program are the runs that they are alone."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from corpus import EXPERIMENT, LOW_RANK, RATE_HZ, STREAM
from trained import by_edge

from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, save_json
from aqtaudio.recipe import W4A8, W8A8, W8A16, Recipe, Rule
from aqtaudio.runs.train import train_together as train_runs
from aqtaudio.settings import overlay
from aqtaudio.tasks.keywords.data import KeywordData
from aqtaudio.training.checkpoint import Checkpoints
from aqtaudio.training.loop import Trainer, train_together
from aqtaudio.training.phases import phase_directory
from aqtaudio.training.traced import signature, traced_bits
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized("slow")

MIXED = Recipe(
    rules=(
        Rule("pointwise_1", weight_bits=4, activation_bits=4),
        Rule("conv|depthwise_1", weight_bits=4),
        Rule(),
    )
)
SHORT = overlay(EXPERIMENT, {"optimizer.steps": "12", "finetune.steps": "8"})
ALIKE = {
    "w8a8": SHORT,
    "mixed, another seed, other rates": overlay(
        SHORT,
        {
            "recipe": MIXED,
            "seed": "3",
            "finetune.learning_rate": "2e-3",
            "finetune.weight_decay": "0.01",
            "finetune.gradient_clip": "0.5",
            "optimizer.label_smoothing": "0.0",
        },
    ),
}
WILD = list(ALIKE)[-1]
DISTILLED = overlay(SHORT, {"distillation": "1.0"})
# Float32 sums of another order, through a dozen steps of Adam.
TOLERANCE = 2e-4


@pytest.fixture(scope="module")
def data(tone_corpus) -> KeywordData:
    return KeywordData.load([tone_corpus], ("low", "high"), RATE_HZ, RATE_HZ // 2)


def trainer(experiment: Experiment, data, folder) -> Trainer:
    folder.mkdir(parents=True, exist_ok=True)
    save_json(experiment, folder / "config.json")
    return Trainer(experiment, data, folder, data.evaluation_arrays(data.evaluation_list("val")))


def train_all(experiments, data, folder):
    return train_together(
        [trainer(experiment, data, folder / name) for name, experiment in experiments.items()]
    )


def logged(folder, name: str) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def assert_close(ours, theirs, atol=TOLERANCE):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=atol, rtol=1e-3)


EACH = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == WILD else pytest.mark.slow) for name in ALIKE],
)


@pytest.fixture(scope="module")
def job(tone_corpus, tmp_path_factory):
    """Folder and results of one job: the runs, and one that cannot be trained."""
    folder = tmp_path_factory.mktemp("together")
    runs = [(one, folder / name) for name, one in ALIKE.items()]
    bad = overlay(SHORT, {"recipe": Recipe(rules=(Rule("conv"),))})
    return folder, train_runs([*runs, (bad, folder / "bad")], [tone_corpus], print)


@pytest.fixture(scope="module")
def together(job):
    """Folder and variables of the runs, trained side by side."""
    folder, (*runs, _) = job
    return folder, [(run.variables("float"), run.variables("quantized")) for run in runs]


def test_runs_that_differ_in_traced_values_only_are_one_program():
    assert len({signature(one) for one in ALIKE.values()}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"model.width": "12"},
        {"optimizer.steps": "13"},
        {"finetune.batch_size": "8"},
        {"recipe": W8A16},
        {"recipe.learn_ranges": "true"},
        {"recipe.target": "litert"},
        {"recipe.mode": "fake"},
        {"augmentation.gain_db": "1.0"},
        {"distillation": "1.0"},
        {"finetune.patience": "2"},
        {"recipe": Recipe(rules=(Rule("pointwise_1", svd_penalty=0.0), Rule()))},
    ],
)
def test_other_runs_are_another_program(changes):
    assert signature(overlay(SHORT, changes)) != signature(SHORT)


@EACH
def test_runs_together_are_the_runs_alone(name, data, together, tmp_path):
    folder, results = together
    one, other = trainer(ALIKE[name], data, tmp_path).train(), results[list(ALIKE).index(name)]
    assert_close(other[0], one[0])
    assert_close(other[1]["ranges"], one[1]["ranges"])
    pair = folder / name, tmp_path
    np.testing.assert_allclose(*(logged(at, "loss") for at in pair), rtol=2e-2)
    # One of 42 clips is 0.024.
    np.testing.assert_allclose(*(logged(at, "val_accuracy") for at in pair), atol=0.05)


@pytest.mark.optimized(True)
def test_16_bits_stay_the_recipes(together):
    wide = Recipe(rules=(Rule("conv", activation_bits=16), Rule(weight_bits=4)))
    assert signature(overlay(SHORT, {"recipe": wide})) != signature(SHORT)
    variables = together[1][0][1]
    bits = traced_bits(variables, wide)
    assert "conv" not in bits and bits["logits"] == {"weights": 4, "activations": 8}
    mate = dataclasses.replace(wide, rules=(wide.rules[0], Rule()))
    model = SHORT.built_model()
    features = np.random.default_rng(0).normal(size=(4, *SHORT.setup.feature_shape))

    def output(variables, recipe):
        signal = start(np.float32(features), Quantized(recipe))
        return jax.jit(lambda v: model.apply(v, signal).real())(variables)

    one, other = output(variables, wide), output(variables | {"bits": bits}, mate)
    np.testing.assert_array_equal(one, other)


def test_bits_of_another_target_are_another_program():
    litert = overlay(SHORT, {"recipe.target": "litert"})
    four = overlay(overlay(SHORT, {"recipe": W4A8}), {"recipe.target": "litert"})
    assert signature(litert) != signature(four)


@pytest.mark.optimized(True)
@EACH
def test_from_the_same_state_the_integers_are_the_same(name, together):
    """Forward passes of all runs side by side, bits traced, against each alone, bits static."""
    experiments, results = list(ALIKE.values()), together[1]
    place = list(ALIKE).index(name)
    model = experiments[0].built_model()
    features = np.random.default_rng(0).normal(size=(16, *SHORT.setup.feature_shape))
    features = features.astype(np.float32)

    def codes(variables, recipe):
        signal = start(features, Quantized(recipe))
        return model.apply(variables, signal, mutable=["codes"])[1]["codes"]

    traced = [
        variables | {"bits": traced_bits(variables, one.recipe)}
        for one, (_, variables) in zip(experiments, results, strict=True)
    ]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *traced)
    side_by_side = jax.jit(jax.vmap(lambda variables: codes(variables, W8A8)))(stacked)
    ours = by_edge(jax.tree.map(lambda leaf: leaf[place], side_by_side))
    theirs = by_edge(jax.jit(lambda v: codes(v, experiments[place].recipe))(results[place][1]))
    assert ours.keys() == theirs.keys()
    for edge, integers in theirs.items():
        np.testing.assert_array_equal(ours[edge], integers, err_msg=edge)


@pytest.mark.slow
@pytest.mark.parametrize("base", [STREAM, LOW_RANK, DISTILLED], ids=("stream", "thin", "taught"))
def test_streams_decomposed_layers_and_taught_ones_train_together(base, data, tmp_path):
    # Rates at which a rounding does not grow into another training.
    gentle = {"optimizer.learning_rate": "1e-3", "optimizer.steps": "4", "finetune.steps": "3"}
    short = overlay(base, gentle)
    pair = {"0": short, "1": overlay(short, {"seed": "1"})}
    train_all(pair, data, tmp_path)
    for label, experiment in pair.items():
        trainer(experiment, data, tmp_path / f"{label} alone").train()
        # Not parameters: where batch norm makes a gradient zero, Adam follows its rounding.
        losses = [logged(tmp_path / name, "loss") for name in (label, f"{label} alone")]
        assert len(losses[0]) == 2
        np.testing.assert_allclose(*losses, rtol=1e-2)


@pytest.mark.slow
def test_one_that_diverges_does_not_keep_the_others_from_their_ends(data, tmp_path, together):
    wild = {"optimizer.learning_rate": "1e30", "optimizer.gradient_clip": "1e30"}
    runs = ALIKE | {WILD: overlay(ALIKE[WILD], wild)}
    results = train_all(runs, data, tmp_path)
    assert isinstance(results[-1], BadInput) and "not finite" in str(results[-1])
    for other, result in zip(together[1][:-1], results[:-1], strict=True):
        assert_close(result[0], other[0])


@pytest.mark.slow
def test_after_a_kill_each_goes_on_from_its_own_checkpoint(data, tmp_path, together, monkeypatch):
    saving = {name: dataclasses.replace(one, checkpoint_every=5) for name, one in ALIKE.items()}
    calls = 0
    original = KeywordData.training_batch

    def mortal(self, *arguments):
        nonlocal calls
        calls += 1
        if calls == 2 * 9:  # two seeds a step
            raise KeyboardInterrupt
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(KeywordData, "training_batch", mortal)
        with pytest.raises(KeyboardInterrupt):
            train_all(saving, data, tmp_path)
    # One had not saved yet when it was killed: it starts anew, the others do not wait for it.
    name = next(iter(ALIKE))
    with Checkpoints(phase_directory(tmp_path / name, "float")) as checkpoints:
        assert checkpoints.latest == 5
        checkpoints._manager.delete(5)
    results = train_all(saving, data, tmp_path)
    for other, result in zip(together[1], results, strict=True):
        assert_close(result[0], other[0])
        assert_close(result[1]["ranges"], other[1]["ranges"])


def test_a_job_of_several_runs_writes_every_row(job):
    folder, (*runs, bad) = job
    assert isinstance(bad, BadInput) and "no rule matches" in str(bad)
    for (name, experiment), run in zip(ALIKE.items(), runs, strict=True):
        row = json.loads((folder / name / "row.json").read_text())
        assert run.path == folder / name and row["seed"] == experiment.seed
        assert row["trained_together"] == len(ALIKE)
        assert row["parity"]["mismatches"] == 0
        for layer, (weight_bits, _) in row["bits"].items():
            assert weight_bits == experiment.recipe.rule(layer).weight_bits
        assert 0 <= row["metrics"]["train"]["accuracy"] <= 1
