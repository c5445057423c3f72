"""A program as a TFLite file, through jax2tf and the TFLite converter.

The program becomes a JAX function of real values. Run as it is, it converts to a float file. For
the integer file every operation is wrapped in a composite: the converter cannot fuse across
composites or rewrite them, so what comes out is the program's graph, operation by operation, and
`program.legalize` puts the integer operator in each one's place.

TensorFlow is imported here only, at conversion. Importing it takes seconds.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import IO

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from aqtaudio.program import flatbuffer, support
from aqtaudio.program.kernels import KINDS
from aqtaudio.program.legalize import COMPOSITE_PREFIX, legalize
from aqtaudio.program.program import Edge, Operation, Program

LOG_TAIL_CHARACTERS = 2000
Forward = Callable[..., tuple[jax.Array, ...]]
Weights = Mapping[str, tuple[np.ndarray, ...]]
Wrap = Callable[[int, Callable[..., jax.Array]], Callable[..., jax.Array]]


def to_tflite(program: Program, explicit_state: bool = False) -> bytes:
    """The program as a TFLite file: int8 or int16 in and out, the program's codes and scales.

    Args:
      program: recorded.
      explicit_state: the states of a stream are further inputs and outputs, in the order of
        `program.states`, instead of resource variables.

    Raises:
      BadInput: the program holds something that TFLite Micro cannot run; names the layer.
      RuntimeError: the converter failed, or changed the graph.
    """
    support.require(program)
    weights = {op.name: _real_weights(program, op) for op in program.operations}
    skeleton = flatbuffer.read(_convert(_forward(program, weights, _composite), program))
    model = legalize(skeleton, program, explicit_state)
    flatbuffer.slim(model)
    return flatbuffer.write(model)


def to_float_tflite(program: Program, weights: Weights) -> bytes:
    """The operations of a program in float32: what the integer file is compared with.

    Args:
      program: structure; its codes and scales are not used.
      weights: by the operation's name, real (kernel, bias) of one with weights, (values,) of a
        constant.

    Raises:
      RuntimeError: the converter failed.
    """
    model = flatbuffer.read(_convert(_forward(program, weights, _plain), program))
    flatbuffer.slim(model)
    return flatbuffer.write(model)


def _forward(program: Program, weights: Weights, wrap: Wrap) -> Forward:
    """The program on real values."""

    def forward(x: jax.Array, *states: jax.Array) -> tuple[jax.Array, ...]:
        values = {program.inputs[0]: x}
        before = dict(zip((op.name for op in program.states), states, strict=True))
        constants = {
            op.output: weights[op.name][0][None]
            for op in program.operations
            if op.kind == "constant"
        }
        for index, op in enumerate(program.operations):
            if op.kind == "constant":
                continue
            if op.kind == "read_state":
                values[op.output] = wrap(index, lambda state: state * 1)(before[op.name])
                continue
            sources = [name for name in op.inputs if name not in constants]
            function = wrap(index, _real(program, op, weights, sources, constants))
            values[op.output] = function(*(values[name] for name in sources))
        written = (op.output for op in program.operations if op.kind == "write_state")
        return tuple(values[name] for name in (*program.outputs, *written))

    return forward


def _composite(index: int, function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    return lax.composite(lambda *x, **_: function(*x), name=f"{COMPOSITE_PREFIX}{index}")


def _plain(index: int, function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    return function


def _real(
    program: Program,
    op: Operation,
    weights: Weights,
    sources: list[str],
    constants: Mapping[str, np.ndarray],
) -> Callable[..., jax.Array]:
    """The operation on the real values of `sources`, its inputs that are not constant."""
    target = program.edges[op.output]

    def run(*values: jax.Array) -> jax.Array:
        known = {**constants, **dict(zip(sources, values, strict=True))}
        inputs = tuple(known[name] for name in op.inputs)
        if op.kind in support.WEIGHTED:
            kernel, bias = weights[op.name]
            y = _linear(op, inputs[0], jnp.asarray(kernel)) + np.asarray(bias, np.float32)
        else:
            real = KINDS[op.kind].real
            assert real is not None
            y = real(inputs, op.attributes)
        return _activated(op, target, y)

    return run


def _activated(op: Operation, target: Edge, y: jax.Array) -> jax.Array:
    if "low" not in op.attributes:
        return y
    if "most" in op.attributes:
        return jnp.clip(y, 0, op.attributes["most"])
    activation = support.activation(op, target)
    if activation == "RELU":
        return jnp.maximum(y, 0)
    return jnp.clip(y, 0, 6) if activation == "RELU6" else y


def _linear(op: Operation, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's own convolutions and dots: what the converter knows."""
    if op.kind == "dense":
        if x.ndim != 4:
            return x @ kernel
        # The converter (TensorFlow 2.21) makes a product of the wrong rank of a dot of four axes.
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            x, kernel[None, None], (1, 1), "VALID", dimension_numbers=numbers
        )
    if op.kind == "depthwise_conv2d":
        kernel, groups = kernel[:, :, None, :], x.shape[-1]
    else:
        groups = x.shape[-1] // kernel.shape[2]
    return lax.conv_general_dilated(
        x,
        kernel,
        op.attributes["strides"],
        op.attributes["padding"],
        rhs_dilation=op.attributes["dilation"],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def _real_weights(program: Program, op: Operation) -> tuple[np.ndarray, ...]:
    """Real kernel and bias of the codes, or values of a constant."""
    if op.kind == "constant":
        edge = program.edges[op.output]
        codes = op.constants["codes"].astype(np.float32)
        return ((codes - edge.zero_point) * np.float32(edge.scale),)
    if op.kind not in support.WEIGHTED:
        return ()
    scale = op.constants["weight_scale"].astype(np.float64)
    kernel = op.constants["weights"] * scale
    bias = op.constants["bias"] * (scale * program.edges[op.inputs[0]].scale)
    return kernel.astype(np.float32), bias.astype(np.float32)


def _convert(forward: Forward, program: Program) -> bytes:
    with _captured_stderr() as log:
        try:
            return _run_converter(forward, program)
        except Exception as error:
            log.seek(0)
            tail = log.read()[-LOG_TAIL_CHARACTERS:].decode(errors="replace").strip()
            raise RuntimeError(f"conversion to TFLite failed: {error}\n{tail}") from error


def _run_converter(forward: Forward, program: Program) -> bytes:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _without_keras():
        import tensorflow as tf
    from jax.experimental import jax2tf

    names = *program.inputs, *(op.output for op in program.states)
    # Lowered for CPU wherever this runs: the converter reads the operations, never executes them.
    function = jax2tf.convert(forward, with_gradient=False, native_serialization_platforms=("cpu",))
    signature = [tf.TensorSpec((1, *program.edges[name].shape), tf.float32) for name in names]
    function = tf.function(function, autograph=False, input_signature=signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], tf.Module()
    )
    return converter.convert()


@contextlib.contextmanager
def _without_keras() -> Iterator[None]:
    """TensorFlow loads Keras if it can, which is nearly half of its import and not for us."""
    is_new = "keras" not in sys.modules and "tensorflow" not in sys.modules
    if is_new:
        sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if is_new:
            del sys.modules["keras"]


@contextlib.contextmanager
def _captured_stderr() -> Iterator[IO[bytes]]:
    """Sends this process's standard error, C++ included, to a file for the time being."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield log
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
