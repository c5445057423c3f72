"""What a device pays for a run."""

from typing import Any

from aqtaudio.experiment import Experiment
from aqtaudio.program import vela
from aqtaudio.program.check import check
from aqtaudio.program.cost import cost
from aqtaudio.program.look_ahead import look_ahead_frames
from aqtaudio.program.program import Program
from aqtaudio.runs.run import Run


def costs(run: Run) -> dict[str, Any]:
    """The keys that `cost --json` prints, measured on the run's own file and program.

    And `vela_cycles`, on an Ethos-U, where Vela is installed and takes the whole file.
    """
    is_float = run.experiment.recipe.mode == "float"
    if is_float:
        from aqtaudio.runs import float_model  # heavy: optax, orbax

        program = float_model.structure(run.experiment)
        totals = cost(program).to_json()
        totals |= float_model.in_float32(totals)
    else:
        program = run.program
        totals = cost(program).to_json()
    totals.pop("operations")
    report = check(run.model, allow_float=is_float)
    cycles = None if is_float else vela.cycles(run.model)
    if cycles is not None:
        totals["vela_cycles"] = cycles
    return totals | {
        "file_bytes": report.file_bytes,
        "arena_bytes": report.arena_bytes,
        "arena_used_bytes": report.arena_used_bytes,
        "look_ahead_ms": look_ahead_ms(run.experiment, program),
    }


def look_ahead_ms(experiment: Experiment, program: Program) -> float:
    """How long the program waits after the audio that it speaks of.

    A stream waits as long as its front end looks ahead; most not at all.
    """
    frames = 0 if experiment.setup.streams else look_ahead_frames(program)
    return (frames + experiment.frontend.skipped_frames) * experiment.setup.hop_ms
