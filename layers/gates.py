"""The atoms: gates whose local gradient fits on a line, with NumPy's broadcasting.

Every gate takes arrays, 0-d arrays or Python numbers. Subtraction and division are made of them: `a - b` is
`a + (-b)` and `a / b` is `a * b**-1`.
"""

import numpy as np

from ._checks import check_positive
from .base import Layer


def unbroadcast(grad, shape):
    """Sum `grad` over the axes along which an input of `shape` was broadcast: broadcast forward is sum backward.

    Examples
    --------
    >>> import numpy as np
    >>> unbroadcast(np.ones((4, 3)), (3,))
    array([4., 4., 4.])
    >>> unbroadcast(np.ones((4, 3)), (4, 1))
    array([[3.], [3.], [3.], [3.]])
    """
    if np.shape(grad) == shape:
        return grad
    new = grad.ndim - len(shape)  # axes that broadcasting put in front
    stretched = (new + i for i, size in enumerate(shape) if size == 1)
    return grad.sum(axis=(*range(new), *stretched)).reshape(shape)


def _elementwise(ufunc, *inputs):
    """``ufunc(*inputs)``; Python numbers give a Python float, which cannot turn float32 into float64 further on."""
    try:
        out = ufunc(*inputs)
    except ValueError:
        shapes = " and ".join(str(np.shape(x)) for x in inputs)
        raise ValueError(
            f"inputs must have shapes that broadcast, equal or 1 in each axis counted from the last; got {shapes}. "
            "Reshape one of them"
        ) from None
    return float(out) if all(type(x) in (float, int) for x in inputs) else out


def _dtype(dout, *inputs):
    return np.result_type(dout, *inputs, 1.0)  # 1.0: a gradient is a float, also of integers


class Add(Layer):
    r"""Sum of two inputs, :math:`x + y`. Backward it is the gradient distributor: both get `dout`.

    Raises
    ------
    ValueError
        If the shapes of the two do not broadcast.

    Examples
    --------
    >>> gate = Add()
    >>> gate.forward(-2.0, 5.0)
    3.0
    >>> gate.backward(-4.0)
    (-4.0, -4.0)
    """

    def forward(self, x, y):
        self.cache = np.shape(x), np.shape(y)
        return _elementwise(np.add, x, y)

    def backward(self, dout):
        x_shape, y_shape = self.cache
        return unbroadcast(dout, x_shape), unbroadcast(dout, y_shape)


class Multiply(Layer):
    r"""Elementwise product, :math:`x y`. Backward it is the swap multiplier: each gets `dout` times the other.

    Raises
    ------
    ValueError
        If the shapes of the two do not broadcast.

    Examples
    --------
    >>> gate = Multiply()
    >>> gate.forward(3.0, -4.0)
    -12.0
    >>> gate.backward(1.0)
    (-4.0, 3.0)
    """

    def forward(self, x, y):
        self.cache = x, y
        return _elementwise(np.multiply, x, y)

    def backward(self, dout):
        x, y = self.cache
        return unbroadcast(dout * y, np.shape(x)), unbroadcast(dout * x, np.shape(y))


class Negate(Layer):
    """The input with its sign turned, :math:`-x`."""

    def forward(self, x):
        return _elementwise(np.negative, x)

    def backward(self, dout):
        return -dout


class Power(Layer):
    r"""Power of two inputs, :math:`b^e`, differentiated in both.

    .. math:: \frac{\partial}{\partial b} b^e = e\,b^{e-1}, \qquad \frac{\partial}{\partial e} b^e = b^e \log b

    Raises
    ------
    ValueError
        If the shapes of the two do not broadcast.

    Notes
    -----
    The gradient of the exponent is 0 where the base is not positive: there :math:`b^e` is no smooth function of
    e. The gradient of the base is 0 where the exponent is 0, at base 0 as well.

    Examples
    --------
    >>> gate = Power()
    >>> gate.forward(4.0, -1)
    0.25
    >>> dbase, dexponent = gate.backward(1.0)
    >>> float(dbase)
    -0.0625
    """

    def forward(self, base, exponent):
        dtype = np.result_type(base, exponent, 1.0)  # NumPy refuses integers to negative powers
        out = _elementwise(lambda b, e: np.power(b, e, dtype=dtype), base, exponent)
        self.cache = base, exponent, out
        return out

    def backward(self, dout):
        base, exponent, out = self.cache
        dbase = dout * exponent * np.power(base, exponent - (exponent != 0), dtype=_dtype(dout, base, exponent))
        positive = np.greater(base, 0)
        log = np.log(np.where(positive, base, np.ones_like(out)))
        dexponent = dout * np.where(positive, out, 0) * log
        return unbroadcast(dbase, np.shape(base)), unbroadcast(dexponent, np.shape(exponent))


