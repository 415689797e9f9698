"""MNIST and Fashion-MNIST, in the idx format: a magic number, the sizes of the axes, then the bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from .dataset import Dataset, from_images
from .download import explain_missing

CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
}
AXES = {2051: ("images", 3), 2049: ("labels", 1)}  # 0x0803 and 0x0801: unsigned bytes, so many axes


def read_mnist(data_dir: str | Path = ".", name: str = "mnist") -> Dataset:
    """Read MNIST or Fashion-MNIST, 28 x 28 grey pixels: 60,000 images, and 10,000 more as the published test part.

    Parameters
    ----------
    data_dir : str or Path
        The four files are looked for in ``data_dir/name``, then in `data_dir`: train-images-idx3-ubyte,
        train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or with a dot before idx, or with
        .gz at the end.
    name : {"mnist", "fashion_mnist"}
        The two have files of the same names.

    Raises
    ------
    FileNotFoundError
        If a file is not there; the message says how to get it.
    ValueError
        If a file is damaged, or is another than its name says.

    References
    ----------
    .. [1] LeCun, Cortes, Burges, "The MNIST database of handwritten digits", http://yann.lecun.com/exdb/mnist/
    .. [2] Xiao, Rasul, Vollgraf (2017), "Fashion-MNIST", https://arxiv.org/abs/1708.07747
    """
    if name not in CLASSES:
        raise ValueError(f"name must be one of {', '.join(CLASSES)}; got {name!r}")
    train, test = (_read_part(data_dir, name, part) for part in ("train", "t10k"))
    return replace(train, test=test)


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an idx file of images (N, H, W) or labels (N,), uint8; gzipped or not, whatever its name.

    Raises
    ------
    ValueError
        If the file starts with another magic number than 2051 or 2049, or has fewer or more bytes than it says.
    """
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} must be a whole gzip file; {error}. Fetch it again") from None
    magic = int.from_bytes(content[:4], "big")
    if magic not in AXES:
        raise ValueError(
            f"{path} must be an idx file, of magic number 2051 (images) or 2049 (labels); got {magic}. "
            "Check that it is the published file"
        )
    what, axes = AXES[magic]
    start = 4 + 4 * axes
    if len(content) < start:
        raise ValueError(f"{path} must begin with {start} bytes that say its sizes; got {len(content)}. Fetch it again")
    shape = struct.unpack(f">{axes}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(
            f"{path} must hold {what} of shape {shape}, {math.prod(shape)} bytes; got {len(content) - start}. "
            "Fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _read_part(data_dir: str | Path, name: str, part: str) -> Dataset:
    images, labels = _find(data_dir, name, f"{part}-images", "idx3"), _find(data_dir, name, f"{part}-labels", "idx1")
    X, y = read_idx(images), read_idx(labels)
    if X.ndim != 3 or y.ndim != 1:
        raise ValueError(f"{images} must hold images and {labels} labels; got shapes {X.shape} and {y.shape}")
    if len(X) != len(y):
        raise ValueError(f"{labels} must hold a label for each of the {len(X)} images of {images}; got {len(y)}")
    return replace(from_images(X[:, np.newaxis], y, classes=CLASSES[name], name=str(labels)), name=name)


def _find(data_dir: str | Path, name: str, stem: str, kind: str) -> Path:
    for folder in (Path(data_dir, name), Path(data_dir)):
        for separator in "-.":
            for suffix in ("", ".gz"):
                path = folder / f"{stem}{separator}{kind}-ubyte{suffix}"
                if path.is_file():
                    return path
    raise explain_missing(name, data_dir, f"file {stem}-{kind}-ubyte (or .gz)")
