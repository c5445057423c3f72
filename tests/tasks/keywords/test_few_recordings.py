"""A draw of a few recordings: exactly so many, none that is evaluated, the same every time."""

import collections
import random
import shutil

import pytest
from corpus import RATE_HZ

from aqtaudio.data import manifest
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput
from aqtaudio.tasks.keywords import few_recordings
from aqtaudio.tasks.keywords.data import KeywordData
from aqtaudio.tasks.keywords.few_recordings import draw, held_out

pytestmark = pytest.mark.optimized(False)

WORDS = ("ar:yes", "ar:no")


def recording(path: str, label: str, speaker: str, split: str) -> Recording:
    return Recording(path, label, speaker, split, "made", "CC0", 0.5, RATE_HZ)


def corpus() -> list[Recording]:
    rows = []
    for split, speakers in (("train", range(8)), ("val", range(8, 11))):
        for word in (*WORDS, "yes", "no"):
            for speaker in speakers:
                for take in range(3):
                    path = f"words/{split}/{word}/{speaker}_{take}.flac"
                    rows.append(recording(path, word, f"s{speaker}", split))
        for number in range(7):
            path = f"noise/{split}/{number}.flac"
            rows.append(recording(path, "noise:hiss", "-", split))
    return rows


def of(rows: list[Recording], split: str, label: str) -> list[Recording]:
    return [row for row in rows if row.split == split and row.label == label]


@pytest.mark.parametrize("count", [3, 5, 10, 24])
def test_exactly_so_many_of_each_word(count):
    rows = draw(corpus(), WORDS, count, seed=0, number=0)
    assert held_out(count) == {3: 1, 5: 1, 10: 2, 24: 4}[count]
    for word in WORDS:
        assert len(of(rows, "val", word)) == held_out(count)
        assert len(of(rows, "train", word)) == count - held_out(count)


def test_what_is_evaluated_is_all_of_val_and_nothing_else():
    before = {row.path: row for row in corpus()}
    rows = draw(corpus(), WORDS, 10, seed=0, number=0)
    assert len({row.path for row in rows}) == len(rows)
    for row in rows:
        assert (row.split == "test") == (before[row.path].split == "val")
    expected = {path for path, row in before.items() if row.split == "val"}
    assert {row.path for row in rows if row.split == "test"} == expected
    heard = {row.speaker for row in rows if row.split != "test"} - {"-"}
    assert not heard & {row.speaker for row in rows if row.split == "test"}


def test_other_classes_are_held_out_too():
    rows = draw(corpus(), WORDS, 3, seed=0, number=0)
    others = {"yes", "no"}
    counts = collections.Counter(
        (row.split, "unknown" if row.label in others else row.label) for row in rows
    )
    assert counts["train", "unknown"] == 39 and counts["val", "unknown"] == 9
    assert counts["train", "noise:hiss"] == 6 and counts["val", "noise:hiss"] == 1


def test_a_pure_function_of_seed_and_number():
    rows = corpus()
    random.Random(0).shuffle(rows)
    first = draw(rows, WORDS, 10, seed=0, number=0)
    assert first == draw(corpus(), WORDS, 10, seed=0, number=0)
    found = {
        tuple(row.path for row in draw(corpus(), WORDS, 10, seed, number) if row.label in WORDS)
        for seed, number in ((0, 0), (0, 1), (1, 0), (1, 1))
    }
    assert len(found) == 4


def test_the_same_speakers_are_held_out_of_every_word():
    """Of all 24 recordings, 3 of each speaker: 4 are those of the same two."""
    rows = draw(corpus(), WORDS, 24, seed=0, number=0)
    for word in WORDS:
        speakers = {row.speaker for row in of(rows, "val", word)}
        assert len(speakers) == 2
    assert {row.speaker for row in of(rows, "val", WORDS[0])} == speakers


def test_many_others_are_not_taken_whole(monkeypatch):
    """All kinds alike."""
    monkeypatch.setattr(few_recordings, "OTHERS", 10)
    more = [recording(f"speech/{n}.flac", "speech", "s0", "train") for n in range(20)]
    rows = draw([*corpus(), *more], WORDS, 3, seed=0, number=0)
    kinds = collections.Counter(
        row.path.split("/")[0]
        for row in rows
        if row.split != "test" and row.label not in (*WORDS, "noise:hiss")
    )
    assert kinds == {"words": 5, "speech": 5}


@pytest.mark.parametrize(
    ("words", "count", "named"),
    [
        (WORDS, 2, "2 recordings per word; at least 3"),
        (WORDS, 25, "'ar:yes' has 24 recordings in split 'train' and 9 in 'val'; needed: 25"),
        (("ar:yes", "ar:stop"), 10, "'ar:stop' has 0 recordings in split 'train' and 0"),
        (("yes", "yes"), 10, "'yes' is there twice"),
        ((), 10, "no keywords"),
    ],
)
def test_what_cannot_be_drawn(words, count, named):
    with pytest.raises(BadInput, match=named):
        draw(corpus(), words, count, seed=0, number=0)


def test_no_noise():
    rows = [row for row in corpus() if not row.label.startswith("noise") or row.split == "val"]
    with pytest.raises(BadInput, match="'silence' has 0 recordings"):
        draw(rows, WORDS, 3, seed=0, number=0)


# --- the folder


def test_a_folder_of_links(few_shot_corpus, tmp_path):
    rows = draw(manifest.read(few_shot_corpus), ("low", "high"), 5, seed=0, number=0)
    few_recordings.write(rows, tmp_path / "few")
    names = {path.name for path in (tmp_path / "few").iterdir()}
    assert names == {"MANIFEST.tsv", "words", "noise"}
    assert (tmp_path / "few" / "words").is_symlink()
    splits = ("train", "val", "test")
    data = KeywordData.load([tmp_path / "few"], ("low", "high"), RATE_HZ, RATE_HZ // 2, splits)
    whole = KeywordData.load([few_shot_corpus], ("low", "high"), RATE_HZ, RATE_HZ // 2)
    assert data.evaluation_list("test") == whole.evaluation_list("val")
    few_recordings.write(rows, tmp_path / "few")  # the same: nothing to do
    with pytest.raises(BadInput, match="holds other recordings"):
        few_recordings.write(rows[1:], tmp_path / "few")


def test_a_folder_of_links_into_several(few_shot_corpus, tmp_path):
    """Files stay where they are, also where two folders have one of the same name."""
    folders = [tmp_path / "one", tmp_path / "two"]
    every = manifest.read(few_shot_corpus)
    noise = [row for row in every if row.label.startswith("noise")]
    spoken = [row for row in every if row not in noise]
    for folder, rows in zip(folders, (spoken[::2], [*spoken[1::2], *noise]), strict=True):
        for row in rows:
            (folder / row.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(row.file, folder / row.path)
        manifest.write(folder, rows)
    rows = draw(manifest.read_all(folders), ("low", "high"), 5, seed=0, number=0)
    assert rows == draw(every, ("low", "high"), 5, seed=0, number=0)
    few = tmp_path / "few"
    few_recordings.write(rows, few)
    assert manifest.read(few) == rows
    for row in rows:
        assert (few / row.path).resolve() == row.file.resolve()
    assert (few / "noise").is_symlink() and not (few / "words").is_symlink()
