"""Attainment over seeds against its definition, and which seeds are compared."""

import math

from hypothesis import given
from hypothesis import strategies as st

from aqtaudio.study.attainment import attainments, shared_seeds

SETTINGS = ("small", "middle", "large")


def row(setting, seed, cost, quality, **more):
    return {
        "run_id": f"{setting} {seed}",
        "precision": "w8a8",
        "model": "A",
        "seed": seed,
        "config_delta": {"size": setting, "seed": seed},
        "metrics": {"float": {"accuracy": quality}},
        "costs": {"macs": cost},
        **more,
    }


runs = st.tuples(st.integers(1, 9).map(float), st.integers(0, 9).map(lambda n: n / 9))
studies = st.integers(2, 4).flatmap(
    lambda seeds: st.lists(
        st.lists(runs, min_size=seeds, max_size=seeds), min_size=1, max_size=len(SETTINGS)
    )
)


def reached(rows, seed, cost):
    """The best quality that a seed reaches at a cost."""
    qualities = [
        row["metrics"]["float"]["accuracy"]
        for row in rows
        if row["seed"] == seed and row["costs"]["macs"] <= cost
    ]
    return max(qualities, default=-1.0)


def at(steps, cost):
    return max((y for x, y in steps if x <= cost), default=-1.0)


@given(studies)
def test_a_front_is_what_so_many_seeds_reach(study):
    rows = [
        row(SETTINGS[place], seed, *run)
        for place, setting in enumerate(study)
        for seed, run in enumerate(setting)
    ]
    (found,) = attainments(rows, "macs").values()
    seeds = len(study[0])
    assert (len(found.seeds), found.settings) == (seeds, len(study))
    for cost in range(1, 10):
        by_seed = sorted((reached(rows, seed, cost) for seed in range(seeds)), reverse=True)
        assert at(found.best, cost) == by_seed[0]
        assert at(found.worst, cost) == by_seed[-1]
        if found.median is not None:
            assert at(found.median, cost) == by_seed[math.ceil(seeds / 2) - 1]
    assert (found.median is None) == (seeds == 2)


def test_groups_are_apart_and_one_seed_is_no_spread():
    rows = [
        row("small", 0, 1.0, 0.5),
        row("small", 1, 1.0, 0.6, model="B"),
        row("large", 0, 2.0, 0.7, model="B"),
        row("large", 1, 2.0, 0.9, model="B"),
    ]
    found = attainments(rows, "macs", group="model")
    assert list(found) == ["B"]
    assert found["B"].worst == ((2.0, 0.7),) and found["B"].best == ((2.0, 0.9),)
    assert attainments(rows[:1], "macs") == attainments(rows, "params") == {}


def test_the_seeds_compared_are_those_that_most_settings_have():
    assert shared_seeds({"a": {"0"}, "b": {"1"}}) == ()
    assert shared_seeds({"a": {"0", "1"}, "b": {"0", "1", "2"}, "c": {"0"}}) == ("0", "1")
    assert shared_seeds({"a": {"0", "1", "2"}, "b": {"3", "4"}}) == ("0", "1", "2")
    assert shared_seeds({}) == ()
