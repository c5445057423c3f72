"""Fronts, hypervolume and averages against slow, obvious versions."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqtaudio.study.pareto import (
    front,
    front_points,
    front_runs,
    groups,
    hypervolume,
    hypervolumes,
    points,
)

pairs = st.lists(
    st.tuples(st.integers(1, 12).map(float), st.integers(0, 12).map(lambda n: n / 12)), max_size=12
)


def dominates(one, other):
    return one != other and one[0] <= other[0] and one[1] >= other[1]


@given(pairs)
def test_front_is_what_nothing_dominates_each_once(found):
    chosen = front([pair[0] for pair in found], [pair[1] for pair in found])
    on_front = [found[index] for index in chosen]
    expected = {pair for pair in found if not any(dominates(other, pair) for other in found)}
    assert on_front == sorted(expected)


@given(pairs)
def test_hypervolume_is_the_area_of_dominated_cells(found):
    found = [(2.0 ** pair[0], pair[1]) for pair in found]
    cells = sum(
        any(math.log2(pair[0]) <= x and pair[1] * 12 >= y + 1 for pair in found)
        for x in range(14)
        for y in range(12)
    )
    area = hypervolume([p[0] for p in found], [p[1] for p in found], (2.0**14, 0.0))
    assert area == pytest.approx(cells / 12)


def row(run_id="a", seed=0, integer=None, floating=0.9, precision="w8a8", **more):
    metrics = {"float": {"accuracy": floating}, "integer": {"accuracy": integer}}
    return {
        "run_id": run_id,
        "name": f"w48 seed={seed}",
        "precision": precision,
        "metrics": metrics,
        "costs": {"file_bytes": 100, "params": 20},
        "config_delta": {"seed": seed, "bits": 8, "init_from": {"seed": seed}},
        **more,
    }


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_seeds_are_averaged(values):
    rows = [row(str(seed), seed, value) for seed, value in enumerate(values)]
    (point,) = points(rows)
    assert point.quality == pytest.approx(statistics.fmean(values))
    assert point.spread == (
        None if len(values) == 1 else pytest.approx(statistics.stdev(values), abs=1e-12)
    )
    assert point.run_ids == tuple(str(seed) for seed in range(len(values)))
    distance = [abs(value - point.quality) for value in values]
    assert distance[int(point.run_id)] == min(distance)
    assert point.name == ("w48" if len(values) > 1 else "w48 seed=0")


def test_only_the_seed_may_differ_in_a_point():
    rows = [
        row("a", 0),
        row("b", 1),
        row("c", 0, precision="w4a8"),
        row("d", 0, config_delta={"seed": 0, "bits": 4}),
        row("e", 0, config_delta={"seed": 0, "bits": 8, "init_from": {"seed": 0, "width": 3}}),
        row("f", config_delta=None),
        row("g", config_delta=None),
        row("h", floating=None),
    ]
    assert [point.run_ids for point in points(rows)] == [
        ("a", "b"),
        ("c",),
        ("d",),
        ("e",),
        ("f",),
        ("g",),
    ]


def test_a_lucky_seed_is_not_on_the_front():
    rows = [
        row("steady", 0, 0.90, config_delta={"bits": 8}),
        row("lucky", 0, 0.95, config_delta={"bits": 4, "seed": 0}),
        row("unlucky", 1, 0.80, config_delta={"bits": 4, "seed": 1}),
    ]
    assert front_runs(rows) == {"steady": ["file_bytes", "params"]}


def test_groups_are_everything_precisions_and_families():
    rows = [
        row("a", model="A", config_delta={"n": 0}),
        row("b", model="B", config_delta={"n": 1}),
        row("c", model="B", precision="w4a8"),
    ]
    found = {key: [point.run_id for point in own] for key, own in groups(points(rows)).items()}
    assert found == {
        ("all", "all"): ["a", "b", "c"],
        ("precision", "w8a8"): ["a", "b"],
        ("precision", "w4a8"): ["c"],
        ("family", "A"): ["a"],
        ("family", "B"): ["b", "c"],
    }


def test_hypervolumes_are_of_the_axes_that_points_and_reference_have():
    rows = [row("a", integer=0.9, costs={"macs": 4, "params": 4, "bitops": 1})]
    found = hypervolumes(points(rows), {"quality": 0.5, "macs": 16.0, "params": 8.0})
    assert found == pytest.approx({"macs": 0.4 * 2, "params": 0.4 * 1})
    assert front_points(points(rows), "file_bytes") == []
