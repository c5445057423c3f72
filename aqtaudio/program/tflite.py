"""A program as a TFLite file, through jax2tf and the TFLite converter.

The program becomes a float JAX function in which every weight and every edge carries a
`quant.fake_quant` composite with our scale; the converter in strict QDQ mode turns it into integer
operators. What it stored is then read back and compared with the program, code by code.

TensorFlow is imported by `to_tflite` only. Importing it takes seconds.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from aqtaudio.program import flatbuffer, stored
from aqtaudio.program.program import Edge, Operation, Program

LOG_TAIL_CHARACTERS = 2000
Forward = Callable[[jax.Array], jax.Array]
Weights = Mapping[str, tuple[np.ndarray, np.ndarray]]


def to_tflite(program: Program) -> bytes:
    """The program as a TFLite file: int8 in and out, the program's codes and scales.

    Raises:
      BadInput: the program holds something that TFLite Micro cannot run; names the layer.
      RuntimeError: the converter failed, or changed the meaning of the program.
    """
    stored.require_supported(program)
    model = flatbuffer.read(_convert_quantized(program))
    stored.restore_biases(model, program)
    flatbuffer.slim(model)
    blob = flatbuffer.write(model)
    stored.verify(flatbuffer.read(blob), program)
    return blob


def _convert_quantized(program: Program) -> bytes:
    return _convert(_forward(program), program, quantized=True)


def to_float_tflite(program: Program, weights: Weights) -> bytes:
    """The operations of a program in float32: what the quantized file is compared with.

    Args:
      program: structure; its codes and scales are not used.
      weights: real (kernel, bias) of every operation that has weights, by the operation's name.

    Raises:
      RuntimeError: the converter failed.
    """
    model = flatbuffer.read(_convert(_float_forward(program, weights), program, quantized=False))
    flatbuffer.slim(model)
    return flatbuffer.write(model)


def _convert(forward: Forward, program: Program, quantized: bool) -> bytes:
    with _captured_stderr() as log:
        try:
            return _run_converter(forward, program, quantized)
        except Exception as error:
            log.seek(0)
            tail = log.read()[-LOG_TAIL_CHARACTERS:].decode(errors="replace").strip()
            raise RuntimeError(f"conversion to TFLite failed: {error}\n{tail}") from error


def _run_converter(forward: Forward, program: Program, quantized: bool) -> bytes:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf
    from jax.experimental import jax2tf

    shape = program.edges[program.inputs[0]].shape
    # Lowered for CPU wherever this runs: the converter reads the operations, never executes them.
    function = jax2tf.convert(forward, with_gradient=False, native_serialization_platforms=("cpu",))
    signature = [tf.TensorSpec((1, *shape), tf.float32)]
    function = tf.function(function, autograph=False, input_signature=signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], tf.Module()
    )
    if quantized:
        converter._experimental_strict_qdq = True
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def _float_forward(program: Program, weights: Weights) -> Forward:
    def forward(x: jax.Array) -> jax.Array:
        values = {program.inputs[0]: x}
        for op in program.operations:
            source = values[op.inputs[0]]
            if op.name in weights:
                kernel, bias = weights[op.name]
                y = _linear(op, source, _in_layout(op, kernel)) + np.asarray(bias, np.float32)
                y = _activated(op, program.edges[op.output], y)
            else:
                y = _unweighted(op, source)
            values[op.output] = y
        return values[program.outputs[0]]

    return forward


def _forward(program: Program) -> Forward:
    def forward(x: jax.Array) -> jax.Array:
        values = {program.inputs[0]: _on_grid(x, program.edges[program.inputs[0]])}
        for op in program.operations:
            edge = program.edges[op.output]
            y = _operation(op, program.edges[op.inputs[0]], edge, values[op.inputs[0]])
            values[op.output] = _on_grid(y, edge)
        return values[program.outputs[0]]

    return forward


def _operation(op: Operation, source: Edge, target: Edge, x: jax.Array) -> jax.Array:
    if "weights" not in op.constants:
        return _unweighted(op, x)
    y = _linear(op, x, _quantized_kernel(op))
    scale = source.scale * op.constants["weight_scale"].astype(np.float64)
    bias = (op.constants["bias"] * scale).astype(np.float32)
    return _activated(op, target, y + bias.reshape((1,) * (y.ndim - 1) + (-1,)))


def _activated(op: Operation, target: Edge, y: jax.Array) -> jax.Array:
    activation = stored.activation(op, target)
    if activation == "RELU":
        return jnp.maximum(y, 0)
    return jnp.clip(y, 0, 6) if activation == "RELU6" else y


def _unweighted(op: Operation, x: jax.Array) -> jax.Array:
    if op.kind == "reshape":
        return x.reshape(1, *op.attributes["shape"])
    window, strides = (1, *op.attributes["window"], 1), (1, *op.attributes["strides"], 1)
    total = lax.reduce_window(x, np.float32(0), lax.add, window, strides, "VALID")
    return total / np.float32(np.prod(window))


def _quantized_kernel(op: Operation) -> jax.Array:
    scale = op.constants["weight_scale"]
    weights = _in_layout(op, op.constants["weights"].astype(np.float32) * scale)
    dtype = "i4" if op.attributes["weight_bits"] == 4 else "i8"
    return _fake_quant(weights, scale, 0, dtype, narrow=True)


def _in_layout(op: Operation, weights: np.ndarray) -> jax.Array:
    """HWIO also for depthwise weights HWC."""
    if op.kind == "depthwise_conv2d":
        weights = weights[:, :, None, :]
    return jnp.asarray(weights, jnp.float32)


def _linear(op: Operation, x: jax.Array, kernel: jax.Array) -> jax.Array:
    if op.kind == "dense":
        return x @ kernel
    return lax.conv_general_dilated(
        x,
        kernel,
        op.attributes["strides"],
        op.attributes["padding"],
        rhs_dilation=op.attributes["dilation"],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=kernel.shape[3] if op.kind == "depthwise_conv2d" else 1,
    )


def _on_grid(x: jax.Array, edge: Edge) -> jax.Array:
    return _fake_quant(x, np.array([edge.scale], np.float32), edge.zero_point, "i8", narrow=False)


def _fake_quant(
    x: jax.Array, scale: np.ndarray, zero_point: int, dtype: str, narrow: bool
) -> jax.Array:
    """Marks `x` as quantized; `scale` [1], or [C] along the last axis.

    The converter reads the attributes and drops the decomposition, which is therefore trivial.
    """
    attributes: dict[str, Any] = {
        "scale": scale,
        "zero_point": np.full(scale.shape, zero_point, np.int64),
        "dtype": dtype,
        "narrow_range": narrow,
    }
    if scale.size > 1:
        attributes["quantization_dimension"] = np.int32(x.ndim - 1)
    return lax.composite(lambda x, **_: x * 1, name="quant.fake_quant")(x, **attributes)


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
