import numpy as np
import pytest

import data
from data import AUGMENTATIONS, Compose, Crop, Cutout, Flip, Noise, batches
from layers import Affine, SoftmaxLoss
from models import Solver
from optim import SGD

ALL = [Flip(), Crop(), Cutout(), Noise(), Compose(Flip(), Crop(2), Cutout(3), Noise(0.1))]


def images(n=64, c=3, h=8, w=6, dtype=np.float32):
    X = np.random.default_rng(0).random((n, c, h, w)).astype(dtype) + 1  # nowhere 0, which is what is cut out
    X.setflags(write=False)
    return X


@pytest.mark.parametrize("augment", ALL, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_generator_gives_the_same_images_of_the_same_shape_and_dtype(augment, dtype):
    X = images(dtype=dtype)
    before = X.copy()
    one, again, other = (augment(X, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one.shape, one.dtype) == (X.shape, X.dtype)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, X)
    assert np.array_equal(X, before)
    assert not np.shares_memory(one, X)


@pytest.mark.parametrize("augment", ALL, ids=repr)
def test_a_batch_without_images_stays_one(augment):
    assert augment(images(n=0), np.random.default_rng(0)).shape == (0, 3, 8, 6)


def test_about_half_of_the_images_are_mirrored_and_the_rest_is_left():
    X = images(n=400)
    out = Flip()(X, np.random.default_rng(0))
    mirrored = [np.array_equal(new, old[:, :, ::-1]) for new, old in zip(out, X)]
    same = [np.array_equal(new, old) for new, old in zip(out, X)]
    assert all(a != b for a, b in zip(mirrored, same))
    assert 160 < sum(mirrored) < 240
    assert np.array_equal(Flip(0)(X, np.random.default_rng(0)), X)


def test_a_crop_is_a_shift_by_at_most_the_padding_and_every_shift_occurs():
    X = images(n=300, c=2, h=5, w=4)
    found = []
    for new, old in zip(Crop(padding=1)(X, np.random.default_rng(0)), X):
        shifts = []
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                expected = np.zeros_like(old)
                for i in range(5):
                    for j in range(4):
                        if 0 <= i - down < 5 and 0 <= j - right < 4:
                            expected[:, i, j] = old[:, i - down, j - right]
                if np.array_equal(new, expected):
                    shifts.append((down, right))
        assert len(shifts) == 1
        found += shifts
    assert len(set(found)) == 9


def test_without_a_number_the_largest_shift_is_an_eighth_of_the_height_and_the_square_a_half():
    X = images(h=16, w=16)
    rows = (Crop()(X, np.random.default_rng(0)) == 0).all(axis=(1, 3)).sum(axis=1)  # blank rows of each image
    assert rows.max() == 2
    assert (Cutout()(X, np.random.default_rng(0)) == 0).all(axis=1).sum(axis=(1, 2)).max() == 64


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_cutout_is_a_square_around_a_pixel_in_all_channels_clipped_at_the_edges(size):
    X = images(n=500)
    out = Cutout(size)(X, np.random.default_rng(0))
    centres = set()
    for new, old in zip(out, X):
        black = new == 0
        assert np.array_equal(new[~black], old[~black])
        assert (black == black[0]).all()
        possible = []
        for i in range(8):
            for j in range(6):
                expected = np.zeros((8, 6), bool)
                for di in range(size):
                    for dj in range(size):
                        row, column = i - size // 2 + di, j - size // 2 + dj
                        if 0 <= row < 8 and 0 <= column < 6:
                            expected[row, column] = True
                if np.array_equal(expected, black[0]):
                    possible.append((i, j))
        assert possible
        centres.update(possible)
    assert len(centres) == 48


def test_noise_has_the_deviation_it_is_asked_for_and_needs_floats():
    X = images(n=500)
    difference = Noise(0.2)(X, np.random.default_rng(0)) - X
    assert abs(difference.mean()) < 0.002
    assert abs(difference.std() - 0.2) < 0.002
    with pytest.raises(TypeError, match=r"X must be float32 or float64 to take noise; got uint8. Convert by as_floats"):
        Noise()(np.zeros((1, 1, 2, 2), np.uint8), np.random.default_rng(0))


@pytest.mark.parametrize("augment", [Flip(), Crop(), Cutout()], ids=repr)
def test_bytes_can_be_moved_and_stay_bytes(augment):
    X = np.full((4, 1, 8, 8), 200, np.uint8)
    assert augment(X, np.random.default_rng(0)).dtype == np.uint8


def test_augmentations_are_composed_in_order_on_one_generator():
    X, rng = images(), np.random.default_rng(5)
    expected = Cutout(2)(Crop(1)(X, rng), rng)
    assert np.array_equal(Compose(Crop(1), Cutout(2))(X, np.random.default_rng(5)), expected)
    assert Compose()(X, rng) is X
    assert repr(Compose(Flip(), Crop(2))) == "Compose(Flip(probability=0.5), Crop(padding=2))"


@pytest.mark.parametrize("augment", [make() for make in AUGMENTATIONS.values()], ids=repr)
def test_what_are_no_images_is_refused(augment):
    with pytest.raises(ValueError, match=r"X must hold images, an array \(N, C, H, W\); got \(5, 64\)"):
        augment(np.zeros((5, 64)), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Flip(1.5), ValueError, r"probability must be in \[0, 1\]; got 1.5"),
        (lambda: Crop(0), ValueError, "padding must be a whole number of at least 1; got 0"),
        (lambda: Cutout(2.0), TypeError, "size must be a whole number of at least 1; got 2.0"),
        (lambda: Noise(-1), ValueError, "deviation must be a finite number of at least 0; got -1"),
    ],
)
def test_settings_out_of_range_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


