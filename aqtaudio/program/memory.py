"""Memory that a process frees stays with it, for what it needs next.

XLA on a CPU asks for a step's temporaries anew at every step. glibc maps large blocks one by one
and gives them back when they are freed, so each step waits for the kernel to clear thousands of
pages: a fifth to a third of the time of an exact step (`results/benchmarks/README.md`). Imports
nothing that takes time.
"""

import ctypes
import os

OF_USERS = ("GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_")
"""Variables by which a user says how memory is kept."""
# Parameters of mallopt (malloc.h of glibc), and what they are set to.
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
KEPT = {
    MMAP_MAX: 0,  # no block has a mapping of its own
    TRIM_THRESHOLD: 2**31 - 1,  # what is free at the end stays, up to 2 GiB
    ARENA_MAX: 1,  # one heap for all threads: others are too small for large blocks
}


def keep_freed() -> bool:
    """Tells glibc so, before threads have heaps of their own; whether it was told.

    Elsewhere, and where the user has said how memory is kept, nothing is done.
    """
    if any(name in os.environ for name in OF_USERS):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return False
    return all([mallopt(parameter, value) for parameter, value in KEPT.items()])
