"""Integer execution of a program in JAX: the device's codes, jitted and batched, on any device."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.program import kernels
from aqtaudio.program.compiler import compiled
from aqtaudio.program.program import Program


class Executor:
    """A compiled program. Holds its constants on the device; reuse it across batches."""

    def __init__(self, program: Program, integer: bool = False):
        """`integer`: int8 dots instead of exact float32 carriers; the codes are the same."""
        self.program = program
        self._constants = [
            {name: _carried(name, array) for name, array in op.constants.items()}
            for op in program.operations
        ]
        dot = kernels.integer_dot if integer else kernels.carrier_dot
        self._run = compiled(functools.partial(_run, program, dot))

    def edges(self, codes: np.ndarray | jax.Array) -> dict[str, jax.Array]:
        """Every edge's int8 codes [B, ...] for input codes [B, ...]."""
        return self._run(self._constants, codes)

    def __call__(self, codes: np.ndarray | jax.Array, batch_size: int = 256) -> np.ndarray:
        """Output codes int8 [B, ...] for input codes int8 [B, ...], in batches of one size."""
        shape = self.program.edges[self.program.inputs[0]].shape
        if codes.shape[1:] != shape:
            raise ValueError(f"input codes have shape {codes.shape[1:]}, the program's is {shape}")
        output = self.program.outputs[0]
        outputs = [np.empty((0, *self.program.edges[output].shape), np.int8)]
        for first in range(0, len(codes), batch_size):
            batch = np.asarray(codes[first : first + batch_size])
            count = len(batch)
            if first:
                batch = np.concatenate([batch, np.zeros_like(codes[: batch_size - count])])
            outputs.append(np.asarray(self.edges(batch)[output])[:count])
        return np.concatenate(outputs)

    def quantize(self, features: np.ndarray | jax.Array) -> np.ndarray:
        """Real features [B, ...] to int8 codes in the input edge's shape."""
        edge = self.program.edges[self.program.inputs[0]]
        codes = _quantize(jnp.asarray(features), jnp.float32(edge.scale), edge.zero_point)
        return np.asarray(codes).reshape(-1, *edge.shape)

    def dequantize(self, codes: np.ndarray) -> np.ndarray:
        """Output codes to real values [B, ...]."""
        edge = self.program.edges[self.program.outputs[0]]
        return (codes.astype(np.float32) - edge.zero_point) * np.float32(edge.scale)


def execute(program: Program, codes: np.ndarray, integer: bool = False) -> np.ndarray:
    """Output codes int8 [B, ...] of `program` for input codes int8 [B, ...]."""
    return Executor(program, integer)(codes)


@functools.partial(jax.jit, static_argnums=2)
def _quantize(features: jax.Array, scale: jax.Array, zero_point: int) -> jax.Array:
    return kernels.quantize(features, scale, zero_point).astype(jnp.int8)


def _carried(name: str, array: np.ndarray) -> jax.Array:
    return jnp.asarray(array.astype(np.float32) if name == "weights" else array)


def _run(program: Program, dot: Callable, constants: list[dict[str, Any]], codes: jax.Array):
    values = {program.inputs[0]: codes.astype(jnp.float32)}
    for op, arrays in zip(program.operations, constants, strict=True):
        zero_points = tuple(program.edges[name].zero_point for name in (*op.inputs, op.output))
        inputs = tuple(values[name] for name in op.inputs)
        values[op.output] = kernels.run(op.kind, inputs, zero_points, arrays, op.attributes, dot)
    return {name: value.astype(jnp.int8) for name, value in values.items()}
