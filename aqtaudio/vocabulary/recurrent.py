"""Recurrent layers: GRU and LSTM, out of dense layers, slices and element-wise operations.

Input projections run for all frames at once. The recurrent part runs frame by frame: as a scan
where a reading allows it, unrolled where edges are noted; the codes are the same. To observe edges
a scan makes the states first, then all frames run at once. The frames share weights and ranges. In
a program the edges of frame 3 are called ".../t3".
"""

import dataclasses
from typing import ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core.lift import Out

from aqtaudio.vocabulary.edges import (
    SIGNED_TWO,
    SIGNED_UNIT,
    UNSIGNED_UNIT,
    Fixed,
    Own,
    Same,
)
from aqtaudio.vocabulary.layer import Layer
from aqtaudio.vocabulary.movement import cut, joined
from aqtaudio.vocabulary.signal import Reading, Signal
from aqtaudio.vocabulary.weighted import BlockDense, Dense

SCAN = {
    "variable_broadcast": ("params", "ranges", "bits"),
    "variable_axes": {"codes": Out(0)},
    "split_rngs": {"params": False, "gradients": True},
    "in_axes": 1,
}
State = Signal | jax.Array | None
"""A state [1, H] before a frame: a signal; in a scan its values; None before the first frame."""


class Cell(Layer):
    """One frame of a recurrent layer: its first state is what it puts out.

    Attributes:
      units: of each state, [1, units].
    """

    states: ClassVar[int] = 1
    units: int

    def __call__(self, projected: Signal, states: tuple[State, ...]) -> tuple[Signal, ...]:
        """States after a frame, from its projection and the states before; () before the first."""
        raise NotImplementedError


class GRU(Layer):
    """Gated recurrent unit over [T, F]: its state after every frame, [T, units].

    Cho et al., arXiv:1406.1078, with the reset gate after the recurrent product, so that both
    products of a frame are plain dense layers.

    Attributes:
      units: of the state.
      reverse: whether it reads the last frame first; the states stay in the order of frames.
      last: whether to put out only the state after the frame it reads last, [units].
    """

    units: int
    reverse: bool = False
    last: bool = False

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        projected = Dense(3 * self.units, gain=1.0, name="kernel")(x)
        cell = GRUCell(self.units, name="cell")
        return over_frames(self, cell, projected, self.reverse, self.last)


class GRUCell(Cell):
    """One frame of a GRU.

    With projections p = W x + b and q = U h + c, both [1, 3 units] in the order update, reset,
    candidate: z = sigmoid(p_z + q_z), r = sigmoid(p_r + q_r), n = tanh(p_n + r q_n),
    h' = n + z (h - n). The state is on tanh's grid.
    """

    difference: ClassVar[Own | Fixed] = Own()
    """The edge of h - n."""

    @nn.compact
    def __call__(self, projected: Signal, states: tuple[State, ...]) -> tuple[Signal, ...]:
        """The state [1, ..., units] after a frame, from p and the state before it."""
        operation, axis = projected.reading.operation, len(projected.shape) - 1
        (before,) = states or (None,)
        shape = (*projected.shape[:-1], self.units)
        h = carried(self, projected.reading, "output", shape, SIGNED_UNIT, before)
        q = self.product(h)
        gates = (
            cut(self, "input_gates", projected, axis, 0, 2 * self.units),
            cut(self, "state_gates", q, axis, 0, 2 * self.units),
        )
        total = operation(self, "gates", "add", gates, {}, Own())
        opened = operation(self, "opened", "logistic", (total,), {}, UNSIGNED_UNIT)
        update = cut(self, "update", opened, axis, 0, self.units)
        reset = cut(self, "reset", opened, axis, self.units, 2 * self.units)
        new = cut(self, "input_candidate", projected, axis, 2 * self.units, 3 * self.units)
        old = cut(self, "state_candidate", q, axis, 2 * self.units, 3 * self.units)
        old = operation(self, "kept", "mul", (reset, old), {}, Own())
        total = operation(self, "candidate_sum", "add", (new, old), {}, Own())
        n = operation(self, "candidate", "tanh", (total,), {}, SIGNED_UNIT)
        away = operation(self, "away", "sub", (h, n), {}, self.difference)
        held = operation(self, "held", "mul", (update, away), {}, Own())
        return (remembered(self, operation(self, "output", "add", (n, held), {}, SIGNED_UNIT)),)

    def product(self, h: Signal) -> Signal:
        """q, of a state."""
        return Dense(3 * self.units, gain=1.0, name="recurrent_kernel")(h)


class GroupedGRU(Layer):
    """GRUs in `groups` that do not see each other, over [T, F, C]: their states, [T, F, units].

    Each group has its own share of channels and of units. All are one cell, and all rows that do
    not follow each other are one product.

    Attributes:
      units: of all groups.
      along: "frames": each band is a sequence of frames, all with the same weights; "bands": each
        frame is a sequence of bands, from the first, and remembers nothing of other frames.
    """

    units: int
    groups: int = 1
    along: Literal["frames", "bands"] = "frames"

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        projected = BlockDense(3 * self.units, self.groups, 3, name="kernel")(x)
        if self.along == "bands":
            return over_bands(self, BandCell(self.units, self.groups, name="cell"), projected)
        return over_frames(self, GroupedCell(self.units, self.groups, name="cell"), projected)


