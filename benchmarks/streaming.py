"""Streams: what a second of listening costs, and the interpreters' time per block against float.

    python benchmarks/streaming.py RUN... [--blocks 256] [--rounds 5]

RUN: finished quantized runs that stream, with checkpoints. Every file has its states as inputs and
outputs here, so that blocks can be handed over in batches: int8 in TFLite Micro and in LiteRT, the
same model in float32 in both, alternating in one process. Times include handing states over, more
bytes in float32. Prints a Markdown table.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import alternating

from aqtaudio.program.check import check
from aqtaudio.program.child import MicroError
from aqtaudio.program.cost import cost
from aqtaudio.program.litert import LiteRT
from aqtaudio.program.micro import Interpreter, Micro
from aqtaudio.program.tflite import to_float_tflite, to_tflite
from aqtaudio.runs import float_model
from aqtaudio.runs.row import precision
from aqtaudio.runs.run import Run

HEAD = (
    "model", "block ms", "parameters", "MACs / s", "file", "arena", "state",
    "TFLite Micro µs", "x float", "LiteRT µs", "x float",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--blocks", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |")
    print(f"|---|{'---:|' * (len(HEAD) - 1)}")
    for path in options.runs:
        cells = row(Run(path), options.blocks, options.rounds)
        print(f"| {' | '.join(cells)} |", flush=True)


def label(run: Run) -> str:
    """Model, size and precision."""
    model = run.experiment.model
    size = getattr(model, "width", None) or getattr(model, "units", "")
    return f"{type(model).__name__} {size} {precision(run)}"


def row(run: Run, blocks: int, rounds: int) -> list[str]:
    """A line of the table."""
    program, block_ms = run.program, run.experiment.setup.block_ms
    report, costs = check(run.model), cost(program)
    structure, weights = float_model.recorded(run.experiment, run.variables("float"))
    integer, floating = to_tflite(program, explicit_state=True), to_float_tflite(structure, weights)
    times = [paired(kind, integer, floating, blocks, rounds) for kind in (Micro, LiteRT)]
    return [
        label(run),
        f"{block_ms:.0f}",
        f"{costs.total('params'):,}",
        f"{costs.total('macs') * 1000 / block_ms:,.0f}",
        f"{report.file_bytes:,}",
        f"{report.arena_bytes:,}",
        f"{program.state_bytes:,}",
        *(cell for pair in times for cell in pair),
    ]


def paired(
    kind: Callable[[bytes], Interpreter], integer: bytes, floating: bytes, blocks: int, rounds: int
) -> tuple[str, str]:
    """(µs per block of the integer file, how many times that of the float file)."""
    with kind(integer) as ours:
        run = invocation(ours, blocks)
        try:
            with kind(floating) as theirs:
                turns = {"integer": run, "float": invocation(theirs, blocks)}
                times = {name: both[:, 0] for name, both in alternating(turns, rounds).items()}
        except MicroError:  # an operator that TFLite Micro has in integers only
            alone = alternating({"integer": run}, rounds)["integer"][:, 0]
            return f"{1e6 * np.median(alone) / blocks:,.0f}", "-"
    ours, theirs = times["integer"], times["float"]
    return f"{1e6 * np.median(ours) / blocks:,.0f}", f"{np.median(ours / theirs):.2f}"


def invocation(interpreter: Interpreter, blocks: int) -> Callable[[], object]:
    """Runs random blocks with random states."""
    rng = np.random.default_rng(0)
    inputs = [
        rng.integers(-100, 100, (blocks, *details.shape[1:])).astype(details.dtype)
        for details in interpreter.input_details
    ]
    return lambda: interpreter.invoke(*inputs)


if __name__ == "__main__":
    main()
