"""The benchmark's stream: what is in it, how loud, and that it is the same from anywhere."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from aqtaudio.data.wake_word_stream import (
    FRAME_SAMPLES,
    RATE_HZ,
    Plan,
    mixed,
    plan,
    utterances_without,
    word_folders,
)
from aqtaudio.errors import BadInput

HOURS = 20 / 3600


def write(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    base, rng = tmp_path_factory.mktemp("stream"), np.random.default_rng(0)
    for number in range(4):
        write(base / f"words/hey_box/{number}.flac", 0.1 * rng.standard_normal(5000 + 700 * number))
    (base / "words/hey_box/bad.flac").write_bytes(b"no audio")
    for speaker in ("1", "2"):
        chapter = base / "speech" / speaker / "9"
        for number in range(2):
            write(chapter / f"{speaker}-9-{number}.flac", 0.05 * rng.standard_normal(9000 + number))
        lines = (
            f"{speaker}-9-0 SOME OTHER TEXT\n{speaker}-9-1 {'HEY BOX' if speaker == '2' else 'X'}\n"
        )
        (chapter / f"{speaker}-9.trans.txt").write_text(lines)
    for name, level in (("KITCHEN", 0.02), ("METRO", 0.2)):
        write(
            base / "noise" / name / "ch01.wav", np.clip(level * rng.standard_normal(48000), -1, 1)
        )
        write(base / "noise" / name / "ch02.wav", np.zeros(10))
    return {name: base / name for name in ("words", "speech", "noise")}


def planned(folders: dict[str, Path], seed: int = 778) -> Plan:
    clips = word_folders(folders["words"], ["hey box", "other"])["hey box"]
    return plan("hey box", clips, folders["speech"], folders["noise"], HOURS, seed)


def test_every_word_once_and_gaps_between(folders):
    found = planned(folders)
    assert found.unreadable == 1
    assert [part.end for part in found.parts[:-1]] == [part.start for part in found.parts[1:]]
    assert [part.end for part in found.noise[:-1]] == [part.start for part in found.noise[1:]]
    assert found.noise[-1].end >= found.samples
    names = [part.file.name for part in found.words if part.file]
    order = np.random.RandomState(778).permutation(4)
    assert names == [f"{number}.flac" for number in order]
    starts, ends = [p.start for p in found.words], [p.end for p in found.words]
    gap = int(HOURS * 3600 * RATE_HZ) // 5
    gaps = np.subtract([*starts, found.samples], [0, *ends])
    assert np.all((gap <= gaps) & (gaps < gap + 9002))
    speech = [part for part in found.parts if part.file and not part.is_word]
    assert 0 < len(speech) < len(found.parts) - 4  # the others are silences
    assert found.hours == found.samples / RATE_HZ / 3600


def test_utterances_that_say_the_word_are_left_out(folders):
    names = [file.stem for file in utterances_without("hey box", folders["speech"])]
    assert names == ["1-9-0", "1-9-1", "2-9-0"]
    assert len(utterances_without("hey", folders["speech"])) == 3
    assert len(utterances_without("he", folders["speech"])) == 4  # no part of a word


def test_speech_is_10_db_over_the_noise_under_it(folders):
    found = planned(folders)
    noise = mixed(
        Plan(tuple(p for p in found.parts if p.file is None), found.noise), 0, found.samples
    )
    whole = mixed(found, 0, found.samples)

    def energy(samples: np.ndarray) -> float:
        frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].astype(np.float64)
        return np.square(frames.reshape(-1, FRAME_SAMPLES)).sum(axis=1).max()

    for part in found.parts:
        under, over = noise[part.start : part.end], whole[part.start : part.end]
        if part.file is None:
            np.testing.assert_array_equal(under, over)
        else:
            assert 10 * np.log10(energy(over - under) / energy(under)) == pytest.approx(
                10, abs=0.01
            )
    assert np.abs(noise).max() <= 1 and np.abs(noise).max() > 0.99


def test_pieces_are_the_whole(folders):
    found = planned(folders)
    whole = mixed(found, 0, found.samples)
    cuts = [0, 1, 30000, 30001, 100000, found.samples]
    pieces = [mixed(found, *pair) for pair in zip(cuts[:-1], cuts[1:], strict=True)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_the_seed_decides(folders):
    assert planned(folders).fingerprint() == planned(folders).fingerprint()
    assert planned(folders).fingerprint() != planned(folders, 1).fingerprint()


def test_forms_of_a_folder_of_words(folders, tmp_path):
    own = folders["words"] / "hey_box"
    assert word_folders(own, ["hey box", "other"]) == {"hey box": own}
    write(tmp_path / "a.wav", np.zeros(800))
    assert word_folders(tmp_path, ["any"]) == {"any": tmp_path}
    with pytest.raises(BadInput, match="no folder of a word; allowed: any, more"):
        word_folders(tmp_path, ["any", "more"])
    with pytest.raises(BadInput, match="no folder"):
        word_folders(tmp_path / "none", ["any"])


def test_bad_folders(folders, tmp_path):
    how = ("hey box", folders["words"] / "hey_box")
    with pytest.raises(BadInput, match=r"no \*.trans.txt"):
        plan(*how, tmp_path, folders["noise"], HOURS, 0)
    with pytest.raises(BadInput, match=r"no \*/ch01.wav"):
        plan(*how, folders["speech"], tmp_path, HOURS, 0)
    with pytest.raises(BadInput, match="no recordings of 'x'"):
        plan("x", tmp_path, folders["speech"], folders["noise"], HOURS, 0)
    write(tmp_path / "noise/X/ch01.wav", np.zeros(9000), 48000)
    with pytest.raises(BadInput, match="48000 Hz, 1 channels.*allowed: 16000 Hz"):
        plan(*how, folders["speech"], tmp_path / "noise", HOURS, 0)
