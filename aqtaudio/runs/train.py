"""From an experiment to a finished run directory."""

import contextlib
import dataclasses
import functools
import json
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aqtaudio.data.manifest import fingerprint
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment, identity, load_json, save_json
from aqtaudio.files import is_left_behind, write, write_arrays, write_json
from aqtaudio.program import program as programs
from aqtaudio.program.program import Program
from aqtaudio.runs import float_model, lock
from aqtaudio.runs.lists import begun_on, write_list
from aqtaudio.runs.row import make_row
from aqtaudio.runs.run import COMPANIONS, Run
from aqtaudio.tasks.task import Data
from aqtaudio.vocabulary.recording import clip, record

if TYPE_CHECKING:
    from aqtaudio.training.loop import Trainer

Say = Callable[[str], None]
Folders = Sequence[Path]


def train(experiment: Experiment, folders: Folders, out: Path, say: Say) -> Run:
    """Trains into `out`, or goes on where a run of the same experiment stopped there.

    Nothing is written before data and settings are known to be good. What can be said without
    reading a recording or compiling is said first.

    Raises:
      BadInput: bad data, `out` holds something else, or is being trained by somebody else.
    """
    _require_room(experiment, out)
    with contextlib.ExitStack() as claimed:
        is_run = (out / "config.json").exists()
        if is_run:
            claimed.enter_context(lock.held(out))
        if _is_finished(out, folders):
            say(f"{out} is trained already, on these recordings")
            return Run(out)
        from aqtaudio.training.preflight import require_settings  # heavy: orbax

        require_settings(experiment)
        experiment.task.require_recordings(folders, ("train", "val"))

        def claim(folder: Path) -> None:
            if not is_run:
                claimed.enter_context(lock.held(folder))

        (run,) = train_together([(experiment, out)], folders, say, claim)
    if isinstance(run, BadInput):
        raise run
    return run


def _is_finished(out: Path, folders: Folders) -> bool:
    """Whether a run has all that training makes, of these very recordings."""
    row = out / "row.json"
    if not (row.exists() and (out / "model.tflite").exists()):
        return False
    return json.loads(row.read_text(encoding="utf-8")).get("data") == _told(folders)


def _told(folders: Folders) -> list[dict[str, str]]:
    """What a row keeps of folders: names, and what tells their recordings."""
    return [{"folder": x.resolve().name, "hash": fingerprint(x)} for x in folders]


def train_together(
    runs: Sequence[tuple[Experiment, Path]],
    folders: Folders,
    say: Say,
    claim: Callable[[Path], None] = lambda folder: None,
) -> list[Run | BadInput]:
    """Trains runs of one `training.traced.signature`, each into its folder, as one program.

    `claim` is called with a folder once it is there, before anything is written into it. A run that
    cannot be trained does not keep the others from it: its error is returned.
    """
    from aqtaudio.training.loop import train_together as train_models  # heavy: optax, orbax

    started = time.monotonic()
    results: dict[Path, Run | BadInput] = {}
    begun: list[_Begun] = []
    load = functools.cache(lambda: _loaded(runs[0][0], folders))
    for experiment, out in runs:
        try:
            begun.append(_begin(experiment, load, folders, out, say, claim))
        except BadInput as error:
            results[out] = error
    models = train_models([one.trainer for one in begun])
    shared_seconds = (time.monotonic() - started) / max(1, len(begun))
    for one, trained in zip(begun, models, strict=True):
        out = one.trainer.directory
        try:
            if isinstance(trained, BadInput):
                raise trained
            results[out] = _finish(one, *trained, shared_seconds, len(begun))
        except BadInput as error:
            results[out] = error
        except Exception as error:
            if len(runs) == 1:
                raise
            traceback.print_exc()  # a model that no converter takes, say: the others go on
            results[out] = BadInput(f"{type(error).__name__}: {error}")
    return [results[out] for _, out in runs]


@dataclasses.dataclass
class _Recordings:
    """What runs that train together share: data, the validation list, its arrays, and of each
    folder its name and what tells its recordings.
    """

    data: Data
    items: list[Any]
    evaluation: tuple[Any, ...]
    folders: list[dict[str, str]]


