"""Every model, listed once: the laws run over these. And every recipe that they run with."""

import dataclasses
import functools
import runpy
from pathlib import Path

import flax.linen as nn
import pytest

from aqtaudio.models.bc_resnet import BCResNet
from aqtaudio.models.conformer import Conformer
from aqtaudio.models.crnn import CRNN
from aqtaudio.models.deep_filter_net import DeepFilterNet3
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.models.fast_enhancer import BASE, TINY, FastEnhancer
from aqtaudio.models.gru import KeywordGRU
from aqtaudio.models.gtcrn import GTCRN
from aqtaudio.models.l3_net import L3Net
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.models.mhatt_rnn import MHAttRNN
from aqtaudio.models.phone_encoder import PhoneEncoder
from aqtaudio.models.seanet import OFFLINE, STREAMING, SEANet
from aqtaudio.models.speech_embedding import SpeechEmbedding
from aqtaudio.models.streaming_attention import StreamingAttention
from aqtaudio.models.svdf import SVDF
from aqtaudio.models.tc_resnet import TCResNet
from aqtaudio.models.ul_unas import ULUNAS, Block
from aqtaudio.recipe import LowRank, Recipe, Rule


@dataclasses.dataclass(frozen=True)
class Case:
    """A model.

    Attributes:
      name: of the case.
      model: as a config holds it.
      features: (frames, features) of one input.
      params: once batch norm is folded; from the literature for published models.
      macs: of one input.
      zeros: weights that a program holds and no model trains.
    """

    name: str
    model: nn.Module
    features: tuple[int, int]
    params: int
    macs: int
    zeros: int = 0

    @property
    def classes(self) -> int:
        """Outputs, per clip or per frame; as many as inputs, of a model from wave to wave."""
        if isinstance(self.model, SEANet):
            return self.features[1]
        return getattr(self.model, "classes", None) or self.model.outputs


# Small enough that every law is cheap.
SMALL = Case("ds_cnn_small", DSCNN(classes=4, width=8, blocks=2), (20, 10), 668, 29_632)

# Hello Edge (arXiv:1711.07128), layers as in ML-KWS-for-MCU; MACs follow from the shapes.
PUBLISHED = (
    Case("ds_cnn_s", DSCNN(width=64), (49, 10), 22_604, 2_656_768),
    Case(
        "ds_cnn_m",
        DSCNN(width=172, strides=(2, 1), block_strides=(2, 2)),
        (49, 10),
        135_032,
        9_816_384,
    ),
    Case(
        "ds_cnn_l",
        DSCNN(width=276, blocks=5, strides=(2, 1), block_strides=(2, 2)),
        (49, 10),
        410_700,
        28_327_812,
    ),
)

_TC = TCResNet(classes=4, channels=(6, 6, 9), kernel=5)
_BC = BCResNet(classes=4, width=2, blocks=(1, 2, 1, 1))
_MATCHBOX = MatchboxNet(
    classes=4, width=4, repeats=2, first_kernel=3, kernels=(5,), last_kernel=5
)  # fmt: skip
_CRNN = CRNN(classes=4, width=2, units=6, hidden=(5, 6))

# One of every keyword model and form, worked out by hand layer by layer.
SMALL_KEYWORDS = (
    Case("tc_resnet_small", _TC, (16, 10), 1354, 14_508),
    Case("tc_resnet_small_causal", _TC.clone(causal=True), (16, 10), 1354, 14_508),
    Case("bc_resnet_small", _BC, (8, 40), 764, 26_904),
    Case("bc_resnet_small_causal", _BC.clone(causal=True), (8, 40), 764, 26_904),
    Case("matchbox_net_small", _MATCHBOX, (12, 10), 464, 4424),
    Case("matchbox_net_small_causal", _MATCHBOX.clone(causal=True), (12, 10), 464, 4424),
    Case(
        "matchbox_net_small_strided",
        _MATCHBOX.clone(causal=True, first_stride=3, first_full=True),
        (12, 10),
        584,
        2016,
    ),
    Case("ds_cnn_small_causal", SMALL.model.clone(causal=True), (20, 10), 668, 29_632),
    Case("crnn_small", _CRNN, (10, 8), 469, 2916),
    Case("crnn_small_causal", _CRNN.clone(causal=True), (10, 8), 469, 6084),
    Case("gru_small", KeywordGRU(classes=4, units=6, hidden=(5, 6)), (5, 8), 387, 1344),
    Case("svdf_small", SVDF(classes=4, memory=(2, 3, 3), width=6, projection=4), (8, 6), 300, 1164),
    Case(
        "mhatt_rnn_small",
        MHAttRNN(classes=4, width=2, units=4, heads=2, hidden=(6, 4)),
        (5, 8),
        989,
        4104,
    ),
    Case(
        "streaming_attention_small",
        StreamingAttention(classes=4, width=8, blocks=1, heads=2, window=3, kernel=3),
        (12, 8),
        836,
        4832,
    ),
    Case(
        "conformer_small",
        Conformer(
            classes=4, width=8, layers=1, heads=2, window=2, kernel=4, expansion=2, front=4
        ),  # fmt: skip
        (16, 8),
        1496,
        6816,
    ),
)

