"""ESC, UrbanSound8K and SONYC-UST trees become manifest folders; nothing is lost in silence."""

import csv
import os
import zlib

import numpy as np
import pytest
import soundfile

from aqtaudio.data import import_tree, manifest, sidecars
from aqtaudio.data.check import check
from aqtaudio.data.esc import import_esc
from aqtaudio.data.import_tree import LeftOut
from aqtaudio.data.sonyc_ust import import_sonyc_ust, present
from aqtaudio.data.urbansound8k import import_urbansound8k
from aqtaudio.errors import BadInput

COARSE = ("engine", "machinery-impact", "music", "human-voice", "dog")
FINE = ("1-1_small-sounding-engine_presence", "7-X_other-unknown-human-voice_presence")


def sound(file, seconds=0.5, rate_hz=44100):
    rng = np.random.default_rng(zlib.crc32(str(file).encode()))
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, 0.3 * rng.uniform(-1, 1, int(seconds * rate_hz)), rate_hz)


def write_table(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def esc_rows():
    for number in range(10):
        fold, ten = number % 5 + 1, number < 5
        category = ("dog", "rain")[number % 2] if ten else "mouse_click"
        name = f"{fold}-{1000 + number}-A-{number}.wav"
        yield dict(filename=name, fold=fold, target=0, category=category, esc10=ten, take="A")


@pytest.fixture
def esc(tmp_path):
    source = tmp_path / "ESC-50"
    rows = list(esc_rows())
    write_table(source / "meta/esc50.csv", rows)
    for row in rows:
        sound(source / "audio" / row["filename"])
    (source / "README.md").write_text("ESC-50")
    (source / ".git").mkdir()
    (source / ".git/HEAD").write_text("ref")
    return source


@pytest.fixture
def esc10(tmp_path):
    source = tmp_path / "ESC-10"
    for fold in range(1, 6):
        for number, category in ((1, "Dog bark"), (10, "Fire crackling")):
            sound(source / f"{number:03d} - {category}" / f"{fold}-{100 + fold}-A.ogg")
    sound(source / "001 - Dog bark" / "mine.ogg")
    return source


@pytest.fixture
def urban(tmp_path):
    source = tmp_path / "UrbanSound8K"
    rows = [
        {"slice_file_name": f"{fold}00-3-0-{fold}.wav", "fsID": fold, "fold": fold, "class": kind}
        for fold, kind in enumerate(["dog_bark", "siren"] * 5, start=1)
    ]
    write_table(source / "metadata/UrbanSound8K.csv", rows)
    for row in rows:
        sound(source / f"audio/fold{row['fold']}/{row['slice_file_name']}", rate_hz=48000)
    return source


def annotation(name, split, annotator, marked, sensor=1):
    row = {"split": split, "sensor_id": sensor, "audio_filename": name, "annotator_id": annotator}
    row |= dict.fromkeys(FINE, 1)
    return row | {
        f"{number}_{tag}_presence": marked.get(tag, 0) for number, tag in enumerate(COARSE, start=1)
    }


@pytest.fixture
def sonyc(tmp_path):
    source = tmp_path / "SONYC-UST"
    rows = [
        annotation("a.wav", "train", 12, {"engine": 1}),
        annotation("a.wav", "train", 13, {"music": 1}),
        annotation("b.wav", "validate", 12, {"engine": 1, "dog": 1}, sensor=2),
        annotation("b.wav", "validate", -3, {"music": 1}, sensor=2),
        annotation("b.wav", "validate", 0, {"human-voice": 1, "dog": -1}, sensor=2),
        annotation("c.wav", "test", 0, {}, sensor=3),
    ]
    write_table(source / "annotations.csv", rows)
    for name in "abc":
        sound(source / f"audio/{name}.wav", rate_hz=48000)
    (source / "dcase-ust-taxonomy.yaml").write_text("coarse: []")
    return source


@pytest.mark.parametrize("link", [False, True])
def test_esc_50(esc, tmp_path, link):
    out = tmp_path / "out"
    left = import_esc(esc, out, link)
    rows = manifest.read(out)
    assert [row.label for row in rows[:3]] == ["noise:dog", "noise:rain", "noise:dog"]
    folds = sidecars.folds(out)
    assert [folds[row.path] for row in rows] == [1, 2, 3, 4, 5] * 2
    assert [row.split for row in rows] == ["train", "train", "train", "val", "test"] * 2
    assert [row.licence for row in rows] == ["CC BY 3.0"] * 5 + ["CC BY-NC 3.0"] * 5
    for row in rows:
        assert row.file.read_bytes() == (esc / row.path).read_bytes()
        assert row.file.samefile(esc / row.path) == link
    assert left == [LeftOut(".git/", "a hidden folder"), LeftOut("README.md", "not audio")]
    assert (out / "left_out.tsv").read_text() == ".git/\ta hidden folder\nREADME.md\tnot audio\n"
    assert check(out) == []


def test_of_esc_50_only_esc_10(esc, tmp_path):
    left = import_esc(esc, tmp_path / "out", only_esc10=True)
    rows = manifest.read(tmp_path / "out")
    assert len(rows) == 5 == len(sidecars.folds(tmp_path / "out"))
    assert {row.licence for row in rows} == {"CC BY 3.0"}
    assert sum(each.reason == "not of ESC-10" for each in left) == 5


def test_esc_10_has_a_folder_per_class(esc10, tmp_path):
    left = import_esc(esc10, tmp_path / "out")
    rows = manifest.read(tmp_path / "out")
    assert {row.label for row in rows} == {"noise:Dog bark", "noise:Fire crackling"}
    assert len(rows) == 10 and set(sidecars.folds(tmp_path / "out").values()) == {1, 2, 3, 4, 5}
    assert left == [LeftOut("001 - Dog bark/mine.ogg", "audio that the list does not name")]
    assert check(tmp_path / "out") == []


def test_urbansound8k(urban, tmp_path):
    assert import_urbansound8k(urban, tmp_path / "out") == []
    rows = manifest.read(tmp_path / "out")
    folds = sidecars.folds(tmp_path / "out")
    assert [folds[row.path] for row in rows] == list(range(1, 11))
    assert [row.split for row in rows] == ["train"] * 8 + ["val", "test"]
    assert {row.label for row in rows} == {"noise:dog_bark", "noise:siren"}
    assert not (tmp_path / "out/left_out.tsv").exists() and check(tmp_path / "out") == []


def test_sonyc_ust(sonyc, tmp_path):
    left = import_sonyc_ust(sonyc, tmp_path / "out")
    rows = manifest.read(tmp_path / "out")
    assert [(row.path, row.split) for row in rows] == [
        *(("audio/a.wav", "train"), ("audio/b.wav", "val"), ("audio/c.wav", "test"))
    ]
    assert {row.label for row in rows} == {"noise:urban"}
    assert "sensor 2" in rows[1].source
    assert sidecars.tags(tmp_path / "out") == {
        "audio/a.wav": ("engine", "music"),  # anybody's, as nobody verified
        "audio/b.wav": ("human-voice", "dog"),  # the verified one's; of dogs it says nothing
        "audio/c.wav": (),
    }
    assert left == [LeftOut("dcase-ust-taxonomy.yaml", "not audio")]
    assert check(tmp_path / "out") == []


def test_recordings_may_lie_in_other_folders(sonyc, tmp_path):
    (sonyc / "audio-1").mkdir()
    (sonyc / "audio/a.wav").rename(sonyc / "audio-1/a.wav")
    import_sonyc_ust(sonyc, tmp_path / "out")
    assert manifest.read(tmp_path / "out")[0].path == "audio-1/a.wav"
    sound(sonyc / "audio-2/a.wav")
    with pytest.raises(BadInput, match="a.wav is there twice"):
        import_sonyc_ust(sonyc, tmp_path / "again")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([("12", "1"), ("13", "0")], True),
        ([("12", "0"), ("13", "0")], False),
        ([("12", "1"), ("0", "0")], False),
        ([("12", "0"), ("0", "1")], True),
        ([("12", "1"), ("0", "-1")], True),
        ([("-2", "1"), ("13", "0")], True),
        ([("-2", "-1")], False),
    ],
)
def test_who_decides_a_tag(said, expected):
    assert present([{"annotator_id": a, "dog": value} for a, value in said], "dog") is expected


