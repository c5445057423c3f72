"""What a study keeps of a finished run: quality, costs, parity."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from aqtaudio.compression import low_rank
from aqtaudio.experiment import Experiment
from aqtaudio.program.program import Program
from aqtaudio.runs.costs import costs
from aqtaudio.runs.evaluate import row_figures
from aqtaudio.runs.join import deployed
from aqtaudio.runs.parity import parity
from aqtaudio.runs.run import Run
from aqtaudio.tasks.task import Data

ROW_PARITY_INPUTS = 1000
ROW_PARITY_MS = 60_000


def make_row(
    run: Run,
    quantized: Mapping[str, Any] | None,
    data: Data,
    items: Sequence[Any],
) -> dict[str, Any]:
    """The row, as JSON; `quantized`: the trained variables of a run that is not float.

    Of a head behind an encoder bits, costs and parity are those of both, as a device runs them.
    """
    experiment = run.experiment
    found = row_figures(run, data, items)
    row: dict[str, Any] = {
        "model": type(experiment.model).__name__,
        "width": getattr(experiment.model, "width", None),
        "seed": experiment.seed,
        "metrics": found["metrics"],
        "headlines": dataclasses.asdict(experiment.task.headlines),
    }
    if quantized is not None:
        row["ranks"] = low_rank.ranks(quantized["params"])
        row["svd_penalty"] = max((r.svd_penalty or 0.0) for r in experiment.recipe.rules)
    with deployed(run) as whole:
        row["precision"] = precision(whole)
        row["costs"] = costs(whole)
        row["device"] = jax.devices()[0].device_kind
        if experiment.setup.streams:
            more = found.get("stream", {})
            facts = stream_facts(experiment.setup.block_ms, row["costs"]["macs"])
            row["stream"] = facts | more
        if quantized is not None:
            row["bits"] = bits(whole.program)
            how = row_inputs(experiment), experiment.recipe.target
            row["parity"] = parity(whole, data, *how, items=items)
    return row


def row_inputs(experiment: Experiment) -> int:
    """Recorded and random inputs, each, behind a row's parity; a minute of a stream at least."""
    blocks = math.ceil(ROW_PARITY_MS / experiment.setup.block_ms) if experiment.setup.streams else 0
    return max(ROW_PARITY_INPUTS, blocks)


def stream_facts(block_ms: float, macs: int) -> dict[str, Any]:
    """What only streams have: time per block, work per second."""
    return {"block_ms": block_ms, "macs_per_second": round(macs * 1000 / block_ms)}


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
