import math

import numpy as np
import pytest

from gradcheck import assert_gradients
from layers import lstm
from layers.gru import GRU
from layers.lstm import LSTM
from layers.recurrent import RNN

D, H = 3, 2
KINDS = pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
LENGTHS = np.array([5, 2, 0, 3])


def make(kind, seed=1, **options):
    """A layer in float64 with random biases too, for zeros hide mistakes."""
    layer = kind(D, H, dtype=np.float64, rng=0, **options)
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters().values():
        parameter.value = 0.7 * rng.standard_normal(parameter.value.shape)
    return layer


def draw(*shape, seed=2):
    return np.random.default_rng(seed).standard_normal(shape)


def draw_state(kind, n, seed=3):
    return list(draw(2 if kind is LSTM else 1, n, H, seed=seed))


# --- references: one example, one step, one number at a time, straight from the formulas of the papers


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def dot(vector, matrix, column):
    return sum(v * matrix[k][column] for k, v in enumerate(vector))


def naive_step(kind, layer, x, state):
    Wx, Wh, b = layer.Wx.value, layer.Wh.value, layer.b.value
    h = state[0]

    def z(gate, j):
        column = gate * H + j
        return dot(x, Wx, column) + dot(h, Wh, column) + b[column]

    if kind is RNN:
        return [[math.tanh(z(0, j)) for j in range(H)]]
    if kind is LSTM:
        i, f, o = ([sigmoid(z(gate, j)) for j in range(H)] for gate in range(3))
        g = [math.tanh(z(3, j)) for j in range(H)]
        c = [f[j] * state[1][j] + i[j] * g[j] for j in range(H)]
        return [[o[j] * math.tanh(c[j]) for j in range(H)], c]
    r, u = ([sigmoid(z(gate, j)) for j in range(H)] for gate in range(2))
    n = []
    for j in range(H):
        column = 2 * H + j
        n.append(math.tanh(dot(x, Wx, column) + b[column] + r[j] * (dot(h, Wh, column) + layer.bh.value[j])))
    return [[(1 - u[j]) * n[j] + u[j] * h[j] for j in range(H)]]


def naive_run(kind, layer, x, states, lengths):
    out, final = np.zeros((*x.shape[:2], H)), [state.copy() for state in states]
    for n in range(len(x)):
        state = [part[n] for part in states]
        for t in range(lengths[n]):
            state = naive_step(kind, layer, x[n, t], state)
            out[n, t] = state[0]
        for part, value in zip(final, state):
            part[n] = value
    return [out, *final]


@KINDS
@pytest.mark.parametrize("lengths", [[5, 5, 5, 5], LENGTHS])
def test_a_whole_sequence_is_step_after_step(kind, lengths):
    layer, x, states = make(kind, return_state=True), draw(4, 5, D), draw_state(kind, 4)
    outs = layer.forward(x, *states, lengths)
    for ours, naive in zip(outs, naive_run(kind, layer, x, states, lengths), strict=True):
        np.testing.assert_allclose(ours, naive, rtol=1e-12, atol=1e-14)


@KINDS
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("deep", [{}, {"num_layers": 2, "bidirectional": True}])
def test_gradients_of_inputs_states_and_parameters_are_the_slopes(kind, lengths, deep):
    layer = make(kind, return_state=True, **deep)
    states = draw(2, 4, 4, H) if deep else draw(2, 4, H)
    states = list(states) if kind is LSTM else [states[0]]
    assert_gradients(layer, draw(4, 5, D), *states, *([] if lengths is None else [lengths]))


@KINDS
def test_states_that_are_not_given_are_zero_and_get_no_gradient(kind):
    layer, x = make(kind), draw(4, 5, D)
    out = layer.forward(x)
    dx = layer.backward(np.ones_like(out))
    zeros = [np.zeros((4, H))] * len(layer.state_names)
    np.testing.assert_array_equal(layer.forward(x, *zeros), out)
    dx2, *dstates = layer.backward(np.ones_like(out))
    np.testing.assert_array_equal(dx2, dx)
    assert len(dstates) == len(zeros)


@KINDS
def test_an_output_nobody_used_may_have_no_dout(kind):
    layer = make(kind, return_state=True, num_layers=2, bidirectional=True)
    out, *state = layer.forward(draw(4, 5, D))
    some = [draw(*part.shape) for part in state]
    expected = layer.backward(np.zeros_like(out), *some)
    np.testing.assert_array_equal(layer.backward(None, *some), expected)
    dout = draw(*out.shape)
    expected = layer.backward(dout, *[np.zeros_like(part) for part in state])
    np.testing.assert_array_equal(layer.backward(dout, *[None] * len(state)), expected)


