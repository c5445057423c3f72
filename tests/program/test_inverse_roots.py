"""RSQRT: TFLite Micro's and LiteRT's integers."""

import many_scales
import numpy as np
import pytest
from many_scales import Case

from aqtaudio.program.kernels import inverse_roots
from aqtaudio.program.kernels.call import TARGETS


def case_of(count: int, seed: int) -> Case:
    """All codes from the zero point up: TFLite Micro refuses others."""
    rng = np.random.default_rng(seed)
    highest = 127
    codes = np.arange(highest + 1)
    scales = many_scales.log_uniform(rng, -22, 2, count)
    real = codes[codes > 0] * scales[:, None]
    largest = 1 / np.sqrt(np.quantile(real, rng.uniform(0, 0.9, count).max(), axis=1))
    outputs = (largest * np.exp2(rng.uniform(0, 3, count)) / highest).astype(np.float32)
    zeros = np.zeros(count, np.int64)
    each = np.broadcast_to(codes.astype(np.int8), (count, len(codes)))
    return Case("rsqrt", np.ascontiguousarray(each), scales, zeros, (outputs, zeros))


@pytest.mark.parametrize("target", TARGETS)
def test_rsqrt_is_the_runtimes(target):
    case = case_of(100, seed=1)
    np.testing.assert_array_equal(many_scales.ours(case, target), many_scales.runtime(case, target))


def test_rsqrt_is_the_function():
    """Within half a step, where nothing is clipped; zero has the greatest code."""
    case = case_of(20, seed=2)
    found, highest = many_scales.ours(case), 127
    outputs = case.outputs
    assert outputs is not None
    with np.errstate(divide="ignore"):
        steps = 1 / np.sqrt(case.codes * case.scales[:, None].astype(float)) / outputs[0][:, None]
    inside = steps < highest
    assert inside.mean() > 0.3
    assert np.abs(found - steps)[inside].max() < 0.51
    assert (found[case.codes == 0] == highest).all()
    assert (found[~inside & (case.codes > 0)] == highest).all()


def test_scales_are_safe():
    """The multiplier of the least scale does not leave 32 bits."""
    kind = inverse_roots.KINDS["rsqrt"]
    assert kind.least_scale is not None
    for scale in (1e-9, 1e-3, 1.0):
        least = float(kind.least_scale((many_scales.Grid(np.float32(scale), 0),)))
        assert 1 / (np.sqrt(scale) * least) == pytest.approx(2**29)
