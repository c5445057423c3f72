"""A study of real trainings, killed again and again, has the rows of an undisturbed one."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crashes import active, kill

from aqtaudio.study.store import Store

pytestmark = pytest.mark.optimized(False)

FOLDERS = Path(__file__).parents[1:3]  # of the tests, for the experiment; of the package
KILLS = 50
STUDY = """
from corpus import EXPERIMENT

from aqtaudio.recipe import FLOAT, W4A8, W8A8
from aqtaudio.study.space import Study, finetuned, param, product

PARENTS = product([{"name": "float", "recipe": FLOAT}], param("seed", 0))
CHILDREN = [
    {"name": name, "recipe": recipe, "optimizer.steps": 0}
    for name, recipe in (("w8a8", W8A8), ("w4a8", W4A8))
]
STUDY = Study("killed", EXPERIMENT, [*PARENTS, *finetuned(PARENTS, CHILDREN)])
"""


def launcher(file: Path, data: Path, out: Path, batch: int) -> subprocess.Popen:
    workers = "2" if batch == 1 else "1"
    arguments = ["sweep", file, "--data", data, "--out", out, "--workers", workers]
    arguments += ["--batch", batch, "--resume"]
    return subprocess.Popen(
        [sys.executable, "-m", "aqtaudio", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, FOLDERS))},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def rows(out: Path, batch: int) -> dict[str, dict]:
    """Without what tells of the machine's time; of runs side by side, what no rounding changes."""
    passing = ["seconds", "commit", "dirty", "trained_together"]
    passing += ["metrics"] if batch > 1 else []
    found = Store(out).rows()
    return {row["run_id"]: {k: v for k, v in row.items() if k not in passing} for row in found}


def kill_once(process: subprocess.Popen, out: Path, dice: random.Random) -> str:
    """After some time a command, the launcher, or both."""
    time.sleep(dice.uniform(3.0, 40.0))
    if process.poll() is not None:
        return "nothing"
    at_work, fate = active(out), dice.random()
    if at_work and fate < 0.6:
        kill(dice.choice(at_work))
        if fate < 0.3:
            return "command"
    process.kill()
    process.wait()
    return "both" if fate < 0.6 else "launcher"


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2])
def test_killed_many_times(batch, tone_corpus, tmp_path):
    file, dice = tmp_path / "killed.py", random.Random(6)
    file.write_text(STUDY)
    undisturbed = tmp_path / "undisturbed"
    assert launcher(file, tone_corpus, undisturbed, batch).wait(1800) == 0
    killed, process, studies, begun = [], None, 0, time.monotonic()
    while len(killed) < KILLS:
        out = tmp_path / f"disturbed{studies}"
        if process is None or process.poll() is not None:
            process = launcher(file, tone_corpus, out, batch)
        fate = kill_once(process, out, dice)
        killed += [fate] * (fate != "nothing")
        if fate == "nothing" and process.returncode == 0:
            assert rows(out, batch) == rows(undisturbed, batch)
            studies += 1
    process.kill()
    process.wait()
    out = tmp_path / f"disturbed{studies}"
    assert launcher(file, tone_corpus, out, batch).wait(1800) == 0
    assert rows(out, batch) == rows(undisturbed, batch) and len(Store(out).rows()) == 3
    counts = {fate: killed.count(fate) for fate in sorted(set(killed))}
    print(f"{counts}, {studies + 1} studies, {time.monotonic() - begun:.0f} s")
