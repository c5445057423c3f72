"""Rows by column and back."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aqtaudio.study.columns import columns, flat, packed_numbers

leaves = st.one_of(st.booleans(), st.integers(-3, 3), st.floats(-1, 1), st.text(max_size=3))
values = st.recursive(
    st.one_of(st.none(), leaves, st.lists(leaves, max_size=2)),
    lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)
tables = st.lists(st.dictionaries(st.sampled_from("abc"), values, max_size=3), max_size=6)


def without_nothing(value):
    """A row without nulls and empty mappings."""
    if not isinstance(value, dict):
        return value
    kept = {key: without_nothing(item) for key, item in value.items() if item is not None}
    return {key: item for key, item in kept.items() if item != {}}


def rows_of(packed, count):
    rows = [{} for _ in range(count)]
    for column in packed:
        for index, row in enumerate(rows):
            if "at" in column:
                at = column["at"][index]
                value = None if at < 0 else column["words"][at]
            else:
                value = column["values"][index]
            if value is None:
                continue
            *path, last = column["path"]
            for key in path:
                row = row.setdefault(key, {})
            row[last] = value
    return rows


# The first text on a machine waits for hypothesis's table of characters.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(tables)
def test_rows_come_back_from_their_columns(table):
    packed = json.loads(json.dumps(columns(table)))
    text = [json.dumps(without_nothing(row), sort_keys=True) for row in table]
    assert [json.dumps(row, sort_keys=True) for row in rows_of(packed, len(table))] == text


def test_repeated_values_are_words():
    table = [{"recipe": f"R{n % 2}", "n": n, "same": [1, 2]} for n in range(10)]
    found = {column["path"]: column for column in columns(table)}
    assert found[("recipe",)]["words"] == ["R0", "R1"]
    assert found[("same",)] == {"path": ("same",), "words": [[1, 2]], "at": [0] * 10}
    assert found[("n",)]["values"] == list(range(10))


def test_figures_are_short_and_counts_whole():
    assert packed_numbers([1 / 3, 286851072.0, None]) == {"values": [0.3333333, 286851072, None]}


def test_what_rows_say_of_figures_is_no_column():
    told = {"headlines": {"fronts": ["pesq"], "titles": {"pesq": "PESQ"}}}
    row = {"run_id": "a", "told": told}
    assert columns([row | told]) == columns([row]) and flat(row | told) == flat(row)


def test_a_line_of_a_csv():
    row = {"a": {"b.c": 1, "d": {}}, "bits": {"stem": [8, 8]}, "e": None}
    assert flat(row) == {("a", "b.c"): 1, ("bits", "stem"): "[8, 8]", ("e",): None}
