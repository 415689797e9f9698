import math

import numpy as np
import pytest

from gradcheck import assert_gradients
from layers import Affine, SoftmaxLoss
from layers.embedding import Embedding
from layers.positions import LearnedEncoding, RotaryEncoding, SinusoidalEncoding
from layers.temporal import TemporalAffine, TemporalSoftmaxLoss


def draw(*shape, seed=2):
    return np.random.default_rng(seed).standard_normal(shape)


# --- Embedding


@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 3, 4), (), (0, 3)])
def test_an_embedding_is_the_affine_layer_of_one_hot_vectors(shape):
    layer, affine = Embedding(5, 3, rng=0, dtype=np.float64), Affine(5, 3, dtype=np.float64)
    affine.W.value = layer.W.value
    x = np.random.default_rng(1).integers(0, 5, shape)
    one_hot = np.eye(5)[x].reshape(-1, 5)
    out = layer.forward(x)
    np.testing.assert_allclose(out.reshape(-1, 3), affine.forward(one_hot))
    dout = draw(*out.shape)
    layer.backward(dout)
    affine.backward(dout.reshape(-1, 3))
    np.testing.assert_allclose(layer.W.grad, affine.W.grad, rtol=1e-12, atol=1e-14)


def test_gradients_of_repeated_indices_add_up():
    layer = Embedding(4, 1, rng=0)
    layer.forward([2, 0, 2, 2])
    assert layer.backward(np.array([[1.0], [10.0], [100.0], [1000.0]], np.float32)) is None
    np.testing.assert_array_equal(layer.W.grad, [[10], [0], [1101], [0]])
    assert layer.W.grad.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint64])
def test_indices_may_be_of_any_integer_type(dtype):
    layer = Embedding(200, 2, rng=0)
    layer.forward(np.array([199, 0, 199], dtype))
    layer.backward(np.ones((3, 2), np.float32))
    np.testing.assert_array_equal(layer.W.grad[[0, 199], 0], [1, 2])


@pytest.mark.parametrize(("x", "got"), [([0, 5], r"0\.\.5"), ([-1, 2], r"-1\.\.2"), ([0.0, 1.0], "float64")])
def test_an_index_outside_of_the_vocabulary_is_refused(x, got):
    with pytest.raises((ValueError, TypeError), match=rf"x must hold integers 0\.\.4; got .*{got}"):
        Embedding(5, 2).forward(x)


# --- positional encodings


@pytest.mark.parametrize("D", [6, 5, 1])
def test_sinusoidal_encoding_is_the_formula_of_the_paper(D):
    out = SinusoidalEncoding(D).forward(np.zeros((2, 4, D)))
    for t in range(4):
        for j in range(D):
            angle = t / 10000 ** ((j - j % 2) / D)
            assert out[1, t, j] == pytest.approx(math.cos(angle) if j % 2 else math.sin(angle), abs=1e-14)


def test_learned_encoding_adds_the_first_rows_and_gives_the_others_no_gradient():
    layer = LearnedEncoding(5, 2, rng=0, dtype=np.float64)
    x = draw(3, 4, 2)
    np.testing.assert_array_equal(layer.forward(x), x + layer.W.value[:4])
    dout = draw(3, 4, 2, seed=4)
    layer.backward(dout)
    np.testing.assert_allclose(layer.W.grad[:4], dout[0] + dout[1] + dout[2])
    np.testing.assert_array_equal(layer.W.grad[4], 0)
    assert_gradients(layer, x)


def test_more_steps_than_learned_are_refused():
    with pytest.raises(ValueError, match="at most max_len = 5 steps; got 6"):
        LearnedEncoding(5, 2).forward(np.zeros((1, 6, 2)))


def test_rotary_encoding_multiplies_complex_numbers():
    x = draw(3, 4, 6)
    out = RotaryEncoding(6).forward(x)
    numbers = x[..., :3] + 1j * x[..., 3:]
    for t in range(4):
        turned = numbers[:, t] * np.exp(1j * t * 10000.0 ** (-np.array([0, 2, 4]) / 6))
        np.testing.assert_allclose(out[:, t], np.concatenate([turned.real, turned.imag], axis=1), rtol=1e-12)


def test_turned_queries_and_keys_meet_by_distance_alone():
    layer, q, k = RotaryEncoding(4), draw(4), draw(4, seed=5)
    scores = layer.forward(np.tile(q, (7, 1))) @ layer.forward(np.tile(k, (7, 1))).T
    for distance in range(-6, 7):
        diagonal = np.diagonal(scores, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-12)
    assert abs(scores[0, 1] - scores[1, 0]) > 1e-3


@pytest.mark.parametrize("layer", [SinusoidalEncoding(6), LearnedEncoding(5, 6, rng=0), RotaryEncoding(6)], ids=repr)
@pytest.mark.parametrize("shape", [(3, 4, 6), (0, 4, 6), (3, 1, 6), (3, 0, 6)])
def test_encodings_have_the_right_gradients(layer, shape):
    layer.astype(np.float64)
    if 0 not in shape:
        assert_gradients(layer, draw(*shape))
    out = layer.forward(draw(*shape))
    assert layer.backward(out).shape == out.shape == shape


