"""Losses of embeddings, of latent Gaussians, and the focal loss, against loops over single numbers."""

import math

import numpy as np
import pytest

from layers import CosineLoss, FocalLoss, GaussianKL, NTXentLoss, SoftmaxLoss, TripletLoss

from .differences import slopes

N, D = 5, 3


def draw(count, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((N, D)) for _ in range(count)]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def distance(a, b):
    return math.dist(a, b)


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def naive_triplet(anchor, positive, negative, margin):
    hinges = [max(0.0, distance(a, p) - distance(a, n) + margin) for a, p, n in zip(anchor, positive, negative)]
    return sum(hinges) / N


def naive_simclr(left, right, temperature):
    """The paper's algorithm 1: s[i, j] over views 2k - 1, 2k, which are neighbours here."""
    views = [view for both in zip(left.tolist(), right.tolist()) for view in both]

    def term(i, j):
        others = [math.exp(cosine(views[i], other) / temperature) for k, other in enumerate(views) if k != i]
        return -math.log(math.exp(cosine(views[i], views[j]) / temperature) / sum(others))

    return sum(term(2 * k, 2 * k + 1) + term(2 * k + 1, 2 * k) for k in range(len(left))) / len(views)


def naive_cosine(left, right, y, margin):
    pairs = [(cosine(a, b), label) for a, b, label in zip(left, right, y)]
    return sum(1 - c if label == 1 else max(0.0, c - margin) for c, label in pairs) / N


def naive_kl(mu, logvar):
    """The integral of q log(q / p), one dimension after the other, on a grid of 12 standard deviations."""
    total = 0.0
    for m, v in zip(mu.ravel(), logvar.ravel()):
        sigma = math.exp(v / 2)
        z, step = np.linspace(m - 12 * sigma, m + 12 * sigma, 4001, retstep=True)
        log_q = -0.5 * ((z - m) / sigma) ** 2 - 0.5 * math.log(2 * math.pi) - v / 2
        log_p = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
        total += float((np.exp(log_q) * (log_q - log_p)).sum() * step)
    return total / len(mu)


def naive_focal(scores, y, gamma, alpha=(1, 1, 1)):
    total = 0.0
    for row, k in zip(scores.tolist(), y):
        p = math.exp(row[k]) / sum(math.exp(s) for s in row)
        total += -alpha[k] * (1 - p) ** gamma * math.log(p)
    return total / len(y)


LABELS, SIGNS = np.array([2, 0, 1, 1, 0]), np.array([1, -1, -1, 1, -1])
CASES = {
    **{f"triplet {m}": (TripletLoss(m), draw(3), [], lambda *z, m=m: naive_triplet(*z, m)) for m in (0.0, 0.3, 5.0)},
    **{f"simclr {t}": (NTXentLoss(t), draw(2), [], lambda *z, t=t: naive_simclr(*z, t)) for t in (0.1, 0.5, 2.0)},
    **{f"cosine {m}": (CosineLoss(m), draw(2), [SIGNS], lambda *z, m=m: naive_cosine(*z, m)) for m in (-0.9, 0, 0.4)},
    "kl": (GaussianKL(), draw(2), [], naive_kl),
    **{f"focal {g}": (FocalLoss(g), draw(1), [LABELS], lambda *z, g=g: naive_focal(*z, g)) for g in (0, 0.5, 1, 2.0)},
    "focal weighted": (
        FocalLoss(3.0, alpha=[1, 2.5, 0.5]),
        draw(1),
        [LABELS],
        lambda *z: naive_focal(*z, 3, [1, 2.5, 0.5]),
    ),
}
every_case = pytest.mark.parametrize("name", CASES)


def gradients(loss, *dout):
    grads = loss.backward(*dout)
    return grads if isinstance(grads, tuple) else (grads,)


@every_case
def test_the_loss_is_the_one_in_plain_python(name):
    loss, inputs, truth, naive = CASES[name]
    assert loss.forward(*inputs, *truth) == pytest.approx(naive(*inputs, *truth), rel=1e-11)


