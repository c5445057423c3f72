"""One accelerator, in at most eight minutes: are the integers the same, and what does it gain?

    python benchmarks/accelerator.py [--out FOLDER] [--minutes 8] [--small] [--store]

Exactness comes first, over a million values: a training step's codes are the recorded program's,
edge by edge, and programs give the codes that TFLite Micro gave (kept as digests in
results/benchmarks/accelerator_codes.json; `--store` makes them again). Where an integer differs
nothing is timed. Then: a step in the device's integers against the float step, runs side by side
against one, the micro front end against TensorFlow's operator, integer evaluation against TFLite
Micro, and memory.

Writes accelerator.json and accelerator.md into FOLDER, an item at a time, and goes on where it was
stopped. What it has no time or no package for it names. `--small`: a little of everything, for a
CPU; its times say nothing of an accelerator.
"""

import argparse
import dataclasses
import hashlib
import importlib.util
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA is loud about programs it reads

import jax
import jax.numpy as jnp
import numpy as np
from measuring import (
    HERE,
    Journal,
    Skipped,
    alternating,
    described,
    keep_compiled,
    machine,
    ratio,
    table,
)

from aqtaudio.compression.calibrate import calibrate
from aqtaudio.compression.fold import fold
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.program.compiler import compiled, prefers_integer_dots
from aqtaudio.program.execute import Executor
from aqtaudio.recipe import Recipe
from aqtaudio.runs.parity import random_codes
from aqtaudio.runs.run import Run
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.recording import record
from aqtaudio.vocabulary.signal import start

