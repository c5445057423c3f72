"""Lists beside a manifest: read as they were written, checked against it."""

import dataclasses
import hashlib

import pytest

from aqtaudio.data import manifest, sidecars
from aqtaudio.data.check import check
from aqtaudio.errors import BadInput


@pytest.fixture
def folder(corpus):
    for number, split in enumerate(("train", "train", "val")):
        corpus.add(f"{number}.flac", "noise:rain", split)
    return corpus.save()


def kinds(folder):
    return [(problem.kind, problem.path, problem.severity) for problem in check(folder)]


def test_lists_are_read_as_they_were_written(folder):
    assert sidecars.folds(folder) == {} and sidecars.tags(folder) == {}
    before = manifest.fingerprint(folder)
    sidecars.write_folds(folder, {"0.flac": 1, "2.flac": 10})
    sidecars.write_tags(folder, {"0.flac": ("dog", "human-voice"), "1.flac": ()})
    assert sidecars.folds(folder) == {"0.flac": 1, "2.flac": 10}
    assert sidecars.tags(folder) == {"0.flac": ("dog", "human-voice"), "1.flac": ()}
    assert manifest.fingerprint(folder) != before


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("folds.tsv", "1.flac\t0", "line 2: fold '0'; allowed: 1 to 10"),
        ("folds.tsv", "1.flac\t11", "fold '11'"),
        ("folds.tsv", "1.flac\tone", "fold 'one'"),
        ("folds.tsv", "1.flac", "line 2: allowed: path"),
        ("folds.tsv", "0.flac\t2", "is there twice"),
        ("tags.tsv", "1.flac\t", "line 2: tags ''"),
        ("tags.tsv", "1.flac\tdog dog", "tags 'dog dog'"),
        ("tags.tsv", "1.flac\tdog  cat", "tags 'dog  cat'"),
        ("tags.tsv", "1.flac\tdog -", "tags 'dog -'"),
        ("tags.tsv", "1.flac\tdog,cat", "tags 'dog,cat'"),
        ("neighbours.tsv", "1.flac\t", "line 2: no keyword; allowed: the word"),
        ("neighbours.tsv", "0.flac\talexa", "is there twice"),
    ],
)
def test_lines_that_are_none_are_refused_and_checked(folder, name, line, said):
    read, first = {
        "folds.tsv": (sidecars.folds, "1"),
        "tags.tsv": (sidecars.tags, "-"),
        "neighbours.tsv": (sidecars.neighbours, "alexa"),
    }[name]
    (folder / name).write_text(f"0.flac\t{first}\n{line}\n")
    with pytest.raises(BadInput, match=said):
        read(folder)
    (problem,) = check(folder)
    assert (problem.kind, problem.severity) == ("list", "error") and said in problem.message


def test_rows_and_recordings_that_do_not_meet_are_reported(folder):
    sidecars.write_folds(folder, {"0.flac": 1, "1.flac": 2, "2.flac": 3, "gone.flac": 4})
    assert kinds(folder) == [("list", "gone.flac", "error")]
    sidecars.write_folds(folder, {"0.flac": 1, "2.flac": 3})
    assert kinds(folder) == [("list", "1.flac", "warning")]
    sidecars.write_folds(folder, {"0.flac": 1, "1.flac": 2, "2.flac": 1})
    (problem,) = check(folder)
    assert (problem.kind, problem.message) == ("fold", "fold 1 is in train and val")
    (folder / "folds.tsv").unlink()
    sidecars.write_tags(folder, {"0.flac": (), "1.flac": ("dog",), "2.flac": (), "x.flac": ()})
    assert kinds(folder) == [("list", "x.flac", "error")]
    (folder / "tags.tsv").unlink()
    (folder / "transcripts.tsv").write_text("0.flac\thello\ny.flac\tgone\n")
    assert kinds(folder) == [("list", "y.flac", "error")]


def test_neighbours_tell_of_some_recordings_and_change_nothing_where_there_are_none(folder):
    digest = hashlib.sha256((folder / manifest.NAME).read_bytes())
    for row in manifest.read(folder):
        digest.update(f"{row.path}\t{row.file.stat().st_size}\n".encode())
    before = manifest.fingerprint(folder)
    assert sidecars.neighbours(folder) == {} and before == digest.hexdigest()[:12]
    sidecars.write_neighbours(folder, {"1.flac": "hey computer"})
    assert sidecars.neighbours(folder) == {"1.flac": "hey computer"}
    assert manifest.fingerprint(folder) != before and kinds(folder) == []
    sidecars.write_neighbours(folder, {"1.flac": "hey computer", "x.flac": "alexa"})
    assert kinds(folder) == [("list", "x.flac", "error")]


def test_what_a_manifest_says_is_as_before(folder):
    rows = manifest.read(folder)
    sidecars.write_folds(folder, {"0.flac": 1})
    assert manifest.read(folder) == [dataclasses.replace(row) for row in rows]
