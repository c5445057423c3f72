"""Fixtures that several areas share."""

import os
from pathlib import Path

import pytest

pytest_plugins = (
    "sharing",
    "sampled",
    "optimization",
    "corpus",
    "hum_corpus",
    "command_cases",
    "small_dictionary",
    "esphome_run",
)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of real recordings and published models, which is not part of the project."""
    folder = Path(os.environ.get("AQTAUDIO_SHARED", Path(__file__).parents[1] / "../shared"))
    if not folder.is_dir():
        pytest.skip("no shared folder (AQTAUDIO_SHARED)")
    return folder