class GroupedCell(GRUCell):
    """As `GRUCell`, of [1, F, 3 units], in groups.

    h - n is on a grid of a power of two, so that all kernels compute one difference.
    """

    difference: ClassVar[Own | Fixed] = SIGNED_TWO
    groups: int = 1

    def product(self, h: Signal) -> Signal:  # noqa: D102
        return BlockDense(3 * self.units, self.groups, 3, name="recurrent_kernel")(h)


class BandCell(GroupedCell):
    """As `GroupedCell`, of one band [T, 1, 3 units]: its states are of this block alone."""

    streams: ClassVar[bool] = False  # pyright: ignore[reportIncompatibleMethodOverride]


class LSTM(Layer):
    """Long short-term memory over [T, F]: its output after every frame, [T, units].

    Hochreiter and Schmidhuber, 1997, with forget gate. The memory has a calibrated range, and its
    layer, ".../cell/memory", may be given 16 bits.
    """

    units: int

    @nn.compact
    def __call__(self, x: Signal) -> Signal:  # noqa: D102
        projected = Dense(4 * self.units, gain=1.0, name="kernel")(x)
        return over_frames(self, LSTMCell(self.units, name="cell"), projected)


class LSTMCell(Cell):
    """One frame of an LSTM.

    With p = W x + b and q = U h + c, both [1, 4 units] in the order input, forget, output,
    candidate: i, f, o = sigmoid(p + q), g = tanh(p_g + q_g), m' = f m + i g, h' = o tanh(m').
    """

    states: ClassVar[int] = 2

    @nn.compact
    def __call__(self, projected: Signal, states: tuple[State, ...]) -> tuple[Signal, ...]:
        """Output and memory, both [1, units], after a frame, from p and both before it."""
        operation = projected.reading.operation
        before, memory = states or (None, None)
        h = carried(self, projected.reading, "output", (1, self.units), SIGNED_UNIT, before)
        recurrent = Dense(4 * self.units, gain=1.0, name="recurrent_kernel")(h)
        total = operation(self, "gates", "add", (projected, recurrent), {}, Own())
        gates = cut(self, "gates_sum", total, 1, 0, 3 * self.units)
        opened = operation(self, "opened", "logistic", (gates,), {}, UNSIGNED_UNIT)
        let_in, keep, let_out = (
            cut(self, name, opened, 1, i * self.units, (i + 1) * self.units)
            for i, name in enumerate(("let_in", "keep", "let_out"))
        )
        candidate = cut(self, "candidate_sum", total, 1, 3 * self.units, 4 * self.units)
        candidate = operation(self, "candidate", "tanh", (candidate,), {}, SIGNED_UNIT)
        memory = _Memory(name="memory")(keep, memory, let_in, candidate)
        shown = operation(self, "shown", "tanh", (memory,), {}, SIGNED_UNIT)
        h = operation(self, "output", "mul", (let_out, shown), {}, SIGNED_UNIT)
        return remembered(self, h), memory


class _Memory(Layer):
    """m' = keep m + let_in candidate."""

    @nn.compact
    def __call__(self, keep: Signal, before: State, let_in: Signal, candidate: Signal) -> Signal:
        operation = keep.reading.operation
        m = carried(self, keep.reading, "output", keep.shape, Own(), before)
        kept = operation(self, "kept", "mul", (keep, m), {}, Own())
        written = operation(self, "written", "mul", (let_in, candidate), {}, Own())
        return remembered(self, operation(self, "output", "add", (kept, written), {}, Own()))


def carried(
    layer: Layer,
    reading: Reading,
    part: str,
    shape: tuple[int, ...],
    edge: Own | Fixed,
    before: State,
) -> Signal:
    """The state that a layer's `part` left at the frame before, on that part's edge."""
    if isinstance(before, Signal):
        return dataclasses.replace(before, reading=reading)
    zeros = reading.zeros(layer, "start", shape, part, edge)
    return zeros if before is None else dataclasses.replace(zeros, values=before)


def remembered(layer: Layer, state: Signal) -> Signal:
    """A state, which a stream remembers for its next block."""
    if layer.streams:
        state.reading.keep(layer, "start", state)
    return state


