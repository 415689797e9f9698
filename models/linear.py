"""Linear classifiers and regression: one affine layer; the loss tells them apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from layers import Affine, MSELoss, SoftmaxLoss, SVMLoss
from layers.initializers import normal

from .containers import Sequential


class Linear(Sequential):
    """One affine layer whose weights start near zero, as the problem is convex; the base of the three below."""

    loss: Any = None

    def __init__(
        self, in_features: int, out_features: int, *, init: Any = None, rng: Any = None, dtype: Any = np.float32
    ) -> None:
        super().__init__(Affine(in_features, out_features, init=init or normal(1e-3), rng=rng, dtype=dtype))


class SoftmaxClassifier(Linear):
    r"""Multinomial logistic regression: scores :math:`xW + b` under :class:`~layers.SoftmaxLoss`.

    Parameters
    ----------
    in_features, out_features : int
        Features D and classes M.
    init : callable, default normal(1e-3)
    rng : numpy.random.Generator or int, optional
    dtype : dtype, default float32

    References
    ----------
    .. [1] CS231n, "Linear Classification", https://cs231n.github.io/linear-classify/

    Examples
    --------
    >>> SoftmaxClassifier(4, 3, rng=0).loss().forward(np.zeros((2, 3)), np.array([0, 2]))  # log C
    1.0986122886681098
    """

    loss = SoftmaxLoss


class LinearSVM(Linear):
    r"""Multiclass support vector machine: scores :math:`xW + b` under :class:`~layers.SVMLoss`.

    Parameters
    ----------
    in_features, out_features, init, rng, dtype
        As of `SoftmaxClassifier`.

    References
    ----------
    .. [1] CS231n, "Linear Classification", https://cs231n.github.io/linear-classify/
    """

    loss = SVMLoss


class LinearRegression(Linear):
    r"""Least squares: :math:`xW + b` under :class:`~layers.MSELoss`.

    Parameters
    ----------
    in_features, out_features, init, rng, dtype
        As of `SoftmaxClassifier`.
    """

    loss = MSELoss
