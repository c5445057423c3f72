"""Arrays of a Keras weights file (HDF5, .h5, perhaps compressed: .h5.gz) by layer and part."""

import gzip
import io
import zlib
from pathlib import Path

import numpy as np

SUFFIXES = (".h5", ".h5.gz")


def read(file: str) -> dict[str, np.ndarray]:
    """Arrays called "layer/part": "conv2d_1/kernel", "batch_normalization_1/moving_mean".

    A file of weights and one of a whole model, which has them in a group of their own, read alike.
    Raises OSError where the file cannot be read or is none of HDF5's.
    """
    import h5py

    content = Path(file).read_bytes()
    if file.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error) as error:
            raise OSError(f"damaged gzip file ({error})") from None
    found: dict[str, np.ndarray] = {}

    def visit(path: str, node: h5py.Dataset | h5py.Group) -> None:
        if isinstance(node, h5py.Dataset):
            found[_name(path)] = np.asarray(node)

    try:
        with h5py.File(io.BytesIO(content), "r") as opened:
            opened.visititems(visit)
    except RuntimeError as error:  # of what is damaged further in
        raise OSError(str(error)) from None
    return found


def _name(path: str) -> str:
    """Of "model_weights/conv2d_1/conv2d_1/kernel:0": "conv2d_1/kernel".

    A layer's group comes first, its arrays' own scope below it.
    """
    layer, *_, part = path.removeprefix("model_weights/").split("/")
    return f"{layer}/{part.partition(':')[0]}"
