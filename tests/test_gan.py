"""GAN: each step is the gradient of its own loss, in its own net's parameters alone."""

import numpy as np
import pytest

from gradcheck import numerical_gradient
from models import GAN, MLP
from optim import Adam


def make(loss="logistic"):
    return GAN(
        MLP(2, [5], 3, activation="tanh", rng=0, dtype=np.float64),
        MLP(3, [4], 1, activation="tanh", rng=1, dtype=np.float64),
        latent=2,
        loss=loss,
        rng=2,
    )


X = np.random.default_rng(5).standard_normal((6, 3))


def softplus(x):
    return np.log1p(np.exp(x))


# -log sigmoid(score) for what should be real, -log(1 - sigmoid(score)) for what should not; squares beside them
JUDGED = {
    "logistic": (lambda s: softplus(-s).mean(), lambda s: softplus(s).mean()),
    "least-squares": (lambda s: ((s - 1) ** 2).mean(), lambda s: (s**2).mean()),
}


@pytest.mark.parametrize("loss", list(JUDGED))
def test_the_discriminator_s_step_has_the_gradient_of_its_loss(loss):
    gan, (real, fake) = make(loss), JUDGED[loss]
    z = np.random.default_rng(2).standard_normal((6, 2), dtype=np.float32)
    made = gan.generator.forward(z)

    def total():
        return real(gan.discriminator.forward(X)) + fake(gan.discriminator.forward(made))

    assert np.isclose(gan.discriminator_step(X), total())
    _compare(gan.discriminator, total)
    assert all(not p.grad.any() for p in gan.generator.parameters().values())


@pytest.mark.parametrize("loss", list(JUDGED))
def test_the_generator_s_step_has_the_gradient_of_its_loss(loss):
    gan = make(loss)
    z = np.random.default_rng(2).standard_normal((6, 2), dtype=np.float32)

    def total():
        return JUDGED[loss][0](gan.forward(z))

    assert np.isclose(gan.generator_step(6), total())
    _compare(gan.generator, total)
    assert all(not p.grad.any() for p in gan.discriminator.parameters().values())


def _compare(net, total):
    for parameter in net.parameters().values():
        kept = parameter.value.copy()

        def at(value, parameter=parameter):
            parameter.value = value
            return total()

        numeric = numerical_gradient(at, kept)
        parameter.value = kept
        assert np.allclose(parameter.grad, numeric, atol=1e-8)


def test_a_generator_learns_where_the_examples_are():
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((500, 1)) * 0.2 + 3).astype(np.float32)
    gan = GAN(MLP(1, [16], 1, rng=0), MLP(1, [16], 1, rng=1), latent=1, rng=2)
    make, judge = (Adam(net.parameters(), learning_rate=3e-3) for net in (gan.generator, gan.discriminator))
    before = gan.sample(200, rng=0).mean()
    for _ in range(400):
        gan.discriminator_step(X[rng.integers(0, 500, 64)])
        judge.step()
        gan.generator_step(64)
        make.step()
    assert abs(gan.sample(200, rng=0).mean() - 3) < min(0.5, abs(before - 3))


def test_samples_repeat_by_their_seed_and_can_be_none():
    gan = make()
    assert np.array_equal(gan.sample(4, rng=1), gan.sample(4, rng=1))
    assert gan.sample(0).shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent": 0}, "latent must be a whole number of at least 1; got 0"),
        ({"latent": 2, "loss": "wasserstein"}, "loss must be one of 'logistic', 'least-squares'; got 'wasserstein'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        GAN(MLP(2, [3], 2), MLP(2, [3], 1), **arguments)
    with pytest.raises(ValueError, match="n must be a whole number of at least 0; got -1"):
        make().sample(-1)
    with pytest.raises(ValueError, match="n must be a whole number of at least 0; got -1"):
        make().generator_step(-1)
