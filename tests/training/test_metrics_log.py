"""What a training tells of itself while it goes on."""

import json

from aqtaudio.training import metrics_log
from aqtaudio.training.metrics_log import MetricsLog


def test_a_line_now_and_then_where_there_is_no_terminal(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(metrics_log.time, "monotonic", lambda: now[0])
    told: list[str] = []
    with MetricsLog(tmp_path, "float", 10, 100, told.append) as log:
        for step in range(11, 101):
            now[0] += 2
            if step % 25 == 0:
                log.write(step, loss=1 / step)
            log.passed(step)
    assert told[0] == "float 11/100  0:02:58 left"  # the first step is told at once
    assert told[1] == "float 26/100  loss 0.0400  0:02:28 left"
    assert len(told) == 6 and told[-1].startswith("float 86/100  loss 0.0133  ")
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").open()]
    assert steps == [25, 50, 75, 100]


def test_a_terminal_has_a_bar_and_no_lines(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    told: list[str] = []
    with MetricsLog(tmp_path, "float", 0, 2, told.append) as log:
        log.write(1, loss=1.0)
        log.passed(1)
    assert told == [] and "1/2" in capsys.readouterr().err
