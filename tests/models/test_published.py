"""Trainable parameters against the counts of papers and their repositories, difference explained.

Ours are counted with batch norm's gains; a layer's bias is batch norm's offset where it has one.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from cases import TC14

from aqtaudio.models.bc_resnet import BCResNet
from aqtaudio.models.conformer import Conformer
from aqtaudio.models.crnn import CRNN
from aqtaudio.models.gru import KeywordGRU
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.models.mhatt_rnn import MHAttRNN
from aqtaudio.models.svdf import SVDF
from aqtaudio.models.tc_resnet import TCResNet
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.layer_tree import Layers, flatten
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized(False)


def trainable(model: nn.Module, features: tuple[int, int]) -> Layers:
    """Parameters by layer, as shapes."""
    signal = start(jnp.zeros((1, *features)), Floating())
    return flatten(jax.eval_shape(model.init, jax.random.key(0), signal)["params"])


def size(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def none(layers: Layers) -> int:
    return 0


def biases(layers: Layers) -> int:
    """Where the original has neither bias nor batch norm."""
    return sum(
        layer["bias"].size
        for name, layer in layers.items()
        if "gamma" not in layer and name != "logits"
    )


def bc_resnet(layers: Layers) -> int:
    """Also, a sub-spectral norm is a convolution of one tap, whose kernel is as good as a gain."""
    gains = (layer["kernel"] for name, layer in layers.items() if "sub_spectral" in name)
    return biases(layers) + size(list(gains))


def matchbox_net(layers: Layers) -> int:
    """The count is of kws_streaming's, whose last block has a depthwise kernel of one tap."""
    return biases(layers) - layers["last"]["kernel"].shape[2]


def svdf(layers: Layers) -> int:
    """Filters over features have no bias there."""
    return sum(layer["bias"].size for name, layer in layers.items() if "features" in name)


def mhatt_rnn(layers: Layers) -> int:
    """Its batch norm follows the relu: the convolution's bias is not batch norm's offset."""
    return -sum(layer["gamma"].size for layer in layers.values() if "gamma" in layer)


COUNTS: dict[str, tuple[nn.Module, tuple[int, int], int, Callable[[Layers], int]]] = {
    "tc_resnet_8": (TCResNet(), (98, 40), 65_180, none),
    "tc_resnet_14": (TCResNet(channels=TC14), (98, 40), 135_868, none),
    "tc_resnet_14_1.5": (TCResNet(channels=TC14, width=1.5), (98, 40), 303_012, none),
    "bc_resnet_1": (BCResNet(width=8), (98, 40), 9232, bc_resnet),
    "bc_resnet_1.5": (BCResNet(width=12), (98, 40), 17_154, bc_resnet),
    "bc_resnet_2": (BCResNet(width=16), (98, 40), 27_284, bc_resnet),
    "bc_resnet_3": (BCResNet(width=24), (98, 40), 54_168, bc_resnet),
    "bc_resnet_6": (BCResNet(width=48), (98, 40), 187_812, bc_resnet),
    "bc_resnet_8": (BCResNet(width=64), (98, 40), 321_068, bc_resnet),
    "matchbox_3x1x64": (MatchboxNet(), (98, 40), 71_684, matchbox_net),
    "matchbox_3x1x64_causal": (MatchboxNet(causal=True), (98, 40), 71_684, matchbox_net),
    "matchbox_3x1x64_v2_35": (MatchboxNet(classes=35), (128, 64), 77_987, matchbox_net),
    "matchbox_3x2x64": (MatchboxNet(repeats=2), (98, 40), 87_236, matchbox_net),
    "matchbox_3x2x64_v2_35": (MatchboxNet(classes=35, repeats=2), (128, 64), 93_539, matchbox_net),
    "crnn": (CRNN(), (49, 20), 467_772, none),
    "gru": (KeywordGRU(), (49, 20), 593_836, none),
    "svdf": (SVDF(), (49, 30), 354_444, svdf),
    "mhatt_rnn": (MHAttRNN(), (49, 20), 743_025, mhatt_rnn),
    "mhatt_rnn_newer": (MHAttRNN(hidden=(64,)), (98, 40), 756_689, mhatt_rnn),
}


# Other widths and classes of what is counted every time.
SLOW = ("tc_resnet_14_1.5", "matchbox_3x1x64_v2_35", "matchbox_3x2x64_v2_35", "mhatt_rnn_newer")
SLOW += tuple(f"bc_resnet_{width}" for width in ("1.5", "2", "3", "6"))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in COUNTS],
)
def test_parameters_are_the_published_ones(name: str):
    model, features, published, extra = COUNTS[name]
    layers = trainable(model, features)
    assert size(layers) - extra(layers) == published


def test_conformer():
    """By hand: the published 118.8 M (L) include relative positions and a decoder."""
    d, hidden = 512, 2048
    norm, square = 2 * d, d * d + d
    feed_forward = norm + (d * hidden + hidden) + (hidden * d + d)
    convolution = norm + 2 * square + (32 * d + d) + norm + square
    attention = norm + 4 * square
    block = 2 * feed_forward + convolution + attention + norm
    front = (9 * d + d) + (9 * d * d + d) + (20 * d * d + d)
    found = size(trainable(Conformer(), (98, 80)))
    assert found == front + 17 * block + (12 * d + 12) == 110_652_428
