import pickle

import numpy as np
import pytest

from layers import initializers

# name: standard deviation of a weight with fan-in 200 and fan-out 300
SPREADS = {
    "he_normal": (2 / 200) ** 0.5,
    "he_uniform": (2 / 200) ** 0.5,
    "xavier_normal": (2 / 500) ** 0.5,
    "xavier_uniform": (2 / 500) ** 0.5,
    "glorot_normal": (2 / 500) ** 0.5,
    "glorot_uniform": (2 / 500) ** 0.5,
    "lecun_normal": (1 / 200) ** 0.5,
    "lecun_uniform": (1 / 200) ** 0.5,
}
EVERY = {
    **{name: getattr(initializers, name) for name in SPREADS},
    "normal": initializers.normal(0.1),
    "uniform": initializers.uniform(0.1),
    "orthogonal": initializers.orthogonal,
    "zeros": initializers.zeros,
}


@pytest.mark.parametrize("name", SPREADS)
def test_mean_and_spread_are_those_of_the_papers(name):
    weights = EVERY[name](0, (200, 300), np.float64)
    assert abs(weights.mean()) < 4 * SPREADS[name] / 60_000**0.5
    assert weights.std() == pytest.approx(SPREADS[name], rel=0.02)
    if name.endswith("uniform"):  # the bound of a uniform is sqrt(3) standard deviations
        assert 0.99 < np.abs(weights).max() / (3**0.5 * SPREADS[name]) <= 1
    elif name.endswith("normal"):
        assert np.abs(weights).max() > 3.5 * SPREADS[name]


def test_the_scale_of_normal_and_the_bound_of_uniform_ignore_the_shape():
    assert initializers.normal(0.3)(0, (400, 100)).std() == pytest.approx(0.3, rel=0.02)
    assert initializers.normal()(0, (100, 400)).std() == pytest.approx(0.01, rel=0.02)
    weights = initializers.uniform(0.3)(0, (400, 100))
    assert 0.299 < weights.max() <= np.float32(0.3)
    assert -np.float32(0.3) <= weights.min() < -0.299


@pytest.mark.parametrize(
    ("shape", "expected"), [((5, 7), (5, 7)), ((8, 3, 5, 5), (75, 200)), ((6,), (6, 6)), ((), (1, 1))]
)
def test_fans_of_weights_filters_and_vectors(shape, expected):
    assert initializers.fans(shape) == expected


@pytest.mark.parametrize("shape", [(7, 7), (9, 4), (4, 9), (4, 3, 2, 2)])
def test_orthogonal_gives_orthonormal_rows_or_columns(shape):
    matrix = initializers.orthogonal(0, shape, np.float64).reshape(shape[0], -1)
    rows, columns = matrix.shape
    gram = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_has_no_preferred_sign():
    diagonal = [initializers.orthogonal(seed, (3, 3))[0, 0] for seed in range(200)]
    assert 60 < sum(d > 0 for d in diagonal) < 140


@pytest.mark.parametrize("init", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_and_dtype_are_those_asked_for(init, dtype):
    for shape in ((3, 5), (5, 3), (4, 3, 2, 2), (1, 1)):
        weights = init(0, shape, dtype)
        assert weights.shape == shape
        assert weights.dtype == dtype
    assert init(0, (2, 2)).dtype == np.float32


@pytest.mark.parametrize("name", [name for name in EVERY if name != "zeros"])
def test_the_seed_decides_the_weights(name):
    init = EVERY[name]
    first = init(1, (3, 5), np.float32)
    np.testing.assert_array_equal(first, init(np.random.default_rng(1), (3, 5), np.float32))
    np.testing.assert_array_equal(first, pickle.loads(pickle.dumps(init))(1, (3, 5), np.float32))
    assert not np.array_equal(first, init(2, (3, 5), np.float32))


def test_a_shared_generator_goes_on_from_weight_to_weight():
    rng = np.random.default_rng(0)
    assert not np.array_equal(initializers.he_normal(rng, (3, 3)), initializers.he_normal(rng, (3, 3)))


def test_zeros_are_zeros():
    np.testing.assert_array_equal(initializers.zeros(None, (2, 3)), np.zeros((2, 3)))
