"""What the float model teaches."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import rel_entr, softmax

from aqtaudio.tasks.keywords import loss as task
from aqtaudio.tasks.keywords.task import Keywords

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


@settings(deadline=None)
@given(LOGITS)
def test_a_class_of_weight_two_counts_as_if_its_clips_came_twice(logits):
    classes, weights = np.asarray([0, 4, 2]), (1.0, 1.0, 2.0, 1.0, 1.0)
    found = task.loss(logits, classes, 0.1, weights)
    twice = task.loss(logits[[0, 1, 2, 2]], classes[[0, 1, 2, 2]], 0.1)
    assert float(found) == pytest.approx(float(twice), rel=1e-5)
    assert float(task.loss(logits, classes, 0.1, (3.0,) * 5)) == pytest.approx(
        float(task.loss(logits, classes, 0.1)), rel=1e-5
    )


def test_unknown_words_weigh_as_the_task_says():
    answers = np.asarray([[2.0, 0.0, -1.0], [1.0, 0.5, 0.0]], np.float32)
    classes = np.asarray([0, 1])  # yes, unknown
    heavy, _ = Keywords(("yes",), unknown_weight=3.0).truth(answers, classes, 0.0)
    plain, _ = Keywords(("yes",)).truth(answers, classes, 0.0)
    of_yes, of_unknown = (
        float(task.loss(answers[n : n + 1], classes[n : n + 1], 0.0)) for n in (0, 1)
    )
    assert float(heavy) == pytest.approx((of_yes + 3 * of_unknown) / 4)
    assert float(plain) == pytest.approx((of_yes + of_unknown) / 2)