# Counts from the literature less batch norm's gains, see models/test_published.py; MACs follow
# from the shapes.
TC14 = (16, 24, 24, 32, 32, 48, 48)
PUBLISHED_KEYWORDS = (
    Case("tc_resnet_8", TCResNet(), (98, 40), 64_852, 1_522_560),
    Case("tc_resnet_14", TCResNet(channels=TC14), (98, 40), 135_332, 3_030_528),
    Case("bc_resnet_1", BCResNet(), (98, 40), 9332, 2_533_880),
    Case("bc_resnet_8", BCResNet(width=64), (98, 40), 321_868, 84_370_880),
    Case("matchbox_net_3x1x64", MatchboxNet(), (98, 40), 71_148, 6_711_792),
    Case("matchbox_net_3x2x64", MatchboxNet(repeats=2), (98, 40), 86_700, 8_198_256),
    Case("svdf", SVDF(), (49, 30), 355_980, 9_844_736),
)

_DEEP_FILTER = DeepFilterNet3(
    bands=8, filtered_bins=8, taps=3, channels=8, encoder_units=16, gain_units=16, filter_units=16,
    gain_layers=1, filter_layers=1, encoder_groups=2, groups=4, filter_groups=2,
)  # fmt: skip
_COMPACT = {"concat": True, "tied_upsampling": False, "pathway": False}

# Noise suppression: outputs per frame. In a program the tied taps are 48 more.
SMALL_ENHANCERS = (
    Case("deep_filter_small", _DEEP_FILTER, (3, 24), 6956, 33_120),
    Case("deep_filter_small_compact", _DEEP_FILTER.clone(**_COMPACT), (3, 24), 6906, 29_568),
)

# Noise suppression by masks of bands: every kind of block, with and without strides. Fixed weights
# of a program are zeros of blocks, and shares of rows.
_GTCRN = GTCRN(bands=5, channels=4, dilations=(2,), paths=1)
_UL_UNAS = ULUNAS(
    5,
    (
        Block("conv", 4, (3, 3), stride=2, groups=1),
        Block("inverted", 4, (2, 3), stride=2),
        Block("separable", 4, (1, 5)),
    ),
    1,
)
_FAST_ENHANCER = FastEnhancer(
    bins=16, channels=4, convolutions=1, rows=3, row_channels=4, blocks=1, heads=2
)
SMALL_MASKERS = (
    Case("gtcrn_small", _GTCRN, (3, 15), 893, 5508, 193),
    Case("ul_unas_small", _UL_UNAS, (3, 5), 4210, 17_208, 1368),
    Case("fast_enhancer_small", _FAST_ENHANCER, (3, 32), 570, 6072, 24),
)

# The authors count 22 k and 92 k, and 55 M and 262 M products per second. Layers of T, summed as
# in the docstring, give 59.8 M with the two blocks that 22 k parameters have; 54.8 M with one.
PUBLISHED_MASKERS = (
    Case("fast_enhancer_t", TINY, (1, 512), 21_774, 957_824, 2048),
    Case("fast_enhancer_b", BASE, (1, 512), 91_430, 4_185_216, 3072),
)

_SPEECH = SpeechEmbedding((2, 3, 3, 4, 4), 5)

