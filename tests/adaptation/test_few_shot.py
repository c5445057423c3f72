"""Adaptation from a few recordings: what is trained, what is measured, and what is refused."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from command_cases import contents
from corpus import EXPERIMENT

from aqtaudio.adaptation import few_shot
from aqtaudio.adaptation.few_shot import FewShot, adapt, experiment_of, last_layers, stronger
from aqtaudio.compression.fold import fold
from aqtaudio.data import manifest
from aqtaudio.data.augmentation import Augmentation
from aqtaudio.errors import BadInput
from aqtaudio.runs.evaluate import evaluate
from aqtaudio.runs.run import Run
from aqtaudio.training.preflight import require_trainable

pytestmark = pytest.mark.optimized(False)

WORDS = ("high",)
SETTINGS = FewShot(WORDS, recordings=6)
TWICE = dataclasses.replace(SETTINGS, draws=2)


@pytest.fixture(scope="module", autouse=True)
def short():
    """Some steps of both phases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_shot, "EVALUATE_EVERY", 20)
        for name, steps in (("FLOAT_PHASE", 60), ("QUANTIZED_PHASE", 10)):
            phase = getattr(few_shot, name)
            changes = {"steps": steps, "batch_size": 16, "learning_rate": 0.01}
            patch.setattr(few_shot, name, dataclasses.replace(phase, **changes))
        patch.setattr("aqtaudio.runs.row.ROW_PARITY_INPUTS", 20)
        yield


@pytest.fixture(scope="module")
def adapted(short, tiny_run, few_shot_corpus, tmp_path_factory):
    """(folder, report) of one draw."""
    out = tmp_path_factory.mktemp("adapted") / "out"
    return out, adapt(Run(tiny_run), [few_shot_corpus], SETTINGS, out, say=lambda text: None)


@pytest.fixture(scope="module")
def twice(short, tiny_float, few_shot_corpus, tmp_path_factory):
    """(folder, report) of two draws of a float run, which is made sooner."""
    out = tmp_path_factory.mktemp("twice") / "out"
    return out, adapt(Run(tiny_float), [few_shot_corpus], TWICE, out, say=lambda text: None)


def test_what_is_written(twice):
    out, value = twice
    assert json.loads((out / "adaptation.json").read_text()) == value
    names = {path.name for path in out.iterdir()}
    assert names == {"recordings", "draw_0", "draw_1", "adaptation.json", "adaptation.md"}
    text = (out / "adaptation.md").read_text()
    assert "commands 1, recordings of each 6" in text
    assert f"{100 * value['after']['accuracy']['mean']:.1f}" in text


@pytest.mark.slow
def test_only_the_last_layers_are_trained_in_both_phases(adapted, tiny_run):
    parent, run = Run(tiny_run).variables("float"), Run(adapted[0] / "draw_0")
    floating, quantized = run.variables("float"), run.variables("quantized")
    before = fold(floating["params"], floating["batch_stats"])
    for layer in ("conv", "depthwise_1"):
        assert same(floating["params"][layer], parent["params"][layer])
        assert same(floating["batch_stats"][layer], parent["batch_stats"][layer])
        assert same(quantized["params"][layer], before[layer])
    assert not same(floating["params"]["pointwise_1"], parent["params"]["pointwise_1"])
    assert floating["params"]["logits"]["bias"].shape == (3,)


def test_only_the_last_layers_are_trained(twice, tiny_float):
    parent, floating = (Run(path).variables("float") for path in (tiny_float, twice[0] / "draw_0"))
    for layer in ("conv", "depthwise_1"):
        assert same(floating["params"][layer], parent["params"][layer])
        assert same(floating["batch_stats"][layer], parent["batch_stats"][layer])
    assert not same(floating["params"]["pointwise_1"], parent["params"]["pointwise_1"])


def same(ours, theirs) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, ours, theirs)))


@pytest.mark.slow
def test_integers_are_evaluated(adapted):
    out, value = adapted
    assert value["runtime"] == "integer" and value["draws"][0]["mismatches"] == 0
    for runtime in ("integer", "micro"):
        again = evaluate(Run(out / "draw_0"), [out / "recordings" / "draw_0"], "test", runtime)
        assert again["metrics"].items() <= value["draws"][0]["after"].items()
    assert value["after"]["accuracy"]["std"] is None


def test_figures_over_draws(twice):
    out, value = twice
    shares = []
    for number, draw in enumerate(value["draws"]):
        data = out / "recordings" / f"draw_{number}"
        again = evaluate(Run(out / f"draw_{number}"), [data], "test", "float")
        assert again["metrics"]["accuracy"] == draw["after"]["accuracy"]
        assert again["n"] == value["n"] and draw["mismatches"] is None
        shares.append(draw["after"]["accuracy_commands"])
        assert shares[-1] == draw["after"]["per_class"]["high"]
    spread = value["after"]["accuracy_commands"]
    assert spread["min"] == min(shares) and spread["max"] == max(shares)
    assert spread["mean"] == pytest.approx(np.mean(shares))
    assert spread["std"] == pytest.approx(np.std(shares, ddof=1))
    assert np.sum(value["confusion"]["counts"]) == 2 * value["n"]
    assert value["commands"] == 12 and value["chance"] == pytest.approx(1 / 3)


def test_it_learns(twice):
    value = twice[1]
    assert not value["knows_the_words"]
    assert value["after"]["accuracy"]["mean"] > value["before"]["accuracy"]["mean"]
    assert value["after"]["accuracy_commands"]["mean"] > 0.8


