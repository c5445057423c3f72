"""Law: what a process frees and takes again costs it no new pages; users' own settings stay."""

import platform
import subprocess
import sys

import pytest

from aqtaudio.program import memory

BLOCK_BYTES, PAGE_BYTES = 1 << 26, 1 << 12
TAKEN_AGAIN = f"""
import resource, threading
import numpy as np
from aqtaudio.program import memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def taken_again():
    for _ in range(3):
        before = faults()
        np.ones({BLOCK_BYTES}, np.int8)
        found.append(faults() - before)

found = []
told = memory.keep_freed()
taken_again()
thread = threading.Thread(target=taken_again)
thread.start()
thread.join()
print(told, *found)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for glibc")
def test_freed_memory_is_taken_again(monkeypatch):
    for name in memory.OF_USERS:
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run([sys.executable, "-c", TAKEN_AGAIN], capture_output=True, text=True)
    told, *found = done.stdout.split()
    assert told == "True", done.stderr
    # The first block is new; later ones, in other threads too, have its pages.
    assert all(int(pages) < BLOCK_BYTES / PAGE_BYTES / 100 for pages in found[1:]), found


@pytest.mark.parametrize("name", memory.OF_USERS)
def test_what_users_set_stays(name, monkeypatch):
    monkeypatch.setenv(name, "0")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("it was told nevertheless"))
    assert not memory.keep_freed()
