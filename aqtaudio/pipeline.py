"""From an experiment to a finished run directory."""

import dataclasses
import functools
import json
import math
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from aqtaudio import float_model
from aqtaudio.compression import low_rank
from aqtaudio.enhancement import metrics
from aqtaudio.enhancement.data import EnhancementData
from aqtaudio.enhancement.task import Enhancement
from aqtaudio.errors import BadInput
from aqtaudio.evaluate import from_silence, measured, parity
from aqtaudio.experiment import Experiment, identity, load_json, save_json
from aqtaudio.program import program as programs
from aqtaudio.program.cost import cost
from aqtaudio.program.look_ahead import look_ahead_frames
from aqtaudio.program.program import Program
from aqtaudio.run_directory import Data, Items, Run, read_list, write_list
from aqtaudio.vocabulary.recording import clip, record

if TYPE_CHECKING:
    from aqtaudio.training.loop import Trainer

Say = Callable[[str], None]
TRAINING_CLIPS_PER_CLASS = 100
"""What the accuracy on training clips, as they were recorded, is measured on."""
ROW_PARITY_INPUTS = 1000
ROW_PARITY_MS = 60_000


def train(experiment: Experiment, data_folder: Path, out: Path, say: Say) -> Run:
    """Trains into `out`, or goes on where a run of the same experiment stopped there.

    Nothing is written before data and settings are known to be good.

    Raises:
      BadInput: bad data, or `out` holds something else.
    """
    (run,) = train_together([(experiment, out)], data_folder, say)
    if isinstance(run, BadInput):
        raise run
    return run


def train_together(
    runs: Sequence[tuple[Experiment, Path]], data_folder: Path, say: Say
) -> list[Run | BadInput]:
    """Trains runs of one `training.traced.signature`, each into its folder, as one program.

    One that cannot be trained does not keep the others from it: its error is returned.
    """
    from aqtaudio.training.loop import train_together as train_models  # heavy: optax, orbax

    started = time.monotonic()
    results: dict[Path, Run | BadInput] = {}
    begun: list[_Begun] = []
    load = functools.cache(lambda: _loaded(runs[0][0], data_folder))
    for experiment, out in runs:
        try:
            begun.append(_begin(experiment, load, data_folder, out, say))
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
    """What runs that train together share: data, the validation list and its clips."""

    data: Data
    items: Items
    evaluation: tuple[np.ndarray, np.ndarray]


def _loaded(experiment: Experiment, data_folder: Path) -> _Recordings:
    from aqtaudio.clean_targets import cleaner_of  # heavy: optax

    clean = cleaner_of(experiment)
    data = experiment.load_data(data_folder)
    if clean and isinstance(data, EnhancementData):
        data = data.with_training_speech(clean)
    items: Items = data.evaluation_list("val")
    return _Recordings(data, items, data.evaluation_arrays(items))


@dataclasses.dataclass
class _Begun:
    """A run that is known to be good: how it is trained, and what it is measured on."""

    trainer: "Trainer"
    items: Items


def _begin(
    experiment: Experiment,
    load: Callable[[], _Recordings],
    data_folder: Path,
    out: Path,
    say: Say,
) -> _Begun:
    from aqtaudio.training.loop import Trainer
    from aqtaudio.training.preflight import require_trainable

    _require_room(experiment, out)
    require_trainable(experiment)
    found = load()
    _require_same_recordings(experiment, out, found.items)
    trainer = Trainer(experiment, found.data, out, found.evaluation)
    _make_folder(out)
    save_json(experiment, out / "config.json")
    write_list(experiment, out / "evaluation.tsv", found.items)
    say(f"{data_folder}: {len(found.items)} validation clips")
    if isinstance(experiment.task, Enhancement) and not metrics.models_are_installed():
        say(f"scored by SI-SDR alone; PESQ, STOI and DNSMOS: {metrics.INSTALL}")
    return _Begun(trainer, found.items)


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
        save_model(run, to_tflite(program))
    else:
        save_model(run, to_float_tflite(*float_model.recorded(experiment, floating)))
    row = make_row(run, quantized, begun.trainer.data, begun.items)
    row["seconds"] = round(shared_seconds + time.monotonic() - started, 1)
    row["trained_together"] = together
    _write_json(run.path / "row.json", row)
    return run


