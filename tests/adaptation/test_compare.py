"""How two front ends differ: laws of the figures, the pictures, and what a run makes of them."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_cases import contents
from corpus import CLIPS, EXPERIMENT, RATE_HZ
from matplotlib.image import imread

from aqtaudio.adaptation.compare import compare, statistics
from aqtaudio.data import manifest
from aqtaudio.errors import BadInput
from aqtaudio.frontends.device import DeviceFeatures
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.frontends.named import write
from aqtaudio.frontends.spectral import LogMel
from aqtaudio.runs.evaluate import evaluate
from aqtaudio.runs.run import Run

pytestmark = pytest.mark.optimized(False)

TRAINED = EXPERIMENT.frontend
DUMPED = DeviceFeatures(window_ms=40.0, bands=10, mean=(0.0,), scale=(8.0,))
LOG_MEL = LogMel(sample_rate_hz=RATE_HZ, upper_hz=3500.0, mel_bands=12)
KEYS = {
    "split",
    "n",
    "sample_rate_hz",
    "hop_samples",
    "a",
    "b",
    "frames",
    "features",
    "differences",
    "differing_share",
    "mean_abs_diff",
    "max_abs_diff",
    "bands",
    "worst",
    "run",
}
BAND_KEYS = {
    "band",
    "mean_a",
    "std_a",
    "mean_b",
    "std_b",
    "mean_diff",
    "mean_abs_diff",
    "max_abs_diff",
    "correlation",
}


def changed(**settings):
    """The log-mel front end with other settings."""
    return dataclasses.replace(LOG_MEL, **settings)


def named(frontend, folder):
    """A front end as the command line takes it."""
    folder.mkdir(parents=True)
    return write(frontend, folder)


# --- figures


def test_a_front_end_does_not_differ_from_itself(tone_corpus):
    found = compare((LOG_MEL, changed()), [tone_corpus]).figures
    assert found["differences"] == "" and found["differing_share"] == 0
    assert found["mean_abs_diff"] == found["max_abs_diff"] == 0
    for band in found["bands"]:
        assert band["mean_diff"] == band["max_abs_diff"] == 0
        assert band["mean_a"] == band["mean_b"] and band["std_a"] == band["std_b"] > 0
        assert band["correlation"] == pytest.approx(1)


def test_another_mean_is_that_difference_in_every_band(tone_corpus):
    """Features are (x - mean) / scale."""
    found = compare((LOG_MEL, changed(mean=(-1.5,))), [tone_corpus]).figures
    assert "mean is (-1.0,) in A, (-1.5,) in B" in found["differences"]
    assert found["differing_share"] == 1
    assert len(found["bands"]) == found["features"] == 12
    for number, band in enumerate(found["bands"]):
        assert band["band"] == number
        for key in ("mean_diff", "mean_abs_diff", "max_abs_diff"):
            assert band[key] == pytest.approx(0.5 / 2.5, abs=1e-6)
        assert band["std_a"] == pytest.approx(band["std_b"], abs=1e-6)
        assert band["correlation"] == pytest.approx(1)


def test_a_mean_per_band_stays_in_its_band(tone_corpus):
    other = changed(mean=(-1.0, -1.0, -1.25, -1.0))
    found = compare((LOG_MEL, other), [tone_corpus]).figures
    differing = [band["band"] for band in found["bands"] if band["max_abs_diff"] > 0]
    assert differing == [2]
    assert found["bands"][2]["mean_diff"] == pytest.approx(0.1, abs=1e-6)
    assert found["differing_share"] == pytest.approx(1 / 12)
    assert found["mean_abs_diff"] == pytest.approx(0.1 / 12, abs=1e-7)


def test_swapping_changes_signs(tone_corpus):
    pair = (LOG_MEL, changed(lower_hz=100.0))
    there, back = (compare(p, [tone_corpus]).figures for p in (pair, pair[::-1]))
    assert there["mean_abs_diff"] == back["mean_abs_diff"] > 0
    for one, other in zip(there["bands"], back["bands"], strict=True):
        assert one["mean_diff"] == pytest.approx(-other["mean_diff"], abs=1e-12)
        assert one["mean_a"] == other["mean_b"] and one["max_abs_diff"] == other["max_abs_diff"]


def test_statistics_of_random_features():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 7, 3)).astype(np.float32)
    b[0] = a[0]
    found = statistics(a, b)
    assert found["differing_share"] == pytest.approx(4 / 5)
    assert found["mean_abs_diff"] == pytest.approx(np.abs(b - a).mean(), rel=1e-5)
    assert found["max_abs_diff"] == pytest.approx(np.abs(b - a).max(), rel=1e-6)
    for band, figures in enumerate(found["bands"]):
        x, y = a[..., band].ravel(), b[..., band].ravel()
        assert figures["mean_b"] == pytest.approx(y.mean(), abs=1e-6)
        assert figures["std_a"] == pytest.approx(x.std(), rel=1e-5)
        assert figures["correlation"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)


def test_a_constant_band_correlates_with_nothing():
    a = np.full((2, 3, 1), 0.1, np.float32)
    b = np.random.default_rng(0).normal(size=a.shape).astype(np.float32)
    assert statistics(a, b)["bands"][0]["correlation"] is None
    assert statistics(b, a)["bands"][0]["correlation"] is None


@dataclasses.dataclass(frozen=True)
class Deaf(LogMel):
    """Hears nothing in clips that are loud to the end: what differs is known clip by clip."""

    def push(self, audio: jax.Array, state: tuple) -> tuple[jax.Array, tuple]:
        features, state = super().push(audio, state)
        loud = jnp.max(jnp.abs(audio[:, -1000:]), -1)[:, None, None] > 0.1
        return jnp.where(loud, 0.0, features), state


def test_the_worst_clips_are_those_that_differ(tone_corpus):
    """Only the hiss fills a clip; every other clip is heard alike."""
    deaf = Deaf(**{f.name: getattr(LOG_MEL, f.name) for f in dataclasses.fields(LOG_MEL)})
    found = compare((LOG_MEL, deaf), [tone_corpus], worst=3)
    first, *others = found.figures["worst"]
    assert first["path"] == "noise/val/hiss.flac" and first["label"] == "noise:hiss"
    assert first["mean_abs_diff"] > 0 and all(clip["mean_abs_diff"] == 0 for clip in others)
    a, b = found.worst[0].features
    assert np.abs(a).mean() == pytest.approx(first["mean_abs_diff"]) and not b.any()


def test_frames_of_another_window_are_compared_in_pairs(tone_corpus):
    """Frame k of both begins with sample k x hop; a shorter window has a frame more in the end."""
    found = compare((LOG_MEL, changed(window_ms=20.0)), [tone_corpus]).figures
    assert (found["a"]["frames"], found["b"]["frames"], found["frames"]) == (49, 50, 49)
    assert (found["a"]["window_samples"], found["b"]["window_samples"]) == (320, 160)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (changed(hop_ms=10.0), ("hop_samples 160 in A, 80 in B", "hop_ms is 20.0 in A")),
        (changed(mel_bands=10), ("features per frame 12 in A, 10 in B", "mel_bands is 12 in A")),
        (changed(sample_rate_hz=16_000), ("sample_rate_hz 8000 in A, 16000 in B",)),
        (TRAINED, ("features per frame 12 in A, 10 in B", "LogMel in A, Mfcc in B")),
        (DUMPED, ("front end B is what a device dumped",)),
    ],
)
def test_what_cannot_be_compared_is_named(other, words, tone_corpus):
    with pytest.raises(BadInput) as refusal:
        compare((LOG_MEL, other), [tone_corpus])
    assert all(word in str(refusal.value) for word in words)


def test_front_ends_of_two_kinds(tone_corpus):
    """The same bands, in units of their own: alike, but nothing is equal."""
    band = {"sample_rate_hz": RATE_HZ, "window_ms": 30.0, "lower_hz": 125.0, "upper_hz": 3500.0}
    pair = (LogMel(**band, mel_bands=20), MicroFrontend(**band, channels=20, pcan=False))
    found = compare(pair, [tone_corpus], limit=20).figures
    assert found["differences"] == "LogMel in A, MicroFrontend in B"
    assert found["differing_share"] > 0.9
    assert np.median([band["correlation"] for band in found["bands"]]) > 0.5


# --- clips


def test_without_a_run_every_recording_is_heard_where_it_is_loudest(tone_corpus):
    recordings = [row for row in manifest.read(tone_corpus) if row.split == "train"]
    found = compare((LOG_MEL, LOG_MEL), [tone_corpus], "train", worst=1000).figures
    assert found["n"] == len(recordings) and found["split"] == "train"
    assert {clip["path"] for clip in found["worst"]} == {row.path for row in recordings}
    fewer = compare((LOG_MEL, LOG_MEL), [tone_corpus], "train", limit=7, worst=1000).figures
    assert fewer["n"] == len(fewer["worst"]) == 7


def test_no_recordings(tone_corpus, refused, tmp_path):
    files = (named(LOG_MEL, tmp_path / "a"), named(LOG_MEL, tmp_path / "b"))
    message = refused("frontend", "compare", *files, "--data", tone_corpus, "--split", "test")
    assert "no recordings in split 'test'" in message


# --- what it does to a run


def test_a_run_behind_another_front_end(tiny_run, tone_corpus, answer, tmp_path):
    """Behind its own it is what evaluate says; behind one of other values, worse."""
    other = dataclasses.replace(TRAINED, mean=(14.0, 8.0))
    files = (tiny_run, named(other, tmp_path / "b"))
    status, value = answer(
        "frontend", "compare", *files, "--data", tone_corpus, "--run", tiny_run, "--worst", 2
    )
    assert status == 0 and set(value) == KEYS and len(value["worst"]) == 2
    assert all(set(band) == BAND_KEYS for band in value["bands"])
    assert set(value["worst"][0]) == {"path", "label", "start_sample", "mean_abs_diff"}
    effect = value["run"]
    assert effect["path"] == str(tiny_run) and effect["runtime"] == "integer"
    assert value["n"] == CLIPS
    assert effect["a"] == evaluate(Run(tiny_run), [tone_corpus], "val", "integer")["metrics"]
    assert effect["b"]["accuracy"] < effect["a"]["accuracy"]
    assert np.sum(effect["b"]["confusion"]["counts"]) == CLIPS


def test_a_float_run_answers_in_floats(tiny_float, tone_corpus):
    found = compare((TRAINED, TRAINED), [tone_corpus], run=Run(tiny_float), limit=20).figures
    expected = evaluate(Run(tiny_float), [tone_corpus], "val", "float", 20)["metrics"]
    assert found["run"]["runtime"] == "float"
    assert found["run"]["a"] == found["run"]["b"] == expected


def test_a_run_hears_only_what_its_model_takes(tiny_run):
    run = Run(tiny_run)
    assert run.hearing(TRAINED).experiment == run.experiment
    assert run.hearing(DUMPED).experiment.frontend == DUMPED
    with pytest.raises(BadInput, match="24 frames of 10 features.*24 of 12.*Mfcc in the run"):
        run.hearing(LOG_MEL)
    with pytest.raises(BadInput, match="sample rate.*sample_rate_hz is 8000 in the run"):
        run.hearing(dataclasses.replace(TRAINED, sample_rate_hz=16_000))


def unreadable(parent):
    """A data folder whose reading would fail with words of its own."""
    (parent / "data").mkdir()
    (parent / "data" / "MANIFEST.tsv").write_text("no manifest")
    return parent / "data"


def test_a_run_that_does_not_fit_is_refused_before_anything_is_read(tiny_run, refused, tmp_path):
    files = (named(LOG_MEL, tmp_path / "a"), named(LOG_MEL, tmp_path / "b"))
    arguments = ("--data", unreadable(tmp_path), "--run", tiny_run, "--out", tmp_path / "out")
    assert "takes 24 frames of 10 features" in refused("frontend", "compare", *files, *arguments)
    assert not (tmp_path / "out").exists()


# --- files and words


def test_pictures(tone_corpus, cli, tmp_path):
    other = changed(mean=(-1.5,), upper_hz=3000.0)
    files = (named(LOG_MEL, tmp_path / "a $"), named(other, tmp_path / "b $"))
    out = tmp_path / "deep" / "out"
    arguments = ("--data", tone_corpus, "--limit", 9, "--worst", 2, "--out", out)
    status, printed, _ = cli("frontend", "compare", *files, *arguments, "--json")
    assert status == 0
    assert set(contents(out)) == {"comparison.json", "bands.png", "worst_1.png", "worst_2.png"}
    assert json.loads((out / "comparison.json").read_text()) == json.loads(printed)
    for name in ("bands", "worst_1", "worst_2"):
        pixels = imread(out / f"{name}.png")
        assert min(pixels.shape[:2]) > 300 and np.ptp(pixels[..., :3]) > 0.5
    before = contents(out)
    status, _, error = cli("frontend", "compare", *files, *arguments)
    assert status == 2 and "is there already" in error and contents(out) == before


def test_for_people(tiny_run, tone_corpus, cli, tmp_path):
    other = dataclasses.replace(TRAINED, window="hamming")
    files = (tiny_run, named(other, tmp_path / "b"))
    arguments = ("--data", tone_corpus, "--limit", 8, "--run", tiny_run)
    status, out, err = cli("frontend", "compare", *files, *arguments)
    assert status == 0 and err == ""
    assert f"A {tiny_run}, B {files[1]}, on 8 clips of val" in out
    assert "window is 'hann' in A, 'hamming' in B" in out and "% of the values differ" in out
    assert f"{tiny_run} (integer) on A: accuracy" in out and "unknown" in out
    assert max(map(len, out.splitlines()[2:])) < 130


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frontend"], "COMMAND"),
        (["frontend", "compare", "mfcc"], "B"),
        (["frontend", "compare", "mfcc", "log-mel"], "--data"),
        (
            ["frontend", "compare", "mfcc", "mel", "--data", "../data"],
            "'mel': allowed: log-mel, mfcc",
        ),
        (["frontend", "compare", "mfcc", "mfcc", "--data", "d"], "no data folder d"),
        (
            ["frontend", "compare", "mfcc", "log-mel", "--data", "../data"],
            "features per frame 10 in A",
        ),
        (["frontend", "compare", "mfcc", "mfcc", "--data", "d", "--run", "r"], "no such run"),
        (["frontend", "compare", "mfcc", "mfcc", "--data", "d", "--worst", "0"], "at least 1"),
    ],
)
def test_bad_input(arguments, words, refused, tmp_path, monkeypatch):
    unreadable(tmp_path)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert words in refused(*arguments)
    assert list(here.iterdir()) == []