def test_an_odd_width_cannot_turn():
    with pytest.raises(ValueError, match="embed_dim must be even"):
        RotaryEncoding(5)


# --- the affine layer and the loss of sequences


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 3), (2, 1, 4, 3), (0, 4, 3), (2, 0, 3)])
def test_temporal_affine_is_affine_at_every_step(shape):
    layer, affine = TemporalAffine(3, 5, rng=0, dtype=np.float64), Affine(3, 5, dtype=np.float64)
    affine.W.value, affine.b.value = layer.W.value, draw(5)
    layer.b.value = affine.b.value
    x, dout = draw(*shape), draw(*shape[:-1], 5, seed=3)
    np.testing.assert_allclose(layer.forward(x), affine.forward(x.reshape(-1, 3)).reshape(dout.shape), rtol=1e-12)
    dx = affine.backward(dout.reshape(-1, 5)).reshape(shape)
    np.testing.assert_allclose(layer.backward(dout), dx, rtol=1e-12)
    np.testing.assert_allclose(layer.W.grad, affine.W.grad, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(layer.b.grad, affine.b.grad, rtol=1e-12, atol=1e-14)


def test_temporal_affine_works_without_bias():
    layer = TemporalAffine(3, 5, bias=False, rng=0, dtype=np.float64)
    assert list(layer.parameters()) == ["W"]
    np.testing.assert_array_equal(layer.forward(np.zeros((2, 4, 3))), 0)
    assert_gradients(layer, draw(2, 4, 3))


MASK = np.array([[True, True, True, False], [True, False, False, False], [False] * 4])


@pytest.mark.parametrize(("mean_over", "count"), [("steps", 4), ("examples", 3)])
def test_temporal_loss_is_a_sum_over_the_steps_that_count(mean_over, count):
    scores, y = draw(3, 4, 5), np.random.default_rng(1).integers(0, 5, (3, 4))
    total = 0.0
    for n, t in zip(*np.nonzero(MASK)):
        exps = [math.exp(s) for s in scores[n, t]]
        total -= math.log(exps[y[n, t]] / sum(exps))
    loss = TemporalSoftmaxLoss(mean_over=mean_over)
    assert loss.forward(scores, y, MASK) == pytest.approx(total / count, rel=1e-12)
    assert_gradients(loss, scores, y, MASK)
    loss.forward(scores, y, MASK)
    dscores = loss.backward()
    assert (dscores[~MASK] == 0).all()
    assert (dscores[MASK] != 0).all()


def test_without_a_mask_every_step_counts():
    scores, y = draw(3, 4, 5), np.random.default_rng(1).integers(0, 5, (3, 4))
    assert TemporalSoftmaxLoss().forward(scores, y) == SoftmaxLoss().forward(scores.reshape(12, 5), y.reshape(12))


def test_an_ignored_label_is_a_mask():
    scores, y = draw(3, 4, 5), np.random.default_rng(1).integers(0, 5, (3, 4))
    masked, ignoring = TemporalSoftmaxLoss(), TemporalSoftmaxLoss(ignore_index=-100)
    hidden = np.where(MASK, y, -100)
    assert ignoring.forward(scores, hidden) == masked.forward(scores, y, MASK)
    np.testing.assert_array_equal(ignoring.backward(), masked.backward())
    half = np.array([[True, True, False, False]] * 3)
    assert ignoring.forward(scores, hidden, half) == masked.forward(scores, y, MASK & half)


@pytest.mark.parametrize("mean_over", ["steps", "examples"])
@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (3, 4)])
def test_where_no_step_counts_the_loss_is_zero(mean_over, shape):
    loss = TemporalSoftmaxLoss(mean_over=mean_over)
    assert loss.forward(draw(*shape, 5), np.zeros(shape, int), np.zeros(shape, bool)) == 0
    np.testing.assert_array_equal(loss.backward(), np.zeros((*shape, 5)))


@pytest.mark.parametrize(
    ("y", "mask", "message"),
    [
        (np.zeros((4, 3), int), None, r"y must have shape \(3, 4\)"),
        (np.full((3, 4), 5), None, r"y must hold integers 0\.\.4; got 5\.\.5"),
        (np.full((3, 4), -1), None, r"y must hold integers 0\.\.4; got -1\.\.-1"),
        (np.zeros((3, 4)), None, r"y must hold integers 0\.\.4; got dtype float64"),
        (np.zeros((3, 4), int), np.ones((4, 3), bool), r"mask must have shape \(3, 4\)"),
        (np.zeros((3, 4), int), np.ones((3, 4)), r"mask must be a bool array; got dtype float64"),
    ],
)
def test_wrong_labels_and_masks_are_refused(y, mask, message):
    with pytest.raises((ValueError, TypeError), match=message):
        TemporalSoftmaxLoss().forward(np.zeros((3, 4, 5)), y, mask)