def _loaded(experiment: Experiment, folders: Folders) -> _Recordings:
    task, setup = experiment.task, experiment.setup
    data = task.prepared(task.load(folders, setup, ("train", "val")), setup)
    items = data.evaluation_list("val")
    return _Recordings(data, items, data.evaluation_arrays(items), _told(folders))


@dataclasses.dataclass
class _Begun:
    """A run that is known to be good: how it is trained, and what it is measured on."""

    trainer: "Trainer"
    found: _Recordings


def _begin(
    experiment: Experiment,
    load: Callable[[], _Recordings],
    folders: Folders,
    out: Path,
    say: Say,
    claim: Callable[[Path], None],
) -> _Begun:
    from aqtaudio.training.loop import Trainer
    from aqtaudio.training.preflight import require_trainable

    _require_room(experiment, out)
    notices = require_trainable(experiment)
    found = load()
    if not begun_on(out, experiment.task.item, found.items, found.evaluation[0]):
        raise BadInput(f"{out} was begun on other recordings; name another folder")
    trainer = Trainer(experiment, found.data, out, found.evaluation, say)
    _make_folder(out)
    claim(out)
    save_json(experiment, out / "config.json")
    write_list(out, experiment.task.item, found.items, found.evaluation[0])
    say(f"{', '.join(map(str, folders))}: {len(found.items)} validation clips")
    for notice in (*notices, experiment.task.notice()):
        if notice:
            say(notice)
    return _Begun(trainer, found)


def _finish(
    begun: _Begun,
    floating: dict[str, Any],
    quantized: Mapping[str, Any] | None,
    shared_seconds: float,
    together: int,
) -> Run:
    """From trained variables to the files of a finished run; its row comes last."""
    from aqtaudio.program.tflite import to_float_tflite, to_tflite

    started = time.monotonic()
    experiment, run = begun.trainer.experiment, Run(begun.trainer.directory)
    if quantized is not None:
        program = recorded(experiment, quantized)
        programs.save(program, run.path / "program.npz")
        write(run.path / "model.tflite", to_tflite(program))
    else:
        blob = to_float_tflite(*float_model.recorded(experiment, floating))
        write(run.path / "model.tflite", blob)
    if kept := experiment.task.kept((quantized or floating).get("companions", {})):
        write_arrays(run.path / COMPANIONS, kept)
    row = make_row(run, quantized, begun.found.data, begun.found.items)
    row["data"] = begun.found.folders
    row["seconds"] = round(shared_seconds + time.monotonic() - started, 1)
    row["trained_together"] = together
    write_json(run.path / "row.json", row)
    return run


def recorded(experiment: Experiment, quantized: Mapping[str, Any]) -> Program:
    """The program of a quantized model: for whole clips, or for a block of a stream."""
    model = experiment.built_model()
    variables = {"params": quantized["params"], "ranges": quantized["ranges"]}
    if experiment.setup.streams:
        variables |= clip(model, variables, experiment.setup.feature_shape)
    recipe, shape = experiment.recipe, experiment.setup.input_shape
    return record(model, variables, shape, recipe, experiment.setup.streams)


def _require_room(experiment: Experiment, out: Path) -> None:
    """`out` may be new, empty, or an unfinished run of the same experiment."""
    config = out / "config.json"
    if config.exists():
        if _without_parent(load_json(config)) != _without_parent(experiment):
            raise BadInput(f"{out} holds a run of another experiment; name another folder")
    elif out.exists() and not out.is_dir():
        raise BadInput(f"{out} is not a folder; name a new one")
    elif out.exists() and any(not _came_before(name) for name in os.listdir(out)):
        raise BadInput(f"{out} is not empty and holds no run; name a new folder")


def _without_parent(experiment: Experiment) -> dict[str, Any]:
    """Identity but for the parent's path: folders may have moved."""
    return {key: value for key, value in identity(experiment).items() if key != "init_from"}


# What a sweep puts into a run's folder, and what is left when a run is killed as it begins.
BEFORE_A_RUN = ("log.txt", "lock", "pid", "error.txt", "job.json")


def _came_before(name: str) -> bool:
    return name in BEFORE_A_RUN or is_left_behind(name)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{out} cannot be made: {error.strerror}") from error
