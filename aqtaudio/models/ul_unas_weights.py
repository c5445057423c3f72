"""The published weights of UL-UNAS as parameters of ours."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from aqtaudio.models.torch_arrays import Layer, TorchArrays, as_taps


class Block(Protocol):
    """What is asked of a block."""

    kind: str
    stride: int


class Settings(Protocol):
    """Of the model that they are for."""

    blocks: tuple
    paths: int


def published(model: Settings, arrays: Mapping[str, np.ndarray]) -> dict[str, dict]:
    """Variables of a `ULUNAS` from the authors' arrays, by their names.

    KeyError where one is missing.
    """
    read, count = _Reader(arrays), len(model.blocks)
    params: dict[str, dict] = {}
    for number, block in enumerate(model.blocks, 1):
        down, up = f"encoder.en_convs.{number - 1}", f"decoder.de_convs.{count - number}"
        params[f"encoder_{number}"] = read.block_of(down, block, False, number == 1)
        params[f"decoder_{number}"] = read.block_of(up, block, True, number == 1)
    for number in range(model.paths):
        params[f"path_{number + 1}"] = read.dual_path(f"dpgrnn.{number}")
    return {"params": params, "batch_stats": {}}


class _Reader(TorchArrays):
    def block_of(self, name: str, block: Block, is_up: bool, is_outer: bool) -> dict[str, dict]:
        """Of the encoder, or of the decoder (`is_up`); `is_outer`: the first or the last."""
        if block.kind == "conv":
            layers = {
                "conv": self._over_bands(f"{name}.ops.1", f"{name}.ops.2", block, is_up, False)
            }
            if not (is_up and is_outer):
                layers["conv_act"] = self.affine(f"{name}.ops.3")
            return layers | self.gates(f"{name}.ops.4")
        first = f"{name}.pconv1" if block.kind == "inverted" else f"{name}.pconv"
        depth = f"{name}.dconv"
        layers = {
            "point_1": self.conv(f"{first}.0", f"{first}.1"),
            "point_1_act": self.affine(f"{first}.2"),
            "depth": self._over_bands(f"{depth}.1", f"{depth}.2", block, is_up, True),
            "depth_act": self.affine(f"{depth}.3"),
        }
        if block.kind == "separable":
            return layers | self.gates(f"{depth}.4")
        last = f"{name}.pconv2"
        layers["point_2"] = self.conv(f"{last}.0", f"{last}.1")
        return layers | self.gates(f"{last}.2")

    def _over_bands(
        self, name: str, norm: str, block: Block, is_up: bool, depthwise: bool
    ) -> Layer:
        if not is_up:
            return (self.depthwise if depthwise else self.conv)(name, norm)
        layer = (self.transposed_depthwise if depthwise else self.transposed)(name, norm)
        if block.stride == 2:
            return as_taps(layer)
        return layer | {"kernel": layer["kernel"][:, ::-1]}  # bands are reversed too

    def affine(self, name: str) -> Layer:
        """An `AffinePRelu`: [C, F] to [F, C]."""
        return {
            "scale": self.array(f"{name}.affine_weight").T,
            "offset": self.array(f"{name}.affine_bias").T,
            "slope": self.array(f"{name}.slope_weight"),
        }

    def gates(self, name: str) -> dict[str, dict]:
        """Over channels and over bands."""
        ways = [(f"{name}.fa.gru", way) for way in ("", "_reverse")]
        return {
            "channel_gate_gru": self.grouped_gru([(f"{name}.ta_gru", "")]),
            "channel_gate_dense": self.block(self.dense(f"{name}.ta_fc")),
            "band_gate_gru": self.grouped_gru(ways),
            "band_gate_dense": self.block(self.dense(f"{name}.fa.fc")),
        }
