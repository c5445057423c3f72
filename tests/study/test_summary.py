import pytest

from aqtaudio.study.headlines import written
from aqtaudio.study.pareto import Point
from aqtaudio.study.summary import COLUMNS, summary


def _point(run_id: str, quality: float, file_bytes: float, **changes) -> Point:
    values = {
        "run_ids": (run_id, run_id + "'"),
        "run_id": run_id,
        "name": f"w|{run_id}",
        "model": "DSCNN",
        "precision": "w8a8",
        "quality": quality,
        "spread": 0.0012,
        "floating": 0.95,
        "integer": quality,
        "costs": {"file_bytes": file_bytes, "params": 22344.0},
    }
    return Point(**(values | changes))


def test_every_setting_has_a_line_and_front_points_are_bold():
    good, dominated = _point("a", 0.94, 20000), _point("b", 0.93, 30000)
    lines = summary([good, dominated]).splitlines()
    assert len(lines) == 4
    assert "**w\\|a**" in lines[2] and "94.00 % ± 0.12" in lines[2] and "20,000" in lines[2]
    assert "**" not in lines[3]
    unescaped = [line.replace("\\|", "") for line in lines]
    assert all(line.count("|") == len(COLUMNS) + 1 for line in unescaped)


def test_enhanced_speech_is_told_in_several_figures():
    beside = {"si_sdr_improvement_db": 7.0, "stoi": 0.9, "dnsmos_ovrl": 3.125}
    more = {"floating": 2.2, "spread": 0.0123, "beside": beside}
    known = _point("a", 2.183, 20000, interval=(2.0361, 2.3259), **more)
    head, _, line = summary([known], "pesq").splitlines()
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
    line = summary([_point("a", 0.9, 1.0, floating=None, spread=None, costs={})]).splitlines()[2]
    assert "90.00 %" in line and "±" not in line and "|  |" in line
