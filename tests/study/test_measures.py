"""What rows say: qualities, costs that older rows left out, which way is better."""

import pytest
from fake_rows import fake_enhancement_row, fake_enhancement_rows, fake_row, fake_rows

from aqtaudio.errors import BadInput
from aqtaudio.study.headlines import Headlines, Quality, headlines, main_metric, shown
from aqtaudio.study.measures import (
    cost,
    generalisation_gap,
    interval,
    metrics,
    quality,
    require_more_is_better,
    sense,
)


def row(floating=0.9, precision="w8a8", **more):
    metrics = {"float": {"accuracy": floating}, "integer": {"accuracy": more.pop("integer", None)}}
    costs = {"file_bytes": 100, "params": 20, "macs": 1000}
    return {
        "precision": precision,
        "metrics": metrics,
        "costs": costs | more.pop("costs", {}),
        **more,
    }


def test_quality_is_the_integer_figure_where_present():
    assert quality(row(integer=0.8), "accuracy") == 0.8
    assert quality(row(integer=0.0), "accuracy") == 0.0
    assert quality(row(), "accuracy") == 0.9
    assert quality(row(floating=float("nan")), "accuracy") is None
    assert quality({"metrics": None}, "accuracy") is None
    assert quality({"metrics": {"float": {"per_class": {"yes": 0.4}}}}, "per_class.yes") == 0.4


def test_float_weights_take_four_bytes():
    assert cost(row(precision="float"), "weight_bytes") == 80
    assert cost(row(), "weight_bytes") is None
    assert cost({"precision": "float", "costs": {"weight_bytes": 0}}, "weight_bytes") is None


@pytest.mark.parametrize(
    ("precision", "bits", "expected"),
    [
        ("float", 1024, 32),
        ("w8a8", 64, 8),
        ("ptq_w8a8", 64, 8),
        ("w4a8_low_rank", 32, 8),
        ("w4a4", 16, 4),
        ("w4a4", 18, 4.5),  # an eighth of the MACs read 8-bit edges
        ("w4a4", 40, None),
        ("mixed", 40, None),
        ("w8a16", 128, None),
    ],
)
def test_a_linear_cost_is_told_from_the_precision_or_not_at_all(precision, bits, expected):
    old = row(precision=precision, costs={"bitops": 1000 * bits})
    assert cost(old, "linear_cost") == (None if expected is None else 1000 * expected)
    assert cost(row(precision=precision, costs={"linear_cost": 7}), "linear_cost") == 7


def test_streams_and_cycles_have_costs_of_their_own():
    found = row(costs={"vela_cycles": 95_832}, stream={"macs_per_second": 50_000})
    assert cost(found, "vela_cycles") == 95_832
    assert cost(found, "macs_per_second") == 50_000


def test_all_qualities_of_a_study():
    rows = [fake_row("w8a8", 24, 0), fake_row("float", 24, 0)]
    rows[0]["metrics"]["integer"] |= {"miss_rate": 0.2, "snr_db": 12.0, "per_class": {"no": 0.5}}
    rows[0]["metrics"]["train"] = {"accuracy": 1.0, "only_in_training": 1.0}
    found = {metric.key: metric for metric in metrics(rows)}
    assert list(found)[0] == "accuracy" and "only_in_training" not in found
    assert {key: m.sense for key, m in found.items() if m.sense < 0} == {"miss_rate": -1}
    assert {key for key, m in found.items() if not m.is_share} == {"snr_db"}
    assert {"per_class.yes", "per_class.no"} <= set(found)


def test_the_main_metric_follows_from_the_rows():
    enhancement, words = fake_enhancement_rows(), fake_row("w8a8", 24, 0)
    assert main_metric(enhancement) == "pesq"
    for rows in ([*enhancement, words], [words, *enhancement]):
        assert main_metric(rows) == "pesq", "what a row asks for comes first"
    words["headlines"] = {"fronts": ["accuracy"]}
    assert main_metric([words, *enhancement]) == "accuracy"
    assert main_metric([*enhancement, words]) == "pesq"
    assert main_metric(fake_rows(widths=(24,))) == "accuracy"
    assert main_metric([{"metrics": {"float": {"miss_rate": 0.1, "snr_db": 3.0}}}]) == "snr_db"
    assert main_metric([{"metrics": {"integer": {"pesq": None, "stoi": 0.9}}}]) == "stoi"
    without = {"metrics": {"float": {"stoi": 0.9}}, "headlines": {"fronts": ["pesq"]}}
    assert main_metric([without]) == "stoi"
    for nothing in ([], [{}], [{"metrics": {"float": {"miss_rate": 0.1}}}]):
        with pytest.raises(BadInput, match="no run has a figure of which more is better"):
            main_metric(nothing)


def test_what_is_told_with_a_metric_follows_from_the_rows():
    told = headlines(fake_enhancement_rows())
    assert told.beside("pesq") == ["si_sdr_improvement_db", "stoi", "dnsmos_ovrl"]
    assert told.beside("dnsmos_bak") == ["pesq", *told.beside("pesq")], "it has a title"
    assert told.beside("accuracy") == [] == headlines(fake_rows()).beside("accuracy")
    assert (told.other_fronts("pesq"), told.other_fronts("stoi")) == (
        *(["dnsmos_ovrl"], ["pesq", "dnsmos_ovrl"]),
    )
    assert (told.title("pesq"), told.title("accuracy")) == ("PESQ (wide band)", "accuracy")
    for odd in (None, 3, "pesq"):
        assert headlines([{"headlines": odd}]) == Headlines()


def test_shares_are_shown_in_percent():
    assert shown(fake_rows()) == Quality("accuracy", "accuracy", is_share=True)
    assert shown(fake_enhancement_rows(), "stoi") == Quality("stoi", "STOI", is_share=False)


def test_details_are_no_qualities():
    found = {metric.key: metric for metric in metrics(fake_enhancement_rows())}
    assert set(found) == {
        *("si_sdr_db", "si_sdr_improvement_db", "pesq", "stoi"),
        *("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808"),
    }
    assert not any(metric.is_share or metric.sense < 0 for metric in found.values())


def test_the_interval_is_of_the_served_reading():
    served = fake_enhancement_row("w8a8", 64)
    pesq = served["metrics"]["integer"]["pesq"]
    assert interval(served, "pesq") == pytest.approx((pesq - 0.01, pesq + 0.03))
    del served["metrics"]["integer"]
    assert interval(served, "pesq") == pytest.approx((pesq + 0.01, pesq + 0.05))
    assert interval(fake_row("w8a8", 24, 0), "accuracy") is None
    for broken in (3, "ab", [1.0], [None, 1.0], [1.0, float("nan")]):
        served["metrics"]["float"]["details"]["intervals"]["pesq"] = broken
        assert interval(served, "pesq") is None, broken


def test_which_way_is_better():
    for name in ("false_alarms_per_hour", "miss_rate", "eer", "loss", "word_error_rate"):
        assert sense(name) == -1, name
        with pytest.raises(BadInput, match="less"):
            require_more_is_better(name)
    for name in ("accuracy", "accuracy_without_silence", "si_sdr_db", "per_class.far", "recall"):
        assert sense(name) == 1, name


def test_the_generalisation_gap():
    found = row(integer=0.8)
    assert generalisation_gap(found, "accuracy") is None
    found["metrics"]["train"] = {"accuracy": 0.95}
    assert generalisation_gap(found, "accuracy") == pytest.approx(0.15)
