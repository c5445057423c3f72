"""Benchmarks go on where they were stopped, say what they skipped, and run to their end, small."""

import gzip
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hum_corpus import write_hum_corpus

from aqtaudio.data import cache_folder
from aqtaudio.study.store import Store

pytestmark = pytest.mark.optimized(False)
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
FACTS = {"device": "a device", "commit": "1"}


@pytest.fixture
def benchmark(monkeypatch):
    """A script of the folder, as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS.parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_functions_take_turns(benchmark):
    order = []
    turns = {name: lambda n=name: order.append(n) for name in ("a", "b")}
    times = benchmark("measuring").alternating(turns, rounds=2)
    assert order == ["a", "b"] * 3 and times["a"].shape == (2, 2)


def test_ratios_are_of_pairs(benchmark):
    one, other = np.asarray([2.0, 40.0, 6.0]), np.asarray([1.0, 10.0, 2.0])
    assert benchmark("measuring").ratio(one, other) == "3.00 (2.50 to 3.50)"


def test_a_journal_goes_on(benchmark, tmp_path):
    measuring, made = benchmark("measuring"), []

    def measure():
        made.append(1)
        return {"ms": 3}

    def stopped():
        raise KeyboardInterrupt

    first = measuring.Journal(tmp_path / "a.json", FACTS)
    first.take("one", measure)
    with pytest.raises(KeyboardInterrupt):
        first.take("two", stopped)
    second = measuring.Journal(tmp_path / "a.json", FACTS)
    assert second.take("one", stopped) == {"ms": 3} and len(made) == 1
    assert second.take("two", measure) == {"ms": 3}


def test_another_machine_begins_anew(benchmark, tmp_path):
    measuring = benchmark("measuring")
    measuring.Journal(tmp_path / "a.json", FACTS).take("one", lambda: 1)
    other = measuring.Journal(tmp_path / "a.json", FACTS | {"device": "another"})
    assert other.take("one", lambda: 2) == 2


def items(accelerator, **rows):
    """Items with these rows, or reasons to skip."""

    def of(row):
        def measure():
            if isinstance(row, str):
                raise accelerator.Skipped(row)
            return row

        return measure

    return lambda size: [
        accelerator.Item(f"{number} part", name, of(row))
        for number, (name, row) in enumerate(rows.items(), 1)
    ]


def test_what_is_skipped_is_said(benchmark, tmp_path, monkeypatch):
    accelerator = benchmark("accelerator")
    exact, speed = {"values": 7, "differ": 0}, {"ms": "1.0"}
    rows = {"codes": exact, "speed": speed, "other": "no package"}
    monkeypatch.setattr(accelerator, "items", items(accelerator, **rows))
    journal = accelerator.Journal(tmp_path / "a.json", FACTS)
    assert accelerator.measured(journal, accelerator.SMALL, minutes=1)
    text = accelerator.text(journal)
    assert "| speed | 1.0 |" in text and "7 values, 0 differ" in text
    assert "Skipped: 3 part: other: no package." in text
    again = accelerator.Journal(tmp_path / "a.json", FACTS)
    assert accelerator.measured(again, accelerator.SMALL, minutes=-1) and len(again.done) == 2
    assert "no time left" in again.skipped["3 part: other"]


def test_nothing_is_timed_where_integers_differ(benchmark, tmp_path, monkeypatch):
    accelerator = benchmark("accelerator")
    rows = {"codes": {"values": 7, "differ": 1}, "speed": {"ms": "1.0"}}
    monkeypatch.setattr(accelerator, "items", items(accelerator, **rows))
    journal = accelerator.Journal(tmp_path / "a.json", FACTS)
    assert not accelerator.measured(journal, accelerator.SMALL, minutes=1)
    assert journal.skipped == {"2 part: speed": "integers differ"}


def test_stored_codes_tell_what_differs(benchmark):
    accelerator = benchmark("accelerator")
    answers = np.arange(3 * 64 * 5, dtype=np.int8).reshape(-1, 5)
    changed = answers.copy()
    changed[70, 2] += 1
    pairs = zip(accelerator.digests(answers), accelerator.digests(changed), strict=True)
    assert [a == b for a, b in pairs] == [True, False, True]
    known = json.loads(accelerator.CODES.read_text())
    assert {path: 64 * len(digests) for path, digests in known.items()} == {
        path: count // 64 * 64 for path, count in accelerator.STORED.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["float", "quantized"])
def test_where_time_goes(phase, tiny_artifact, tone_corpus, tmp_path):
    how = "--data", tone_corpus, "--phase", phase, "--rounds", 2, "--clips", 8
    said = run("profile_run.py", tiny_artifact, *how, "--trace", tmp_path)
    for part in ("front end and augmentation", "backward", "optimizer", "scores and the rest"):
        assert f"| {part} |" in said
    assert ("of backward: integers" in said) == (phase == "quantized")
    trace = Path(said.splitlines()[-1])
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    assert {"data", "examples", "whole", "evaluation"} <= {event.get("name") for event in events}


@pytest.mark.slow
def test_where_time_goes_in_a_stream(tiny_stream, tone_corpus):
    said = run("profile_run.py", tiny_stream, "--data", tone_corpus, "--rounds", 1, "--clips", 8)
    assert "| program |" in said


def test_exponents_of_growth(benchmark):
    growth = benchmark("growth")
    found = {
        10.0: {"processor_s": 1.0, "memory_mib": 50},
        100.0: {"processor_s": 2.0, "memory_mib": 50},
        1000.0: {"processor_s": 20.0, "memory_mib": 500},
    }
    assert growth.row("check", found) == {
        "": "check",
        "10": "1.0 (50)",
        "100": "2.0 (50)",
        "1,000": "20.0 (500)",
        "time ~ n^": "1.00",
        "memory ~ n^": "1.00",
    }


def test_rows_grow_into_a_study(benchmark, tmp_path):
    benchmark("growth").write_study(tmp_path / "study", 200)
    rows = Store(tmp_path / "study").rows()
    own = len(Store(BENCHMARKS.parent / "results/kws_ds_cnn").rows())
    assert len(rows) == 200 > own
    best = max(rows, key=lambda row: row["metrics"]["float"]["accuracy"])
    assert rows.index(best) < own  # its artifact is there


def test_what_fails_is_skipped_with_its_reason(benchmark):
    growth = benchmark("growth")
    with pytest.raises(growth.Skipped, match="no such thing"):
        growth.ended([sys.executable, "-c", "import sys; print('no such thing'); sys.exit(2)"])
    assert growth.ended([sys.executable, "-c", "x = bytes(200 << 20)"])["memory_mib"] >= 200


@pytest.mark.slow
def test_the_growth_benchmark(tmp_path):
    sizes = "--sizes", 100, 200, "--minutes", 0.05, 0.1
    said = run("growth.py", *sizes, "--out", tmp_path)
    assert len(said.splitlines()) == 18
    text = (tmp_path / "growth.md").read_text()
    for action in ("import", "check", "evaluate", "report", "choose", "listen", "enhance"):
        assert f"| {action} |" in text
    assert "Skipped" not in text


@pytest.mark.slow
def test_the_accelerator_benchmark(tmp_path):
    said = run("accelerator.py", "--small", "--out", tmp_path)
    text = (tmp_path / "accelerator.md").read_text()
    assert "0 differ." in text and "times TFLite Micro's speed" in text
    done = json.loads((tmp_path / "accelerator.json").read_text())["done"]
    assert all(row.get("differ", 0) == 0 for row in done.values()) and len(done) >= 12
    assert "skipped: 6 memory" in said  # a CPU does not tell


def test_samplers_are_compared(benchmark, tmp_path, monkeypatch, capsys):
    config = tmp_path / "config.py"
    config.write_text("from hum_corpus import hum_experiment\nEXPERIMENT = hum_experiment()\n")
    monkeypatch.setenv(cache_folder.VARIABLE, str(tmp_path / "cache"))
    data = write_hum_corpus(tmp_path / "hums")
    how = "--dimensions", 3, "--samples", 20, "--seeds", 2
    monkeypatch.setattr(sys, "argv", list(map(str, ("samplers", config, "--data", data, *how))))
    benchmark("samplers").main()
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    names = [line.split(" | ")[0].strip("| ") for line in rows]
    assert names == [
        *("sampler", "not reduced", "random, 20", "relevance, 20", "diversity, 20", "both, 20")
    ]
    assert all("±" in line for line in rows[2:]) and "hums accuracy" in rows[0]


def test_a_stream_has_the_frames_of_a_window(benchmark):
    """Below another reference: inside each window all levels differ by one number."""
    script = benchmark("running_reference")
    noise = np.random.default_rng(0).standard_normal(3 * script.RATE_HZ + 500)
    sound = (0.05 * noise * np.linspace(0.1, 1, len(noise))).astype(np.float32)
    front = script.RunningDecibels(fixed_db=20.0)
    apart = script.streamed(front, [sound]) - script.windowed([sound])
    inside = apart[:, 3:-3]  # the others hear a window's zeros, or what a stream has there
    assert len(apart) == len(script.starts(sound)) == 2
    own = inside.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(inside, np.broadcast_to(own, inside.shape), atol=1e-3)
