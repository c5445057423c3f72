"""Where time goes in a run: a training step and an evaluation, by their parts.

    python benchmarks/profile_run.py RUN --data DIR [--phase float] [--rounds 10] [--clips 256]
        [--trace FOLDER]

A step is divided by programs that end earlier, or leave something out, and take turns in one
process: "backward" is what the whole step takes beyond examples, forward pass and optimizer;
"integers" what forward and backward pass take beyond those of the folded float model. Weights are
fresh: time does not depend on them, so RUN may be an artifact. `--trace` writes what JAX's profiler
sees of three steps and an evaluation: a browser opens the perfetto_trace.json.gz in it with
Perfetto's viewer.
"""

import argparse
import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from measuring import alternating, described, machine, table

from aqtaudio.errors import BadInput
from aqtaudio.program.compiler import compiled
from aqtaudio.runs.network import network
from aqtaudio.runs.run import Run
from aqtaudio.tasks.stream import Framer
from aqtaudio.training.learned_ranges import changed, replaced, trained
from aqtaudio.training.loop import Trainer
from aqtaudio.training.optimizer import transformation
from aqtaudio.training.phases import Phase
from aqtaudio.training.step import halves
from aqtaudio.vocabulary.floating import Floating

Function = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--phase", choices=("float", "quantized"), default="quantized")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--trace", type=Path)
    options = parser.parse_args()
    try:
        profile(options)
    except BadInput as error:
        parser.error(str(error))


def profile(options: argparse.Namespace) -> None:
    """Prints both tables, and where the trace is."""
    run = Run(options.run)
    print(f"{described(machine())}\n")
    step = steps(run, options.data, options.phase)
    print(table(shares("a training step", of_step(step, options.rounds))), "\n", flush=True)
    scored = evaluations(run, options.data, options.clips)
    print(table(shares("an evaluation", of_evaluation(scored, options.rounds))), flush=True)
    if options.trace:
        with jax.profiler.trace(options.trace, create_perfetto_trace=True):
            for _ in range(3):
                for name in ("data", "examples", "whole"):
                    with jax.profiler.TraceAnnotation(name):
                        step[name]()
            with jax.profiler.TraceAnnotation("evaluation"):
                scored["all"]()
        print(f"\n{next(options.trace.rglob('perfetto_trace.json.gz'))}")


def shares(title: str, seconds: dict[str, float]) -> list[dict[str, str]]:
    """Rows: milliseconds of parts, and shares of "all"."""
    return [
        {title: name, "ms": f"{1e3 * one:.2f}", "of all": f"{one / seconds['all']:.0%}"}
        for name, one in seconds.items()
    ]


# --- a training step


def steps(run: Run, folders: list[Path], phase_name: str) -> dict[str, Function]:
    """What is timed of a step, by name."""
    experiment = dataclasses.replace(run.experiment, init_from=None, calibration_batches=1)
    task, setup = experiment.task, experiment.setup
    data = task.prepared(task.load(folders, setup, ("train", "val")), setup)
    with tempfile.TemporaryDirectory() as place:
        trainer = Trainer(experiment, data, Path(place), ())
        with trainer.float_course() as course:
            state, traced, phase = course.state, course.traced, course.phase
        if phase_name == "quantized":
            variables = {"params": state["params"], **state["collections"]}
            companions = {name: state[name]["params"] for name in ("companions",) if name in state}
            with trainer.quantized_course(variables | companions) as course:
                state, traced, phase = course.state, course.traced, course.phase
    size, seed = phase.optimizer.batch_size, experiment.seed
    see, learn = halves(experiment, trainer.model, phase)
    see, number = compiled(see), np.int32(1)
    batch = data.training_batch(1, size, seed)
    seen = see(traced["seed"], number, batch, trainer.given)
    return {
        "data": lambda: data.training_batch(1, size, seed),
        "examples": called(see, traced["seed"], number, batch, trainer.given),
        "forward": called(compiled(lambda *given: learn(*given)[1]), state, traced, *seen),
        "whole": called(compiled(learn), state, traced, *seen),
        "optimizer": called(compiled(optimizing(phase)), state, traced),
        **folded(experiment, trainer.model, phase, state, traced, seen),
    }


