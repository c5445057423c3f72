"""Compiled programs, kept between calls beside all else that can be made again.

JAX keeps them by the program, its options, the compiler and the devices: what changes is compiled
again. Imports nothing that takes time.
"""

import functools
import hashlib
import os
import platform
import shutil
import warnings
from pathlib import Path

from aqtaudio.data.cache_folder import default_folder

NAME = "compilations"
JAX_FOLDER = "JAX_COMPILATION_CACHE_DIR"
KEEP_ALL = {  # small programs too
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
LIMIT_BYTES = 1 << 30
LEAST_FREE_BYTES = 1 << 30
"""Of the disk: with less nothing more is kept, as JAX leaves torn what it cannot write."""


def keep() -> None:
    """Tells JAX, which is not imported yet, where compiled programs are kept.

    Where the user told JAX a folder, that one is taken. Where the folder cannot be written, or the
    disk is nearly full, each call compiles for itself, without a word.
    """
    # With every program that it reads XLA says that it has tuning flags that are no features.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # What another process takes away or has half written is compiled again.
    for done in ("reading", "writing"):
        warnings.filterwarnings("ignore", f"Error {done} persistent compilation cache entry")
    if JAX_FOLDER in os.environ:
        return
    folder = default_folder() / NAME / _processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        prune(folder.parent, LIMIT_BYTES)
        is_kept = os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > LEAST_FREE_BYTES
    except OSError:
        return
    if is_kept:
        os.environ.update({JAX_FOLDER: str(folder.absolute()), **KEEP_ALL})


def prune(folder: Path, limit_bytes: int) -> None:
    """Takes away what was not read for longest until a folder holds at most `limit_bytes`."""
    files = [
        (max(found.st_atime_ns, found.st_mtime_ns), found.st_size, path)
        for path in folder.rglob("*")
        if path.is_file() and (found := path.stat())
    ]
    size = sum(size for _, size, _ in files)
    for _, one, path in sorted(files):
        if size <= limit_bytes:
            break
        path.unlink(missing_ok=True)  # another process may prune, too
        size -= one


@functools.cache
def _processor() -> str:
    """A name for what this machine's processor can do: code for one may be illegal on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    features = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return hashlib.sha256(f"{platform.machine()} {features}".encode()).hexdigest()[:12]
