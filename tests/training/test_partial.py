"""Training of some layers only, and the end of training when nothing gets better."""

import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from corpus import EXPERIMENT, RATE_HZ

from aqtaudio.errors import BadInput
from aqtaudio.experiment import identity
from aqtaudio.runs.run import Run
from aqtaudio.settings import overlay
from aqtaudio.tasks.keywords import loss as task
from aqtaudio.tasks.keywords.data import KeywordData
from aqtaudio.tasks.model_network import ModelNetwork
from aqtaudio.training.loop import Trainer
from aqtaudio.training.phases import phase_directory
from aqtaudio.training.preflight import require_trainable
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized(False)

LAST = "pointwise_1|logits"
PARTIAL = overlay(
    EXPERIMENT,
    {
        "optimizer.trains": LAST,
        "finetune.trains": LAST,
        "optimizer.steps": 12,
        "finetune.steps": 8,
        "finetune.warmup_steps": 0,
        "finetune.learning_rate": 0.01,
        "recipe.learn_ranges": True,
    },
)
# Starts with logits that take one word for the other, and soon has a rate that is too high.
PATIENT = overlay(
    PARTIAL,
    {
        "task.keywords": ("high", "low"),
        "init_differs": ("task",),
        "recipe.learn_ranges": False,
        "optimizer.patience": 2,
        "finetune.patience": 2,
        "optimizer.steps": 60,
        "optimizer.warmup_steps": 20,
        "optimizer.learning_rate": 0.3,
        "evaluate_every": 3,
        "checkpoint_every": 5,
    },
)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def data(tone_corpus) -> KeywordData:
    return KeywordData.load([tone_corpus], ("low", "high"), RATE_HZ, RATE_HZ // 2)


@pytest.fixture(scope="module")
def swapped(tone_corpus) -> KeywordData:
    return KeywordData.load([tone_corpus], ("high", "low"), RATE_HZ, RATE_HZ // 2)


def trainer(experiment, data, folder: Path) -> Trainer:
    folder.mkdir(exist_ok=True)
    return Trainer(experiment, data, folder, data.evaluation_arrays(data.evaluation_list("val")))


def lines(folder: Path, phase: str) -> list[dict]:
    """Lines of metrics that tell of an evaluation."""
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [row for row in rows if row["phase"] == phase and "val_accuracy" in row]


def same(ours, theirs) -> bool:
    def equal(one, other) -> bool:
        return np.asarray(one).tobytes() == np.asarray(other).tobytes()

    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    return all(jax.tree.leaves(jax.tree.map(equal, ours, theirs)))


# --- frozen layers


@pytest.fixture(scope="module")
def partial(data, tiny_run, tmp_path_factory):
    """What both phases started from, and what they made of it."""
    experiment = overlay(PARTIAL, {"init_from": str(tiny_run)})
    require_trainable(experiment)
    ours = trainer(experiment, data, tmp_path_factory.mktemp("partial") / "run")
    floating, quantized = ours.train()
    return (ours._float_start(), floating), (ours._quantized_start(floating), quantized)


@pytest.mark.parametrize("phase", [0, 1])
def test_only_layers_that_match_are_trained(partial, phase):
    before, after = partial[phase]
    assert before.keys() == after.keys() == {"params", ("batch_stats", "ranges")[phase]}
    for collection in before:
        assert before[collection].keys() == after[collection].keys()
        for layer in before[collection]:
            changed = not same(before[collection][layer], after[collection][layer])
            assert changed == (layer in ("pointwise_1", "logits")), (collection, layer)


def test_frozen_batch_norm_uses_the_statistics_that_it_has(tiny_run):
    """Otherwise the layers behind it would be trained on what they never see later."""
    model, variables = EXPERIMENT.built_model(), Run(tiny_run).variables("float")
    features = 5 + jax.random.normal(jax.random.key(0), (4, *EXPERIMENT.setup.feature_shape))

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def logits(trains: str, mutable: tuple[str, ...] = ("batch_stats",)):
        signal = start(features, Floating(trains=trains))
        out, updated = model.apply(variables, signal, mutable=mutable)
        return out.real(), updated

    known, _ = logits(".*", ())
    frozen, updated = logits("logits")
    np.testing.assert_allclose(frozen, known, rtol=1e-5)
    assert same(updated["batch_stats"], variables["batch_stats"])
    assert not np.allclose(logits("conv")[0], known)


@pytest.mark.parametrize("name", ["optimizer", "finetune"])
def test_a_pattern_without_layers(name):
    with pytest.raises(BadInput, match=rf"{name}.trains 'logit' .* conv, depthwise_1, .* logits"):
        require_trainable(overlay(EXPERIMENT, {f"{name}.trains": "logit"}))


# --- patience


@pytest.fixture(scope="module")
def undisturbed(swapped, tiny_run, tmp_path_factory):
    """Trains PATIENT in a mode of recipes: (experiment, folder, variables)."""

    def train(mode: str):
        folder = tmp_path_factory.mktemp("patient") / "run"
        experiment = overlay(PATIENT, {"init_from": str(tiny_run), "recipe.mode": mode})
        return experiment, folder, trainer(experiment, swapped, folder).train()

    return train


@pytest.fixture(scope="module")
def patient(undisturbed):
    """A run of a float phase only."""
    return undisturbed("float")


@pytest.fixture(scope="module")
def patient_twice(undisturbed):
    """A run of both phases, which takes long to compile."""
    return undisturbed("native")


def test_training_ends_when_nothing_gets_better(patient, swapped):
    experiment, folder, variables = patient
    losses = {row["step"]: row["val_loss"] for row in lines(folder, "float")}
    best = min(losses, key=losses.get)
    assert 0 < best < max(losses) == best + 2 * PATIENT.evaluate_every < PATIENT.optimizer.steps
    # What is kept is the best state, not the last; and a finished phase's checkpoint is the last.
    clips, classes = swapped.evaluation_arrays(swapped.evaluation_list("val"))
    model, setup = experiment.built_model(), experiment.setup
    network = ModelNetwork(model, variables[0], Floating(), setup)
    logits = network.whole(setup.features_of(clips))
    loss = task.loss(logits, classes, experiment.optimizer.label_smoothing)
    assert float(loss) == pytest.approx(losses[best], abs=2e-6)
    assert str(PATIENT.optimizer.steps) in steps(folder)


def steps(folder: Path) -> list[str]:
    return [path.name for path in phase_directory(folder, "float").iterdir()]


def test_a_start_that_is_never_bettered_stays(data, tiny_run, tmp_path):
    changes = {"init_from": str(tiny_run), "optimizer.learning_rate": 10.0, "recipe.mode": "float"}
    changes |= {"task.keywords": ("low", "high"), "optimizer.warmup_steps": 0}
    ours = trainer(overlay(PATIENT, changes), data, tmp_path / "run")
    before = ours._float_start()
    assert same(before, ours.train()[0])
    assert [row["step"] for row in lines(tmp_path / "run", "float")] == [3, 6]


class Mortal:
    """Data that ends the run at the given calls for a batch, counted over all its lives."""

    def __init__(self, data: KeywordData, deaths: tuple[int, ...]):
        self._data, self._deaths, self.calls = data, deaths, 0

    def __getattr__(self, name):
        return getattr(self._data, name)

    def training_batch(self, *arguments):
        self.calls += 1
        if self.calls in self._deaths:
            raise Killed
        return self._data.training_batch(*arguments)


@pytest.mark.slow
def test_killed_again_and_again(patient_twice, swapped, tmp_path):
    """In steps 2, 7 and 11, before and after an evaluation; then in the quantized phase."""
    experiment, folder, variables = patient_twice
    last = lines(folder, "float")[-1]["step"]
    assert last > 10
    # Lives begin at steps 0, 0, 5 and 10; two batches are for calibration.
    mortal = Mortal(swapped, (2, 9, 15, 15 + (last - 10) + 2 + 4))
    lives = 1
    while lives < 9:
        try:
            again = trainer(experiment, mortal, tmp_path / "run").train()
            break
        except Killed:
            lives += 1
    assert lives == 5
    assert same(again, variables)
    assert metrics(tmp_path / "run") == metrics(folder)


def metrics(folder: Path) -> list[dict]:
    found = [*lines(folder, "float"), *lines(folder, "quantized")]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found]


def test_a_kill_between_the_last_evaluation_and_the_end(patient, swapped, tmp_path, monkeypatch):
    """Patience that has run out is remembered: no step is made after it."""
    experiment, folder, variables = patient
    often = overlay(experiment, {"checkpoint_every": 1})
    monkeypatch.setattr("aqtaudio.training.course.chosen", killed)
    with pytest.raises(Killed):
        trainer(often, swapped, tmp_path / "run").train()
    monkeypatch.undo()
    last = lines(folder, "float")[-1]["step"]
    assert str(last) in steps(tmp_path / "run") and str(last + 1) not in steps(tmp_path / "run")
    assert same(trainer(often, swapped, tmp_path / "run").train(), variables)
    assert metrics(tmp_path / "run") == metrics(folder)


def killed(*_):
    raise Killed


def test_evaluations_count_only_where_they_end_training():
    rare = {"evaluate_every": 1000}
    assert identity(overlay(EXPERIMENT, rare)) == identity(EXPERIMENT)
    assert identity(overlay(PATIENT, rare)) != identity(PATIENT)
    assert identity(overlay(PATIENT, {"checkpoint_every": 99})) == identity(PATIENT)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [("optimizer.patience", -1, "patience is -1"), ("finetune.trains", "(", "trains '\\('")],
)
def test_senseless_settings(path, value, named):
    with pytest.raises(BadInput, match=named):
        overlay(EXPERIMENT, {path: value})
