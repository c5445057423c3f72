"""Laws of choosing under a budget."""

import pytest
from fake_rows import fake_row, fake_rows
from hypothesis import given
from hypothesis import strategies as st

from aqtaudio.errors import BadInput
from aqtaudio.study.budget import choose
from aqtaudio.study.pareto import points

ROWS = fake_rows()
AXES = ("file_bytes", "arena_bytes", "macs", "bitops")
limits = st.dictionaries(st.sampled_from(AXES), st.floats(1e2, 1e9), max_size=3)


def costs(run_id):
    return next(row["costs"] for row in ROWS if row["run_id"] == run_id)


def fits(run_id, budget):
    return all(costs(run_id)[axis] <= limit for axis, limit in budget.items())


@given(limits)
def test_the_best_of_what_fits_and_no_float_model(budget):
    found = choose(ROWS, budget)
    integer = [point for point in points(ROWS) if point.precision != "float"]
    fitting = [point for point in integer if fits(point.run_id, budget)]
    if not fitting:
        assert found.best is None and found.missed is not None
        return
    assert found.best.point in fitting and found.best.excess <= 1
    assert found.best.point.quality == max(point.quality for point in fitting)


@given(limits)
def test_what_just_misses_is_better_and_says_why(budget):
    found = choose(ROWS, budget)
    if found.missed is None:
        best = max(p.quality for p in points(ROWS) if p.precision != "float")
        assert found.best.point.quality == best and found.limited_by == []
        return
    over = [axis for axis, limit in budget.items() if found.missed.costs[axis] > limit]
    assert found.limited_by == over != []
    assert found.best is None or found.missed.point.quality > found.best.point.quality
    # With the limits raised so far, and no further, it would be chosen or beaten.
    raised = {axis: limit * found.missed.excess * (1 + 1e-9) for axis, limit in budget.items()}
    assert choose(ROWS, raised).best.point.quality >= found.missed.point.quality


@given(limits, st.sampled_from(AXES), st.floats(0.1, 1.0))
def test_a_tighter_budget_is_never_better(budget, axis, share):
    budget = {axis: 1e9, **budget}
    loose = choose(ROWS, budget).best
    tight = choose(ROWS, {**budget, axis: budget[axis] * share}).best
    if tight is not None:
        assert tight.point.quality <= loose.point.quality


def equal(row, accuracy, run_id, file_bytes):
    metrics = {"integer": {"accuracy": accuracy}, "float": {"accuracy": 1.0}}
    changed = {"costs": {**row["costs"], "file_bytes": file_bytes}}
    delta = {"name": run_id}
    return {**row, "metrics": metrics, "run_id": run_id, "config_delta": delta, **changed}


def test_of_equals_the_one_that_costs_least():
    row = fake_row("w8a8", 32, 0)
    rows = [equal(row, 0.9, "large", 3000), equal(row, 0.9, "small", 2000)]
    for order in (rows, rows[::-1]):
        assert choose(order, {}).best.point.run_id == "small"
        assert choose(order, {"file_bytes": 9000}).best.point.run_id == "small"


def test_seeds_count_with_their_mean():
    row = fake_row("w8a8", 32, 0)
    lucky = [{**equal(row, a, f"l{a}", 1000), "config_delta": {"seed": a}} for a in (0.99, 0.5)]
    steady = {**equal(row, 0.8, "steady", 1000), "width": 33}
    assert choose([*lucky, steady], {}).best.point.run_id == "steady"


def test_the_run_that_is_served_has_to_fit_not_the_mean_of_its_seeds():
    row = fake_row("w8a8", 32, 0)
    sizes = {"a": (0.90, 900), "b": (0.92, 1200), "c": (0.80, 300)}
    rows = [
        {**equal(row, a, name, size), "config_delta": {"seed": name}}
        for name, (a, size) in sizes.items()
    ]
    found = choose(rows, {"file_bytes": 1000})
    assert (found.best.point.run_id, found.best.costs["file_bytes"]) == ("a", 900)
    assert choose(rows, {"file_bytes": 850}).best is None


def test_nothing_to_choose_from_is_bad_input():
    floats = [row for row in ROWS if row["precision"] == "float"]
    for rows, budget in ((floats, {}), (ROWS, {"vela_cycles": 1e6})):
        with pytest.raises(BadInput, match="nothing to choose from"):
            choose(rows, budget)
    with pytest.raises(BadInput, match="no run has a figure"):
        choose([], {})