class Exp(Layer):
    """Exponential, :math:`e^x`, which is its own derivative."""

    def forward(self, x):
        out = _elementwise(np.exp, x)
        self.cache = out
        return out

    def backward(self, dout):
        out = self.cache
        return dout * out


class Log(Layer):
    r"""Natural logarithm, :math:`\log x` for x > 0, whose derivative is 1 / x."""

    def forward(self, x):
        self.cache = x
        return _elementwise(np.log, x)

    def backward(self, dout):
        x = self.cache
        return dout / x


class Maximum(Layer):
    r"""Elementwise maximum, :math:`\max(x, y)`. Backward it is the router: `dout` goes to the larger, a tie to `x`.

    Raises
    ------
    ValueError
        If the shapes of the two do not broadcast.

    Notes
    -----
    At a tie PyTorch gives each input half.

    Examples
    --------
    >>> gate = Maximum()
    >>> gate.forward(2.0, -1.0)
    2.0
    >>> gate.backward(5.0)
    (5.0, 0.0)
    """

    def forward(self, x, y):
        self.cache = x, y
        return _elementwise(np.maximum, x, y)

    def backward(self, dout):
        x, y = self.cache
        return unbroadcast(dout * (x >= y), np.shape(x)), unbroadcast(dout * (x < y), np.shape(y))


class Minimum(Layer):
    r"""Elementwise minimum, :math:`\min(x, y)`. Backward `dout` goes to the smaller, a tie to `x`.

    Raises
    ------
    ValueError
        If the shapes of the two do not broadcast.
    """

    def forward(self, x, y):
        self.cache = x, y
        return _elementwise(np.minimum, x, y)

    def backward(self, dout):
        x, y = self.cache
        return unbroadcast(dout * (x <= y), np.shape(x)), unbroadcast(dout * (x > y), np.shape(y))


class Sum(Layer):
    """Sum over all axes or some. Sum forward is broadcast backward: every summand gets the `dout` of its sum.

    Parameters
    ----------
    axis : int or tuple of int, optional
        Axes summed over; all if not given.
    keepdims : bool, default False
        Whether the axes summed over stay, with size 1.

    Examples
    --------
    >>> import numpy as np
    >>> gate = Sum(axis=1)
    >>> gate.forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([3., 7.])
    >>> gate.backward(np.array([10.0, 20.0]))
    array([[10., 10.], [20., 20.]])
    """

    def __init__(self, axis=None, keepdims=False):
        self.axis = axis
        self.keepdims = keepdims

    def forward(self, x):
        self.cache = np.shape(x), np.result_type(x, 1.0)
        return np.sum(x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, dout):
        shape, dtype = self.cache
        dtype = np.result_type(dout, dtype)
        if self.axis is not None and not self.keepdims:
            dout = np.expand_dims(dout, self.axis)
        return np.full(shape, dout, dtype)


