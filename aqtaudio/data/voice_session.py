"""ONNX models of voices through onnxruntime (optional; loaded only when a model is)."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from aqtaudio.errors import BadInput


def session(model: bytes, said: object) -> Any:
    """An onnxruntime session on one thread: calls from several threads run side by side, and a
    call's numbers depend on nothing but its inputs.

    Args:
      model: the content of an ONNX file.
      said: what the model is called in messages.

    Raises:
      BadInput: onnxruntime is not installed, or this is no model that it reads.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise BadInput("onnxruntime is not installed: pip install aqtaudio[voices]") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors, which are raised as well
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base of their own
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"{said} is no ONNX model that onnxruntime reads: {reason}") from error


def require_ports(opened: Any, inputs: set[str], said: object, kind: str) -> None:
    """Raises BadInput where a session's inputs are not these, with one output."""
    found = {port.name for port in opened.get_inputs()}
    if found != inputs or len(opened.get_outputs()) != 1:
        raise BadInput(
            f"{said} takes {', '.join(sorted(found))}; allowed: {kind}, which takes "
            f"{', '.join(sorted(inputs))} and gives one output"
        )


def read(file: Path, what: str) -> bytes:
    """The content of a file; raises BadInput where it cannot be read."""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise BadInput(f"{what} {file} cannot be read: {error.strerror}") from error


def digest(*contents: bytes) -> str:
    """12 hex digits that tell files apart."""
    found = hashlib.sha256()
    for content in contents:
        found.update(content)
    return found.hexdigest()[:12]


def package_folder(name: str) -> Path | None:
    """Where an installed package lies; it is not imported."""
    found = importlib.util.find_spec(name)
    return Path(found.origin).parent if found and found.origin else None
