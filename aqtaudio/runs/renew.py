"""Finished runs in today's form: the program for all kernels, the file, what it costs.

Nothing is trained: the integers stay what they were, and that is checked.
"""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.compression.calibrate import calibrate
from aqtaudio.compression.fold import fold
from aqtaudio.errors import BadInput
from aqtaudio.experiment import Experiment
from aqtaudio.files import write, write_json
from aqtaudio.program import program as programs
from aqtaudio.program.check import check
from aqtaudio.program.execute import Executor
from aqtaudio.program.loops import looped
from aqtaudio.program.portable import changes, portable
from aqtaudio.program.program import Program
from aqtaudio.program.tflite import to_float_tflite, to_tflite
from aqtaudio.runs import float_model
from aqtaudio.runs.costs import costs
from aqtaudio.runs.export import golden_codes
from aqtaudio.runs.network import interpret
from aqtaudio.runs.parity import random_codes
from aqtaudio.runs.row import bits
from aqtaudio.runs.run import Run
from aqtaudio.settings import to_json
from aqtaudio.training.restore import fresh
from aqtaudio.vocabulary.layer_tree import flatten, unflatten
from aqtaudio.vocabulary.recording import clip, record

NEWEST = "arena_used_bytes"
"""The cost that rows have had for the shortest time."""
COMPARED = 64
"""Random inputs on which old and new integers are compared, beside the golden ones."""


def renew(run: Run) -> dict[str, Any]:
    """Writes the artifact's program, file and row anew where they are of an older form; returns the
    row.

    Raises BadInput, and writes nothing, where an integer would change.
    """
    old, recipe = run.program, run.experiment.recipe
    row = json.loads((run.path / "row.json").read_text())
    changed = recipe.kernels == "everywhere" and any(changes(old))
    new = portable(old) if changed else old
    new = looped(new) if recipe.loops else new
    model = to_tflite(new)
    if NEWEST in row["costs"] and not changed and model == run.model:
        return row
    _require_same(run, old, new, model)
    if changed:
        programs.save(new, run.path / "program.npz")
        (run.path / "program.json").unlink(missing_ok=True)
    write(run.path / "model.tflite", model)
    renewed = Run(run.path)
    row["costs"] = costs(renewed)
    if "bits" in row:
        row["bits"] = bits(renewed.program)
    write_json(run.path / "row.json", row)
    return row


def _require_same(run: Run, old: Program, new: Program, model: bytes) -> None:
    executor = Executor(old)
    golden, random = golden_codes(run, executor, ()), random_codes(old, COMPARED, seed=1)
    for codes in (golden, random):
        before, after = executor(codes), Executor(new)(codes)
        served = interpret(model, codes, "micro")
        changed = np.count_nonzero(before != after) + np.count_nonzero(after != served)
        if changed:
            raise BadInput(f"{run.path}: {changed} of {before.size} integers would change")


def shape_key(experiment: Experiment, ranks: dict[str, int]) -> str:
    """Equal for runs whose files differ in the values of their weights alone."""
    setup = experiment.setup
    settings = [to_json(x) for x in (experiment.built_model(), experiment.recipe)]
    return json.dumps([settings, setup.input_shape, setup.streams, ranks])


def measured(experiment: Experiment, ranks: dict[str, int]) -> dict[str, Any]:
    """Bytes of the file and of its arena, of a run whose files are gone.

    Neither depends on the values of weights, as long as no two tensors are alike, so an untrained
    model of these ranks has them.
    """
    is_float = experiment.recipe.mode == "float"
    model = _untrained_float(experiment) if is_float else to_tflite(_untrained(experiment, ranks))
    report = check(model, allow_float=is_float)
    return {
        "file_bytes": report.file_bytes,
        "arena_bytes": report.arena_bytes,
        "arena_used_bytes": report.arena_used_bytes,
    }


def _untrained_float(experiment: Experiment) -> bytes:
    return to_float_tflite(*float_model.recorded(experiment, _made_up(experiment)))


def _made_up(experiment: Experiment) -> dict[str, Any]:
    """Fresh variables with noise: no two arrays are alike. Biases that are all zero would share one
    buffer of a file.
    """
    rng, variables = np.random.default_rng(0), fresh(experiment)

    def noisy(leaf: jax.Array) -> jax.Array:
        return leaf + jnp.asarray(0.01 * rng.standard_normal(leaf.shape), leaf.dtype)

    return variables | {"params": jax.tree.map(noisy, variables["params"])}


def _untrained(experiment: Experiment, ranks: dict[str, int]) -> Program:
    model, setup, recipe = experiment.built_model(), experiment.setup, experiment.recipe
    variables = _made_up(experiment)
    params = fold(_thin(variables["params"], ranks), variables["batch_stats"])
    features = jax.random.normal(jax.random.key(0), (1, *setup.feature_shape))
    found = {"params": params, "ranges": calibrate(model, params, [features], recipe)}
    if setup.streams:
        found |= clip(model, found, setup.feature_shape)
    return record(model, found, setup.input_shape, recipe, setup.streams)


def _thin(params: dict[str, Any], ranks: dict[str, int]) -> dict[str, Any]:
    """Layers of these ranks as two factors, the others as they are."""
    result = flatten(params)
    for name, rank in ranks.items():
        kernel = result[name].pop("kernel")
        *lead, inputs, outputs = kernel.shape
        result[name] |= {
            "down": jnp.resize(kernel, (*lead, inputs, rank)),
            "up": jnp.resize(kernel, (*lead, rank, outputs)),
        }
    return unflatten(result)
