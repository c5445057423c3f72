"""The published weights of DeepFilterNet3 as parameters of ours."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from aqtaudio.vocabulary.layers import EPSILON
from aqtaudio.vocabulary.upsampling import phases_of

PUBLISHED_EPSILON = 1e-5
"""Of the authors' batch norm."""


class Settings(Protocol):
    """Of the model that they are for."""

    gain_layers: int
    filter_layers: int
    pathway: bool
    norm: bool
    tied_upsampling: bool


def published(model: Settings, arrays: Mapping[str, np.ndarray]) -> dict[str, dict]:
    """Variables of a `DeepFilterNet3` from the authors' arrays, by their names.

    Batch norm may be folded there, with gamma 1 and mean 0. Layers of GRUs that are missing are
    left out. KeyError where another array is missing.
    """
    reader = _Reader(model, arrays)
    encoder = {
        "level_0": reader.normed("enc.erb_conv0", 1),
        **reader.separable("level_1", "enc.erb_conv1"),
        **reader.separable("level_2", "enc.erb_conv2"),
        **reader.separable("level_3", "enc.erb_conv3"),
        "spectrum_0_depth": reader.conv("enc.df_conv0.1"),
        "spectrum_0_point": reader.normed("enc.df_conv0", 2),
        **reader.separable("spectrum_1", "enc.df_conv1"),
        "spectrum_2": reader.grouped("enc.df_fc_emb.0.weight"),
        **reader.squeezed("enc.emb_gru", 1),
    }
    gains = {
        **reader.squeezed("erb_dec.emb_gru", model.gain_layers),
        **{f"path_{n}": reader.path(f"erb_dec.conv{n}p") for n in range(4)},
        **reader.separable("up_3", "erb_dec.convt3"),
        **reader.doubled("up_2", "erb_dec.convt2"),
        **reader.doubled("up_1", "erb_dec.convt1"),
        "gains": reader.normed("erb_dec.conv0_out", 0),
    }
    filters = {
        "linear_in": reader.grouped("df_dec.df_gru.linear_in.0.weight"),
        **reader.grus("df_dec.df_gru.gru", model.filter_layers),
        "skip": reader.grouped("df_dec.df_skip.weight"),
        "filters": reader.grouped("df_dec.df_out.0.weight"),
    }
    if model.pathway:
        filters |= {
            "path_depth": reader.conv("df_dec.df_convp.1"),
            "path_point": reader.normed("df_dec.df_convp", 2),
        }
    params = {
        "encoder": encoder,
        "gain_decoder": gains,
        "filter_decoder": filters,
        "snr": reader.dense("enc.lsnr_fc.0"),
    }
    parts = {"encoder": encoder, "gain_decoder": gains, "filter_decoder": filters}
    stats = {
        part: {name: layer.pop("stats") for name, layer in layers.items() if "stats" in layer}
        for part, layers in parts.items()
    }
    return {"params": params, "batch_stats": stats if model.norm else {}}


class _Reader:
    """Arrays of PyTorch's layout in the vocabulary's."""

    def __init__(self, model: Settings, arrays: Mapping[str, np.ndarray]):
        self._model, self._arrays = model, arrays

    def _array(self, name: str) -> np.ndarray:
        return np.asarray(self._arrays[name], np.float32)

    def conv(self, name: str) -> dict[str, np.ndarray]:
        """[O, I / groups, T, F] to [T, F, I / groups, O]."""
        return {"kernel": self._array(f"{name}.weight").transpose(2, 3, 1, 0)}

    def depthwise(self, name: str) -> dict[str, np.ndarray]:
        """[C, 1, T, F] to [T, F, C]."""
        return {"kernel": self._array(f"{name}.weight")[:, 0].transpose(1, 2, 0)}

    def _with_norm(self, layer: dict, name: str) -> dict:
        """Their batch norm as ours, or folded."""
        gamma, beta, mean, variance = (
            self._array(f"{name}.{part}")
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        if self._model.norm:
            variance = variance + np.float32(PUBLISHED_EPSILON - EPSILON)
            stats = {"mean": mean, "variance": variance}
            return layer | {"gamma": gamma, "bias": beta, "stats": stats}
        factor = gamma / np.sqrt(variance + np.float32(PUBLISHED_EPSILON))
        return {"kernel": layer["kernel"] * factor, "bias": beta - mean * factor}

    def normed(self, name: str, index: int) -> dict:
        """The convolution at `index` of a block, and the norm behind it."""
        return self._with_norm(self.conv(f"{name}.{index}"), f"{name}.{index + 1}")

    def path(self, name: str) -> dict:
        """A factor per channel, and the norm behind it."""
        return self._with_norm(self.depthwise(f"{name}.0"), f"{name}.1")

    def separable(self, ours: str, name: str) -> dict[str, dict]:
        """Depthwise, pointwise, norm."""
        depth, point = self.depthwise(f"{name}.0"), self.normed(name, 1)
        return {f"{ours}_depth": depth, f"{ours}_point": point}

    def doubled(self, ours: str, name: str) -> dict[str, dict]:
        """Transposed depthwise, pointwise, norm."""
        taps = self._array(f"{name}.0.weight")[:, 0, 0].T
        tied = self._model.tied_upsampling
        depth = {"taps": taps} if tied else {"kernel": np.asarray(phases_of(taps))}
        return {f"{ours}_depth": depth, f"{ours}_point": self.normed(name, 1)}

    def grouped(self, name: str) -> dict[str, np.ndarray]:
        """[G, I / G, O / G] to [1, 1, I / G, O]."""
        array = self._array(name)
        groups, inputs, outputs = array.shape
        return {"kernel": array.transpose(1, 0, 2).reshape(1, 1, inputs, groups * outputs)}

    def dense(self, name: str) -> dict[str, np.ndarray]:
        """[O, I] to [I, O]."""
        return {"kernel": self._array(f"{name}.weight").T, "bias": self._array(f"{name}.bias")}

    def squeezed(self, name: str, layers: int) -> dict[str, dict]:
        """GRUs between grouped linear layers."""
        return {
            "linear_in": self.grouped(f"{name}.linear_in.0.weight"),
            **self.grus(f"{name}.gru", layers),
            "linear_out": self.grouped(f"{name}.linear_out.0.weight"),
        }

    def grus(self, name: str, layers: int) -> dict[str, dict]:
        """Gates in the order reset, update, candidate to update, reset, candidate.

        Of the layers that the arrays have: the model may have more.
        """
        return {
            f"gru_{layer + 1}": {
                "kernel": self._gates(f"{name}.{{}}_ih_l{layer}"),
                "cell": {"recurrent_kernel": self._gates(f"{name}.{{}}_hh_l{layer}")},
            }
            for layer in range(layers)
            if f"{name}.weight_ih_l{layer}" in self._arrays
        }

    def _gates(self, name: str) -> dict[str, np.ndarray]:
        def reordered(array: np.ndarray) -> np.ndarray:
            reset, update, candidate = np.split(array, 3)
            return np.concatenate([update, reset, candidate])

        weight, bias = (self._array(name.format(part)) for part in ("weight", "bias"))
        return {"kernel": reordered(weight).T, "bias": reordered(bias)}
