"""The one way this project compiles."""

from collections.abc import Callable

import jax

# XLA's CPU compiler removes optimization barriers before it fuses (jaxlib 0.10.0), and then repeats
# the integer rescale in every consumer: three times the step time. Keeping the barriers is safe
# everywhere; the option exists on CPU only.
KEEP_BARRIERS = {"xla_disable_hlo_passes": "cse_barrier_expander"}


def compiled(function: Callable, **options) -> Callable:
    """jax.jit with the project's compiler options."""
    keep = KEEP_BARRIERS if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=keep, **options)


def prefers_integer_dots() -> bool:
    """Whether training takes int8 dots rather than exact float32 carriers on the default device.

    On a CPU carriers win for convolutional models and lose a little for others
    (`results/benchmarks/step_time.txt`); accelerators have units for int8. Both give the same
    integers.
    """
    return jax.default_backend() != "cpu"
