"""Features that a device dumped: .npy files in a manifest folder (docs/device_features.md)."""

from pathlib import Path

import numpy as np

from aqtaudio.errors import BadInput

SUFFIX = ".npy"


def load(path: Path, shape: tuple[int, int] | None = None) -> np.ndarray:
    """The features of one clip, int16 [T, F].

    `shape`: what they must have; None for any.

    Raises:
      BadInput: the file is missing, is no such array, or has another shape.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise BadInput(f"{path}: features of a device are {SUFFIX} files, int16 [frames, bands]")
    if not path.is_file():
        raise BadInput(f"no features {path}")
    try:
        with path.open("rb") as file:
            features = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # noqa: BLE001 - numpy raises many kinds for a damaged header
        raise BadInput(f"{path} is no {SUFFIX} array: {' '.join(str(error).split())}") from error
    if features.dtype.kind not in "iu" or not np.can_cast(features.dtype, np.int16):
        raise BadInput(f"{path} holds {features.dtype}; allowed: int16")
    if features.ndim != 2 or not features.size:
        raise BadInput(f"{path} has shape {features.shape}; allowed: [frames, bands]")
    if shape not in (None, features.shape):
        frames, bands = features.shape
        raise BadInput(
            f"{path} has {frames} frames of {bands}; a clip has {shape[0]} of {shape[1]}"
        )
    return features.astype(np.int16)
