"""Settings: strict overlays, types, what identity is, and JSON that gives back the same value."""

import dataclasses
import importlib
import json
import math
from pathlib import Path

import pytest
from corpus import EXPERIMENT
from hypothesis import given
from hypothesis import strategies as st

from aqtaudio.data.augmentation import Augmentation
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, Optimizer, identity, load_config, load_json, save_json
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.frontends.spectral import LogMel, Mfcc
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.models.published import is_published
from aqtaudio.recipe import LowRank, Recipe, Rule
from aqtaudio.settings import MOVED, from_json, overlay, settings, to_json
from aqtaudio.study.plan import run_id
from aqtaudio.tasks.keywords.task import Keywords

ROOT = Path(__file__).parents[1]
# No value is a default.
OTHER = Experiment(
    model=DSCNN(width=48, blocks=2, kernel=(9, 3), strides=(1, 2), block_strides=(2, 1), classes=5),
    task=Keywords(("left", "right"), clip_ms=800),
    frontend=LogMel(window_ms=25.0, fft_length=1024, mel_triangles="hz", mean=(1.0, 2.0)),
    augmentation=Augmentation(time_shift_ms=0.0, spec_time_masks=1),
    recipe=Recipe(
        mode="fake",
        rules=(Rule("conv", 4, 4, "q0.99"), Rule("pointwise_.*", svd_penalty=0.25), Rule()),
        low_rank=LowRank(0.5, 0.9, 0.01),
    ),
    optimizer=Optimizer(7, 3, 1e-4, 0, 0.0, 0.0),
    finetune=Optimizer(0),
    calibration_batches=3,
    init_from="runs/parent",
    seed=5,
    evaluate_every=11,
    checkpoint_every=13,
)


# --- JSON


@pytest.mark.parametrize("experiment", [Experiment(), EXPERIMENT, OTHER])
def test_json_gives_back_the_same_value(experiment, tmp_path):
    save_json(experiment, tmp_path / "config.json")
    again = load_json(tmp_path / "config.json")
    assert again == experiment
    assert identity(again) == identity(experiment)
    assert hash(again.frontend) == hash(experiment.frontend)
    assert hash(again.recipe) == hash(experiment.recipe)  # tuples, not lists: they are jit keys
    assert load_config(tmp_path / "config.json") == experiment


@pytest.mark.parametrize(
    "value", [OTHER.model, OTHER.task, Mfcc(), OTHER.recipe, Rule(), LowRank(), OTHER.augmentation]
)
def test_json_of_parts(value):
    assert from_json(json.loads(json.dumps(to_json(value)))) == value


def changed(change) -> str:
    value = to_json(EXPERIMENT)
    change(value)
    return json.dumps(value)


BROKEN = {
    "empty": "",
    "cut": json.dumps(to_json(EXPERIMENT))[:300],
    "a list": "[1, 2]",
    "a number": "3",
    "another dataclass": json.dumps(to_json(Rule())),
    "no type": changed(lambda value: value.pop("type")),
    "type is a number": changed(lambda value: value.update(type=3)),
    "unknown module": changed(lambda value: value["model"].update(type="aqtaudio.nowhere:X")),
    "unknown class": changed(lambda value: value["model"].update(type="aqtaudio.models.ds_cnn:X")),
    "not a dataclass": changed(lambda value: value["model"].update(type="os:getcwd")),
    "unknown field": changed(lambda value: value["model"].update(depth=3)),
    "a word for a number": changed(lambda value: value["model"].update(width="wide")),
    "null for a number": changed(lambda value: value["optimizer"].update(steps=None)),
    "a rule for a model": changed(lambda value: value.update(model=to_json(Rule()))),
    "text for rules": changed(lambda value: value["recipe"].update(rules="all")),
    "a fraction for a count": changed(lambda value: value["optimizer"].update(steps=1.5)),
    "a value that is refused": changed(lambda value: value["optimizer"].update(batch_size=0)),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_config_json(kind, tmp_path):
    (tmp_path / "config.json").write_text(BROKEN[kind])
    with pytest.raises(BadInput) as error:
        load_json(tmp_path / "config.json")
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "config.json").write_bytes(bytes(range(128, 256)))
    with pytest.raises(BadInput, match="config.json"):
        load_json(tmp_path / "config.json")