def recorded(experiment: Experiment, quantized: Mapping[str, Any]) -> Program:
    """The program of a quantized model: for whole clips, or for a block of a stream."""
    model = experiment.built_model()
    variables = {"params": quantized["params"], "ranges": quantized["ranges"]}
    if experiment.streams:
        variables |= clip(model, variables, experiment.feature_shape)
    recipe, shape = experiment.recipe, experiment.input_shape
    return record(model, variables, shape, recipe, experiment.streams)


def save_model(run: Run, blob: bytes) -> None:
    """Writes `model.tflite`."""
    temporary = run.path / "model.tflite.partial"
    temporary.write_bytes(blob)
    temporary.replace(run.path / "model.tflite")


def make_row(
    run: Run,
    quantized: Mapping[str, Any] | None,
    data: Data,
    items: Items,
) -> dict[str, Any]:
    """What a study keeps of a finished run: quality, costs, parity."""
    experiment = run.experiment
    enhances = isinstance(experiment.task, Enhancement)
    scored = _enhancement_scores if enhances else _keyword_scores
    scores = scored(run, data, items)
    row: dict[str, Any] = {
        "model": type(experiment.model).__name__,
        "width": getattr(experiment.model, "width", None),
        "precision": precision(run),
        "seed": experiment.seed,
        "metrics": scores,
        "costs": costs(run),
        "device": jax.devices()[0].device_kind,
    }
    if experiment.streams:
        row["stream"] = stream_facts(run, row["costs"]["macs"])
        if not enhances:
            phase = "float" if quantized is None else "quantized"
            heard = from_silence(run, data.evaluation_arrays(items), phase)
            row["stream"]["accuracy_from_silence"] = heard["accuracy"]
    if quantized is not None:
        row["ranks"] = low_rank.ranks(quantized["params"])
        row["bits"] = bits(run.program)
        row["svd_penalty"] = max((r.svd_penalty or 0.0) for r in experiment.recipe.rules)
        row["parity"] = parity(run, data, row_inputs(experiment), experiment.recipe.target)
    return row


def _keyword_scores(run: Run, data: Data, items: Items) -> dict[str, Any]:
    """By runtime; and of the served model on clips that it was trained on."""
    runtimes = ("float",) if _is_float(run) else ("float", "quantized", "integer")
    scores = {name: measured(run, data, items, name) for name in runtimes}
    for found in scores.values():
        found.pop("confusion")  # `evaluate` makes it again
    known = data.evaluation_list("train", TRAINING_CLIPS_PER_CLASS)
    served = measured(run, data, known, runtimes[-1])
    return scores | {"train": {"accuracy": served["accuracy"]}}


def _enhancement_scores(run: Run, data: Data, items: Items) -> dict[str, Any]:
    """By runtime: plain figures, and `details` of them (counts, intervals, by SNR).

    The quantized reading is the program, to the bit: it is not scored twice.
    """
    runtimes = ("float",) if _is_float(run) else ("float", "integer")
    return {name: _with_details(measured(run, data, items, name)) for name in runtimes}


def _with_details(summary: dict[str, Any]) -> dict[str, Any]:
    """Means on top, what `enhancement.metrics.summary` says of them below."""
    kinds = ("n", "left_out", "intervals", "per_snr")
    means = {key: value for key, value in summary.items() if key not in kinds}
    return means | {"details": {key: summary[key] for key in kinds if key in summary}}


def row_inputs(experiment: Experiment) -> int:
    """Recorded and random inputs, each, behind a row's parity; a minute of a stream at least."""
    blocks = math.ceil(ROW_PARITY_MS / experiment.block_ms) if experiment.streams else 0
    return max(ROW_PARITY_INPUTS, blocks)


def stream_facts(run: Run, macs: int) -> dict[str, Any]:
    """What only streams have: time per block, work per second.

    A keyword row has the accuracy from silence, too: a model that hears every clip from silence and
    does much worse in a stream has only learned states that follow silence.
    """
    block_ms = run.experiment.block_ms
    return {"block_ms": block_ms, "macs_per_second": round(macs * 1000 / block_ms)}


