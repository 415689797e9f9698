"""Datasets by name."""

from __future__ import annotations

import difflib
import importlib.util
from pathlib import Path

import numpy as np

from . import mnist, toys
from .cifar import read_cifar10
from .dataset import Dataset
from .files import READERS
from .splits import limit
from .text import Text, read_text, toy_text

TOYS = {toy.__name__: toy for toy in (toys.spirals, toys.xor, toys.moons, toys.circles, toys.blobs)}

DATASETS = {
    "spirals": "three arms that wind about each other, from CS231n; 300 points in the plane",
    "xor": "four clusters, opposite corners of one class; 400 points in the plane",
    "moons": "two interleaving half circles; 500 points in the plane",
    "circles": "a circle within a circle; 500 points in the plane",
    "blobs": "three round clusters, nearly separable by lines; 500 points in the plane",
    "digits": "1797 handwritten digits of 8 x 8 pixels, values 0 to 16; 10 classes",
    "iris": "150 flowers by 4 lengths; 3 species",
    "wine": "178 wines by 13 measurements; 3 growers",
    "breast_cancer": "569 tumours by 30 measurements; malignant or benign",
    "diabetes": "442 patients by 10 measurements; how far the disease went in a year (regression)",
    "mnist": "60,000 handwritten digits of 28 x 28 pixels and 10,000 to test, from files; 10 classes",
    "fashion_mnist": "60,000 clothes of 28 x 28 pixels and 10,000 to test, from files; 10 classes",
    "cifar10": "50,000 photographs of 3 x 32 x 32 pixels and 10,000 to test, from files; 10 classes",
    "text": "40,000 characters of simple sentences and sums, in windows of 64, to predict the next one",
}
PATHS = f"a path that ends in {', '.join(READERS)} or .txt"


def load(
    name: str | Path,
    *,
    n: int | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    target: str | None = None,
    task: str | None = None,
) -> Dataset:
    """Load a dataset by its name in `DATASETS`, or from a ``.csv``, ``.tsv``, ``.npz`` or ``.txt`` file.

    Parameters
    ----------
    name : str or Path
        A name, or a path that ends in ``.csv``, ``.tsv``, ``.npz`` or ``.txt``; a text is cut in windows of 64
        characters, see `Text`.
    n : int, optional
        How many examples: toys are generated with that many; of other datasets at most so many are drawn at random.
    seed : int, default 0
        Decides the noise of toys, and which examples `n` leaves.
    data_dir : str or Path, optional
        Where a relative path is looked for, and the files of mnist, fashion_mnist and cifar10; by default the current
        folder. `download_dataset` fetches them.
    target, task : str, optional
        For tables: the column to learn, and "classification" or "regression" where the reader's rule guesses wrong; see
        `read_csv`.

    Raises
    ------
    ValueError
        If the name is unknown, with the near ones suggested, or the file holds something else than it should.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> load("spirals")
    Dataset('spirals', classification, X (300, 2), 3 classes)
    >>> load("spiral")
    Traceback (most recent call last):
    ValueError: unknown dataset 'spiral'; did you mean spirals? Known: spirals, xor, moons, circles, blobs, digits,
    iris, wine, breast_cancer, diabetes, mnist, fashion_mnist, cifar10, text, or a path that ends in .csv, .tsv, .npz or
    .txt
    """
    suffix = Path(name).suffix.lower()
    if name not in DATASETS and suffix in (*READERS, ".txt"):
        path = Path(data_dir or "", name)
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}. Check the name, and the folder it is looked for in")
        if suffix in READERS:
            dataset = READERS[suffix](path, target=target, task=task)
        else:
            _refuse(name, target, task)
            dataset = read_text(path).as_dataset(name=str(path))
    elif name not in DATASETS:
        near = difflib.get_close_matches(str(name), DATASETS, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"unknown dataset {str(name)!r}; {hint}Known: {', '.join(DATASETS)}, or {PATHS}")
    else:
        _refuse(name, target, task)
        if name in TOYS:
            toy = TOYS[str(name)]
            return toy(seed=seed) if n is None else toy(n, seed=seed)
        dataset = _by_name(str(name), data_dir or ".", seed)
    return dataset if n is None else limit(dataset, n, seed=seed)


def _refuse(name: str | Path, target: str | None, task: str | None) -> None:
    if target is not None or task is not None:
        raise ValueError(f"target and task are for tables; {name} knows its own. Leave them out")


def _by_name(name: str, data_dir: str | Path, seed: int) -> Dataset:
    if name in mnist.CLASSES:
        return mnist.read_mnist(data_dir, name)
    if name == "cifar10":
        return read_cifar10(data_dir)
    if name == "text":
        return Text(toy_text(seed=seed)).as_dataset()
    return _bundled(name)


def _digits() -> Dataset | None:
    """The digits out of scikit-learn's file, without scikit-learn, whose import takes most of a second."""
    spec = importlib.util.find_spec("sklearn")
    file = Path(spec.origin or "").parent / "datasets" / "data" / "digits.csv.gz" if spec else Path()
    if not file.is_file():
        return None
    table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    return Dataset(table[:, :-1], table[:, -1].astype(np.int64), tuple("0123456789"), "digits", (1, 8, 8))


def _bundled(name: str) -> Dataset:
    digits = _digits() if name == "digits" else None
    if digits is not None:
        return digits
    from sklearn import datasets  # here, because importing scikit-learn takes most of a second

    bunch = getattr(datasets, f"load_{name}")()
    if "target_names" not in bunch:
        return Dataset(bunch.data.astype("float32"), bunch.target.astype("float32")[:, None], None, name)
    classes = tuple(map(str, bunch.target_names))
    image_shape = (1, 8, 8) if name == "digits" else None
    return Dataset(bunch.data.astype("float32"), bunch.target.astype("int64"), classes, name, image_shape)
