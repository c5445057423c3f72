"""How much XLA optimizes what is compiled: less where it is not compiled code that is tested.

A pytest plugin, named in conftest.py. Most of the time of a training of a minute's test goes into
LLVM. Modules that are about commands, files, checkpoints and settings say
`pytestmark = pytest.mark.optimized(False)`; a test in them that compares integers says
`@pytest.mark.optimized(True)`. The laws of integers are compiled as users compile. With any other
choice of tests than the usual one (`-m slow`, `-m ""`), everything is.
"""

import os

import jax
import pytest

USUAL = "not slow"
SETTING = "jax_disable_most_optimizations"
_less = False


def pytest_configure(config: pytest.Config) -> None:
    line = "optimized(yes): whether XLA optimizes what the test compiles (tests/optimization.py)"
    config.addinivalue_line("markers", line)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before the test's fixtures are made; its child processes inherit the variable."""
    global _less
    mark = item.get_closest_marker("optimized")
    less = item.config.option.markexpr == USUAL and mark is not None and mark.args == (False,)
    if less == _less:
        return
    _less = less
    jax.config.update(SETTING, less)
    os.environ[SETTING.upper()] = str(less)
    jax.clear_caches()  # they do not know the setting
