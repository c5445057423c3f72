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
from collections.abc import Callable, Iterator
from typing import IO, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from aqtaudio.program import flatbuffer, stored
from aqtaudio.program.program import Edge, Operation, Program

LOG_TAIL_CHARACTERS = 2000


def to_tflite(program: Program) -> bytes:
    """The program as a TFLite file: int8 in and out, the program's codes and scales.

    Raises:
      BadInput: the program holds something that TFLite Micro cannot run; names the layer.
      RuntimeError: the converter failed, or changed the meaning of the program.
    """
    stored.require_supported(program)
    model = flatbuffer.read(_convert(program))
    stored.restore_biases(model, program)
    flatbuffer.slim(model)
    blob = flatbuffer.write(model)
    stored.verify(flatbuffer.read(blob), program)
    return blob


def _convert(program: Program) -> bytes:
    with _captured_stderr() as log:
        try:
            return _run_converter(program)
        except Exception as error:
            log.seek(0)
            tail = log.read()[-LOG_TAIL_CHARACTERS:].decode(errors="replace").strip()
            raise RuntimeError(f"conversion to TFLite failed: {error}\n{tail}") from error


def _run_converter(program: Program) -> bytes:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf
    from jax.experimental import jax2tf

    shape = program.edges[program.inputs[0]].shape
    # Lowered for CPU wherever this runs: the converter reads the operations, never executes them.
    forward = jax2tf.convert(
        _forward(program), with_gradient=False, native_serialization_platforms=("cpu",)
    )
    signature = [tf.TensorSpec((1, *shape), tf.float32)]
    function = tf.function(forward, autograph=False, input_signature=signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], tf.Module()
    )
    converter._experimental_strict_qdq = True
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def _forward(program: Program) -> Callable[[jax.Array], jax.Array]:
    def forward(x: jax.Array) -> jax.Array:
        values = {program.inputs[0]: _on_grid(x, program.edges[program.inputs[0]])}
        for op in program.operations:
            edge = program.edges[op.output]
            y = _operation(op, program.edges[op.inputs[0]], edge, values[op.inputs[0]])
            values[op.output] = _on_grid(y, edge)
        return values[program.outputs[0]]

    return forward


def _operation(op: Operation, source: Edge, target: Edge, x: jax.Array) -> jax.Array:
    if op.kind == "reshape":
        return x.reshape(1, *op.attributes["shape"])
    if op.kind == "average_pool":
        window, strides = (1, *op.attributes["window"], 1), (1, *op.attributes["strides"], 1)
        total = lax.reduce_window(x, np.float32(0), lax.add, window, strides, "VALID")
        return total / np.float32(np.prod(window))
    y = _product(op, x)
    scale = source.scale * op.constants["weight_scale"].astype(np.float64)
    bias = (op.constants["bias"] * scale).astype(np.float32)
    y = y + bias.reshape((1,) * (y.ndim - 1) + (-1,))
    activation = stored.activation(op, target)
    if activation == "RELU":
        return jnp.maximum(y, 0)
    return jnp.clip(y, 0, 6) if activation == "RELU6" else y


def _product(op: Operation, x: jax.Array) -> jax.Array:
    scale = op.constants["weight_scale"]
    weights = op.constants["weights"].astype(np.float32) * scale
    if op.kind == "depthwise_conv2d":
        weights = weights[:, :, None, :]
    dtype = "i4" if op.attributes["weight_bits"] == 4 else "i8"
    kernel = _fake_quant(jnp.asarray(weights), scale, 0, dtype, narrow=True)
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
