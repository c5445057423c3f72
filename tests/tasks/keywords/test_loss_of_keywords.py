"""What the float model teaches."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import rel_entr, softmax

from aqtaudio.tasks.keywords import loss as task

pytestmark = pytest.mark.optimized(False)

LOGITS = arrays(np.float32, (3, 5), elements=st.floats(-8, 8, width=32))


@settings(deadline=None)
@given(LOGITS, LOGITS, st.sampled_from((1.0, 2.0)))
def test_divergence_is_the_relative_entropy_of_softened_answers(logits, taught, temperature):
    ours, theirs = (softmax(x.astype(np.float64) / temperature, -1) for x in (logits, taught))
    expected = temperature**2 * np.mean(np.sum(rel_entr(theirs, ours), -1))
    found = float(task.divergence(logits, taught, temperature))
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-5) and found > -1e-5


@settings(deadline=None)
@given(LOGITS)
def test_who_answers_as_the_teacher_does_learns_nothing(logits):
    gradient = jax.grad(task.divergence)(logits, logits, 2.0)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