@KINDS
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing_whatever_it_holds(kind, bidirectional):
    layer = make(kind, return_state=True, num_layers=2, bidirectional=bidirectional)
    x = draw(4, 5, D)
    outs = layer.forward(x, lengths=LENGTHS)
    douts = [draw(*out.shape, seed=i) for i, out in enumerate(outs)]
    layer.zero_grad()
    dx = layer.backward(*douts)
    grads = {name: p.grad.copy() for name, p in layer.parameters().items()}
    pad = np.arange(5) >= LENGTHS[:, None]
    x[pad] = np.nan
    for after, before in zip(layer.forward(x, lengths=LENGTHS), outs):
        np.testing.assert_array_equal(after, before)
    assert (outs[0][pad] == 0).all()
    layer.zero_grad()
    dx2 = layer.backward(*douts)
    np.testing.assert_array_equal(dx2, dx)
    assert (dx[pad] == 0).all()
    for name, parameter in layer.parameters().items():
        np.testing.assert_array_equal(parameter.grad, grads[name])


@KINDS
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_padded_example_gives_what_it_gives_alone(kind, bidirectional):
    layer = make(kind, return_state=True, num_layers=2, bidirectional=bidirectional)
    x = draw(4, 5, D)
    out, *state = layer.forward(x, lengths=LENGTHS)
    for n in (0, 1, 3):
        alone, *state_alone = layer.forward(x[n : n + 1, : LENGTHS[n]])
        np.testing.assert_allclose(out[n, : LENGTHS[n]], alone[0], rtol=1e-12)
        for part, part_alone in zip(state, state_alone):
            np.testing.assert_allclose(part[n], part_alone[0], rtol=1e-12)


@KINDS
def test_both_directions_are_two_runs_side_by_side(kind):
    both, one = make(kind, bidirectional=True, return_state=True), make(kind, return_state=True)
    x = draw(4, 5, D)
    out, *state = both.forward(x)
    for d, (suffix, order) in enumerate([("", slice(None)), ("_reverse", slice(None, None, -1))]):
        for name, parameter in one.parameters().items():
            parameter.value = both.parameters()[name + suffix].value
        expected, *expected_state = one.forward(x[:, order])
        np.testing.assert_allclose(out[:, :, d * H : (d + 1) * H], expected[:, order], rtol=1e-12)
        for part, expected_part in zip(state, expected_state):
            np.testing.assert_allclose(part[:, d], expected_part, rtol=1e-12)


@KINDS
def test_two_layers_are_one_on_top_of_the_other(kind):
    two, x = make(kind, num_layers=2), draw(4, 5, D)
    below, above = make(kind), kind(H, H, dtype=np.float64)
    for layer, suffix in ((below, ""), (above, "_1")):
        for name, parameter in layer.parameters().items():
            parameter.value = two.parameters()[name + suffix].value
    np.testing.assert_allclose(two.forward(x), above.forward(below.forward(x)), rtol=1e-12)


@KINDS
def test_single_steps_are_the_whole_sequence_and_leave_no_cache(kind):
    layer, x = make(kind, num_layers=2, return_state=True), draw(4, 5, D)
    out, *final = layer.forward(x)
    layer.drop_cache()
    state = None
    for t in range(5):
        h, state = layer.step(x[:, t], state)
        np.testing.assert_allclose(h, out[:, t], rtol=1e-12)
    for part, expected in zip(state, final, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="call forward first"):
        layer.backward(out)


def test_a_layer_that_reads_from_the_end_cannot_step():
    with pytest.raises(ValueError, match="bidirectional=True"):
        LSTM(D, H, bidirectional=True).step(np.zeros((1, D)))


def test_a_step_of_a_whole_sequence_or_from_half_a_state_is_refused():
    with pytest.raises(ValueError, match=rf"x must have shape \(N, {D}\).*; got \(2, 5, {D}\)"):
        LSTM(D, H).step(np.zeros((2, 5, D)))
    with pytest.raises(ValueError, match=rf"state must be a tuple of h and c, .*; got a tuple of shape \(1, 2, {H}\)"):
        LSTM(D, H).step(np.zeros((2, D)), (np.zeros((2, H)),))
    with pytest.raises(ValueError, match=r"state must be a tuple of h, .*; got a ndarray"):
        RNN(D, H).step(np.zeros((2, D)), np.zeros((2, H)))


@KINDS
@pytest.mark.parametrize("shape", [(0, 5), (1, 5), (4, 1), (4, 0), (1, 1)])
def test_no_example_one_example_and_one_step_work(kind, shape):
    layer = make(kind, return_state=True, num_layers=2, bidirectional=True)
    outs = layer.forward(draw(*shape, D), lengths=np.full(shape[0], shape[1]))
    assert [out.shape for out in outs] == [(*shape, 2 * H)] + [(shape[0], 4, H)] * len(layer.state_names)
    assert layer.backward(*outs).shape == (*shape, D)


