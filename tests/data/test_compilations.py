"""Compiled programs that are kept between calls."""

import collections
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aqtaudio.data import cache_folder, compilations

COMPILE = """
import sys
from aqtaudio.data import compilations
compilations.keep()
import jax, jax.numpy as jnp
print(float(jax.jit(lambda x: jnp.sin(x) @ jnp.cos(x))(jnp.eye(8)).sum()))
"""


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Path:
    """The folder of all that is kept, where the user told JAX nothing."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for name in (compilations.JAX_FOLDER, *compilations.KEEP_ALL):
        os.environ.pop(name, None)
    os.environ[cache_folder.VARIABLE] = str(tmp_path / "cache")
    return tmp_path / "cache"


def told() -> str | None:
    """Where `keep` tells JAX to keep programs."""
    compilations.keep()
    return os.environ.get(compilations.JAX_FOLDER)


def test_they_are_kept_beside_all_else_per_kind_of_processor(kept, monkeypatch):
    folder = Path(told() or "")
    assert folder.parent == kept / "compilations" and folder.is_dir()
    assert {name: os.environ[name] for name in compilations.KEEP_ALL} == compilations.KEEP_ALL
    del os.environ[compilations.JAX_FOLDER]
    monkeypatch.setattr(compilations, "_processor", lambda: "another")
    assert told() == str(kept / "compilations/another")


def test_a_folder_of_the_users_stays(kept):
    os.environ[compilations.JAX_FOLDER] = "mine"
    assert told() == "mine" and not kept.exists() and not compilations.KEEP_ALL & os.environ.keys()


def test_without_a_folder_to_write_to_nothing_is_kept(kept, monkeypatch):
    kept.write_text("a file")
    assert told() is None
    kept.unlink()
    usage = collections.namedtuple("usage", "total used free")
    full = usage(1 << 40, 1 << 40, compilations.LEAST_FREE_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    assert told() is None


def test_what_was_not_read_for_longest_goes_first(tmp_path):
    """Where no reading is noted, writing counts."""
    times = {"a": (1000, 999), "b": (1050, 998), "c": (1001, 997), "d": (10, 1020)}
    for name, (read_s, written_s) in times.items():
        path = tmp_path / name / "program"
        path.parent.mkdir()
        path.write_bytes(bytes(100))
        os.utime(path, (read_s, written_s))

    def left(limit_bytes: int) -> str:
        compilations.prune(tmp_path, limit_bytes)
        return "".join(sorted(path.parent.name for path in tmp_path.glob("*/program")))

    assert [left(size) for size in (400, 399, 250, 100, 0)] == ["abcd", "bcd", "bd", "b", ""]


@pytest.mark.slow
def test_processes_share_them_and_compile_again_what_is_torn(kept):
    """JAX writes entries in place: a kill may leave any part of one, and the next call meets it."""

    def start() -> subprocess.Popen:
        command = [sys.executable, "-c", COMPILE]
        return subprocess.Popen(
            command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def end(process: subprocess.Popen) -> tuple[str, str]:
        out, error = process.communicate()
        assert process.returncode == 0, error
        return out, error

    together = [start(), start()]
    whole = end(together[0])
    assert end(together[1]) == whole and whole[1] == ""
    entries = list(kept.glob("compilations/*/*-cache"))
    assert entries
    for share in (1.0, 0.99, 0.5, 0.0):
        for path in entries:
            content = path.read_bytes()
            path.write_bytes(content[: int(share * len(content))])
        assert end(start()) == whole
