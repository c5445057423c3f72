"""A run that was killed and started again has the numbers of one that was not."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from corpus import EXPERIMENT, LOW_RANK, RATE_HZ

from aqtaudio.compression import low_rank
from aqtaudio.errors import BadInput
from aqtaudio.experiment import save_json
from aqtaudio.runs.run import Run
from aqtaudio.runs.train import train as train_run
from aqtaudio.settings import overlay
from aqtaudio.tasks.keywords.data import KeywordData
from aqtaudio.training import course
from aqtaudio.training.loop import Trainer
from aqtaudio.training.phases import phase_directory

pytestmark = pytest.mark.optimized(False)

INTERVALS = {"evaluate_every": 20, "checkpoint_every": 13}
W8A8 = overlay(EXPERIMENT, INTERVALS)
FLOATING = overlay(W8A8, {"recipe.mode": "float"})
THIN = overlay(LOW_RANK, INTERVALS)
# Draws for gradients, and ranges that move.
DRAWN = overlay(
    W8A8,
    {
        "recipe.learn_ranges": "true",
        "recipe.gradient_bits": "8",
        "recipe.stochastic_rounding": "true",
        "finetune.steps": 20,
    },
)


class Killed(Exception):
    pass


class Mortal:
    """Data that ends the run at the given calls for a batch, counted over all its lives."""

    def __init__(self, data: KeywordData, deaths: tuple[int, ...] = ()):
        self._data, self._deaths = data, deaths
        self.calls = 0

    def __getattr__(self, name):
        return getattr(self._data, name)

    def training_batch(self, *arguments):
        self.calls += 1
        if self.calls in self._deaths:
            raise Killed
        return self._data.training_batch(*arguments)


@pytest.fixture(scope="module")
def data(tone_corpus) -> KeywordData:
    return KeywordData.load([tone_corpus], ("low", "high"), RATE_HZ, RATE_HZ // 2)


def train(experiment, data, folder: Path):
    """Trains in `folder`; lines of metrics average over steps on both sides of a checkpoint."""
    folder.mkdir(exist_ok=True)
    save_json(experiment, folder / "config.json")
    evaluation = data.evaluation_arrays(data.evaluation_list("val"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "LOG_EVERY", 3)
        return Trainer(experiment, data, folder, evaluation).train()


def lines(folder: Path) -> list[dict]:
    """The metrics without their times."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def assert_same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.fixture(scope="module")
def w8a8(data, tmp_path_factory):
    """(experiment, folder, variables) of a run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "w8a8"
    return W8A8, folder, train(W8A8, data, folder)


@pytest.fixture(scope="module")
def thin(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "thin"
    return THIN, folder, train(THIN, data, folder)


@pytest.fixture(scope="module")
def drawn(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "drawn"
    return DRAWN, folder, train(DRAWN, data, folder)


@pytest.fixture(
    params=["w8a8", *(pytest.param(name, marks=pytest.mark.slow) for name in ("thin", "drawn"))]
)
def whole(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def expected(w8a8):
    """(lines, variables) of the float phase, which is all that FLOATING trains."""
    _, folder, variables = w8a8
    return [row for row in lines(folder) if row["phase"] == "float"], (variables[0], None)


def test_killed_again_and_again(whole, data, tmp_path):
    experiment, folder, variables = whole
    if experiment is THIN:
        assert low_rank.ranks(variables[1]["params"])["pointwise_1"] < 4
    # Long after a checkpoint; the quantized phase.
    deaths: tuple[int, ...] = (39, 80)
    if experiment is not W8A8:
        # Also the first step, and soon after a checkpoint.
        deaths = (1, 39, 44, 76, 103 if experiment is DRAWN else 90)
    mortal = Mortal(data, deaths)
    for _life in deaths:
        with pytest.raises(Killed):
            train(experiment, mortal, tmp_path / "run")
    assert_same(train(experiment, mortal, tmp_path / "run"), variables)
    assert lines(tmp_path / "run") == lines(folder)


@pytest.mark.slow
def test_optional_settings_are_used(w8a8, drawn):
    """Ranges that are learned differ from the calibrated ones; what counts batches does not."""
    before, after = w8a8[2][1]["ranges"], drawn[2][1]["ranges"]
    assert jax.tree.structure(before) == jax.tree.structure(after)
    for layer, parts in after.items():
        for part, edge in parts.items():
            known = before[layer][part]
            assert edge["scale"] > 0 and edge["scale"].dtype == known["scale"].dtype
            assert edge["scale"] != known["scale"] and edge["batches"] == known["batches"]


@pytest.mark.slow
def test_intervals_change_no_numbers(whole, data, tmp_path):
    """And the same seed gives the same numbers."""
    experiment, folder, variables = whole
    rare = overlay(experiment, {"evaluate_every": 1000, "checkpoint_every": 1000})
    assert_same(train(rare, data, tmp_path), variables)
    assert [row for row in lines(folder) if "loss" in row] == [
        row for row in lines(tmp_path) if "loss" in row
    ]


def test_another_seed_gives_other_numbers(data, expected, tmp_path):
    floating, _ = train(overlay(FLOATING, {"seed": 1}), data, tmp_path)
    for layer, ours in floating["params"].items():
        theirs = expected[1][0]["params"][layer]
        assert not np.array_equal(ours["bias"], theirs["bias"]), layer


@pytest.fixture(scope="module")
def killed(data, tmp_path_factory):
    """A run whose float phase has checkpoints of steps 13 and 26, and no end. Not written to."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    with pytest.raises(Killed):
        train(FLOATING, Mortal(data, deaths=(30,)), folder)
    assert checkpoint_steps(folder) == ["13", "26"]
    return folder


