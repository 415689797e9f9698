"""CTC against every alignment there is, one after the other."""

import itertools
import math

import numpy as np
import pytest

from layers import CTCLoss, SoftmaxLoss, TemporalSoftmaxLoss

from .differences import slopes


def collapsed(alignment, blank):
    """Neighbours that are equal merged, then the blanks left out."""
    return [label for label, _ in itertools.groupby(alignment) if label != blank]


def probability(scores, y, blank):
    """The sum of the products of the softmax over all V^T alignments that collapse to `y`."""
    exp = np.exp(scores)
    s = (exp / exp.sum(axis=1, keepdims=True)).tolist()
    steps, labels = scores.shape
    return sum(
        math.prod(s[t][label] for t, label in enumerate(alignment))
        for alignment in itertools.product(range(labels), repeat=steps)
        if collapsed(alignment, blank) == list(y)
    )


def draw(n=1, steps=5, labels=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, steps, labels))


TRANSCRIPTS = [[], [1], [2], [1, 2], [1, 1], [2, 1, 2], [1, 1, 2], [1, 1, 1], [1, 2, 1, 2, 1]]


@pytest.mark.parametrize("y", TRANSCRIPTS, ids=str)
def test_the_loss_is_the_sum_over_every_alignment(y):
    scores = draw()
    value = CTCLoss().forward(scores, np.array([y], int))
    assert value == pytest.approx(-math.log(probability(scores[0], y, blank=0)), rel=1e-12)


