"""How much XLA optimizes what is compiled: less where it is not compiled code that is tested.

A pytest plugin, named in conftest.py. Most of the time of a test that trains goes into XLA: into
LLVM, and into the emitter of fused operations, which sets up MLIR anew for each of them; without
both a program compiles in a sixth of the time. Modules that are about commands, files, checkpoints
and settings say `pytestmark = pytest.mark.optimized(False)`; a test in them that compares integers
says `@pytest.mark.optimized(True)`. Modules that hold two of our own readings against each other
say `pytest.mark.optimized("slow")`: of them all that is slow is optimized. The laws of integers are
compiled as users compile, but for operations that a test calls one by one: users have none, and
there are thousands of them. With any other choice of tests than `-m "not slow"` and `-m slow`,
everything is.
"""

import os
from pathlib import Path

import jax
import pytest
from jax._src import compiler
from jax._src.interpreters import pxla

USUAL, SLOW = "not slow", "slow"
LESS_IN = {USUAL: (False, SLOW), SLOW: (False,)}
"""Marks that say less, by the choice of tests (-m)."""
OURS = tuple(LESS_IN)
SETTING = "jax_disable_most_optimizations"
# XLA reads its variable once per process. Ours starts with the short way, and says of each program
# that is to be as users have it what they have; child processes read it themselves.
LESS: dict[str, bool | int] = {"xla_cpu_parallel_codegen_split_count": 1}
USERS: dict[str, bool | int] = {"xla_cpu_parallel_codegen_split_count": 32}
if jax.__version_info__ < (0, 12):  # jaxlib 0.12 has no other emitter, and ends at the flag's name
    LESS["xla_cpu_use_fusion_emitters"] = False
    USERS["xla_cpu_use_fusion_emitters"] = True
LEAST = LESS | {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
FEW = 4
"""Operations of a program, the return among them, that is an operation called by itself."""
USERS_FLAGS = os.environ.get("XLA_FLAGS", "")
LESS_FLAGS = " ".join([USERS_FLAGS, *(f"--{name}={value}".lower() for name, value in LESS.items())])
_less = _few = False


def pytest_configure(config: pytest.Config) -> None:
    line = "optimized(when): whether XLA optimizes what the test compiles (tests/optimization.py)"
    config.addinivalue_line("markers", line)
    if config.option.markexpr in OURS:
        os.environ["XLA_FLAGS"] = LESS_FLAGS
        jax.devices()  # reads it
        os.environ["XLA_FLAGS"] = USERS_FLAGS
        compiler.get_compile_options = _as_users_have_it
        pxla.create_compile_options = _seen


_get_compile_options = compiler.get_compile_options
_create_compile_options = pxla.create_compile_options


def _seen(computation, *arguments, **settings):
    """jax's options of a program, after a look at how long it is."""
    global _few
    functions = list(computation.body.operations)
    blocks = [block for op in functions for region in op.regions for block in region]
    _few = len(functions) == 1 and sum(len(list(block.operations)) for block in blocks) <= FEW
    return _create_compile_options(computation, *arguments, **settings)


def _as_users_have_it(*arguments, env_options_overrides=None, **settings):
    """jax's options of one compilation, with what users have unless SETTING is on."""
    own = {} if jax.config.read(SETTING) else LEAST if _few else USERS
    options = own | (env_options_overrides or {})
    return _get_compile_options(*arguments, env_options_overrides=options, **settings)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Modules of one kind after those of the other, and so the tests in them: each change forgets
    what was traced.
    """
    if config.option.markexpr in OURS:
        items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[bool, Path, bool]:
    return _is_less(item.getparent(pytest.Module)), item.path, not _is_less(item)


def _is_less(node: pytest.Item | pytest.Module | None) -> bool:
    mark = node and node.get_closest_marker("optimized")
    return bool(mark) and mark.args[0] in LESS_IN.get(node.config.option.markexpr, ())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before the test's fixtures are made; its child processes inherit the variables."""
    global _less
    less = _is_less(item)
    if less == _less:
        return
    _less = less
    jax.config.update(SETTING, less)
    os.environ[SETTING.upper()] = str(less)
    os.environ["XLA_FLAGS"] = LESS_FLAGS if less else USERS_FLAGS
    jax.clear_caches()  # they do not know the setting
