"""What recurrent layers share (layers, directions, states, lengths), and the plain one, the tanh RNN."""

import itertools

import numpy as np

from ._checks import check_positive, feature_rows
from ._sequence_checks import as_steps, check_lengths
from ._sums import row_sum
from ._threads import each
from .base import Layer, Parameter
from .initializers import lecun_normal


class Recurrent(Layer):
    """Base of `RNN`, `LSTM` and `GRU`: a subclass writes one scan over time, this class all around it.

    A scan is one layer in one direction. Its parameters are `Wx` (D, G * H), `Wh` (H, G * H) and `b` (G * H,), with G
    gates side by side. Names of the layers above end in ``_1``, ``_2``, ..., those of the direction from the end in
    ``_reverse``: ``Wx``, ``Wx_reverse``, ``Wx_1``, ``Wx_1_reverse``. Inside, arrays have the shape (T, features, N):
    one step is one contiguous block and one gate of it another, and a large weight matrix times a few columns is a
    third faster than a few rows times it. Each weight's gradient is one product over all steps at the end: only the
    products with `Wh` have to wait for each other.

    Parameters
    ----------
    in_features : int
        Features D of one step.
    hidden_size : int
        Features H of the state.
    num_layers : int, default 1
        Layers L on top of each other; each reads the outputs of the one below.
    bidirectional : bool, default False
        Whether each layer also reads the sequence from its end; its output is then both directions' side by side.
    return_state : bool, default False
        Whether `forward` returns the final state too, as further outputs.
    init : callable, default lecun_normal
        ``init(rng, shape, dtype) -> ndarray`` for `Wx` and `Wh`; biases start at zero.
    rng : numpy.random.Generator or int, optional
        Source of the initial weights.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.
    """

    gates = 1  # G
    scales: tuple[float, ...] = (1.0,)  # of the gates' z: half for a sigmoid, which is (1 + tanh(z / 2)) / 2
    state_names: tuple[str, ...] = ("h",)
    Wx: Parameter

    def __init__(
        self,
        in_features,
        hidden_size,
        *,
        num_layers=1,
        bidirectional=False,
        return_state=False,
        init=lecun_normal,
        rng=None,
        dtype=np.float32,
    ):
        self.in_features = check_positive("in_features", in_features)
        self.hidden_size = check_positive("hidden_size", hidden_size)
        self.num_layers = check_positive("num_layers", num_layers)
        self.bidirectional = bool(bidirectional)
        self.return_state = bool(return_state)
        rng = np.random.default_rng(rng)
        for i, directions in enumerate(self._suffixes()):
            width = self.hidden_size * len(directions) if i else self.in_features
            for suffix in directions:
                self._make_parameters(suffix, width, init, rng, dtype)

    def _make_parameters(self, suffix, width, init, rng, dtype):
        columns = self.gates * self.hidden_size
        setattr(self, f"Wx{suffix}", Parameter(init(rng, (width, columns), dtype)))
        setattr(self, f"Wh{suffix}", Parameter(init(rng, (self.hidden_size, columns), dtype)))
        setattr(self, f"b{suffix}", Parameter(np.zeros(columns, dtype), decay=False))

    def _suffixes(self):
        """Of the parameters' names: a list a layer, in it one a direction."""
        layers = [f"_{i}" if i else "" for i in range(self.num_layers)]
        return [[layer, f"{layer}_reverse"] if self.bidirectional else [layer] for layer in layers]

    # --- what a subclass writes

    def _scan(self, inputs, state, pad, suffix):
        """From steps (T, D, N) to the states after each (T, H, N), the final state, and what backward needs.

        A step where `pad` (T, N) is True, if given, holds the state.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define _scan")

    def _scan_backward(self, dout, dstate, pad, cache, suffix, need_dx):
        """From the gradients of what `_scan` gave to those of the steps, of the initial state, and of the parameters.

        These are pairs ``(parameter, grad)``; the steps' are None if not needed.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define _scan_backward")

    # --- what they share

    def _forward(self, x, state, lengths):
        x = as_steps("x", x, self.in_features, self.Wx.value.dtype)
        N, T, _ = x.shape
        initial = self._states_in("{}0", state, N)
        pad = None if lengths is None else np.arange(T)[:, None] >= check_lengths(lengths, N, T)
        parts = [slice(0, N)] if pad is not None else self._parts(N, T)
        runs = each(lambda part: self._run(x[part], [s[..., part] for s in initial], pad), parts)
        outs, caches = zip(*runs)
        out, *final = map(_joined, zip(*outs))
        self.cache = (N, T), pad, parts, caches, [part is not None for part in state]
        return (out, *final) if self.return_state else out

    def backward(self, dout, *dstate):
        dx, dinitial = self._run_backward(dout, dstate)
        given = self.cache[-1]
        dgiven = [d for d, was_given in zip(dinitial, given) if was_given]
        return (dx, *dgiven) if dgiven else dx

    def add_grads(self, dout, *dstate):
        self._run_backward(dout, dstate, need_dx=False)

    def step(self, x, state=None):
        """One step from `state`, as in sampling; keeps no cache, for no backward follows.

        Parameters
        ----------
        x : ndarray, shape (N, D)
        state : tuple of ndarray, optional
            What the step before returned; zeros if not given.

        Returns
        -------
        out : ndarray, shape (N, H)
        state : tuple of ndarray
            ``(h,)``, of an LSTM ``(h, c)``.
        """
        if self.bidirectional:
            raise ValueError(
                "step must go forward in time, but one direction starts at the end; got bidirectional=True"
            )
        _, x = feature_rows("x", x, self.in_features, self.Wx.value.dtype)
        names = self.state_names
        if state is not None and not (isinstance(state, (tuple, list)) and len(state) == len(names)):
            raise ValueError(
                f"state must be a tuple of {' and '.join(names)}, as the step before returned; got a "
                f"{type(state).__name__} of shape {np.shape(state)}"
            )
        initial = self._states_in("{}0", state or [None] * len(names), len(x))
        (out, *state), _ = self._run(x[:, None], initial, None)
        return out[:, 0], tuple(state)

    def _parts(self, N, T):
        """Slices of the batch, to go through the scans side by side."""
        return [slice(0, N)]

    def _run(self, x, state, pad):
        """All scans of x (N, T, D), from states (k, H, N): (output, *final states), and what backward needs."""
        steps = np.array(x.transpose(1, 2, 0), order="C")  # (N, T, D) -> (T, D, N)
        if pad is not None:
            steps = np.where(pad[:, None], 0, steps)  # whatever stands there, even nan
        final: list[list[np.ndarray]] = []
        caches = []
        for directions in self._suffixes():
            outs = []
            for suffix in directions:
                inputs = _in_order(steps, suffix)
                start = [part[len(final)] for part in state]
                h, end, cache = self._scan(inputs, start, _in_order(pad, suffix), suffix)
                outs.append(_in_order(h, suffix))
                final.append(end)
                caches.append(cache)
            steps = outs[0] if len(outs) == 1 else np.concatenate(outs, axis=1)
            if pad is not None:
                steps = np.where(pad[:, None], 0, steps)
        return (steps.transpose(2, 0, 1), *map(self._state_out, zip(*final))), caches

    def _product(self, inputs, suffix):
        """The products z = Wx^T x + b of all steps, (T, G * H, N), each gate's rows multiplied by its scale."""
        z = np.matmul(self._scaled("Wx", suffix), inputs)
        z += self._scaled("b", suffix)
        return z

    def _scaled(self, name, suffix):
        """The transposed weights (G * H, ...), or the biases as a column, each gate's rows times its scale."""
        value = getattr(self, f"{name}{suffix}").value
        scales = np.repeat(np.array(self.scales, value.dtype), self.hidden_size)
        return transposed(value.reshape(-1, len(scales)) * scales)

    def _product_backward(self, inputs, previous, dz, dproduct, suffix, need_dx):
        """From the gradients of z and of Wh^T h, all steps at once, to those of the inputs and of the parameters.

        `previous` are the states (T, H, N) before each step.
        """
        Wx, Wh, b = (getattr(self, f"{name}{suffix}") for name in ("Wx", "Wh", "b"))
        columns = dcolumns = columns_of(dz)
        if dproduct is not dz:
            dcolumns = columns_of(dproduct)
        grads = [
            (Wx, columns_of(inputs) @ columns.T),
            (Wh, columns_of(previous) @ dcolumns.T),
            (b, row_sum(columns)[:, 0]),
        ]
        return np.matmul(Wx.value, dz) if need_dx else None, grads

    def _run_backward(self, dout, dstate, need_dx=True):
        """(dx, the initial state's gradients)."""
        (N, T), pad, parts, caches, _ = self.cache
        if dout is None:
            dout = np.zeros((N, T, self.hidden_size * len(self._suffixes()[0])), self.Wx.value.dtype)
        dfinal = self._states_in("d{}", (*dstate, *[None] * len(self.state_names)), N)

        def backward(part, caches):
            return self._backward_of_run(dout[part], [d[..., part] for d in dfinal], pad, caches, need_dx)

        dins, grads = zip(*each(backward, parts, caches))
        for parameter, grad in itertools.chain(*grads):
            parameter.add_grad(grad)
        dx, *dinitial = map(_joined, zip(*dins))
        return dx, dinitial

    def _backward_of_run(self, dout, dfinal, pad, caches, need_dx):
        """The gradients of what `_run` took, (dx, *initial states), and the parameters with theirs."""
        layers = self._suffixes()
        dinitial, grads = [None] * len(caches), []
        dsteps = np.ascontiguousarray(dout.transpose(1, 2, 0), self.Wx.value.dtype)
        k = len(caches)
        for i, directions in reversed(list(enumerate(layers))):
            if pad is not None:
                dsteps = np.where(pad[:, None], 0, dsteps)
            dxs = []
            for dh, suffix in reversed(list(zip(np.split(dsteps, len(directions), axis=1), directions))):
                k -= 1
                dinputs, dinitial[k], some_grads = self._scan_backward(
                    _in_order(dh, suffix), [part[k] for part in dfinal], _in_order(pad, suffix), caches[k], suffix,
                    need_dx=i > 0 or need_dx,
                )  # fmt: skip
                grads += some_grads
                dxs.append(_in_order(dinputs, suffix))
            if i or need_dx:
                dsteps = sum(dxs[1:], dxs[0])  # both directions read the same steps: gradients add
        dx = dsteps.transpose(2, 0, 1) if need_dx else None
        return (dx, *map(self._state_out, zip(*dinitial))), grads

    def _states_in(self, name, state, N):
        """Each array of the state, (N, H) or (N, k, H), as (k, H, N) for k scans; zeros for None."""
        return [self._state_in(name.format(part_name), part, N) for part_name, part in zip(self.state_names, state)]

    def _state_in(self, name, part, N):
        k, H, dtype = self.num_layers * (1 + self.bidirectional), self.hidden_size, self.Wx.value.dtype
        if part is None:
            return np.zeros((k, H, N), dtype)
        part, shape = np.asarray(part, dtype), (N, H) if k == 1 else (N, k, H)
        if part.shape != shape:
            raise ValueError(
                f"{name} must have shape {shape}: examples, {'' if k == 1 else 'layers times directions, '}hidden; "
                f"got {part.shape}. Leave it out to start from zeros"
            )
        return np.ascontiguousarray(part.reshape(N, k, H).transpose(1, 2, 0))

    def _state_out(self, parts):
        return parts[0].T if len(parts) == 1 else np.stack([part.T for part in parts], axis=1)


