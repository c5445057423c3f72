"""A run directory, or an artifact folder: the same without checkpoints.

config.json, checkpoint/, metrics.jsonl, program.npz (and a readable program.json), model.tflite,
evaluation.tsv, evaluation.sha1, companions.npz where the task keeps any, detector.json where
`detect` found one, row.json.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aqtaudio.data import items as item_lists
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, load_json
from aqtaudio.frontends.frontend import Frontend
from aqtaudio.program import program as programs
from aqtaudio.program.execute import Executor
from aqtaudio.program.program import Program
from aqtaudio.runs import lists
from aqtaudio.runs.lists import EVALUATION
from aqtaudio.settings import differences
from aqtaudio.tasks.task import Data

COMPANIONS = "companions.npz"
GOLDEN = "golden.npz"
PROGRAM_JSON = "program.json"
BOARDS = "boards.json"
DETECTOR = "detector.json"
ROW = "row.json"
FILES = ("config.json", "program.npz", "model.tflite", COMPANIONS, GOLDEN, BOARDS, DETECTOR, ROW)
"""What an artifact has of its run, beside its evaluation list. Not all runs have companions, or
golden inputs, or were measured on boards, or had thresholds found."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run on disk. Everything is read when it is first asked for.

    Attributes:
      path: its folder.
      frontend: what it hears through instead of the front end it was trained on, see `hearing`.
    """

    path: Path
    frontend: Frontend | None = None

    def __post_init__(self):
        if not self.path.is_dir():
            raise BadInput(f"{self.path}: no such run directory")

    @functools.cached_property
    def experiment(self) -> Experiment:
        """The settings it was made with, but for the front end it hears through."""
        experiment = load_json(self.path / "config.json")
        if self.frontend is None:
            return experiment
        return dataclasses.replace(experiment, frontend=self.frontend)

    def hearing(self, frontend: Frontend) -> "Run":
        """The same model behind another front end, or with features that a device dumped.

        Raises BadInput where the model cannot take its features, or the run's clips are at another
        sample rate.
        """
        heard = dataclasses.replace(self, frontend=frontend)
        own, other = self.experiment, heard.experiment
        changed = differences(own.frontend, frontend, "in the run", "requested")
        if frontend.takes_audio and frontend.sample_rate_hz != own.frontend.sample_rate_hz:
            raise BadInput(f"{self.path}: its clips are at another sample rate ({changed})")
        if other.setup.feature_shape != own.setup.feature_shape:
            ours, theirs = own.setup.feature_shape, other.setup.feature_shape
            raise BadInput(
                f"{self.path}: its model takes {ours[0]} frames of {ours[1]} features, the front "
                f"end gives {theirs[0]} of {theirs[1]} ({changed})"
            )
        return heard

    @functools.cached_property
    def program(self) -> Program:
        """The integer program. BadInput for a float run."""
        if self.experiment.recipe.mode == "float":
            raise BadInput(
                f"{self.path}: a float run has no integer program; use runtime float, or train "
                "a quantized run"
            )
        return programs.load(self.path / "program.npz")

    @functools.cached_property
    def executor(self) -> Executor:
        """The program, in the arithmetic that the run was trained for."""
        return Executor(self.program, target=self.experiment.recipe.target)

    @functools.cached_property
    def model(self) -> bytes:
        """The TFLite file."""
        try:
            return (self.path / "model.tflite").read_bytes()
        except OSError as error:
            raise BadInput(
                f"{self.path}: no model.tflite; is it a finished quantized run?"
            ) from error

    def data(self, folders: Sequence[Path], splits: tuple[str, ...]) -> Data:
        """The recordings of manifest folders as this run sees them."""
        experiment = self.experiment
        return experiment.task.load(folders, experiment.setup, splits)

    @property
    def evaluation_file(self) -> Path | None:
        """The list that its figures are of: its own, or that of the study whose artifact it is."""
        files = [self.path / EVALUATION]
        if self.path.parent.name == "artifacts":
            files.append(self.path.parents[1] / EVALUATION)
        return next((file for file in files if file.exists()), None)

    def evaluation_list(self) -> list[Any]:
        """What the run's own figures are measured on. BadInput where it has no list."""
        file = self.evaluation_file
        if file is None:
            raise BadInput(f"{self.path}: no {EVALUATION}")
        own = item_lists.read(file, self.experiment.task.item)
        if not own:
            raise BadInput(f"{file} holds no clips")
        return own

    def items(self, data: Data, split: str, which: str = lists.FOLDER) -> list[Any]:
        """What figures are measured on; see `listed`."""
        return self.listed(data, split, which).items

    def listed(self, data: Data, split: str, which: str = lists.FOLDER) -> lists.Listed:
        """The clips of a split that figures are measured on, and how the run's list differs.

        Args:
          data: recordings of the split.
          split: only the run's list of "val" is kept.
          which: "folder": what `data` holds; "run": the list that the run was begun on.

        Raises:
          BadInput: the run's list is asked for where there is none, or `data` lacks its recordings.
        """
        if split != "val":
            if which == lists.RUN:
                raise BadInput(f"--list run: a run keeps the list of val; of {split!r} it has none")
            return lists.Listed(data.evaluation_list(split))
        return lists.chosen(self.evaluation_list, self.evaluation_file, data, which)

    def fingerprint(self, *more: str) -> str:
        """12 hex digits that tell runs apart, and what else is given: of settings, file and row."""
        digest = hashlib.sha256(" ".join(more).encode())
        for name in ("config.json", "model.tflite", ROW):
            digest.update((self.path / name).read_bytes() if (self.path / name).exists() else b"")
        return digest.hexdigest()[:12]

    def variables(self, phase: str) -> dict[str, Any]:
        """Parameters and collections of the "float" or "quantized" phase."""
        from aqtaudio.training.restore import restore  # heavy: orbax

        found = restore(self.path, self.experiment, phase)
        return {name: found[name] for name in ("params", "batch_stats", "ranges") if name in found}
