"""Autoencoder and VAE, the draw and the loss between its halves: exact cases, and that they learn."""

import math

import numpy as np
import pytest

from gradcheck import assert_gradients
from layers import Affine, ELBOLoss, GaussianSample, Layer, MSELoss
from models import MLP, VAE, Autoencoder
from optim import LBFGS, Adam


def small_vae(dtype=np.float64):
    encoder, decoder = (MLP(*sizes, activation="tanh", rng=0, dtype=dtype) for sizes in ((5, [4], 6), (3, [4], 5)))
    return VAE(encoder, decoder, latent=3, rng=0)


# --- the draw


def test_draws_have_the_mean_and_the_variance_that_were_asked_for():
    mu, logvar = np.full((200_000, 2), 3.0), np.tile([math.log(4), math.log(0.01)], (200_000, 1))
    z = GaussianSample(rng=0).forward(mu, logvar)
    np.testing.assert_allclose(z.mean(axis=0), [3, 3], atol=0.02)
    np.testing.assert_allclose(z.std(axis=0), [2, 0.1], rtol=0.01)
    assert abs(np.corrcoef(z.T)[0, 1]) < 0.01


def test_each_forward_draws_anew():
    layer = GaussianSample(rng=0)
    mu = np.zeros((4, 3))
    assert not np.allclose(layer.forward(mu, mu), layer.forward(mu, mu))


def test_gradients_of_a_draw_are_those_of_mean_plus_deviation_times_epsilon():
    layer = GaussianSample(rng=0)
    z = layer.forward(np.array([[1.0]]), np.array([[math.log(9)]]))  # z = 1 + 3 epsilon
    dmu, dlogvar = layer.backward(np.array([[2.0]]))
    assert dmu[0, 0] == 2
    assert dlogvar[0, 0] == pytest.approx(2 * (z[0, 0] - 1) / 2)  # d sqrt(v) / d log v = sqrt(v) / 2


def test_in_evaluation_the_draw_is_its_mean_whatever_the_variance():
    layer, mu = GaussianSample(rng=0).eval(), np.array([[1.0, -2.0]])
    np.testing.assert_array_equal(layer.forward(mu, np.full((1, 2), 7.0)), mu)
    dmu, dlogvar = layer.backward(np.array([[3.0, 4.0]]))
    np.testing.assert_array_equal(dmu, [[3, 4]])
    np.testing.assert_array_equal(dlogvar, [[0, 0]])


# --- the loss


def test_the_loss_of_a_blank_guess_is_log_2_a_pixel_and_the_divergence_is_worked_by_hand():
    scores, y = np.zeros((2, 3)), np.array([[0.0, 1.0, 0.3], [1.0, 1.0, 0.0]])
    mu, logvar = np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [0.0, math.log(3)]])
    loss = ELBOLoss(beta=0.5)
    value = loss.forward(scores, mu, logvar, y)
    reconstruction, kl = loss.terms
    assert reconstruction == pytest.approx(3 * math.log(2))
    assert kl == pytest.approx((2 + (3 - 1 - math.log(3)) / 2) / 2)
    assert value == pytest.approx(reconstruction + kl / 2)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_twice_the_pixels_or_dimensions_cost_twice_as_much_and_twice_the_examples_as_much(likelihood):
    def terms(*inputs):
        loss = ELBOLoss(likelihood)
        loss.forward(*inputs)
        return loss.terms

    rng = np.random.default_rng(0)
    scores, mu, logvar, y = rng.standard_normal((4, 6)), *rng.standard_normal((2, 4, 3)), rng.random((4, 6))
    reconstruction, kl = terms(scores, mu, logvar, y)
    wide = [np.hstack([x, x]) for x in (scores, mu, logvar, y)]
    np.testing.assert_allclose(terms(*wide), (2 * reconstruction, 2 * kl))
    long = [np.vstack([x, x]) for x in (scores, mu, logvar, y)]
    np.testing.assert_allclose(terms(*long), (reconstruction, kl))
    images = terms(scores.reshape(4, 1, 2, 3), mu, logvar, y.reshape(4, 1, 2, 3))
    np.testing.assert_allclose(images, (reconstruction, kl))


