"""A synthetic corpus: speaker-disjoint, usable, made once, the same every time."""

import collections
import dataclasses
import hashlib
import json
import sys

import numpy as np
import pytest

from aqtaudio.data import espeak, manifest, noises
from aqtaudio.data import synth as module
from aqtaudio.data.check import check
from aqtaudio.data.espeak import Utterance, speak
from aqtaudio.data.synth import SynthSettings, speakers, synth
from aqtaudio.errors import BadInput
from aqtaudio.tasks.keywords.data import KeywordData

SMALL = SynthSettings(
    words=("stop", "hey computer"),
    unknown_words=("cat",),
    languages=("en-us", "en-gb", "de"),
    speakers=6,
    clips_per_speaker=2,
)


@pytest.fixture(scope="module", autouse=True)
def little_noise():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "NOISES_PER_KIND", {"train": 1, "val": 1, "test": 1})
        yield


@pytest.fixture(scope="module")
def installed():
    pytest.importorskip("espeakng_loader")


@pytest.fixture(scope="module")
def made(installed, little_noise, tmp_path_factory):
    return synth(tmp_path_factory.mktemp("synth") / "corpus", SMALL)


def digest(folder):
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    parts = [f"{file.relative_to(folder)}".encode() + file.read_bytes() for file in files]
    return hashlib.sha1(b"".join(parts)).hexdigest()


def test_every_speaker_says_every_word_in_one_split(made):
    rows = [row for row in manifest.read(made) if not row.label.startswith("noise:")]
    counts = collections.Counter((row.speaker, row.label) for row in rows)
    assert len(counts) == 6 * 3 and set(counts.values()) == {2}
    assert {row.label for row in rows} == {"stop", "hey computer", "cat"}
    assert {row.split for row in rows} == set(manifest.SPLITS)
    assert {row.seconds for row in rows} == {1.0}
    assert check(made) == []  # no speaker in two splits, nothing clipped, silent or twice


def test_each_split_has_its_own_noise(made):
    labels = collections.defaultdict(set)
    for row in manifest.read(made):
        if row.label.startswith("noise:"):
            labels[row.split].add(row.label)
    assert labels["train"] == labels["val"] == labels["test"]
    assert {f"noise:{kind}" for kind in (*noises.KINDS, "babble")} == labels["train"]


def test_words_may_be_held_out_and_go_through_the_speakers_in_turns(installed, tmp_path):
    settings = dataclasses.replace(
        SMALL,
        unknown_words=("cat", "dog", "sun"),
        held_out_words=("tree", "go"),
        unknown_per_speaker=4,
    )
    seen = []
    folder = synth(tmp_path / "corpus", settings, lambda *counts: seen.append(counts))
    rows = [row for row in manifest.read(folder) if not row.label.startswith("noise:")]
    assert seen[-1] == (len(rows), len(rows)) == (6 * (2 * 2 + 4),) * 2
    said = collections.defaultdict(collections.Counter)
    for row in rows:
        if row.label not in SMALL.words:
            said[row.split == "train", row.speaker][row.label] += 1
    heard = sum((counts for (train, _), counts in said.items() if train), collections.Counter())
    held_out = [counts for (train, _), counts in said.items() if not train]
    assert set(heard) == {"cat", "dog", "sun"} and max(heard.values()) - min(heard.values()) <= 1
    assert held_out == [{"tree": 2, "go": 2}] * 2
    assert check(folder) == []


def test_corpora_of_before_are_still_the_same(made):
    settings = json.loads((made / "synth.json").read_text())["settings"]
    assert list(settings) == [
        *("words", "unknown_words", "languages", "speakers", "clips_per_speaker", "seed")
    ]


def test_a_run_can_use_it(made):
    data = KeywordData.load([made], ("stop", "hey computer"), splits=manifest.SPLITS)
    assert data.noise_bank("train").shape[1] == 80_000
    assert len(data.evaluation_list("val")) == 4 * 2
    assert data.training_batch(0, 8, 0)[0].shape == (8, 16000)


def test_the_same_settings_give_the_same_files(made, tmp_path):
    again = synth(tmp_path / "again", SMALL)
    assert digest(again) == digest(made)
    other = synth(tmp_path / "other", dataclasses.replace(SMALL, seed=1))
    one, two = ({file.read_bytes() for file in folder.rglob("*.flac")} for folder in (made, other))
    assert not one & two


def test_it_is_made_once(made, tmp_path, monkeypatch):
    monkeypatch.setattr(module.espeak, "speak", None)
    before = digest(made)
    assert synth(made, SMALL) == made
    with pytest.raises(BadInput, match="other settings"):
        synth(made, dataclasses.replace(SMALL, seed=1))
    assert digest(made) == before
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="new or empty folder"):
        synth(tmp_path, SMALL)