# --- in batches


def noise(seed, epoch):
    """What is added to each of four batches of five black images."""
    black = np.zeros((20, 1, 2, 2), np.float32)
    return [x for x, _ in batches(black, np.arange(20), 5, seed=seed, epoch=epoch, augment=Noise())]


def test_the_augmentation_of_a_batch_is_a_function_of_seed_epoch_and_batch():
    assert all(np.array_equal(a, b) for a, b in zip(noise(1, 2), noise(1, 2)))
    every = [batch.tobytes() for seed in (0, 1) for epoch in (0, 1) for batch in noise(seed, epoch)]
    assert len(set(every)) == 16


def test_the_augmentation_of_a_batch_does_not_depend_on_how_much_the_others_drew():
    black = np.zeros((20, 1, 2, 2), np.float32)
    calls = []

    def greedy(x, rng):
        calls.append(len(x))
        rng.random(0 if len(calls) == 3 else 999)
        return Noise()(x, rng)

    third = [x for x, _ in batches(black, np.arange(20), 5, seed=1, epoch=2, augment=greedy)][2]
    assert np.array_equal(third, noise(1, 2)[2])


def test_bytes_are_floats_before_they_are_augmented():
    X = np.full((4, 1, 2, 2), 255, np.uint8)
    (batch,) = batches(X, np.arange(4), 4, augment=Noise(1e-6))
    assert batch[0].dtype == np.float32
    np.testing.assert_allclose(batch[0], 1, atol=1e-4)


def test_a_run_with_augmentation_repeats_bitwise_and_differs_from_one_without():
    X, y = images(n=20), np.arange(20) % 3

    def weights(augment):
        model = Affine(3 * 8 * 6, 3, rng=0)
        optimizer = SGD(model.parameters(), learning_rate=0.1)
        Solver(model, SoftmaxLoss(), optimizer, epochs=3, batch_size=8, augment=augment).fit(X, y)
        return model.W.value.copy()

    assert np.array_equal(weights(ALL[-1]), weights(ALL[-1]))
    assert not np.array_equal(weights(ALL[-1]), weights(None))


def test_validation_sees_images_as_they_are():
    X, y = images(n=20), np.arange(20) % 3
    model = Affine(3 * 8 * 6, 3, rng=0)
    solver = Solver(
        model, SoftmaxLoss(), SGD(model.parameters(), learning_rate=0.0), epochs=1, batch_size=20, augment=Noise(10.0)
    )
    (row,) = solver.fit(X, y, X, y)
    assert row["val_loss"] == SoftmaxLoss().forward(model.forward(X), y)
    assert row["train_loss"] > 2 * row["val_loss"]


def test_every_augmentation_is_public_by_its_name():
    assert {make.__name__.lower(): make for make in (Flip, Crop, Cutout, Noise)} == AUGMENTATIONS
    assert {make.__name__ for make in AUGMENTATIONS.values()} <= set(data.__all__)
