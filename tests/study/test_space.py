"""Laws of search spaces and of the plan made from them."""

from dataclasses import asdict, dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqtaudio.errors import BadInput
from aqtaudio.study.plan import plan, run_id
from aqtaudio.study.space import Study, chain, finetuned, load_study, param, product, zipped


@dataclass(frozen=True)
class Experiment:
    width: int = 16
    bits: int = 32
    seed: int = 0
    steps: int = 100


def overlay(experiment, overrides):
    try:
        return replace(experiment, **overrides)
    except TypeError as error:
        raise BadInput(f"unknown setting in {sorted(overrides)}") from error


def planned(*runs):
    return plan(Study("s", Experiment(), runs), overlay, asdict)


spaces = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=2), min_size=1, max_size=3
)


@given(spaces, spaces)
def test_chain_keeps_every_delta_in_order(one, two):
    assert chain(one, two) == [*one, *two]


@given(st.lists(st.integers(), min_size=1), st.lists(st.text(), min_size=1))
def test_product_is_every_pair_and_zipped_its_diagonal(numbers, words):
    one, two = param("n", *numbers), param("w", *words)
    assert product(one, two) == [{"n": n, "w": w} for n in numbers for w in words]
    short = min(len(one), len(two))
    assert zipped(one[:short], two[:short]) == [
        {"n": n, "w": w} for n, w in zip(numbers, words, strict=False)
    ]


def test_product_of_nothing_is_the_base_run():
    assert product() == [{}]


def test_spaces_are_not_changed_by_combining_them():
    one, two = param("a", 1), param("b", 2)
    product(one, two)[0]["a"] = 5
    chain(one)[0]["a"] = 5
    finetuned(one, two)[0]["init_from"]["a"] = 5
    assert (one, two) == ([{"a": 1}], [{"b": 2}])


@pytest.mark.parametrize(
    "broken",
    [
        lambda: param("a"),
        lambda: product(param("a", 1), param("a", 1)),
        lambda: product(param("model.width", 1), param("model", "big")),
        lambda: zipped(param("a", 1, 2), param("b", 1)),
        lambda: Study("../elsewhere", None, [{}]),
        lambda: Study("empty", None, []),
    ],
)
def test_what_makes_no_sense_is_refused(broken):
    with pytest.raises(BadInput):
        broken()


def test_a_whole_object_may_be_set_before_its_parts():
    assert product(param("model", "big"), param("model.width", 1)) == [
        {"model": "big", "model.width": 1}
    ]


def test_finetuned_inherits_changes_and_names_its_parent():
    parent = {"width": 48, "steps": 900}
    (child,) = finetuned([parent], [{"steps": 90, "bits": 8}])
    assert child == {"width": 48, "steps": 90, "bits": 8, "init_from": parent}


def test_names_are_joined():
    width, bits = {"name": "w48", "width": 48}, {"name": "w8", "bits": 8}
    (both,) = product([width], [bits], param("seed", 0))
    assert both == {"name": "w48 w8", "width": 48, "bits": 8, "seed": 0}
    assert finetuned([width], [bits])[0]["name"] == "w48 w8"
    assert finetuned([width], param("a.bits", 8))[0]["name"] == "w48 bits=8"
    assert finetuned(param("width", 48), [bits])[0]["name"] == "width=48 w8"


def test_parents_come_first_and_once():
    parents = product(param("width", 8, 16), param("seed", 0, 1))
    runs = planned(*finetuned(parents, param("bits", 8, 4)), *parents)
    ids = [run.run_id for run in runs]
    assert len(ids) == len(set(ids)) == 12
    assert all(ids.index(run.parent) < ids.index(run.run_id) for run in runs if run.parent)


def test_a_parent_may_have_a_parent():
    grandchild = {"bits": 4, "init_from": {"bits": 8, "init_from": {"steps": 900}}}
    assert [run.overrides for run in planned(grandchild)] == [
        {"steps": 900},
        {"bits": 8},
        {"bits": 4},
    ]


def test_names_are_kept_but_change_no_id():
    named, unnamed = planned({"width": 8, "name": "small"})[0], planned({"width": 8})[0]
    assert (named.run_id, named.name, unnamed.name) == (unnamed.run_id, "small", "width=8")
    assert named.delta == {"width": 8}
    child = {"bits": 8, "init_from": {"width": 8}}
    parent, _ = planned(child, {"width": 8, "name": "later"})
    assert parent.name == "later"
    anonymous = planned({"bits": 8, "init_from": {"width": 8, "name": "p"}})[1]
    assert anonymous.delta == child


def test_only_what_changes_the_numbers_changes_the_id():
    base = planned({})[0].run_id
    assert planned({"width": 16})[0].run_id == base
    others = [{"width": 17}, {"seed": 1}, {"bits": 8}, {"init_from": {}}]
    assert len({base, *(planned(other)[-1].run_id for other in others)}) == 5


def test_the_parent_is_part_of_the_id():
    children = [planned({"bits": 8, "init_from": {"seed": seed}})[-1] for seed in (0, 1)]
    assert children[0].run_id != children[1].run_id
    assert children[0].experiment == children[1].experiment


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, min_size=2), st.randoms())
def test_ids_ignore_the_order_of_keys(identity, random):
    keys = list(identity)
    random.shuffle(keys)
    assert run_id({key: identity[key] for key in keys}) == run_id(identity)


def test_ids_are_pinned():
    assert run_id({"model": {"width": 48}, "seed": 0}) == "0400f765ff14"
    assert run_id({"model": {"width": 48.0}, "seed": 0}) == "0400f765ff14"
    assert run_id({"model": {"width": 48}, "seed": False}) != "0400f765ff14"


def test_an_unknown_setting_is_refused_before_anything_runs():
    with pytest.raises(BadInput, match="wdith"):
        planned({"width": 8}, {"wdith": 8})


def test_load_study(tmp_path):
    head = "from aqtaudio.study.space import Study, param\n"
    sweep = tmp_path / "sweep.py"
    sweep.write_text(head + "STUDY = Study('bits', None, param('bits', 4, 8))")
    assert load_study(sweep).runs == [{"bits": 4}, {"bits": 8}]
    for content in ("x = 1", "STUDY = 3", "import nowhere", "def", head + "param('a')"):
        sweep.write_text(content)
        with pytest.raises(BadInput):
            load_study(sweep)
    with pytest.raises(BadInput, match="no sweep file"):
        load_study(tmp_path / "absent.py")
