"""Laws of bits per layer: what can be chosen is what the program has, and a choice is kept."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from cases import MODELS, Case
from corpus import EXPERIMENT

from aqtaudio.compression.fold import fold
from aqtaudio.errors import BadInput
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.recipe import W4A4, W8A8, Recipe, Rule
from aqtaudio.sweep.bit_allocation import adjustable_layers, bit_choices, bits_label, rules
from aqtaudio.vocabulary import layers as L
from aqtaudio.vocabulary.fake import Calibrating
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized(False)

# Per kind of model one of each form; the published sizes say nothing new.
FAST = ("ds_cnn_small", "tc_resnet_small", "gru_small", "svdf_small")
KINDS = [
    pytest.param(case, marks=() if case.name in FAST else pytest.mark.slow)
    for case in MODELS
    if "small" in case.name
]


class Notebook:
    """Edges of a program with 4-bit weights, with 4-bit codes."""

    def __init__(self):
        self.weights: set[str] = set()
        self.activations: set[str] = set()

    def edge(self, signal):
        pass

    def operation(self, kind, inputs, output, attributes, constants):
        if attributes.get("weight_bits") == 4:
            self.weights.add(output.edge)
        # Where an operation only moves codes, they are its input's.
        if output.bits == 4 and output.owner == output.edge.split("/t")[0]:
            self.activations.add(output.owner)


def quantized(model: nn.Module, features: tuple[int, int], recipe: Recipe) -> Notebook:
    """What is noted while the model is traced, with nothing computed."""
    notebook = Notebook()

    def run():
        x = jnp.zeros((1, *features))
        variables = model.init(jax.random.key(0), start(x, Floating()))
        params = fold(variables["params"], variables.get("batch_stats", {}))
        ranges = model.apply({"params": params}, start(x, Calibrating(recipe)), mutable=["ranges"])
        signal = start(x, Quantized(recipe, notebook=notebook))
        return model.apply({"params": params, **ranges[1]}, signal).values

    jax.eval_shape(run)
    return notebook


def of_layers(edges: set[str], layers: set[str]) -> set[str]:
    """The layers whose edges they are."""
    parts = [edge.split("/") for edge in edges]
    prefixes = [["/".join(p[:n]) for n in range(len(p), 0, -1)] for p in parts]
    return {next(prefix for prefix in some if prefix in layers) for some in prefixes}


def test_layers_of_the_first_model():
    found = bit_choices(EXPERIMENT)
    both, signed = ((8, 8), (4, 8), (8, 4), (4, 4)), ((8, 8), (4, 8))
    assert found == {"conv": both, "depthwise_1": both, "pointwise_1": both, "logits": signed}
    assert list(found) == ["conv", "depthwise_1", "pointwise_1", "logits"]


@pytest.mark.parametrize("case", KINDS, ids=lambda case: case.name)
def test_what_can_be_chosen_is_what_the_program_has(case: Case):
    """With 4 bits asked of everything, exactly the listed layers have 4 bits, where it is up to the
    reference kernels.
    """
    found = adjustable_layers(case.model, case.features)
    recipe = dataclasses.replace(W4A4, kernels="reference")
    program = quantized(case.model, case.features, recipe)
    layers = set(found)
    assert of_layers(program.weights, layers) == {n for n, layer in found.items() if layer.weights}
    assert of_layers(program.activations, layers) == {n for n, layer in found.items() if layer.relu}


def test_an_allocation_is_what_the_program_has():
    choices = bit_choices(EXPERIMENT)
    allocation = {name: pairs[i % len(pairs)] for i, (name, pairs) in enumerate(choices.items())}
    assert len(set(allocation.values())) > 2
    model, features = EXPERIMENT.built_model(), EXPERIMENT.setup.feature_shape
    program = quantized(model, features, Recipe(rules=rules(allocation)))
    assert program.weights == {name for name, (weights, _) in allocation.items() if weights == 4}
    assert program.activations == {name for name, (_, codes) in allocation.items() if codes == 4}


def test_uniform_allocations_are_the_uniform_recipes():
    choices = bit_choices(EXPERIMENT)
    all_eight = rules({name: pairs[0] for name, pairs in choices.items()})
    all_four = rules({name: pairs[-1] for name, pairs in choices.items()})
    for name in choices:
        eight, four = Recipe(rules=all_eight).rule(name), Recipe(rules=all_four).rule(name)
        assert dataclasses.replace(eight, pattern=".*") == W8A8.rules[0]
        if name != "logits":
            assert dataclasses.replace(four, pattern=".*") == W4A4.rules[0]


def test_rules_are_for_exactly_their_layer():
    made = Recipe(rules=rules({"block.1": (4, 8), "block": (8, 4)}))
    assert [made.rule(name).weight_bits for name in ("block.1", "block_1", "block")] == [4, 8, 8]
    assert made.rule("block").activation_bits == 4
    assert made.rule("block_1") == Rule()


def test_without_a_rest_other_layers_are_an_error():
    made = Recipe(rules=rules({"conv": (4, 8)}, rest=None))
    assert made.rule("conv").weight_bits == 4
    with pytest.raises(BadInput, match="no rule matches layer 'conv_2'"):
        made.rule("conv_2")


def test_settings_of_the_rest_are_everybodys():
    rest = Rule(weight_bits=4, svd_penalty=0.1, calibration="max")
    made = rules({"conv": (8, 8), "other": (8, 4)}, rest)
    assert [(r.weight_bits, r.svd_penalty, r.calibration) for r in made] == [
        (8, 0.1, "max"),
        (8, 0.1, "q0.999"),
        (4, 0.1, "max"),
    ]


def test_only_bits_that_were_asked_for():
    found = bit_choices(EXPERIMENT, [(4, 8), (4, 4)])
    assert found["conv"] == ((4, 8), (4, 4)) and found["logits"] == ((4, 8),)
    wide = bit_choices(EXPERIMENT, [(8, 16), (4, 4)])
    assert wide["logits"] == ((8, 16), (4, 8))


def test_a_relu_without_weights_has_activations_to_choose():
    class Residual(nn.Module):
        classes: int = 4

        @nn.compact
        def __call__(self, x):
            x = L.Input(x.shape, name="input")(x)
            y = L.Dense(x.shape[-1], name="dense")(x)
            x = L.Add(relu=True, name="sum")(x, y)
            return L.Dense(self.classes, name="logits")(L.Mean((0,), name="mean")(x))

    found = bit_choices(dataclasses.replace(EXPERIMENT, model=Residual()))
    eight_or_four = ((8, 8), (4, 8))
    assert found == {"dense": eight_or_four, "sum": ((8, 8), (8, 4)), "logits": eight_or_four}


def test_label():
    assert bits_label({"conv": (4, 8), "logits": (8, 16)}) == "w4.8/a8.16"


@pytest.mark.parametrize(
    "broken",
    [
        lambda: rules({"conv": (5, 8)}),
        lambda: rules({"conv": 8}),
        lambda: rules({"conv": "88"}),
        lambda: bit_choices(EXPERIMENT, [(8, 2)]),
        lambda: bit_choices(dataclasses.replace(EXPERIMENT, model=DSCNN(width=0))),
    ],
)
def test_what_makes_no_sense_is_refused(broken):
    with pytest.raises(BadInput):
        broken()