class Mean(Sum):
    """Mean over all axes or some, the sum divided by the number of summands; NaN if there are none.

    Parameters
    ----------
    axis : int or tuple of int, optional
        Axes averaged over; all if not given.
    keepdims : bool, default False
        Whether the axes averaged over stay, with size 1.

    Examples
    --------
    >>> import numpy as np
    >>> gate = Mean()
    >>> gate.forward(np.array([1.0, 2.0, 3.0, 6.0]))
    np.float64(3.0)
    >>> gate.backward(1.0)
    array([0.25, 0.25, 0.25, 0.25])
    """

    def forward(self, x):
        self.cache = np.shape(x), np.result_type(x, 1.0)
        return np.mean(x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, dout):
        dx = super().backward(dout)
        return dx / (dx.size // max(np.size(dout), 1))  # summands an output


class MatMul(Layer):
    r"""Matrix product, :math:`z_{nm} = \sum_k x_{nk} y_{km}`, in all the cases of `numpy.matmul`.

    .. math:: dx = dz\,y^T, \qquad dy = x^T dz

    Axes before the last two are batches and broadcast. A 1-D `x` is a row, a 1-D `y` a column, whose axis the output
    leaves out.

    Raises
    ------
    ValueError
        If an operand is 0-D, or the last axis of `x` does not fit the last but one of `y`.

    Examples
    --------
    >>> import numpy as np
    >>> gate = MatMul()
    >>> gate.forward(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    >>> dx, dy = gate.backward(np.array([[1.0]]))
    >>> dx, dy.T
    (array([[3., 4.]]), array([[1., 2.]]))
    """

    def forward(self, x, y):
        self.cache = x, y
        try:
            return np.matmul(x, y)
        except ValueError:
            raise ValueError(
                "x and y must have shapes (..., N, K) and (..., K, M) with one K and batches that broadcast; "
                f"got {np.shape(x)} and {np.shape(y)}. Transpose or reshape one of them"
            ) from None

    def backward(self, dout):
        x, y = self.cache
        dout = np.asarray(dout, _dtype(dout, x, y))
        if y.ndim == 1:
            dout = dout[..., None]  # (..., N) -> (..., N, 1)
        if x.ndim == 1:
            dout = dout[..., None, :]  # (..., M) -> (..., 1, M)
        rows = x if x.ndim > 1 else x[None, :]
        columns = y if y.ndim > 1 else y[:, None]
        dx = unbroadcast(dout @ np.swapaxes(columns, -1, -2), rows.shape)
        dy = unbroadcast(np.swapaxes(rows, -1, -2) @ dout, columns.shape)
        return dx.reshape(x.shape), dy.reshape(y.shape)


class Copy(Layer):
    """The input, n times. Backward it is the gradient adder: copies forward are a sum backward.

    Parameters
    ----------
    n : int of at least 1, default 2
        Number of outputs.

    Notes
    -----
    ``backward(*douts)`` takes one gradient per output, None for an output that nobody used.

    Examples
    --------
    >>> gate = Copy(3)
    >>> gate.forward(7.0)
    (7.0, 7.0, 7.0)
    >>> gate.backward(1.0, None, 2.0)
    3.0
    """

    def __init__(self, n=2):
        self.outputs = check_positive("n", n)  # a graph asks for it, to make one node per output

    def forward(self, x):
        self.cache = x
        return (x,) * self.outputs

    def backward(self, *douts):
        x = self.cache
        if len(douts) != self.outputs:
            raise ValueError(
                f"Copy.backward takes {self.outputs} gradients, one per output; got {len(douts)}. "
                "Pass None for an output that nobody used"
            )
        used = [dout for dout in douts if dout is not None]
        return sum(used[1:], used[0]) if used else np.zeros_like(x)


class Reshape(Layer):
    """The same elements in another shape.

    Parameters
    ----------
    shape : int or tuple of int
        The new shape; one -1 stands for whatever is left.

    Examples
    --------
    >>> import numpy as np
    >>> Reshape((2, -1)).forward(np.arange(6.0))
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """

    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        self.cache = np.shape(x)
        try:
            return np.reshape(x, self.shape)
        except ValueError:
            raise ValueError(
                f"shape must hold the {np.size(x)} elements of x, of shape {np.shape(x)}; got {self.shape}. "
                "Use -1 for one axis to have it worked out"
            ) from None

    def backward(self, dout):
        x_shape = self.cache
        return np.reshape(dout, x_shape)


class Transpose(Layer):
    """The axes in another order.

    Parameters
    ----------
    axes : tuple of int, optional
        Axis i of the output is axis ``axes[i]`` of the input; all reversed if not given.

    Examples
    --------
    >>> import numpy as np
    >>> Transpose((1, 2, 0)).forward(np.ones((2, 3, 4))).shape
    (3, 4, 2)
    """

    def __init__(self, axes=None):
        self.axes = axes

    def forward(self, x):
        try:
            return np.transpose(x, self.axes)
        except ValueError:
            raise ValueError(f"axes must name each axis of x, of shape {np.shape(x)}, once; got {self.axes}") from None

    def backward(self, dout):
        if self.axes is None:
            return np.transpose(dout)
        return np.transpose(dout, np.argsort(np.mod(self.axes, len(self.axes))))  # the permutation undone
