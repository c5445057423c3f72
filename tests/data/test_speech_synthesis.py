"""Spoken texts: a corpus that is the same however often it was interrupted, split by voice."""

import collections
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tone_engine import SECONDS_PER_LETTER, Tones

from aqtaudio.data import manifest, recorded, sidecars
from aqtaudio.data.check import check
from aqtaudio.data.espeak_engine import Espeak
from aqtaudio.data.growing_folder import growing
from aqtaudio.data.speech_engine import split_of
from aqtaudio.data.speech_synthesis import SpeechSettings, speak_corpus, speakers
from aqtaudio.data.spoken_texts import spoken
from aqtaudio.errors import BadInput

TEXTS = [spoken("computer"), spoken("hey there"), spoken("Turn on 2 lights.")]
SETTINGS = SpeechSettings(takes=9, speakers=24)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return speak_corpus(tmp_path_factory.mktemp("speech") / "corpus", TEXTS, Tones(), SETTINGS)


def digest(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    parts = [f"{file.relative_to(folder)}".encode() + file.read_bytes() for file in files]
    return hashlib.sha1(b"".join(parts)).hexdigest()


def test_every_text_is_there_with_its_transcript_and_takes(made):
    rows = manifest.read(made)
    assert collections.Counter(row.text for row in rows) == dict.fromkeys(
        ("computer", "hey there", "Turn on 2 lights."), 9
    )
    assert all(row.label == row.text for row in rows)
    assert len({row.path for row in rows}) == 27 and {row.split for row in rows} == {
        *manifest.SPLITS
    }
    for row in rows:
        info = soundfile.info(row.file)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    assert check(made) == []
    assert json.loads((made / "synth.json").read_text())["complete"] is True


def test_a_voice_and_its_mixtures_are_in_one_split():
    splits = collections.defaultdict(set)
    people = speakers(SpeechSettings(speakers=200), Tones())
    for person in people:
        for voice in person.voice.split("+"):
            splits[voice].add(person.split)
    assert len(splits) == 48 and all(len(found) == 1 for found in splits.values())
    shares = collections.Counter(person.split for person in people)
    assert shares == {"train": 142, "test": 25, "val": 33}


def test_from_three_voices_on_each_split_has_one():
    assert {split_of(number) for number in range(3)} == set(manifest.SPLITS)
    (person,) = speakers(SpeechSettings(speakers=1), Tones(voices=1, foreign=0))
    assert person.split == "train"
    few = speakers(SpeechSettings(speakers=20), Tones(voices=1, foreign=0))
    assert {person.split for person in few} == {"train"}  # it would be in two otherwise


def test_languages_go_through_the_speakers():
    settings = SpeechSettings(speakers=12, languages=("en-us", "en-gb"))
    people = speakers(settings, Espeak(("f1", "f2", "f3", "m1", "m2", "m3")))
    assert len({person.name for person in people}) == 12
    assert collections.Counter(person.language for person in people) == {"en-us": 6, "en-gb": 6}
    splits = collections.defaultdict(set)
    for person in people:
        splits[person.voice].add(person.split)
    assert all(len(found) == 1 for found in splits.values())


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_same_settings_give_the_same_files(made, tmp_path, jobs):
    assert digest(speak_corpus(tmp_path / "c", TEXTS, Tones(), SETTINGS, jobs)) == digest(made)
    other = speak_corpus(tmp_path / "o", TEXTS, Tones(), SpeechSettings(9, 24, seed=1), jobs)
    assert len(manifest.read_all([made, other])) == 54  # no path is in both
    one, two = ({file.read_bytes() for file in folder.rglob("*.flac")} for folder in (made, other))
    assert not one & two


def test_a_killed_one_goes_on_and_is_the_same(made, tmp_path):
    out = tmp_path / "corpus"
    script = (
        "import os, sys; from tone_engine import Tones; from pathlib import Path\n"
        "from aqtaudio.data.speech_synthesis import *\n"
        "from aqtaudio.data.spoken_texts import spoken\n"
        f"texts = [spoken(text) for text in {[each.text for each in TEXTS]!r}]\n"
        "engine = Tones(ends_after=7, end=lambda: os._exit(9))\n"
        f"settings = {SETTINGS!r}\n"
        f"speak_corpus(Path({str(out)!r}), texts, engine, settings, 2)\n"
    )
    tests, package = Path(__file__).parents[1], Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{package}"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert done.returncode == 9
    # Another process of it may be killed in the middle of a file, which then has its passing name.
    there = [file for file in out.rglob("*.flac") if not file.name.startswith(".")]
    assert 4 <= len(there) <= 8 and not (out / manifest.NAME).exists()
    assert json.loads((out / "synth.json").read_text())["complete"] is False
    (there[0].parent / ".0000_000.123.new.flac").write_bytes(b"half")  # what a kill may leave
    there[0].write_bytes(b"")  # and a crash of the machine
    engine, seen = Tones(), []
    speak_corpus(out, TEXTS, engine, SETTINGS, 1, lambda *counts: seen.append(counts))
    assert engine.said == 27 - len(there) + 1 and seen[-1] == (27, 27, len(there))
    assert digest(out) == digest(made)


def test_it_is_made_once_and_only_as_it_was_begun(made):
    before, engine = digest(made), Tones()
    assert speak_corpus(made, TEXTS, engine, SETTINGS) == made and engine.said == 0
    for texts, voices, settings in (
        (TEXTS[:2], 24, SETTINGS),
        (TEXTS, 23, SETTINGS),
        (TEXTS, 24, SpeechSettings(9, 24, seed=1)),
    ):
        with pytest.raises(BadInput, match="other settings, see synth.json"):
            speak_corpus(made, texts, Tones(voices), settings)
    assert digest(made) == before


def test_neighbours_are_labelled_as_themselves_and_listed(tmp_path):
    texts = [spoken("computer"), spoken("commuter"), spoken("/P Y UW T ER/", "P Y UW1 T ER0")]
    settings, of = SpeechSettings(3, label="keyword"), {text: "computer" for text in texts[1:]}
    out = speak_corpus(tmp_path / "out", texts, Tones(), settings, neighbour_of=of)
    rows = manifest.read(out)
    assert collections.Counter((row.label, row.text) for row in rows) == dict.fromkeys(
        [("keyword", "computer")] + 2 * [("commuter", "commuter")] + [("/P Y UW T ER/",) * 2], 3
    )
    assert sidecars.neighbours(out) == {
        row.path: "computer" for row in rows if row.text != "computer"
    }
    assert check(out) == []
    with pytest.raises(BadInput, match="other settings"):
        speak_corpus(out, texts, Tones(), settings)
    plain = speak_corpus(tmp_path / "plain", texts, Tones(), settings, neighbour_of={})
    assert not (plain / manifest.NEIGHBOURS).exists()
    assert "neighbours" not in json.loads((plain / "synth.json").read_text())
    samples = {row.path: row.file.read_bytes() for row in rows}
    assert {row.path: row.file.read_bytes() for row in manifest.read(plain)} == samples


def test_a_folder_of_something_else_is_not_touched(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="new or empty folder"):
        speak_corpus(tmp_path, TEXTS, Tones(), SETTINGS)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_two_do_not_make_one_folder(tmp_path):
    with growing(tmp_path / "out", "synth.json", {"a": 1}) as complete:
        assert not complete
        with pytest.raises(BadInput, match="another process"):
            speak_corpus(tmp_path / "out", TEXTS, Tones(), SETTINGS)


def test_a_failure_ends_the_rest_at_once(tmp_path):
    tried = []

    def fail():
        tried.append(1)
        time.sleep(0.05)  # the others wait for their turn
        raise KeyboardInterrupt

    engine = Tones(ends_after=3, end=fail)
    with pytest.raises(KeyboardInterrupt):
        speak_corpus(tmp_path / "out", TEXTS, engine, SETTINGS, 1)
    assert len(tried) < 5  # of 24
    assert not (tmp_path / "out" / manifest.NAME).exists()


def test_clips_of_one_length_hold_the_whole_speech(tmp_path):
    settings = SpeechSettings(takes=16, clip_ms=1000)
    texts = [spoken("stop"), spoken("computers")]
    for row in manifest.read(speak_corpus(tmp_path / "out", texts, Tones(), settings)):
        samples, _ = soundfile.read(row.file)
        assert len(samples) == 16000 and row.seconds == 1.0
        loud = np.flatnonzero(np.abs(samples) > 0.5 * np.abs(samples).max())
        seconds = (loud[-1] - loud[0]) / 16000
        longest = min(len(row.text) * SECONDS_PER_LETTER / (0.85 * 0.9) + 0.05, 0.95)
        assert 0.5 * len(row.text) * SECONDS_PER_LETTER < seconds < longest


def test_what_does_not_fit_is_refused(tmp_path):
    texts = [spoken("a sentence that nobody says within a second")]
    with pytest.raises(BadInput, match="at the fastest; allowed: what fits into a clip of 1000 ms"):
        speak_corpus(tmp_path / "out", texts, Tones(), SpeechSettings(clip_ms=1000))


@pytest.mark.parametrize(
    ("texts", "settings", "said"),
    [
        ([], {}, "no texts"),
        (["stop", "stop"], {}, "'stop' is there twice"),
        (["noise:fan"], {}, "means silence"),
        (["_unknown_"], {}, "means silence"),
        (["mute"], {}, "says nothing"),
        (["stop"], {"takes": 0}, "at least 1"),
        (["stop"], {"speakers": 1001}, "1 to 1000"),
        (["stop"], {"speakers": -1}, "1 to 1000"),
        (["stop"], {"languages": ()}, "at least one"),
        (["stop"], {"clip_ms": 50}, "100 to 60000"),
        (["stop"], {"seed": -1}, "at least 0"),
        (["stop"], {"label": "a\tb"}, "no tabs"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, texts, settings, said):
    with pytest.raises(BadInput, match=said):
        speak_corpus(
            tmp_path / "out", [spoken(t) for t in texts], Tones(), SpeechSettings(**settings)
        )


def test_levels_and_silences_are_those_of_recordings():
    rng, rate_hz = np.random.default_rng(0), 16000
    voice = np.sin(np.arange(8000) / 3).astype(np.float32)
    peaks_db, before_s, floors_db = [], [], []
    for _ in range(100):
        clip = recorded.recorded(voice, 0, rate_hz, rng)
        peak = np.abs(clip).max()
        peaks_db.append(20 * np.log10(peak))
        loud = np.flatnonzero(np.abs(clip) > 0.3 * peak)
        before_s.append(loud[0] / rate_hz)
        quiet = clip[: loud[0] - 10]
        floors_db.append(20 * np.log10(np.sqrt(np.mean(quiet**2)) / peak))
        assert len(clip) > 8000 + 2 * 0.1 * rate_hz and (len(clip) - loud[-1]) / rate_hz < 0.61
    assert -26.1 < min(peaks_db) < -23 and -3 < max(peaks_db) <= -1 + 1e-6
    assert 0.09 < min(before_s) < 0.13 and 0.55 < max(before_s) < 0.61
    assert -80 < min(floors_db) < -68 and -48 < max(floors_db) < -35


def test_trimmed_speech_keeps_its_length_and_changes_its_pitch():
    tone = np.sin(2 * np.pi * 200 * np.arange(24000) / 24000)
    padded = np.concatenate([np.zeros(9000), tone, np.zeros(12000)])
    for pitch in (0.9, 1.0, 1.2):
        voice = recorded.trimmed(padded, 24000 * pitch, 16000)
        assert abs(len(voice) / 16000 - 1 / pitch - 0.04) < 0.01
        assert np.abs(voice).max() == pytest.approx(1.0)
        spectrum = np.abs(np.fft.rfft(voice))
        assert np.argmax(spectrum) * 16000 / len(voice) == pytest.approx(200 * pitch, abs=2)
    assert len(recorded.trimmed(np.zeros(100), 24000, 16000)) == 0
    assert len(recorded.trimmed(np.full(100, np.nan), 24000, 16000)) == 0
