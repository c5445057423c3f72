"""The vocabulary: the only layers a model may use.

Each is one TFLite operation that TFLite Micro runs in int8, or a fixed composition of them. A
layer declares its weights once; its signal's reading decides how it computes. Layers are named by
the model: their paths are what a recipe's patterns match, so generated names are refused.

What is mutable says what happens: "batch_stats" is float training, "ranges" is calibration,
nothing is frozen. Shapes in docstrings exclude the batch axis.
"""

from aqtaudio.vocabulary.activation import (
    AffinePRelu,
    Elu,
    HardSwish,
    LeakyRelu,
    PRelu,
    Relu,
    Relu6,
    Sigmoid,
    Softmax,
    Swish,
    Tanh,
)
from aqtaudio.vocabulary.attention import Attention, BatchMatMul, PositionalEmbedding
from aqtaudio.vocabulary.elementwise import Add, Mul, Offset, Scale, Sub
from aqtaudio.vocabulary.layer import Input, Layer
from aqtaudio.vocabulary.movement import (
    ChannelShuffle,
    Concat,
    Flip,
    Pad,
    Regrid,
    Reshape,
    Slice,
    Transpose,
    Unfold,
    Whole,
    split,
)
from aqtaudio.vocabulary.normalisation import (
    BandNorm,
    L2Normalize,
    LayerNorm,
    RMSNorm,
    SubSpectralNorm,
)
from aqtaudio.vocabulary.owner import EPSILON
from aqtaudio.vocabulary.pooling import AveragePool, GlobalAveragePool, MaxPool, Mean, Sum
from aqtaudio.vocabulary.recurrent import GRU, LSTM, GroupedGRU, GRUCell, LSTMCell
from aqtaudio.vocabulary.upsampling import (
    DoubledConv2D,
    DoubledDepthwise,
    Resampled,
    SubPixelConv1D,
    TransposedConv2D,
)
from aqtaudio.vocabulary.weighted import (
    BlockDense,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GroupedDense,
    Weighted,
)

__all__ = [
    "EPSILON",
    "GRU",
    "LSTM",
    "Add",
    "AffinePRelu",
    "Attention",
    "AveragePool",
    "BandNorm",
    "BatchMatMul",
    "BlockDense",
    "ChannelShuffle",
    "Concat",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "DoubledConv2D",
    "DoubledDepthwise",
    "Elu",
    "Flip",
    "GRUCell",
    "GlobalAveragePool",
    "GroupedDense",
    "GroupedGRU",
    "HardSwish",
    "Input",
    "L2Normalize",
    "LSTMCell",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "MaxPool",
    "Mean",
    "Mul",
    "Offset",
    "PRelu",
    "Pad",
    "PositionalEmbedding",
    "RMSNorm",
    "Regrid",
    "Relu",
    "Relu6",
    "Resampled",
    "Reshape",
    "Scale",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Sub",
    "SubPixelConv1D",
    "SubSpectralNorm",
    "Sum",
    "Swish",
    "Tanh",
    "Transpose",
    "TransposedConv2D",
    "Unfold",
    "Whole",
    "Weighted",
    "split",
]
