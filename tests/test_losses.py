"""Losses and penalties against loops over single numbers."""

import math

import numpy as np
import pytest

from layers import (
    Affine,
    BatchNorm,
    HuberLoss,
    L1Loss,
    L1Penalty,
    L2Penalty,
    LogisticLoss,
    MSELoss,
    Parameter,
    SoftmaxLoss,
    SVMLoss,
)

from .differences import slopes

N, C = 5, 3
WEIGHTS = [1.0, 2.5, 0.5]


def draw(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, C)), np.array([2, 0, 1, 1, 0]), rng.dirichlet(np.ones(C), N)


def naive_cross_entropy(scores, t, divisor):
    """Sum of -t log(softmax) over all entries in plain Python, over `divisor`."""
    loss = 0.0
    for row, targets in zip(scores.tolist(), t):
        total = sum(math.exp(s) for s in row)
        loss += sum(-p * math.log(math.exp(s) / total) for s, p in zip(row, targets))
    return loss / divisor


def rows_of_labels(y, smoothing=0.0, weights=(1, 1, 1), ignored=None):
    return [
        [0.0 if k == ignored else w * ((1 - smoothing) * (c == k) + smoothing / C) for c, w in enumerate(weights)]
        for k in y
    ]


SOFTMAX_CASES = {
    "plain": ({}, lambda y: (rows_of_labels(y), 5)),
    "smoothed": ({"label_smoothing": 0.2}, lambda y: (rows_of_labels(y, 0.2), 5)),
    "weighted": ({"class_weights": WEIGHTS}, lambda y: (rows_of_labels(y, 0, WEIGHTS), 0.5 + 1 + 2.5 + 2.5 + 1)),
    "ignoring": ({"ignore_index": 1}, lambda y: (rows_of_labels(y, ignored=1), 3)),
    "all": (
        {"label_smoothing": 0.2, "class_weights": WEIGHTS, "ignore_index": 1},
        lambda y: (rows_of_labels(y, 0.2, WEIGHTS, 1), 0.5 + 1 + 1),
    ),
}


@pytest.mark.parametrize("name", SOFTMAX_CASES)
def test_softmax_loss_of_labels_is_the_sum_in_plain_python(name):
    options, expected = SOFTMAX_CASES[name]
    scores, y, _ = draw()
    assert SoftmaxLoss(**options).forward(scores, y) == pytest.approx(
        naive_cross_entropy(scores, *expected(y)), rel=1e-12
    )


def test_softmax_loss_of_probabilities_is_the_sum_in_plain_python():
    scores, _, p = draw()
    assert SoftmaxLoss().forward(scores, p) == pytest.approx(naive_cross_entropy(scores, p, N), rel=1e-12)
    mixed = [[w * (0.9 * q + 0.1 / C) for q, w in zip(row, WEIGHTS)] for row in p]
    loss = SoftmaxLoss(label_smoothing=0.1, class_weights=WEIGHTS)
    assert loss.forward(scores, p) == pytest.approx(naive_cross_entropy(scores, mixed, N), rel=1e-12)


def test_one_hot_probabilities_are_labels():
    scores, y, _ = draw()
    one_hot = np.eye(C, dtype=int)[y]
    for loss in (SoftmaxLoss(), SoftmaxLoss(label_smoothing=0.3)):
        assert loss.forward(scores, one_hot) == pytest.approx(loss.forward(scores, y), rel=1e-14)


def naive_svm(scores, y, margin):
    total = 0.0
    for row, k in zip(scores.tolist(), y):
        total += sum(max(0.0, s - row[k] + margin) for j, s in enumerate(row) if j != k)
    return total / len(y)


@pytest.mark.parametrize("margin", [0.0, 1.0, 2.5])
def test_svm_loss_is_the_sum_in_plain_python(margin):
    scores, y, _ = draw()
    assert SVMLoss(margin).forward(scores, y) == pytest.approx(naive_svm(scores, y, margin), rel=1e-12)


def test_svm_loss_of_the_course_notes():
    # Scores 13, -7, 11 with the first class right and margin 10: max(0, -20 + 10) + max(0, -2 + 10) = 8
    loss = SVMLoss(margin=10)
    assert loss.forward(np.array([[13.0, -7.0, 11.0]]), np.array([0])) == 8.0
    np.testing.assert_array_equal(loss.backward(), [[-1.0, 0.0, 1.0]])


