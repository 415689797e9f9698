"""Diffusion: its closed forms against each other and sums by hand; sampling with a denoiser known to be right."""

import numpy as np
import pytest

from layers import Layer
from models import Denoiser, GaussianDiffusion

X, T = np.ones((2, 3)), np.array([0, 1])
SCHEDULES = ["cosine", "linear"]


class RightFor(Layer):
    """The best denoiser of data from N(mean, std**2): E[noise | xt], known in closed form."""

    def __init__(self, diffusion, mean, std):
        self.diffusion, self.mean, self.std = diffusion, mean, std

    def forward(self, xt, t):
        left = self.diffusion.alphas_bar[t][:, None]
        variance = left * self.std**2 + 1 - left
        return np.sqrt(1 - left) * (xt - np.sqrt(left) * self.mean) / variance


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_noise_added_step_by_step_is_noise_added_at_once(schedule):
    diffusion = GaussianDiffusion(5, schedule=schedule)
    mean, variance = 3.0, 0.0
    for t, beta in enumerate(diffusion.betas):
        mean, variance = np.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        assert np.isclose(diffusion.q_sample(np.array([3.0]), np.array([t]), np.array([0.0]))[0], mean)
        assert np.isclose(1 - diffusion.alphas_bar[t], variance)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_almost_nothing_of_the_example_is_left_at_the_end(schedule):
    for steps in (10, 100, 1000):
        diffusion = GaussianDiffusion(steps, schedule=schedule)
        assert diffusion.alphas_bar[-1] < 1e-3
        assert np.all(np.diff(diffusion.alphas_bar) < 0)
        assert np.all((diffusion.betas > 0) & (diffusion.betas < 1))


def test_start_and_noise_are_found_again():
    diffusion = GaussianDiffusion(20)
    rng = np.random.default_rng(0)
    x, noise, t = rng.standard_normal((8, 3)), rng.standard_normal((8, 3)), np.arange(8)
    xt = diffusion.q_sample(x, t, noise)
    assert np.allclose(diffusion.predict_start_from_noise(xt, t, noise), x)
    assert np.allclose(diffusion.predict_noise_from_start(xt, t, x), noise)


def test_the_posterior_is_that_of_two_gaussians_multiplied():
    # q(x_{t-1} | xt, x0) ~ q(xt | x_{t-1}) q(x_{t-1} | x0): precisions add, means are weighed by them
    diffusion = GaussianDiffusion(10)
    t, x, xt = 6, 0.7, -0.4
    beta, before = diffusion.betas[t], diffusion.alphas_bar[t - 1]
    precision = (1 - beta) / beta + 1 / (1 - before)
    mean = (np.sqrt(1 - beta) / beta * xt + np.sqrt(before) * x / (1 - before)) / precision
    found, variance = diffusion.posterior(np.array([x]), np.array([xt]), np.array([t]))
    assert np.isclose(found[0], mean)
    assert np.isclose(variance[0], 1 / precision)


def test_the_last_step_back_is_the_example_itself():
    mean, variance = GaussianDiffusion(10).posterior(np.array([0.7]), np.array([5.0]), np.array([0]))
    assert np.isclose(mean[0], 0.7)
    assert variance[0] == 0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_sampling_with_the_right_denoiser_gives_the_data_s_mean_and_spread(schedule):
    diffusion = GaussianDiffusion(200, schedule=schedule, rng=0)
    *_, x = diffusion.sample(RightFor(diffusion, 1.5, 0.3), (4000, 1))
    assert abs(x.mean() - 1.5) < 0.03
    assert abs(x.std() - 0.3) < 0.03


def test_a_sample_goes_from_noise_through_every_step():
    diffusion = GaussianDiffusion(7, rng=0)
    path = list(diffusion.sample(Denoiser(2, [4], rng=0), (5, 2)))
    assert len(path) == 8
    assert all(x.shape == (5, 2) and x.dtype == np.float32 for x in path)


def test_sampling_leaves_each_layer_in_its_mode():
    model = Denoiser(2, [4], rng=0)
    model.body[0].eval()
    list(GaussianDiffusion(3, rng=0).sample(model, (5, 2)))
    assert model.training
    assert not model.body[0].training


def test_a_clipped_example_stays_within():
    class Wild(RightFor):
        def forward(self, xt, t):
            return -100 * np.ones_like(xt)

    diffusion = GaussianDiffusion(4, rng=0)
    *_, x = diffusion.sample(Wild(diffusion, 0, 1), (3, 2), clip=2.0)
    assert np.abs(x).max() <= 2


def test_noised_keeps_the_dtype_and_repeats_by_its_seed():
    x = np.ones((6, 2), np.float32)
    first, again = (GaussianDiffusion(9, rng=3).noised(x) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert first[0].dtype == first[2].dtype == np.float32


def test_the_noise_of_whole_numbers_is_not_rounded():
    xt, _, noise = GaussianDiffusion(9, rng=0).noised(np.zeros((50, 2), int))
    assert xt.dtype == noise.dtype == np.float64
    assert abs(noise.std() - 1) < 0.2
    assert not np.allclose(noise, noise.round())


def test_two_times_look_different_to_the_denoiser():
    model = Denoiser(2, [8], rng=0)
    x = np.ones((2, 2), np.float32)
    out = model.forward(x, np.array([3, 4]))
    assert not np.allclose(out[0], out[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaussianDiffusion(0), "steps must be a whole number of at least 1; got 0"),
        (lambda: GaussianDiffusion(5, schedule="sine"), "schedule must be one of 'cosine', 'linear'; got 'sine'"),
        (lambda: GaussianDiffusion(5).q_sample(X, np.array([0, 5]), X), "t must be within 0 to 4"),
        (lambda: GaussianDiffusion(5).q_sample(X, np.array([0]), X), "one whole number for each"),
        (lambda: GaussianDiffusion(5).q_sample(X, T, X[:1]), r"noise must have the shape \(2, 3\) of x; got \(1, 3\)"),
        (lambda: GaussianDiffusion(5).predict_noise_from_start(X, T, X[:1]), r"x must have the shape \(2, 3\) of xt"),
        (lambda: Denoiser(2, embed_dim=3), "embed_dim must be even"),
        (lambda: Denoiser(2).forward(np.ones((4, 3)), np.zeros(4, int)), r"x must have shape \(N, 2\)"),
        (lambda: Denoiser(2).forward(np.ones((4, 2)), np.zeros(3, int)), r"t must have shape \(4,\)"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
