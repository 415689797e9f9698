"""Nearest neighbours: distances beside loops, votes by hand, ties, blocks."""

import numpy as np
import pytest

from data import load, split
from models import KNearestNeighbor, knn

RNG = np.random.default_rng(0)
LINE = [[0.0], [1.0], [2.0], [10.0], [11.0]]  # five training examples on a line


def test_distances_are_those_of_two_loops():
    X, Z = RNG.standard_normal((4, 3)), RNG.standard_normal((5, 3))
    expected = [[sum((a - b) ** 2 for a, b in zip(x, z)) ** 0.5 for z in Z] for x in X]
    np.testing.assert_allclose(KNearestNeighbor().fit(Z, np.zeros(5, int)).compute_distances(X), expected, rtol=1e-12)


def test_an_example_is_at_distance_exactly_0_from_its_like_in_bytes():
    Z = RNG.integers(0, 256, (6, 3, 5, 7), dtype=np.uint8)
    distances = KNearestNeighbor().fit(Z, np.arange(6)).compute_distances(Z)
    assert (np.diag(distances) == 0).all()
    assert distances[0, 1] == np.linalg.norm(Z[0].astype(int) - Z[1])


def test_k_neighbours_vote():
    y = ["a", "b", "b", "a", "a"]
    model = KNearestNeighbor(k=1).fit(LINE, y)
    assert list(model.predict([[0.2], [1.2], [9.0]])) == ["a", "b", "a"]
    assert list(KNearestNeighbor(k=3).fit(LINE, y).predict([[0.2], [9.0]])) == ["b", "a"]
    assert list(KNearestNeighbor(k=5).fit(LINE, y).predict([[0.2]])) == ["a"]


def test_a_tie_of_votes_goes_to_the_smallest_class():
    for y in ([7, 3], [3, 7]):
        assert KNearestNeighbor(k=2).fit([[0.0], [1.0]], y).predict([[0.9]]) == [3]


def test_of_examples_equally_far_the_first_count():
    same = [[1.0], [1.0], [-1.0], [0.0]]
    assert KNearestNeighbor(k=1).fit(same[:3], [5, 2, 3]).predict([[0.0]]) == [5]
    # 0 is nearer than all; of the three at distance 1 the first two vote with it
    assert KNearestNeighbor(k=3).fit(same, [5, 5, 2, 2]).predict([[0.0]]) == [5]


def test_blocks_change_nothing_and_bound_the_memory(monkeypatch):
    X, y = RNG.standard_normal((40, 6)), RNG.integers(0, 3, 40)
    model = KNearestNeighbor(k=4).fit(X[:25], y[:25])
    whole = model.predict(X[25:])
    monkeypatch.setattr(knn, "BLOCK", 50)
    shapes = []
    monkeypatch.setattr(
        model, "predict_labels", lambda d: shapes.append(d.shape) or type(model).predict_labels(model, d)
    )
    np.testing.assert_array_equal(model.predict(X[25:]), whole)
    assert set(shapes) == {(2, 25), (1, 25)}


def test_it_predicts_what_scikit_learn_predicts_on_the_digits():
    from sklearn.neighbors import KNeighborsClassifier

    train, _, test = split(load("digits"), seed=0)
    theirs = KNeighborsClassifier(3).fit(train.X, train.y).predict(test.X)
    ours = KNearestNeighbor(k=3).fit(train.X, train.y)
    assert np.mean(ours.predict(test.X) == theirs) > 0.99  # ties apart
    assert ours.score(test.X, test.y) > 0.97


def test_no_examples_have_no_labels():
    assert KNearestNeighbor().fit(LINE, [0, 1, 2, 3, 4]).predict(np.zeros((0, 1))).shape == (0,)


def test_the_score_is_the_fraction_that_is_right():
    assert KNearestNeighbor().fit(LINE, [0, 1, 2, 3, 4]).score([[0.1], [1.1], [2.1], [9.0]], [0, 1, 2, 0]) == 0.75


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "3"])
def test_k_is_a_whole_number_of_at_least_1(k):
    with pytest.raises((ValueError, TypeError), match="k must be a whole number of at least 1"):
        KNearestNeighbor(k)


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        (LINE, [0, 1], r"y must have shape \(5,\)"),
        ([1.0, 2.0], [0, 1], r"X must have shape \(N, D\).*got \(2,\)"),
        (LINE[:2], [0, 1], "at least k = 3 examples.*got 2"),
        ([[np.nan]] * 5, [0] * 5, "X must hold finite numbers"),
        ([["a"]] * 5, [0] * 5, "X must hold finite numbers"),
    ],
)
def test_training_examples_that_do_not_fit_are_refused(X, y, words):
    with pytest.raises(ValueError, match=words):
        KNearestNeighbor(k=3).fit(X, y)


def test_examples_of_another_width_and_an_unfitted_model_are_refused():
    with pytest.raises(ValueError, match=r"call fit\(X, y\)"):
        KNearestNeighbor().predict(LINE)
    model = KNearestNeighbor().fit(LINE, [0, 1, 2, 3, 4])
    with pytest.raises(ValueError, match="X must have 1 features an example, as in fit; got 2"):
        model.predict([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"distances must have shape \(N, 5\)"):
        model.predict_labels(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"y must have shape \(5,\)"):
        model.score(LINE, [0])
