"""Made weights of a small speech embedding, named as the published ones."""

import jax
import jax.numpy as jnp
import numpy as np

from aqtaudio.models.speech_embedding import SpeechEmbedding
from aqtaudio.vocabulary.floating import Floating
from aqtaudio.vocabulary.signal import start

SMALL = SpeechEmbedding((2, 3, 3, 4, 4), 5)


def made_arrays(model: SpeechEmbedding, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights as the published file names them."""
    signal = start(jnp.zeros((1, 80, 32)), Floating())
    variables = jax.eval_shape(model.init, jax.random.key(0), signal)
    rng, arrays = np.random.default_rng(seed), {}
    for name, layer in variables["params"].items():
        number = len(model.steps) if name == "embedding" else int(name.removeprefix("conv_"))
        suffix = f"_{number}" if number else ""
        kernel = (
            1.8
            * rng.normal(size=layer["kernel"].shape)
            / np.sqrt(np.prod(layer["kernel"].shape[:3]))
        )
        part = "/ReadVariableOp:0" if name == "embedding" else "_weights_fused_bn"
        arrays[f"model/conv2d{suffix}/Conv2D{part}"] = kernel.transpose(3, 2, 0, 1).astype("f4")
        if "bias" in layer:
            bias = 0.1 * rng.normal(size=layer["bias"].shape)
            arrays[f"model/conv2d{suffix}/Conv2D_bias_fused_bn"] = bias.astype("f4")
    return arrays