def test_progress_reaches_the_end(installed, tmp_path):
    seen = []
    settings = dataclasses.replace(SMALL, words=("go",), speakers=3, clips_per_speaker=1)
    synth(tmp_path / "corpus", settings, lambda done, total: seen.append((done, total)))
    assert seen == [(2, 6), (4, 6), (6, 6)]


def test_the_default_has_many_voices_apart():
    people = speakers(SynthSettings())
    assert len({person.name for person in people}) == 64
    assert len({person.language for person in people}) == 8
    most = dataclasses.replace(SynthSettings(), speakers=len(module.VARIANTS) * 8)
    splits = collections.defaultdict(set)
    for person in speakers(most):
        splits[person.variant].add(person.split)
    assert len({person.name for person in speakers(most)}) == most.speakers
    assert all(len(found) == 1 for found in splits.values())
    counts = collections.Counter(person.split for person in people)
    assert counts == {"train": 45, "val": 11, "test": 8}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"words": ()}, "no words"),
        ({"words": ("cat",)}, "'cat' is there twice"),
        ({"words": ("../up",)}, "'../up'; allowed: letters"),
        ({"words": ("noise:up",)}, "letters"),
        ({"languages": ()}, "at least one"),
        ({"languages": ("xx-zz",)}, "'xx-zz' is not in espeak-ng; allowed: .*en-us"),
        ({"speakers": 2}, "allowed: 3 to"),
        ({"speakers": 10_000}, "allowed: 3 to"),
        ({"clips_per_speaker": 0}, "at least 1"),
        ({"unknown_per_speaker": -1}, "at least 0"),
        ({"unknown_per_speaker": 2, "unknown_words": ()}, "without unknown_words"),
        ({"held_out_words": ("cat",)}, "'cat' is there twice"),
        ({"words": ("supercalifragilisticexpialidocious and more",)}, "longer than a second"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_left(installed, tmp_path, change, said):
    with pytest.raises(BadInput, match=said.replace("..", r"\.\.")):
        synth(tmp_path / "corpus", dataclasses.replace(SMALL, **change))
    assert not list(tmp_path.iterdir())


def test_without_the_loader_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(BadInput, match=r"pip install aqtaudio\[synth\]"):
        synth(tmp_path / "corpus", SMALL)
    assert not list(tmp_path.iterdir())


def test_speech_depends_on_nothing_before_it(installed):
    words = [Utterance("yes", "en-us", "f3"), Utterance("yes", "fr", "m3", pitch=20)]
    one, two = speak(words)
    assert 3000 < len(one) < 16000 and 0.05 < np.abs(one).max() <= 1.0
    speak([Utterance("something else", "de", "klatt")])
    assert np.array_equal(speak(words)[0], one) and np.array_equal(speak(words)[1], two)


def test_a_crash_of_espeak_is_one_line(installed, tmp_path, monkeypatch):
    broken = tmp_path / "broken.py"
    broken.write_text("import os\nos.abort()\n")
    monkeypatch.setattr(espeak, "_PROCESS", broken)
    with pytest.raises(BadInput, match="speech synthesis failed") as raised:
        speak([Utterance("yes", "en-us", "f3")])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", noises.KINDS)
def test_noise_is_audible_and_not_clipped(kind):
    rng = np.random.default_rng(0)
    for _ in range(5):
        samples = noises.KINDS[kind](32_000, 16000, rng)
        assert samples.shape == (32_000,) and np.abs(samples).max() < 0.96
        assert 0.003 < np.sqrt(np.mean(samples**2)) < 0.11


def test_a_clip_holds_the_whole_word_somewhere():
    voice, quiet = np.full(4000, 0.5, np.float32), [np.zeros(20_000, np.float32)]
    starts = set()
    for seed in range(20):
        found = np.flatnonzero(module._clip(voice, quiet, np.random.default_rng(seed)))
        assert len(found) == 4000 == found[-1] - found[0] + 1
        starts.add(int(found[0]))
    assert len(starts) == 20 and max(starts) - min(starts) > 6000


def test_a_failure_half_way_leaves_nothing(installed, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("disk full")

    monkeypatch.setattr(module.manifest, "write", fail)
    settings = dataclasses.replace(SMALL, speakers=3, clips_per_speaker=1)
    with pytest.raises(RuntimeError):
        synth(tmp_path / "corpus", settings)
    assert not list(tmp_path.iterdir())
