"""How far programs look ahead, against what changes when later frames do."""

import numpy as np
import pytest
from cases import SMALL, SMALL_ENHANCERS, SMALL_KEYWORDS
from trained import untrained

from aqtaudio.program.execute import Executor
from aqtaudio.program.look_ahead import look_ahead_frames, rows_of
from aqtaudio.program.program import Program

pytestmark = pytest.mark.optimized("slow")

CASES = {case.name: case for case in (SMALL, *SMALL_KEYWORDS, *SMALL_ENHANCERS)}
# Frames that zeros stand for at the end of a clip, worked out layer by layer.
LOOK_AHEAD = {
    "ds_cnn_small": 4 + 2 * (1 + 1),  # 10 of stride 2 pads 4 and 4, then two 3x3 at stride 2
    "matchbox_net_small": 1 + 2 + 2 + 4,  # kernels 3, 5, 5 and 5 dilated by 2
    "mhatt_rnn_small": 4,  # all of five frames
    "streaming_attention_small": 0,
}
SLOW = [name for name in CASES if name not in LOOK_AHEAD]
LONG_TO_COMPILE = ("mhatt_rnn_small", "streaming_attention_small")
QUICK = ("ds_cnn_small",)  # of all that changes with later frames


def program(name: str) -> Program:
    return untrained(CASES[name])


@pytest.mark.parametrize(
    "name",
    [
        *QUICK,
        *(pytest.param(name, marks=pytest.mark.slow) for name in CASES if name not in QUICK),
    ],
)
def test_what_a_row_does_not_see_does_not_change_it(name: str):
    made, rng = program(name), np.random.default_rng(0)
    frames = made.edges[made.inputs[0]].shape[0]
    executor = Executor(made)
    codes = rng.integers(-128, 128, (16, *made.edges[made.inputs[0]].shape), np.int8)
    before = {edge: np.asarray(values) for edge, values in executor.edges(codes).items()}
    seen = 0
    for first in range(0, frames, 3):
        changed = codes.copy()
        changed[:, first:] = rng.integers(-128, 128, changed[:, first:].shape, np.int8)
        after = executor.edges(changed)
        for edge, rows in rows_of(made).items():
            if rows.keys:  # scores: what a mask hides later
                continue
            values = np.moveaxis(before[edge], rows.axis + 1, 1)
            differs = values != np.moveaxis(np.asarray(after[edge]), rows.axis + 1, 1)
            moved = np.flatnonzero(differs.reshape(len(codes), len(differs[0]), -1).any((0, 2)))
            latest = rows.latest + rows.step * np.arange(len(differs[0]))
            assert (latest[moved] >= first).all(), edge
            seen += len(moved)
    assert seen


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_causal_models_wait_for_nothing(name: str):
    is_causal = getattr(CASES[name].model, "causal", True) or name == "crnn_small"
    assert (look_ahead_frames(program(name)) == 0) == is_causal


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in LONG_TO_COMPILE else name
        for name in LOOK_AHEAD
    ],
)
def test_against_figures_by_hand(name: str):
    assert look_ahead_frames(program(name)) == LOOK_AHEAD[name]