@every_case
@pytest.mark.parametrize("dout", [1.0, -2.5, 0.0])
def test_backward_is_dout_times_the_slopes_of_every_input(name, dout):
    loss, inputs, truth, _ = CASES[name]
    loss.forward(*inputs, *truth)
    grads = gradients(loss, dout)
    assert len(grads) == len(inputs)
    for i, grad in enumerate(grads):
        expected = slopes(lambda x, i=i: loss.forward(*inputs[:i], x, *inputs[i + 1 :], *truth), inputs[i])
        np.testing.assert_allclose(grad, dout * expected, rtol=1e-6, atol=1e-9)


@every_case
@pytest.mark.parametrize("dout", [2.0, np.float64(2.0), np.array(2.0)], ids=["float", "scalar", "array"])
def test_float32_in_gives_a_python_float_and_float32_gradients(name, dout):
    loss, inputs, truth, _ = CASES[name]
    single = [inputs[0].astype(np.float32), *inputs[1:]]  # the first one says the dtype
    assert type(loss.forward(*single, *truth)) is float
    assert {grad.dtype for grad in gradients(loss, dout)} == {np.dtype(np.float32)}


@every_case
def test_an_empty_batch_has_loss_zero_and_empty_gradients(name):
    loss, inputs, truth, _ = CASES[name]
    assert loss.forward(*(x[:0] for x in inputs), *(y[:0] for y in truth)) == 0.0
    assert [grad.shape for grad in gradients(loss)] == [(0, D)] * len(inputs)


@every_case
def test_integers_count_as_float64(name):
    loss, inputs, truth, _ = CASES[name]
    whole = [np.round(3 * x).astype(int) + 1 for x in inputs]
    expected = loss.forward(*(x.astype(float) for x in whole), *truth)
    assert loss.forward(*whole, *truth) == expected
    assert {grad.dtype for grad in gradients(loss)} == {np.dtype(float)}


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entries_of_ten_thousand_give_finite_losses_and_gradients(name, dtype):
    loss, inputs, truth, _ = CASES[name]
    large = [(1e4 * np.sign(x)).astype(dtype) for x in inputs]
    if isinstance(loss, GaussianKL):
        large[1] = -np.abs(large[1])  # a variance of exp(1e4) has a test of its own
    assert math.isfinite(loss.forward(*large, *truth))
    assert all(np.isfinite(grad).all() for grad in gradients(loss))


# --- triplets


def test_triplet_loss_of_a_right_triangle_by_hand():
    # Distances 5 and 13, margin 10: the hinge is 2; the second triplet is apart enough: 0; the mean is 1
    loss = TripletLoss(margin=10)
    anchor = np.zeros((2, 2))
    assert loss.forward(anchor, np.array([[3.0, 4.0], [0, 1]]), np.array([[5.0, -12.0], [0, 12]])) == 1.0
    danchor, dpositive, dnegative = loss.backward(2.0)
    np.testing.assert_allclose(dpositive, [[3 / 5, 4 / 5], [0, 0]])
    np.testing.assert_allclose(dnegative, [[-5 / 13, 12 / 13], [0, 0]])
    np.testing.assert_allclose(danchor, -dpositive - dnegative)


def test_an_anchor_on_its_positive_is_pulled_nowhere():
    loss = TripletLoss(margin=6.0)
    anchor = np.array([[1.0, 1.0]])
    assert loss.forward(anchor, anchor.copy(), np.array([[4.0, 5.0]])) == 1.0
    danchor, dpositive, dnegative = loss.backward()
    np.testing.assert_array_equal(dpositive, [[0, 0]])
    np.testing.assert_allclose(danchor, [[0.6, 0.8]])
    np.testing.assert_allclose(dnegative, [[-0.6, -0.8]])


