"""Connectionist temporal classification: labels without their times."""

import numpy as np

from ._sequence_checks import check_indices
from .activations import row_max
from .base import Layer


class CTCLoss(Layer):
    r"""Minus the log-probability of a label sequence, summed over all its alignments; the mean over N.

    .. math:: L_n = -\log \sum_{\pi \to y_n} \prod_t s_{nt\pi_t}, \qquad
              \frac{\partial L_n}{\partial x_{ntv}} = s_{ntv} - P(\pi_t = v \mid y_n)

    with s the softmax of the scores x over V. An alignment :math:`\pi` names a label or the blank at each step; it
    becomes y by merging neighbours that are equal and then leaving out the blanks. So equal neighbours in y need a
    blank between them.

    ``forward(scores, y, lengths=None, label_lengths=None)`` takes scores (N, T, V), integer labels `y` (N, U), the real
    steps of each row of scores, (N,) in 0..T, and the real labels of each row of `y`, (N,) in 0..U; all T and all U
    unless given. Behind its real labels a row of `y` may hold anything.

    Parameters
    ----------
    blank : int >= 0, default 0
        The column of the scores that means: no label at this step.
    zero_infinity : bool, default False
        Whether an example with fewer steps than its labels need, which no alignment fits, counts 0, in loss and
        gradient, instead of being an error.

    Raises
    ------
    ValueError
        If a shape, a length or a label does not fit, or an example has too few steps for its labels.
    TypeError
        If labels or lengths are not integers.

    Notes
    -----
    PyTorch's ``CTCLoss`` takes log-probabilities of shape (T, N, V); its "mean" divides each loss by the number of
    labels first, its "sum" is N times ours; too few steps are an inf there. With y empty the loss is that of blanks
    alone. The sums over alignments run in float64 whatever the scores are: T logarithms add up.

    `forward` is the algorithm's forward recursion over a path of S = 2 U + 1 places, a blank before, between and behind
    the labels. `backward` differentiates it step by step instead of running the second recursion, beta: the
    derivative of log p(y) by an alpha is the probability that an alignment of y is there, alpha beta / p(y).

    References
    ----------
    .. [1] Graves, Fernandez, Gomez and Schmidhuber (2006), "Connectionist Temporal Classification", equations 5 to 8

    Examples
    --------
    >>> loss = CTCLoss()
    >>> scores = np.zeros((1, 2, 3))  # two steps, each of three outcomes with probability 1/3
    >>> round(loss.forward(scores, np.array([[1]])), 4)  # log(9 / 3): of nine alignments "1-", "-1" and "11" are 1
    1.0986
    >>> loss.backward()[0, 0].round(4)  # two of the three say 1 at the first step
    array([ 0. , -0.3333, 0.3333])
    """

    def __init__(self, *, blank=0, zero_infinity=False):
        if isinstance(blank, bool) or not isinstance(blank, (int, np.integer)) or blank < 0:
            raise ValueError(f"blank must be a whole number of at least 0, a column of the scores; got {blank!r}")
        self.blank = int(blank)
        self.zero_infinity = zero_infinity

    def forward(self, scores, y, lengths=None, label_lengths=None):
        scores, y, lengths, label_lengths = self._checked(scores, y, lengths, label_lengths)
        N, T, _ = scores.shape
        log_s = _log_softmax(scores.astype(np.float64))
        path, may_skip = self._path(y, label_lengths)
        emitted = np.take_along_axis(log_s, path[:, None, :], axis=2)  # (N, T, S)

        # alpha[t, n, 2 + s]: log of the probability that t steps spell the path as far as place s. In front a margin
        # and a start, one place before the first blank, so that the first step needs no rule of its own.
        alpha = np.full((T + 1, N, path.shape[1] + 2), -np.inf)
        alpha[0, :, 1] = 0
        for t in range(T):
            alpha[t + 1, :, 2:] = _log_sum(_arrivals(alpha[t], may_skip)) + emitted[:, t]
            alpha[t + 1, lengths <= t] = alpha[t, lengths <= t]  # has ended: stands still

        place = np.arange(alpha.shape[2]) - 2 * label_lengths[:, None]
        ends = np.where((place == 1) | (place == 2), alpha[T], -np.inf)  # on the last label, or the blank behind it
        log_p = _log_sum(ends, axis=1)  # (N,)
        self.cache = log_s, path, may_skip, lengths, alpha, ends, log_p, scores.dtype
        losses = np.where(np.isneginf(log_p), 0, -log_p) if self.zero_infinity else -log_p
        return float(losses.sum()) / max(1, N)

    def backward(self, dout=1.0):
        log_s, path, may_skip, lengths, alpha, ends, log_p, dtype = self.cache
        N, T, V = log_s.shape
        presence = np.zeros((N, T, path.shape[1]))  # P(on place s at step t | y), the derivative by `emitted`
        dalpha = _softmax_of(ends, log_p[:, None])
        for t in reversed(range(T)):
            running = lengths > t
            presence[running, t] = dalpha[running, 2:]
            arrivals = _arrivals(alpha[t], may_skip)
            stay, step, skip = presence[:, t] * _softmax_of(arrivals, _log_sum(arrivals))
            dalpha[running] = 0
            dalpha[:, 2:] += stay
            dalpha[:, 1:-1] += step
            dalpha[:, :-2] += skip
        dlog_s = presence @ (path[:, :, None] == np.arange(V))  # (N, T, V): places of one label add up
        dscores = np.exp(log_s) * dlog_s.sum(axis=2, keepdims=True) - dlog_s
        return (dscores * (float(dout) / max(1, N))).astype(dtype)

    def _path(self, y, label_lengths):
        """Blank, label, blank, ..., label, blank, (N, S), and where the blank before a place may be left out."""
        N, U = y.shape
        path = np.full((N, 2 * U + 1), self.blank)
        path[:, 1::2] = np.where(np.arange(U) < label_lengths[:, None], y, self.blank)
        may_skip = np.zeros(path.shape, bool)
        may_skip[:, 1::2] = True
        may_skip[:, 3::2] = path[:, 3::2] != path[:, 1:-2:2]
        return path, may_skip

    def _checked(self, scores, y, lengths, label_lengths):
        scores, y = np.asarray(scores), np.asarray(y)
        if scores.ndim != 3 or scores.shape[2] <= self.blank:
            raise ValueError(
                f"scores must have shape (N, T, V): examples, steps, labels and the blank, column {self.blank}; "
                f"got {scores.shape}"
            )
        N, T, V = scores.shape
        if y.ndim != 2 or len(y) != N:
            raise ValueError(f"y must have shape ({N}, U), the labels of each row of scores; got {y.shape}")
        U = y.shape[1]
        lengths = _as_lengths("lengths", lengths, N, T, "steps of scores")
        label_lengths = _as_lengths("label_lengths", label_lengths, N, U, "labels of y")
        real = np.arange(U) < label_lengths[:, None]
        if (check_indices("y", y[real], V) == self.blank).any():
            raise ValueError(f"y must hold labels other than the blank {self.blank}; number them around it")
        needed = label_lengths + ((y[:, 1:] == y[:, :-1]) & real[:, 1:]).sum(axis=1)
        if not self.zero_infinity and (short := needed > lengths).any():
            n = int(short.argmax())
            raise ValueError(
                f"lengths must leave a step for each label and one between equal neighbours; example {n} needs "
                f"{needed[n]}, got {lengths[n]}. Leave it out, or count it as 0 with zero_infinity=True"
            )
        return scores if scores.dtype.kind == "f" else scores.astype(np.float64), y, lengths, label_lengths


