"""What the compiler's options are for: XLA ignores the name of a pass that it does not know."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from aqtaudio.program.compiler import compiled

pytestmark = pytest.mark.skipif(
    jax.default_backend() != "cpu", reason="options of the CPU compiler"
)


def test_optimization_barriers_are_still_there_after_fusion():
    def function(x):
        return lax.optimization_barrier(3 * x + 1) * 2

    x = jnp.ones(8)
    assert "opt-barrier" in compiled(function).lower(x).compile().as_text()
    assert "opt-barrier" not in jax.jit(function).lower(x).compile().as_text(), "no longer needed"


def test_small_loops_may_have_barriers():
    def function(rows):
        return lax.scan(lambda total, row: (lax.optimization_barrier(total + row), row), 0.0, rows)

    total, _ = compiled(function)(jnp.arange(5.0))
    assert total == 10