def test_a_net_that_maps_all_to_one_point_costs_the_margin_and_learns_nothing():
    loss, point = TripletLoss(margin=0.7), np.ones((4, 3))
    assert loss.forward(point, point, point) == pytest.approx(0.7)
    for grad in loss.backward():
        np.testing.assert_array_equal(grad, np.zeros((4, 3)))


def test_a_triplet_exactly_at_the_margin_has_slope_zero():
    loss = TripletLoss(margin=1.0)
    assert loss.forward(np.array([[0.0]]), np.array([[1.0]]), np.array([[2.0]])) == 0.0
    assert not np.any(loss.backward())


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_distances_whose_squares_do_not_fit_float32_are_exact(size):
    loss = TripletLoss(margin=0.0)
    anchor = np.zeros((1, 2), np.float32)
    positive, negative = np.array([[3, 4]], np.float32) * np.float32(size), np.zeros((1, 2), np.float32)
    assert loss.forward(anchor, positive, negative) == pytest.approx(5 * size, rel=1e-6, abs=0)
    np.testing.assert_allclose(loss.backward()[1], [[0.6, 0.8]], rtol=1e-6)


# --- SimCLR


def test_two_examples_at_right_angles_by_hand():
    # Each view: its partner has cosine 1, the two views of the other example have 0
    loss, views = NTXentLoss(temperature=0.25), np.array([[2.0, 0.0], [0.0, 0.1]])
    assert loss.forward(views, views) == pytest.approx(math.log(1 + 2 * math.exp(-4)), rel=1e-12)


def test_views_that_are_all_alike_are_guessed_at_random():
    loss, views = NTXentLoss(), np.ones((4, 3))
    assert loss.forward(views, views) == pytest.approx(math.log(7))
    for grad in loss.backward():
        np.testing.assert_allclose(grad, np.zeros((4, 3)), atol=1e-15)


def test_one_example_alone_has_no_wrong_candidates():
    loss = NTXentLoss()
    assert loss.forward(np.array([[1.0, 2.0]]), np.array([[2.0, -1.0]])) == 0.0
    assert not np.any(loss.backward())


def test_the_sides_and_the_lengths_of_the_views_do_not_matter():
    loss, (left, right) = NTXentLoss(0.2), draw(2)
    value = loss.forward(left, right)
    dleft, dright = loss.backward()
    assert loss.forward(right, left) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(loss.backward(), (dright, dleft), rtol=1e-9)
    assert loss.forward(1e-3 * left, right) == pytest.approx(value, rel=1e-12)
    longer, _ = loss.backward()
    np.testing.assert_allclose(longer, 1e3 * dleft, rtol=1e-9)
    np.testing.assert_allclose((dleft * left).sum(axis=1), 0, atol=1e-14)  # never along the vector itself


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tiny_temperature_leaves_the_nearest_candidates(dtype):
    # The nearest wrong candidate of each view has cosine 0.6 against the partner's 0: (0.6 - 0) / temperature
    loss = NTXentLoss(temperature=1e-6)
    left = np.array([[1, 0, 0], [0.6, 0.8, 0]], dtype)
    right = np.array([[0, 0, 1], [0, 0, 0]], dtype)
    right[1] = [0.8 * 0.8, -0.6 * 0.8, 0.6]  # at right angles to left[1], 0.6 from right[0], 0.64 from left[0]
    value = loss.forward(left, right)
    assert value == pytest.approx((0.64 + 0.6 + 0.6 + 0.64) / 4 / 1e-6, rel=1e-5)
    assert all(np.isfinite(grad).all() for grad in loss.backward())


# --- cosines


def test_cosine_loss_by_hand():
    # cos 0.6 belonging together: 0.4. cos 0.8 apart, margin 0.5: 0.3. cos -1 apart: 0
    loss = CosineLoss(margin=0.5)
    left = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    right = np.array([[3.0, 4.0], [3.0, 4.0], [-1.0, -1.0]])
    assert loss.forward(left, right, np.array([1, -1, -1])) == pytest.approx((0.4 + 0.3 + 0) / 3)
    dleft, _ = loss.backward(3.0)
    np.testing.assert_allclose(dleft, [[0, -0.8], [0.3, 0], [0, 0]], atol=1e-15)


