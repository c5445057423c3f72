"""The recording reading: the quantized reading plus a notebook that writes down a program."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.compression.recipe import Recipe
from aqtaudio.program.compiler import compiled
from aqtaudio.program.program import Edge, Operation, Program
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.signal import Signal, start

DTYPES = {"weights": np.int8, "weight_scale": np.float32}
TRAINING_ONLY = ("bias_steps",)


class _Notebook:
    """Structure is noted while tracing; arrays are noted as tracers and returned by the trace."""

    def __init__(self):
        self.signals: list[Signal] = []
        self.operations: list[tuple[str, tuple[str, ...], str, dict[str, Any]]] = []
        self.constants: list[dict[str, jax.Array]] = []

    def edge(self, signal: Signal) -> None:
        if any(signal.edge == known.edge for known in self.signals):
            raise ValueError(f"two edges are called {signal.edge!r}")
        self.signals.append(signal)

    def operation(self, kind, inputs, output, attributes, constants) -> None:
        self.edge(output)
        names = tuple(signal.edge for signal in inputs)
        self.operations.append((kind, names, output.edge, attributes))
        self.constants.append({k: v for k, v in constants.items() if k not in TRAINING_ONLY})


def record(
    model: nn.Module, variables: dict[str, Any], feature_shape: tuple[int, ...], recipe: Recipe
) -> Program:
    """Writes down the program of a folded, calibrated model.

    Compiled as training is, because AQT's scales differ by an ulp between eager and compiled code.

    Args:
      model: made of vocabulary layers.
      variables: {"params": ..., "ranges": ...}.
      feature_shape: of one input, without the batch axis.
      recipe: the recipe that the model was trained with.
    """
    notebook = _Notebook()

    def trace(variables: dict[str, Any], features: jax.Array):
        out = model.apply(variables, start(features, Quantized(recipe, notebook=notebook)))
        scales = [signal.scale for signal in notebook.signals]
        return scales, notebook.constants, out.scale

    features = jnp.zeros((1, *feature_shape), jnp.float32)
    scales, constants, _ = jax.device_get(compiled(trace)(variables, features))
    edges = {
        signal.edge: Edge(
            name=signal.edge,
            shape=tuple(signal.shape),
            scale=float(scale),
            zero_point=signal.zero_point,
            bits=signal.bits,
        )
        for signal, scale in zip(notebook.signals, scales, strict=True)
    }
    operations = tuple(
        Operation(kind, output, inputs, output, attributes, _stored(arrays, edges[output]))
        for (kind, inputs, output, attributes), arrays in zip(
            notebook.operations, constants, strict=True
        )
    )
    return Program(edges, operations, (notebook.signals[0].edge,), (operations[-1].output,))


def _stored(arrays: dict[str, np.ndarray], output: Edge) -> dict[str, np.ndarray]:
    dtypes = DTYPES | {"codes": output.dtype}
    return {name: np.asarray(a).astype(dtypes.get(name, np.int32)) for name, a in arrays.items()}
