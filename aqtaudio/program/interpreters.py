"""The interpreters by name, for commands: what does not run in one is bad input."""

import contextlib
from collections.abc import Iterator

from aqtaudio.errors import BadInput
from aqtaudio.program.child import MicroError
from aqtaudio.program.litert import LiteRT
from aqtaudio.program.micro import Interpreter, Micro

INTERPRETERS: dict[str, type[Interpreter]] = {"micro": Micro, "litert": LiteRT}


@contextlib.contextmanager
def running(model: bytes, runtime: str) -> Iterator[Interpreter]:
    """A TFLite file loaded in TFLite Micro ("micro") or LiteRT ("litert").

    Raises BadInput for another name, and when the file is not one that it runs.
    """
    if runtime not in INTERPRETERS:
        raise BadInput(f"runtime {runtime!r}; allowed: {', '.join(INTERPRETERS)}")
    try:
        with INTERPRETERS[runtime](model) as interpreter:
            yield interpreter
    except MicroError as error:
        raise BadInput(f"model.tflite does not run in {runtime}: {error.reason}") from error