def test_missing_config_json_says_that_it_is_no_run(tmp_path):
    with pytest.raises(BadInput, match="not a run"):
        load_json(tmp_path / "config.json")


# --- identity


DENOISE = ROOT / "configs/denoise_deep_filter_net.py"
NOT_IN_IT = ("engine", "evaluate_every", "checkpoint_every")
# Settings that came later: at their default, ids are those of runs made before.
ADDED = {
    "recipe.target": "litert",
    "recipe.learn_ranges": True,
    "recipe.gradient_bits": 8,
    "recipe.stochastic_rounding": True,
    "recipe.rules.0.int4_dense": "conv",
    "model.causal": True,
    "augmentation.babble_probability": 0.5,
    "augmentation.babble_max_volume": 0.2,
    "stream_block_frames": 2,
    "stream_context_clips": 3,
    "init_differs": ("frontend",),
    "distillation": 0.5,
    "distilled_blocks": "conv",
    "encoder": "2efcef84274d",
    "optimizer.gradient_clip": 1.0,
    "finetune.gradient_clip": 1.0,
    "optimizer.trains": "logits",
    "optimizer.patience": 3,
    "finetune.trains": "logits",
    "finetune.patience": 3,
    "augmentation.quieter_db": 40.0,
    "task.unknown_per_keyword": 4.0,
    "task.unheard": ["go"],
    "task.unheard_share": 0.25,
    "task.kept_epochs": 4,
    "task.unknown_weight": 3.0,
    "task.cut_share": 0.5,
    "task.spliced": 0.25,
    "task.teacher": "head",
    "task.teacher_weight": 0.5,
    "recipe.kernels": "reference",
    "recipe.stripes": 3,
    "recipe.striped_to": "pool_1",
    "recipe.loops": True,
    "frontend.mel_scale": "slaney",
    "frontend.mel_norm": "area",
    "frontend.level": "running",
    "frontend.level_fall_db_per_s": 5.0,
    "frontend.level_least": -3.0,
}
# Settings that another one takes.
WITH = {"task.teacher": {"task.kept_epochs": 4}}


def test_identity_is_what_changes_the_numbers():
    changes = {"engine": "integer", "evaluate_every": 1, "checkpoint_every": 2}
    same = overlay(EXPERIMENT, changes)
    assert same != EXPERIMENT and identity(same) == identity(EXPERIMENT)


@pytest.mark.parametrize("path", ADDED)
def test_an_added_setting_counts_when_it_is_used(path):
    name = path.split(".")[-1]
    assert name not in json.dumps(identity(EXPERIMENT))
    changes = {path: ADDED[path], **WITH.get(path, {})}
    changed = json.dumps(identity(overlay(EXPERIMENT, changes)))
    assert f'"{name}": {json.dumps(ADDED[path])}' in changed


def test_falls_that_are_not_heard_are_as_before_they_could_be():
    heard, deaf = load_config(DENOISE), overlay(load_config(DENOISE), {"frontend.fall_db": 0.0})
    assert '"fall_db": 15.0' in json.dumps(identity(heard))
    assert "fall_db" not in json.dumps(identity(deaf))


@pytest.mark.parametrize(
    "path",
    [path for path in settings(EXPERIMENT) if path not in (*NOT_IN_IT, *ADDED)],
)
def test_every_other_setting_is_in_the_identity(path):
    """Put there without checks: what matters is that the hash sees it."""
    value = to_json(EXPERIMENT)
    parts = path.split(".")
    for part in parts[:-1]:
        value = value[int(part) if part.isdigit() else part]
    value[parts[-1]] = "changed"
    flat = json.dumps(identity(EXPERIMENT))
    assert parts[-1] in flat
    assert json.dumps(value) not in flat


# --- stable names


RESULTS = sorted((ROOT / "results").glob("*/*/*/config.json"))
CONFIGS = sorted((ROOT / "configs").glob("*.py"))


