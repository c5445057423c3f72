"""frexp and ldexp are numpy's for normal numbers and zero, however they are compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.program.kernels.powers_of_two import frexp, ldexp, power_of_two

KINDS = [np.float32, np.float64]


def numbers(kind: type) -> np.ndarray:
    """Normal numbers of both signs from the least to the greatest, powers of two, and zero."""
    form = np.finfo(kind)
    rng = np.random.default_rng(0)
    powers = np.ldexp(kind(1), np.arange(form.minexp, form.maxexp))
    fractions = (powers * rng.uniform(1, 2, powers.shape)).astype(kind)
    edges = [0, form.tiny, form.max, np.nextafter(kind(1), kind(0)), np.nextafter(kind(2), kind(0))]
    values = np.concatenate([powers, fractions, np.array(edges, kind)])
    return np.concatenate([values, -values])


@pytest.mark.parametrize("how", [lambda f: f, jax.jit, jax.vmap], ids=["eager", "jit", "vmap"])
@pytest.mark.parametrize("kind", KINDS)
def test_frexp_is_numpys(kind: type, how):
    values = numbers(kind)
    with jax.enable_x64(kind is np.float64):
        fraction, exponent = how(frexp)(jnp.asarray(values))
    expected = np.frexp(values)
    assert fraction.dtype == kind and exponent.dtype == np.int32
    np.testing.assert_array_equal(fraction, expected[0])
    np.testing.assert_array_equal(exponent, expected[1])


@pytest.mark.parametrize("kind", KINDS)
def test_ldexp_is_numpys(kind: type):
    values, exponents = np.array([0, 1, -0.75, 1 / 3], kind)[:, None], np.arange(-100, 100)
    with jax.enable_x64(kind is np.float64):
        found = ldexp(jnp.asarray(values), jnp.asarray(exponents, jnp.int32))
    assert found.dtype == kind
    np.testing.assert_array_equal(found, np.ldexp(values, exponents))


@pytest.mark.parametrize("kind", KINDS)
def test_powers_of_two_end_at_the_normal_numbers(kind: type):
    form = np.finfo(kind)
    exponents = jnp.array([-5000, form.minexp, -1, 0, form.maxexp - 1, 5000], jnp.int32)
    with jax.enable_x64(kind is np.float64):
        found = power_of_two(exponents, kind)
    greatest = 2.0 ** (form.maxexp - 1)
    np.testing.assert_array_equal(found, [form.tiny, form.tiny, 0.5, 1, greatest, greatest])


def test_a_float64_inside_a_compiled_program_keeps_its_64_bits():
    """jax 0.12 loses half of them in `jnp.frexp`."""

    @jax.jit
    def function(x):
        with jax.enable_x64(True):
            return frexp(x.astype(jnp.float64) * (1 / 3))

    x = np.float32([1, 5, 2e-30 / 7])
    fraction, exponent = np.frexp(x * np.float64(1 / 3))
    assert (fraction != fraction.astype(np.float32)).all()
    found = function(x)
    np.testing.assert_array_equal(found[0], fraction)
    np.testing.assert_array_equal(found[1], exponent)