def test_a_hinge_at_exactly_zero_has_slope_zero():
    loss = SVMLoss(margin=1.0)
    assert loss.forward(np.array([[2.0, 1.0, 5.0]]), np.array([0])) == 4.0
    np.testing.assert_array_equal(loss.backward(), [[-1.0, 0.0, 1.0]])


def logistic(x, y):
    return -y * math.log(1 / (1 + math.exp(-x))) - (1 - y) * math.log(1 - 1 / (1 + math.exp(-x)))


def huber(x, y, delta):
    return 0.5 * (x - y) ** 2 if abs(x - y) <= delta else delta * (abs(x - y) - 0.5 * delta)


ELEMENTWISE = {
    "logistic": (LogisticLoss(), logistic),
    "squared": (MSELoss(), lambda x, y: (x - y) ** 2),
    "absolute": (L1Loss(), lambda x, y: abs(x - y)),
    "huber": (HuberLoss(delta=0.5), lambda x, y: huber(x, y, 0.5)),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("shape", [(15,), (5, 3), (5, 3, 1)])
def test_elementwise_losses_are_the_mean_in_plain_python(name, shape):
    loss, of_one = ELEMENTWISE[name]
    scores, _, p = draw()
    expected = sum(of_one(x, y) for x, y in zip(scores.ravel().tolist(), p.ravel().tolist())) / 15
    assert loss.forward(scores.reshape(shape), p.reshape(shape)) == pytest.approx(expected, rel=1e-12)
    assert loss.backward().shape == shape


GRADIENTS = [
    *[(SoftmaxLoss(**options), "labels") for options, _ in SOFTMAX_CASES.values()],
    (SoftmaxLoss(), "probabilities"),
    (SoftmaxLoss(label_smoothing=0.1, class_weights=WEIGHTS), "probabilities"),
    (SoftmaxLoss(), "amounts"),  # rows that do not sum to 1
    (SVMLoss(), "labels"),
    *[(loss, "probabilities") for loss, _ in ELEMENTWISE.values()],
]


@pytest.mark.parametrize(("loss", "truth"), GRADIENTS, ids=lambda v: v if isinstance(v, str) else repr(v))
@pytest.mark.parametrize("dout", [1.0, -2.5, 0.0])
def test_backward_is_dout_times_the_slopes(loss, truth, dout):
    scores, labels, p = draw()
    y = {"labels": labels, "probabilities": p, "amounts": 3 * p * np.arange(1, N + 1)[:, None]}[truth]
    loss.forward(scores, y)
    dscores = loss.backward(dout)
    np.testing.assert_allclose(dscores, dout * slopes(lambda s: loss.forward(s, y), scores), rtol=1e-6, atol=1e-9)


ALL = [
    SoftmaxLoss(),
    SoftmaxLoss(label_smoothing=0.1, class_weights=WEIGHTS),
    SVMLoss(),
    *[v[0] for v in ELEMENTWISE.values()],
]
every_loss = pytest.mark.parametrize("loss", ALL, ids=repr)


def truth_for(loss, dtype=np.float64):
    _, labels, p = draw()
    return labels if isinstance(loss, (SoftmaxLoss, SVMLoss)) else p.astype(dtype)


@every_loss
def test_backward_without_dout_takes_it_as_one(loss):
    loss.forward(draw()[0], truth_for(loss))
    np.testing.assert_array_equal(loss.backward(), loss.backward(1.0))


@every_loss
def test_float32_scores_give_a_python_float_and_a_float32_gradient(loss):
    scores, y = draw()[0], truth_for(loss)
    exact, gradient = loss.forward(scores, y), loss.backward()
    value = loss.forward(scores.astype(np.float32), y)  # y in float64
    assert type(value) is float
    assert value == pytest.approx(exact, rel=1e-5)
    for dout in (2.0, np.float64(2.0), np.array(2.0)):
        assert loss.backward(dout).dtype == np.float32
    np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-4, atol=1e-6)


