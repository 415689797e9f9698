"""Embedding: a trained vector for every index."""

import numpy as np

from ._checks import check_positive
from ._sequence_checks import check_indices
from .base import Layer, Parameter
from .initializers import normal

_SMALL = normal(0.02)  # GPT-2's


class Embedding(Layer):
    r"""Look up the row of `W` for each index: :math:`\text{out}_{n\dots} = W_{x_{n\dots}}`.

    It is the affine layer of one-hot vectors that are never written out. Backward a row of `W` gets the sum of `dout`
    over the places where its index stood. `x` is not differentiable, so `backward` returns None.

    Parameters
    ----------
    num_embeddings : int
        Indices V that there are, the size of the vocabulary.
    embed_dim : int
        Features D of a vector.
    init : callable, default normal(0.02)
        ``init(rng, shape, dtype) -> ndarray`` for `W` (V, D).
    rng : numpy.random.Generator or int, optional
        Source of the initial vectors.
    dtype : dtype, default float32
        Of `W`, the outputs and the gradients.

    Raises
    ------
    ValueError
        If an index is not in 0..V-1; NumPy alone would take -1 for the last.
    TypeError
        If `x` does not hold integers.

    Notes
    -----
    CS231n's ``word_embedding_forward``, for any shape of `x`. It starts at a standard deviation of 0.01, PyTorch at 1.

    Examples
    --------
    >>> layer = Embedding(5, 2, rng=0)
    >>> layer.forward([[0, 3, 3]]).shape
    (1, 3, 2)
    >>> layer.backward(np.ones((1, 3, 2)))
    >>> layer.W.grad[:, 0]
    array([1., 0., 0., 2., 0.], dtype=float32)
    """

    def __init__(self, num_embeddings, embed_dim, *, init=_SMALL, rng=None, dtype=np.float32):
        shape = check_positive("num_embeddings", num_embeddings), check_positive("embed_dim", embed_dim)
        self.W = Parameter(init(rng, shape, dtype))

    def forward(self, x):
        x = check_indices("x", x, len(self.W.value))
        self.cache = x
        return self.W.value[x]

    def backward(self, dout):
        from scipy.sparse import csc_matrix  # here, because importing SciPy costs more than all of `layers`

        V, D = self.W.value.shape
        x = self.cache.reshape(-1)  # (M,)
        ones = np.ones(len(x), self.W.value.dtype)
        one_hot = csc_matrix((ones, x, np.arange(len(x) + 1)), shape=(V, len(x)))  # column m is 1 in row x[m]
        self.W.add_grad(one_hot @ dout.reshape(len(x), D))