def test_draws_have_other_recordings_and_none_that_is_evaluated(twice, few_shot_corpus):
    rows = {row.path: row for row in manifest.read(few_shot_corpus)}
    found = []
    for number in range(2):
        drawn = manifest.read(twice[0] / "recordings" / f"draw_{number}")
        words = [row for row in drawn if row.label == "high" and row.split != "test"]
        assert len(words) == 6 and {rows[row.path].split for row in words} == {"train"}
        found.append({row.path for row in words})
    assert found[0] != found[1]


@pytest.mark.slow
def test_what_was_killed_goes_on(twice, tiny_float, few_shot_corpus, tmp_path):
    """Killed as the second draw begins: the figures are those of one that was not."""
    out = tmp_path / "out"
    for name in ("draw_0", "recordings"):
        shutil.copytree(twice[0] / name, out / name)

    def say(text: str) -> None:
        if "draw_1" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt(Run(tiny_float), [few_shot_corpus], TWICE, out, say)
    assert not (out / "adaptation.json").exists()
    again = adapt(Run(tiny_float), [few_shot_corpus], TWICE, out, lambda text: None)
    assert_same_figures(again, twice[1])


def test_killed_as_a_draw_is_written(twice, tiny_float, few_shot_corpus, tmp_path):
    """The second one is trained, its row and the report are not there yet: the figures are same."""
    out = Path(shutil.copytree(twice[0], tmp_path / "out"))
    for name in ("draw_1/row.json", "draw_1/model.tflite", "adaptation.json", "adaptation.md"):
        (out / name).unlink()
    first = (out / "draw_0/row.json").read_bytes()
    again = adapt(Run(tiny_float), [few_shot_corpus], TWICE, out, lambda text: None)
    assert (out / "draw_0/row.json").read_bytes() == first
    assert json.loads((out / "adaptation.json").read_text()) == again
    assert_same_figures(again, twice[1])


def assert_same_figures(ours: dict, theirs: dict) -> None:
    """All of a report but where it lies."""
    for report in (ours, theirs):
        assert len(report["draws"]) == 2
    assert {**ours, "draws": ()} == {**theirs, "draws": ()}
    for one, other in zip(ours["draws"], theirs["draws"], strict=True):
        assert one | {"run": ""} == other | {"run": ""}


# --- settings


def test_the_run_s_recipe_is_kept(tiny_run):
    run = Run(tiny_run)
    experiment = experiment_of(run, dataclasses.replace(SETTINGS, layers="logits"), 1)
    for name in ("model", "recipe", "frontend"):
        assert getattr(experiment, name) == getattr(EXPERIMENT, name)
    assert experiment.task == dataclasses.replace(EXPERIMENT.task, keywords=WORDS)
    assert experiment.optimizer.trains == experiment.finetune.trains == "logits"
    assert experiment.seed == 1


def test_the_last_layers(tiny_run):
    assert last_layers(Run(tiny_run)) == "pointwise_1|logits"
    settings = dataclasses.replace(SETTINGS, layers=last_layers(Run(tiny_run)))
    require_trainable(experiment_of(Run(tiny_run), settings, 0))


def test_augmentation_is_never_weaker():
    given = Augmentation(speed_change=0.5, gain_db=0.0, babble_probability=0.3)
    found = stronger(given)
    assert found.speed_change == 0.5 and found.gain_db > 0 and found.babble_probability == 0.3


# --- the command


def test_the_same_words_in_another_accent(cli, tiny_float, few_shot_corpus, tmp_path, monkeypatch):
    """The logits are kept, and before is the run as it is; here a float one."""
    few_steps = dataclasses.replace(few_shot.FLOAT_PHASE, steps=5)
    monkeypatch.setattr(few_shot, "FLOAT_PHASE", few_steps)
    status, text, _ = few(cli, tiny_float, few_shot_corpus, tmp_path / "out", "--json")
    value = json.loads(text)
    assert status == 0 and value["knows_the_words"] and value["runtime"] == "float"
    whole = evaluate(Run(tiny_float), [few_shot_corpus], "val", "float")
    assert value["before"]["accuracy"]["mean"] == whole["metrics"]["accuracy"]
    assert value["words"] == ["low", "high"] and value["recordings"] == 3


def few(command, run: Path, corpus: Path, out: Path, *more: object):
    arguments = ["--data", corpus, "--out", out, "--words", "low,high", "--recordings", 3]
    return command("adapt", run, *arguments, "--layers", "logits", *more)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--words", "low,left"), "'left' has 0 recordings"),
        (("--recordings", 13), "'low' has 12 recordings in split 'train'"),
        (("--recordings", 2), "at least 3"),
        (("--layers", "conv|x("), "trains"),
        (("--layers", "softmax"), "matches no layer; the model has conv, depthwise_1"),
        (("--seed", -1), "seed is -1"),
    ],
)
def test_bad_input(refused, tiny_run, few_shot_corpus, tmp_path, more, named):
    assert named in few(refused, tiny_run, few_shot_corpus, tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()


def test_an_artifact_cannot_be_adapted(refused, tiny_artifact, few_shot_corpus, tmp_path):
    message = few(refused, tiny_artifact, few_shot_corpus, tmp_path / "out")
    assert "no checkpoint" in message and not (tmp_path / "out").exists()


def test_a_folder_of_something_else(refused, tiny_run, few_shot_corpus, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    assert "is not empty" in few(refused, tiny_run, few_shot_corpus, tmp_path / "out")
    assert contents(tmp_path) == before


def test_other_settings_in_the_same_folder(twice, tiny_float, few_shot_corpus):
    before = contents(twice[0])
    for changes in ({"recordings": 5}, {"seed": 1}, {"layers": "logits"}):
        settings = dataclasses.replace(TWICE, **changes)
        with pytest.raises(BadInput, match="holds other recordings|another experiment"):
            adapt(Run(tiny_float), [few_shot_corpus], settings, twice[0], lambda text: None)
    assert contents(twice[0]) == before
