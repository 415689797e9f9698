"""Training, validation and test parts, and smaller sets: stratified, and decided by the seed alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ._checks import check_count, generator
from .dataset import Dataset


def split(dataset: Dataset, *, val: float = 0.2, test: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset, Dataset]:
    """Cut a dataset at random into three parts, each with the classes in the proportions of the whole.

    Parameters
    ----------
    dataset : Dataset
        N examples; it is copied from, not changed.
    val, test : float in [0, 1), default 0.2
        Fractions of N, rounded, but at least one example; 0 leaves that part empty. Training takes the rest.
    seed : int, default 0
        Decides who goes where.

    Returns
    -------
    train, val, test : Dataset

    Raises
    ------
    ValueError
        If the fractions are out of range or leave nothing to train on.

    Notes
    -----
    A class too small to be in every part is in the training part. scikit-learn's ``train_test_split`` refuses such a
    dataset. A test part that the set was published with is given as it is, whatever fraction `test` says unless it is
    0, and the rest is cut in two. A text is cut in time: validation takes its beginning, the test its end.

    Examples
    --------
    >>> from data import load
    >>> [len(part) for part in split(load("spirals"), val=0.1, test=0.2)]
    [210, 30, 60]
    """
    for name, fraction in (("val", val), ("test", test)):
        if not 0 <= fraction < 1:
            raise ValueError(f"{name} must be a fraction in [0, 1); got {fraction!r}")
    if dataset.test is not None and test:
        train, val_part, _ = split(replace(dataset, test=None), val=val, test=0, seed=seed)
        return train, val_part, dataset.test
    n = len(dataset)
    n_val, n_test = (max(1, round(fraction * n)) if fraction else 0 for fraction in (val, test))
    if n_val + n_test >= n or val + test >= 1:
        raise ValueError(
            f"val={val} and test={test} must leave examples to train on, their sum below 1; "
            f"of {n} they take {n_val} and {n_test}. Make the fractions smaller or get more data"
        )
    order = _stratified_order(dataset, generator("split", seed))
    # Both ends go to validation and test: the middle is where a class with one or two examples stands.
    return dataset.take(order[n_val : n - n_test]), dataset.take(order[:n_val]), dataset.take(order[n - n_test :])


def limit(dataset: Dataset, n: int, *, seed: int = 0) -> Dataset:
    """At most `n` examples, drawn at random with the classes in the proportions of the whole; of a text its beginning.

    Of a published test part at most `n` are left as well.

    Examples
    --------
    >>> from data import load
    >>> np.bincount(limit(load("spirals"), 30).y)
    array([10, 10, 10])
    """
    n = check_count("n", n)
    test = None if dataset.test is None else limit(dataset.test, n, seed=seed)
    if n >= len(dataset) and test is dataset.test:
        return dataset
    return replace(dataset.take(_stratified_order(dataset, generator("limit", seed))[:n]), test=test)


def _stratified_order(dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
    """A random order of which every stretch has the classes in the proportions of the whole.

    The i-th of the n shuffled examples of a class stands at (i + 1/2) / n of the way, whichever class it is. Windows of
    a text keep their order, so that parts are stretches of it.
    """
    if dataset.classes is not None and dataset.y.ndim > 1:
        return np.arange(len(dataset))
    order = rng.permutation(len(dataset))
    if dataset.classes is None:
        return order
    place = np.empty(len(order))
    for label in range(dataset.num_classes):
        (members,) = np.nonzero(dataset.y[order] == label)
        place[members] = (np.arange(len(members)) + 0.5) / max(1, len(members))
    return order[np.argsort(place, kind="stable")]  # stable: the same on every machine, ties as they were shuffled