def _is_float(run: Run) -> bool:
    return run.experiment.recipe.mode == "float"


def costs(run: Run) -> dict[str, Any]:
    """The keys that `cost --json` prints, measured on the run's own file and program.

    And `vela_cycles`, on an Ethos-U, where Vela is installed and takes the whole file.
    """
    from aqtaudio.program import vela
    from aqtaudio.program.check import check

    is_float = _is_float(run)
    report = check(run.model, allow_float=is_float)
    program = float_model.structure(run.experiment) if is_float else run.program
    totals = cost(program).to_json()
    totals.pop("operations")
    if is_float:
        totals |= float_model.in_float32(totals)
    cycles = None if is_float else vela.cycles(run.model)
    if cycles is not None:
        totals["vela_cycles"] = cycles
    return totals | {
        "file_bytes": report.file_bytes,
        "arena_bytes": report.arena_bytes,
        "look_ahead_ms": look_ahead_ms(run.experiment, program),
    }


def look_ahead_ms(experiment: Experiment, program: Program) -> float:
    """How long the program waits after the audio that it speaks of.

    A stream waits as long as its front end looks ahead; most not at all.
    """
    frames = 0 if experiment.streams else look_ahead_frames(program)
    return (frames + experiment.frontend.skipped_frames) * experiment.hop_ms


def bits(program: Program) -> dict[str, list[int]]:
    """Of every operation with weights: [of its weights, of its output]."""
    weighted = [op for op in program.operations if "weights" in op.constants]
    return {
        op.name: [op.attributes["weight_bits"], program.edges[op.output].bits] for op in weighted
    }


def precision(run: Run) -> str:
    """Short name: float, ptq_w8a8, fake_w8a8, w8a8, w4a8, w8a16, mixed, with _low_rank."""
    experiment = run.experiment
    if experiment.recipe.mode == "float":
        return "float"
    program = run.program
    weighted = [op for op in program.operations if "weights" in op.constants]
    weight_bits = {op.attributes["weight_bits"] for op in weighted}
    # With 4 or 8 bits signed edges keep 8, so relu edges tell.
    outputs = [program.edges[op.output] for op in weighted]
    wide = any(edge.bits == 16 for edge in outputs)
    bits = {edge.bits for edge in outputs if wide or edge.zero_point != 0}
    name = "mixed"
    if len(weight_bits) == 1 and len(bits) <= 1:
        name = f"w{weight_bits.pop()}a{bits.pop() if bits else 8}"
    if experiment.recipe.mode == "fake":
        name = f"fake_{name}"
    elif experiment.finetune.steps == 0:
        name = f"ptq_{name}"
    is_thin = any("/down" in op.name for op in weighted)
    return f"{name}_low_rank" if is_thin else name


def _require_room(experiment: Experiment, out: Path) -> None:
    """`out` may be new, empty, or an unfinished run of the same experiment."""
    config = out / "config.json"
    if config.exists():
        if _without_parent(load_json(config)) != _without_parent(experiment):
            raise BadInput(f"{out} holds a run of another experiment; name another folder")
    elif out.exists() and not out.is_dir():
        raise BadInput(f"{out} is not a folder; name a new one")
    elif out.exists() and any(name not in BEFORE_A_RUN for name in os.listdir(out)):
        raise BadInput(f"{out} is not empty and holds no run; name a new folder")


def _without_parent(experiment: Experiment) -> dict[str, Any]:
    """Identity but for the parent's path: folders may have moved."""
    return {key: value for key, value in identity(experiment).items() if key != "init_from"}


def _require_same_recordings(experiment: Experiment, out: Path, items: Items) -> None:
    """A run that goes on must see the recordings that it began with."""
    file = out / "evaluation.tsv"
    if file.exists() and read_list(experiment, file) != items:
        raise BadInput(f"{out} was begun on other recordings; name another folder")


# What a sweep puts into a run's folder, and what is left when a run is killed as it begins.
BEFORE_A_RUN = (
    *("log.txt", "lock", "pid", "error.txt"),
    *("job.json", "job.json.partial", "config.json.partial"),
)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{out} cannot be made: {error.strerror}") from error


def _write_json(path: Path, value: Any) -> None:
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    temporary.replace(path)
