"""CIFAR-10: the binary version, and the Python version without running what a pickle says."""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from .dataset import Dataset, from_images
from .download import explain_missing

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")  # 10,000 images each; the last is the test part
PIXELS = 3 * 32 * 32  # red, green, blue; each row by row


def read_cifar10(data_dir: str | Path = ".") -> Dataset:
    """Read CIFAR-10, 32 x 32 pixels in three colours: 50,000 images, and 10,000 more as the published test part.

    Parameters
    ----------
    data_dir : str or Path
        In ``data_dir/cifar10`` and in `data_dir` these are looked for, and the first is read: the folder
        cifar-10-batches-bin, the archive cifar-10-binary.tar.gz, cifar-10-batches-py, cifar-10-python.tar.gz.

    Raises
    ------
    FileNotFoundError
        If nothing of it is there, or a batch is missing; the message says how to get it.
    ValueError
        If a file is damaged, or a pickle asks for anything but arrays.

    References
    ----------
    .. [1] Krizhevsky (2009), "Learning Multiple Layers of Features from Tiny Images",
       https://www.cs.toronto.edu/~kriz/cifar.html
    """
    found = next((version for version in _places(Path(data_dir)) if version[0].exists()), None)
    if found is None:
        raise explain_missing("cifar10", data_dir, "cifar-10-batches-bin, cifar-10-binary.tar.gz or Python version")
    place, suffix, read = found
    contents = _contents(place, [batch + suffix for batch in BATCHES])
    *parts, test = [
        from_images(*read(content, f"{place}, {file}"), classes=CLASSES, name=f"{place}, {file}")
        for file, content in contents.items()
    ]
    X, y = np.concatenate([part.X for part in parts]), np.concatenate([part.y for part in parts])
    test = replace(test, name="cifar10")
    return replace(test, X=X, y=y, test=test)


def read_binary_batch(content: bytes, name: str = "batch") -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32) and labels (N,), uint8, of records of 1 + 3072 bytes: the label, then the pixels."""
    if not content or len(content) % (1 + PIXELS):
        raise ValueError(f"{name} must hold whole records of {1 + PIXELS} bytes; got {len(content)}. Fetch it again")
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def read_python_batch(content: bytes, name: str = "batch") -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32), uint8, and labels (N,) of a pickled dict with ``data`` (N, 3072) and ``labels``.

    A pickle can name any function and have it called; this one may name those that make NumPy's arrays, and no other.
    """
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()  # Python 2 wrote it: its text is bytes
    except Exception as error:  # a damaged pickle raises whatever it stumbles upon
        raise ValueError(f"{name} must be a batch of CIFAR-10's Python version; {error or 'it is cut short'}") from None
    fields = batch if isinstance(batch, dict) else {}
    X, y = (fields.get(key.encode(), fields.get(key)) for key in ("data", "labels"))
    if not (isinstance(X, np.ndarray) and X.dtype == np.uint8 and X.ndim == 2 and X.shape[1] == PIXELS):
        raise ValueError(f"{name} must be a dict that holds data, uint8 of shape (N, {PIXELS}); got something else")
    if not (isinstance(y, list) and all(isinstance(label, int) for label in y)):
        raise ValueError(f"{name} must be a dict that holds labels, a list of whole numbers; got something else")
    return X.reshape(-1, 3, 32, 32), np.array(y)


class _ArrayUnpickler(pickle.Unpickler):
    """Knows the names that an array's pickle needs, under NumPy 1 and 2, and refuses any other."""

    def find_class(self, module: str, name: str) -> Any:
        known = ALLOWED.get((module.replace("numpy._core", "numpy.core"), name))
        if known is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which makes no array, and is not read further")
        return known


def _dtype(kind: Any, align: Any, copy: Any) -> np.dtype[Any]:
    return np.dtype(kind, align=bool(align), copy=bool(copy))  # Python 2 wrote 0 and 1, at which NumPy 2.4 warns


ALLOWED: dict[tuple[str, str], Any] = {  # NumPy's own functions, as its arrays name them, without its private modules
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce_ex__(2)[0],
    ("numpy.core.numeric", "_frombuffer"): np.empty(0).__reduce_ex__(5)[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
}


def _places(data_dir: Path) -> Iterator[tuple[Path, str, Callable[[bytes, str], tuple[np.ndarray, np.ndarray]]]]:
    """Where a version may be, the suffix of its batches, and who reads them; the preferred first."""
    for folder, archive, suffix, read in (
        ("cifar-10-batches-bin", "cifar-10-binary.tar.gz", ".bin", read_binary_batch),
        ("cifar-10-batches-py", "cifar-10-python.tar.gz", "", read_python_batch),
    ):
        for name in (folder, archive):
            yield data_dir / "cifar10" / name, suffix, read
            yield data_dir / name, suffix, read


def _contents(place: Path, files: list[str]) -> dict[str, bytes]:
    """The bytes of each of `files`, from a folder or out of an archive, which is not unpacked to disk."""
    if place.is_dir():
        found = {file: (place / file).read_bytes() for file in files if (place / file).is_file()}
    else:
        found = {}
        try:
            with tarfile.open(place) as archive:
                for member in archive:
                    name, stream = PurePosixPath(member.name).name, archive.extractfile(member)
                    if name in files and stream:
                        found[name] = stream.read()
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{place} must be a whole .tar.gz archive; {error}. Fetch it again") from None
    missing = [file for file in files if file not in found]
    if missing:
        raise FileNotFoundError(f"{place}: no {', '.join(missing)}. Unpack the archive again, whole")
    return {file: found[file] for file in files}
