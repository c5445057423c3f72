"""A real Ray cluster of two nodes on this machine, as `ray start` makes one; a node is killed."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashes import active, undisturbed, wait_for
from fake_sweep import Experiment, sweep

from aqtaudio.study.space import Study, finetuned, param, product
from aqtaudio.study.store import Store

ray = pytest.importorskip("ray")

from aqtaudio.study.ray_engine import Ray  # noqa: E402

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("ray")
HEALTH = '{"health_check_period_ms": 500, "health_check_failure_threshold": 3}'
STARTS_S = 180
PARENTS = product(param("seed", 0, 1), param("steps", 16), param("seconds", 0.5))
STUDY = Study("nodes", Experiment(), finetuned(PARENTS, param("bits", 8, 4)))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def node(*arguments: str) -> Iterator[subprocess.Popen]:
    """A node of room for one job, with a folder of its own; whatever it started ends with it."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # sockets allow for short paths alone
    command = [COMMAND, "start", "--block", "--num-cpus", "1", "--temp-dir", folder, *arguments]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    process = subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        killed(process)
        shutil.rmtree(folder, ignore_errors=True)


def killed(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def alive() -> int:
    return sum(one["Alive"] for one in ray.nodes())


def is_up(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_two_nodes_share_a_sweep_and_one_is_killed(tmp_path):
    """Rows are those of a plain sweep: what the node was at goes on elsewhere."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    at_head = "--head", "--port", str(port), "--node-ip-address", "127.0.0.1"
    told = "--include-dashboard", "false", "--system-config", HEALTH
    with node(*at_head, *told) as head:
        wait_for(lambda: is_up(port), STARTS_S)
        engine = Ray(address)  # on the node that stays
        with node("--address", address) as doomed:
            wait_for(lambda: alive() == 2, STARTS_S)
            assert engine.slots == 2
            seen = []

            def kill_one():
                wait_for(lambda: len(active(tmp_path / "ray")) == 2, STARTS_S)
                wait_for(lambda: len(list((tmp_path / "ray").glob("work/*/checkpoint"))) == 2)
                seen.append(len(active(tmp_path / "ray")))
                killed(doomed)

            killer = threading.Thread(target=kill_one)
            killer.start()
            outcome = sweep(tmp_path / "ray", study=STUDY, engine=engine)
            killer.join()
            assert seen == [2]  # both nodes were at work
            assert not outcome.failed and not outcome.blocked
            assert alive() == 1
        ray.shutdown()
        assert head.poll() is None
    sweep(tmp_path / "plain", study=STUDY, workers=2)
    found, expected = (Store(tmp_path / name).rows() for name in ("ray", "plain"))
    assert undisturbed(found) == undisturbed(expected) and len(found) == 6
    begun = [path.read_text().split() for path in (tmp_path / "ray").glob("work/*/starts")]
    assert sorted(map(len, begun)) == [1] * 5 + [2]  # one of six was started again
    assert any(int(steps[-1]) > 0 for steps in begun if len(steps) == 2)  # from its checkpoint
    assert not list((tmp_path / "ray").glob("work/*/clash"))
