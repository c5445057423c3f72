"""The best path through sequences of labels, frame by frame: how well each sequence ends there.

Viterbi's recurrence over the labels' scores, out of additions and largest values. A path begins
anywhere, takes its labels in order, and between two of them waits at the label or at the blank.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from aqtaudio.vocabulary.edges import Fixed, Same
from aqtaudio.vocabulary.layer import Layer
from aqtaudio.vocabulary.movement import cut
from aqtaudio.vocabulary.recurrent import Cell, State, carried, over_frames, remembered
from aqtaudio.vocabulary.signal import Signal
from aqtaudio.vocabulary.weighted import Conv2D

STEP = 0.125
"""Of all codes here, so that sums of them are exact."""
COSTS = Fixed(STEP, 0, None)
"""Of a label in a frame: what it has less than the best one, 0 to -16."""
OVER_BLANK = Fixed(STEP / 2, -128, None, least=0.0)
PATHS = Fixed(STEP, 0, STEP)
"""Of a path: `START` and the costs of its frames; int16."""
START = 1024.0
"""Where paths begin, in the same units. States are zeros before the first frame: no path yet."""


class BestPath(Layer):
    """[T, 1, P] costs of labels, 0 or less, to [T, 1, K] of the best path through each sequence.

    Label 0 is the blank. Which label a sequence has where, the kernel of the layer "labels" says,
    [1, 1, P, positions * K], position by position: 1 at its label. A sequence that is shorter than
    the longest one ends with it; before it the kernel is 0. The layer "cell" has to have 16 bits.

    Attributes:
      lengths: labels of each sequence, K.
    """

    lengths: tuple[int, ...]

    @nn.compact
    def __call__(self, costs: Signal) -> Signal:  # noqa: D102
        operation = costs.reading.operation
        sequences = len(self.lengths)
        frames, count = costs.shape[0], sequences * max(self.lengths)
        enter = Conv2D(
            count, relu=False, norm=False, biased=False, edge=COSTS, name="labels"
        )(costs)  # fmt: skip
        blank = cut(self, "blank", costs, 2, 0, 1)
        more = operation(self, "over_blank", "sub", (enter, blank), {}, OVER_BLANK)
        stay = operation(self, "stay", "add", (more, blank), {}, COSTS)
        three = operation(self, "three", "concat", (stay, enter, enter), {"axis": 2}, Same())
        flat = {"shape": (frames, 3 * count)}
        three = operation(self, "flat", "reshape", (three,), flat, Same())
        paths = over_frames(self, PathsCell(count, self.lengths, name="cell"), three)
        ends = cut(self, "ends", paths, 1, count - sequences, count)
        shape = {"shape": (frames, 1, sequences)}
        return operation(self, "output", "reshape", (ends,), shape, Same())


class PathsCell(Cell):
    """One frame: every position's best path, [1, units], from costs [1, 3 units] of the frame.

    The costs of staying at each position, of entering it from the one before, and of beginning.

    Attributes:
      lengths: of the sequences, whose positions of one place lie side by side.
    """

    lengths: tuple[int, ...]

    @nn.compact
    def __call__(self, projected: Signal, states: tuple[State, ...]) -> tuple[Signal, ...]:
        """The best path to every position."""
        reading, operation = projected.reading, projected.reading.operation
        (before,) = states or (None,)
        units, sequences = self.units, len(self.lengths)
        paths = carried(self, reading, "output", (1, units), PATHS, before)
        later = cut(self, "later", paths, 1, 0, units - sequences)
        widths = {"widths": ((0, 0), (sequences, 0))}
        passed = operation(self, "passed", "pad", (later,), widths, Same())
        begun = reading.constant(self, "beginnings", self._beginnings, trained=False)
        begun = operation(self, "begun", "requantize", (begun,), {}, PATHS)
        came = operation(self, "came", "concat", (paths, passed, begun), {"axis": 1}, Same())
        costs = operation(self, "costs", "requantize", (projected,), {}, PATHS)
        every = operation(self, "every", "add", (came, costs), {}, PATHS)
        rows = {"shape": (3, 1, units)}
        every = operation(self, "rows", "reshape", (every,), rows, Same())
        window = {"window": (3, 1), "strides": (3, 1)}
        best = operation(self, "best", "max_pool", (every,), window, Same())
        flat = {"shape": (1, units)}
        return (remembered(self, operation(self, "output", "reshape", (best,), flat, Same())),)

    @property
    def _beginnings(self) -> jax.Array:
        """`START` where a path may begin, [1, units]."""
        positions = jnp.arange(max(self.lengths))[:, None]
        first = max(self.lengths) - jnp.asarray(self.lengths)
        return jnp.where(positions == first, START, 0.0).reshape(1, -1)
