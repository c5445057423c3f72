"""One child process of interpreters for test after test, where it is not what is tested.

A pytest plugin, named in conftest.py. To start a child of `program.child` takes longer than to run
a small file, and most tests start several. In the usual run and with `-m slow` a child that is
closed is therefore given to who asks next, unless anything went wrong in it. Modules that are about
the child itself say `pytestmark = pytest.mark.own_children`; in any other run each has its own, as
users do.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from optimization import OURS

from aqtaudio.program.child import DEFAULT_TIMEOUT_S, Child

_start, _ask, _close = Child.__init__, Child.ask, Child.close
_idle: list[dict[str, Any]] = []
"""What objects that were closed held: their processes."""
_owner = os.getpid()
_shares = False


def pytest_configure(config: pytest.Config) -> None:
    line = "own_children: interpreters are in processes of their own (tests/children.py)"
    config.addinivalue_line("markers", line)
    if config.option.markexpr in OURS:
        for name, method in (("__init__", _taken), ("ask", _asked), ("close", _given_back)):
            setattr(Child, name, method)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global _shares
    _shares = item.get_closest_marker("own_children") is None
    return (yield)


def pytest_sessionfinish() -> None:
    while _idle and os.getpid() == _owner:
        child = Child.__new__(Child)
        child.__dict__ |= _idle.pop()
        _close(child)


def _taken(self: Child, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
    if not (_shares and _idle and os.getpid() == _owner):
        _start(self, timeout_s)
        return
    self.__dict__ |= _idle.pop() | {"_timeout_s": timeout_s}
    if self._process.poll() is not None:
        _close(self)
        _taken(self, timeout_s)


def _asked(self: Child, request: dict[str, Any], payload: bytes = b"") -> tuple[Any, bytes]:
    try:
        return _ask(self, request, payload)
    except BaseException:
        self.__dict__["failed"] = True
        raise


def _given_back(self: Child) -> None:
    held = self.__dict__.copy()
    if "failed" in held or not _shares or os.getpid() != _owner:
        _close(self)
    elif held:  # closed for the first time
        self.__dict__.clear()
        _idle.append(held)
