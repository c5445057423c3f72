"""The reference point: worse than all, kept, and common to two studies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqtaudio.errors import BadInput
from aqtaudio.study.measures import Metric
from aqtaudio.study.reference import (
    common_reference,
    kept_reference,
    read_reference,
    reference_point,
)

ACCURACY, MISSES = Metric("accuracy", True, 1), Metric("miss_rate", True, -1)
pairs = st.lists(st.tuples(st.integers(1, 4096), st.integers(0, 12)), min_size=1, max_size=12)


def rows_of(found):
    return [
        {
            "metrics": {"integer": {"accuracy": n / 12, "miss_rate": n / 24}},
            "costs": {"macs": cost},
        }
        for cost, n in found
    ]


@given(pairs)
def test_the_reference_is_worse_than_every_run(found):
    reference = reference_point(rows_of(found), [ACCURACY, MISSES], "accuracy")
    assert set(reference) == {"quality", "quality.miss_rate", "macs"}
    assert reference["macs"] > max(cost for cost, _ in found)
    assert reference["quality"] <= min(n / 12 for _, n in found) - 0.049
    assert reference["quality.miss_rate"] >= max(n / 24 for _, n in found) + 0.049


@given(pairs, pairs)
def test_the_common_one_is_worse_than_both(one, other):
    metrics = [ACCURACY, MISSES]
    both = [reference_point(rows_of(found), metrics, "accuracy") for found in (one, other)]
    whole = reference_point(rows_of([*one, *other]), metrics, "accuracy")
    assert common_reference(*both, metrics, "accuracy") == whole


def test_what_is_stored_stays_and_new_axes_are_added(tmp_path):
    path = tmp_path / "reference.json"
    assert kept_reference(path, {"quality": 0.5, "macs": 64.0}) == {"quality": 0.5, "macs": 64.0}
    assert kept_reference(path, {"quality": 0.4, "params": 8.0}) == {
        **{"quality": 0.5, "macs": 64.0, "params": 8.0}
    }
    assert json.loads(path.read_text()) == read_reference(path)


@pytest.mark.parametrize("content", ["{", "[]", '{"quality": "x"}', '{"quality": 0, "macs": 0}'])
def test_a_broken_one_is_refused(tmp_path, content):
    path = tmp_path / "reference.json"
    path.write_text(content)
    with pytest.raises(BadInput, match="reference"):
        read_reference(path)
