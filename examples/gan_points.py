"""A GAN of points in the plane: a generator learns two moons from a discriminator alone; draws docs/gan_points.png.

python examples/gan_points.py [--seed 0] [--steps 6000] [--out docs/gan_points.png]
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from data import moons
from examples.ddpm_points import energy_distance
from models import GAN, MLP
from optim import EMA, Adam

BATCH, LATENT = 128, 4
SHOWN = 4  # moments of the training, in the picture


def points(n, seed):
    """N points on two moons, centred, of variance about 1."""
    X = moons(n, noise=0.06, seed=seed).X
    return ((X - [0.5, 0.25]) / [0.87, 0.5]).astype(np.float32)


def train(X, steps, seed):
    """The GAN, the average of its generator's last weights, and samples along the way."""
    own = {"activation": "leaky_relu", "rng": np.random.default_rng(seed)}
    gan = GAN(MLP(LATENT, [64, 64], 2, **own), MLP(2, [64, 64], 1, **own), latent=LATENT, rng=seed)
    rates = {"learning_rate": 1e-3, "betas": (0.5, 0.9)}
    make, judge = (Adam(net.parameters(), **rates) for net in (gan.generator, gan.discriminator))
    average = EMA(gan.generator.parameters(), decay=0.998)
    rng, path, losses = np.random.default_rng(seed), [gan.sample(1000, rng=seed)], np.zeros(2)
    for step in range(steps):
        losses[0] += gan.discriminator_step(X[rng.integers(0, len(X), BATCH)])
        judge.step()
        losses[1] += gan.generator_step(BATCH)
        make.step()
        average.update()
        if (step + 1) % (steps // SHOWN) == 0:
            print(f"step {step + 1:6}: discriminator's loss {losses[0] * SHOWN / steps:.3f}, "
                  f"generator's {losses[1] * SHOWN / steps:.3f}")  # fmt: skip
            losses[:] = 0
            with average.applied():
                path.append(gan.sample(1000, rng=seed))
    return path


def draw(path, X, steps, out):
    """What the generator makes as it learns, beside the data."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        sys.exit("the picture needs Matplotlib: pip install '.[plot]'")
    figure, axes = plt.subplots(1, SHOWN + 2, figsize=(3 * (SHOWN + 2), 3.3), layout="constrained")
    for i, (axis, drawn) in enumerate(zip(axes, path)):
        axis.scatter(*drawn.T, s=3, color="tab:blue")
        axis.set_title(f"step {i * steps // SHOWN}")
    axes[-1].scatter(*X[:1000].T, s=3, color="black")
    axes[-1].set_title("data")
    for axis in axes:
        axis.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), xticks=[], yticks=[], aspect="equal")
    figure.savefig(out, dpi=75)
    print(f"drawn: {out}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=6000, help="of each net (6000)")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent.parent / "docs" / "gan_points.png"))
    options = parser.parse_args()
    X, held_out = points(3000, options.seed), points(1000, options.seed + 1000)
    path = train(X, options.steps, options.seed)
    gaussian = np.random.default_rng(options.seed).multivariate_normal(X.mean(axis=0), np.cov(X.T), 1000)
    print("energy distance to 1000 points held out")
    for name, drawn in (("a Gaussian of their mean and covariance", gaussian), ("the generator", path[-1]),
                        ("1000 points of the data", X[:1000])):  # fmt: skip
        print(f"  {name:40} {energy_distance(drawn, held_out):.4f}")
    draw(path, X, options.steps, options.out)


if __name__ == "__main__":
    main()