def _in_order(steps, suffix):
    """The steps (T, ...) in the order in which the scan of this suffix reads them, and back again."""
    return steps[::-1] if steps is not None and suffix.endswith("_reverse") else steps


def _joined(parts):
    """Arrays of parts of the batch as one, which keeps their order in memory."""
    return parts[0] if len(parts) == 1 or parts[0] is None else np.concatenate(parts)


def columns_of(steps):
    """(T, features, N) as (features, T * N)."""
    return steps.transpose(1, 0, 2).reshape(steps.shape[1], -1)


def transposed(matrix):
    """A contiguous copy of matrix.T, made of a few rows at a time: that takes a quarter of the time."""
    copy = np.empty(matrix.shape[::-1], matrix.dtype)
    for i in range(0, len(matrix), 8):
        copy[:, i : i + 8] = matrix[i : i + 8].T
    return copy


def hold(new, old, pad):
    """Where a step is padding, the state (H, N) stays what it was."""
    new[:, pad] = old[:, pad]


class RNN(Recurrent):
    r"""Plain recurrent layer.

    .. math:: h_t = \tanh(x_t W_x + h_{t-1} W_h + b)

    Parameters are those of `Recurrent`, here with one gate.

    ``forward(x, h0=None, lengths=None)`` takes `x` of shape (N, T, D), the initial state `h0` (N, H), zero if not
    given, and the number of real steps of each example, `lengths` (N,): later steps hold the state and their output
    is 0. It returns ``out`` (N, T, H), with ``return_state`` ``out, h`` where `h` (N, H) is the state after the last
    real step. With k = layers times directions above 1 states have the shape (N, k, H), and `out` (N, T, directions *
    H). `backward` takes one gradient an output and returns ``dx``, or ``dx, dh0`` if `h0` was given.

    Raises
    ------
    ValueError
        If `x`, `h0`, `lengths` or a `dout` has another shape, or a length is not in 0..T.

    Notes
    -----
    The shapes are those of CS231n's ``rnn_forward``. PyTorch keeps the weights transposed, two biases that only ever
    act as their sum, states as (k, N, H), and time first unless ``batch_first=True``; its `lengths` go through
    ``pack_padded_sequence``.

    References
    ----------
    .. [1] Elman (1990), "Finding Structure in Time"
    .. [2] Werbos (1990), "Backpropagation Through Time: What It Does and How to Do It"

    Examples
    --------
    >>> import numpy as np
    >>> rnn = RNN(3, 5, return_state=True, rng=0)
    >>> out, h = rnn.forward(np.ones((2, 4, 3)), lengths=[4, 1])
    >>> out.shape, h.shape
    ((2, 4, 5), (2, 5))
    >>> bool((out[1, 0] == h[1]).all()), bool((out[1, 1:] == 0).all())
    (True, True)
    """

    def forward(self, x, h0=None, lengths=None):
        return self._forward(x, (h0,), lengths)

    def _scan(self, inputs, state, pad, suffix):
        z, WhT = self._product(inputs, suffix), self._scaled("Wh", suffix)
        h = np.empty((len(z) + 1, *state[0].shape), z.dtype)  # h[t] is the state before step t
        h[0] = state[0]
        for t in range(len(z)):
            np.matmul(WhT, h[t], out=h[t + 1])
            h[t + 1] += z[t]
            np.tanh(h[t + 1], out=h[t + 1])
            if pad is not None:
                hold(h[t + 1], h[t], pad[t])
        return h[1:], [h[-1]], (inputs, h)

    def _scan_backward(self, dout, dstate, pad, cache, suffix, need_dx):
        Wh, (inputs, h) = getattr(self, f"Wh{suffix}").value, cache
        dz = np.empty_like(h[1:])
        slope = np.empty_like(h[0])
        dh = dstate[0].copy()
        for t in reversed(range(len(dz))):
            dh += dout[t]  # h_t goes to the output and to the next step: gradients add
            np.multiply(h[t + 1], h[t + 1], out=slope)
            np.subtract(1, slope, out=slope)
            np.multiply(dh, slope, out=dz[t])
            if pad is None:
                np.matmul(Wh, dz[t], out=dh)
            else:
                dz[t][:, pad[t]] = 0
                held = dh
                dh = Wh @ dz[t]
                hold(dh, held, pad[t])
        dinputs, grads = self._product_backward(inputs, h[:-1], dz, dz, suffix, need_dx)
        return dinputs, [dh], grads
