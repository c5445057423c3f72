"""Sizes and counts as people write them: 64KB, 3M."""

import math
import re

BINARY = {"": 0, "b": 0}
for _power, _letter in enumerate("kmg", 1):
    BINARY |= dict.fromkeys((_letter, f"{_letter}b", f"{_letter}ib"), _power)
DECIMAL = {"": 0, "k": 1, "m": 2, "g": 3}


def size_bytes(text: str) -> int:
    """Bytes of "65536", "64KB", "64k" or "0.5 MiB": K is 1024, as memories of devices are sold.

    Raises ValueError for what is no positive size.
    """
    return _parsed(text, BINARY, 1024, "a size such as 65536, 64KB or 1.5MB (KB: 1024 bytes)")


def count(text: str) -> int:
    """The number that "3000000", "3M" or "2.5k" says: k is 1000.

    Raises ValueError for what is no positive number.
    """
    return _parsed(text, DECIMAL, 1000, "a count such as 3000000, 3M or 500k (k: 1000)")


def _parsed(text: str, units: dict[str, int], base: int, allowed: str) -> int:
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:e\d+)?)\s*([a-z]*)\s*", text.lower())
    if found is None or found[2] not in units:
        raise ValueError(f"{text!r} is not {allowed}")
    value = float(found[1]) * base ** units[found[2]]
    if not 0.5 < value < math.inf:
        raise ValueError(f"{text!r} is not {allowed}: it must be above 0, and finite")
    return round(value)
