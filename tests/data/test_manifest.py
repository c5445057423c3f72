"""A manifest that was written is read back; a wrong one is refused with its line."""

import dataclasses
import shutil
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqtaudio.data import manifest
from aqtaudio.data.manifest import Recording
from aqtaudio.errors import BadInput

TEXT = st.text(string.ascii_letters + string.digits + " :_-()üز'\"", min_size=1, max_size=12)
RECORDINGS = st.lists(
    st.builds(
        Recording,
        path=TEXT,
        label=TEXT,
        speaker=TEXT,
        split=st.sampled_from(manifest.SPLITS),
        source=TEXT,
        licence=TEXT,
        seconds=st.integers(0, 999_999).map(lambda milliseconds: milliseconds / 1000),
        sample_rate_hz=st.integers(1, 192_000),
    ),
    max_size=6,
)


@given(recordings=RECORDINGS)
def test_written_is_read(tmp_path_factory, recordings):
    folder = tmp_path_factory.mktemp("corpus")
    manifest.write(folder, recordings)
    assert manifest.read(folder) == recordings
    assert [file.name for file in folder.iterdir()] == [manifest.NAME]


def test_columns_in_any_order(tmp_path):
    columns = list(reversed(manifest.COLUMNS))
    values = dict(zip(manifest.COLUMNS, "a.wav go s train me CC0 1.0 8000".split(), strict=True))
    lines = ["\t".join(columns), "\t".join(values[column] for column in columns), ""]
    (tmp_path / manifest.NAME).write_text("\r\n".join(lines))
    assert manifest.read(tmp_path) == [
        Recording("a.wav", "go", "s", "train", "me", "CC0", 1.0, 8000)
    ]


def test_what_other_programs_write_is_read(tmp_path):
    """A byte-order mark, Windows' line ends, columns of somebody's own, which are kept."""
    columns = [*manifest.COLUMNS[:3], "room", *manifest.COLUMNS[3:], "age"]
    values = "a.wav go s kitchen train me CC0 1.0 8000 44".split()
    text = "\r\n".join(["\t".join(columns), "\t".join(values)]) + "\r\n"
    (tmp_path / manifest.NAME).write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / manifest.TRANSCRIPTS).write_bytes(b"\xef\xbb\xbfa.wav\tgo on\r\n")
    (found,) = manifest.read(tmp_path)
    assert found == Recording("a.wav", "go", "s", "train", "me", "CC0", 1.0, 8000)
    assert found.more == {"room": "kitchen", "age": "44"} and found.text == "go on"
    other = dataclasses.replace(found, path="b.wav", more={"age": "45"})
    manifest.write(tmp_path / "copy", [found, other])
    again = manifest.read(tmp_path / "copy")
    assert [row.more for row in again] == [found.more, {"room": "", "age": "45"}]


GOOD = dict(zip(manifest.COLUMNS, "a.wav go s train me CC0 1.0 8000".split(), strict=True))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": "dev"}, "line 3: split 'dev'; allowed: train, val, test"),
        ({"seconds": "long"}, "line 3: seconds 'long'"),
        ({"seconds": "nan"}, "line 3: seconds 'nan'"),
        ({"seconds": "-1"}, "line 3: seconds '-1'"),
        ({"sample_rate": "16000.5"}, "line 3: sample_rate '16000.5'"),
        ({"sample_rate": "0"}, "line 3: sample_rate '0'"),
        ({"path": "../a.wav"}, "line 3: path '../a.wav'"),
        ({"path": "/a.wav"}, "line 3: path '/a.wav'"),
        ({"label": ""}, "line 3: empty label"),
        ({"label": "go\tleft"}, "line 3: 9 fields; allowed: 8"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, change, said):
    lines = ["\t".join(manifest.COLUMNS), "\t".join(GOOD.values())]
    lines.append("\t".join((GOOD | change).values()))
    (tmp_path / manifest.NAME).write_text("\n".join(lines) + "\n")
    with pytest.raises(BadInput, match=said.replace(".", r"\.")):
        manifest.read(tmp_path)


def test_wrong_columns_are_named_with_the_allowed_ones(tmp_path):
    header = [*manifest.COLUMNS[:-1], "rate"]
    (tmp_path / manifest.NAME).write_text("\t".join(header) + "\n")
    with pytest.raises(BadInput) as raised:
        manifest.read(tmp_path)
    said = str(raised.value)
    assert "missing 'sample_rate'" in said and "unknown 'rate'" in said
    assert ", ".join(manifest.COLUMNS) in said and "\n" not in said


def test_no_folder_no_manifest_no_text(tmp_path):
    with pytest.raises(BadInput, match="no data folder"):
        manifest.read(tmp_path / "none")
    with pytest.raises(BadInput, match="no MANIFEST.tsv"):
        manifest.read(tmp_path)
    (tmp_path / manifest.NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="UTF-8"):
        manifest.read(tmp_path)


def test_a_refused_recording_leaves_the_old_manifest(tmp_path):
    good = Recording("a.wav", "go", "s", "train", "me", "CC0", 1.0, 8000)
    manifest.write(tmp_path, [good])
    for bad in (
        Recording("b.wav", "go", "s", "dev", "me", "CC0", 1.0, 8000),
        Recording("b.wav", "go\tup", "s", "train", "me", "CC0", 1.0, 8000),
    ):
        with pytest.raises(BadInput):
            manifest.write(tmp_path, [good, bad])
    assert manifest.read(tmp_path) == [good]


# Several folders as one.


def row(path, split="train", **changes):
    return dataclasses.replace(Recording(path, "go", "s", split, "me", "CC0", 1.0, 8000), **changes)


