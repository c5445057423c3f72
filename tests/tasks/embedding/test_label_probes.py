"""Probes of labels judge an embedding: which clips, which classes, and what figures they make."""

import dataclasses
import json

import numpy as np
import pytest
from hum_corpus import (
    HUMS,
    NOISES,
    PITCHES_HZ,
    RATE_HZ,
    SETTINGS,
    SPEAKERS,
    BandTeacher,
    hum_experiment,
    write_hum_corpus,
)

from aqtaudio.commands.command_line import main
from aqtaudio.data import manifest
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput
from aqtaudio.experiment import identity
from aqtaudio.runs.train import train
from aqtaudio.settings import from_json, overlay, to_json
from aqtaudio.study import headlines, measures
from aqtaudio.tasks.embedding.data import EmbeddingData
from aqtaudio.tasks.embedding.judging import Judgement, held_out, judge
from aqtaudio.tasks.embedding.label_probes import LabelProbe
from aqtaudio.tasks.embedding.probe_clips import loudest, scored_clips, training_clips
from aqtaudio.tasks.embedding.probe_training import ProbeSettings

pytestmark = pytest.mark.optimized(False)


@pytest.fixture(scope="module")
def data(hum_corpus) -> EmbeddingData:
    return EmbeddingData.load([hum_corpus], RATE_HZ, RATE_HZ, ("val",), "any")


# Clips.


def test_the_loudest_place():
    samples = np.zeros(1000, np.int16)
    samples[480:640] = 100
    np.testing.assert_array_equal(loudest(samples, 320, "x"), samples[320:640])


def test_silence_before_short_ones_is_a_converters():
    samples = np.full(100, 500, np.int16)
    clip = loudest(samples, 400, "a")
    assert clip.dtype == np.int16 and (clip[300:] == 500).all()
    assert set(clip[:300].tolist()) == {-1, 0, 1}
    np.testing.assert_array_equal(clip, loudest(samples, 400, "a"))
    assert (clip != loudest(samples, 400, "b")).any()


def test_classes_and_what_training_leaves_out(data):
    training = training_clips(data, HUMS, RATE_HZ)
    scored = scored_clips(data, HUMS, RATE_HZ, "val")
    assert training.classes == scored.classes == ("high", "low", "unknown", "silence")
    heard, speakers = SPEAKERS["train"], SPEAKERS["val"]
    assert np.bincount(training.truths).tolist() == [heard, heard, heard, 2 * heard]
    assert np.bincount(scored.truths).tolist() == [speakers, speakers, 2 * speakers, 2 * speakers]
    few = training_clips(data, dataclasses.replace(HUMS, most_per_class=3), RATE_HZ)
    assert np.bincount(few.truths).tolist() == [3] * 4
    rare = dataclasses.replace(NOISES, labels=("*",), least_per_class=heard + 1)
    with pytest.raises(BadInput, match="has 0 of the labels"):
        training_clips(data, rare, RATE_HZ)
    noises = training_clips(data, NOISES, RATE_HZ)
    assert noises.classes == ("noise:hiss", "noise:rumble") and len(noises.truths) == 2 * heard
    assert len(set(noises.groups)) == 2 * heard  # nobody speaks: each is its own


def test_who_chooses_the_strength():
    groups = tuple(f"speaker{n % 7}" for n in range(70))
    held = held_out(groups)
    chosen = {group for group, is_held in zip(groups, held, strict=True) if is_held}
    others = {group for group, is_held in zip(groups, held, strict=True) if not is_held}
    assert len(chosen) == 2 and not chosen & others
    assert held_out(("one",) * 10).sum() == 2


# Figures.


def judged_by_bands(probe: LabelProbe, data: EmbeddingData, split: str = "val") -> Judgement:
    return judge(probe, BandTeacher().embed, data, split, RATE_HZ)


def test_pitches_are_in_the_bands(data):
    plain = LabelProbe("pitch", tuple(PITCHES_HZ), settings=SETTINGS, few_shot_draws=2)
    found = judged_by_bands(plain, data)
    assert found.figures["pitch_accuracy"] == 1.0
    low, high = found.intervals["pitch_accuracy"]
    assert 0.7 < low < high == 1.0
    assert found.figures["pitch_map"] > 0.9
    assert found.figures["pitch_5_shot"] > 0.9 and "pitch_10_shot" not in found.figures
    assert found.details["n"] == 16 and found.details["training_clips"] == 32
    assert found == judged_by_bands(plain, data)


def test_vectors_that_know_nothing(data):
    """Of the same clips: what figures are where there is nothing to learn."""

    def embed(clips: np.ndarray) -> np.ndarray:
        return np.random.default_rng(len(clips)).normal(size=(len(clips), 1, 4))

    plain = LabelProbe("pitch", tuple(PITCHES_HZ), settings=SETTINGS, few_shot_draws=0)
    assert judge(plain, embed, data, "val", RATE_HZ).figures["pitch_accuracy"] < 0.6