def test_there_are_results_and_configs():
    assert len(RESULTS) >= 60 and len(CONFIGS) >= 13


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: str(file.parent.relative_to(ROOT)))
def test_results_load_and_artifacts_have_the_name_that_their_settings_give(file: Path):
    """What was trained once has its id for ever, whatever has moved or come since."""
    experiment = load_json(file)
    assert from_json(json.loads(json.dumps(to_json(experiment)))) == experiment
    if file.parents[1].name == "artifacts":
        assert run_id(identity(experiment), parent_id(experiment)) == file.parent.name


def parent_id(experiment: Experiment) -> str | None:
    """The name of the parent's folder; published weights are no run."""
    parent = experiment.init_from
    return None if parent is None or is_published(parent) else Path(parent).name


def named(name: str) -> type:
    module, _, kind = name.partition(":")
    return getattr(importlib.import_module(module), kind)


@pytest.mark.parametrize(("first", "now"), MOVED.items())
def test_a_class_that_moved_keeps_its_first_name(first: str, now: str):
    kind = named(now)
    assert f"{kind.__module__}:{kind.__qualname__}" == now
    value = kind()
    assert to_json(value)["type"] == first
    assert from_json({"type": first}) == value == from_json(to_json(value))


def test_moved_names_are_one_to_one():
    """No class has two first names, and no first name is where another class is now."""
    assert len(set(MOVED.values())) == len(MOVED)
    assert not set(MOVED) & set(MOVED.values())


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_configs_round_trip(file: Path, tmp_path):
    experiment = load_config(file)
    save_json(experiment, tmp_path / "config.json")
    again = load_json(tmp_path / "config.json")
    assert again == experiment and identity(again) == identity(experiment)


# --- overlays


@pytest.mark.parametrize(
    ("path", "given", "value"),
    [
        ("model.width", "48", 48),
        ("model.kernel", "8,3", (8, 3)),
        ("model.kernel", [8, 3], (8, 3)),
        ("optimizer.learning_rate", "1e-4", 1e-4),
        ("optimizer.learning_rate", 1, 1.0),
        ("optimizer.steps", "0", 0),
        ("frontend.window_periodic", "false", False),
        ("frontend.window_periodic", "True", True),
        ("frontend.window", "hamming", "hamming"),
        ("frontend.fft_length", "none", None),
        ("frontend.fft_length", "1024", 1024),
        ("frontend.mean", "0.5,1", (0.5, 1.0)),
        ("task.keywords", "yes, no", ("yes", "no")),
        ("recipe.mode", "float", "float"),
        ("recipe.rules.0.weight_bits", "4", 4),
        ("recipe.rules.0.svd_penalty", "0.5", 0.5),
        ("recipe.rules.0.svd_penalty", "none", None),
        ("recipe.low_rank.energy", "0.9", 0.9),
        ("init_from", "runs/a", "runs/a"),
        ("init_from", "none", None),
        ("seed", 3, 3),
        ("init_differs", "task,frontend", ("task", "frontend")),
    ],
)
def test_strings_become_the_type_of_the_field(path, given, value):
    result = settings(overlay(EXPERIMENT, {path: given}))[path]
    assert result == value and type(result) is type(value)
    # And nothing else changes.
    before, after = settings(EXPERIMENT), settings(overlay(EXPERIMENT, {path: given}))
    assert {key for key in before if before[key] != after[key]} <= {path}