def test_vectors_of_zeros_are_at_right_angles_to_all_and_stay():
    zeros, ones = np.zeros((1, 2)), np.ones((1, 2))
    for loss, truth, cost in ((CosineLoss(), [np.array([1])], 1.0), (NTXentLoss(), [], 0.0)):
        for left, right in ((zeros, ones), (ones, zeros), (zeros, zeros)):
            assert loss.forward(left, right, *truth) == cost
            assert not np.any(loss.backward())


def test_a_vector_of_zeros_among_others_is_left_out_of_the_gradient_alone():
    left, right = draw(2)
    left[2] = 0
    loss = NTXentLoss(0.5)
    loss.forward(left, right)
    dleft, dright = loss.backward()
    np.testing.assert_array_equal(dleft[2], np.zeros(D))
    np.testing.assert_allclose(dright, slopes(lambda r: loss.forward(left, r), right), rtol=1e-6, atol=1e-9)


def test_labels_of_pairs_may_be_of_any_type_of_number():
    (left, right), loss = draw(2), CosineLoss()
    value = loss.forward(left, right, SIGNS)
    for dtype in ("b", "l", "f", "d"):
        assert loss.forward(left, right, SIGNS.astype(dtype)) == value


def test_nan_comes_through():
    bad = np.array([[np.nan, 1.0], [1.0, 2.0]])
    good = np.ones((2, 2))
    assert math.isnan(TripletLoss().forward(bad, good, good))
    assert math.isnan(CosineLoss().forward(bad, good, np.ones(2)))
    assert math.isnan(NTXentLoss().forward(bad, good))
    assert math.isnan(GaussianKL().forward(bad, good))


# --- the KL divergence of a VAE


def test_the_divergence_of_the_standard_normal_from_itself_is_zero():
    loss = GaussianKL()
    assert loss.forward(np.zeros((3, 2)), np.zeros((3, 2))) == 0.0
    assert not np.any(loss.backward())


def test_the_divergence_by_hand():
    # One example: (1 + 1 - 1 - 0) / 2 + (0 + 4 - 1 - log 4) / 2, over two examples of which the other is standard
    loss = GaussianKL()
    value = loss.forward(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[0.0, math.log(4)], [0.0, 0.0]]))
    assert value == pytest.approx((0.5 + (3 - math.log(4)) / 2) / 2)
    dmu, dlogvar = loss.backward()
    np.testing.assert_allclose(dmu, [[0.5, 0], [0, 0]])
    np.testing.assert_allclose(dlogvar, [[0, 0.75], [0, 0]])


def test_a_variance_near_one_keeps_its_digits():
    loss = GaussianKL()
    loss.forward(np.zeros((1, 1)), np.full((1, 1), 1e-12))
    assert loss.backward()[1][0, 0] == pytest.approx(0.5e-12, rel=1e-10, abs=0)


def test_a_variance_that_no_float_holds_is_inf_without_a_warning():
    for dtype, logvar in ((np.float32, 100), (np.float64, 1000)):
        loss = GaussianKL()
        assert loss.forward(np.zeros((1, 2), dtype), np.array([[logvar, 0]], dtype)) == math.inf
        np.testing.assert_array_equal(loss.backward()[1], [[math.inf, 0]])


def test_a_variance_of_zero_costs_as_much_as_its_logarithm():
    loss = GaussianKL()
    assert loss.forward(np.zeros((1, 1)), np.full((1, 1), -1e4)) == pytest.approx(0.5 * (1e4 - 1))
    assert loss.backward()[1][0, 0] == -0.5


# --- focal


def test_focal_loss_by_hand():
    # p = 1/2 and 1/4 with gamma 2: (1/4 log 2 + 9/16 log 4) / 2
    scores = np.array([[0.0, 0.0], [math.log(3), 0.0]])
    assert FocalLoss(2.0).forward(scores, np.array([0, 1])) == pytest.approx(
        (0.25 * math.log(2) + 9 / 16 * math.log(4)) / 2
    )


