"""The sweep on a Ray cluster: nodes on this machine, of which one is killed."""

import io
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from crashes import active, finished, start_and_kill, started, starts, undisturbed, wait_for
from fake_sweep import Experiment, slow_study, sweep, wide_study
from rich.console import Console

from aqtaudio.commands.command_line import main
from aqtaudio.errors import BadInput
from aqtaudio.study.space import Study, param, product
from aqtaudio.study.store import Store

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster  # noqa: E402

from aqtaudio.study.ray_engine import Ray  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    """A head with room for one job; more nodes come with the tests."""
    health = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
    head = {"num_cpus": 1, "_system_config": health}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def node(cluster):
    """Adds nodes, of room for one job, which leave with the test."""
    nodes = []

    def add(**resources):
        nodes.append(cluster.add_node(**{"num_cpus": 1, **resources}))
        return nodes[-1]

    yield add
    ray.shutdown()
    for one in nodes:
        if one in cluster.list_all_nodes():
            cluster.remove_node(one)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    sweep(folder, study=slow_study(), workers=2)
    return undisturbed(Store(folder).rows())


def test_a_lost_node_costs_no_run(cluster, node, tmp_path):
    """Its job starts again on the other node, from its checkpoint, and nothing has failed."""
    engine = Ray(cluster.address)  # before the node comes: a launcher has to have one that stays
    doomed = node()
    assert engine.slots == 2
    runs = product(param("seed", 0, 1), param("steps", 12), param("seconds", 0.25))

    def kill_one():
        wait_for(lambda: len(active(tmp_path)) == 2)
        wait_for(lambda: len(list(tmp_path.glob("work/*/checkpoint"))) == 2)
        cluster.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill_one)
    killer.start()
    study, console = Study("two", Experiment(), runs), Console(file=io.StringIO())
    outcome = sweep(tmp_path, study=study, engine=engine, console=console)
    killer.join()
    assert len(outcome.entered) == 2 and not outcome.failed
    assert "it starts again" in console.file.getvalue()
    assert [row["total"] for row in Store(tmp_path).rows()] == [12, 12]
    begun = sorted(path.read_text().split() for path in tmp_path.glob("work/*/starts"))
    assert [len(steps) for steps in begun] == [1, 2] and int(begun[1][1]) > 0
    assert not list(tmp_path.glob("work/*/clash"))


def lose_a_node(cluster, doomed, out, dice, batch) -> bool:
    """False when the sweep came to its end before."""
    before = len(starts(out))
    with started(out, 2, batch, cluster.address) as launcher:
        wait_for(lambda: launcher.poll() is not None or len(starts(out)) > before)
        time.sleep(dice.uniform(0.0, 1.0))
        is_at_work = launcher.poll() is None
        cluster.remove_node(doomed, allow_graceful=False)
        time.sleep(dice.choice((0.0, 3.0)))
        launcher.kill()
    return is_at_work


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2])
def test_killed_at_random_nothing_is_lost(cluster, node, tmp_path, expected, batch):
    """Launchers, commands and nodes; the next sweep begins when one has come to its end."""
    dice, done, sweeps = random.Random(batch), 0, [tmp_path / "0"]
    while done < 25:
        doomed, out = node(), sweeps[-1]
        if dice.random() < 0.5:
            is_killed = start_and_kill(out, dice, 2, batch, cluster.address)
        else:
            is_killed = lose_a_node(cluster, doomed, out, dice, batch)
        done += is_killed
        if doomed in cluster.list_all_nodes():
            cluster.remove_node(doomed, allow_graceful=False)
        if not is_killed and undisturbed(Store(out).rows()) == expected:
            sweeps.append(tmp_path / str(len(sweeps)))
    assert finished(sweeps[-1], 2, batch, cluster.address)
    for out in sweeps:
        assert undisturbed(Store(out).rows()) == expected
        assert not list(out.glob("work/*/clash"))
    begun = [int(step) for out in sweeps for step in starts(out)]
    print(f"{done} kills in {len(sweeps)} sweeps: {len(begun)} starts, {sum(map(bool, begun))} on")


