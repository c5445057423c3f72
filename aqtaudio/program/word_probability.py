"""A program of class logits as one of a single word's probability, in few operations.

Devices that listen for one word want one number. Softmax needs exponentials, sums and a quotient,
which some of them lack. The margin of a word over its best rival needs none: its sigmoid is the
softmax where there are two classes, and with more of them it is above it and above one half in the
same places: where the word is the most probable class. Where each word has a logistic output of its
own, nobody is its rival, and the probability is the sigmoid of its logit.
"""

import dataclasses

import numpy as np

from aqtaudio.errors import BadInput
from aqtaudio.program.portable import Building
from aqtaudio.program.program import Edge, Program

STEM = "word"
"""Of the names of new edges."""
SURE = 6.3
"""Where a sigmoid of 1/256 steps has reached its last one."""
NO_TIES = 2.001
"""A step of two, and a hair: no margin falls on a half, which libraries round in their own ways."""


def word_probability(program: Program, place: int, rivals: bool = True) -> Program:
    """The program whose output, int8 [1] in 1/256 from -128, is the sigmoid of a word's margin.

    What comes before stays as it is. The margin is exact in steps of the logits where 127 of them
    reach `SURE`, and rounded to two where they don't.

    Args:
      program: its output are logits, int8 [C], of at least two classes, or words without rivals.
      place: of the word among them.
      rivals: whether the other logits are of classes that exclude it; else the margin is its logit.

    Raises:
      BadInput: its output is something else.
    """
    logits = program.edges[program.outputs[0]]
    if len(logits.shape) != 1 or logits.shape[0] < 1 + rivals or logits.bits != 8:
        raise BadInput(
            f"the program puts out {list(logits.shape)} of {logits.bits} bits; needed: the logits "
            "of two classes or more, in 8 bits"
        )
    building = Building(program)
    for op in program.operations:
        building.append(op)
    source, weights = logits.name, np.eye(logits.shape[0], dtype=np.int8)[:, [place]]
    if rivals:
        source, weights = _beside_rival(building, logits, place), np.array([[1], [-1]], np.int8)
    step = logits.scale if 127 * logits.scale >= SURE else NO_TIES * logits.scale
    margin = Edge(f"{STEM}/margin", (1,), float(np.float32(step)), 0, 8)
    constants = {
        "weights": weights,
        "weight_scale": np.ones(1, np.float32),
        "bias": np.zeros(1, np.int32),
    }
    building.add("dense", (source,), margin, constants, weight_bits=8, low=-128, high=127)
    probability = Edge(f"{STEM}/probability", (1,), 1 / 256, -128, 8)
    building.add("logistic", (margin.name,), probability)
    return dataclasses.replace(building.program(), outputs=(probability.name,))


def _beside_rival(building: Building, logits: Edge, place: int) -> str:
    """The edge [2] of a word's logit and the largest of the others."""
    count = logits.shape[0]
    parts = [(0, place), (place, place + 1), (place + 1, count)]
    before, word, after = (_part(building, logits, begin, end) for begin, end in parts)
    others = [name for name in (before, after) if name]
    rivals = others[0]
    if len(others) > 1:
        rivals = f"{STEM}/rivals"
        edge = dataclasses.replace(logits, name=rivals, shape=(count - 1,))
        building.add("concat", others, edge, axis=0)
    if count > 2:
        rivals = _largest(building, dataclasses.replace(logits, name=rivals, shape=(count - 1,)))
    pair = dataclasses.replace(logits, name=f"{STEM}/pair", shape=(2,))
    return building.add("concat", (word, rivals), pair, axis=0)


def _part(building: Building, logits: Edge, begin: int, end: int) -> str:
    """Some of the logits; "" for none."""
    if begin == end:
        return ""
    edge = dataclasses.replace(logits, name=f"{STEM}/from_{begin}", shape=(end - begin,))
    return building.add("slice", (logits.name,), edge, begin=(begin,), end=(end,), strides=(1,))


def _largest(building: Building, values: Edge) -> str:
    """The largest of values [C], [1]: a maximum pool over an image of one column."""
    count = values.shape[0]
    image = dataclasses.replace(values, name=f"{STEM}/column", shape=(count, 1, 1))
    top = dataclasses.replace(values, name=f"{STEM}/top", shape=(1, 1, 1))
    rival = dataclasses.replace(values, name=f"{STEM}/rival", shape=(1,))
    building.add("reshape", (values.name,), image, shape=image.shape)
    window = {"window": (count, 1), "strides": (1, 1), "low": -128, "high": 127}
    building.add("max_pool", (image.name,), top, **window)
    return building.add("reshape", (top.name,), rival, shape=rival.shape)