def test_an_empty_sequence_leaves_the_state_as_it_was():
    layer, h0, c0 = make(LSTM, return_state=True), draw(4, H), draw(4, H, seed=5)
    _, h, c = layer.forward(np.zeros((4, 0, D)), h0, c0)
    np.testing.assert_array_equal(h, h0)
    np.testing.assert_array_equal(c, c0)


def test_an_lstm_starts_out_remembering():
    layer = LSTM(D, H, num_layers=2)
    for name in ("b", "b_1"):
        np.testing.assert_array_equal(layer.parameters()[name].value, [0, 0, 1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(LSTM(D, H, forget_bias=0.0).b.value, np.zeros(4 * H))


@KINDS
def test_add_grads_gives_the_parameters_what_backward_gives(kind):
    layer = make(kind, num_layers=2, bidirectional=True)
    dout = draw(4, 5, 2 * H)
    layer.forward(draw(4, 5, D))
    layer.backward(dout)
    grads = {name: p.grad.copy() for name, p in layer.parameters().items()}
    layer.zero_grad()
    layer.add_grads(dout)
    for name, parameter in layer.parameters().items():
        np.testing.assert_array_equal(parameter.grad, grads[name])


@KINDS
def test_large_inputs_saturate_without_warnings(kind):
    layer = kind(D, H, rng=0)
    x = np.full((2, 3, D), 1e4, np.float32) * np.array([1, -1], np.float32)[:, None, None]
    out = layer.forward(x)
    dx = layer.backward(np.ones_like(out))
    assert np.isfinite(out).all()
    assert np.isfinite(dx).all()


@KINDS
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((np.zeros((4, D)), None), r"x must have shape \(N, T, 3\).*got \(4, 3\)"),
        ((np.zeros((4, 5, D)), np.zeros((3, H))), r"h0 must have shape \(4, 2\).*got \(3, 2\)"),
    ],
)
def test_wrong_shapes_are_named(kind, inputs, message):
    with pytest.raises(ValueError, match=message):
        make(kind).forward(*inputs)


@pytest.mark.parametrize("lengths", [[5, 5, 5], [6, 1, 1, 1], [-1, 1, 1, 1], [1.0, 1.0, 1.0, 1.0]])
def test_wrong_lengths_are_refused(lengths):
    with pytest.raises((ValueError, TypeError), match=r"lengths must .* got"):
        make(RNN).forward(np.zeros((4, 5, D)), lengths=np.array(lengths))


# --- the compiled scans


@pytest.fixture
def compiled(compiled_loops, monkeypatch):
    """`LSTM`'s compiled scans as Python, chosen for any length and, with LEAST, shared out to two threads."""
    module = compiled_loops("_lstm_compiled")

    def choose(yes=True):
        monkeypatch.setattr(lstm, "compiled", lambda name: module if yes else None)
        monkeypatch.setattr(lstm, "LEAST", 0)

    choose.module = module
    return choose


@pytest.mark.parametrize("parts", [[slice(0, 5)], [slice(0, 2), slice(2, 5)], [slice(0, 0)]])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("H", [16, 3])
def test_the_compiled_scans_do_what_the_plain_ones_do(compiled, parts, options, H, monkeypatch):
    k = 4 if options else 1
    N = parts[-1].stop
    x, state = draw(N, 7, D), draw(2, N, *([k] if options else []), H)

    def results(yes):
        compiled(yes)
        monkeypatch.setattr(lstm, "parts_of", lambda N, size: parts)
        layer = LSTM(D, H, return_state=True, rng=0, **options)
        for parameter in layer.parameters().values():
            parameter.value = np.random.default_rng(1).standard_normal(parameter.value.shape) / 2
        outs = layer.forward(x, *state)
        dins = layer.backward(*[np.cos(np.arange(out.size)).reshape(out.shape) for out in outs])
        return [*outs, *dins, *(parameter.grad for parameter in layer.parameters().values())]

    for mine, plain in zip(results(True), results(False), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=0, atol=1e-5 * np.abs(plain).max(initial=0))
        assert mine.dtype == np.float32


def test_the_compiled_scans_leave_the_final_state_s_gradient_as_it_came(compiled):
    compiled()
    layer = LSTM(D, 16, return_state=True, rng=0)
    outs = layer.forward(draw(1, 7, D))
    douts = [np.ones_like(out) for out in outs]
    layer.backward(*douts)
    for dout in douts:  # of one example, which is features first as well as last
        np.testing.assert_array_equal(dout, 1)


def test_the_compiled_scans_leave_padded_sequences_and_float64_alone(compiled):
    compiled()
    layer = LSTM(D, H, rng=0)
    assert layer._compiled(5) is compiled.module
    assert layer._compiled(5, pad=np.zeros((5, 4), bool)) is None
    assert LSTM(D, H, rng=0, dtype=np.float64)._compiled(5) is None
