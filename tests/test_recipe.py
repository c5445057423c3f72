"""A recipe is a value: first match wins, and nonsense is refused where it is written."""

import pytest
from cases import SMALL
from initial import initial
from trained import random_features

from aqtaudio.compression.calibrate import calibrate
from aqtaudio.compression.fold import fold
from aqtaudio.errors import BadInput
from aqtaudio.recipe import LowRank, Recipe, Rule, quantile


def test_first_match_wins():
    recipe = Recipe(rules=(Rule("point.*_1", 4), Rule("point.*", 8, 4), Rule(".*", 4, 4)))
    assert recipe.rule("pointwise_1") is recipe.rules[0]
    assert recipe.rule("pointwise_2") is recipe.rules[1]
    assert recipe.rule("conv") is recipe.rules[2]


@pytest.mark.parametrize("path", ["pointwise_11", "a_pointwise_1", "block/pointwise_1"])
def test_patterns_match_whole_paths(path: str):
    with pytest.raises(BadInput, match=f"no rule matches layer '{path}'.*'pointwise_1'"):
        Recipe(rules=(Rule("pointwise_1"),)).rule(path)


def test_an_unmatched_layer_is_an_error_that_names_it():
    recipe, features = (
        Recipe(rules=(Rule("input|conv|logits|depthwise.*"),)),
        random_features(SMALL),
    )
    fresh = initial(SMALL.model, features)
    params = fold(fresh["params"], fresh["batch_stats"])
    with pytest.raises(BadInput, match="no rule matches layer 'pointwise_1'"):
        calibrate(SMALL.model, params, [features], recipe)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_bits": 2}, r"weight_bits is 2; allowed: 4, 8"),
        ({"weight_bits": 16}, r"weight_bits is 16; allowed: 4, 8"),
        ({"activation_bits": 0}, r"activation_bits is 0; allowed: 4, 8"),
        ({"pattern": "point(wise"}, r"pattern 'point\(wise': "),
        ({"calibration": "min"}, r"calibration is 'min'; allowed: 'max', 'mean_max'"),
        ({"calibration": "q"}, "calibration is 'q'"),
        ({"calibration": "q1.5"}, "calibration is 'q1.5'"),
        ({"calibration": "q0"}, "calibration is 'q0'"),
        ({"calibration": "qnan"}, "calibration is 'qnan'"),
        ({"calibration": "0.99"}, "calibration is '0.99'"),
        ({"int4_dense": "channel"}, "int4_dense is .channel.; allowed: tensor, conv"),
        ({"svd_penalty": -0.1}, "svd_penalty is -0.1; allowed: >= 0"),
        ({"svd_penalty": float("nan")}, "svd_penalty is nan"),
    ],
)
def test_bad_rules(settings: dict, message: str):
    with pytest.raises(BadInput, match=message) as caught:
        Rule(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"energy": 0.0},
        {"energy": 1.1},
        {"energy": float("nan")},
        {"threshold": 1.0},
        {"threshold": -0.1},
        {"threshold": float("nan")},
    ],
)
def test_bad_truncation(settings: dict):
    with pytest.raises(BadInput, match=f"low_rank {next(iter(settings))} is"):
        LowRank(**settings)


def test_bad_mode():
    with pytest.raises(BadInput, match="mode is 'int8'; allowed: float, fake, native"):
        Recipe(mode="int8")


def test_quantiles():
    assert quantile("max") is None and quantile("mean_max") is None
    assert quantile("q0.999") == 0.999 and quantile("q1") == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Rule(pattern=3), "recipe pattern 3"),
        (lambda: Rule(calibration=5), "recipe calibration is 5"),
        (lambda: Rule(svd_penalty="x"), "recipe svd_penalty is 'x'"),
        (lambda: Rule(activation_bits=16.0), "recipe activation_bits is 16.0"),
        (lambda: Recipe(rules=Rule()), "allowed: a tuple of Rule"),
        (lambda: Recipe(gradient_bits=8.0), "recipe gradient_bits is 8.0"),
        (lambda: Recipe(learn_ranges="yes"), "recipe learn_ranges is 'yes'"),
        (Recipe("fake", target="litert").require_consistent, "target litert is for mode native"),
    ],
)
def test_values_of_another_kind(make, said: str):
    with pytest.raises(BadInput, match=said):
        make()


def test_idle_rules_are_found():
    """Misspelt, or behind a rule that is broader; not the ones that some layer has."""
    rules = (Rule("conv_1"), Rule("conv_.*", weight_bits=4), Rule("conv_2"), Rule("cnov"), Rule())
    assert Recipe(rules=rules).idle(["conv_1", "conv_2", "logits"]) == ["conv_2", "cnov"]
    assert Recipe(rules=rules).idle(["conv_1", "conv_2"]) == ["conv_2", "cnov", ".*"]
