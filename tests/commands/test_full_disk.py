"""What commands do where no more can be written: one line that names the place, and nothing left.

A limit on the size of files stands for a full disk: the system refuses a write in the same way.
"""

import contextlib
import os
import re
import resource
import signal
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from aqtaudio.data import audio
from aqtaudio.errors import BadInput
from aqtaudio.files import new_folder, require_new, require_place, write, write_arrays
from aqtaudio.tasks import sound_source, sound_target
from aqtaudio.training.checkpoint import Checkpoints, exists
from aqtaudio.training.metrics_log import MetricsLog

pytestmark = pytest.mark.optimized(False)


@contextlib.contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("kind", ["text", "arrays"])
def test_a_file_is_named_and_what_was_there_stays(tmp_path, kind, old):
    path = tmp_path / "a.npz"
    if old:
        path.write_text(old)
    noise = np.random.default_rng(0).integers(0, 256, 40_000, np.uint8)
    with files_of_at_most(10_000), pytest.raises(OSError, match="a.npz"):
        write(path, noise.tobytes()) if kind == "text" else write_arrays(path, {"noise": noise})
    assert [file.name for file in tmp_path.iterdir()] == ([path.name] if old else [])
    assert not old or path.read_text() == old


def test_a_folder_is_named_and_gone(tmp_path):
    with files_of_at_most(10_000), pytest.raises(OSError, match="bundle"):
        with new_folder(tmp_path / "bundle") as folder:
            (folder / "model").write_bytes(bytes(40_000))
    assert list(tmp_path.iterdir()) == []


def test_a_sound_file_is_named_and_gone(tmp_path):
    heard, made = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(heard, np.zeros(40_000, np.float32), 16_000)
    with sound_source.opened(str(heard), None) as source:
        with files_of_at_most(10_000), pytest.raises(BadInput, match="out.wav .*; needed: enough"):
            with sound_target.opened(str(made), source, 16_000) as target:
                target.write(np.zeros((40_000, 1), np.float32))
    assert [file.name for file in tmp_path.iterdir()] == ["in.wav"]


def test_a_command_says_where(tiny_artifact, tmp_path, refused):
    with files_of_at_most(2_000):
        message = refused("export", tiny_artifact, "--out", tmp_path / "bundle")
    assert f"aqtaudio: {tmp_path / 'bundle'}/" in message and "/." not in message
    assert "too large" in message
    assert list(tmp_path.iterdir()) == []


def test_arrays_may_have_any_name(tmp_path):
    """NumPy's own writer has arguments of these names."""
    arrays = {name: np.arange(3) for name in ("file", "args", "allow_pickle", "a b/ü")}
    write_arrays(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz") as found:
        assert sorted(found) == sorted(arrays)
        assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize("place", ["no/such", "file"])
def test_a_place_where_no_file_can_be_is_named(tmp_path, place):
    (tmp_path / "file").touch()
    path = tmp_path / place / "a.npz"
    with pytest.raises(OSError, match=re.escape(str(path))) as caught:
        write_arrays(path, {"a": np.zeros(1)})
    assert ".new" not in str(caught.value)
    with pytest.raises(BadInput, match=f"{re.escape(str(path))} cannot be written"):
        require_place(path)
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(OSError, match="a.npz") as caught:
        write(tmp_path / "a.npz", "text")
    assert ".new" not in str(caught.value)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.npz", "file"]


@pytest.mark.parametrize("what", [["--say", "hey"], ["--words", "go", "--unknown-words", "stay"]])
def test_synthetic_speech_says_where(tmp_path, what, cli):
    pytest.importorskip("espeakng_loader")
    out = ["--out", tmp_path / "corpus", "--speakers", "3"]
    with files_of_at_most(4_000):
        status, printed, err = cli("data", "synth", *what, *out)
    message = err.splitlines()[-1]
    assert status == 2 and printed == "" and "Traceback" not in err
    assert str(tmp_path) in message and ".flac: cannot be written: " in message
    assert message.endswith("; needed: enough space")
    assert not list(tmp_path.rglob("*.flac")) and not list(tmp_path.rglob("MANIFEST.tsv"))


def test_a_folder_that_another_process_made_meanwhile_is_named(tmp_path):
    with pytest.raises(OSError, match="bundle") as caught:
        with new_folder(tmp_path / "bundle"):
            (tmp_path / "bundle/theirs").mkdir(parents=True)
    assert caught.value.filename == str(tmp_path / "bundle") and caught.value.filename2 is None
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.iterdir()] == ["bundle"]


def test_a_checkpoint_says_where_and_is_saved_later(tmp_path, capfd):
    state = {"a": np.random.default_rng(0).normal(size=4_000).astype(np.float32)}
    with files_of_at_most(1_000), Checkpoints(tmp_path / "float") as checkpoints:
        with pytest.raises(OSError, match="cannot be written: File too large; with") as caught:
            checkpoints.save(3, state)
    assert caught.value.filename == str(tmp_path / "float/3")
    assert not exists(tmp_path / "float") and capfd.readouterr().err == ""
    with Checkpoints(tmp_path / "float") as checkpoints:
        checkpoints.save(3, state)
        assert np.array_equal(checkpoints.restore(state)["a"], state["a"])


def test_figures_of_a_training_say_where(tmp_path):
    """However many they are: no thread of TensorBoard's waits for a place to put them."""
    with files_of_at_most(400), pytest.raises(OSError) as caught:
        with MetricsLog(tmp_path, "float", 0, 100) as log:
            (tmp_path / "metrics.jsonl").symlink_to("/dev/null")
            for step in range(100):
                log.write(step, loss=1.0)
    assert caught.value.filename == str(tmp_path / "tensorboard/float")


def test_where_nothing_may_be_written_is_said_first(tmp_path, monkeypatch):
    """Who runs tests may be one who may write everywhere."""
    shut, access = tmp_path / "shut", os.access
    shut.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path != shut and access(path, mode))
    for place in (shut / "bundle", shut / "a/b"):
        with pytest.raises(BadInput, match=f"{place} cannot be made: {shut} is no folder that"):
            require_new(place)
    with pytest.raises(BadInput, match="a.npz cannot be written: name a file in a folder that may"):
        require_place(shut / "a.npz")
    require_new(tmp_path / "a/b")
    require_place(tmp_path / "a.npz")


def test_a_sound_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    file = tmp_path / "a.wav"
    soundfile.write(file, np.zeros(100), 16_000)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(BadInput, match="a.wav cannot be read: Permission denied"):
        audio.load(file)
    with pytest.raises(BadInput, match="a.wav cannot be read: Permission denied"):
        with sound_source.opened(str(file), None):
            pass