@every_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_ten_thousand_give_finite_losses_and_gradients(loss, dtype):
    scores = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4]], dtype)
    y = np.array([1, 0, 2]) if truth_for(loss).ndim == 1 else np.array([[0, 1, 0.5], [1, 0, 0], [1, 1, 1]], dtype)
    assert math.isfinite(loss.forward(scores, y))
    assert np.isfinite(loss.backward()).all()


def test_losses_at_extreme_scores_are_the_limits():
    scores = np.array([[1e4, -1e4]], np.float32)
    assert SoftmaxLoss().forward(scores, np.array([0])) == 0.0
    assert SoftmaxLoss().forward(scores, np.array([1])) == 2e4
    loss = LogisticLoss()
    assert loss.forward(scores, np.array([[0, 1]])) == 1e4
    np.testing.assert_array_equal(loss.backward(), [[0.5, -0.5]])
    assert loss.forward(scores, np.array([[1, 0]])) == 0.0


def test_adding_a_constant_to_a_row_does_not_change_the_softmax_loss():
    scores, y, _ = draw()
    assert SoftmaxLoss().forward(scores + 1e4, y) == pytest.approx(SoftmaxLoss().forward(scores, y), rel=1e-10)


@every_loss
def test_an_empty_batch_has_loss_zero_and_an_empty_gradient(loss):
    assert loss.forward(np.zeros((0, C)), truth_for(loss)[:0]) == 0.0
    assert loss.backward().shape == (0, C)


def test_a_batch_with_every_row_ignored_has_loss_zero_and_gradient_zero():
    for loss in (SoftmaxLoss(ignore_index=-100), SoftmaxLoss(ignore_index=-100, label_smoothing=0.1)):
        assert loss.forward(draw()[0], np.full(N, -100)) == 0.0
        np.testing.assert_array_equal(loss.backward(), np.zeros((N, C)))


@every_loss
def test_layout_and_type_of_the_truth_do_not_matter(loss):
    scores, y = draw()[0], truth_for(loss)
    value, gradient = loss.forward(scores, y), loss.backward()
    dtypes = "bBhHiIlLqQ" if y.ndim == 1 else "d"
    for dtype in dtypes:
        strided = np.repeat(np.asarray(y, dtype, order="F"), 2, axis=0)[::2]
        strided.flags.writeable = False
        assert loss.forward(np.asfortranarray(scores), strided) == pytest.approx(value, rel=1e-14)
        np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-13, atol=1e-16)


@every_loss
def test_two_backwards_give_two_equal_arrays_of_their_own(loss):
    loss.forward(draw()[0], truth_for(loss))
    first = loss.backward()
    kept = first.copy()
    first[:] = 7
    np.testing.assert_array_equal(loss.backward(), kept)


def test_ties_between_scores_share_the_gradient():
    loss = SoftmaxLoss()
    assert loss.forward(np.zeros((1, 4)), np.array([2])) == pytest.approx(math.log(4))
    np.testing.assert_allclose(loss.backward(), [[0.25, 0.25, -0.75, 0.25]])


def test_the_absolute_value_has_slope_zero_where_scores_meet_the_truth():
    loss = L1Loss()
    loss.forward(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]))
    np.testing.assert_allclose(loss.backward(3.0), [-1, 0, 1])


BAD = [
    (SoftmaxLoss(), np.zeros((2, 3)), np.array([0, 3]), ValueError, "labels 0..2"),
    (SoftmaxLoss(), np.zeros((2, 3)), np.array([-1, 0]), ValueError, "labels 0..2"),
    (SoftmaxLoss(), np.zeros((2, 3)), np.array([0.0, 1.0]), TypeError, "integer labels"),
    (SoftmaxLoss(), np.zeros((2, 3)), np.zeros((2, 1), int), ValueError, r"got \(2, 1\).*ravel"),
    (SoftmaxLoss(), np.zeros((2, 3)), np.zeros(3, int), ValueError, r"y must have shape \(2,\)"),
    (SoftmaxLoss(), np.zeros(3), np.zeros(3, int), ValueError, r"scores must have shape \(N, C\)"),
    (SoftmaxLoss(class_weights=[1, 2]), np.zeros((2, 3)), np.zeros(2, int), ValueError, "class_weights must have 3"),
    (SoftmaxLoss(ignore_index=0), np.zeros((2, 3)), np.zeros((2, 3)), ValueError, "ignore_index"),
    (SoftmaxLoss(ignore_index=9), np.zeros((2, 3)), np.array([9, 3]), ValueError, "labels 0..2"),
    (SVMLoss(), np.zeros((2, 3)), np.array([0, 3]), ValueError, "labels 0..2"),
    (LogisticLoss(), np.zeros(2), np.array([-1, 1]), ValueError, r"y must lie in \[0, 1\]"),
    (LogisticLoss(), np.zeros(2), np.array([np.nan, 1]), ValueError, r"y must lie in \[0, 1\]"),
    (MSELoss(), np.zeros((4, 1)), np.zeros(4), ValueError, r"y must have the shape \(4, 1\) of scores; got \(4,\)"),
    (L1Loss(), np.zeros((4, 1)), np.zeros(4), ValueError, "reshape"),
    (HuberLoss(), np.zeros((4, 1)), np.zeros((4, 4)), ValueError, "reshape"),
]


