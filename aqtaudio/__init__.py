"""Quantization studies of on-device audio models: what you train is what you serve, to the bit."""

import importlib
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`enroll`, which loads JAX when it is first asked for."""
    if name == "enroll":
        return importlib.import_module("aqtaudio.adaptation.enroll").enroll
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
