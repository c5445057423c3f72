"""How far a walk through many recordings is, told now and then."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

SAY_EVERY_S = 5.0
Say = Callable[[str], None]
Each = TypeVar("Each")


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
