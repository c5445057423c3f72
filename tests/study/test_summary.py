import dataclasses
import math

import pytest

from aqtaudio.study.headlines import written
from aqtaudio.study.summary import COLUMNS, summary
from aqtaudio.tasks.enhancement.task import HEADLINES


def _rows(name: str, mean: float, file_bytes: int, spread: float = 0.0012, **changes) -> list[dict]:
    """Two seeds of a setting, whose accuracies have this mean and spread."""
    return [
        {
            "run_id": f"{name}{seed}",
            "name": f"w|{name} seed={seed}",
            "precision": "w8a8",
            "config_delta": {"name": name, "seed": seed},
            "metrics": {"float": {"accuracy": 0.95}, "integer": {"accuracy": mean + away}},
            "costs": {"file_bytes": file_bytes, "params": 22344},
            **changes,
        }
        for seed, away in enumerate((-spread / math.sqrt(2), spread / math.sqrt(2)))
    ]


def test_every_setting_has_a_line_and_front_points_are_bold():
    lines = summary([*_rows("a", 0.94, 20000), *_rows("b", 0.93, 30000)]).splitlines()
    assert len(lines) == 4
    assert "**w\\|a**" in lines[2] and "94.00 % ± 0.12" in lines[2] and "20,000" in lines[2]
    assert "**" not in lines[3]
    unescaped = [line.replace("\\|", "") for line in lines]
    assert all(line.count("|") == len(COLUMNS) + 1 for line in unescaped)


def test_enhanced_speech_is_told_in_several_figures():
    rows = _rows("a", 2.183, 20000, spread=0.0123, headlines=dataclasses.asdict(HEADLINES))
    beside = {"si_sdr_improvement_db": 7.0, "stoi": 0.9, "dnsmos_ovrl": 3.125}
    beside |= {"details": {"intervals": {"pesq": [2.0361, 2.3259]}}}
    for row in rows:
        pesq = row["metrics"]["integer"]["accuracy"]
        row["metrics"] = {"float": {"pesq": 2.2}, "integer": {"pesq": pesq, **beside}}
    head, _, line = summary(rows).splitlines()
    assert summary(rows, "pesq") == summary(rows)
    titles = ["PESQ (wide band) [95 % interval]", "float"]
    titles += ["SI-SDR improvement, dB", "STOI", "DNSMOS OVRL"]
    assert f"| {' | '.join(titles)} |" in head
    assert "| 2.183 ± 0.012 [2.036, 2.326] | 2.200 | 7.000 | 0.9000 | 3.125 |" in line
    assert head.count("|") == line.replace("\\|", "").count("|")


@pytest.mark.parametrize(
    ("metric", "value", "spread", "expected"),
    [
        ("accuracy", 0.94, 0.0012, "94.00 % ± 0.12"),
        ("stoi", 0.8989, 0.0012, "0.8989 ± 0.0012"),
        ("si_sdr_improvement_db", -0.5, 0.25, "-0.5000 ± 0.25"),
        ("accuracy", None, None, ""),
    ],
)
def test_qualities_are_written_in_their_own_unit(metric, value, spread, expected):
    assert written(metric, value, spread) == expected


def test_what_a_run_does_not_know_stays_empty():
    row = {"run_id": "a", "metrics": {"integer": {"accuracy": 0.9}}}
    line = summary([row]).splitlines()[2]
    assert "90.00 %" in line and "±" not in line and "|  |" in line
