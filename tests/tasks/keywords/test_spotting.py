"""Spotting: words in sound that never ends, from windows of scenes."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from corpus import EXPERIMENT, trains

from aqtaudio.commands.command_line import main
from aqtaudio.data import cache_folder, manifest
from aqtaudio.data.augmentation import Augmentation
from aqtaudio.data.conditions import conditions
from aqtaudio.data.labels import is_word_label
from aqtaudio.data.mixing import Mixing
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.models.embedding_head import EmbeddingHead
from aqtaudio.runs.network import network
from aqtaudio.runs.run import Run
from aqtaudio.tasks.keywords import scenes
from aqtaudio.tasks.keywords.scenes import SCENE_MS, TAIL_MS, Scene
from aqtaudio.tasks.keywords.spotting import Spotting
from aqtaudio.tasks.keywords.spotting_data import CUT, LATE_MS, SpottingData, Taught, ends_of
from aqtaudio.tasks.keywords.teacher import teacher_of

pytestmark = pytest.mark.optimized(False)
RATE_HZ = 8000
STILL = Mixing(
    snr_db=(20.0, 20.0), noise_only_probability=0.0, speech_only_probability=0.5,
    reverb_probability=0.0, band_limit_probability=0.0, level_dbfs=(-30.0, -20.0),
    level_step_probability=0.0, clipping_probability=0.0,
)  # fmt: skip
TASK = Spotting(("low",), clip_ms=500, mixing=STILL, scenes_per_clip=1)
STEPS = Optimizer(steps=40, batch_size=64, learning_rate=2e-2, warmup_steps=5)
SPOTTING = Experiment(
    model=EmbeddingHead(width=4, hidden=4),
    task=TASK,
    frontend=EXPERIMENT.frontend,
    optimizer=STEPS,
    finetune=dataclasses.replace(STEPS, steps=10, learning_rate=2e-3),
    calibration_batches=1,
    stream_block_frames=1,
    stream_context_clips=0,
    evaluate_every=40,
    checkpoint_every=40,
)


@pytest.fixture(scope="module")
def cache(once) -> Path:
    return once("scenes_cache", Path.mkdir)


@pytest.fixture
def kept(cache, monkeypatch) -> None:
    monkeypatch.setenv(cache_folder.VARIABLE, str(cache))


@pytest.fixture(scope="module")
def run(once, tone_corpus, cache) -> Run:
    def write(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(cache_folder.VARIABLE, str(cache))
            trains(SPOTTING, tone_corpus)(folder)

    return Run(once("spotting", write))


@pytest.fixture(scope="module")
def data(tone_corpus, cache) -> SpottingData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache_folder.VARIABLE, str(cache))
        return TASK.prepared(
            TASK.load([tone_corpus], SPOTTING.setup, ("train", "val")), SPOTTING.setup
        )


def test_a_word_ends_where_the_scene_says(data):
    clip = np.zeros(6000, np.int16)
    clip[2000:4000] = 8000 * np.sin(np.arange(2000))
    found = scenes.placed([Scene("a", 0, 0, True)], [clip], RATE_HZ)
    loud = np.flatnonzero(found.audio[0])
    assert abs(loud[-1] / 8 - (SCENE_MS - TAIL_MS)) < 40
    assert found.ends_ms[0] == SCENE_MS - TAIL_MS
    assert abs(loud[0] / 8 - found.starts_ms[0]) < 40


def test_who_speaks_beside_the_word():
    """Somebody does in most scenes, before the word or all the time; words themselves stay."""
    rng = np.random.default_rng(0)
    clip = np.zeros(6000, np.int16)
    clip[2000:4000] = 8000 * np.sin(np.arange(2000))
    talker = (1000 * rng.standard_normal(50_000)).astype(np.int16)
    many = [Scene("a", 0, turn, True) for turn in range(60)]
    alone = scenes.placed(many[:1], [clip], RATE_HZ)
    start, end = (int(8 * ms[0]) for ms in (alone.starts_ms, alone.ends_ms))
    beside = scenes.placed(many, [clip] * 60, RATE_HZ, [talker]).audio - alone.audio.astype(int)
    before, within = (
        np.abs(x).max(1) > 0 for x in (beside[:, : start - 3000], beside[:, start:end])
    )
    assert 10 < np.sum(~before) < 32 and 8 < np.sum(within) < 30 and not (within & ~before).any()
    again = scenes.placed(many[7:9], [clip] * 2, RATE_HZ, [talker]).audio
    np.testing.assert_array_equal(again - alone.audio.astype(int), beside[7:9])


def test_words_at_other_speeds():
    """A first scene is as it was; of the others pitch and length change by the same share."""
    plain = scenes.scenes_of("a", 6000, RATE_HZ, True, 40)
    assert plain == scenes.scenes_of("a", 6000, RATE_HZ, True, 40, speed_change=0.0)
    changed = scenes.scenes_of("a", 6000, RATE_HZ, True, 40, speed_change=0.2)
    speeds = np.asarray([scene.speed for scene in changed])
    assert changed[0] == plain[0] and len(set(speeds)) == 40
    assert 0.8 <= speeds.min() < 0.85 and 1.15 < speeds.max() <= 1.2
    clip = np.zeros(6000, np.int16)
    clip[2000:4000] = 8000 * np.sin(2 * np.pi * 1000 / RATE_HZ * np.arange(2000))
    found = scenes.placed(changed, [clip] * 40, RATE_HZ)
    np.testing.assert_allclose(found.ends_ms - found.starts_ms, 250 / speeds, atol=25)
    heard_hz = np.abs(np.fft.rfft(found.audio)).argmax(1) * RATE_HZ / found.audio.shape[1]
    np.testing.assert_allclose(heard_hz, 1000 * speeds, rtol=0.01)


def test_masked_windows(data):
    """Stretches of bands and frames are zero, others as without; of another key other ones."""
    changes = {"augmentation": Augmentation(spec_time_masks=1, spec_frequency_masks=1)}
    setup = dataclasses.replace(SPOTTING.setup, **changes)
    masked = dataclasses.replace(TASK, masked=True)
    features, numbers = np.ones((64, *setup.feature_shape), np.float32), np.zeros(64, np.int32)
    deviations = np.ones(features.shape[-1], np.float32)

    def windows(task: Spotting, key: int) -> np.ndarray:
        batch = features, numbers
        return np.asarray(task.examples(jax.random.key(key), batch, deviations, setup)[0])

    plain, seen = windows(TASK, 0), windows(masked, 0)
    gone = seen == 0
    assert 0.05 < gone.mean() < 0.6 and (plain != 0).all()
    np.testing.assert_array_equal(seen[~gone], plain[~gone])
    assert (gone != (windows(masked, 1) == 0)).any()


def test_long_sound_is_cut_without_overlap():
    cut = scenes.scenes_of("a", 5 * 12 * RATE_HZ + 100, RATE_HZ, False, 3)
    assert [scene.start_sample for scene in cut] == [n * 5 * RATE_HZ for n in range(12)]
    samples = np.arange(60 * RATE_HZ, dtype=np.int64).astype(np.int16)
    whole = scenes.placed(cut, [samples] * 12, RATE_HZ).audio
    np.testing.assert_array_equal(whole.reshape(-1), samples)


def test_what_is_heard_depends_on_the_scene_alone(data):
    of = data.scenes("train", 1)[:20]
    both = data.heard(of)
    for part in (of[3:7], of[11:]):
        first = of.index(part[0])
        again = data.heard(part)
        np.testing.assert_array_equal(again, both[first : first + len(part)])
    assert (both.max(1) > 0).all()


def test_batches(data):
    """Windows of a keyword end with it; everything is a function of seed and step."""
    features, numbers = data.training_batch(3, 64, seed=1)
    again, same = data.training_batch(3, 64, seed=1)
    np.testing.assert_array_equal(features, again)
    np.testing.assert_array_equal(numbers, same)
    assert features.shape == (64, *SPOTTING.setup.feature_shape)
    assert 0 < np.sum(numbers == 0) < 20 and set(numbers) == {0, -1}
    assert (features != data.training_batch(4, 64, seed=1)[0]).any()
    windows, trained = data._windows, data._trained_on
    known_ms = ends_of(SPOTTING.setup, trained.features.shape[1])
    held = known_ms[windows.words[0][:, 1] - 1]
    assert held.min() >= SCENE_MS - TAIL_MS and held.max() <= SCENE_MS - TAIL_MS + LATE_MS
    for scene, end in windows.others:
        start, stop = trained.placed.starts_ms[scene], trained.placed.ends_ms[scene]
        if trained.scenes[scene].path.startswith("words/train/low"):
            assert known_ms[end - 1] <= start + CUT[1] * (stop - start)


def test_it_learns_and_is_exact(run, kept, tone_corpus):
    row = json.loads((run.path / "row.json").read_text())
    assert row["parity"]["mismatches"] == 0 and row["parity"]["outputs"] > 100
    integer = row["metrics"]["integer"]
    assert integer == row["metrics"]["quantized"]
    assert integer["recall"] > 0.8 and integer["words"]["low"]["n"] == 12
    assert integer["words"]["low"]["other_words"]["n"] == 24
    assert integer["words"]["low"]["neighbours"]["n"] == 0
    assert row["headlines"]["fronts"] == ["recall"]


def test_evaluate(run, kept, tone_corpus, capsys):
    arguments = ["evaluate", str(run.path), "--data", str(tone_corpus)]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]
    row = json.loads((run.path / "row.json").read_text())
    assert found == row["metrics"]["integer"]
    assert main(arguments) == 0
    assert "false alarms per hour" in capsys.readouterr().out


def test_bad_settings(tone_corpus, tmp_path):
    cases = (
        ({"task.clip_ms": 4800}, "up to 4520"),
        ({"stream_block_frames": 0}, "streams"),
        ({"task.hardest": 0.0}, "task.hardest"),
        ({"task.speed_change": 0.6}, "task.speed_change is 0.6; allowed: 0 to 0.5"),
        ({"task.keywords": "none"}, "label 'none' has no clips"),
    )
    from aqtaudio.runs.train import train
    from aqtaudio.settings import overlay

    for changes, message in cases:
        with pytest.raises(BadInput, match=message):
            train(overlay(SPOTTING, changes), [tone_corpus], tmp_path / "none", lambda _: None)
    assert not (tmp_path / "none").exists()


def test_robustness(run, kept, tone_corpus, monkeypatch):
    task, setup = TASK, SPOTTING.setup
    data = task.load([tone_corpus], setup, ("val",))
    items = run.items(data, "val")
    with network(run, "integer") as opened:
        usual = task.under(opened, data, items, setup, lambda clips: clips)
        still = task.under(opened, data, items, setup, np.zeros_like)
        (loud,) = conditions(())[6:7]
        monkeypatch.setattr("aqtaudio.tasks.keywords.robustness.conditions", lambda noises: [loud])
        table = task.robustness(opened, data, items, setup, "val", lambda text: None)
        (row,) = table["conditions"]
        alone = task.under(opened, data, items, setup, loud.change)
    assert usual["figures"]["low"] > 0.7 and usual["counts"]["low"][1] == 12
    assert usual["counts"]["other words ring"][1] == 24
    assert "false alarms per hour" in usual["figures"]
    assert still["figures"]["low"] in (0.0, 1.0)  # all scenes are alike
    assert row["name"] == "level -10 dBFS" and table["n"] == len(items)
    assert {name: row[name] for name in alone} == alone


def test_words_that_training_does_not_hear(tone_corpus):
    (other, *_) = sorted(
        {row.label for row in manifest.read(tone_corpus) if is_word_label(row.label)} - {"low"}
    )
    task = dataclasses.replace(TASK, unheard=(other,))
    data = task.load([tone_corpus], SPOTTING.setup, ("train", "val"))
    heard = {data._label(scene.path) for scene in data.scenes("train", 1)}
    assert other not in heard and "low" in heard
    assert other in {item.label for item in data.evaluation_list("val")}
    with pytest.raises(BadInput, match="kept_epochs"):
        dataclasses.replace(TASK, kept_epochs=2)


def test_what_a_teacher_says_is_the_latest_that_it_knew():
    logits = np.arange(24.0).reshape(2, 6, 2)
    taught = Taught(logits, np.asarray([100.0, 180, 260, 340, 420, 500]))
    scenes_of_batch, ends_ms = np.asarray([0, 0, 1, 1]), np.asarray([180.0, 259.0, 500.0, 40.0])
    expected = logits[[0, 0, 1, 1], [1, 1, 5, 0]]
    np.testing.assert_array_equal(taught.at(scenes_of_batch, ends_ms), expected)


def test_a_teacher_counts_beside_the_truth():
    taught = dataclasses.replace(TASK, teacher="run", teacher_weight=3.0)
    answers = np.asarray([[2.0], [-1.0], [0.5]], np.float32)
    numbers = np.asarray([0, -1, -1])
    features = np.ones((3, 4, 2), np.float32)
    key = jax.random.key(0)
    batch = features, numbers, answers + 1
    seen, targets = taught.examples(key, batch, np.zeros(2), SPOTTING.setup)
    np.testing.assert_array_equal(seen, features)
    alone, _ = TASK.objective(answers, numbers, SPOTTING.setup, {}, 0.0)
    loss, told = taught.objective(answers, targets, SPOTTING.setup, {}, 0.0)
    alone, apart = float(alone), float(told["apart"])
    assert float(loss) == pytest.approx(alone + 3 * apart) and apart > 0.01
    agreed, _ = taught.objective(answers, (numbers, answers), SPOTTING.setup, {}, 0.0)
    assert float(agreed) == pytest.approx(alone, abs=1e-6)


def test_a_teacher_of_other_words_is_refused(run):
    with pytest.raises(BadInput, match="listens for low; allowed: high"):
        teacher_of(str(run.path), ("high",))
    assert teacher_of(str(run.path), ("low",)).features == 1
    with pytest.raises(BadInput, match="no encoder"):
        teacher_of("nowhere", ("low",))
