"""A probe trained on an embedding run's integers, and put behind it as one program."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aqtaudio.compression.calibrate import calibrate
from aqtaudio.errors import BadInput
from aqtaudio.experiment import save_json
from aqtaudio.files import new_folder, write
from aqtaudio.program import program as programs
from aqtaudio.program.joined import joined
from aqtaudio.program.program import Program
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.runs.network import network
from aqtaudio.runs.run import Run
from aqtaudio.tasks.embedding import probe_network
from aqtaudio.tasks.embedding.embed import of_clips
from aqtaudio.tasks.embedding.judging import labelled, trained
from aqtaudio.tasks.embedding.label_probes import LabelProbe
from aqtaudio.tasks.embedding.probe_clips import scored_clips, training_clips
from aqtaudio.tasks.embedding.probed import Probed
from aqtaudio.tasks.embedding.probes import Probe
from aqtaudio.tasks.embedding.task import Embedding
from aqtaudio.vocabulary.recording import record

PROBE = "probe.npz"


def probed(
    run: Run, name: str, folders: Sequence[Path], out: Path, split: str = "val"
) -> dict[str, Any]:
    """Writes an artifact of one program, from features of a clip to the logits of a probe.

    It holds the probe too, in float64 (probe.npz). Runtimes "float" and "quantized", which need
    checkpoints, it does not have.

    Returns:
      What `aqtaudio probe --json` prints: the figure of the probe in float64 on the run's integers,
      and that of the program.

    Raises:
      BadInput: a run that is no embedding of single vectors in integers, a probe that it does not
        have, or `out` holds something.
    """
    from aqtaudio.program.tflite import to_tflite

    task, setup = Embedding.of(run.experiment.task), run.experiment.setup
    probe = _probe(task, name)
    _require_single(run, probe)
    data = task.load(folders, setup, (split,))
    with network(run, "integer") as opened:

        def embed(clips: np.ndarray) -> np.ndarray:
            return of_clips(opened, clips, setup, skipped=0)

        found, train = trained(probe, training_clips(data, probe, setup.clip_samples), embed)
        test = labelled(scored_clips(data, probe, setup.clip_samples, split), embed)
    program = joined(run.program, recorded(found, run, train.embeddings))
    experiment = dataclasses.replace(
        run.experiment, task=Probed(probe, found.classes, setup.clip_ms), init_from=None
    )
    with new_folder(out) as folder:
        save_json(experiment, folder / "config.json")
        programs.save(program, folder / "program.npz")
        write(folder / "model.tflite", to_tflite(program))
        found.save(folder / PROBE)
    made = Run(out)
    items = data.evaluation_list(split)
    with network(made, "integer") as opened:
        scores = experiment.task.scores(opened, data, items, setup)
    kind = probe.main.removeprefix(f"{probe.name}_")
    return {
        "out": str(out),
        "probe": name,
        "classes": list(found.classes),
        "split": split,
        "n": len(test),
        "training_clips": len(train),
        "figure": kind,
        "float_probe": found.scores(test)[kind],
        "program": scores[probe.main],
    }


def recorded(probe: Probe, run: Run, embeddings: np.ndarray) -> Program:
    """The program of a probe that is given the codes of a run; ranges are those of `embeddings`."""
    edge = run.program.edges[run.program.outputs[0]]
    own = run.experiment.recipe
    rule = Rule(activation_bits=16 if edge.bits == 16 else 8, calibration="max")
    recipe = Recipe(rules=(rule,), target=own.target, kernels=own.kernels)
    model, params = probe_network.network(probe, edge), probe_network.parameters(probe)
    ranges = calibrate(model, params, [embeddings.astype(np.float32)], recipe)
    return record(model, {"params": params, "ranges": ranges}, (model.dimensions,), recipe)


def _probe(task: Embedding, name: str) -> LabelProbe:
    for probe in task.probes:
        if probe.name == name:
            return probe
    known = ", ".join(probe.name for probe in task.probes) or "none; task.probes is empty"
    raise BadInput(f"probe {name!r}; allowed: {known}")


def _require_single(run: Run, probe: LabelProbe) -> None:
    """One vector a clip: pooling is no part of the program."""
    setup = run.experiment.setup
    if setup.streams:
        raise BadInput(
            f"{run.path}: a stream's probe sees several vectors; allowed: a run of whole clips. "
            "Behind a stream a head is trained as a run, with front end Embedded"
        )
    shape = run.program.edges[run.program.outputs[0]].shape
    if np.prod(shape) != shape[-1] or probe.clip_ms != setup.clip_ms:
        raise BadInput(
            f"{run.path}: probe {probe.name!r} sees several vectors (the network answers with "
            f"{list(shape)}, the probe's clips have {probe.clip_ms} ms, the network's "
            f"{setup.clip_ms}); allowed: a single vector [D] of a clip"
        )
