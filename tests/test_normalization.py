import math

import numpy as np
import pytest

from layers import BatchNorm, LayerNorm, _norms

from .differences import assert_backward_is_right


def naive_normalized(values, eps=1e-5):
    """One list of numbers to mean 0 and variance 1, in plain Python."""
    mean = math.fsum(values) / len(values)
    var = math.fsum((v - mean) ** 2 for v in values) / len(values)
    return [(v - mean) / math.sqrt(var + eps) for v in values]


def randomized(layer, seed=5):
    """Move gamma and beta away from 1 and 0, which hide mistakes."""
    rng = np.random.default_rng(seed)
    layer.gamma.value = 1 + 0.5 * rng.standard_normal(layer.gamma.value.shape)
    layer.beta.value = rng.standard_normal(layer.beta.value.shape)
    return layer


def draw(*shape, seed=0):
    return 3 + 2 * np.random.default_rng(seed).standard_normal(shape)


def test_batch_norm_normalizes_each_column_as_plain_python_does():
    layer, x = randomized(BatchNorm(3, dtype=np.float64)), draw(7, 3)
    columns = [naive_normalized(column.tolist()) for column in x.T]
    np.testing.assert_allclose(
        layer.forward(x), np.array(columns).T * layer.gamma.value + layer.beta.value, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("shape", [(3,), (7, 3), (4, 2, 3), (2, 1, 2, 3)])
def test_layer_norm_normalizes_each_row_as_plain_python_does(shape):
    layer, x = randomized(LayerNorm(3, dtype=np.float64)), draw(*shape)
    rows = [naive_normalized(row.tolist()) for row in x.reshape(-1, 3)]
    expected = np.reshape(rows, shape) * layer.gamma.value + layer.beta.value
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("training", [True, False])
def test_backward_of_batch_norm_is_the_slope_in_both_modes(training, n):
    layer = randomized(
        BatchNorm(3, dtype=np.float64, running_decay=1.0)
    )  # 1: the differences leave the statistics alone
    layer.running_mean[:] = [1.0, 2.0, 3.0]
    layer.running_var[:] = [0.5, 2.0, 4.0]
    assert_backward_is_right(layer.train(training), draw(n, 3))


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 4, 3)])
def test_backward_of_layer_norm_is_the_slope(shape):
    assert_backward_is_right(randomized(LayerNorm(3, dtype=np.float64)), draw(*shape))


def test_the_eval_mode_gradient_is_a_constant_factor():
    layer = BatchNorm(2, dtype=np.float64).eval()
    layer.running_var[:] = [4.0, 0.25]
    layer.forward(draw(3, 2))
    np.testing.assert_allclose(layer.backward(np.ones((3, 2))), [[0.5, 2.0]] * 3, rtol=1e-4)


def test_backward_belongs_to_its_forward_whatever_the_mode_is_now():
    layer, dout = BatchNorm(3, dtype=np.float64), draw(7, 3, seed=1)
    layer.forward(draw(7, 3))
    dx = layer.backward(dout)
    layer.eval()
    np.testing.assert_array_equal(layer.backward(dout), dx)


def test_running_statistics_by_hand():
    layer = BatchNorm(1, running_decay=0.75, dtype=np.float64)
    layer.forward(np.array([[2.0], [6.0]]))  # mean 4, biased variance 4, unbiased 8
    np.testing.assert_allclose(layer.running_mean, [0.75 * 0 + 0.25 * 4])
    np.testing.assert_allclose(layer.running_var, [0.75 * 1 + 0.25 * 8])
    layer.forward(np.array([[0.0], [0.0]]))
    np.testing.assert_allclose(layer.running_mean, [0.75 * 1])
    np.testing.assert_allclose(layer.running_var, [0.75 * 2.75])


def test_running_statistics_move_toward_those_of_the_data():
    layer, rng = BatchNorm(2), np.random.default_rng(0)
    for _ in range(200):
        layer.forward(rng.normal([5, -3], [2, 0.5], (64, 2)))
    np.testing.assert_allclose(layer.running_mean, [5, -3], atol=0.3)
    np.testing.assert_allclose(layer.running_var, [4, 0.25], rtol=0.2)


