"""Jobs of this machine: which device they see, what they share, what they hold."""

import json
import os
import sys
import time

import pytest
from crashes import is_locked

from aqtaudio.errors import BadInput
from aqtaudio.study.engine import Local, visible_devices
from aqtaudio.study.process import Process, stop

NAMES = ("CUDA_VISIBLE_DEVICES", "XLA_CLIENT_MEM_FRACTION", "PATH")
SAY = f"""
import json, os, sys, time
told = {{name: os.environ.get(name) for name in {NAMES}}}
open(sys.argv[1] + "/new", "w").write(json.dumps(told))
os.rename(sys.argv[1] + "/new", sys.argv[1] + "/told")
time.sleep(float(sys.argv[2]))
"""


def jobs(engine, folder, count, environment=None):
    """Starts jobs that live on; returns them and what each was told."""
    started, told = [], []
    for number in range(count):
        run_dir = folder / f"job{number}"
        command = [sys.executable, "-IS", "-c", SAY, str(run_dir), "60"]
        started.append(engine.start(command, [run_dir], environment or {}))
    for number in range(count):
        file = folder / f"job{number}" / "told"
        while not file.exists():
            time.sleep(0.01)
        told.append(json.loads(file.read_text()))
    return started, told


def test_jobs_spread_over_devices_and_share_their_memory(tmp_path, monkeypatch):
    monkeypatch.delenv("XLA_CLIENT_MEM_FRACTION", raising=False)
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    engine = Local(gpus_per_job=0.5, devices=("GPU-a", "3"))
    assert engine.slots == 4
    started, told = jobs(engine, tmp_path / "one", 3)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in told] == ["GPU-a", "3", "GPU-a"]
    assert {one["XLA_CLIENT_MEM_FRACTION"] for one in told} == {"0.375"}
    engine.stop([started[0], started[2]])
    more, told = jobs(engine, tmp_path / "two", 1)
    assert told[0]["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    engine.stop([*started, *more])
    assert all(job.status() < 0 and not job.lost for job in [*started, *more])


def test_a_device_alone_and_a_processor_are_left_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert (Local().slots, Local(workers=3).slots) == (1, 3)
    assert (Local(devices="01").slots, Local(workers=1, devices="01").slots) == (2, 1)
    alone, processor = Local(devices=("0",)), Local()
    started, told = jobs(alone, tmp_path / "one", 1)
    more, told_more = jobs(processor, tmp_path / "two", 1)
    assert told[0]["CUDA_VISIBLE_DEVICES"] == "0" and told_more[0]["CUDA_VISIBLE_DEVICES"] == ""
    for one in (*told, *told_more):
        assert one["XLA_CLIENT_MEM_FRACTION"] == os.environ.get("XLA_CLIENT_MEM_FRACTION")
        assert one["PATH"] == os.environ["PATH"]
    stop([*started, *more])


@pytest.mark.parametrize("settings", [{"workers": 0}, {"gpus_per_job": 0}, {"gpus_per_job": 2}])
def test_refusals(settings):
    with pytest.raises(BadInput, match="at least 1|allowed"):
        Local(**settings)


def test_devices_are_found_without_jax(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0, 2")
    assert visible_devices() == ["0", "2"]
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert visible_devices() == []
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_devices() == []
    tool = tmp_path / "nvidia-smi"
    lines = ["GPU 0: X (UUID: GPU-1)", "GPU 1: Y (UUID: GPU-2)"]
    tool.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    tool.chmod(0o755)
    assert visible_devices() == ["GPU-1", "GPU-2"]
    with tool.open("a") as file:
        file.write("echo '  MIG 1g.18gb Device 0: (UUID: MIG-3)'\n")
    assert visible_devices() == ["MIG-3"]


def test_a_job_holds_the_locks_of_all_its_runs(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    job = Process(["sleep", "60"], folders, os.environ)
    assert all(is_locked(folder / "lock") for folder in folders)
    stop([job])
    assert not any(is_locked(folder / "lock") for folder in folders)


def test_an_orphan_is_ended_by_whoever_needs_one_of_its_runs(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    orphan = Process(["sleep", "60"], folders, os.environ)
    other = Process(["sleep", "60"], folders[1:], os.environ)
    assert orphan.process.wait(20) == -9
    stop([other])