@pytest.mark.parametrize(("loss", "scores", "y", "error", "message"), BAD)
def test_a_truth_that_does_not_fit_is_refused_by_name(loss, scores, y, error, message):
    with pytest.raises(error, match=message):
        loss.forward(scores, y)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: SoftmaxLoss(label_smoothing=1.0), "label_smoothing"),
        (lambda: SoftmaxLoss(class_weights=[1.0, -1.0]), "class_weights"),
        (lambda: SVMLoss(margin=-1), "margin"),
        (lambda: HuberLoss(delta=0), "delta"),
        (lambda: L2Penalty({}, -1), "reg"),
        (lambda: L1Penalty({}, float("nan")), "reg"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(make, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        make()


def test_an_ignore_index_that_is_no_integer_is_refused():
    with pytest.raises(TypeError, match="ignore_index must be an integer"):
        SoftmaxLoss(ignore_index=1.5)


# --- penalties


def two_weights():
    return {
        "a.W": Parameter(np.array([[1.0, -2.0], [0.0, 3.0]])),
        "a.b": Parameter(np.array([5.0, 5.0]), decay=False),
        "c.W": Parameter(np.array([-4.0])),
    }


def test_a_penalty_takes_the_dict_of_parameters():
    with pytest.raises(TypeError, match=r"parameters must be a dict, as model.parameters\(\) gives; got list"):
        L2Penalty([Parameter(np.ones(2))], 0.1)


def test_l2_penalty_is_half_reg_times_the_squares_and_leaves_biases_out():
    parameters = two_weights()
    penalty = L2Penalty(parameters, 0.1)
    assert penalty.forward() == pytest.approx(0.5 * 0.1 * (1 + 4 + 0 + 9 + 16))
    assert penalty.backward() is None
    np.testing.assert_allclose(parameters["a.W"].grad, [[0.1, -0.2], [0, 0.3]])
    np.testing.assert_allclose(parameters["c.W"].grad, [-0.4])
    np.testing.assert_array_equal(parameters["a.b"].grad, [0, 0])


def test_l1_penalty_is_reg_times_the_absolute_values_with_slope_zero_at_zero():
    parameters = two_weights()
    penalty = L1Penalty(parameters, 0.1)
    assert penalty.forward() == pytest.approx(0.1 * (1 + 2 + 0 + 3 + 4))
    penalty.backward(2.0)
    np.testing.assert_allclose(parameters["a.W"].grad, [[0.2, -0.2], [0, 0.2]])


@pytest.mark.parametrize("kind", [L1Penalty, L2Penalty])
def test_a_penalty_adds_to_the_gradient_and_follows_a_weight_that_moves(kind):
    layer = Affine(2, 3, rng=0, dtype=np.float32)
    penalty = kind(layer.parameters(), 0.5)
    layer.W.move_to(np.empty((2, 3), np.float32), np.empty((2, 3), np.float32))
    layer.W.value = np.full((2, 3), 2.0)
    layer.W.grad = np.full((2, 3), 10.0)
    penalty.forward()
    penalty.backward()
    np.testing.assert_array_equal(layer.W.grad, 10 + 0.5 * (2 if kind is L2Penalty else 1))
    assert layer.W.grad.dtype == np.float32


def test_norms_have_no_weights_to_penalize():
    assert L2Penalty(BatchNorm(3).parameters(), 1.0).forward() == 0
