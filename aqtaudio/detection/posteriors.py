"""Posteriors of blocks, and their trailing mean.

Smoothing as in Chen, Parada, Heigold, "Small-footprint keyword spotting using deep neural networks"
(ICASSP 2014), equation 2.
"""

from collections.abc import Callable

import numpy as np

from aqtaudio.errors import BadInput

Posteriors = Callable[[np.ndarray], np.ndarray]
"""Logits [N, C] to posteriors float64 [N, C]. A row depends on no other row, to the bit."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Posteriors float64 [N, C] of logits [N, C]. A row depends on no other row, to the bit."""
    logits = np.ascontiguousarray(logits, np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def logistic(logits: np.ndarray) -> np.ndarray:
    """Posteriors float64 [N, C] of logits [N, C] that are each of their own."""
    from scipy.special import expit  # a third of a second, and words apart do without

    return expit(np.ascontiguousarray(logits, np.float64))


class Smoother:
    """Mean of every block and those before it, of `window_blocks` where so many are there.

    The same numbers, to the bit, however the stream is cut.
    """

    def __init__(self, classes: int, window_blocks: int):
        """Raises BadInput for a window without a block."""
        if window_blocks < 1:
            raise BadInput(f"a smoothing window of {window_blocks} blocks; allowed: at least 1")
        self._window_blocks = window_blocks
        # The blocks before the first are zeros: adding them changes no bit.
        self._recent = np.zeros((window_blocks - 1, classes))
        self._seen_blocks = 0

    def push(self, posteriors: np.ndarray) -> np.ndarray:
        """Smoothed posteriors float64 [n, C] of the next blocks [n, C]."""
        count = len(posteriors)
        blocks = np.concatenate([self._recent, posteriors])
        # A running sum would be faster, but its rounding depends on the whole past.
        total = np.zeros((count, blocks.shape[1]))
        for first in range(self._window_blocks):
            total += blocks[first : first + count]
        present = self._seen_blocks + 1 + np.arange(count)
        self._seen_blocks = min(self._seen_blocks + count, self._window_blocks)
        self._recent = blocks[count:].copy()
        return total / np.minimum(present, self._window_blocks)[:, None]