@pytest.mark.parametrize("turned", [False, True])
def test_settings_that_depend_on_each_other_change_together(turned):
    changes = {
        "frontend": DeepFilterFeatures(sample_rate_hz=16_000),
        "frontend.hop_ms": "8",
        "frontend.window_ms": "8",
        "frontend.sample_rate_hz": "8000",
        "frontend.filtered_bins": "40",
    }
    items = list(changes.items())
    frontend = overlay(load_config(DENOISE), dict(items[::-1] if turned else items)).frontend
    expected = DeepFilterFeatures(sample_rate_hz=8000, hop_ms=8.0, window_ms=8.0, filtered_bins=40)
    assert frontend == expected


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("model.width", "wide"),
        ("model.width", "4.5"),
        ("model.width", 4.0),
        ("model.width", True),
        ("model.width", None),
        ("model.kernel", "8"),
        ("model.kernel", "8,3,1"),
        ("model.kernel", "8,x"),
        ("model.kernel", 8),
        ("optimizer.learning_rate", "fast"),
        ("optimizer.learning_rate", "nan"),
        ("optimizer.learning_rate", math.inf),
        ("optimizer.learning_rate", 10**400),
        ("frontend.window_periodic", "maybe"),
        ("frontend.window_periodic", 1),
        ("frontend.window", "kaiser"),
        ("frontend.fft_length", "many"),
        ("recipe.mode", "int8"),
        ("recipe.rules", "all"),
        ("recipe.rules.0.svd_penalty", "much"),
        ("model", "small"),
        ("model", Rule()),
        ("seed", [1]),
        ("task.keywords", 3),
        # Of the right type, and senseless.
        ("recipe.rules.0.weight_bits", "5"),
        ("recipe.rules.0.pattern", "("),
        ("task.clip_ms", "10"),
        ("task.unknown_per_keyword", "0"),
        ("optimizer.batch_size", "0"),
        ("optimizer.label_smoothing", "1"),
        ("seed", "-1"),
        ("calibration_batches", "0"),
        ("evaluate_every", "0"),
        ("checkpoint_every", "-5"),
        ("init_differs", "frontend,optimizer"),
    ],
)
def test_values_that_do_not_fit(path, given):
    with pytest.raises(BadInput) as error:
        overlay(EXPERIMENT, {path: given})
    message = str(error.value)
    assert path.split(".")[-1] in message and "\n" not in message


def test_keyword_that_is_there_twice():
    with pytest.raises(BadInput, match="'yes' is there twice"):
        overlay(EXPERIMENT, {"task.keywords": "yes,yes"})


@pytest.mark.parametrize(
    ("path", "valid"),
    [
        ("widht", [field.name for field in dataclasses.fields(Experiment)]),
        ("model.widht", ["width", "blocks", "kernel"]),
        ("optimizer.rate", ["learning_rate", "steps"]),
        ("recipe.rules.1.weight_bits", ["0"]),
        ("recipe.rules.0.bits", ["weight_bits", "activation_bits", "svd_penalty"]),
        ("model.width.x", ["nothing below"]),
        ("model.name", ["width"]),
        ("model.parent", ["width"]),
        ("", ["model"]),
        ("model.", ["width"]),
    ],
)
def test_unknown_path_lists_the_valid_ones(path, valid):
    with pytest.raises(BadInput) as error:
        overlay(EXPERIMENT, {path: "1"})
    message = str(error.value)
    assert repr(path) in message and all(name in message for name in valid)


def test_every_path_can_be_set_to_its_own_value():
    for path, value in settings(OTHER).items():
        assert overlay(OTHER, {path: value}) == OTHER, path


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_other_text_is_one_clear_line(path, value):
    try:
        overlay(EXPERIMENT, {path: value})
    except BadInput as error:
        assert "\n" not in " ".join(str(error).split())


# --- config files


def test_config_file(tmp_path):
    file = tmp_path / "run.py"
    file.write_text("from aqtaudio.experiment import Experiment\nEXPERIMENT = Experiment(seed=3)\n")
    assert load_config(file) == Experiment(seed=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("EXPERIMENT = (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("EXPERIMENT = 3", "must define EXPERIMENT"),
        ("", "must define EXPERIMENT"),
        ("from aqtaudio.experiment import *\nEXPERIMENT = Experiment(width=3)", "width"),
        ("from aqtaudio.experiment import *\nOptimizer(batch_size=0)", "batch_size"),
        (
            "from aqtaudio.experiment import *\nOptimizer(learning_rate=float('nan'))",
            "learning_rate",
        ),
        ("raise SystemExit(0)", "SystemExit"),
        ("\0", "null bytes"),
    ],
)
def test_bad_config_file(text, message, tmp_path):
    file = tmp_path / "run.py"
    file.write_text(text)
    with pytest.raises(BadInput, match=message):
        load_config(file)


def test_missing_config_file(tmp_path):
    with pytest.raises(BadInput, match="no such config file"):
        load_config(tmp_path / "run.py")
    with pytest.raises(BadInput, match="no such config file"):
        load_config(tmp_path)