CODES = HERE / "results/benchmarks/accelerator_codes.json"
# Clips, or blocks of a stream, of each: a million answers in all, most of them the denoiser's.
STORED = {
    "results/kws_ds_cnn/artifacts/a8b2b20cd48a": 2048,
    "results/kws_models/artifacts/69af9a6faf5f": 2048,
    "results/kws_models/artifacts/a697c03edaec": 512,
    "results/embeddings/artifacts/2efcef84274d": 256,
    "results/bandwidth/artifacts/978f1cbc7ea0": 512,
    "results/denoise/artifacts/39ef3fe1d388": 840,
}
CHUNK = 64
"""Clips of a digest."""
TIMED_RUN = "results/kws_ds_cnn/artifacts/97d92c06ad8f"
GOALS = {"side by side at 64": 20, "front end": 100, "evaluation": 1000}


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is measured."""

    clips: int
    rounds: int
    families: tuple[str, ...]
    batch: int
    runs: tuple[int, ...]
    evaluated: int
    stored: int | None


FAMILIES = (
    "ds_cnn",
    "tc_resnet_8",
    "matchbox_net_3x1",
    "bc_resnet_1",
    "gru",
    "streaming_attention",
)
FRAMES = {"gru": 6}
"""At most, of clips whose recorded program has every operation once per frame."""
LARGE = Size(512, 20, FAMILIES, 128, (1, 16, 64, 256), 4096, None)
SMALL = Size(4, 1, ("ds_cnn", "gru"), 4, (1, 2), 16, CHUNK)


@dataclasses.dataclass(frozen=True)
class Item:
    """What is measured: `run` returns a row. `first`: nothing follows where integers differ."""

    part: str
    name: str
    run: Callable[[], dict[str, Any]]


def items(size: Size) -> Iterator[Item]:
    """In the order in which they are measured."""
    exact, steps = "1 exactness", "2 a training step"
    for name in size.families:
        yield Item(exact, f"step = program: {name}", lambda n=name: step_is_program(n, size))
    for path, count in STORED.items():
        count = min(count, size.stored or count)
        yield Item(
            exact,
            f"program = TFLite Micro: {path}",
            lambda p=path, c=count: program_is_stored(p, c),
        )
    for name in size.families:
        yield Item(steps, name, lambda n=name: step_ratio(n, size))
    for count in size.runs:
        yield Item("3 runs side by side", f"{count} runs", lambda c=count: side_by_side(c, size))
    yield Item("4 front end", "micro, 256 clips", lambda: front_end(size))
    yield Item("5 integer evaluation", TIMED_RUN, lambda: evaluation(size))
    yield Item("6 memory", "of all that ran in this process", memory)


# --- exactness


def step_is_program(name: str, size: Size) -> dict[str, Any]:
    """Codes of every edge inside of a compiled step, with its gradient, and of the program."""
    from step_time import MODELS

    model, (frames, bands) = MODELS[name]
    shape = min(frames, FRAMES.get(name, frames)), bands
    features = np.random.default_rng(0).normal(size=(size.clips, *shape)).astype(np.float32)
    recipe = Recipe()
    variables = jax.jit(model.init)(jax.random.key(0), start(features[:1], Floating()))
    params = fold(variables["params"], variables.get("batch_stats", {}))
    frozen = {"params": params, "ranges": calibrate(model, params, [features[:16]], recipe)}
    program, reading = (
        record(model, frozen, shape, recipe),
        Quantized(recipe, prefers_integer_dots()),
    )

    def step(params: Any, features: jax.Array):
        def loss(params: Any):
            variables = frozen | {"params": params}
            signal = start(features, reading)
            out, seen = model.apply(variables, signal, mutable=["codes"])
            return jnp.mean(jnp.square(out.real())), (out.values, seen.get("codes", {}))

        return jax.grad(loss, has_aux=True)(params)

    _, (answers, seen) = compiled(step)(params, jnp.asarray(features))
    executor = Executor(program)
    edges = executor.edges(executor.quantize(features))
    pairs = [(answers, edges[program.outputs[0]])]
    inside = by_edge(seen)
    pairs += [
        (inside[name], edges[name])
        for name in inside
        if name in edges and inside[name].shape == edges[name].shape
    ]
    differ = sum(int(np.count_nonzero(np.asarray(a) != np.asarray(b))) for a, b in pairs)
    return {"values": sum(b.size for _, b in pairs), "edges": len(pairs), "differ": differ}


def by_edge(codes: dict[str, Any], path: str = "") -> dict[str, Any]:
    """The "codes" of a reading by the names of edges."""
    found = {}
    for name, value in codes.items():
        if isinstance(value, tuple):
            found[path if name == "output" else f"{path}/{name}"] = value[0]
        else:
            found |= by_edge(value, f"{path}/{name}" if path else name)
    return found


def program_is_stored(path: str, count: int) -> dict[str, Any]:
    """A program's answers and the digests of TFLite Micro's, so many at a time."""
    known = json.loads(CODES.read_text())[path]
    run = Run(HERE / path)
    answers = Executor(run.program)(random_codes(run.program, STORED[path], seed=0)[:count])
    found = digests(answers)
    differ = sum(a != b for a, b in zip(found, known, strict=False))
    return {"values": answers.size, "differ": CHUNK * differ * (answers.size // len(answers))}


def digests(answers: np.ndarray) -> list[str]:
    """Of so many clips each, whole ones alone."""
    whole = range(0, len(answers) // CHUNK * CHUNK, CHUNK)
    return [hashlib.sha256(answers[i : i + CHUNK].tobytes()).hexdigest()[:16] for i in whole]


def store() -> None:
    """Runs TFLite Micro: minutes."""
    from aqtaudio.program.micro import Micro

    found = {}
    for path, count in STORED.items():
        run = Run(HERE / path)
        codes = random_codes(run.program, count, seed=0)
        with Micro(run.model) as micro:
            found[path] = digests(micro.invoke(codes)[0])
        print(path, flush=True)
    CODES.write_text(json.dumps(found, indent=1) + "\n")


# --- speed


def step_ratio(name: str, size: Size) -> dict[str, Any]:
    """A step in the device's integers, in both engines, over the float step."""
    from step_time import MODELS, readings

    every = readings(*MODELS[name], size.batch)
    kept = {what: run for what, run in every.items() if what.startswith(("float, batch", "native"))}
    times = {what: both[:, 0] for what, both in alternating(kept, size.rounds).items()}
    base = times["float, batch norm"]
    row = {"float ms": f"{1e3 * np.median(base):.2f}"}
    return row | {what: ratio(one, base) for what, one in times.items() if one is not base}


