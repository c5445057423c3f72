"""Weights of an ONNX file by their names there. The `onnx` package is an optional extra."""

from pathlib import Path

import numpy as np

from aqtaudio.errors import BadInput

SUFFIX = ".onnx"


TEACHERS = "pip install 'aqtaudio[teachers]'"


def read(file: str, install: str = TEACHERS) -> dict[str, np.ndarray]:
    """The initializers of an ONNX file; `install` is what brings the package.

    Raises BadInput where the package is missing, OSError where the file cannot be read.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise BadInput(f"{file}: reading it needs onnx: {install}") from None
    try:
        graph = onnx.load_from_string(Path(file).read_bytes()).graph
    except DecodeError as error:
        raise OSError(f"no ONNX file ({error})") from None
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
