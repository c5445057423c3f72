"""The program of keywords' filters behind an encoder of phones."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aqtaudio.program.program import Program
from aqtaudio.recipe import Recipe
from aqtaudio.tasks.text_keywords.filter_bank import FilterBank
from aqtaudio.tasks.text_keywords.filters import Shape
from aqtaudio.vocabulary.recording import record

PART_STEP = 0.125
"""Of the codes of a part's answers, in units of the logits. Fixed, as `LOGIT_STEP`."""


def filter_bank(shape: Shape, count: int) -> FilterBank:
    """The model of so many keywords."""
    return FilterBank(count, shape.segments, shape.taps, shape.dilation, shape.slack)


def bank_program(
    filters: Sequence[np.ndarray], biases: Sequence[float], shape: Shape, input_scale: float
) -> Program:
    """A stream's program: codes of a frame to logits of the keywords.

    Each keyword's weights have scales of their own, and the grids between are fixed: a keyword's
    integers are the same whichever others there are.

    Args:
      filters: of each keyword, float32 [taps, C] of all parts, in units of logits.
      biases: of each.
      shape: of all.
      input_scale: the step of the encoder's codes.
    """
    count, channels = len(filters), filters[0].shape[-1]
    model = filter_bank(shape, count)
    parts = np.stack(filters).reshape(count * shape.segments, shape.taps, 1, channels)
    waits = np.zeros((shape.segments, 1, count * shape.segments), np.float32)
    for column in range(count * shape.segments):
        waits[column % shape.segments, 0, column] = 1.0
    sums = np.repeat(np.eye(count, dtype=np.float32), shape.segments, 0)[None, None]
    params = {
        "parts": {"kernel": parts.transpose(1, 2, 3, 0).astype(np.float32)},
        "waits": {"kernel": waits},
        "logits": {"kernel": sums, "bias": np.asarray(biases, np.float32)},
    }
    ranges = {
        "vectors": _range(input_scale),
        "parts": _range(PART_STEP),
        "waits": _range(PART_STEP),
    }
    variables = {"params": params, "ranges": ranges}
    return record(model, variables, (1, channels), Recipe(), stream=True)


def _range(scale: float) -> dict[str, Any]:
    return {"output": {"scale": np.float32(scale), "batches": np.int32(1)}}
