import pathlib
import subprocess
import sys

import numpy as np
import pytest

import data
from data import batches, from_arrays, limit, load, scale, scale_targets, split

TOYS = [data.spirals, data.xor, data.moons, data.circles, data.blobs]


@pytest.fixture(autouse=True)
def global_generator_left_alone():
    """Every test of this file fails if anything in it draws from the global generator."""
    before = np.random.get_bit_generator().state["state"]
    yield
    after = np.random.get_bit_generator().state["state"]
    assert after["pos"] == before["pos"]
    assert np.array_equal(after["key"], before["key"])


def numbered(counts):
    """A classification with counts[c] examples of class c, each with its own number as its only feature."""
    y = np.repeat(np.arange(len(counts)), counts)
    return from_arrays(np.arange(len(y))[:, None], y)


def regression(n=100):
    rng = np.random.default_rng(0)
    return from_arrays(rng.normal(5, 3, (n, 4)), rng.normal(-20, 7, n))


# --- datasets by name


@pytest.mark.parametrize("name", sorted({*data.DATASETS} - {"mnist", "fashion_mnist", "cifar10", "text"}))
def test_a_dataset_has_finite_float32_features_and_consecutive_labels_or_float32_targets(name):
    dataset = load(name)
    assert dataset.X.dtype == np.float32
    assert np.isfinite(dataset.X).all()
    assert len(dataset) == len(dataset.X) == len(dataset.y)
    if dataset.task == "classification":
        assert dataset.y.dtype == np.int64
        assert np.unique(dataset.y).tolist() == list(range(len(dataset.classes)))
        assert all(type(label) is str for label in dataset.classes)
    else:
        assert dataset.y.dtype == np.float32
        assert dataset.y.shape == (len(dataset), dataset.num_outputs)


def test_the_bundled_sets_have_their_known_sizes():
    sizes = {
        name: (*load(name).X.shape, load(name).num_classes) for name in ("digits", "iris", "wine", "breast_cancer")
    }
    assert sizes == {
        "digits": (1797, 64, 10),
        "iris": (150, 4, 3),
        "wine": (178, 13, 3),
        "breast_cancer": (569, 30, 2),
    }
    assert load("iris").classes == ("setosa", "versicolor", "virginica")
    assert (load("diabetes").X.shape, load("diabetes").task) == ((442, 10), "regression")
    assert load("diabetes").y[:2].tolist() == [[151.0], [75.0]]


def test_digits_know_that_they_are_images_and_so_do_their_parts():
    digits = load("digits")
    assert digits.image_shape == (1, 8, 8)
    assert all(part.image_shape == (1, 8, 8) for part in scale(*split(digits)))
    assert load("iris").image_shape is None


@pytest.mark.parametrize("toy", TOYS)
def test_a_toy_is_decided_by_its_seed(toy):
    one, again, other = toy(60, seed=3), toy(60, seed=3), toy(60, seed=4)
    assert np.array_equal(one.X, again.X)
    assert np.array_equal(one.y, again.y)
    assert not np.array_equal(one.X, other.X)
    assert one.X.shape == (60, 2)


@pytest.mark.parametrize("toy", TOYS)
def test_a_toy_has_its_points_spread_evenly_over_the_classes(toy):
    counts = np.bincount(toy(61).y)
    assert counts.sum() == 61
    assert counts.max() - counts.min() <= 1


def test_without_noise_the_spirals_are_the_course_s_arms():
    spirals = data.spirals(9, noise=0)
    # arm j, point k of 3: r = k / 2 and t = 4 j + 2 k, at (r sin t, r cos t)
    expected = [(k / 2 * np.sin(4 * j + 2 * k), k / 2 * np.cos(4 * j + 2 * k)) for j in range(3) for k in range(3)]
    np.testing.assert_allclose(spirals.X, expected, atol=1e-6)
    assert spirals.y.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_noise_moves_a_spiral_along_the_angle_only():
    spirals = data.spirals()
    np.testing.assert_allclose(np.hypot(*spirals.X[100:200].T), np.linspace(0, 1, 100), atol=1e-6)
    assert np.abs(spirals.X - data.spirals(noise=0).X).max() > 0.1