def _arrivals(before, may_skip):
    """Log-probabilities of coming to each place: by staying, by a step, by skipping a blank; (3, N, S)."""
    return np.stack([before[:, 2:], before[:, 1:-1], np.where(may_skip, before[:, :-2], -np.inf)])


def _log_sum(logs, axis=0):
    """``log(sum(exp(logs)))``, which is -inf where all are."""
    with np.errstate(invalid="ignore"):  # logaddexp warns of a NaN that it was given
        return np.logaddexp.reduce(logs, axis=axis)


def _softmax_of(logs, log_sum):
    """``exp(logs - log_sum)``, and 0 where there is nothing to share, log_sum = -inf."""
    return np.exp(logs - np.where(np.isneginf(log_sum), 0, log_sum))


def _log_softmax(scores):
    shifted = scores - row_max(scores)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _as_lengths(name, lengths, N, most, what):
    if lengths is None:
        return np.full(N, most)
    lengths = np.asarray(lengths)
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers 0..{most}; got dtype {lengths.dtype}")
    if lengths.shape != (N,) or (N and (lengths.min() < 0 or lengths.max() > most)):
        raise ValueError(f"{name} must be {N} numbers in 0..{most}, how many {what} are real; got {lengths}")
    return lengths.astype(np.intp)
