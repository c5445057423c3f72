"""Integer execution of a program in JAX: the device's codes, jitted and batched, on any device."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.program import kernels
from aqtaudio.program.compiler import compiled
from aqtaudio.program.kernels.call import Call, Engine, Grid, Target
from aqtaudio.program.kernels.weighted import carrier_dot, integer_dot
from aqtaudio.program.loops import Loop, loops
from aqtaudio.program.program import Operation, Program
from aqtaudio.program.support import require_litert

Constants = dict[str, Any]
State = dict[str, jax.Array]
FEW, MANY = 16, 256
"""Clips computed at a time: of a few, and where many are there. Each size is compiled once."""
CHUNK_BLOCKS = 64
"""Of a stream, computed at a time where so many are there; fewer take the same compilation, which
costs more than a minute of sound."""


class Executor:
    """A compiled program. Holds its constants on the device; reuse it across batches."""

    def __init__(self, program: Program, integer: bool = True, target: Target = "micro"):
        """What to run and how.

        Args:
          program: recorded.
          integer: int8 dots, the faster (`benchmarks/execution.py`); False: exact float32 carriers.
            The codes are the same.
          target: whose arithmetic, TFLite Micro's or LiteRT's.

        Raises:
          BadInput: LiteRT computes an operation wrong.
        """
        self.program, self.target = program, target
        engine = self._engine = Engine(integer_dot if integer else carrier_dot, target)
        if target != "micro":
            require_litert(program)
        self._run = compiled(functools.partial(_run, program, engine, repeats=False))
        self._answer = compiled(functools.partial(_answer, program, engine))
        self._loop = compiled(functools.partial(_loop, program, engine))

    @functools.cached_property
    def _constants(self) -> list[Constants]:
        """Of the operations. Made when something is computed: an interpreter's runs need none."""
        with jax.ensure_compile_time_eval():  # it may be asked for while a step is traced
            found = [
                {name: _carried(name, array) for name, array in op.constants.items()}
                for op in self.program.operations
            ]
            if self.target == "micro":  # whose constants are in the program
                return found
            return jax.jit(functools.partial(_prepare, self.program, self._engine))(found)

    def edges(self, codes: np.ndarray | jax.Array) -> dict[str, jax.Array]:
        """Every edge's codes [B, ...] for input codes [B, ...]; of a stream, at its first block."""
        return self._run(self._constants, codes)[0]

    def state(self, batch: int = 1) -> State:
        """What a stream's program remembers before the first block, [batch, ...] each."""
        # Of numpy: nothing is compiled for each shape.
        state = _initial(self.program, batch, np.broadcast_to)
        return {name: jax.device_put(codes) for name, codes in state.items()}

    def blocks(
        self, codes: np.ndarray | jax.Array, state: State | None = None
    ) -> tuple[np.ndarray, State]:
        """Output codes [B, N, ...] of consecutive blocks [B, N, ...] of B streams.

        `state` is what an earlier call returned; None: the streams begin.
        """
        before, count = self.state(len(codes)) if state is None else state, codes.shape[1]
        missing = max(CHUNK_BLOCKS - count, 0)
        codes = np.pad(codes, [(0, 0), (0, missing)] + [(0, 0)] * (codes.ndim - 2))
        outputs, after = self._loop(self._constants, codes, count, before)
        return np.asarray(outputs)[:, :count], after

    def traced(self, features: jax.Array, state: State) -> tuple[jax.Array, State]:
        """Real outputs [B, N, ...] of blocks of real features [B, N, ...], inside of a program.

        A scan: nothing of it has a gradient. Returns the state too.
        """
        taken, given = (
            self.program.edges[names[0]] for names in (self.program.inputs, self.program.outputs)
        )
        codes = kernels.quantize(features, taken.grid)

        def push(state: State, block: jax.Array) -> tuple[State, jax.Array]:
            edges, state = _run(self.program, self._engine, self._constants, block, state)
            return state, edges[given.name]

        state, outputs = jax.lax.scan(push, state, jnp.swapaxes(codes, 0, 1))
        real = (outputs.astype(jnp.float32) - given.zero_point) * np.float32(given.scale)
        return jax.lax.stop_gradient(jnp.swapaxes(real, 0, 1)), state

    def __call__(self, codes: np.ndarray | jax.Array, batch_size: int | None = None) -> np.ndarray:
        """Output codes [B, ...] for input codes [B, ...], in batches of one size.

        Of a stream's program: for consecutive blocks of one stream, from its beginning.
        `batch_size`: how many at a time; default: as many as are worth it.
        """
        shape = self.program.edges[self.program.inputs[0]].shape
        if codes.shape[1:] != shape:
            raise ValueError(f"input codes have shape {codes.shape[1:]}, the program's is {shape}")
        output = self.program.edges[self.program.outputs[0]]
        outputs = [np.empty((0, *output.shape), output.dtype)]
        state = self.state()
        few = CHUNK_BLOCKS if state else FEW
        at_once = batch_size or (few if len(codes) < MANY // 2 else MANY)
        for first in range(0, len(codes), at_once):
            batch = np.asarray(codes[first : first + at_once])
            padded = np.zeros((at_once, *shape), batch.dtype)
            padded[: len(batch)] = batch
            if state:
                answers, state = self.blocks(padded[None], state)
                outputs.append(answers[0, : len(batch)])
            else:
                outputs.append(np.asarray(self._answer(self._constants, padded))[: len(batch)])
        return np.concatenate(outputs)

    def quantize(self, features: np.ndarray | jax.Array) -> np.ndarray:
        """Real features [B, ...] to codes in the input edge's shape and type."""
        edge = self.program.edges[self.program.inputs[0]]
        codes = _quantize(features, np.float32(edge.scale), edge.zero_point, edge.bits)
        return np.asarray(codes).astype(edge.dtype).reshape(-1, *edge.shape)

    def dequantize(self, codes: np.ndarray) -> np.ndarray:
        """Output codes to real values [B, ...]."""
        edge = self.program.edges[self.program.outputs[0]]
        return (codes.astype(np.float32) - edge.zero_point) * np.float32(edge.scale)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _quantize(features: jax.Array, scale: jax.Array, zero_point: int, bits: int) -> jax.Array:
    return kernels.quantize(features, Grid(scale, zero_point, bits))


def _carried(name: str, array: np.ndarray) -> jax.Array:
    return jnp.asarray(array.astype(np.float32) if name == "weights" else array)


def _call(program: Program, op: Operation, constants: Constants, engine: Engine) -> Call:
    """The call of an operation, without codes."""
    inputs = tuple(program.edges[name].grid for name in op.inputs)
    output = program.edges[op.output].grid
    return Call(op.kind, (), inputs, output, op.attributes, constants, engine)


def _prepare(program: Program, engine: Engine, constants: list[Constants]) -> list[Constants]:
    return [
        arrays | (kernels.prepare(_call(program, op, arrays, engine)) if op.inputs else {})
        for op, arrays in zip(program.operations, constants, strict=True)
    ]


def _run(
    program: Program,
    engine: Engine,
    constants: list[Constants],
    codes: jax.Array,
    state: State | None = None,
    repeats: bool = True,
):
    """Codes of every edge, and the state at the next block.

    `repeats`: the program's loops are loops, whose inner edges are not seen.
    """
    state = _initial(program, codes.shape[0]) if state is None else state
    values, kept = {program.inputs[0]: codes.astype(jnp.float32)}, dict(state)
    found = loops(program) if repeats else {}
    inside = frozenset().union(*(loop.inside for loop in found.values()))
    for op, arrays in zip(program.operations, constants, strict=True):
        if op.output in found:
            by_name = dict(zip((op.output for op in program.operations), constants, strict=True))
            values[op.output] = _repeated(program, engine, by_name, found[op.output], values)
        elif op.output in inside:
            continue
        elif op.kind == "read_state":
            values[op.output] = state[op.attributes["state"]].astype(jnp.float32)
        else:
            values[op.output] = _computed(program, engine, op, arrays, values)
        if op.kind == "write_state":
            kept[op.attributes["state"]] = values[op.output].astype(program.edges[op.output].dtype)
    edges = {
        name: jnp.broadcast_to(value, (codes.shape[0], *value.shape[1:])).astype(
            program.edges[name].dtype
        )
        for name, value in values.items()
    }
    return edges, kept


def _computed(
    program: Program, engine: Engine, op: Operation, arrays: Constants, values: State
) -> jax.Array:
    """Codes of an operation's output, as float32."""
    if op.kind == "constant":
        return arrays["codes"][None].astype(jnp.float32)
    call = _call(program, op, arrays, engine)
    return kernels.run(call.with_codes(tuple(values[name] for name in op.inputs)))


def _repeated(
    program: Program,
    engine: Engine,
    constants: dict[str, Constants],
    loop: Loop,
    values: State,
) -> jax.Array:
    """Codes of a loop's output; `constants` by the output of their operation."""
    source = values[loop.source]

    def step(states: tuple[jax.Array, ...], row: jax.Array):
        known = {loop.row: jnp.expand_dims(row, loop.axis + 1)}
        known |= {edge.before: state for edge, state in zip(loop.carried, states, strict=True)}
        for op in loop.body:
            known[op.output] = _computed(program, engine, op, constants[op.output], known)
        after = tuple(known[edge.after] for edge in loop.carried)
        return after, jnp.squeeze(known[loop.result], loop.axis + 1)

    starts = tuple(
        jnp.broadcast_to(start, (len(source), *start.shape[1:]))
        for start in (values[edge.start] for edge in loop.carried)
    )
    results = jax.lax.scan(step, starts, jnp.moveaxis(source, loop.axis + 1, 0))[1]
    return jnp.moveaxis(results, 0, loop.axis + 1)


def _answer(
    program: Program, engine: Engine, constants: list[Constants], codes: jax.Array
) -> jax.Array:
    """Output codes alone: what else there is need not be kept."""
    return _run(program, engine, constants, codes)[0][program.outputs[0]]


def _initial(program: Program, batch: int, broadcast: Callable = jnp.broadcast_to) -> State:
    """Every state before the first block."""
    codes = {op.attributes["state"]: op.constants["codes"] for op in program.states}
    return {name: broadcast(first, (batch, *first.shape)) for name, first in codes.items()}


def _loop(
    program: Program,
    engine: Engine,
    constants: list[Constants],
    codes: jax.Array,
    count: jax.Array,
    state: State,
):
    """Output codes [B, N, ...] of the first `count` of blocks [B, N, ...], one after the other."""

    def step(place: jax.Array, carried: tuple[State, jax.Array]):
        state, outputs = carried
        edges, state = _run(program, engine, constants, codes[:, place], state)
        answer = edges[output.name]
        return state, jax.lax.dynamic_update_index_in_dim(outputs, answer, place, 1)

    output = program.edges[program.outputs[0]]
    outputs = jnp.zeros((*codes.shape[:2], *output.shape), output.dtype)
    state, outputs = jax.lax.fori_loop(0, count, step, (state, outputs))
    return outputs, state
