"""The one way this project compiles."""

from collections.abc import Callable

import jax

# What XLA's CPU compiler must leave out (jaxlib 0.10.0 to 0.12.0.1; the option exists on CPU only).
# Removing optimization barriers before it fuses repeats the integer rescale in every consumer:
# three times the step time. Compiling a small loop as one function takes an older emitter, which
# refuses int8 dots.
LEFT_OUT = {"xla_disable_hlo_passes": "cse_barrier_expander,small-while-loop-hoisting"}


def compiled(function: Callable, **options) -> Callable:
    """jax.jit with the project's compiler options."""
    left_out = LEFT_OUT if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=left_out, **options)


def prefers_integer_dots() -> bool:
    """Whether training takes int8 dots rather than exact float32 carriers on the default device.

    On a CPU carriers win for convolutional models and lose a little for others
    (`results/benchmarks/step_time.txt`); accelerators have units for int8. Both give the same
    integers.
    """
    return jax.default_backend() != "cpu"