def test_gamma_zero_is_the_softmax_loss():
    (scores,), focal, softmax = draw(1), FocalLoss(0.0), SoftmaxLoss()
    assert focal.forward(scores, LABELS) == pytest.approx(softmax.forward(scores, LABELS), rel=1e-13)
    np.testing.assert_allclose(focal.backward(), softmax.backward(), rtol=1e-12)


def test_a_row_that_is_right_hardly_counts():
    scores, y = np.array([[4.0, 0.0]]), np.array([0])
    rest = 1 / (1 + math.exp(4))
    assert FocalLoss(2.0).forward(scores, y) == pytest.approx(rest**2 * SoftmaxLoss().forward(scores, y))


def test_rows_right_or_wrong_to_the_last_digit_have_the_gradients_of_the_limit():
    right, wrong = np.array([[60.0, 0.0]]), np.array([[0.0, 1e4]])
    loss, y = FocalLoss(0.5), np.array([0])
    rest = math.exp(-60.0)  # 1 - p, far below a float's step at 1
    assert loss.forward(right, y) == pytest.approx(rest**1.5, rel=1e-12, abs=0)
    np.testing.assert_allclose(loss.backward(), [[-1.5 * rest**1.5, 1.5 * rest**1.5]], rtol=1e-12)
    assert loss.forward(wrong, y) == 1e4
    np.testing.assert_array_equal(loss.backward(), [[-1, 1]])
    assert loss.forward(np.array([[1e4, 0.0]]), y) == 0.0
    assert not np.any(loss.backward())


# --- errors

ROWS, SHORT = np.zeros((2, 3)), np.zeros((3, 3))
BAD = [
    (TripletLoss(), (np.zeros(3), ROWS, ROWS), ValueError, r"anchor must have shape \(N, D\).*got \(3,\)"),
    (TripletLoss(), (ROWS, SHORT, ROWS), ValueError, r"positive must have the shape \(2, 3\) of anchor; got \(3, 3\)"),
    (TripletLoss(), (ROWS, ROWS, SHORT), ValueError, "negative must have"),
    (NTXentLoss(), (ROWS, SHORT), ValueError, "right must have the shape"),
    (CosineLoss(), (ROWS, SHORT, np.ones(2)), ValueError, "right must have the shape"),
    (CosineLoss(), (ROWS, ROWS, np.ones(3)), ValueError, r"y must have shape \(2,\)"),
    (CosineLoss(), (ROWS, ROWS, np.array([0, 1])), ValueError, r"y must hold 1 and -1; got \[0 1\].*2 \* y - 1"),
    (GaussianKL(), (ROWS, SHORT), ValueError, "logvar must have the shape"),
    (GaussianKL(), (np.zeros(()), np.zeros(())), ValueError, "mu must have shape"),
    (FocalLoss(), (ROWS, np.array([0, 3])), ValueError, r"labels 0\.\.2"),
    (FocalLoss(), (ROWS, np.array([0.0, 1.0])), TypeError, "integer labels"),
    (FocalLoss(alpha=[1, 2]), (ROWS, np.array([0, 1])), ValueError, "alpha must have 3 entries.*got 2"),
]


@pytest.mark.parametrize(("loss", "inputs", "error", "message"), BAD)
def test_inputs_that_do_not_fit_are_refused_by_name(loss, inputs, error, message):
    with pytest.raises(error, match=message):
        loss.forward(*inputs)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: TripletLoss(-1), "margin"),
        (lambda: NTXentLoss(0), "temperature"),
        (lambda: NTXentLoss(math.inf), "temperature"),
        (lambda: CosineLoss(1.5), "margin"),
        (lambda: FocalLoss(-0.5), "gamma"),
        (lambda: FocalLoss(alpha=[1, -1]), "alpha"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(make, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        make()