def test_what_is_damaged_is_left_out_and_named(urban, tmp_path):
    folder = urban / "audio"
    (folder / "fold1/100-3-0-1.wav").write_bytes(b"")
    (folder / "fold2/200-3-0-2.wav").write_bytes(b"RIFF no more")
    (folder / "fold3/300-3-0-3.wav").unlink()
    soundfile.write(folder / "fold4/400-3-0-4.wav", np.zeros(0), 16000)
    nan = np.full(100, np.nan)
    soundfile.write(folder / "fold5/500-3-0-5.wav", nan, 16000, subtype="FLOAT")
    sound(folder / "fold5/extra.wav")
    left = import_urbansound8k(urban, tmp_path / "out")
    assert {each.path.split("/")[-1]: each.reason for each in left} == {
        "100-3-0-1.wav": "empty",
        "200-3-0-2.wav": "damaged",
        "300-3-0-3.wav": "listed, but no such file",
        "400-3-0-4.wav": "empty",
        "500-3-0-5.wav": "damaged",
        "extra.wav": "audio that the list does not name",
    }
    assert len(manifest.read(tmp_path / "out")) == 5 == len(sidecars.folds(tmp_path / "out"))
    assert check(tmp_path / "out") == []
    lines = list(import_tree.summary(left))
    assert "left out, empty: 2 (audio/fold1/100-3-0-1.wav, audio/fold4/400-3-0-4.wav)" in lines


