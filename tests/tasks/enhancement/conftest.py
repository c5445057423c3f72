"""Fixtures of the enhancement tests."""

from pathlib import Path

import pytest
from speech_corpus import write_speech_corpus


@pytest.fixture(scope="session")
def speech_corpus(tmp_path_factory) -> Path:
    """The manifest folder. Not to be written to."""
    return write_speech_corpus(tmp_path_factory.mktemp("voices") / "corpus")
