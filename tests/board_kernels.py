"""Kernels that boards run, on this machine: of the TFLite Micro tree that AQTAUDIO_TFLM names.

Its owner has built its library for this machine with CMSIS-NN. What needs it is skipped without.
"""

import functools
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from aqtaudio.firmware import boards, tree
from aqtaudio.program.child import MicroError
from aqtaudio.program.micro import Micro

RUNNER = Path(__file__).with_name("kernels_runner.cc")
TREE = os.environ.get("AQTAUDIO_TFLM")
needed = pytest.mark.skipif(not TREE, reason="AQTAUDIO_TFLM names no TFLite Micro tree")


@functools.cache
def runner(kernels: tree.Kernels = "cmsis-nn") -> Path:
    """The program that runs files, compiled and linked."""
    root = Path(TREE or "")
    library = tree.library(root, boards.board("host"), kernels)
    program = Path(tempfile.mkdtemp()) / "runner"
    downloads = root / "tensorflow/lite/micro/tools/make/downloads"
    folders = [root, *(downloads / name for name in ("flatbuffers/include", "gemmlowp", "ruy"))]
    includes = [flag for folder in folders for flag in ("-isystem", folder)]
    subprocess.run(
        ["c++", "-std=c++17", "-O1", "-DTF_LITE_STATIC_MEMORY", *includes, RUNNER]
        + [library.path, "-o", program],
        check=True,
    )
    return program


class CmsisNN:
    """A file on CMSIS-NN's kernels; as `program.micro.Micro`. MicroError where they refuse it."""

    def __init__(self, model: bytes):
        with Micro(model) as micro:
            (self._output,) = micro.output_details
        self._file = tempfile.NamedTemporaryFile()
        Path(self._file.name).write_bytes(model)

    def __enter__(self) -> "CmsisNN":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def invoke(self, codes: np.ndarray) -> list[np.ndarray]:
        ran = subprocess.run(
            [runner(), self._file.name], input=codes.tobytes(), capture_output=True
        )
        if ran.returncode:
            raise MicroError(_ends(ran.returncode), ran.stderr.decode(errors="replace"))
        found = np.frombuffer(ran.stdout, self._output.dtype)
        return [found.reshape(len(codes), *self._output.shape[1:])]


def _ends(status: int) -> str:
    known = {3: "CMSIS-NN's kernels refuse it", 4: "CMSIS-NN's kernels fail on it"}
    return known.get(status, "CMSIS-NN's kernels crash on it")
