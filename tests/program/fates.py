"""What TFLite Micro does with a file, in one child process while it lives."""

from collections.abc import Callable, Iterator

from aqtaudio.program.child import Child, MicroError

SILENT, REFUSED, ABORTS = "runs", "refused", "the interpreter crashed (SIGABRT)"


def asked() -> Iterator[Callable[[bytes], str]]:
    """Body of a fixture: a function that says whether a file runs, is refused or how it crashes."""
    children = [Child()]

    def ask(model: bytes) -> str:
        try:
            children[-1].ask({"do": "load", "runtime": "micro", "resolver": ""}, model)
        except MicroError as error:
            if "crashed" not in error.reason:
                return REFUSED
            children[-1].close()
            children.append(Child())
            return error.reason
        return SILENT

    yield ask
    children[-1].close()
