"""Numbers as C text: what a compiler reads is what was written, to the bit."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aqtaudio.program.c_text import array, lines, literal, table, texts

FLOAT = re.compile(r"-?\d+\.\d*(e[+-]\d+)?f")
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
INTEGERS = st.sampled_from(["int8", "uint8", "int16", "uint16", "int32"]).map(np.dtype)
KINDS = st.one_of(INTEGERS, st.just(np.dtype("float32")))


def values_of(kind: np.dtype, shape) -> st.SearchStrategy:
    return arrays.arrays(kind, shape, elements=FLOATS if kind.kind == "f" else None)


def read(text: str, kind: np.dtype) -> np.ndarray:
    """Values between commas."""
    words = [word.strip() for word in text.split(",")]
    if kind.kind == "f":
        assert all(map(FLOAT.fullmatch, words))
        words = [word.removesuffix("f") for word in words]
    return np.array([np.float32(w) if kind.kind == "f" else int(w) for w in words]).astype(kind)


@given(FLOATS)
def test_a_literal_reads_back_as_the_same_float(value):
    text = literal(value)
    assert FLOAT.fullmatch(text)
    again = np.float32(text.removesuffix("f"))
    assert again.tobytes() == np.float32(value).tobytes()  # -0.0 too


@given(st.floats(-1e30, 1e30))
def test_what_is_no_float32_becomes_the_nearest(value):
    assert literal(value) == literal(float(np.float32(value)))


@given(st.lists(st.integers(-9, 9).map(str), max_size=70), st.sampled_from(["", " \\"]))
def test_lines_hold_all_values_a_few_each(values, end):
    rows = lines(values, end).split("\n")
    assert all(row.endswith(f",{end}") for row in rows[:-1]) and not rows[-1].endswith(",")
    assert all(len(row.split(",")) <= 17 for row in rows)
    text = "".join(row.removesuffix(end) if end else row for row in rows)
    assert [word.strip() for word in text.split(",") if word.strip()] == values


@given(KINDS.flatmap(lambda kind: values_of(kind, st.integers(1, 40))))
def test_an_array_holds_its_values(values):
    text = array("static const T", "kName", values)
    body = re.fullmatch(r"static const T kName\[(\d+)\] = \{\n(.*)\n\};", text, re.DOTALL)
    assert int(body[1]) == len(values)
    assert read(body[2], values.dtype).tobytes() == values.tobytes()


@given(
    st.tuples(KINDS, arrays.array_shapes(min_dims=2, max_dims=3, max_side=18)).flatmap(
        lambda drawn: values_of(*drawn)
    )
)
def test_a_table_holds_its_rows(rows):
    text = table("static const T", "kName", rows)
    body = re.fullmatch(r"static const T kName\[(\d+)\]\[(\d+)\] = \{\n(.*)\n\};", text, re.DOTALL)
    flat = rows.reshape(len(rows), -1)
    assert (int(body[1]), int(body[2])) == flat.shape
    found = re.findall(r"\{\n(.*?)\n\}", body[3], re.DOTALL)
    assert [read(row, rows.dtype).tobytes() for row in found] == [row.tobytes() for row in flat]
    assert texts(rows) == texts(flat.ravel())
