"""The recording reading: the quantized reading plus a notebook that writes down a program."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.program import support
from aqtaudio.program.compiler import compiled
from aqtaudio.program.depth_first import depth_first
from aqtaudio.program.loops import looped
from aqtaudio.program.portable import changes, portable
from aqtaudio.program.program import Edge, Operation, Program
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.signal import Signal, start

DTYPES = {"weights": np.int8, "weight_scale": np.float32}
REAL = ("real_kernel", "real_bias", "real")
"""What codes were made from; a program does not keep it."""
TRAINING_ONLY = ("bias_steps", *REAL)


class _Notebook:
    """Structure is noted while tracing; arrays are noted as tracers and returned by the trace."""

    def __init__(self):
        self.signals: list[Signal] = []
        self.operations: list[tuple[str, tuple[str, ...], str, dict[str, Any]]] = []
        self.constants: list[dict[str, jax.Array]] = []
        self.real: dict[str, tuple[jax.Array, ...]] = {}
        self.output = ""

    def edge(self, signal: Signal) -> None:
        if any(signal.edge == known.edge for known in self.signals):
            raise ValueError(f"two edges are called {signal.edge!r}")
        self.signals.append(signal)

    def operation(self, kind, inputs, output, attributes, constants) -> None:
        self.edge(output)
        names = tuple(signal.edge for signal in inputs)
        self.operations.append((kind, names, output.edge, attributes))
        self.constants.append({k: v for k, v in constants.items() if k not in TRAINING_ONLY})
        self.real[output.edge] = tuple(constants[name] for name in REAL if name in constants)

    def program(self, scales: list[float], constants: list[dict[str, Any]]) -> Program:
        """What was written down, with the values of its scales and arrays."""
        edges = {
            signal.edge: Edge(
                signal.edge, tuple(signal.shape), scale, signal.zero_point, signal.bits
            )
            for signal, scale in zip(self.signals, scales, strict=True)
        }
        shared: dict[Any, np.ndarray] = {}
        operations = tuple(
            Operation(
                kind, output, inputs, output, attributes, _stored(arrays, edges[output], shared)
            )
            for (kind, inputs, output, attributes), arrays in zip(
                self.operations, constants, strict=True
            )
        )
        return Program(edges, operations, (self.signals[0].edge,), (self.output,))


Variables = dict[str, Any]


def record(
    model: nn.Module,
    variables: Variables,
    feature_shape: tuple[int, ...],
    recipe: Recipe,
    stream: bool = False,
) -> Program:
    """Writes down the program of a folded, calibrated model.

    Compiled as training is, because AQT's scales differ by an ulp between eager and compiled code.

    Args:
      model: made of vocabulary layers.
      variables: {"params": ..., "ranges": ...}.
      feature_shape: of one input, without the batch axis.
      recipe: the recipe that the model was trained with.
      stream: the program of one block of a stream, with state; `feature_shape` is the block's, and
        `variables` have a "clip" collection (`clip`) where the model sees whole clips.

    Raises:
      BadInput: the recipe asks for what the target cannot run; says which rule, layer and reason.
    """
    program = record_real(model, variables, feature_shape, recipe, stream)[0]
    program = depth_first(program, recipe.striped_to, recipe.stripes)
    program = portable(program) if recipe.kernels == "everywhere" else program
    return looped(program) if recipe.loops else program


Real = dict[str, tuple[np.ndarray, ...]]


def record_real(
    model: nn.Module,
    variables: Variables,
    feature_shape: tuple[int, ...],
    recipe: Recipe,
    stream: bool = False,
    is_served: bool = True,
) -> tuple[Program, Real]:
    """As `record`, and what the codes of its constants were made from, by operation.

    (kernel, bias) of an operation with weights, (values,) of a constant: the float model. Where the
    integers are not `is_served`, only its operations are looked at, not their scales.
    """
    notebook = _Notebook()
    features = jnp.zeros((1, *feature_shape), jnp.float32)
    trace = _trace(model, recipe, notebook, stream)
    scales, constants, real = jax.device_get(compiled(trace)(variables, features))
    program = notebook.program([float(scale) for scale in scales], constants)
    with _blaming(recipe):
        (support.require if is_served else support.require_form)(program)
        if recipe.target == "litert" and is_served:
            support.require_litert(program)
    return program, real


def clip(model: nn.Module, variables: Variables, feature_shape: tuple[int, ...]) -> Variables:
    """The "clip" collection: how many frames layers that see a whole clip see.

    Streams need it beside "params" and "ranges". Nothing is computed.
    """

    leaves, structure = jax.tree.flatten(jax.eval_shape(lambda tree: tree, variables))
    shapes = _clip_shapes(model, structure, tuple(leaves), feature_shape)
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


@functools.lru_cache(maxsize=16)
def _clip_shapes(
    model: nn.Module, structure: Any, leaves: tuple[Any, ...], feature_shape: tuple[int, ...]
) -> Variables:
    """Traced once: a run asks for it five times."""

    def trace(variables: Variables, features: jax.Array) -> Variables:
        return model.apply(variables, start(features, Floating()), mutable=["clip"])[1]

    features = jax.ShapeDtypeStruct((1, *feature_shape), jnp.float32)
    return jax.eval_shape(trace, structure.unflatten(leaves), features)


def require_recordable(
    model: nn.Module,
    variables: Variables,
    feature_shape: tuple[int, ...],
    recipe: Recipe,
    stream: bool = False,
) -> list[str]:
    """Raises BadInput for what `record` is bound to refuse, whatever the values of `variables`.

    Nothing is computed: arrays may be shapes. Returns what the recipe's rules get instead of what
    they ask for, so that the program is right on all kernels: a line per reason.
    """
    notebook = _Notebook()
    features = jax.ShapeDtypeStruct((1, *feature_shape), jnp.float32)
    trace = _trace(model, recipe, notebook, stream)
    scales, constants, _ = jax.eval_shape(trace, variables, features)
    program = notebook.program([1.0] * len(scales), constants)
    with _blaming(recipe):
        support.require_form(program)
    depth_first(program, recipe.striped_to, recipe.stripes)
    return [] if recipe.kernels == "reference" else _replaced(program, recipe)


def _replaced(program: Program, recipe: Recipe) -> list[str]:
    changed = list(changes(program))
    for op in program.operations:
        rule = _rule_of(op.name, recipe)
        if rule and rule.weight_bits == 4 and op.attributes.get("weight_bits") == 8:
            changed.append((op.name, "8 bits: CMSIS-NN or LiteRT computes it wrong in 4"))
    texts = dict.fromkeys(text for _, text in changed)
    return [
        f"{', '.join(name for name, reason in changed if reason == text)}: {text} "
        "(recipe.kernels reference: as the rules say)"
        for text in texts
    ]


def _rule_of(operation: str, recipe: Recipe) -> Rule | None:
    """The rule of the layer that an operation belongs to: of the longest path that has one."""
    parts = operation.split("/")
    prefixes = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((rule for prefix in prefixes if (rule := _matching(recipe, prefix))), None)


def _trace(model: nn.Module, recipe: Recipe, notebook: _Notebook, stream: bool = False):
    def trace(variables: Variables, features: jax.Array):
        signal = start(features, Quantized(recipe, notebook=notebook))
        out = model.apply(variables, signal, mutable=["state"] if stream else False)
        out = out[0] if stream else out
        notebook.output = out.edge
        return [signal.scale for signal in notebook.signals], notebook.constants, notebook.real

    return trace


@contextlib.contextmanager
def _blaming(recipe: Recipe) -> Iterator[None]:
    """Puts the rule at fault before what a target cannot run."""
    try:
        yield
    except support.Unsupported as error:
        rule = _rule_of(error.layer, recipe)
        if rule is None:
            raise
        raise BadInput(f"recipe rule {rule.pattern!r}, layer {error}") from error


def _matching(recipe: Recipe, path: str) -> Rule | None:
    """The rule for a path; None for a path that is no layer's."""
    try:
        return recipe.rule(path)
    except BadInput:
        return None


def _stored(arrays: dict[str, Any], output: Edge, shared: dict[Any, np.ndarray]) -> dict[str, Any]:
    """Arrays in the types that programs keep; shapes without values as they are.

    Equal arrays become one, in `shared`: the frames of a recurrent layer have the same weights.
    """
    dtypes = DTYPES | {"codes": output.dtype}

    def stored(name: str, array: Any) -> Any:
        if not isinstance(array, np.ndarray):
            return array
        array = array.astype(dtypes.get(name, np.int32))
        return shared.setdefault((array.dtype, array.shape, array.tobytes()), array)

    return {name: stored(name, array) for name, array in arrays.items()}
