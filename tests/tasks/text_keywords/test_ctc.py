"""Alignment is the best path, errors are the fewest edits, scores tell where phones end."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.tasks.text_keywords import ctc

pytestmark = pytest.mark.optimized(False)
FRAMES, CLASSES = 6, 4


def collapsed(path: tuple[int, ...]) -> list[int]:
    return [label for label, _ in itertools.groupby(path) if label != ctc.BLANK]


def entered(path: tuple[int, ...]) -> list[int]:
    """The frame in which each label of a path begins."""
    return [at for at, label in enumerate(path) if label and (at == 0 or path[at - 1] != label)]


def test_alignment_is_the_best_of_all_paths():
    rng = np.random.default_rng(0)
    every = list(itertools.product(range(CLASSES), repeat=FRAMES))
    wanted = [[1, 1, 3], [2], [3, 1]]
    scores = rng.normal(size=(len(wanted), FRAMES, CLASSES)).astype(np.float32) * 2
    labels = np.zeros((len(wanted), 3), np.int32)
    for row, one in zip(labels, wanted, strict=True):
        row[: len(one)] = one
    counts = jnp.asarray([len(one) for one in wanted])
    found = np.asarray(ctc.aligned(jnp.asarray(scores), jnp.asarray(labels), counts))
    for row, (clip, said) in enumerate(zip(scores, wanted, strict=True)):
        those = [path for path in every if collapsed(path) == said]
        best = max(those, key=lambda path: sum(clip[at, label] for at, label in enumerate(path)))
        assert found[row, : len(said)].tolist() == entered(best)


def test_greedy_paths_collapse():
    path = (0, 2, 2, 0, 2, 1)
    scores = np.eye(CLASSES)[list(path)][None]
    assert [one.tolist() for one in ctc.greedy(scores)] == [[2, 2, 1]]


@pytest.mark.parametrize(
    ("found", "wanted", "edits"),
    [
        ([], [1, 2], 2),
        ([1, 2, 3], [], 3),
        ([1, 2, 3, 4], [2, 3, 5, 4, 4], 3),
        ([1, 2, 3], [1, 2, 3], 0),
        ([3, 1, 2], [1, 2, 3], 2),
    ],
)
def test_errors(found, wanted, edits):
    assert ctc.errors(np.asarray(found, int), wanted) == edits


def test_a_keyword_scores_where_it_ends():
    phones = [1, 2, 2, 3]
    path = [0, 3, 0, 1, 1, 2, 0, 2, 3, 0, 1, 2, 3, 0]
    costs = 6.0 * jnp.eye(CLASSES)[jnp.asarray(path)][None]
    scores = np.asarray(ctc.path_scores(costs, phones))[0]
    assert scores[8] == 0.0  # the best path in every frame
    assert scores[7] < scores[8] and scores[12] < 0.0  # not yet; two phones of four


def test_a_path_is_the_best_of_all():
    """Of all ways to enter the phones one after the other, waiting at each or at the blank."""
    phones, rng = (1, 3, 2), np.random.default_rng(0)
    logits = rng.normal(size=(FRAMES, CLASSES)).astype(np.float32) * 3
    costs = logits - logits.max(1, keepdims=True)
    found = np.asarray(ctc.path_scores(jnp.asarray(logits)[None], phones))[0]
    for last in range(FRAMES):
        every = []
        for at in itertools.combinations(range(last + 1), len(phones)):
            total = 0.0
            for phone, first, end in zip(phones, at, (*at[1:], last + 1), strict=True):
                wait = np.maximum(costs[first + 1 : end, phone], costs[first + 1 : end, ctc.BLANK])
                total += costs[first, phone] + wait.sum()
            every.append(total)
        assert found[last] == pytest.approx(max(every), abs=1e-5) if every else found[last] < -1e8


def test_classes_of_phones():
    assert ctc.classes_of(("AA",)).tolist() == [1 + ctc.INVENTORY.index("AA")]
    assert ctc.CLASSES == 40
