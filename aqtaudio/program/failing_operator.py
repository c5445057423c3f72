"""Which operator crashes TFLite Micro, which says nothing of it."""

import bisect
import os
from collections.abc import Callable

from aqtaudio.program import flatbuffer


def failing_operator(model: bytes, run: Callable[[bytes], object]) -> int | None:
    """Number of the operator of the main subgraph that crashes an interpreter.

    Files of the first operators alone are given to `run`, each in a process of its own. None where
    it is none of them alone. Trusts the file: call it in a child process.
    """
    parsed = flatbuffer.read(model)
    graph = parsed.subgraphs[0]
    operators = list(graph.operators if graph.operators is not None else ())

    def crashes(count: int) -> bool:
        graph.operators = operators[:count]
        return _crashes(flatbuffer.write(parsed), run)

    if not operators or crashes(0) or not crashes(len(operators)):
        return None
    return bisect.bisect_left(range(1, len(operators)), True, key=crashes)


def _crashes(model: bytes, run: Callable[[bytes], object]) -> bool:
    process = os.fork()
    if process == 0:
        try:
            run(model)
        finally:
            os._exit(0)  # a refusal is no crash
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])
