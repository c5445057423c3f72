"""One training at a time in a folder; a finished run says that it is finished."""

import fcntl
import shutil
import subprocess
import sys

import pytest
from corpus import EXPERIMENT

from aqtaudio.errors import BadInput
from aqtaudio.experiment import save_json
from aqtaudio.runs import lock
from aqtaudio.runs.train import train

pytestmark = pytest.mark.optimized(False)
HOLDS = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(1, flush=True); "


@pytest.fixture
def begun(tiny_run, tmp_path):
    """A run that is not finished."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "row.json").unlink()
    return run


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != lock.NAME)
    return {path: path.read_bytes() for path in files}


def test_a_second_training_is_refused_at_once(begun, tone_corpus):
    before = contents(begun)
    code = HOLDS + "sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, begun / lock.NAME],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdin is not None and other.stdout is not None
    other.stdout.readline()
    try:
        with pytest.raises(BadInput, match="is being trained by another command"):
            train(EXPERIMENT, [tone_corpus], begun, say=lambda text: None)
    finally:
        other.stdin.close()
        other.wait()
        other.stdout.close()
    assert contents(begun) == before
    with lock.held(begun):
        pass  # nobody has it any more


def test_a_lock_is_given_back_and_is_that_of_sweeps(tmp_path):
    with lock.held(tmp_path), open(tmp_path / "lock", "w") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(BadInput, match="another command"), lock.held(tmp_path):
            pass
    with lock.held(tmp_path):
        pass


def test_a_finished_run_says_so_and_stays_as_it_is(tiny_run, tone_corpus, tmp_path, cli):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    save_json(EXPERIMENT, tmp_path / "config.json")
    before, told = contents(run), []
    assert train(EXPERIMENT, [tone_corpus], run, told.append).path == run
    assert told == [f"{run} is trained already, on these recordings"]
    assert contents(run) == before
    how = ("train", tmp_path / "config.json", "--data", tone_corpus, "--out", run)
    status, out, err = cli(*how)
    assert status == 0 and err == told[0] + "\n" and "0 of" in out


def test_a_mistake_is_said_before_recordings_are_read(tone_corpus, tmp_path, refused, monkeypatch):
    def read(*_):
        raise AssertionError("no recording is to be read")

    monkeypatch.setattr("aqtaudio.data.audio.load_int16", read)
    save_json(EXPERIMENT, tmp_path / "config.json")
    how = ("train", tmp_path / "config.json", "--out", tmp_path / "run", "--data")
    assert "no data folder" in refused(*how, tmp_path / "nowhere")
    message = refused(*how, tone_corpus, "--task.keywords", "low,hihg")
    assert "'hihg' has no clips" in message and "one of high, low" in message
    assert not (tmp_path / "run").exists()
