"""The published weights of GTCRN as parameters of ours."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from aqtaudio.models.torch_arrays import Layer, TorchArrays, as_taps

TAPS = 3
"""Neighbouring bands that the authors unfold into channels: (channel, tap)."""


class Settings(Protocol):
    """Of the model that they are for."""

    dilations: tuple[int, ...]
    paths: int


def published(model: Settings, arrays: Mapping[str, np.ndarray]) -> dict[str, dict]:
    """Variables of a `GTCRN` from the authors' arrays, by their names.

    KeyError where one is missing.
    """
    read, blocks = _Reader(arrays), len(model.dilations)
    params: dict[str, dict] = {
        "down_1": read.first("encoder.en_convs.0"),
        "down_1_act": read.slope("encoder.en_convs.0.act.weight"),
        "down_2": read.conv("encoder.en_convs.1.conv", "encoder.en_convs.1.bn"),
        "down_2_act": read.slope("encoder.en_convs.1.act.weight"),
    }
    for number in range(blocks):
        params[f"encoder_{number + 1}"] = read.block_of(f"encoder.en_convs.{number + 2}", False)
        params[f"decoder_{number + 1}"] = read.block_of(f"decoder.de_convs.{number}", True)
    for number in range(model.paths):
        params[f"path_{number + 1}"] = read.dual_path(f"dpgrnn{number + 1}")
    up_2, up_1 = f"decoder.de_convs.{blocks}", f"decoder.de_convs.{blocks + 1}"
    params |= read.up(up_2)
    params["up_2_act"] = read.slope(f"{up_2}.act.weight")
    params["up_1"] = as_taps(read.transposed(f"{up_1}.conv", f"{up_1}.bn"))
    return {"params": params, "batch_stats": {}}


class _Reader(TorchArrays):
    def first(self, name: str) -> Layer:
        """The convolution behind the unfolding: channels (c, tap) to (tap, c)."""
        layer = self.conv(f"{name}.conv", f"{name}.bn")
        kernel = layer["kernel"]
        *image, depth, outputs = kernel.shape
        kernel = kernel.reshape(*image, depth // TAPS, TAPS, outputs).swapaxes(2, 3)
        return layer | {"kernel": kernel.reshape(*image, depth, outputs)}

    def block_of(self, name: str, transposed: bool) -> dict[str, dict]:
        """Of the encoder, or with transposed convolutions of the decoder."""
        conv = self.transposed if transposed else self.conv
        point = conv(f"{name}.point_conv1", f"{name}.point_bn1")
        # Unfolding and a 1x1 convolution: one over the taps.
        kernel = point["kernel"][0, 0]
        kernel = kernel.reshape(-1, TAPS, kernel.shape[-1]).swapaxes(0, 1)[None]
        depthwise = self.depthwise if not transposed else self.transposed_depthwise
        depth = depthwise(f"{name}.depth_conv", f"{name}.depth_bn")
        if transposed:  # of stride 1: bands are reversed too
            depth = depth | {"kernel": depth["kernel"][:, ::-1]}
        return {
            "point_1": point | {"kernel": kernel},
            "point_1_act": self.slope(f"{name}.point_act.weight"),
            "depth": depth,
            "depth_act": self.slope(f"{name}.depth_act.weight"),
            "point_2": conv(f"{name}.point_conv2", f"{name}.point_bn2"),
            "gate_gru": self.grouped_gru([(f"{name}.tra.att_gru", "")]),
            "gate_dense": self.block(self.dense(f"{name}.tra.att_fc")),
        }

    def up(self, name: str) -> dict[str, Layer]:
        """The doubling convolution in two groups: [I, O / 2, T, F], inputs by group."""
        kernel, bias = self.array(f"{name}.conv.weight"), self.array(f"{name}.conv.bias")
        first, second = (part.transpose(2, 3, 0, 1) for part in np.split(kernel, 2))
        whole = np.concatenate([first, second], -1)
        layer = self.normed(whole, bias, f"{name}.bn")
        kernels, biases = np.split(layer["kernel"], 2, -1), np.split(layer["bias"], 2)
        return {
            f"up_2_{group}": as_taps({"kernel": kernels[group], "bias": biases[group]})
            for group in range(2)
        }
