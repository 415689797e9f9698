"""Layers made of layers: a chain, a shortcut around a body, branches side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from data import as_floats
from layers import Layer


class Container(Layer):
    """A layer made of layers. One that occurs twice is tied: two caches, one set of weights."""

    def __init__(self, *layers: Layer) -> None:
        for layer in layers:
            if not isinstance(layer, Layer):
                hint = "; unpack the list: Sequential(*layers)" if isinstance(layer, (list, tuple)) else ""
                raise TypeError(f"{type(self).__name__} takes layers; got {type(layer).__name__}{hint}")
        # A Graph answers backward by input name; inside another container it is a layer like any.
        layers = tuple(layer.as_layer() if hasattr(layer, "as_layer") else layer for layer in layers)
        self.layers = tuple(tie_repeats(layers))

    def children(self) -> Iterator[tuple[str, Layer]]:
        """The layers, named 0, 1, 2, ..."""
        yield from ((str(i), layer) for i, layer in enumerate(self.layers))

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def predict(self, x: Any, batch_size: int = 1024) -> np.ndarray:
        """Output in evaluation mode, computed in batches; no cache is kept and the mode is put back."""
        return predict(self, x, batch_size)

    def summary(self, *inputs: Any) -> str:
        """A table of every layer: output shape, parameters and bytes cached for these inputs."""
        from .summary import summary

        return summary(self, *inputs)

    def __repr__(self) -> str:
        lines = [f"  ({name}) " + repr(layer).replace("\n", "\n  ") for name, layer in self.children()]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


class Sequential(Container):
    r"""A chain: :math:`\text{out} = f_k(\dots f_2(f_1(x)))`; backward is the chain rule, from the last layer on.

    Parameters
    ----------
    *layers : Layer
        Applied in this order.

    Examples
    --------
    >>> from layers import Affine, ReLU
    >>> model = Sequential(Affine(4, 8, rng=0), ReLU(), Affine(8, 3, rng=1))
    >>> model.forward(np.ones((2, 4))).shape
    (2, 3)
    >>> list(model.parameters())
    ['0.W', '0.b', '2.W', '2.b']
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__(*layers)
        # Nothing below the first layer with parameters wants a gradient, and that layer no dx: its largest product.
        self._first = next((i for i, layer in enumerate(self.layers) if layer.parameters()), None)

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dout):
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        return dout

    def add_grads(self, dout):
        if self._first is not None:
            for layer in reversed(self.layers[self._first + 1 :]):
                dout = layer.backward(dout)
            self.layers[self._first].add_grads(dout)


class Residual(Container):
    r"""A shortcut around a body: :math:`\text{out} = \text{body}(x) + \text{shortcut}(x)`.

    Parameters
    ----------
    body : Layer
        Must keep the shape of `x`, unless the shortcut changes it likewise.
    shortcut : Layer, optional
        The identity if not given.

    Raises
    ------
    ValueError
        If body and shortcut return two shapes.

    References
    ----------
    .. [1] He et al. (2015), "Deep Residual Learning for Image Recognition", https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> from layers import Affine
    >>> block = Residual(Affine(3, 3, rng=0))
    >>> x = np.ones((4, 3))
    >>> np.allclose(block.forward(x) - x, block.layers[0].forward(x))
    True
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        super().__init__(*[layer for layer in (body, shortcut) if layer is not None])

    def children(self) -> Iterator[tuple[str, Layer]]:
        """`body`, and `shortcut` if there is one."""
        yield from zip(("body", "shortcut"), self.layers)

    def forward(self, x):
        body, *shortcut = [layer.forward(x) for layer in self.layers]
        straight = shortcut[0] if shortcut else x
        if body.shape != straight.shape:
            raise ValueError(
                f"body must keep the shape {straight.shape} of what it is added to; got {body.shape}. "
                "Give a shortcut that changes the shape likewise"
            )
        return body + straight

    def backward(self, dout):
        dbody, *dshortcut = [layer.backward(dout) for layer in self.layers]
        return dbody + (dshortcut[0] if dshortcut else dout)  # x was used twice: gradients add


class Concat(Container):
    r"""Branches side by side: :math:`\text{out} = [f_1(x), \dots, f_k(x)]` along one axis.

    Parameters
    ----------
    *layers : Layer
        Each gets the same `x`; their outputs must agree in all other axes.
    axis : int, default 1
        Axis of concatenation: the features of (N, D), the channels of (N, C, H, W).

    Raises
    ------
    ValueError
        If there are no layers.
    TypeError
        If one is no layer.

    Examples
    --------
    >>> from layers import Affine
    >>> Concat(Affine(3, 2, rng=0), Affine(3, 5, rng=1)).forward(np.ones((4, 3))).shape
    (4, 7)
    """

    def __init__(self, *layers: Layer, axis: int = 1) -> None:
        if not layers:
            raise ValueError("Concat needs at least one layer; got none")
        super().__init__(*layers)
        self.axis = axis

    def forward(self, x):
        outs = [layer.forward(x) for layer in self.layers]
        self.cache = np.cumsum([out.shape[self.axis] for out in outs])[:-1]  # where each branch ends
        return np.concatenate(outs, axis=self.axis)

    def backward(self, dout):
        douts = np.split(dout, self.cache, axis=self.axis)
        first, *others = [layer.backward(part) for layer, part in zip(self.layers, douts)]
        return sum(others, first)  # every branch used x: gradients add


def tie_repeats(layers: Any) -> list[Layer]:
    """The layers, where one that came before, itself or inside another, is replaced by a tied twin."""
    seen: set[int] = set()
    out = []
    for layer in layers:
        leaves = {id(leaf) for _, leaf in layer.walk() if not any(leaf.children())}
        out.append(layer.tied() if leaves & seen else layer)
        seen |= leaves
    return out


def predict(model: Layer, x: Any, batch_size: int = 1024) -> np.ndarray:
    """Output of any layer in evaluation mode, computed in batches; no cache is kept and each mode is put back.

    Images of bytes are float32 in 0..1 in a batch, as in training; see `data.as_floats`.
    """
    x = np.asarray(x)
    starts = range(0, max(len(x), 1), batch_size)
    with evaluating(model):
        return np.concatenate([model.forward(as_floats(x[i : i + batch_size])) for i in starts])


@contextmanager
def evaluating(model: Layer) -> Iterator[None]:
    """In evaluation mode; at the end, however it comes, no cache is kept and each layer has the mode that it had."""
    modes = [(layer, layer.training) for _, layer in model.walk()]
    model.eval()
    try:
        yield
    finally:
        model.drop_cache()
        for layer, training in modes:
            vars(layer).setdefault("_mode", [True])[0] = training
