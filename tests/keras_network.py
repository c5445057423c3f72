"""Keras' side of L3-Net: what a published file's own configuration says, in float64 numpy.

Nothing here uses the package: maps are [bands, frames, channels], as Keras has them.
"""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Layer = tuple[str, str, dict[str, Any]]
"""Class, name, settings."""
Arrays = dict[str, np.ndarray]
POWER_FLOOR, RANGE_DB = 1e-10, 80.0


def read(file: Path) -> tuple[list[Layer], Arrays]:
    """The layers of a whole model's file in their order, and arrays called "layer/part"."""
    with h5py.File(io.BytesIO(gzip.decompress(file.read_bytes())), "r") as opened:
        config = json.loads(opened.attrs["model_config"])["config"]["layers"]
        layers = [(x["class_name"], x["config"]["name"], x["config"]) for x in config]
        arrays = {}
        for name, group in opened["model_weights"].items():
            for path in group.attrs["weight_names"]:
                part = path.decode().split("/")[-1].removesuffix(":0")
                arrays[f"{name}/{part}"] = np.float64(group[path.decode()])
    return layers, arrays


def unrounded(arrays: Arrays) -> Arrays:
    """The same with a transform that was not rounded to float32."""
    places = np.arange(1024)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * places / 1024)
    transform = window[:, None] * np.exp(-2j * np.pi * np.outer(places, np.arange(513)) / 1024)
    parts = {"real_kernels": transform.real, "imag_kernels": transform.imag}
    return arrays | {
        f"melspectrogram_1/{name}": x.reshape(1024, 1, 1, 513) for name, x in parts.items()
    }


def audio_subnetwork(norms: int) -> list[Layer]:
    """OpenL3's layers behind its front end (8 `norms`), or a student's (9), from the first norm."""
    layers: list[Layer] = [("BatchNormalization", "batch_normalization_1", {"epsilon": 1e-3})]
    for number in range(1, 9):
        name = f"conv2d_{number}" if number < 8 else "audio_embedding_layer"
        layers.append(("Conv2D", name, {}))
        if number < norms:
            norm = f"batch_normalization_{number + 1}"
            layers.append(("BatchNormalization", norm, {"epsilon": 1e-3}))
            layers.append(("Activation", "", {}))
        if number in (2, 4, 6):
            layers.append(("MaxPooling2D", "", {"pool_size": (2, 2)}))
    return layers


def run(layers: list[Layer], arrays: Arrays, x: np.ndarray) -> np.ndarray:
    """What the last layer makes of x: samples [N], or a map [bands, frames, C]."""
    for kind, name, settings in layers:
        x = STEPS[kind](x, name, settings, arrays)
    return x


def _mel(x: np.ndarray, name: str, settings: dict, arrays: Arrays) -> np.ndarray:
    """[N] to [bands, frames, 1], with the window and the transform that the file holds."""
    length, hop = settings["n_dft"], settings["n_hop"]
    frames = -(-len(x) // hop)
    missing = (frames - 1) * hop + length - len(x)
    x = np.pad(np.float64(x), (missing // 2, missing - missing // 2))
    cut = np.stack([x[hop * frame : hop * frame + length] for frame in range(frames)])
    parts = [cut @ arrays[f"{name}/{part}_kernels"][:, 0, 0] for part in ("real", "imag")]
    amplitudes = np.sqrt((parts[0] ** 2 + parts[1] ** 2) @ arrays[f"{name}/Variable"])
    levels = 10 * np.log10(np.maximum(amplitudes, POWER_FLOOR))
    return np.maximum(levels - levels.max(), -RANGE_DB).T[..., None]


def _norm(x: np.ndarray, name: str, settings: dict, arrays: Arrays) -> np.ndarray:
    gamma, beta, mean, variance = (
        arrays[f"{name}/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return gamma * (x - mean) / np.sqrt(variance + settings["epsilon"]) + beta


def _conv(x: np.ndarray, name: str, settings: dict, arrays: Arrays) -> np.ndarray:
    """3x3, SAME."""
    kernel = np.float64(arrays[f"{name}/kernel"])
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))
    return np.einsum("bfcij,ijcd->bfd", windows, kernel, optimize=True) + arrays[f"{name}/bias"]


def _pool(x: np.ndarray, name: str, settings: dict, arrays: Arrays) -> np.ndarray:
    rows, columns = settings["pool_size"]
    bands, frames = len(x) // rows, x.shape[1] // columns
    whole = x[: bands * rows, : frames * columns]
    return whole.reshape(bands, rows, frames, columns, -1).max((1, 3))


STEPS = {
    "InputLayer": lambda x, *_: x,
    "Melspectrogram": _mel,
    "BatchNormalization": _norm,
    "Conv2D": _conv,
    "Activation": lambda x, *_: np.maximum(x, 0),
    "MaxPooling2D": _pool,
    "Flatten": lambda x, *_: x.reshape(-1),
}