def over_frames(
    layer: Layer,
    cell: Cell,
    projected: Signal,
    reverse: bool = False,
    last: bool = False,
) -> Signal:
    """First states of a cell over the frames of its projected input [T, ...]: [T, H].

    `reverse`: from the last frame to the first. `last`: the one after the frame read last, [H].
    """
    if reverse and layer.streams:
        raise ValueError(f"layer {layer.label}: a reversed layer needs the whole clip")
    if projected.reading.scans:
        if layer.streams:
            states = _streamed(layer, cell, projected)
        else:
            states = _scanned(cell, projected, reverse)[0]
        return _last(states, reverse) if last else states
    if projected.reading.unobserved and not layer.streams:
        states = _observed(cell, projected, reverse)
        return _last(states, reverse) if last else states
    order = range(projected.shape[0])
    before: tuple[Signal, ...] = ()
    outputs = {}
    for number in reversed(order) if reverse else order:
        now = dataclasses.replace(projected, reading=projected.reading.frame(number))
        before = cell(cut(layer, "frame", now, 0, number, number + 1), before)
        outputs[number] = dataclasses.replace(before[0], reading=projected.reading)
    if last:
        state = outputs[order[0 if reverse else -1]]
        shape = {"shape": (cell.units,)}
        return state.reading.operation(layer, "output", "reshape", (state,), shape, Same())
    states = tuple(outputs[number] for number in order)
    return states[0] if len(states) == 1 else joined(layer, "output", states, 0)


def over_bands(layer: Layer, cell: Cell, projected: Signal) -> Signal:
    """First states of a cell over the bands of its projected input [T, F, ...]: [T, F, H]."""
    reading = projected.reading
    if reading.scans or reading.unobserved:
        # Frames do not see each other: they are clips of a batch, and bands their frames.
        values = projected.values
        batch, frames, bands, depth = values.shape
        flat = values.reshape(batch * frames, bands, 1, depth)
        each = dataclasses.replace(projected, values=flat)
        states = _scanned(cell, each, False)[0] if reading.scans else _observed(cell, each, False)
        return dataclasses.replace(states, values=states.values.reshape(batch, frames, bands, -1))
    before: tuple[Signal, ...] = ()
    outputs = []
    for number in range(projected.shape[1]):
        now = dataclasses.replace(projected, reading=reading.frame(number))
        before = cell(cut(layer, "band", now, 1, number, number + 1), before)
        outputs.append(dataclasses.replace(before[0], reading=reading))
    return outputs[0] if len(outputs) == 1 else joined(layer, "output", tuple(outputs), 1)


def _last(states: Signal, reverse: bool) -> Signal:
    """[H] of states [T, H] that were not noted: the one after the frame read last."""
    return dataclasses.replace(states, values=states.values[:, 0 if reverse else -1])


def _observed(cell: Cell, projected: Signal, reverse: bool) -> Signal:
    """States of a scan that observes nothing; then all frames at once, from the states before."""
    unobserved = dataclasses.replace(projected, reading=projected.reading.unobserved)
    states = _scanned(cell, unobserved, reverse)
    batch, frames, *inner = projected.values.shape

    def one_each(values: jax.Array) -> jax.Array:
        return values.reshape(batch * frames, 1, *inner[:-1], -1)

    def before(state: Signal) -> jax.Array:
        widths = ((0, 0), (0, 1) if reverse else (1, 0), *((0, 0) for _ in inner))
        padded = jnp.pad(state.values, widths)
        return one_each(padded[:, 1:] if reverse else padded[:, :-1])

    frame = dataclasses.replace(projected, values=one_each(projected.values))
    after = cell(frame, tuple(before(state) for state in states))[0]
    values = after.values.reshape(batch, frames, *inner[:-1], -1)
    return dataclasses.replace(after, values=values)


def _scanned(cell: Cell, projected: Signal, reverse: bool) -> tuple[Signal, ...]:
    def body(cell, before, values):
        states = cell(dataclasses.replace(projected, values=values[:, None]), before)
        return tuple(state.values for state in states), states

    scan = nn.scan(body, **SCAN, reverse=reverse)
    # Both states are on signed grids, whose zero is the code 0.
    batch, _, *inner = projected.values.shape
    zeros = jnp.zeros((batch, 1, *inner[:-1], cell.units))
    before = (zeros,) * cell.states
    _, outs = scan(cell, before, projected.values)

    def of_all_frames(out: Signal) -> Signal:
        scale = None if out.scale is None else out.scale[0]
        return dataclasses.replace(out, values=_frames_second(out.values), scale=scale)

    return tuple(map(of_all_frames, outs))


def _streamed(layer: Layer, cell: Cell, projected: Signal) -> Signal:
    """A block of a stream: its first frame makes the variables that the others carry on."""
    first = cell(cut(layer, "frame", projected, 0, 0, 1), ())[0]
    if projected.shape[0] == 1:
        return first

    def body(cell, _, values):
        return (), cell(dataclasses.replace(projected, values=values[:, None]), ())[0]

    scan = nn.scan(body, **SCAN, variable_carry="state")
    _, out = scan(cell, (), projected.values[:, 1:])
    values = jnp.concatenate([first.values, _frames_second(out.values)], 1)
    return dataclasses.replace(first, values=values)


def _frames_second(values: jax.Array) -> jax.Array:
    """[T, B, 1, ...] as [B, T, ...]."""
    return jnp.swapaxes(values[:, :, 0], 0, 1)
