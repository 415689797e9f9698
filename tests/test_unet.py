"""U-Net: its block against single numbers, what goes down and what goes across, classes and their guidance."""

import numpy as np
import pytest

from layers import Layer, MSELoss
from models import GaussianDiffusion, UNet
from models.unet import ContextBlock
from optim import Adam

RNG = np.random.default_rng(0)
X, T = RNG.standard_normal((2, 3, 4, 8)), np.array([3, 40])


def test_a_block_scales_and_shifts_each_channel_by_what_it_is_told():
    block = ContextBlock(3, 3, 4, rng=0, dtype=np.float64)
    context = RNG.standard_normal((2, 4))
    h, told = block.first.forward(X), block.told.forward(context)
    steered = np.empty_like(h)
    for n, c, i, j in np.ndindex(h.shape):
        steered[n, c, i, j] = h[n, c, i, j] * (1 + told[n, c]) + told[n, 3 + c]
    np.testing.assert_allclose(block.forward(X, context), X + block.second.forward(steered), rtol=1e-12)


def test_the_time_matters_and_the_images_do_not_mix():
    model = UNet(3, (4, 8, 8), rng=0, dtype=np.float64)
    out = model.forward(X, T)
    np.testing.assert_allclose(model.forward(X[1:], T[1:]), out[1:], rtol=1e-9)
    assert not np.allclose(model.forward(X, T + 1), out, atol=1e-4)


def test_where_a_pixel_is_goes_across_and_what_surrounds_it_goes_down():
    model = UNet(1, (4, 4, 4), rng=0, dtype=np.float64)
    x, changed = np.zeros((1, 1, 16, 16)), np.zeros((1, 1, 16, 16))
    changed[..., 0, 0] = 1.0
    far = (..., slice(12, None), slice(12, None))  # no chain of 3x3 convolutions of the first level alone gets there
    assert abs(model.forward(changed, T[:1]) - model.forward(x, T[:1]))[far].max() > 1e-6
    for grow in model.grow:
        grow[1].W.value = grow[1].W.value * 0
    gap = abs(model.forward(changed, T[:1]) - model.forward(x, T[:1]))
    assert gap[..., 0, 0].max() > 1e-3


def test_no_label_is_the_label_behind_the_last_and_each_is_its_own():
    model = UNet(3, (4, 8), classes=5, rng=0, dtype=np.float64)
    none = model.forward(X, T)
    np.testing.assert_array_equal(model.forward(X, T, np.array([5, 5])), none)
    mixed = model.forward(X, T, np.array([5, 2]))
    np.testing.assert_allclose(mixed[0], none[0], rtol=1e-9)
    assert not np.allclose(mixed[1], none[1], atol=1e-6)


class Labelled(Layer):
    """Predicts the label as the noise, -1 where there is none."""

    def forward(self, xt, t, y=None):
        return np.broadcast_to(-1.0 if y is None else y[:, None], xt.shape)


def test_guidance_goes_beyond_the_label_s_noise_away_from_that_of_none():
    diffusion, xt, y = GaussianDiffusion(5), RNG.standard_normal((2, 3)), np.array([0.5, 2.0])
    for guidance in (0.0, 1.5):
        noise = np.broadcast_to((y + guidance * (y + 1))[:, None], xt.shape)
        start = diffusion.predict_start_from_noise(xt, np.zeros(2, int), noise)
        got = diffusion.p_sample(Labelled(), xt, 0, y=y, guidance=guidance)
        np.testing.assert_allclose(got, start, rtol=1e-10)  # the last step back is the example itself


def test_it_learns_what_each_class_looks_like():
    rng = np.random.default_rng(0)
    X = np.ones((2, 1, 4, 4), np.float32)
    X[1, :, :, :2] = -1  # class 0 is bright, class 1 dark on its left
    model, diffusion = UNet(1, (16, 32), classes=2, context_dim=16, rng=0), GaussianDiffusion(20, rng=0)
    loss, optimizer = MSELoss(), Adam(model.parameters(), learning_rate=1e-2)
    for _ in range(400):
        y = rng.integers(0, 2, 16)
        xt, t, noise = diffusion.noised(X[y])
        optimizer.zero_grad()
        loss.forward(model.forward(xt, t, np.where(rng.random(16) < 0.1, 2, y)), noise)
        model.add_grads(loss.backward())
        optimizer.step()
    y = np.arange(8) % 2
    *_, samples = diffusion.sample(model, (8, 1, 4, 4), y=y, guidance=1.0, clip=1.0)
    assert abs(samples - X[y]).mean() < 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: m.forward(X[:, :, :3], T),
            r"x must have a height and a width that are multiples of 2.*\(2, 3, 3, 8\)",
        ),
        (lambda m: m.forward(X[:, :2], T), r"x must have shape \(N, 3, H, W\)"),
        (lambda m: m.forward(X, T[:1]), r"t must have shape \(2,\), one time"),
        (lambda m: m.forward(X, T, np.array([0, 6])), r"y must hold integers 0..5; got 0..6"),
        (lambda m: m.forward(X, T, np.array([0])), r"y must have shape \(2,\), one label an image of x; got \(1,\)"),
        (lambda m: UNet(3).forward(X, T, T), "y must be left out of a model without classes"),
        (lambda m: UNet(3, ()), "widths must hold at least one level"),
        (lambda m: UNet(3, (8, 0)), "widths must be a whole number of at least 1; got 0"),
        (lambda m: UNet(3, blocks=0), "blocks must be a whole number of at least 1; got 0"),
        (lambda m: UNet(3, context_dim=5), "context_dim must be even, as many sines as cosines; got 5"),
        (lambda m: next(GaussianDiffusion(3).sample(m, X.shape, guidance=1.0)), "y must be given where guidance is"),
        (lambda m: next(GaussianDiffusion(3).sample(m, X.shape, y=T, guidance=-1)), "guidance must be a number in"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(UNet(3, (4, 8), classes=5, rng=0))
