"""Lists of items of any kind: what was written is read back, and damage is told by its line."""

import dataclasses
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqtaudio.data import items as item_lists
from aqtaudio.errors import BadInput
from aqtaudio.tasks.enhancement.data import MixtureItem
from aqtaudio.tasks.keywords.data import EvaluationItem


@dataclasses.dataclass(frozen=True)
class Odd:
    """A kind of a task that is not known here."""

    share: float
    count: int
    words: str


KINDS = (EvaluationItem, MixtureItem, Odd)
VALUES = {
    str: st.text(string.printable.translate({ord(c): None for c in "\t\r\n\v\f"}) + "üز"),
    int: st.integers(0, 10**12),
    float: st.floats(allow_nan=False, allow_infinity=False),
}


def lists_of(kind: type) -> st.SearchStrategy:
    fields = {field.name: VALUES[field.type] for field in dataclasses.fields(kind)}
    return st.tuples(st.just(kind), st.lists(st.builds(kind, **fields), max_size=4))


@given(st.sampled_from(KINDS).flatmap(lists_of))
def test_written_is_read(tmp_path_factory, made):
    kind, items = made
    file = tmp_path_factory.mktemp("list") / "evaluation.tsv"
    item_lists.write(file, kind, items)
    assert item_lists.read(file, kind) == items
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    header, *lines = file.read_text().removesuffix("\n").split("\n")
    assert header.split("\t") == [field.name for field in dataclasses.fields(kind)]
    assert len(lines) == len(items)


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("0.5\t3", "too few"),
        ("0.5\t3\ta\tb", "too many"),
        ("", "none"),
        ("half\t3\ta", "no number"),
        ("nan\t3\ta", "no finite number"),
        ("-inf\t3\ta", "no finite number"),
        ("0.5\t-3\ta", "less than 0"),
        ("0.5\t3.0\ta", "no whole number"),
        ("0.5\t\ta", "no whole number"),
    ],
)
def test_a_damaged_line_is_named_with_what_is_allowed(tmp_path, line, bad):
    file = tmp_path / "evaluation.tsv"
    file.write_text(f"share\tcount\twords\n1.0\t0\t\n{line}\n0.25\t1\tb\n")
    with pytest.raises(BadInput) as error:
        item_lists.read(file, Odd)
    allowed = "allowed: share (a number), count (a whole number), words (text)"
    assert str(error.value) == f"{file} line 3: {line!r}; {allowed}", bad


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_another_kind_is_refused(tmp_path, kind):
    file = tmp_path / "evaluation.tsv"
    columns = ", ".join(field.name for field in dataclasses.fields(kind))
    for other in KINDS:
        item_lists.write(file, other, [])
        if other is kind:
            assert item_lists.read(file, kind) == []
            continue
        with pytest.raises(BadInput) as error:
            item_lists.read(file, kind)
        assert str(error.value) == f"{file}: allowed columns (tab-separated): {columns}"


@pytest.mark.parametrize("content", [None, b"share\tcount\twords\n1.0\t0\t\xff\n"])
def test_what_is_no_text_cannot_be_read(tmp_path, content):
    file = tmp_path / "evaluation.tsv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadInput, match="cannot be read") as error:
        item_lists.read(file, Odd)
    assert str(file) in str(error.value) and "\n" not in str(error.value)
