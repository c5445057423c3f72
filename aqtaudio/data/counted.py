"""A walk through many recordings: side by side, and told now and then how far it is."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

SAY_EVERY_S = 5.0
Say = Callable[[str], None]
Each = TypeVar("Each")
Found = TypeVar("Found")


def silent(text: str) -> None:
    """Tells nobody."""
    del text


def counted(found: Iterable[Each], count: int, say: Say) -> Iterator[Each]:
    """The same, and now and then a line of how many of `count` there were."""
    last = time.monotonic()
    for number, each in enumerate(found, start=1):
        if time.monotonic() - last >= SAY_EVERY_S:
            last = time.monotonic()
            say(f"{number:,} of {count:,} recordings")
        yield each


@contextlib.contextmanager
def side_by_side(
    look: Callable[[Each], Found], each: Sequence[Each], say: Say
) -> Iterator[Iterator[Found]]:
    """Yields what `look` finds of each, in their order, told of by `counted`.

    Where the block ends early (an error, Ctrl-C), nobody waits for those that were not begun.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        try:
            yield counted(threads.map(look, each), len(each), say)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
