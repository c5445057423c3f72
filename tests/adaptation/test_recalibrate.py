"""A run that goes on behind another front end, in code or in dumped features."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from corpus import EXPERIMENT, RATE_HZ, TONES_HZ

from aqtaudio.adaptation.recalibrate import TrainingSettings, recalibrate, recalibrated
from aqtaudio.data import audio, manifest
from aqtaudio.errors import BadInput
from aqtaudio.frontends import named
from aqtaudio.frontends.device import DeviceFeatures
from aqtaudio.frontends.micro import STEPS_PER_UNIT, MicroFrontend
from aqtaudio.runs.evaluate import evaluate
from aqtaudio.runs.frontend_named import frontend_of
from aqtaudio.runs.run import Run
from aqtaudio.settings import overlay
from aqtaudio.training.preflight import require_trainable

pytestmark = pytest.mark.optimized(False)

# As many frames and features as EXPERIMENT's own front end, and quite other values. Tones are what
# noise reduction takes away.
TARGET = MicroFrontend(
    RATE_HZ,
    window_ms=40.0,
    channels=10,
    upper_hz=3500.0,
    min_signal_remaining=1.0,
    pcan=False,
    mean=(28.0,),
    scale=(3.0,),
)
DUMPED = DeviceFeatures(
    window_ms=40.0,
    bands=10,
    mean=tuple(STEPS_PER_UNIT * mean for mean in TARGET.mean),
    scale=tuple(STEPS_PER_UNIT * scale for scale in TARGET.scale),
)
SHORT = ("--steps", "100", "--finetune-steps", "10", "--learning-rate", "0.02")
WORDS = {*TONES_HZ} - {"other"}


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """TARGET as a frontend.json."""
    return named.write(TARGET, tmp_path_factory.mktemp("target"))


@pytest.fixture(scope="module")
def recalibration(tmp_path_factory, tiny_run, tone_corpus):
    """(folder, what `recalibrate` returns) for TARGET."""
    out = tmp_path_factory.mktemp("recalibrated") / "out"
    settings = TrainingSettings(steps=60, finetune_steps=10, learning_rate=0.02)
    return out, recalibrate(Run(tiny_run), TARGET, [tone_corpus], out, settings, lambda text: None)


@pytest.fixture(scope="module")
def dump(tmp_path_factory, tone_corpus):
    """The integers of TARGET on `tone_corpus`, as docs/device_features.md says: clip after clip."""
    folder, rows = tmp_path_factory.mktemp("dumps") / "dump", []
    length = EXPERIMENT.task.clip_ms * RATE_HZ // 1000
    for row in manifest.read(tone_corpus):
        samples = audio.load_int16(tone_corpus / row.path, RATE_HZ)
        for start in range(0, len(samples) - length + 1, length):
            clip = jnp.asarray(samples[None, start : start + length], jnp.int32)
            features, _ = TARGET.integers(clip, TARGET.initial_state(1))
            path = f"{row.path.removesuffix('.flac')}-{start}.npy"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            np.save(folder / path, np.asarray(features[0]).astype(np.int16))
            seconds = features.shape[1] * DUMPED.hop_ms / 1000
            rate_hz = DUMPED.sample_rate_hz
            rows.append(
                dataclasses.replace(row, path=path, seconds=seconds, sample_rate_hz=rate_hz)
            )
    manifest.write(folder, rows)
    named.write(DUMPED, folder)
    return folder


@pytest.mark.slow
def test_the_model_follows(recalibration, tiny_run, tone_corpus):
    """It was right behind its own front end, is wrong behind the target, and is right again."""
    out, value = recalibration
    accuracy = {name: value[name]["accuracy"] for name in ("before", "matched", "after")}
    assert accuracy["matched"] > 0.9 and accuracy["after"] > 0.9
    assert accuracy["before"] < 0.7
    run, after = Run(tiny_run), Run(out / "run")
    alone = evaluate(run, [tone_corpus], "val", "integer")["metrics"]
    behind = evaluate(run.hearing(TARGET), [tone_corpus], "val", "integer")["metrics"]
    again = evaluate(after, [tone_corpus], "val", "integer")["metrics"]
    assert (value["matched"], value["before"], value["after"]) == (alone, behind, again)


@pytest.mark.slow
def test_what_is_reported(recalibration, tiny_run):
    out, value = recalibration
    assert json.loads((out / "recalibration.json").read_text()) == value
    assert value["parity"]["mismatches"] == 0
    for side, run in (("before", Run(tiny_run)), ("after", Run(out / "run"))):
        edge = run.program.edges[run.program.inputs[0]]
        assert value["input_scale"][side] == np.float32(edge.scale)
        assert value["input_zero_point"][side] == edge.zero_point
    assert value["steps"] == {"float": 60, "quantized": 10}
    assert value["clips_used"] == 37 and value["clips_evaluated"] == 42
    assert "MicroFrontend in the target" in value["differences"]
    page = (out / "recalibration.md").read_text()
    for name in ("before", "matched", "after"):
        metrics = value[name]
        assert WORDS < set(metrics["per_class"])
        for label, row in zip(
            metrics["confusion"]["classes"], metrics["confusion"]["counts"], strict=True
        ):
            assert f"| {label} | {' | '.join(map(str, row))} |" in page
    shares = [f"{100 * value[n]['per_class']['low']:.1f}" for n in ("before", "matched", "after")]
    assert f"| low | {' | '.join(shares)} |" in page


@pytest.mark.slow
def test_the_run_keeps_its_recipe_and_the_artifact_is_of_the_new_one(recalibration, tiny_run):
    out, value = recalibration
    parent, child = Run(tiny_run).experiment, Run(out / "run").experiment
    assert (child.recipe, child.model, child.task) == (parent.recipe, parent.model, parent.task)
    assert child.frontend == TARGET and child.init_from == str(tiny_run)
    artifact = Run(out / "artifact")
    assert value["artifact"] == str(artifact.path) and value["run"] == str(out / "run")
    assert artifact.experiment == child
    assert artifact.model == Run(out / "run").model != Run(tiny_run).model


def test_a_float_run_follows(tiny_float, tone_corpus, tmp_path):
    """It was right behind its own front end, is wrong behind the target, and is right again."""
    settings = TrainingSettings(steps=40, learning_rate=0.02)
    out, data = tmp_path / "out", [tone_corpus]
    target = dataclasses.replace(EXPERIMENT.frontend, upper_hz=1700.0)
    value = recalibrate(Run(tiny_float), target, data, out, settings, lambda text: None)
    accuracy = {name: value[name]["accuracy"] for name in ("before", "matched", "after")}
    assert accuracy["matched"] > 0.8 and accuracy["after"] > 0.8 and accuracy["before"] < 0.7
    assert value["after"] == evaluate(Run(out / "run"), data, "val", "float")["metrics"]
    assert value["runtime"] == "float" and value["steps"] == {"float": 40, "quantized": 0}
    assert json.loads((out / "recalibration.json").read_text()) == value
    child, parent = Run(out / "run").experiment, Run(tiny_float).experiment
    assert child.frontend == target and child.init_from == str(tiny_float)
    assert (child.recipe, child.model, child.task) == (parent.recipe, parent.model, parent.task)


def test_defaults_follow_the_run(tiny_run):
    run = Run(tiny_run)
    child = recalibrated(run, TARGET)
    assert child.optimizer.steps == 1000
    assert child.optimizer.learning_rate == pytest.approx(2e-2 * 2 / 3)
    assert child.finetune == run.experiment.finetune
    assert child.augmentation == run.experiment.augmentation
    require_trainable(child)
    assert recalibrated(run, TARGET, TrainingSettings(finetune_steps=0)).finetune.steps == 0
    with pytest.raises(BadInput, match="learning_rate"):
        recalibrated(run, TARGET, TrainingSettings(learning_rate=0.0))


def test_ranges_alone(tiny_run, tiny_hearing):
    """No steps: the parent's weights, the target's ranges."""
    value = json.loads((tiny_hearing / "recalibration.json").read_text())
    parent, child = Run(tiny_run), Run(tiny_hearing / "run")
    theirs, ours = parent.variables("float"), child.variables("float")
    assert np.array_equal(ours["params"]["conv"]["kernel"], theirs["params"]["conv"]["kernel"])
    assert value["input_scale"]["before"] != value["input_scale"]["after"]
    assert value["parity"]["mismatches"] == 0


# --- dumped features


def test_dumped_features_are_those_of_the_front_end(dump, tiny_run, tone_corpus):
    """What the evaluation of a run sees is the same, from audio and from the dump of it."""
    run = Run(tiny_run)
    seen = []
    for heard, folder in ((run.hearing(TARGET), tone_corpus), (Run(tiny_run, DUMPED), dump)):
        data = heard.data([folder], ("val",))
        items = [item for item in data.evaluation_list("val") if item.label in WORDS]
        clips, _ = data.evaluation_arrays(items)
        names = [item.path.rpartition(".")[0].removesuffix("-0") for item in items]
        features = heard.experiment.setup.features_of(clips)
        seen.append(dict(zip(names, features, strict=True)))
    audio_side, dump_side = seen
    assert audio_side.keys() == dump_side.keys() and len(audio_side) == 24
    for name, features in audio_side.items():
        np.testing.assert_array_equal(dump_side[name], features)


@pytest.mark.slow
def test_recalibration_to_a_dump(answer, cli, refused, dump, tiny_run, tmp_path):
    out = tmp_path / "out"
    status, value = answer("frontend", "recalibrate", tiny_run, "--to", dump, "--out", out, *SHORT)
    assert status == 0
    assert value["matched"] is None and "matched" not in (out / "recalibration.md").read_text()
    assert value["before"]["accuracy"] < 0.7 and value["after"]["accuracy"] > 0.8
    assert value["parity"]["mismatches"] == 0
    run = Run(out / "run")
    assert run.experiment.frontend == DUMPED
    assert not run.experiment.augmentation.changes_audio
    assert frontend_of(str(out / "artifact")) == DUMPED
    # Again: nothing is trained, the answer is the same.
    before = (out / "run" / "model.tflite").read_bytes()
    shown = cli("frontend", "recalibrate", tiny_run, "--to", dump, "--out", out, *SHORT)
    assert shown[0] == 0 and "## Confusion, after" in shown[1]
    assert (out / "run" / "model.tflite").read_bytes() == before
    # What only audio can do is refused.
    assert answer("evaluate", out / "run", "--data", dump)[1]["metrics"] == value["after"]
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16000)
    assert "takes no audio" in refused("listen", out / "run", tmp_path / "a.wav")


# --- what is refused


def test_bad_input(refused, tiny_run, tiny_artifact, tone_corpus, dump, target, tmp_path):
    out = tmp_path / "out"

    def message(run=tiny_run, to=target, data=tone_corpus, more=()):
        where = () if data is None else ("--data", data)
        return refused("frontend", "recalibrate", run, "--to", to, *where, "--out", out, *more)

    assert "(24, 10) there, (24, 40) here" in message(to=tiny_config(tmp_path, {"channels": 40}))
    assert "(24, 10) there, (47, 10) here" in message(to=tiny_config(tmp_path, {"hop_ms": 10.0}))
    assert "no checkpoint" in message(run=tiny_artifact)
    assert "no such run directory" in message(run=tmp_path / "nowhere")
    assert "front end 'fft'" in message(to="fft")
    assert "--data is needed" in message(data=None)
    assert "is not audio" in message(data=dump)
    assert "features of a device are .npy files" in message(to=dump)
    assert "steps" in message(more=("--steps", "-1"))
    assert "learning_rate" in message(more=("--learning-rate", "0"))
    assert not out.exists()
    out.mkdir()
    (out / "run").mkdir()
    (out / "run" / "letter.txt").write_text("dear")
    assert "is not empty and holds no run" in message()


def tiny_config(folder, changes):
    path = folder / "-".join(changes)
    path.mkdir()
    return named.write(overlay(TARGET, changes), path)