@pytest.mark.slow
def test_a_killed_launcher_takes_its_commands_along(cluster, tmp_path, expected):
    with started(tmp_path, 1, 2, cluster.address) as launcher:
        wait_for(lambda: list(tmp_path.glob("work/*/checkpoint")))
        launcher.kill()
    wait_for(lambda: not active(tmp_path))
    # The same sweep goes on on this machine.
    assert finished(tmp_path, 2)
    assert undisturbed(Store(tmp_path).rows()) == expected


def test_jobs_share_an_accelerator(cluster, node, tmp_path):
    node(num_gpus=1, num_cpus=4)
    engine = Ray(cluster.address, gpus_per_job=0.5)
    assert engine.slots == 2
    command = """
import json, os, sys
names = ("CUDA_VISIBLE_DEVICES", "XLA_CLIENT_MEM_FRACTION", "GIVEN")
row = {name: os.environ.get(name) for name in names}
open(sys.argv[1] + "/row.json", "w").write(json.dumps(row))
"""
    launch = lambda specs: [sys.executable, "-IS", "-c", command, specs[0].run_dir]  # noqa: E731
    sweep(tmp_path, launch, engine=engine, environment={"GIVEN": "yes"})
    for row in Store(tmp_path).rows():
        assert row["CUDA_VISIBLE_DEVICES"] == "0" and row["GIVEN"] == "yes"
        assert row["XLA_CLIENT_MEM_FRACTION"] == "0.375"


@pytest.mark.slow
def test_an_interrupt_ends_the_commands(cluster, tmp_path):
    launcher = started(tmp_path, 1, 1, cluster.address)
    wait_for(lambda: list(tmp_path.glob("work/*/checkpoint")))
    launcher.send_signal(signal.SIGINT)
    assert "--resume goes on" in launcher.communicate(timeout=90)[1]
    assert not active(tmp_path)


def test_failures_and_refusals(cluster, tmp_path):
    for gpus, message in ((0.5, "no accelerators"), (2.0, "allowed are shares")):
        with pytest.raises(BadInput, match=message):
            Ray(cluster.address, gpus_per_job=gpus)
    command = [sys.executable, "-IS", "-c", "import sys; sys.exit('no data here')"]
    study = wide_study(seeds=1)
    outcome = sweep(tmp_path, lambda specs: command, study=study, engine=Ray(cluster.address))
    assert list(outcome.failed.values()) == ["no data here"] and len(outcome.blocked) == 2
    ray.shutdown()


STUDY = """
from corpus import EXPERIMENT

from aqtaudio.recipe import FLOAT
from aqtaudio.study.space import Study, finetuned

PARENT = {"name": "float", "recipe": FLOAT}
CHILDREN = [{"name": "w8a8", "optimizer.steps": 0, "finetune.steps": n} for n in (0, 10)]
STUDY = Study("tiny", EXPERIMENT, [PARENT, *finetuned([PARENT], CHILDREN)])
"""


@pytest.mark.slow
def test_a_study_of_trainings_on_the_cluster(cluster, node, tone_corpus, tmp_path, monkeypatch):
    """The command, and paths as they are seen from the folder in which it is given."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.py").write_text(STUDY)
    arguments = ["sweep", "tiny.py", "--data", str(tone_corpus), "--engine", "ray"]
    assert main([*arguments, "--address", cluster.address]) == 0
    assert len(Store(Path("results/tiny")).rows()) == 3
    assert main([*arguments, "--address", cluster.address, "--resume"]) == 0
    ray.shutdown()


def test_an_address_is_of_a_cluster(refused, tmp_path):
    file = tmp_path / "tiny.py"
    file.write_text(STUDY)
    assert "--engine ray" in refused("sweep", file, "--data", tmp_path, "--address", "x")