def test_with_the_true_posterior_the_loss_is_the_negative_log_likelihood_and_with_another_more():
    # z ~ N(0, 1), y = w z + N(0, 1): y ~ N(0, 1 + w^2), and z given y is N(w y / (1 + w^2), 1 / (1 + w^2)).
    w, y = 2.0, 1.5
    encoder, decoder = Affine(1, 2, dtype=np.float64), Affine(1, 1, dtype=np.float64)
    decoder.W.value = [[w]]
    model, loss, x = VAE(encoder, decoder, latent=1, rng=0), ELBOLoss("gaussian"), np.full((400_000, 1), y)
    encoder.W.value = [[w / (1 + w * w), 0]]
    encoder.b.value = [0, -math.log(1 + w * w)]
    exact = y * y / (2 * (1 + w * w)) + math.log(1 + w * w) / 2  # without log(2 pi) / 2, as in the loss
    assert loss.forward(*model.forward(x), x) == pytest.approx(exact, abs=0.005)
    encoder.b.value = [0.3, -math.log(1 + w * w)]  # a mean beside the truth costs its squared distance in deviations
    assert loss.forward(*model.forward(x), x) == pytest.approx(exact + 0.3**2 * (1 + w * w) / 2, abs=0.005)


# --- the models


class Objective(Layer):
    """The loss of a VAE as one layer of its data."""

    def __init__(self, beta):
        self.model, self.loss = small_vae(), ELBOLoss(beta=beta)

    def forward(self, x):
        return self.loss.forward(*self.model.forward(x), np.full(x.shape, 0.3))

    def backward(self, dout=1.0):
        return self.model.backward(*self.loss.backward(dout))


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_the_gradient_of_the_whole_loss_is_right_in_data_and_parameters(beta):
    assert_gradients(Objective(beta), np.random.default_rng(0).standard_normal((6, 5)))


def test_an_output_that_nobody_used_counts_as_a_gradient_of_zero():
    model, x = small_vae(), np.ones((2, 5))
    scores, mu, _ = model.forward(x)
    some, more, zero = np.ones_like(scores), np.ones_like(mu), np.zeros_like(mu)
    np.testing.assert_array_equal(model.backward(some, None, more), model.backward(some, zero, more))
    np.testing.assert_array_equal(model.backward(None, more, None), model.backward(0 * some, more, zero))
    assert np.abs(model.backward(None, more, None)).max() > 0


def test_add_grads_of_a_vae_are_those_of_backward():
    model, loss, x = small_vae(), ELBOLoss(), np.full((2, 5), 0.3)
    loss.forward(*model.forward(x), x)
    model.backward(*loss.backward())
    expected = {name: p.grad.copy() for name, p in model.parameters().items()}
    model.zero_grad()
    model.add_grads(*loss.backward())
    for name, parameter in model.parameters().items():
        np.testing.assert_array_equal(parameter.grad, expected[name])


def test_a_linear_autoencoder_keeps_what_principal_components_keep():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 4)) @ np.diag([3.0, 2.0, 0.5, 0.2]) @ np.linalg.qr(rng.standard_normal((4, 4)))[0]
    X -= X.mean(axis=0)
    model = Autoencoder(Affine(4, 2, rng=1, dtype=np.float64), Affine(2, 4, rng=2, dtype=np.float64))
    loss, optimizer = MSELoss(), LBFGS(model.parameters())

    def closure():
        optimizer.zero_grad()
        value = loss.forward(model.forward(X), X)
        model.add_grads(loss.backward())
        return value

    for _ in range(30):
        optimizer.step(closure)
    left_over = (np.linalg.svd(X, compute_uv=False)[2:] ** 2).sum() / X.size
    assert closure() == pytest.approx(left_over, rel=1e-6)


