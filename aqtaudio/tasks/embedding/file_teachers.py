"""Teachers that are files: of a run, or of somebody else. They answer outside of training steps."""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.data.audio import to_float
from aqtaudio.errors import BadInput
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.program import program as programs
from aqtaudio.program.compiler import compiled
from aqtaudio.program.execute import Executor
from aqtaudio.program.interpreters import running
from aqtaudio.program.micro import Details
from aqtaudio.settings import from_json
from aqtaudio.tasks.embedding.teachers import Teacher

SUFFIXES = (".tflite", ".onnx")


@dataclasses.dataclass(frozen=True)
class FileTeacher(Teacher):
    """A `.tflite` or `.onnx` file that takes one window of samples or of features.

    Attributes:
      file: its path.
      dimensions: values that it answers with; it is refused where it answers with others.
      frontend: makes features of a window; None: the file takes samples.
      rate_hz: of the samples, where there is no front end.
      window_ms, hop_ms: of the windows that it hears of a clip.
      gain: samples in [-1, 1) times this are what the file takes; 32768 for those of 16 bits.
    """

    file: str
    dimensions: int
    frontend: Frontend | None = None
    rate_hz: int = 16_000
    window_ms: float = 1000.0
    hop_ms: float = 1000.0
    gain: float = 1.0

    def __post_init__(self):
        if not self.file.endswith(SUFFIXES):
            raise BadInput(f"teacher file {self.file}; allowed: {' or '.join(SUFFIXES)}")
        for name in ("dimensions", "rate_hz", "window_ms", "hop_ms", "gain"):
            if not getattr(self, name) > 0:
                raise BadInput(f"teacher {name} is {getattr(self, name)}; allowed: above 0")

    @property
    def sample_rate_hz(self) -> int:  # noqa: D102
        return self.rate_hz if self.frontend is None else self.frontend.sample_rate_hz

    def files(self) -> tuple[Path, ...]:  # noqa: D102
        if not Path(self.file).is_file():
            raise BadInput(f"no teacher file {self.file}")
        return (Path(self.file),)

    def embed(self, clips: np.ndarray) -> np.ndarray:  # noqa: D102
        self.files()
        windows = _windows(clips, *(round(ms * self.sample_rate_hz / 1e3) for ms in self._framing))
        flat = windows.reshape(-1, windows.shape[-1])
        inputs = to_float(flat) * np.float32(self.gain)
        if self.frontend is not None:
            inputs = np.asarray(_features(self.frontend)(inputs))
        answers = self._run(inputs)
        found = answers.size // max(len(flat), 1)
        if found != self.dimensions:
            raise BadInput(
                f"teacher {self.file} answers with {found} values a window; its setting says "
                f"{self.dimensions}"
            )
        return answers.reshape(*windows.shape[:2], self.dimensions).astype(np.float32)

    @property
    def _framing(self) -> tuple[float, float]:
        return self.window_ms, self.hop_ms

    def _run(self, inputs: np.ndarray) -> np.ndarray:
        runs = _onnx if self.file.endswith(".onnx") else _tflite
        try:
            return runs(self.file)(inputs)
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises of a file
            reason = str(error).strip().splitlines()[0]
            raise BadInput(f"teacher {self.file} does not run: {reason}") from None


@dataclasses.dataclass(frozen=True)
class RunTeacher(Teacher):
    """The integer program of a finished run or artifact.

    Attributes:
      run: its directory.
    """

    run: str

    @property
    def sample_rate_hz(self) -> int:  # noqa: D102
        return _settings(self.run)[0].sample_rate_hz

    def files(self) -> tuple[Path, ...]:  # noqa: D102
        found = Path(self.run) / "config.json", Path(self.run) / "program.npz"
        for file in found:
            if not file.is_file():
                raise BadInput(f"teacher {self.run}: no {file.name}; allowed: a quantized run")
        return found

    def embed(self, clips: np.ndarray) -> np.ndarray:  # noqa: D102
        self.files()
        frontend, target = _settings(self.run)
        executor = Executor(programs.load(Path(self.run) / "program.npz"), target=target)
        features = np.asarray(_features(frontend)(to_float(clips)))
        edge = executor.program.edges[executor.program.inputs[0]]
        if executor.program.states:
            block = edge.shape[0]
            features = features[:, : features.shape[1] // block * block]
            blocks = features.reshape(-1, block, features.shape[2])
            codes = executor.quantize(blocks).reshape(len(clips), -1, *edge.shape)
            answers = executor.dequantize(executor.blocks(codes)[0])
        else:
            answers = executor.dequantize(executor(executor.quantize(features)))
        return answers.reshape(len(clips), -1, answers.shape[-1])


@functools.cache
def _settings(run: str) -> tuple[Frontend, Any]:
    """A run's front end, and whose arithmetic its program is in."""
    try:
        config = json.loads((Path(run) / "config.json").read_text())
        return from_json(config["frontend"]), config["recipe"].get("target", "micro")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadInput(f"teacher {run}: not a run ({error})") from None


@functools.cache
def _features(frontend: Frontend) -> Callable:
    return compiled(lambda audio: frontend(audio))


def _windows(clips: np.ndarray, window: int, hop: int) -> np.ndarray:
    """[n, m, window] of clips [n, N]. Raises BadInput where a clip is shorter than a window."""
    if clips.shape[1] < window:
        raise BadInput(f"clips of {clips.shape[1]} samples are shorter than a teacher's {window}")
    return np.lib.stride_tricks.sliding_window_view(clips, window, 1)[:, ::hop]


@functools.cache
def _onnx(file: str) -> Callable[[np.ndarray], np.ndarray]:
    """What an ONNX file makes of inputs [n, ...], one at a time."""
    try:
        import onnxruntime
    except ImportError:
        raise BadInput(f"{file} needs onnxruntime: pip install 'aqtaudio[teachers]'") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    rank = len(taken.shape)

    def run(inputs: np.ndarray) -> np.ndarray:
        shaped = (_shaped(x[None], rank) for x in inputs)
        return np.stack([session.run(None, {taken.name: x})[0].reshape(-1) for x in shaped])

    return run


def _tflite(file: str) -> Callable[[np.ndarray], np.ndarray]:
    """What a TFLite file makes of inputs [n, ...] in LiteRT, a child process; real values."""
    model = Path(file).read_bytes()

    def run(inputs: np.ndarray) -> np.ndarray:
        with running(model, "litert") as interpreter:
            taken, given = interpreter.input_details[0], interpreter.output_details[0]
            shaped = inputs.reshape(len(inputs), *taken.shape[1:])
            answers = interpreter.invoke(_codes(shaped, taken))[0]
        if given.scale is None or given.zero_point is None:
            return answers
        return (answers.astype(np.float32) - given.zero_point) * np.float32(given.scale)

    return run


def _codes(x: np.ndarray, details: Details) -> np.ndarray:
    """Real values as what a file takes."""
    if details.scale is None or details.zero_point is None:
        return x.astype(details.dtype)
    bounds = np.iinfo(details.dtype)
    codes = np.round(x / details.scale) + details.zero_point
    return np.clip(codes, bounds.min, bounds.max).astype(details.dtype)


def _shaped(x: np.ndarray, rank: int) -> np.ndarray:
    """x with as many axes: of size 1 at its end; without its first where it has one too many."""
    while x.ndim > rank and x.shape[0] == 1:
        x = x[0]
    return x.reshape(*x.shape, *(1,) * (rank - x.ndim))
