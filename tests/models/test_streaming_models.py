"""Every causal model streams: at the end of a clip it says what it says of the whole clip."""

import functools
from typing import Any

import jax
import numpy as np
import pytest
from cases import (
    SMALL_ENHANCERS,
    SMALL_GENERATORS,
    SMALL_KEYWORDS,
    SMALL_MASKERS,
    SMALL_STREAMED_EMBEDDINGS,
    Case,
    denoising_recipe,
    extending_recipe,
)
from initial import calibrated, initial
from trained import random_features

from aqtaudio.compression.fold import fold
from aqtaudio.models.deep_filter_net import DeepFilterNet3
from aqtaudio.program.execute import Executor
from aqtaudio.program.micro import Micro
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite
from aqtaudio.recipe import W8A8, W8A16, Recipe
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.recording import clip, record
from aqtaudio.vocabulary.signal import start

pytestmark = pytest.mark.optimized(False)

CLIPS = 4
# Every layer of the enhancers, each as small as it gets.
TINY_ENHANCER = Case(
    "deep_filter_tiny",
    DeepFilterNet3(
        bands=4, filtered_bins=2, taps=1, channels=2, encoder_units=4, gain_units=4, filter_units=4,
        gain_layers=1, filter_layers=1, encoder_groups=1, groups=1, filter_groups=1,
    ),
    (1, 8), 0, 0,
)  # fmt: skip
CASES = {
    case.name: case
    for case in (
        *(*SMALL_KEYWORDS, *SMALL_ENHANCERS, TINY_ENHANCER, *SMALL_MASKERS),
        *(*SMALL_STREAMED_EMBEDDINGS, *SMALL_GENERATORS),
    )
}
# Frames per block: what the strides of a model leave as one frame.
BLOCKS = {
    "ds_cnn_small_causal": 2,
    "tc_resnet_small_causal": 8,
    "bc_resnet_small_causal": 1,
    "matchbox_net_small_causal": 1,
    "matchbox_net_small_strided": 3,
    "crnn_small_causal": 1,
    "gru_small": 1,
    "svdf_small": 1,
    "streaming_attention_small": 2,
    "conformer_small": 4,
    "deep_filter_small": 1,
    "deep_filter_small_compact": 1,
    "deep_filter_tiny": 1,
    "gtcrn_small": 1,
    "ul_unas_small": 1,
    "fast_enhancer_small": 1,
    "speech_embedding_small": 8,
    "speech_embedding_small_dense": 4,
    "speech_embedding_small_relu": 8,
    "seanet_small": 1,
    "seanet_small_patched": 1,
}
FAST = ("matchbox_net_small_causal",)
SLOW = [name for name in BLOCKS if name not in FAST]
PAIRS = [(name, 1) for name in FAST]
PAIRS += [pytest.param(name, 1, marks=pytest.mark.slow) for name in SLOW]
PAIRS += [pytest.param(name, 2, marks=pytest.mark.slow) for name in BLOCKS]


def recipe(name: str) -> Recipe:
    """Some of the models mix widths."""
    if name in ("deep_filter_small", "deep_filter_tiny"):
        return denoising_recipe()
    if name == "ul_unas_small":  # squares of squares, without training, leave what int8 can do
        return W8A16
    return extending_recipe() if name == "seanet_small_patched" else W8A8


def frames_of(case: Case) -> int:
    """A clip of whole double blocks."""
    block = 2 * BLOCKS[case.name]
    return -(-case.features[0] // block) * block


def features(case: Case) -> np.ndarray:
    longer = random_features(Case("", case.model, (frames_of(case), case.features[1]), 0, 0), CLIPS)
    return np.asarray(longer)


@functools.cache
def variables(name: str) -> dict[str, Any]:
    case = CASES[name]
    x = features(case)
    fresh = initial(case.model, x)
    rng = np.random.default_rng(5)
    params = jax.tree.map(
        lambda p: p + 0.05 * rng.normal(size=p.shape).astype(np.float32),
        fold(fresh["params"], fresh.get("batch_stats", {})),
    )
    found = {"params": params, "ranges": calibrated(case.model, params, [x], recipe(name))}
    return found | clip(case.model, found, x.shape[1:])


@functools.cache
def program(name: str, block: int | None) -> Program:
    """Of a whole clip, or of a block of a stream."""
    case = CASES[name]
    shape = (block or frames_of(case), case.features[1])
    return record(case.model, variables(name), shape, recipe(name), stream=block is not None)


def at_the_end(whole: np.ndarray, block: np.ndarray) -> np.ndarray:
    """What a whole clip's outputs [B, T, C] have for the last block; [B, C] are its logits."""
    return whole[:, -block.shape[1] :] if whole.ndim == 3 else whole


@pytest.mark.parametrize(("name", "factor"), PAIRS)
def test_float(name: str, factor: int):
    case, block = CASES[name], factor * BLOCKS[name]
    x, trained = features(case), variables(name)
    whole = jax.jit(lambda v, x: case.model.apply(v, start(x, Floating())).values)
    expected = whole(trained, x)

    @jax.jit
    def push(state, x):
        out, updated = case.model.apply(trained | state, start(x, Floating()), mutable=["state"])
        return updated, out.values

    state: dict[str, Any] = {}
    for first in range(0, x.shape[1], block):
        state, values = push(state, x[:, first : first + block])
    np.testing.assert_allclose(values, at_the_end(expected, values), atol=1e-5)


@pytest.mark.parametrize(("name", "factor"), PAIRS)
def test_integers(name: str, factor: int):
    block = factor * BLOCKS[name]
    whole, stream = Executor(program(name, None)), Executor(program(name, block))
    codes = whole.quantize(features(CASES[name]))
    expected = whole(codes)
    blocks = codes.reshape(CLIPS, -1, *stream.program.edges[stream.program.inputs[0]].shape)
    outputs, _ = stream.blocks(blocks)
    if expected.ndim == 3:  # every frame
        outputs = outputs.reshape(expected.shape)
        np.testing.assert_array_equal(outputs, expected)
    else:
        np.testing.assert_array_equal(outputs[:, -1], expected)
    assert len(np.unique(outputs)) > 10


@pytest.mark.parametrize(
    "name",
    [
        *FAST,
        *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW),
    ],
)
def test_micro_runs_the_stream(name: str):
    """As long as one likes: state does not wear off."""
    made = program(name, BLOCKS[name])
    edge = made.edges[made.inputs[0]]
    limits = np.iinfo(edge.dtype)
    rng = np.random.default_rng(1)
    codes = rng.integers(limits.min, limits.max + 1, (120, *edge.shape), edge.dtype)
    expected, _ = Executor(made).blocks(codes[None])
    with Micro(to_tflite(made)) as micro:
        np.testing.assert_array_equal(micro.invoke(codes)[0], expected[0])
