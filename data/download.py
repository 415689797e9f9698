"""Published datasets from where they are published, each file checked before it gets its name."""

from __future__ import annotations

import os
from pathlib import Path

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

# name -> URL -> checksum
SOURCES: dict[str, dict[str, str]] = {
    "mnist": {
        _MNIST + "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        _MNIST + "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
        _MNIST + "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
        _MNIST + "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
    },
    "fashion_mnist": {
        _FASHION + "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        _FASHION + "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        _FASHION + "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        _FASHION + "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
    "cifar10": {
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530",
    },
}


def download_dataset(name: str, data_dir: str | Path = ".") -> Path:
    """Fetch the files of mnist, fashion_mnist or cifar10 into ``data_dir/name``, where `load` finds them.

    Files that are there already, and whole, are left alone.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If the name is none of those, or a file is not the published one.
    OSError
        If the network does not give a file; the message says where to put it by hand.
    """
    if name not in SOURCES:
        raise ValueError(f"name must be one of {', '.join(SOURCES)}; got {name!r}")
    folder = Path(data_dir, name)
    for url, checksum in SOURCES[name].items():
        download_file(url, folder / url.rpartition("/")[2], checksum)
    return folder


def download_file(url: str, path: str | Path, checksum: str, *, timeout: float = 60.0) -> Path:
    """Fetch one file, unless it is there already and whole; nothing gets the name `path` that is not checked.

    Parameters
    ----------
    url : str
        Any that urllib opens.
    path : str or Path
        Where the file goes; its folder is made.
    checksum : str
        ``"sha256:..."`` or ``"md5:..."``, in hexadecimal.
    timeout : float, default 60
        Seconds without a byte before it gives up.

    Raises
    ------
    ValueError
        If what came has another checksum.
    OSError
        If the network does not give the file; the message says where to put it by hand.
    """
    import http.client  # here: few programs fetch anything
    import urllib.request

    algorithm, _, expected = checksum.partition(":")
    if algorithm not in ("sha256", "md5") or not expected:
        raise ValueError(f'checksum must be "sha256:..." or "md5:..."; got {checksum!r}')
    path = Path(path)
    if path.is_file() and _checksum(path, algorithm) == expected.lower():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            try:
                with urllib.request.urlopen(url, timeout=timeout) as response:
                    while block := response.read(1 << 20):
                        file.write(block)
            except (OSError, http.client.HTTPException) as error:
                raise OSError(
                    f"cannot fetch {url}: {error}. Where the network does not allow it, get the file on another "
                    f"machine and put it at {path}"
                ) from None
        got = _checksum(temporary, algorithm)
        if got != expected.lower():
            raise ValueError(f"{url} must have the {algorithm} {expected}; got {got}. It is cut short or another file")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def explain_missing(name: str, data_dir: str | Path, what: str) -> FileNotFoundError:
    """The error for a dataset that is not in its folder: what was looked for, and how to get it."""
    folder = Path(data_dir).absolute()
    return FileNotFoundError(
        f"{name}: no {what} in {folder / name} or {folder}. Fetch it by data.download_dataset({name!r}, "
        f"{str(data_dir)!r}); where the network does not allow that, get these on another machine and put them into "
        f"{folder / name}: {', '.join(SOURCES[name])}"
    )


def _checksum(path: Path, algorithm: str) -> str:
    import hashlib

    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
