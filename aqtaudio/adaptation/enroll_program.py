"""The program of keywords' filters and paths behind an encoder of phones."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from aqtaudio.program.program import Program
from aqtaudio.tasks.text_keywords import ctc
from aqtaudio.tasks.text_keywords.filter_bank import LOGIT_STEP, MIDDLE, RECIPE, FilterBank
from aqtaudio.tasks.text_keywords.filters import FILTER_BITS, Shape
from aqtaudio.vocabulary.aqt_arithmetic import fake_quant_weights, zeros_floor
from aqtaudio.vocabulary.best_path import START, STEP
from aqtaudio.vocabulary.recording import record

PART_STEP = 0.125
"""Of the codes of a part's answers, in units of the logits. Fixed, as `LOGIT_STEP`."""

LARGEST = 2 ** (FILTER_BITS - 1) - 1
END = (LARGEST + 0.5) / LARGEST
"""A grid ends half a step beyond its largest code, which is the largest tap of a part: so much
larger, taps get the codes that they have, and these say what the taps say."""


class Line(NamedTuple):
    """slope * x + bias, in units of the logit."""

    slope: float
    bias: float


@dataclasses.dataclass(frozen=True)
class Answer:
    """What tells a keyword.

    Attributes:
      taps: its filter, float32 [taps, C], on the device's grid (`filters.quantized`).
      classes: its phones' class numbers.
      filter, path: how their answers count; the logit is the sum.
    """

    taps: np.ndarray = dataclasses.field(compare=False, repr=False)
    classes: tuple[int, ...]
    filter: Line
    path: Line


def filter_bank(shape: Shape, lengths: Sequence[int]) -> FilterBank:
    """The model of keywords of so many phones."""
    sizes = shape.segments, shape.taps, shape.dilation, shape.slack
    return FilterBank(len(lengths), *sizes, tuple(lengths))


def bank_program(
    answers: Sequence[Answer], shape: Shape, input_scale: float, priors: np.ndarray
) -> Program:
    """A stream's program: codes of a frame to logits of the keywords.

    Each keyword's weights have scales of their own, and the grids between are fixed: a keyword's
    integers are the same whichever others there are.

    Args:
      answers: of each keyword.
      shape: of all filters.
      input_scale: the step of the encoder's codes.
      priors: what is taken from the classes' logits, [P].
    """
    count, channels = len(answers), answers[0].taps.shape[-1]
    lengths = [len(one.classes) for one in answers]
    model, positions = filter_bank(shape, lengths), max(lengths)
    taps = np.stack([np.float32(one.filter.slope) * one.taps for one in answers])
    parts = taps.reshape(count * shape.segments, shape.taps, 1, channels)
    waits = np.zeros((shape.segments, 1, count * shape.segments), np.float32)
    for column in range(count * shape.segments):
        waits[column % shape.segments, 0, column] = 1.0
    sums = np.repeat(np.eye(count, dtype=np.float32), shape.segments, 0)[None, None]
    labels = np.zeros((ctc.CLASSES, positions, count), np.float32)
    for number, one in enumerate(answers):
        first = positions - len(one.classes)
        labels[one.classes, np.arange(first, positions), number] = 1.0
    biases = np.asarray([(one.filter.bias, one.path.bias) for one in answers], np.float32)
    slopes = np.asarray([one.path.slope for one in answers], np.float32)
    params = {
        "parts": {"kernel": (END * parts.transpose(1, 2, 3, 0)).astype(np.float32)},
        "waits": {"kernel": _held(waits)},
        "filter_logits": {"kernel": _held(sums), "bias": biases[:, 0] + MIDDLE},
        # Less than 0, so that none leaves the grid upwards: only differences count.
        "fair": {"offset": (np.min(priors) - priors).astype(np.float32)},
        "paths": {"labels": {"kernel": _held(labels.reshape(1, 1, ctc.CLASSES, -1), 4)}},
        "path_logits": {
            "kernel": _held(slopes.reshape(1, 1, count)),
            "bias": biases[:, 1] - MIDDLE - slopes * np.float32(START),
        },
    }
    ranges = {
        "vectors": _range(input_scale),
        "parts": _range(PART_STEP),
        "waits": _range(PART_STEP),
        "fair": _range(input_scale),
        "costs": _range(STEP),
        "path_logits": _range(STEP),
        "logits": _range(LOGIT_STEP),
    }
    variables = {"params": params, "ranges": ranges}
    return record(model, variables, (1, channels), RECIPE, stream=True)


def _held(kernel: np.ndarray, bits: int = 8) -> np.ndarray:
    """A kernel whose codes say what `kernel` says, where a channel has one value beside 0.

    A grid ends half a step below the largest value.
    """
    said = fake_quant_weights(jnp.asarray(kernel), zeros_floor(kernel), bits, False)
    return kernel * np.divide(kernel, said, out=np.ones_like(kernel), where=kernel != 0)


def _range(scale: float) -> dict[str, Any]:
    return {"output": {"scale": np.float32(scale), "batches": np.int32(1)}}