def test_evaluation_uses_the_running_statistics_and_leaves_them_alone():
    layer = BatchNorm(1, dtype=np.float64).eval()
    layer.running_mean[:], layer.running_var[:] = 3.0, 4.0
    np.testing.assert_allclose(layer.forward(np.array([[5.0]])), [[1.0]], rtol=1e-5)
    assert (layer.running_mean[0], layer.running_var[0]) == (3.0, 4.0)


def test_a_training_batch_of_one_gives_beta_and_keeps_the_running_variance():
    layer = randomized(BatchNorm(3, dtype=np.float64))
    np.testing.assert_array_equal(layer.forward(draw(1, 3)), layer.beta.value[None])
    np.testing.assert_array_equal(layer.running_var, [1, 1, 1])
    np.testing.assert_allclose(layer.running_mean, 0.1 * draw(1, 3)[0])
    np.testing.assert_array_equal(layer.backward(np.ones((1, 3))), np.zeros((1, 3)))


def test_an_empty_batch_gives_nothing_and_keeps_the_statistics():
    layer = BatchNorm(3)
    layer.running_mean[:] = 2
    assert layer.forward(np.zeros((0, 3))).shape == (0, 3)
    assert layer.backward(np.zeros((0, 3), np.float32)).shape == (0, 3)
    np.testing.assert_array_equal(layer.running_mean, [2, 2, 2])
    np.testing.assert_array_equal(layer.running_var, [1, 1, 1])
    np.testing.assert_array_equal(layer.gamma.grad, [0, 0, 0])


def test_tied_twins_share_the_running_statistics():
    layer = BatchNorm(2, running_decay=0.5)
    twin, mean, var = layer.tied(), layer.running_mean, layer.running_var
    layer.forward(np.full((4, 2), 8.0))
    twin.forward(np.full((4, 2), 8.0))
    assert twin.running_mean is layer.running_mean is mean  # updated in place
    assert twin.running_var is layer.running_var is var
    np.testing.assert_allclose(layer.running_mean, [6, 6])


def test_the_state_carries_the_statistics_and_astype_converts_them():
    layer = BatchNorm(2)
    layer.forward(draw(5, 2))
    other = BatchNorm(2, dtype=np.float64)
    other.load_state_dict(layer.state_dict())
    assert set(layer.state_dict()) == {"gamma", "beta", "running_mean", "running_var"}
    np.testing.assert_array_equal(other.running_var, layer.running_var)
    assert layer.astype(np.float64).running_var.dtype == np.float64


@pytest.mark.parametrize("offset", [1e3, 1e4, -1e4])
@pytest.mark.parametrize("make", [lambda: BatchNorm(5), lambda: LayerNorm(500)], ids=["batch", "layer"])
def test_an_offset_far_from_zero_costs_no_digits_in_float32(make, offset):
    layer = make()
    x = (offset + np.random.default_rng(0).standard_normal((4000, len(layer.gamma.value)))).astype(np.float32)
    exact = make().astype(np.float64)
    dout = np.random.default_rng(1).standard_normal(x.shape)
    np.testing.assert_allclose(layer.forward(x), exact.forward(x), atol=1e-5)
    np.testing.assert_allclose(layer.backward(dout.astype(np.float32)), exact.backward(dout), atol=1e-5)
    for name in layer.buffers:
        np.testing.assert_allclose(getattr(layer, name), getattr(exact, name), rtol=3e-7)


def test_a_constant_feature_becomes_beta_even_where_its_sum_rounds():
    layer = BatchNorm(1)
    out = layer.forward(np.full((1000, 1), 1234.567, np.float32))
    np.testing.assert_allclose(out, 0, atol=1e-4)
    assert np.isfinite(layer.backward(np.ones((1000, 1), np.float32))).all()


@pytest.mark.parametrize("layer", [BatchNorm(3), BatchNorm(3).eval(), LayerNorm(3)], ids=["batch", "eval", "layer"])
def test_everything_stays_in_the_dtype_of_the_parameters(layer):
    for dtype in (np.float64, np.int64, np.float32):
        assert layer.forward(np.ones((4, 3), dtype)).dtype == np.float32
    assert layer.backward(np.ones((4, 3), np.float32)).dtype == np.float32
    assert {p.grad.dtype for p in layer.parameters().values()} == {np.dtype(np.float32)}


