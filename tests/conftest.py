"""Fixtures that several areas share."""

import gc
import os
from pathlib import Path

import pytest

from aqtaudio.commands.command_line import COLLECTED_AFTER_OBJECTS

pytest_plugins = ("sharing", "sampled")
HEAVY_PLUGINS = (
    "optimization",
    "children",
    "corpus",
    "hum_corpus",
    "command_cases",
    "small_dictionary",
    "esphome_run",
    "lowered",
)


def pytest_configure(config: pytest.Config) -> None:
    """The process that only hands out tests to others runs none: it starts without JAX."""
    hands_out = config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput")
    if not hands_out or config.getoption("collectonly"):
        for name in HEAVY_PLUGINS:
            config.pluginmanager.import_plugin(name)


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
