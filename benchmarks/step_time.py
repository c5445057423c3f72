"""Step time: native W8A8 training, exact to the device, against float training with batch norm.

    python benchmarks/step_time.py [--width 64] [--batch 128] [--rounds 30]

Both are compiled with the options that training uses. Steps alternate in one process, so that a
drift of the machine meets both; ratios of medians are what counts. Features are given: the front
end is the same for both.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from aqtaudio.compression.calibrate import calibrate
from aqtaudio.compression.fold import fold
from aqtaudio.compression.recipe import Recipe
from aqtaudio.experiment import Optimizer
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.program.compiler import compiled
from aqtaudio.training import task
from aqtaudio.training.step import transformation
from aqtaudio.vocabulary.fake import FakeQuantized
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.signal import start

SHAPE = (49, 10)


def make(model, reading, variables, mutable, batch):
    update = transformation(Optimizer())
    collections = {name: value for name, value in variables.items() if name != "params"}

    def step(params, collections, state, features, classes):
        def objective(params):
            out, updated = model.apply(
                {"params": params, **collections}, start(features, reading), mutable=list(mutable)
            )
            return task.loss(out.real(), classes, 0.1), updated

        gradients, updated = jax.grad(objective, has_aux=True)(params)
        changes, state = update.update(gradients, state, params)
        return optax.apply_updates(params, changes), {**collections, **updated}, state

    function = compiled(step)
    holder = [variables["params"], collections, update.init(variables["params"])]

    def run():
        holder[:] = function(*holder, *batch)
        jax.block_until_ready(holder[0])

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    features = jnp.asarray(rng.normal(size=(options.batch, *SHAPE)), jnp.float32)
    classes = jnp.asarray(rng.integers(0, 8, options.batch), jnp.int32)
    model, recipe = DSCNN(classes=8, width=options.width), Recipe()
    floating = model.init(jax.random.key(0), start(features[:1], Floating()))
    params = fold(floating["params"], floating["batch_stats"])
    frozen = {"params": params, "ranges": calibrate(model, params, [features], recipe)}
    batch = features, classes
    runs = {
        "float, batch norm": make(model, Floating(), floating, ("batch_stats",), batch),
        "float, folded": make(model, Floating(), {"params": params}, (), batch),
        "fake W8A8": make(model, FakeQuantized(recipe), frozen, (), batch),
        "native W8A8, float32 carriers": make(model, Quantized(recipe), frozen, (), batch),
        "native W8A8, int8 dots": make(model, Quantized(recipe, integer=True), frozen, (), batch),
    }
    seconds = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(options.rounds):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    print(f"DS-CNN width {options.width}, batch {options.batch}, {jax.devices()[0].device_kind}")
    for name, times in seconds.items():
        ratio = np.median(np.array(times) / np.array(seconds["float, batch norm"]))
        print(f"{name:32} {1e3 * np.median(times):8.1f} ms   {ratio:.2f} x float")


if __name__ == "__main__":
    main()
