"""Step time: native W8A8 training, exact to the device, against float training with batch norm.

    python benchmarks/step_time.py [--models ds_cnn ...] [--batch 128] [--rounds 20]

All are compiled with the options that training uses. Steps alternate in one process, so that a
drift of the machine meets all; ratios of medians are what counts. Features are given: the front
end is the same for all.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import optax
from measuring import alternating

from aqtaudio.compression.calibrate import calibrate
from aqtaudio.compression.fold import fold
from aqtaudio.experiment import Optimizer
from aqtaudio.models.bc_resnet import BCResNet
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.models.gru import KeywordGRU
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.models.streaming_attention import StreamingAttention
from aqtaudio.models.tc_resnet import TCResNet
from aqtaudio.program.compiler import compiled
from aqtaudio.recipe import Recipe
from aqtaudio.tasks.keywords import loss as task
from aqtaudio.training.optimizer import transformation
from aqtaudio.vocabulary.fake import FakeQuantized
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.quantized import Quantized
from aqtaudio.vocabulary.signal import start

CLASSES = 8
MODELS = {
    "ds_cnn": (DSCNN(CLASSES), (49, 10)),
    "tc_resnet_8": (TCResNet(CLASSES, causal=True), (49, 40)),
    "matchbox_net_3x1": (MatchboxNet(CLASSES, causal=True), (49, 40)),
    "bc_resnet_1": (BCResNet(CLASSES), (49, 40)),
    "gru": (KeywordGRU(CLASSES, units=64, hidden=(32, 64)), (49, 20)),
    "streaming_attention": (StreamingAttention(CLASSES), (49, 40)),
}


def make(model, reading, variables, mutable, batch):
    values = {"learning_rate": 3e-3, "weight_decay": 1e-3, "gradient_clip": 5.0}
    update = transformation(Optimizer(), values)
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


def readings(model, shape, batch_size: int) -> dict:
    """What to time, by name; the first is what the others are compared with."""
    rng = np.random.default_rng(0)
    features = jnp.asarray(rng.normal(size=(batch_size, *shape)), jnp.float32)
    classes = jnp.asarray(rng.integers(0, CLASSES, batch_size), jnp.int32)
    recipe, batch = Recipe(), (features, classes)
    floating = jax.jit(model.init)(jax.random.key(0), start(features[:1], Floating()))
    params = fold(floating["params"], floating.get("batch_stats", {}))
    frozen = {"params": params, "ranges": calibrate(model, params, [features[:16]], recipe)}
    return {
        "float, batch norm": make(model, Floating(), floating, ("batch_stats",), batch),
        "float, folded": make(model, Floating(), {"params": params}, (), batch),
        "fake W8A8": make(model, FakeQuantized(recipe), frozen, (), batch),
        "native W8A8, float32 carriers": make(model, Quantized(recipe), frozen, (), batch),
        "native W8A8, int8 dots": make(model, Quantized(recipe, integer=True), frozen, (), batch),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    print(f"batch {options.batch}, {jax.devices()[0].device_kind}")
    for name in options.models:
        turns = alternating(readings(*MODELS[name], options.batch), options.rounds)
        seconds = {what: both[:, 0] for what, both in turns.items()}
        for what, times in seconds.items():
            ratio = np.median(times / seconds["float, batch norm"])
            median = 1e3 * np.median(times)
            print(f"{name:20} {what:32} {median:8.1f} ms   {ratio:.2f} x float", flush=True)


if __name__ == "__main__":
    main()