def optimizing(phase: Phase) -> Callable:
    """Parameters and optimizer after gradients, which are the parameters themselves here."""

    def update(state: Any, traced: Any) -> Any:
        before = {"params": state["params"], **state["collections"]}
        values = trained(before, phase)
        rule = transformation(phase.optimizer, traced)
        changes, optimizer = rule.update(values, state["optimizer"], values)
        if phase.learns_ranges:
            return replaced(before, changed(values, changes, phase), phase), optimizer
        return optax.apply_updates(values, changes), optimizer

    return update


def folded(
    experiment: Any, model: Any, phase: Phase, state: Any, traced: Any, seen: Any
) -> dict[str, Function]:
    """Steps of the same parameters in float; none of the float phase, or of trained ranges."""
    if phase.name == "float" or phase.learns_ranges:
        return {}
    floating = dataclasses.replace(phase, reading=Floating(), collections=())
    _, learn = halves(experiment, model, floating)
    state = state | {"collections": {}}
    return {
        "float forward": called(compiled(lambda *given: learn(*given)[1]), state, traced, *seen),
        "float whole": called(compiled(learn), state, traced, *seen),
    }


def called(function: Callable, *arguments: Any) -> Function:
    """It waits until all is there."""
    return lambda: jax.block_until_ready(function(*arguments))


def of_step(functions: dict[str, Function], rounds: int) -> dict[str, float]:
    """Seconds of the parts of a step; medians."""
    times = {name: both[:, 0] for name, both in alternating(functions, rounds).items()}
    whole, forward, optimizer = times["whole"], times["forward"], times["optimizer"]
    parts = {
        "data": times["data"],
        "front end and augmentation": times["examples"],
        "forward": forward,
        "backward": whole - forward - optimizer,
        "optimizer": optimizer,
    }
    found = {name: float(np.median(one)) for name, one in parts.items()}
    found["all"] = float(np.median(times["data"] + times["examples"] + whole))
    if "float whole" in times:
        ahead = forward - times["float forward"]
        found["of forward: integers"] = float(np.median(ahead))
        back = (whole - forward) - (times["float whole"] - times["float forward"])
        found["of backward: integers"] = float(np.median(back))
    return found


# --- an evaluation


def evaluations(run: Run, folders: list[Path], count: int) -> dict[str, Function]:
    """What is timed of an evaluation in integers, by name."""
    experiment, setup = run.experiment, run.experiment.setup
    data = run.data(folders, ("val",))
    items = run.items(data, "val")[:count]
    clips = data.evaluation_arrays(items)[0]
    timed = {"program": 0.0}

    def features() -> Any:
        if setup.streams:
            return Framer(setup).push(clips.reshape(-1))
        return setup.features_of(clips)

    def scored() -> None:
        timed["program"] = 0.0
        with network(run, "integer") as opened:
            experiment.task.scores(_Timed(opened, timed), data, items, setup)

    def read() -> Any:
        return data.evaluation_arrays(items)

    return {"data": read, "features": features, "all": scored, "program": lambda: timed["program"]}


class _Timed:
    """A network that counts the seconds of its answers."""

    def __init__(self, network: Any, timed: dict[str, float]):
        self._network, self._timed = network, timed

    def whole(self, *arguments: Any, **settings: Any) -> np.ndarray:
        with self._counted():
            return self._network.whole(*arguments, **settings)

    def endless(self, blocks: np.ndarray) -> np.ndarray:
        with self._counted():
            return self._network.endless(blocks)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self._timed["program"] += time.perf_counter() - begin


def of_evaluation(functions: dict[str, Function], rounds: int) -> dict[str, float]:
    """Seconds of the parts of an evaluation; medians."""
    program, everything, read, heard = [], [], [], []
    for _ in range(rounds + 1):
        for name, found in (("data", read), ("features", heard), ("all", everything)):
            begin = time.perf_counter()
            functions[name]()
            found.append(time.perf_counter() - begin)
        program.append(functions["program"]())
    parts = {"data": read, "front end": heard, "program": program}
    found = {name: float(np.median(times[1:])) for name, times in parts.items()}
    found["all"] = float(np.median(everything[1:]))
    rest = found["all"] - sum(found[name] for name in parts)
    return {**{name: found[name] for name in parts}, "scores and the rest": rest, **found}


if __name__ == "__main__":
    main()