def test_a_vae_learns_four_pictures_and_draws_them():
    # The best possible loss is the entropy of the data, log 4 = 1.386 nats.
    pictures = np.random.default_rng(0).integers(0, 2, (4, 12)).astype(np.float32)
    X = np.tile(pictures, (16, 1))
    model = VAE(MLP(12, [32], 4, rng=0), MLP(2, [32], 12, rng=1), latent=2, rng=2)
    loss, optimizer = ELBOLoss(), Adam(model.parameters(), learning_rate=0.01)
    values = []
    for _ in range(600):
        optimizer.zero_grad()
        values.append(loss.forward(*model.forward(X), X))
        model.add_grads(*loss.backward())
        optimizer.step()
    assert values[0] > 8
    assert 1.386 < np.mean(values[-50:]) < 2.5
    np.testing.assert_array_equal(model.reconstruct(pictures) > 0, pictures == 1)
    drawn = model.sample(200) > 0
    known = (drawn[:, None] == (pictures == 1)).all(axis=2)  # (200, 4)
    assert known.any(axis=1).mean() > 0.8
    assert known.any(axis=0).all()


def test_samples_repeat_with_their_generator_and_keep_modes_and_dtype():
    model = small_vae(np.float32)
    out = model.sample(7, rng=3)
    assert out.shape == (7, 5)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, model.sample(7, rng=3))
    assert not np.array_equal(model.sample(7), model.sample(7))
    assert model.sample(0).shape == (0, 5)
    assert model.training
    assert model.sampler.training


def test_the_vaes_code_and_reconstruction_are_those_of_the_mean():
    model, x = small_vae(), np.random.default_rng(0).standard_normal((4, 5))
    scores, mu, _ = model.eval().forward(x)
    np.testing.assert_allclose(model.encode(x), mu)
    np.testing.assert_allclose(model.reconstruct(x), scores)
    np.testing.assert_allclose(model.predict(x), scores)


@pytest.mark.parametrize("model", [small_vae(), Autoencoder(Affine(5, 3, rng=0), MLP(3, [4], 5, rng=0))])
def test_an_interpolation_runs_from_reconstruction_to_reconstruction_past_the_mean_code(model):
    start, end = np.random.default_rng(0).standard_normal((2, 5))
    out = model.interpolate(start, end, 5)
    ends = np.stack([start, end])
    np.testing.assert_allclose(out[[0, -1]], model.reconstruct(ends), rtol=1e-5)
    np.testing.assert_allclose(out[2], model.decode(model.encode(ends).mean(axis=0, keepdims=True))[0], rtol=1e-5)


# --- errors


def test_an_encoder_of_the_wrong_width_is_refused_with_the_right_one():
    model = VAE(Affine(5, 3, rng=0), Affine(3, 5, rng=0), latent=3)
    with pytest.raises(ValueError, match=r"encoder must return shape \(N, 6\).* got \(2, 3\).*Affine\(\.\.\., 6\)"):
        model.forward(np.ones((2, 5)))
    with pytest.raises(ValueError, match="encoder must return shape"):
        model.encode(np.ones((2, 5)))


@pytest.mark.parametrize("latent", [0, -1, 2.0, True])
def test_a_latent_that_is_no_count_is_refused(latent):
    with pytest.raises((ValueError, TypeError), match="latent must be a whole number of at least 1; got"):
        VAE(Affine(5, 4), Affine(2, 5), latent=latent)


def test_bad_arguments_of_loss_and_sampling_are_named():
    model = small_vae()
    with pytest.raises(ValueError, match='likelihood must be "bernoulli" or "gaussian"; got \'poisson\''):
        ELBOLoss("poisson")
    with pytest.raises(ValueError, match="beta must be a number in"):
        ELBOLoss(beta=-1)
    with pytest.raises(ValueError, match="mu must have 2 rows, one an example of scores; got 3"):
        ELBOLoss().forward(np.zeros((2, 5)), np.zeros((3, 1)), np.zeros((3, 1)), np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"y must lie in \[0, 1\]"):
        ELBOLoss().forward(np.zeros((2, 5)), np.zeros((2, 1)), np.zeros((2, 1)), np.full((2, 5), 16.0))
    with pytest.raises(ValueError, match="n must be a whole number of at least 0; got -1"):
        model.sample(-1)
    with pytest.raises(ValueError, match=r"end must have the shape \(5,\) of start; got \(4,\)"):
        model.interpolate(np.zeros(5), np.zeros(4))
    with pytest.raises(ValueError, match="steps must be a whole number of at least 2; got 1"):
        model.interpolate(np.zeros(5), np.zeros(5), 1)
