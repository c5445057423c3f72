"""A manifest that was written is read back; a wrong one is refused with its line."""

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