def test_words_that_were_not_heard(data):
    """They are scored as unknown, and not trained on."""
    found = judged_by_bands(HUMS, data)
    assert found.details["classes"] == ["high", "low", "unknown", "silence"]
    assert found.details["n"] == 4 * 4 + 8
    assert found.figures["hums_accuracy"] >= 0.75


def test_tags(tmp_path):
    folder = write_hum_corpus(tmp_path, tagged=True)
    data = EmbeddingData.load([folder], RATE_HZ, RATE_HZ, ("val",), "any")
    settings = dataclasses.replace(SETTINGS, multi_label=True)
    found = judged_by_bands(LabelProbe("tags", settings=settings), data)
    assert found.figures["tags_micro_auprc"] > 0.9
    assert found.details["n"] == 4 * 6  # noises have no tag, and count
    with pytest.raises(BadInput, match="split 'train' has 0 of the tags x"):
        judged_by_bands(LabelProbe("tags", ("x",), settings=settings), data)


# Runs.


def test_rows_and_headlines(hum_student):
    run = hum_student
    row = json.loads((run.path / "row.json").read_text())
    integer = row["metrics"]["integer"]
    assert sorted(row["metrics"]) == ["float", "integer"]
    names = {"hums_accuracy", "hums_map", "hums_1_shot", "hums_5_shot", "noises_accuracy"}
    assert names | {"standardised_cosine"} <= set(integer)
    told = headlines.headlines([row])
    assert told.fronts == ("standardised_cosine", "hums_accuracy", "noises_accuracy")
    assert names <= {metric.key for metric in measures.metrics([row])}
    low, high = measures.interval(row, "hums_accuracy") or (1, 0)
    assert low <= integer["hums_accuracy"] <= high
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert not any("hums_accuracy" in line for line in lines)


def test_evaluate_asks_for_val_alone(hum_student, hum_corpus, capsys):
    """The train split is read for the probes; what is told is the row's."""
    run = hum_student
    arguments = ["evaluate", str(run.path), "--data", str(hum_corpus)]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    row = json.loads((run.path / "row.json").read_text())
    assert found["metrics"] == row["metrics"]["integer"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert f"hums_accuracy {found['metrics']['hums_accuracy']:.4f} (" in text
    assert "24 clips of 4 classes" in text


def test_settings_of_a_run():
    plain, probed = hum_experiment(()), hum_experiment()
    assert from_json(json.loads(json.dumps(to_json(probed)))) == probed
    assert "probes" not in identity(plain)["task"]
    changed = overlay(
        probed, {"task.probes.0.settings.hidden": "16", "task.probes.1.clip_ms": "2000"}
    )
    assert changed.task.probes[0].settings.hidden == (16,)
    assert changed.task.probes[1].clip_ms == 2000


def test_bad_probes(hum_corpus, tmp_path):
    cases = (
        (lambda: LabelProbe("A b"), "small letters"),
        (lambda: LabelProbe("a", ()), "labels are none"),
        (lambda: LabelProbe("a", others=("noise",)), "unknown, silence"),
        (lambda: LabelProbe("a", unheard=("x",)), "others must name"),
        (
            lambda: LabelProbe("a", settings=ProbeSettings(multi_label=True), others=("unknown",)),
            "tags",
        ),
        (lambda: hum_experiment((HUMS, HUMS)), "a name twice"),
        (lambda: hum_experiment((dataclasses.replace(HUMS, clip_ms=1500),)), "multiples of 1000"),
    )
    for make, message in cases:
        with pytest.raises(BadInput, match=message):
            make()
    for probe, message in (
        (LabelProbe("a", ("none", "nothing")), "split 'train' has 0 of the labels none, nothing"),
        (LabelProbe("a", ("low",)), "has 1 of the labels low"),
    ):
        with pytest.raises(BadInput, match=message):
            train(hum_experiment((probe,)), [hum_corpus], tmp_path / "none", say=lambda _: None)
    assert not (tmp_path / "none").exists()


def test_a_split_without_a_probes_recordings(tmp_path):
    rows = [
        Recording(f"{label}.wav", label, "-", split, "made", "CC0", 1.0, RATE_HZ)
        for label, split in (("a", "train"), ("b", "train"), ("c", "val"))
    ]
    manifest.write(tmp_path, rows)
    data = EmbeddingData(rows, [np.zeros(9, np.int16)] * 3, RATE_HZ, RATE_HZ, "any")
    with pytest.raises(BadInput, match="split 'val' has no recordings of its classes"):
        scored_clips(data, LabelProbe("x", least_per_class=1), RATE_HZ, "val")
