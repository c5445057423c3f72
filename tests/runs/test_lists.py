"""Figures are of the folder as it is; where the run's list is another, a line says how many."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus import CLIPS, CLIPS_PER_WORD

from aqtaudio.data import manifest
from aqtaudio.detection.intervals import wilson_interval

pytestmark = pytest.mark.optimized(False)
OTHER = {"low": "high", "high": "low"}


@pytest.fixture
def swapped(tone_corpus, tmp_path) -> Path:
    """The corpus with the labels of its validation clips exchanged."""
    return relabelled(tone_corpus, tmp_path / "swapped", lambda row: OTHER.get(row.label))


def relabelled(folder: Path, copy: Path, label) -> Path:
    shutil.copytree(folder, copy)
    rows = [
        dataclasses.replace(row, label=(row.split == "val" and label(row)) or row.label)
        for row in manifest.read(copy)
    ]
    manifest.write(copy, rows)
    return copy


def values(cli, *arguments) -> tuple[dict, str]:
    _, out, err = cli(*arguments, "--json")
    return json.loads(out), err


def test_labels_of_the_folder_are_scored(tiny_run, tone_corpus, swapped, cli):
    before, quiet = values(cli, "evaluate", tiny_run, "--data", tone_corpus)
    after, told = values(cli, "evaluate", tiny_run, "--data", swapped)
    assert quiet == "" and before["list"] == after["list"] == "folder"
    assert before["list_differences"] == {"changed": 0, "gone": 0, "new": 0}
    assert after["list_differences"] == {"changed": 2 * CLIPS_PER_WORD, "gone": 0, "new": 0}
    assert told.count("\n") == 1 and f"{2 * CLIPS_PER_WORD} changed" in told and "--list" in told
    counts, swap = np.asarray(before["metrics"]["confusion"]["counts"]), [1, 0, 2, 3]
    np.testing.assert_array_equal(after["metrics"]["confusion"]["counts"], counts[swap])
    own, told = values(cli, "evaluate", tiny_run, "--data", swapped, "--list", "run")
    assert own["list"] == "run" and own["metrics"] == before["metrics"] and "run's list" in told


def test_a_clip_that_sounds_other_is_told_of(tiny_run, tone_corpus, tmp_path, cli):
    """As long as before, and with its label."""
    folder = Path(shutil.copytree(tone_corpus, tmp_path / "corpus"))
    row = next(row for row in manifest.read(folder) if (row.split, row.label) == ("val", "low"))
    samples, rate_hz = soundfile.read(row.file)
    soundfile.write(row.file, samples[::-1], rate_hz)
    value, told = values(cli, "evaluate", tiny_run, "--data", folder)
    assert value["list_differences"]["changed"] == 1 and "1 changed" in told


def test_clips_that_are_gone_or_new(tiny_run, tone_corpus, tmp_path, cli, refused):
    folder = Path(shutil.copytree(tone_corpus, tmp_path / "corpus"))
    rows = manifest.read(folder)
    of_low = [row for row in rows if (row.split, row.label) == ("val", "low")]
    more = dataclasses.replace(of_low[1], path="words/val/low/more.flac")
    shutil.copy(of_low[1].file, folder / more.path)
    manifest.write(folder, [row for row in [*rows, more] if row != of_low[0]])
    value, told = values(cli, "evaluate", tiny_run, "--data", folder)
    assert value["n"] == CLIPS
    assert value["list_differences"] == {"changed": 0, "gone": 1, "new": 1}
    assert "1 gone, 1 new" in told
    message = refused("evaluate", tiny_run, "--data", folder, "--list", "run")
    assert "folders lack" in message


def test_only_validation_has_a_list(tiny_run, tone_corpus, refused):
    how = ("evaluate", tiny_run, "--data", tone_corpus, "--split", "train", "--list", "run")
    assert "'train'" in refused(*how)


def test_parity_export_and_detect_tell_it_too(tiny_stream, swapped, tmp_path, cli):
    value, told = values(cli, "parity", tiny_stream, "--data", swapped, "--n", "20")
    assert value["list"] == "folder" and "24 changed" in told
    status, _, told = cli("export", tiny_stream, "--out", tmp_path / "a", "--data", swapped)
    assert status == 0 and "24 changed" in told


def test_an_artifact_knows_the_sound_of_its_clips(tiny_artifact, tiny_run):
    name = "evaluation.sha1"
    assert (tiny_artifact / name).read_bytes() == (tiny_run / name).read_bytes()


def test_intervals_are_those_of_the_counts(tiny_run, tone_corpus, cli):
    value, _ = values(cli, "evaluate", tiny_run, "--data", tone_corpus)
    counts = np.asarray(value["metrics"]["confusion"]["counts"])
    assert value["clips"] == {"low": 12, "high": 12, "unknown": 12, "silence": 6}
    assert list(value["clips"].values()) == counts.sum(1).tolist()
    whole = wilson_interval(int(np.trace(counts)), int(counts.sum()))
    assert value["intervals"]["accuracy"] == list(whole)
    for place, (name, interval) in enumerate(value["intervals"]["per_class"].items()):
        right, total = int(counts[place, place]), int(counts[place].sum())
        assert interval == list(wilson_interval(right, total)), name
        assert interval[0] <= value["metrics"]["per_class"][name] <= interval[1]
    _, out, _ = cli("evaluate", tiny_run, "--data", tone_corpus)
    low, high = whole
    assert f"({low:.4f} to {high:.4f})" in out and "of 12 clips" in out
