"""One child process that runs file after file: to start one takes longer than a small file."""

import functools
from typing import Any

import numpy as np

from aqtaudio.program.child import Child, MicroError

_child = functools.cache(Child)  # it ends when this process does


def invoke(runtime: str, model: bytes, *inputs: np.ndarray) -> np.ndarray:
    """The first output of a TFLite file for inputs [B, ...]: "micro" or "litert" computes it."""
    load = {"do": "load", "runtime": runtime, "resolver": "AUTO"}
    run = {"do": "invoke", "batch": len(inputs[0])}
    try:
        loaded, _ = _child().ask(load, model)
        _, content = _child().ask(run, b"".join(values.tobytes() for values in inputs))
    except MicroError:
        _child.cache_clear()  # it may be dead
        raise
    details: dict[str, Any] = loaded["outputs"][0]
    shape = len(inputs[0]), *details["shape"][1:]
    return np.frombuffer(content, details["dtype"], int(np.prod(shape))).reshape(shape)