def test_the_class_of_xor_is_whether_the_signs_differ():
    xor = data.xor(noise=0.2)
    assert np.array_equal(xor.y == 1, xor.X[:, 0] * xor.X[:, 1] < 0)


def test_n_asks_a_toy_for_so_many_points_and_draws_at_most_so_many_of_others():
    assert len(load("moons", n=50)) == 50
    assert len(load("iris", n=50)) == 50
    assert len(load("iris", n=1000)) == 150


def test_an_unknown_name_suggests_the_near_ones_and_lists_all():
    with pytest.raises(
        ValueError, match=r"unknown dataset 'moon'; did you mean moons\? Known: spirals, xor, .*\.npz or \.txt$"
    ):
        load("moon")
    with pytest.raises(ValueError, match="unknown dataset 'qqq'; Known"):
        load("qqq")


def test_what_only_a_table_can_use_is_refused_by_name():
    with pytest.raises(ValueError, match="target and task are for tables; iris knows its own"):
        load("iris", task="regression")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 2}, ValueError, "n must be a whole number of at least 3; got 2"),
        ({"n": 30.0}, TypeError, "n must be a whole number of at least 3; got 30.0"),
        ({"seed": -1}, ValueError, "seed must be a whole number of at least 0; got -1"),
    ],
)
def test_counts_and_seeds_out_of_range_are_named(options, error, message):
    for name in ("spirals", "blobs"):
        with pytest.raises(error, match=message):
            load(name, **options)


def test_spirals_split_and_scaled_need_no_scikit_learn():
    code = "import sys; from data import *; scale(*split(load('spirals'))); print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- arrays of one's own


def test_whole_numbers_and_text_are_labels_and_floats_are_targets():
    X = np.zeros((4, 2))
    assert from_arrays(X, [0, 1, 1, 2]).classes == ("0", "1", "2")
    assert from_arrays(X, [False, True, True, False]).y.tolist() == [0, 1, 1, 0]
    text = from_arrays(X, ["pear", "apple", "pear", "fig"])
    assert (text.y.tolist(), text.classes) == ([2, 0, 2, 1], ("apple", "fig", "pear"))
    targets = from_arrays(X, [0.0, 1.0, 1.0, 2.0])
    assert (targets.task, targets.y.shape, targets.num_outputs) == ("regression", (4, 1), 1)
    assert from_arrays(X, np.zeros((4, 3))).num_outputs == 3


def test_the_task_can_be_said_and_then_overrides_the_type():
    X = np.zeros((4, 2))
    assert from_arrays(X, [0, 1, 1, 2], task="regression").y.tolist() == [[0], [1], [1], [2]]
    assert from_arrays(X, [0.0, 1.0, 1.0, 2.0], task="classification").y.tolist() == [0, 1, 1, 2]


def test_given_class_names_say_how_many_classes_there_are():
    assert from_arrays(np.zeros((2, 1)), [0, 1], classes=["a", "b", "c"]).num_classes == 3


def test_a_dataset_keeps_a_copy_of_the_arrays_it_was_made_of():
    X, y = np.zeros((2, 1), np.float32), np.array([0, 1])
    dataset = from_arrays(X, y)
    X[0], y[0] = 7, 1
    assert (dataset.X[0, 0], dataset.y[0]) == (0, 0)


