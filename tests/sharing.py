"""What the processes of one test run share: compiled programs, and folders that one of them makes.

A pytest plugin, named in conftest.py before those that load JAX.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

COMPILED, CACHE = "JAX_COMPILATION_CACHE_DIR", "AQTAUDIO_CACHE"

# The first process makes the folders, and takes them away when it ends; those that it starts
# inherit the variables. Nothing outlives the run, so a test never meets a program that an older run
# left, nor one that it left half-written, nor writes where people keep theirs; who wants that
# sets the variable.
_kept = []
for _variable in (COMPILED, CACHE):
    if _variable not in os.environ:
        _kept.append(tempfile.TemporaryDirectory(prefix="kept-", ignore_cleanup_errors=True))
        os.environ[_variable] = _kept[-1].name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
# Where in the source an operation of a program is from: it is looked up for each, and never read.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# There are as many test processes as cores: the threads of one's BLAS would wait for the other's.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# XLA is loud about the machine when it loads a compiled program; tests read standard error.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """The folder of a name, written by the first process that asks for it; others wait for it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, write: Callable[[Path], object]) -> Path:
        folder, finished = shared / "once" / name, shared / "once" / f"{name}.finished"
        folder.parent.mkdir(exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of one that failed
                write(folder)
                finished.touch()
        return folder

    return made