# Embeddings of a stream: as many outputs per stride.
SMALL_STREAMED_EMBEDDINGS = (
    Case("speech_embedding_small", _SPEECH, (16, 32), 743, 45_624),
    Case("speech_embedding_small_dense", _SPEECH.clone(dense=True), (16, 32), 743, 45_744),
    Case("speech_embedding_small_relu", _SPEECH.clone(relu=True), (16, 32), 743, 45_624),
    Case("phone_encoder_small", PhoneEncoder(5, 4, (3, 2)), (16, 6), 169, 2304),
)

_L3 = L3Net((2, 3, 4, 4))

# Embeddings; their published sizes are in models/test_l3_net.py.
SMALL_EMBEDDINGS = (
    Case("l3_net_small", _L3, (17, 18), 755, 31_428),
    Case("l3_net_small_signed", _L3.clone(signed=True, places=(2, 2)), (17, 18), 755, 31_428),
    Case(
        "l3_net_small_separable",
        _L3.clone(separable_blocks=(1, 2, 3, 4), first_strides=(2, 1), projection=5),
        (17, 18),
        368,
        9596,
    ),
)

_PATCHED = SEANet(
    channels=(2, 3), strides=(2,), dilations=(1,), bottleneck=2, bottleneck_kernel=2, patch=2,
    activation="leaky_relu", depthwise=True, biased=True, bounded=False, weight_norm=True,
)  # fmt: skip

# From wave to wave, worked out by hand.
SMALL_GENERATORS = (
    Case(
        "seanet_small",
        SEANet((2, 3, 4), (2, 2), (1, 2), bottleneck=3, bottleneck_kernel=3),
        (4, 8),
        452,
        7360,
    ),
    Case("seanet_small_patched", _PATCHED, (4, 8), 148, 1408),
)

# Counts of public re-implementations; MACs, of a block of 16 ms, follow from the shapes.
PUBLISHED_GENERATORS = (
    Case("seanet_streaming", STREAMING, (1, 256), 692_848, 4_976_640),
    Case("seanet_offline", OFFLINE, (1, 256), 8_331_712, 76_529_664),
)

MODELS = (
    SMALL,
    *PUBLISHED,
    *SMALL_KEYWORDS,
    *PUBLISHED_KEYWORDS,
    *SMALL_ENHANCERS,
    *SMALL_MASKERS,
    *PUBLISHED_MASKERS,
    *SMALL_STREAMED_EMBEDDINGS,
    *SMALL_EMBEDDINGS,
    *SMALL_GENERATORS,
    *PUBLISHED_GENERATORS,
)

RECIPES = {
    "w8a8": Recipe(),
    "w4a8": Recipe(rules=(Rule(weight_bits=4),)),
    "w4a4": Recipe(rules=(Rule(weight_bits=4, activation_bits=4),)),
    "mixed": Recipe(
        rules=(
            Rule("input|conv|logits"),
            Rule("pointwise_1", weight_bits=4, activation_bits=4, calibration="q0.999"),
            Rule(".*wise_.*", weight_bits=4, calibration="max"),
        )
    ),
    # Every layer that qualifies, in int8 and int4; energy cuts the ranks, no penalty needed.
    "low_rank": Recipe(
        rules=(
            Rule("pointwise_[13]", svd_penalty=0.0),
            Rule("pointwise_.*", weight_bits=4, svd_penalty=0.0),
            Rule(),
        ),
        low_rank=LowRank(energy=0.8),
    ),
}

# What costs a compilation of its own and says little that "mixed" does not.
EACH_RECIPE = pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(name, marks=() if name in ("w8a8", "mixed") else pytest.mark.slow)
        for name in RECIPES
    ],
)


def denoising_recipe() -> Recipe:
    """16 bits where 8 hurt, as the published weights are fine-tuned with."""
    return _recipe_of("denoise_deep_filter_net")


def extending_recipe() -> Recipe:
    """Samples of 16 bits around a network of 8."""
    return _recipe_of("bandwidth_seanet_small")


@functools.cache
def _recipe_of(config: str) -> Recipe:
    file = Path(__file__).parents[1] / "configs" / f"{config}.py"
    return runpy.run_path(str(file))["EXPERIMENT"].recipe