def test_a_long_list_is_cut_in_the_summary():
    (line,) = import_tree.summary([LeftOut(f"{n}.txt", "not audio") for n in range(8)])
    assert line.startswith("left out, not audio: 8 (0.txt") and "3 more in left_out.tsv" in line


def broken(source, file, change):
    """Rewrites a list with a row changed."""
    with open(source / file, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    change(rows)
    write_table(source / file, rows)


@pytest.mark.parametrize(
    ("corpus", "change", "said"),
    [
        ("esc", lambda rows: rows[0].update(fold=6), "fold '6'; allowed: 1 to 5"),
        ("esc", lambda rows: rows[0].update(fold=2), "its name says another"),
        ("esc", lambda rows: rows[0].update(filename="../x.wav"), "without folders"),
        ("esc", lambda rows: rows[0].update(esc10="maybe"), "esc10 'maybe'"),
        ("esc", lambda rows: rows.append(rows[0]), "twice"),
        ("esc", lambda rows: [row.pop("category") for row in rows], "no column 'category'"),
        ("urban", lambda rows: rows[0].update(fold=11), "fold '11'; allowed: 1 to 10"),
        ("urban", lambda rows: rows.append(rows[0]), "twice"),
        ("sonyc", lambda rows: rows[0].update(split="train2"), "split 'train2'"),
        ("sonyc", lambda rows: rows[0].update(split="test"), "is in test and train"),
        ("sonyc", lambda rows: rows[0].update({"5_dog_presence": "2"}), "5_dog_presence '2'"),
        ("sonyc", lambda rows: rows[0].update(annotator_id="me"), "annotator_id 'me'"),
    ],
)
def test_lists_that_are_wrong_are_refused_and_nothing_is_left(
    corpus, change, said, request, tmp_path
):
    source = request.getfixturevalue(corpus)
    importer, file = {
        "esc": (import_esc, "meta/esc50.csv"),
        "urban": (import_urbansound8k, "metadata/UrbanSound8K.csv"),
        "sonyc": (import_sonyc_ust, "annotations.csv"),
    }[corpus]
    broken(source, file, change)
    with pytest.raises(BadInput, match=said):
        importer(source, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == [source.name]


@pytest.mark.parametrize("importer", [import_esc, import_urbansound8k, import_sonyc_ust])
def test_what_is_no_tree_is_refused(importer, tmp_path, esc):
    with pytest.raises(BadInput):
        importer(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput):
        importer(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tree_without_recordings_is_refused(esc, tmp_path):
    for file in (esc / "audio").iterdir():
        os.unlink(file)
    with pytest.raises(BadInput, match="none of the 10 recordings"):
        import_esc(esc, tmp_path / "out")
    assert not (tmp_path / "out").exists()
