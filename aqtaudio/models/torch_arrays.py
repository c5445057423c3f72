"""Arrays by their PyTorch names, as parameters of the vocabulary's layers."""

from collections.abc import Mapping

import numpy as np

EPSILON = 1e-5
"""Of PyTorch's batch norm."""
Layer = dict[str, np.ndarray]


class TorchArrays:
    """A reader. Batch norm is folded into the convolution before it.

    KeyError where an array is missing, ValueError where one has another rank.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self._arrays = arrays

    def array(self, name: str) -> np.ndarray:
        """As float32."""
        return np.asarray(self._arrays[name], np.float32)

    def normed(self, kernel: np.ndarray, bias: np.ndarray, norm: str) -> Layer:
        """A kernel [..., C] and bias [C] behind which a batch norm is."""
        gamma, beta, mean, variance = (
            self.array(f"{norm}.{part}")
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = gamma / np.sqrt(variance + np.float32(EPSILON))
        return {"kernel": kernel * factor, "bias": beta + (bias - mean) * factor}

    def conv(self, name: str, norm: str) -> Layer:
        """[O, I / groups, T, F] to [T, F, I / groups, O], the norm folded."""
        kernel = self.array(f"{name}.weight").transpose(2, 3, 1, 0)
        return self.normed(kernel, self.array(f"{name}.bias"), norm)

    def transposed(self, name: str, norm: str) -> Layer:
        """[I, O, T, F] of a transposed convolution to [T, F, I, O]; the newest frame comes last."""
        kernel = self.array(f"{name}.weight")[:, :, ::-1].transpose(2, 3, 0, 1)
        return self.normed(kernel, self.array(f"{name}.bias"), norm)

    def depthwise(self, name: str, norm: str) -> Layer:
        """[C, 1, T, F] to [T, F, C], the norm folded."""
        kernel = self.array(f"{name}.weight")[:, 0].transpose(1, 2, 0)
        return self.normed(kernel, self.array(f"{name}.bias"), norm)

    def transposed_depthwise(self, name: str, norm: str) -> Layer:
        """The same of a transposed one; the newest frame comes last."""
        kernel = self.array(f"{name}.weight")[:, 0, ::-1].transpose(1, 2, 0)
        return self.normed(kernel, self.array(f"{name}.bias"), norm)

    def dense(self, name: str) -> Layer:
        """[O, I] to [I, O]."""
        return {"kernel": self.array(f"{name}.weight").T, "bias": self.array(f"{name}.bias")}

    def grouped_gru(self, cells: list[tuple[str, str]]) -> dict[str, dict]:
        """A `GroupedGRU` of several: (name, "" or "_reverse") of each group.

        Gates in the order reset, update, candidate become update, reset, candidate.
        """
        gates = [self._gates(*cell) for cell in cells]

        def blocks(index: int) -> Layer:
            biases = np.stack([np.split(group[index + 1], 3) for group in gates], 1)
            taps = np.stack([group[index] for group in gates])
            return {"taps": taps, "bias": biases.reshape(-1)}

        return {"kernel": blocks(0), "cell": {"recurrent_kernel": blocks(2)}}

    def _gates(self, name: str, suffix: str) -> tuple[np.ndarray, ...]:
        def reordered(part: str) -> np.ndarray:
            reset, update, candidate = np.split(self.array(f"{name}.{part}_l0{suffix}"), 3)
            return np.concatenate([update, reset, candidate]).T

        return tuple(map(reordered, ("weight_ih", "bias_ih", "weight_hh", "bias_hh")))

    def dual_path(self, name: str) -> dict[str, dict]:
        """A `DualPath`."""
        groups = f"{name}.intra_rnn.rnn1", f"{name}.intra_rnn.rnn2"
        ways = [(group, way) for way in ("", "_reverse") for group in groups]
        frames = [(f"{name}.inter_rnn.rnn{group}", "") for group in (1, 2)]
        return {
            "bands": self.grouped_gru(ways),
            "bands_dense": self.block(self._by_way(self.dense(f"{name}.intra_fc"))),
            "bands_norm": self.band_norm(f"{name}.intra_ln"),
            "frames": self.grouped_gru(frames),
            "frames_dense": self.block(self.dense(f"{name}.inter_fc")),
            "frames_norm": self.band_norm(f"{name}.inter_ln"),
        }

    @staticmethod
    def _by_way(dense: Layer) -> Layer:
        """Inputs in the order (group, direction, unit) to (direction, group, unit)."""
        kernel = dense["kernel"]
        inputs, outputs = kernel.shape
        kernel = kernel.reshape(2, 2, inputs // 4, outputs).transpose(1, 0, 2, 3)
        return dense | {"kernel": kernel.reshape(inputs, outputs)}

    @staticmethod
    def block(dense: Layer) -> Layer:
        """A dense layer as a `BlockDense` of one block."""
        return {"taps": dense["kernel"][None], "bias": dense["bias"]}

    def band_norm(self, name: str) -> Layer:
        """A `BandNorm`, [F, C]."""
        return {"scale": self.array(f"{name}.weight"), "offset": self.array(f"{name}.bias")}

    def slope(self, name: str) -> Layer:
        """A `PRelu`."""
        return {"slope": self.array(name)}


def as_taps(layer: Layer) -> Layer:
    """A convolution's parameters as those of a `DoubledConv2D`."""
    return {"taps": layer["kernel"], "bias": layer["bias"]}
