"""Every legal setting of what slides a window: each mix of padding, stride, groups and batch, on images not square."""

import itertools

import numpy as np
import pytest

from gradcheck import assert_gradients
from layers import AvgPool2D, Conv1D, Conv2D, ConvTranspose2D, MaxPool2D

PADDINGS, STRIDES, BATCHES = (0, 1, 2), (1, 2), (1, 2)
FILTERS = list(itertools.product([0, 1, 2, (2, 0)], [1, 2, (1, 2)], [1, 2, 4], BATCHES))  # groups of 4: depthwise
SIGNALS = list(itertools.product(PADDINGS, STRIDES, [1, 2, 4], BATCHES))
WINDOWS = list(itertools.product([0, 1, 2, (2, 0)], [1, 2, (2, 3), (4, 5)], BATCHES))  # (4, 5): side by side


def draw(*shape):
    """Values at least 0.1 apart: no tie within reach of a difference."""
    return 0.1 * np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape) - 2


@pytest.mark.parametrize(("padding", "stride", "groups", "n"), FILTERS)
@pytest.mark.parametrize("layer_type", [Conv2D, ConvTranspose2D])
def test_filters_have_the_right_gradients(layer_type, padding, stride, groups, n):
    layer = layer_type(4, 8, (3, 2), padding=padding, stride=stride, groups=groups, rng=0)
    assert_gradients(layer, draw(n, 4, 5, 6))


@pytest.mark.parametrize(("padding", "stride", "groups", "n"), SIGNALS)
def test_filters_of_signals_have_the_right_gradients(padding, stride, groups, n):
    assert_gradients(Conv1D(4, 8, 3, padding=padding, stride=stride, groups=groups, rng=0), draw(n, 4, 7))


@pytest.mark.parametrize(("padding", "stride", "n"), WINDOWS)
@pytest.mark.parametrize("options", [{}, {"count_include_pad": False}, None], ids=["mean", "mean inside", "max"])
def test_windows_have_the_right_gradients(options, padding, stride, n):
    layer_type = MaxPool2D if options is None else AvgPool2D
    assert_gradients(layer_type((4, 5), padding=padding, stride=stride, **(options or {})), draw(n, 3, 7, 6))
