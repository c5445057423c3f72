"""Bits per layer as a search space: what a model lets one choose, and a choice as recipe rules.

CHOICES = bit_choices(EXPERIMENT)
STUDY = Search("bits", EXPERIMENT, CHOICES, lambda bits: {"recipe": Recipe(rules=rules(bits))})
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.recipe import W4A4, Rule
from aqtaudio.vocabulary.edges import Fixed, Own
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.linear import Linear
from aqtaudio.vocabulary.owner import Owner
from aqtaudio.vocabulary.signal import start

Bits = tuple[int, int]
"""(weight bits, activation bits) of a layer."""

REST = Rule()
NARROW_CALIBRATION = W4A4.rules[0].calibration


@dataclasses.dataclass
class Adjustable:
    """What of a layer has bits to choose.

    Attributes:
      weights: it has a kernel: 8 or 4 bits.
      relu: it has an edge that starts at zero, which may have 4 bits; signed ones keep 8.
    """

    weights: bool = False
    relu: bool = False


@dataclasses.dataclass(frozen=True)
class _Looking(Floating):
    """The floating reading, which notes what layers have."""

    found: dict[str, Adjustable] = dataclasses.field(default_factory=dict, compare=False)

    def weights(self, layer: Owner, part: str, kernel: jax.Array, linear: Linear) -> jax.Array:
        self._of(layer).weights = True
        return kernel

    def edge(self, layer: Owner, part: str, y: jax.Array, edge: Own | Fixed) -> jax.Array:
        self._of(layer).relu |= isinstance(edge, Own) and edge.relu
        return y

    def _of(self, layer: Owner) -> Adjustable:
        return self.found.setdefault(layer.label, Adjustable())


def adjustable_layers(model: nn.Module, feature_shape: tuple[int, ...]) -> dict[str, Adjustable]:
    """The layers of a model that have bits to choose, in its order. Nothing is computed.

    Args:
      model: made of vocabulary layers.
      feature_shape: of one input, without the batch axis.
    """
    reading = _Looking()
    features = jax.ShapeDtypeStruct((1, *feature_shape), jnp.float32)
    try:
        jax.eval_shape(lambda x: model.init(jax.random.key(0), start(x, reading)), features)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise BadInput(f"a model of these settings cannot be built: {error}") from error
    return {name: layer for name, layer in reading.found.items() if layer.weights or layer.relu}


def bit_choices(
    experiment: Experiment, bits: Sequence[Bits] = ((8, 8), (4, 8), (8, 4), (4, 4))
) -> dict[str, tuple[Bits, ...]]:
    """Layer -> the members of `bits` that differ for it: the space of a `Search`.

    Where a layer has no weights, or no edge that can have 4 bits, 8 stands for both.
    """
    for pair in bits:
        _require_bits("bits", pair)

    def fitting(layer: Adjustable) -> tuple[Bits, ...]:
        pairs = [(w if layer.weights else 8, a if layer.relu else max(a, 8)) for w, a in bits]
        return tuple(dict.fromkeys(pairs))

    layers = adjustable_layers(experiment.built_model(), experiment.setup.feature_shape)
    return {name: fitting(layer) for name, layer in layers.items()}


def rules(allocation: Mapping[str, Bits], rest: Rule | None = REST) -> tuple[Rule, ...]:
    """One rule per layer, in order, for exactly that layer, and `rest` for all others.

    Args:
      allocation: layer -> its bits.
      rest: its further settings (penalty, calibration) are those of every rule; layers of 4-bit
        activations are calibrated as W4A4 is. None: a layer without bits is an error. Layers
        without weights, the input among them, need a rule too.
    """
    like = rest or Rule()
    made = []
    for name, pair in allocation.items():
        _require_bits(name, pair)
        weight_bits, activation_bits = pair
        narrow = {"calibration": NARROW_CALIBRATION} if activation_bits == 4 else {}
        settings = {"weight_bits": weight_bits, "activation_bits": activation_bits, **narrow}
        made.append(dataclasses.replace(like, pattern=re.escape(name), **settings))
    return tuple(made) if rest is None else (*made, rest)


def bits_label(allocation: Mapping[str, Bits]) -> str:
    """An allocation in a word, layers in order: `w8.4.4.8/a8.4.8.8`."""
    weights, activations = (".".join(str(pair[i]) for pair in allocation.values()) for i in (0, 1))
    return f"w{weights}/a{activations}"


def _require_bits(name: str, pair: object) -> None:
    if not (isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2):
        raise BadInput(f"{name}: bits are {pair!r}; allowed: (weight bits, activation bits)")
    Rule(weight_bits=pair[0], activation_bits=pair[1])