X42 = np.zeros((4, 2))


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        (np.zeros(4), [0, 1, 0, 1], {}, r"X must have shape \(N, D\), .* got \(4,\)"),
        (np.zeros((0, 2)), [], {}, r"X must have shape \(N, D\), .* got \(0, 2\)"),
        (X42, [0, 1, 1], {}, r"y must have one entry for each of the 4 rows of X; got shape \(3,\)"),
        (X42.astype(str), [0, 1, 0, 1], {}, "X must hold numbers; got dtype <U32"),
        ([[0, 1], [2, np.nan]], [0, 1], {}, "X must be finite .* got nan at row 1, column 1"),
        (
            [[0, 1], [1e40, 1]],
            [0, 1],
            {},
            r"X must be finite and within float32's 3.4e38; got 1e\+40 at row 1, column 0",
        ),
        (X42, [0, 1, np.inf, 1], {}, "y must be finite .* got inf at row 2, column 0"),
        (X42, ["a", "b", "a", "b"], {"task": "regression"}, "y must hold numbers"),
        (X42, [1, 2, 3, 1], {}, r"y must hold every label of 0..C-1; got 1, 2, 3\. Number the classes"),
        (X42, [0, 1, 3, 1], {}, r"y must hold every label of 0..C-1; got 0, 1, 3\."),
        (X42, [0, -1, 1, 0], {}, r"y must hold every label of 0..C-1; got -1, 0, 1\."),
        (X42, [0, 1, 2, 0], {"classes": ["a", "b"]}, r"y must hold labels 0..1, for the 2 classes; got 0..2"),
        (X42, ["a", "b", "a", "b"], {"classes": ["b", "a"]}, "classes name whole-number labels"),
        (X42, [0, 0.5, 1, 0], {"task": "classification"}, "labels y must be whole numbers or text; got 0.5"),
        (X42, [0, None, 1, 0], {}, "labels y must be whole numbers or text; got dtype object"),
        (X42, np.eye(4, dtype=int), {}, r"labels y must have shape \(N,\); got \(4, 4\)"),
        (X42, [0, 0, 0, 0], {}, "y must hold at least 2 classes; every label is 0"),
        (X42, ["a", "a", "a", "a"], {}, "y must hold at least 2 classes; every label is a"),
        (X42, np.zeros((4, 2, 2)), {}, r"targets y must have shape \(N,\) or \(N, M\)"),
        (X42, [0, 1, 0, 1], {"task": "regress"}, "task must be"),
    ],
)
def test_arrays_that_are_no_dataset_are_refused_with_what_is_wrong(X, y, options, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(X, y, **options)


# --- splits


def test_the_three_parts_hold_every_example_once():
    parts = split(numbered([40, 35, 25]), val=0.1, test=0.3)
    assert [len(part) for part in parts] == [60, 10, 30]
    assert sorted(np.concatenate([part.X[:, 0] for part in parts])) == list(range(100))


def test_each_part_has_the_classes_in_the_proportions_of_the_whole():
    dataset = load("digits")
    counts = np.bincount(dataset.y)
    train, val, test = (np.bincount(part.y) for part in split(dataset, val=0.1, test=0.25))
    assert np.abs(val - 0.1 * counts).max() <= 1
    assert np.abs(test - 0.25 * counts).max() <= 1
    assert np.abs(train - 0.65 * counts).max() <= 2  # what the others round away
    assert [np.bincount(part.y).tolist() for part in split(load("iris"))] == [[30] * 3, [10] * 3, [10] * 3]


@pytest.mark.parametrize("seed", range(5))
def test_a_class_with_one_or_two_examples_is_trained_on(seed):
    train, val, test = split(numbered([97, 1, 2]), seed=seed)
    assert np.bincount(train.y)[1:].tolist() == [1, 2]
    assert (len(val), len(test)) == (20, 20)


def test_features_follow_their_labels_into_a_part():
    dataset = numbered([10, 20, 30])
    for part in split(dataset):
        assert np.array_equal(part.y, dataset.y[part.X[:, 0].astype(int)])
        assert part.classes == dataset.classes


@pytest.mark.parametrize("dataset", [numbered([50, 50]), regression()], ids=["classification", "regression"])
def test_the_seed_decides_a_split_and_nothing_else_does(dataset):
    one, again, other = (split(dataset, seed=seed)[2].X for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(np.sort(one, axis=0), np.sort(other, axis=0))


def test_parts_are_copies():
    dataset = numbered([5, 5])
    assert not any(np.shares_memory(part.X, dataset.X) for part in split(dataset))


def test_a_fraction_of_zero_leaves_its_part_empty_and_a_small_one_gives_it_one_example():
    assert [len(part) for part in split(numbered([5, 5]), val=0, test=0.01)] == [9, 0, 1]


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({"val": -0.1}, r"val must be a fraction in \[0, 1\); got -0.1"),
        ({"test": 1}, r"test must be a fraction in \[0, 1\); got 1"),
        ({"val": 0.5, "test": 0.5}, "val=0.5 and test=0.5 must leave examples to train on, .* of 10 they take 5 and 5"),
    ],
)
def test_fractions_that_leave_no_training_part_are_refused(fractions, message):
    with pytest.raises(ValueError, match=message):
        split(numbered([5, 5]), **fractions)