def test_gamma_and_beta_are_not_decayed():
    for layer in (BatchNorm(2), LayerNorm(2)):
        assert [p.decay for p in layer.parameters().values()] == [False, False]


@pytest.mark.parametrize("shape", [(4, 2), (3,), (4, 3, 1), ()])
def test_batch_norm_refuses_another_width(shape):
    with pytest.raises(ValueError, match=r"x must have shape \(N, 3\) or \(N, 3, H, W\); got"):
        BatchNorm(3).forward(np.zeros(shape))


@pytest.mark.parametrize("shape", [(4, 2), (3, 1), ()])
def test_layer_norm_refuses_another_width(shape):
    with pytest.raises(ValueError, match=r"x must have shape \(..., 3\); got"):
        LayerNorm(3).forward(np.zeros(shape))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: BatchNorm(0), "num_features"),
        (lambda: LayerNorm(-1), "num_features"),
        (lambda: BatchNorm(3, eps=0), "eps"),
        (lambda: BatchNorm(3, running_decay=1.1), "running_decay"),
        (lambda: LayerNorm(3, eps=-1), "eps"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(make, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        make()


@pytest.mark.parametrize("shape", [(7, 4), (3, 4, 5, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_the_compiled_passes_do_what_numpy_does(shape, training, compiled_loops, monkeypatch):
    rng = np.random.default_rng(0)
    x, dout = 100 + rng.standard_normal(shape), rng.standard_normal(shape)

    def results():
        layer = BatchNorm(4, dtype=np.float64).train(training)
        layer.gamma.value, layer.beta.value = [1.0, -2.0, 0.5, 0.0], [1.0, 2.0, 3.0, 4.0]
        out, dx = layer.forward(x), layer.backward(dout)
        return out, dx, layer.gamma.grad, layer.beta.grad, layer.running_mean, layer.running_var

    plain = results()
    loops = compiled_loops("_norms_compiled")
    monkeypatch.setattr(_norms, "fastest", lambda rows: loops)
    for mine, exact in zip(results(), plain):
        np.testing.assert_allclose(mine, exact, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("passes", ["plain", "compiled"])
@pytest.mark.parametrize("case", ["far from 0", "nearly constant", "first an outlier"])
def test_batch_norm_in_float32_is_as_exact_wherever_x_lies(case, passes, compiled_loops, monkeypatch):
    rng = np.random.default_rng(0)
    z, dout = rng.standard_normal((2, 4096, 2))
    x = {"far from 0": z + 1e6, "nearly constant": 5 + z / 1e4, "first an outlier": np.vstack([[[1e6, -1e6]], z[1:]])}[
        case
    ]
    x, dout = x.astype(np.float32), dout.astype(np.float32)
    exact = BatchNorm(2, dtype=np.float64)
    out, dx = exact.forward(x), exact.backward(dout)
    module = compiled_loops("_norms_compiled") if passes == "compiled" else _norms
    monkeypatch.setattr(_norms, "fastest", lambda rows: module)
    layer = BatchNorm(2)
    for mine, true in ((layer.forward(x), out), (layer.backward(dout), dx), (layer.gamma.grad, exact.gamma.grad)):
        np.testing.assert_allclose(mine, true, rtol=0, atol=2e-6 * np.abs(true).max())


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (130, 6), (0, 4)])
def test_the_compiled_passes_of_layer_norm_do_what_numpy_does(shape, compiled_loops):
    rng = np.random.default_rng(0)
    rows, dout, (gamma, beta) = *rng.standard_normal((2, *shape)), rng.standard_normal((2, shape[1]))
    rows, dout, gamma, beta = (a.astype(np.float32) for a in (rows, dout, gamma, beta))

    def results(module):
        x_hat, inv_std, out = module.normalize(rows, gamma, beta, 1e-3)
        return x_hat, inv_std, out, *module.normalize_back(dout, x_hat, inv_std, gamma)

    for mine, exact in zip(results(compiled_loops("_norms_compiled")), results(_norms), strict=True):
        assert mine.dtype == exact.dtype
        np.testing.assert_allclose(mine, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("passes", ["plain", "compiled"])
@pytest.mark.parametrize("shift", [0, 1e4])
def test_layer_norm_in_float32_is_as_exact_wherever_x_lies(passes, shift, compiled_loops, monkeypatch):
    module = compiled_loops("_norms_compiled") if passes == "compiled" else _norms
    monkeypatch.setattr(_norms, "fastest", lambda rows, least: module)
    x, dout = np.random.default_rng(0).standard_normal((2, 300, 16)).astype(np.float32)
    x += np.float32(shift)
    layer, exact = LayerNorm(16), LayerNorm(16, dtype=np.float64)
    for mine, true in (
        (layer.forward(x), exact.forward(x)),
        (layer.backward(dout), exact.backward(dout)),
        (layer.gamma.grad, exact.gamma.grad),
        (layer.beta.grad, exact.beta.grad),
    ):
        np.testing.assert_allclose(mine, true, rtol=0, atol=2e-6 * np.abs(true).max())


def test_compiled_passes_are_for_many_rows_in_float32(monkeypatch):
    monkeypatch.setattr(_norms, "compiled", lambda name: name)
    layer = _norms.LEAST_LAYER
    assert _norms.fastest(np.ones((layer // 4, 4), np.float32), layer) == "_norms"
    assert _norms.fastest(np.ones((layer // 4 - 1, 4), np.float32), layer) is _norms
    many = _norms.LEAST_BATCH // 4
    assert _norms.fastest(np.ones((many, 4), np.float32)) == "_norms"
    assert _norms.fastest(np.ones((many - 1, 4), np.float32)) is _norms
    assert _norms.fastest(np.ones((many, 4), np.float16)) is _norms


@pytest.mark.parametrize("dtype", [np.float16, np.float64, int])
def test_a_dout_of_another_dtype_gives_dx_in_that_of_the_layer(dtype):
    layer = BatchNorm(4)
    layer.forward(np.random.default_rng(0).standard_normal((_norms.LEAST_BATCH // 4, 4)))
    assert layer.backward(np.ones((_norms.LEAST_BATCH // 4, 4), dtype)).dtype == np.float32


def test_layer_norm_goes_by_the_compiled_passes_where_they_are(compiled_loops, monkeypatch):
    module = compiled_loops("_norms_compiled")
    called = []
    monkeypatch.setattr(_norms, "compiled", lambda name: called.append(name) or module)
    layer, x = LayerNorm(8), np.ones((_norms.LEAST_LAYER // 8, 8), np.float32)
    layer.backward(layer.forward(x))
    assert called == ["_norms", "_norms"]


def test_the_compiled_gradients_of_a_layer_norm_are_summed_over_parts(compiled_loops, monkeypatch):
    module = compiled_loops("_norms_compiled")
    monkeypatch.setattr(module, "in_parts", lambda function, n, size: [function(slice(0, 3)), function(slice(3, n))])
    rows, dout = np.random.default_rng(0).standard_normal((2, 10, 4)).astype(np.float32)
    gamma, beta = np.ones(4, np.float32), np.zeros(4, np.float32)
    x_hat, inv_std, out = module.normalize(rows, gamma, beta, 1e-5)
    exact = _norms.normalize(rows, gamma, beta, 1e-5)
    for mine, true in zip((x_hat, inv_std, out), exact, strict=True):
        np.testing.assert_allclose(mine, true, rtol=1e-4, atol=1e-5)
    for mine, true in zip(
        module.normalize_back(dout, x_hat, inv_std, gamma), _norms.normalize_back(dout, *exact[:2], gamma), strict=True
    ):
        np.testing.assert_allclose(mine, true, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("passes", ["plain", "compiled"])
def test_layer_norm_does_not_overflow_in_a_sum(passes, compiled_loops):
    module = compiled_loops("_norms_compiled") if passes == "compiled" else _norms
    rows = np.full((2, 64), 1e37, np.float32)
    _, _, out = module.normalize(rows, np.ones(64, np.float32), np.zeros(64, np.float32), 1e-5)
    assert np.isfinite(out).all()


def test_layer_norm_takes_a_dout_of_another_dtype():
    layer = LayerNorm(4)
    layer.forward(np.ones((3, 4), np.float32))
    assert layer.backward(np.ones((3, 4))).dtype == np.float32
