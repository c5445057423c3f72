"""Which members of a parametrized test run every time: a spread of them, the others are slow.

A pytest plugin, named in conftest.py. `@pytest.mark.sampled(n)` keeps those whose places in their
parametrizations sum to a multiple of n: with two parametrizations a Latin square, in which every
value of either has a member, with one each n-th value. What must run whatever n, or is slow
whatever n, has a mark of its own where its parameters are written.
"""

from collections.abc import Iterable

import pytest


def pytest_configure(config: pytest.Config) -> None:
    line = "sampled(n): one n-th of its members runs every time (tests/sampled.py)"
    config.addinivalue_line("markers", line)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Before those that -m leaves out are left out."""
    for item in items:
        mark = item.get_closest_marker("sampled")
        if mark is not None and sum(places(item)) % mark.args[0]:
            item.add_marker("slow")


def places(item: pytest.Item) -> list[int]:
    """Where the values of a member are in each of its parametrizations.

    pytest numbers members: the parametrization next to the function changes slowest.
    """
    number = next(iter(item.callspec.indices.values()))  # pyright: ignore
    found = []
    for mark in reversed(list(item.iter_markers("parametrize"))):
        number, place = divmod(number, len(mark.args[1]))
        found.append(place)
    return found
