"""What a model sees of the micro front end where it is to be served by ESPHome."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aqtaudio.errors import BadInput
from aqtaudio.frontends.micro import ESPHOME_STEP, MicroFrontend, esphome_codes
from aqtaudio.frontends.named import NAMED

FRONTEND = NAMED["micro-esphome"]
STEPS = np.arange(1 << 16)


def test_codes_are_those_of_the_device():
    """Its sources say: (feature * 256 + 666 / 2) / 666 - 128 in int32, clipped to int8."""
    theirs = [max(-128, min(127, (step * 256 + 666 // 2) // 666 - 128)) for step in STEPS.tolist()]
    assert np.array_equal(jax.jit(esphome_codes)(STEPS), theirs)


def test_codes_are_what_the_declared_input_grid_makes_of_features():
    """So a runtime that quantizes by the file says the same, up to where the device clips."""
    from aqtaudio.program.esphome_contract import INPUT_GRID

    scale, zero_point = np.float32(INPUT_GRID[0]), INPUT_GRID[1]
    by_file = np.round(STEPS * 0.0390625 / scale + zero_point)
    assert np.array_equal(np.clip(by_file, -128, 127), esphome_codes(jnp.asarray(STEPS)))


def test_features_are_codes_in_steps_that_the_input_edge_has():
    steps = jnp.asarray(STEPS[:700])
    features = np.asarray(FRONTEND.normalised(steps))
    assert FRONTEND.features_scale == ESPHOME_STEP
    assert np.array_equal(features / ESPHOME_STEP, esphome_codes(steps))


def test_other_settings_have_features_of_their_own():
    assert MicroFrontend().features_scale is None
    with pytest.raises(BadInput, match="codes 'other': calibrated or esphome"):
        dataclasses.replace(FRONTEND, codes="other")  # pyright: ignore[reportArgumentType]
