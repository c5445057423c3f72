"""Programs and their TFLite files, converted once per test process."""

import functools
from typing import Any

import programs

from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_tflite

VARIANTS: dict[str, dict[str, Any]] = {
    "int8": {},
    "int4": {"weight_bits": 4},
    "mixed": {"weight_bits": {"block0/pointwise": 4, "block2/depthwise": 4}},
    "activations4": {"activation_bits": 4, "weight_bits": 4},
    "low_rank": {"rank": 16},
    "low_rank_int4": {"rank": 12, "weight_bits": 4},
}


@functools.cache
def program(name: str) -> Program:
    """The DS-CNN of 22 thousand parameters in one of the variants."""
    return programs.ds_cnn(**VARIANTS[name])


@functools.cache
def model(name: str) -> bytes:
    """Its TFLite file."""
    return to_tflite(program(name))
