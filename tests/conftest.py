"""Fixtures that several areas share."""

import gc
import os
from pathlib import Path

import pytest

from aqtaudio.commands.command_line import COLLECTED_AFTER_OBJECTS

pytest_plugins = (
    "sharing",
    "sampled",
    "optimization",
    "children",
    "corpus",
    "hum_corpus",
    "command_cases",
    "small_dictionary",
    "esphome_run",
    "lowered",
)


def pytest_collection_finish() -> None:
    """What is loaded stays: the garbage collector need not go through it again and again, nor often
    through what tracing makes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER_OBJECTS)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of real recordings and published models, which is not part of the project."""
    folder = Path(os.environ.get("AQTAUDIO_SHARED", Path(__file__).parents[1] / "../shared"))
    if not folder.is_dir():
        pytest.skip("no shared folder (AQTAUDIO_SHARED)")
    return folder