@pytest.fixture
def stopped(killed, tmp_path):
    return Path(shutil.copytree(killed, tmp_path / "run"))


def checkpoint_steps(run: Path) -> list[str]:
    return sorted(path.name for path in phase_directory(run, "float").iterdir())


def test_torn_line_of_metrics(stopped, data, expected):
    with (stopped / "metrics.jsonl").open("a") as file:
        file.write('{"phase": "float", "step": 30, "st')
    assert_same(train(FLOATING, data, stopped), expected[1])
    assert lines(stopped) == expected[0]


def test_last_line_without_its_end(stopped, data, expected):
    path = stopped / "metrics.jsonl"
    path.write_text(path.read_text().removesuffix("\n"))
    train(FLOATING, data, stopped)
    assert lines(stopped) == expected[0]


def test_checkpoint_that_was_never_committed(stopped, data, expected):
    """What a kill in the middle of saving step 26 leaves: a folder under a temporary name."""
    phase = phase_directory(stopped, "float")
    (phase / "26").rename(phase / "26.orbax-checkpoint-tmp")
    assert_same(train(FLOATING, data, stopped), expected[1])
    assert lines(stopped) == expected[0]


def test_old_checkpoint_that_was_partly_deleted(stopped, data, expected):
    """What a kill leaves while checkpoints beyond the newest two are removed."""
    for name in ("_CHECKPOINT_METADATA", "default/_METADATA"):
        (phase_directory(stopped, "float") / "13" / name).unlink()
    assert_same(train(FLOATING, data, stopped), expected[1])


DAMAGE = {
    "no arrays": lambda folder: shutil.rmtree(folder / "default" / "d"),
    "no manifest": lambda folder: (folder / "default" / "manifest.ocdbt").unlink(),
    "no structure": lambda folder: (folder / "default" / "_METADATA").unlink(),
    "nothing in it": lambda folder: [shutil.rmtree(folder), folder.mkdir()],
    "torn arrays": lambda folder: tear(folder / "default"),
    "metadata is no JSON": lambda folder: (folder / "_CHECKPOINT_METADATA").write_text("{"),
}


def tear(folder: Path) -> None:
    for path in folder.rglob("d/*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.sampled(3)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of orbax
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_newest_checkpoint(damage, stopped, data, expected):
    """Either the run goes on from an older one to the same numbers, or one line says what is up."""
    DAMAGE[damage](phase_directory(stopped, "float") / "26")
    before = (stopped / "metrics.jsonl").read_bytes()
    try:
        variables = train(FLOATING, data, stopped)
    except BadInput as error:
        assert "checkpoint" in str(error) and "\n" not in str(error)
        assert (stopped / "metrics.jsonl").read_bytes() == before
    else:
        assert_same(variables, expected[1])


@pytest.mark.slow
def test_kill_minus_nine(tiny_run, tone_corpus, tmp_path):
    """A process that is killed at any moment, and another one that ends what it began."""
    often = overlay(EXPERIMENT, {"checkpoint_every": 7})
    save_json(often, tmp_path / "config.json")
    run, log = tmp_path / "run", tmp_path / "log.txt"
    command = [sys.executable, "-m", "aqtaudio", "train", tmp_path / "config.json"]
    with log.open("wb") as file:
        process = subprocess.Popen([*command, "--data", tone_corpus, "--out", run], stderr=file)
    while process.poll() is None and not (run / "tensorboard").exists():
        time.sleep(0.01)
    delay_s = random.uniform(0, 5)
    time.sleep(delay_s)
    process.kill()
    assert process.wait() in (0, -signal.SIGKILL), log.read_text()
    train_run(often, [tone_corpus], run, say=lambda text: None)

    context = f"killed {delay_s:.3f} s after training began"
    assert lines(run) == lines(tiny_run), context
    for name in ("model.tflite", "program.npz", "program.json", "evaluation.tsv"):
        assert (run / name).read_bytes() == (tiny_run / name).read_bytes(), (name, context)
    ours, theirs = (json.loads((path / "row.json").read_text()) for path in (run, tiny_run))
    assert ours | {"seconds": 0} == theirs | {"seconds": 0}, context
    for phase in ("float", "quantized"):
        assert_same(Run(run).variables(phase), Run(tiny_run).variables(phase))