def test_a_limit_keeps_the_proportions_and_is_decided_by_the_seed():
    dataset = numbered([600, 300, 100])
    assert np.bincount(limit(dataset, 50).y).tolist() == [30, 15, 5]
    assert np.array_equal(limit(dataset, 50, seed=1).X, limit(dataset, 50, seed=1).X)
    assert not np.array_equal(limit(dataset, 50, seed=1).X, limit(dataset, 50, seed=2).X)
    assert limit(dataset, 5000) is dataset
    with pytest.raises(ValueError, match="n must be a whole number of at least 1; got 0"):
        limit(dataset, 0)


# --- scaling


def test_the_training_part_becomes_standard_and_the_others_follow_its_figures():
    train, val = from_arrays([[1], [3]], [0, 1]), from_arrays([[7], [2]], [0, 1])
    scaled_train, scaled_val = scale(train, val)
    assert scaled_train.X.ravel().tolist() == [-1, 1]  # mean 2, standard deviation 1
    assert scaled_val.X.ravel().tolist() == [5, 0]


def test_minmax_takes_the_training_part_to_0_and_1_and_the_others_beyond_if_they_are():
    train, val = from_arrays([[1], [3]], [0, 1]), from_arrays([[7], [2]], [0, 1])
    scaled_train, scaled_val = scale(train, val, how="minmax")
    assert scaled_train.X.ravel().tolist() == [0, 1]
    assert scaled_val.X.ravel().tolist() == [3, 0.5]


@pytest.mark.parametrize("how", ["standard", "minmax"])
def test_figures_come_from_the_training_part_only(how):
    train, val, test = split(regression())
    outliers = from_arrays(val.X * 1000, val.y)
    assert np.array_equal(scale(train, val, test, how=how)[0].X, scale(train, outliers, how=how)[0].X)


