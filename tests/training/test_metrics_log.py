"""What a training tells of itself while it goes on."""

import json
from collections.abc import Iterator

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

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


def test_events_of_tensorboard(tmp_path):
    with MetricsLog(tmp_path, "float", 10, 100) as log:
        for step in (11, 12):
            log.write(step, loss=1 / step, accuracy=0.5)
    (file,) = (tmp_path / "tensorboard/float").iterdir()
    events = list(read(file.read_bytes()))
    assert [event.step for event in events] == [0, 10, 10, 11, 11, 12, 12]
    assert events[2].session_log.status == SessionLog.START
    found = [(e.step, v.tag, v.simple_value) for e in events[3:] for v in e.summary.value]
    loss = [(step, pytest.approx(1 / step)) for step in (11, 12)]
    assert [(step, value) for step, tag, value in found if tag == "loss"] == loss
    assert [tag for _, tag, _ in found] == ["loss", "accuracy"] * 2


def read(records: bytes) -> Iterator[Event]:
    """Length, its checksum, the event, its checksum."""
    while records:
        size = int.from_bytes(records[:8], "little")
        yield Event.FromString(records[12 : 12 + size])
        records = records[16 + size :]