@pytest.mark.parametrize("y", TRANSCRIPTS, ids=str)
def test_backward_is_dout_times_the_slopes(y):
    loss, scores, y = CTCLoss(), draw(), np.array([y], int)
    loss.forward(scores, y)
    dscores = loss.backward(-2.5)
    np.testing.assert_allclose(dscores, -2.5 * slopes(lambda s: loss.forward(s, y), scores), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("blank", [0, 1, 2, 3])
def test_a_batch_of_all_lengths_is_the_mean_of_its_examples(blank):
    scores, names = draw(5, 5, 4), [label for label in range(4) if label != blank]
    lengths, label_lengths = np.array([5, 3, 4, 1, 0]), np.array([2, 3, 2, 0, 0])
    y = np.array([[names[0], names[0], 77], names, [names[2], names[1], -9], [blank] * 3, [-1] * 3])
    expected = [
        -math.log(probability(scores[n, : lengths[n]], y[n, : label_lengths[n]], blank)) if lengths[n] else 0.0
        for n in range(5)
    ]
    loss = CTCLoss(blank=blank)
    assert loss.forward(scores, y, lengths, label_lengths) == pytest.approx(sum(expected) / 5, rel=1e-12)
    dscores = loss.backward()
    numerical = slopes(lambda s: loss.forward(s, y, lengths, label_lengths), scores)
    np.testing.assert_allclose(dscores, numerical, rtol=1e-6, atol=1e-9)
    for n in range(5):
        np.testing.assert_array_equal(dscores[n, lengths[n] :], 0)


def test_even_odds_are_counted_by_hand():
    # Three steps of three outcomes, y = "11": one alignment, "1-1", of 27
    loss = CTCLoss()
    assert loss.forward(np.zeros((1, 3, 3)), np.array([[1, 1]])) == pytest.approx(math.log(27))
    third = 1 / 3
    np.testing.assert_allclose(
        loss.backward()[0], [[third, third - 1, third], [third - 1, third, third], [third, third - 1, third]]
    )
    # y = "1": "1--" "-1-" "--1" "11-" "-11" "111"
    assert loss.forward(np.zeros((1, 3, 3)), np.array([[1]])) == pytest.approx(math.log(27 / 6))


def test_an_empty_transcript_is_the_softmax_loss_of_blanks():
    scores, blanks = draw(2, 5, 3), np.zeros((2, 5), int)
    ctc, softmax = CTCLoss(), TemporalSoftmaxLoss(mean_over="examples")
    assert ctc.forward(scores, np.zeros((2, 0), int)) == pytest.approx(softmax.forward(scores, blanks), rel=1e-12)
    np.testing.assert_allclose(ctc.backward(), softmax.backward(), rtol=1e-12)


def test_a_label_a_step_leaves_one_alignment():
    scores, y = draw(1, 4, 5), np.array([[3, 1, 4, 2]])
    loss = CTCLoss()
    assert loss.forward(scores, y) == pytest.approx(4 * SoftmaxLoss().forward(scores[0], y[0]), rel=1e-12)


def test_what_stands_behind_the_lengths_does_not_matter():
    scores, y = draw(1, 6, 4), np.array([[1, 2, 2]])
    loss = CTCLoss()
    short = loss.forward(scores[:, :4], y[:, :2])
    dshort = loss.backward()
    changed = scores.copy()
    changed[:, 4:] = 1e4
    assert loss.forward(changed, y, np.array([4]), np.array([2])) == pytest.approx(short, rel=1e-14)
    np.testing.assert_allclose(loss.backward()[:, :4], dshort, rtol=1e-13)


def test_the_gradient_of_each_real_step_sums_to_zero():
    loss = CTCLoss()
    loss.forward(draw(3, 9, 4), np.array([[1, 1, 2], [3, 2, 1], [2, 2, 2]]))
    np.testing.assert_allclose(loss.backward().sum(axis=2), 0, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_thousand_steps_of_large_scores_stay_exact(dtype):
    scores = np.zeros((1, 1000, 3), dtype)
    scores[:, :, 1] = 1e4  # certain of label 1 at every step
    loss = CTCLoss()
    assert loss.forward(scores, np.array([[1]])) == 0.0
    np.testing.assert_allclose(loss.backward(), 0, atol=1e-12)
    assert loss.forward(scores, np.array([[2]])) == pytest.approx(1e7 - math.log(1000 * 1001 / 2), rel=1e-9)
    assert np.isfinite(loss.backward()).all()


def test_float32_scores_give_a_python_float_and_a_float32_gradient():
    scores, y, loss = draw(2, 200, 5).astype(np.float32), np.array([[1, 2, 2, 4], [3, 3, 3, 1]]), CTCLoss()
    exact, gradient = loss.forward(scores.astype(np.float64), y), loss.backward()
    value = loss.forward(scores, y)
    assert type(value) is float
    assert value == exact  # the sums run in float64
    for dout in (1.0, np.float64(1.0), np.array(1.0)):
        assert loss.backward(dout).dtype == np.float32
    np.testing.assert_array_equal(loss.backward(), gradient.astype(np.float32))


def test_an_empty_batch_has_loss_zero_and_an_empty_gradient():
    loss = CTCLoss()
    assert loss.forward(np.zeros((0, 5, 3)), np.zeros((0, 2), int)) == 0.0
    assert loss.backward().shape == (0, 5, 3)


def test_an_example_that_no_alignment_fits_is_refused_by_its_number():
    y = np.array([[1, 2, 3], [1, 1, 2]])
    with pytest.raises(ValueError, match=r"example 1 needs 4, got 3.*zero_infinity"):
        CTCLoss().forward(draw(2, 3, 4), y)
    with pytest.raises(ValueError, match="example 0 needs 3, got 2"):
        CTCLoss().forward(draw(2, 5, 4), y, np.array([2, 5]))


def test_zero_infinity_counts_it_as_zero_and_leaves_the_others():
    scores, y = draw(2, 3, 4), np.array([[1, 2, 3], [1, 1, 2]])
    loss = CTCLoss(zero_infinity=True)
    value = loss.forward(scores, y)
    dscores = loss.backward()
    assert value == pytest.approx(loss.forward(scores[:1], y[:1]) / 2, rel=1e-13)
    np.testing.assert_allclose(dscores[:1], loss.backward() / 2, rtol=1e-12)
    np.testing.assert_array_equal(dscores[1], 0)


def test_a_label_with_a_score_of_minus_inf_costs_inf_and_nan_comes_through():
    scores = draw(1, 3, 3)
    scores[:, :, 2] = -np.inf
    loss = CTCLoss()
    assert loss.forward(scores, np.array([[2]])) == math.inf
    assert math.isfinite(loss.forward(scores, np.array([[1]])))
    assert np.isfinite(loss.backward()).all()
    scores[0, 1, 1] = np.nan
    assert math.isnan(CTCLoss(zero_infinity=True).forward(scores, np.array([[1]])))


SCORES = np.zeros((2, 3, 4))
BAD = [
    ((np.zeros((3, 4)), np.ones((3, 1), int)), ValueError, r"scores must have shape \(N, T, V\).*got \(3, 4\)"),
    ((SCORES, np.ones(2, int)), ValueError, r"y must have shape \(2, U\).*got \(2,\)"),
    ((SCORES, np.ones((3, 1), int)), ValueError, r"y must have shape \(2, U\)"),
    ((SCORES, np.full((2, 1), 4)), ValueError, r"y must hold integers 0\.\.3; got 4\.\.4"),
    ((SCORES, np.ones((2, 1))), TypeError, "y must hold integers"),
    ((SCORES, np.array([[1], [0]])), ValueError, "y must hold labels other than the blank 0"),
    ((SCORES, np.ones((2, 1), int), np.array([3, 4])), ValueError, r"lengths must be 2 numbers in 0\.\.3"),
    ((SCORES, np.ones((2, 1), int), np.array([3])), ValueError, "lengths must be 2 numbers"),
    ((SCORES, np.ones((2, 1), int), np.array([3.0, 3.0])), TypeError, "lengths must hold integers"),
    ((SCORES, np.ones((2, 1), int), None, np.array([1, 2])), ValueError, r"label_lengths must be 2 numbers in 0\.\.1"),
]


@pytest.mark.parametrize(("inputs", "error", "message"), BAD)
def test_inputs_that_do_not_fit_are_refused_by_name(inputs, error, message):
    with pytest.raises(error, match=message):
        CTCLoss().forward(*inputs)


@pytest.mark.parametrize("blank", [-1, 1.5, True, "0"])
def test_a_blank_that_is_no_column_is_refused(blank):
    with pytest.raises(ValueError, match="blank must be a whole number"):
        CTCLoss(blank=blank)


def test_a_blank_beyond_the_scores_is_refused():
    with pytest.raises(ValueError, match="the blank, column 4"):
        CTCLoss(blank=4).forward(SCORES, np.ones((2, 1), int))