@pytest.mark.parametrize("how", ["standard", "minmax"])
def test_a_constant_feature_is_shifted_to_zero_and_divided_by_nothing(how):
    train, test = from_arrays([[0.1, 1], [0.1, 2], [0.1, 3]], [0, 1, 0]), from_arrays([[0.6, 1], [0.1, 2]], [0, 1])
    scaled, scaled_test = scale(train, test, how=how)
    assert scaled.X[:, 0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(scaled_test.X[:, 0], [0.5, 0], atol=1e-7)


def test_close_numbers_far_from_zero_stay_apart():
    train = from_arrays([[1e6], [1e6 + 1], [1e6 + 2]], [0, 1, 0])
    np.testing.assert_allclose(scale(train)[0].X.ravel(), np.array([-1, 0, 1]) * 1.5**0.5, rtol=1e-6)


@pytest.mark.parametrize("how", data.SCALINGS)
def test_scaling_keeps_float32_and_the_arrays_it_was_given(how):
    parts = split(regression())
    for part in parts:
        part.X.setflags(write=False)
    before = [part.X.copy() for part in parts]
    scaled = scale(*parts, how=how)
    assert all(part.X.dtype == np.float32 for part in scaled)
    assert all(np.array_equal(part.X, old) for part, old in zip(parts, before))
    assert how != "none" or all(np.array_equal(part.X, old) for part, old in zip(scaled, before))


def test_targets_are_scaled_alike_in_all_parts():
    train, test = from_arrays([[0], [0]], [1.0, 5.0]), from_arrays([[0]], [9.0])
    scaled_train, scaled_test = scale_targets(train, test)
    assert scaled_train.y.tolist() == [[-1], [1]]  # mean 3, standard deviation 2
    assert scaled_test.y.tolist() == [[3]]
    assert scaled_test.y.dtype == np.float32


def test_predictions_on_scaled_targets_come_back_by_the_training_part_s_figures():
    train, _, test = split(regression())
    out = scale_targets(train, test)[1].y
    np.testing.assert_allclose(out * train.y.std(axis=0) + train.y.mean(axis=0), test.y, rtol=1e-4)


def test_scaling_refuses_what_has_no_scale():
    labels = numbered([5, 5])
    with pytest.raises(ValueError, match="how must be one of standard, minmax, none; got 'max'"):
        scale(labels, how="max")
    with pytest.raises(ValueError, match="must be a regression to have its targets scaled"):
        scale_targets(labels)
    with pytest.raises(ValueError, match="training part must hold examples"):
        scale(labels.take(np.arange(0)))


def test_an_empty_part_is_scaled_to_an_empty_part():
    train, val, _ = split(regression(), val=0)
    assert scale(train, val)[1].X.shape == (0, 4)


# --- batches

ROWS, LABELS = np.arange(20.0, dtype=np.float32).reshape(10, 2), np.arange(10)


def order(**options):
    return [int(label) for _, y in batches(ROWS, LABELS, 3, **options) for label in y]


def test_batches_hold_every_example_once_with_its_label():
    pairs = list(batches(ROWS, LABELS, 3, seed=1, epoch=2))
    assert [len(x) for x, _ in pairs] == [3, 3, 3, 1]
    assert sorted(order(seed=1, epoch=2)) == list(range(10))
    assert all(np.array_equal(x, ROWS[y]) for x, y in pairs)
    assert all(x.dtype == np.float32 for x, _ in pairs)


def test_the_order_is_a_function_of_seed_and_epoch_however_often_one_asks():
    assert order(seed=1, epoch=2) == order(seed=1, epoch=2) == np.random.default_rng((1, 2)).permutation(10).tolist()
    assert len({tuple(order(seed=seed, epoch=epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_without_shuffling_the_order_is_that_of_the_data():
    assert order(shuffle=False) == list(range(10))


def test_the_small_last_batch_can_be_dropped():
    assert len(order(drop_last=True)) == 9
    assert order(shuffle=False, drop_last=True) == list(range(9))
    assert len(list(batches(ROWS, LABELS, 5, drop_last=True))) == 2


def test_a_batch_is_not_overwritten_while_the_next_ones_are_made():
    pairs = list(batches(ROWS, LABELS, 3))
    arrays = [array for pair in pairs for array in pair]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in (*arrays[:i], ROWS, LABELS))


def test_batches_take_strided_arrays_of_any_rank():
    images = np.arange(60).reshape(3, 2, 10).T  # (10, 2, 3), not contiguous
    for x, y in batches(images, LABELS, 4):
        assert np.array_equal(x, images[y])


@pytest.mark.parametrize(
    ("y", "batch_size", "error", "message"),
    [
        (LABELS, 11, ValueError, "batch_size must be at most the 10 examples; got 11"),
        (LABELS, 0, ValueError, "batch_size must be a whole number of at least 1; got 0"),
        (LABELS, 2.0, TypeError, "batch_size must be a whole number of at least 1; got 2.0"),
        (LABELS[:9], 2, ValueError, "y must have one entry for each of the 10 examples of X; got 9"),
    ],
)
def test_batches_that_cannot_be_are_refused_at_once(y, batch_size, error, message):
    with pytest.raises(error, match=message):
        batches(ROWS, y, batch_size)


def test_the_digits_read_from_their_file_are_scikit_learn_s():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    digits = load("digits")
    assert np.array_equal(digits.X, X.astype(np.float32))
    assert np.array_equal(digits.y, y)
    assert (digits.classes, digits.image_shape) == (tuple("0123456789"), (1, 8, 8))
    assert digits.y.dtype == np.int64


def test_the_digits_load_without_scikit_learn():
    code = "import sys; from data import load; load('digits'); assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=pathlib.Path(__file__).parent.parent)
