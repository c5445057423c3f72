"""Fronts, hypervolume and averages against slow, obvious versions."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqtaudio.study.pareto import (
    cost,
    front,
    front_points,
    front_runs,
    hypervolume,
    points,
    quality,
    reference_point,
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


def test_quality_is_the_integer_figure_where_present():
    assert quality(row(integer=0.8)) == 0.8
    assert quality(row(integer=0.0)) == 0.0
    assert quality(row()) == 0.9
    assert quality(row(floating=float("nan"))) is None
    assert quality({"metrics": None}) is None


def test_float_weights_take_four_bytes():
    assert cost(row(precision="float"), "weight_bytes") == 80
    assert cost(row(), "weight_bytes") is None
    assert cost({"precision": "float", "costs": {"weight_bytes": 0}}, "weight_bytes") is None


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


@given(pairs.filter(bool))
def test_the_reference_is_worse_than_every_point(found):
    rows = [
        row(str(n), integer=pair[1], costs={"macs": pair[0]}, config_delta={"n": n})
        for n, pair in enumerate(found)
    ]
    candidates = points(rows)
    reference = reference_point(candidates)
    assert set(reference) == {"quality", "macs"}
    assert reference["macs"] > max(pair[0] for pair in found)
    assert reference["quality"] <= min(pair[1] for pair in found) - 0.049
    assert front_points(candidates, "file_bytes") == []