def side_by_side(count: int, size: Size) -> dict[str, Any]:
    """So many runs as one program, over one run's step: per run."""
    from batched_sweep import Runs

    runs = Runs(count, size.batch)
    turns = {"alone": runs.one_by_one, "together": runs.side_by_side}
    times = {
        what: both[:, 0] for what, both in alternating(turns, max(size.rounds // 4, 1)).items()
    }
    alone, together = times["alone"] / runs.alone, times["together"] / count
    return {
        "alone ms a step": f"{1e3 * np.median(alone):.2f}",
        "together ms a step and run": f"{1e3 * np.median(together):.3f}",
        "times as many steps": ratio(alone, together),
    }


def front_end(size: Size) -> dict[str, Any]:
    """A batch on the device against TensorFlow's operator, clip by clip on a core."""
    require("tensorflow", "TensorFlow's operator")
    from micro_frontend import clips, operator

    settings, samples = MicroFrontend(), clips(None, 256 if size.clips > 4 else 4)
    batch = jax.device_put(jnp.asarray(samples, jnp.int32))
    ours = jax.jit(lambda x: settings.integers(x, settings.initial_state(len(x)))[0])
    theirs = np.stack([operator(settings, clip) for clip in samples])
    turns = {
        "ours": lambda: jax.block_until_ready(ours(batch)),
        "operator": lambda: [operator(settings, clip) for clip in samples],
    }
    times = {what: both[:, 0] for what, both in alternating(turns, size.rounds).items()}
    return {
        "differ": int((np.asarray(ours(batch)) != theirs).sum()),
        "ms a second of audio": f"{1e3 * np.median(times['ours']) / len(samples):.4f}",
        "times the operator's speed": ratio(times["operator"], times["ours"]),
    }


def evaluation(size: Size) -> dict[str, Any]:
    """A batch of clips on the device against TFLite Micro's interpreter, clip by clip on a core."""
    require("tflite_micro", "TFLite Micro's interpreter")
    from aqtaudio.program.micro import Micro

    run, few = Run(HERE / TIMED_RUN), min(size.evaluated, CHUNK)
    codes = random_codes(run.program, size.evaluated, seed=0)
    executor = Executor(run.program)
    with Micro(run.model) as micro:
        differ = int(np.count_nonzero(executor(codes[:few]) != micro.invoke(codes[:few])[0]))
        turns = {
            "ours": lambda: executor(codes, size.evaluated),
            "micro": lambda: micro.invoke(codes[:few]),
        }
        times = {what: both[:, 0] for what, both in alternating(turns, size.rounds).items()}
    ours, theirs = times["ours"] / len(codes), times["micro"] / few
    return {
        "differ": differ,
        "ms a clip": f"{1e3 * np.median(ours):.5f}",
        "times TFLite Micro's speed": ratio(theirs, ours),
    }


def memory() -> dict[str, Any]:
    """The most that arrays took on the device."""
    told = jax.devices()[0].memory_stats()
    if not told or "peak_bytes_in_use" not in told:
        raise Skipped("the device does not tell")
    return {"peak GiB": f"{told['peak_bytes_in_use'] / 2**30:.2f}"}


def require(package: str, what: str) -> None:
    """Raises Skipped where a package is not there."""
    if importlib.util.find_spec(package) is None:
        raise Skipped(f"{what} is not installed ({package})")


# --- all of it


def measured(journal: Journal, size: Size, minutes: float) -> bool:
    """Measures what is not in the journal yet; False where integers differ."""
    begin, exact = time.monotonic(), True
    for item in items(size):
        is_exactness = item.part.startswith("1")
        if not exact and not is_exactness:
            journal.skipped[f"{item.part}: {item.name}"] = "integers differ"
            continue

        def run(item: Item = item) -> dict[str, Any]:
            if time.monotonic() - begin > 60 * minutes:
                raise Skipped("no time left; call again to go on")
            try:
                return item.run()
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" in str(error):
                    raise Skipped("the device's memory does not suffice") from None
                raise

        row = journal.take(f"{item.part}: {item.name}", run)
        exact &= not (is_exactness and row and row["differ"])
        print(f"{item.part}: {item.name}: {row or 'skipped'}", flush=True)
    journal.write()
    return exact


def text(journal: Journal) -> str:
    """The journal in Markdown."""
    lines = ["# An accelerator", "", described(journal.facts), ""]
    parts = dict.fromkeys(name.split(": ", 1)[0] for name in journal.done)
    for part in parts:
        rows = [
            {part: name.split(": ", 1)[1], **row}
            for name, row in journal.done.items()
            if name.startswith(f"{part}: ")
        ]
        lines += [table(rows), ""]
        if part.startswith("1"):
            values, differ = (sum(row[key] for row in rows) for key in ("values", "differ"))
            lines += [f"{values:,} values, {differ} differ.", ""]
    goals = ", ".join(f"{what} {times:,}x" for what, times in GOALS.items())
    lines += [f"Goals: {goals}.", ""]
    lines += [f"Skipped: {name}: {reason}." for name, reason in journal.skipped.items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "results/benchmarks")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--store", action="store_true", help="TFLite Micro's codes, and no more")
    options = parser.parse_args()
    if options.store:
        store()
        return 0
    keep_compiled()
    facts = machine() | {"small": options.small}
    journal = Journal(options.out / "accelerator.json", facts)
    exact = measured(journal, SMALL if options.small else LARGE, options.minutes)
    (options.out / "accelerator.md").write_text(text(journal))
    for name, reason in journal.skipped.items():
        print(f"skipped: {name}: {reason}")
    return 0 if exact else 1


if __name__ == "__main__":
    raise SystemExit(main())
