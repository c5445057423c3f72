"""Throughput: runs that train side by side as one program, against the same runs one by one.

    python benchmarks/batched_sweep.py [--runs 1 4 16] [--batch 128] [--rounds 8] [--steps 500]

DS-CNN, native training. The runs differ in bits, learning rate and seed (two seeds). Steps
alternate in one process; what counts is the ratio of medians. Runs per hour are those of so many
steps, with compiling, once per program or once per run, and without what follows training
(conversion, parity). Clips are noise: audio, augmentation and features are part of a step. On an
NVIDIA device the utilisation that its driver reports is sampled meanwhile.
"""

import argparse
import dataclasses
import shutil
import subprocess
import threading
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.compression.calibrate import calibrate
from aqtaudio.compression.fold import fold
from aqtaudio.experiment import Experiment
from aqtaudio.recipe import W4A4, W4A8, W8A8
from aqtaudio.training.companions import companions_of
from aqtaudio.training.phases import quantized_phase
from aqtaudio.training.restore import fresh
from aqtaudio.training.step import initial_state, make_joint_step, make_step
from aqtaudio.training.traced import traced_bits, traced_values

RECIPES = (W8A8, W4A8, W4A4)
SEEDS = 2


def experiments(count: int) -> list[Experiment]:
    """Of so many runs."""
    base = Experiment()
    made = []
    for number in range(count):
        rate = base.finetune.learning_rate * (1 + number / count)
        finetune = dataclasses.replace(base.finetune, learning_rate=rate)
        recipe = RECIPES[number % len(RECIPES)]
        made.append(
            dataclasses.replace(base, finetune=finetune, recipe=recipe, seed=number % SEEDS)
        )
    return made


def begin(settings: Experiment, features: np.ndarray) -> dict[str, Any]:
    """Variables with which the quantized phase begins."""
    floating = fresh(settings)
    params = fold(floating["params"], floating["batch_stats"])
    ranges = calibrate(settings.built_model(), params, [features], settings.recipe)
    return {"params": params, "ranges": ranges}


class Runs:
    """So many runs: one step of each, one by one and side by side."""

    def __init__(self, count: int, batch_size: int):
        rng = np.random.default_rng(0)
        all_settings = experiments(count)
        self.noise = jnp.asarray(rng.integers(-3000, 3000, (8, 80_000)), jnp.int16)
        size = (SEEDS, batch_size, all_settings[0].setup.clip_samples)
        clips = rng.integers(-9000, 9000, size).astype(np.int16)
        classes = rng.integers(0, 8, size[:2]).astype(np.int32)
        features = rng.normal(size=(16, *all_settings[0].setup.feature_shape)).astype(np.float32)
        self.states, self.traced, bits = [], [], []
        begun: dict[Any, Any] = {}  # of the same seed and recipe
        for settings in all_settings:
            key = settings.seed, settings.recipe
            if key not in begun:
                begun[key] = begin(settings, features)
            variables, phase = begun[key], quantized_phase(settings)
            companions = companions_of(settings, phase.optimizer)
            self.states.append(initial_state(variables, phase, companions))
            self.traced.append(traced_values(settings, phase, variables))
            bits.append({"bits": traced_bits(variables, settings.recipe)})
        stack = lambda trees: jax.tree.map(lambda *x: jnp.stack(x), *trees)  # noqa: E731
        self.together = stack(self.states)
        self.all_traced = stack([one | more for one, more in zip(self.traced, bits, strict=True)])
        used = min(SEEDS, count)
        self.places = np.arange(count, dtype=np.int32) % SEEDS
        self.seeds = np.arange(used, dtype=np.int32)
        self.batch = clips[:used], classes[:used]
        model, first = all_settings[0].built_model(), all_settings[0]
        self.steps = {
            recipe: make_step(
                dataclasses.replace(first, recipe=recipe),
                model,
                quantized_phase(dataclasses.replace(first, recipe=recipe)),
            )
            for recipe in RECIPES[:count]
        }
        self.recipes = [settings.recipe for settings in all_settings]
        self.alone = min(count, len(RECIPES))
        self.joint_step = make_joint_step(first, model, quantized_phase(first))

    def one_by_one(self) -> None:
        """A step of the first runs, one per recipe."""
        for index, recipe in enumerate(RECIPES[: len(self.states)]):
            batch = (part[self.places[index]] for part in self.batch)
            self.states[index], _ = self.steps[recipe](
                self.states[index], self.traced[index], self.noise, np.int32(1), *batch
            )
        jax.block_until_ready(self.states[: len(RECIPES)])

    def side_by_side(self) -> None:
        """A step of all runs."""
        self.together, _ = self.joint_step(
            *(self.together, self.all_traced, self.noise, np.int32(1)),
            *(self.seeds, self.places, *self.batch),
        )
        jax.block_until_ready(self.together)


class Utilisation:
    """The share of time that an NVIDIA device is busy, by its driver; None elsewhere."""

    def __enter__(self) -> "Utilisation":
        self.samples: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        if shutil.which("nvidia-smi"):
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _sample(self) -> None:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not self._over.wait(0.1):
            done = subprocess.run(query, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                self.samples.append(float(done.stdout.split()[0]))

    @property
    def percent(self) -> float | None:
        """Mean of the samples."""
        return float(np.mean(self.samples)) if self.samples else None


def timed(function) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def measure(count: int, batch_size: int, rounds: int, steps: int) -> str:
    """A line of the table."""
    runs = Runs(count, batch_size)
    compiling_alone = timed(runs.one_by_one) / runs.alone
    compiling_joint = timed(runs.side_by_side)
    alone, joint = [], []
    with Utilisation() as busy:
        for _ in range(rounds):
            alone.append(timed(runs.one_by_one) / runs.alone)
            joint.append(timed(runs.side_by_side) / count)
    ratio = np.median(np.array(alone) / np.array(joint))
    hourly = 3600 / (compiling_alone + steps * np.median(alone))
    hourly_joint = 3600 * count / (compiling_joint + steps * count * np.median(joint))
    cells = [
        f"{count}",
        f"{1e3 * np.median(alone):.1f}",
        f"{1e3 * np.median(joint):.2f}",
        f"{ratio:.2f}",
        f"{hourly:.0f}",
        f"{hourly_joint:.0f}",
        f"{hourly_joint / hourly:.2f}",
        "" if busy.percent is None else f"{busy.percent:.0f} %",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    print(f"DS-CNN of width 64, batch {options.batch}, {jax.devices()[0].device_kind}\n")
    titles = ["runs", "ms a step alone", "ms a step and run together", "ratio"]
    titles += [f"runs of {options.steps} steps an hour alone", "together", "ratio", "utilisation"]
    print(f"| {' | '.join(titles)} |\n|{'---:|' * len(titles)}")
    for count in options.runs:
        print(measure(count, options.batch, options.rounds, options.steps), flush=True)


if __name__ == "__main__":
    main()
