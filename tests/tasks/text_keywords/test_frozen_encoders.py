"""The committed encoders at 40 ms: every other vector is that of 80 ms, to the bit."""

from pathlib import Path

import numpy as np
import pytest

from aqtaudio.program.tflite import to_tflite
from aqtaudio.runs.network import interpret
from aqtaudio.runs.run import Run

RESULTS = Path(__file__).parents[3] / "results"
FRAMES, BANDS = 480, 32


def vectors(run: Run, features: np.ndarray) -> np.ndarray:
    """Codes [vectors, D] of codes of features [T, bands]."""
    block = run.program.edges[run.program.inputs[0]].shape
    codes, _ = run.executor.blocks(features.reshape(1, -1, *block))
    return codes.reshape(codes.shape[1], -1)


@pytest.mark.parametrize(
    ("name", "artifact"),
    [
        ("encoder_small", "f4bf1edd8390"),
        pytest.param("encoder", "406a97b76b2c", marks=pytest.mark.slow),
    ],
)
def test_every_other_vector_is_one_of_80_ms(name, artifact):
    dense = Run(RESULTS / "text_keywords" / name)
    sparse = Run(RESULTS / "embeddings/artifacts" / artifact)
    features = np.random.default_rng(0).integers(-128, 128, (FRAMES, BANDS)).astype(np.int8)
    often, seldom = vectors(dense, features), vectors(sparse, features)
    assert len(often) == 2 * len(seldom) == FRAMES // 4
    assert len(np.unique(seldom)) > 50 and np.any(often[::2] != seldom)
    np.testing.assert_array_equal(often[1::2], seldom)


@pytest.mark.slow
def test_the_small_encoders_file_is_its_program():
    run = Run(RESULTS / "text_keywords/encoder_small")
    assert to_tflite(run.program) == run.model
    shape = run.program.edges[run.program.inputs[0]].shape
    codes = np.random.default_rng(1).integers(-128, 128, (200, *shape)).astype(np.int8)
    np.testing.assert_array_equal(
        interpret(run.model, codes, "micro").reshape(200, -1),
        vectors(run, codes.reshape(-1, BANDS)),
    )