@given(folders=st.lists(st.lists(TEXT, max_size=4), max_size=4))
def test_folders_are_read_one_after_the_other(tmp_path_factory, folders):
    root = tmp_path_factory.mktemp("corpora")
    places = [root / str(number) for number in range(len(folders))]
    for number, (place, names) in enumerate(zip(places, folders, strict=True)):
        manifest.write(place, [row(f"{number}/{at}/{name}") for at, name in enumerate(names)])
    found = manifest.read_all(places)
    assert found == [recording for place in places for recording in manifest.read(place)]
    expected = [place for place, names in zip(places, folders, strict=True) for _ in names]
    assert [recording.folder for recording in found] == expected
    assert all(r.file == r.folder / r.path for r in found)
    assert manifest.read_all([*places, *places]) == found


def test_a_path_in_two_folders_is_refused(tmp_path):
    places = [tmp_path / name for name in ("one", "two", "three")]
    for place, split in zip(places, manifest.SPLITS, strict=True):
        manifest.write(place, [row(f"{place.name}.wav"), row("a/b.wav", split)])
    for pair in (places[:2], places[1:], places[::-2]):
        with pytest.raises(BadInput) as error:
            manifest.read_all(pair)
        said = str(error.value)
        assert "'a/b.wav'" in said and "\n" not in said and "allowed: " in said
        assert all(str(place) in said for place in pair)


def test_a_folder_under_two_names_is_one(tmp_path, monkeypatch):
    """However it is written, and linked."""
    manifest.write(tmp_path / "one", [row("a.wav")])
    (tmp_path / "link").symlink_to(tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    names = ["one", tmp_path / "one", "./one/", "link"]
    assert manifest.read_all(names) == [row("a.wav")]


def test_every_folder_must_be_one(tmp_path):
    manifest.write(tmp_path / "one", [row("a.wav")])
    with pytest.raises(BadInput, match="no data folder .*two"):
        manifest.read_all([tmp_path / "one", tmp_path / "two"])
    assert manifest.read_all([]) == []


# What is said.


def test_transcripts_are_of_their_paths(tmp_path):
    rows = [row("a.wav"), row("b c.wav"), row("d.wav")]
    manifest.write(tmp_path, rows)
    assert [recording.text for recording in manifest.read(tmp_path)] == ["", "", ""]
    lines = ["b c.wav\tis this, 'the' \"end\"? ز ", "a.wav\t", "none.wav\tsaid elsewhere"]
    (tmp_path / manifest.TRANSCRIPTS).write_text("\n".join(lines) + "\n")
    found = manifest.read(tmp_path)
    assert found == rows, "a recording is the same whether it is known what is said or not"
    assert [r.text for r in found] == ["", "is this, 'the' \"end\"? ز", ""]
    assert [r.text for r in manifest.read_all([tmp_path])] == [r.text for r in found]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("b.wav go", "allowed: path and text, tab-separated"),
        ("\tgo", "allowed: path and text, tab-separated"),
        ("b.wav\tgo\tup", "allowed: path and text, tab-separated"),
        ("", "allowed: path and text, tab-separated"),
        ("a.wav\tgo", "'a.wav' is there twice"),
    ],
)
def test_a_damaged_transcript_is_named_by_line(tmp_path, line, said):
    manifest.write(tmp_path, [row("a.wav"), row("b.wav")])
    file = tmp_path / manifest.TRANSCRIPTS
    file.write_text(f"a.wav\tgo\n{line}\nc.wav\tgo\n")
    with pytest.raises(BadInput) as error:
        manifest.read(tmp_path)
    assert str(error.value) == f"{file} line 2: {said}"


def test_transcripts_that_are_no_text(tmp_path):
    manifest.write(tmp_path, [row("a.wav")])
    (tmp_path / manifest.TRANSCRIPTS).write_bytes(b"a.wav\t\xff\n")
    with pytest.raises(BadInput, match="transcripts.tsv cannot be read as UTF-8 text"):
        manifest.read(tmp_path)


# What tells a folder's recordings.


def test_a_fingerprint_is_of_what_is_there_and_not_of_its_place(tmp_path):
    folder = tmp_path / "corpus"
    manifest.write(folder, [row("a.wav"), row("b.wav")])
    (folder / "a.wav").write_bytes(b"sound")
    changes = {
        "a file that was missing": lambda: (folder / "b.wav").write_bytes(b""),
        "another size": lambda: (folder / "b.wav").write_bytes(b"more"),
        "sizes that are swapped": lambda: (
            (folder / "a.wav").write_bytes(b"more"),
            (folder / "b.wav").write_bytes(b"sound"),
        ),
        "transcripts": lambda: (folder / manifest.TRANSCRIPTS).write_text("a.wav\tgo\n"),
        "another text": lambda: (folder / manifest.TRANSCRIPTS).write_text("a.wav\tup\n"),
        "another label": lambda: manifest.write(folder, [row("a.wav", label="up"), row("b.wav")]),
        "one less": lambda: manifest.write(folder, [row("a.wav", label="up")]),
    }
    seen = [manifest.fingerprint(folder)]
    for change in changes.values():
        change()
        seen.append(manifest.fingerprint(folder))
        (folder / "a file that no list names").write_bytes(b"x" * len(seen))
        assert manifest.fingerprint(folder) == seen[-1]
        elsewhere = shutil.copytree(folder, tmp_path / f"elsewhere{len(seen)}")
        assert manifest.fingerprint(elsewhere) == seen[-1]
    assert len(set(seen)) == 1 + len(changes)
    assert all(len(found) == 12 and set(found) <= set(string.hexdigits) for found in seen)


def test_a_fingerprint_needs_a_manifest(tmp_path):
    with pytest.raises(BadInput, match="no MANIFEST.tsv"):
        manifest.fingerprint(tmp_path)
