"""A diffusion model of points in the plane: from noise back to three spirals; draws docs/ddpm_points.png.

python examples/ddpm_points.py [--seed 0] [--steps 15000] [--out docs/ddpm_points.png]
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from data import spirals
from layers import MSELoss
from models import Denoiser, GaussianDiffusion
from optim import EMA, Adam, CosineDecay

BATCH, RATE = 256, 2e-3
SHOWN = (0, 60, 80, 90, 100)  # steps back from noise, in the picture


def points(n, seed):
    """N points on three spirals, in random order, of variance about 1."""
    X = spirals(n, noise=0.05, seed=seed).X
    return np.random.default_rng(seed).permutation(X / 0.26).astype(np.float32)


def energy_distance(a, b):
    """2 E|a - b| - E|a - a'| - E|b - b'|: 0 where both are drawn from one distribution."""

    def mean(u, v):
        return float(np.sqrt(((u[:, None] - v[None]) ** 2).sum(axis=2)).mean())

    return 2 * mean(a, b) - mean(a, a) - mean(b, b)


def train(X, steps, seed):
    """A diffusion and its denoiser, with the average of its last weights."""
    diffusion = GaussianDiffusion(100, rng=seed)
    model = Denoiser(X.shape[1], rng=seed)
    loss, optimizer = MSELoss(), Adam(model.parameters(), learning_rate=RATE)
    average, schedule = EMA(model.parameters()), CosineDecay(steps)
    rng = np.random.default_rng(seed)
    total = 0.0
    for step in range(steps):
        xt, t, noise = diffusion.noised(X[rng.integers(0, len(X), BATCH)])
        optimizer.zero_grad()
        total += loss.forward(model.forward(xt, t), noise)
        model.add_grads(loss.backward())
        optimizer.learning_rate = RATE * schedule(step)
        optimizer.step()
        average.update()
        if (step + 1) % max(1, steps // 5) == 0:
            print(f"step {step + 1:6}: squared error of the noise {total / max(1, steps // 5):.3f}")
            total = 0.0
    return diffusion, model, average


def draw(path, X, out):
    """The way back from noise, beside the data."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        sys.exit("the picture needs Matplotlib: pip install '.[plot]'")
    figure, axes = plt.subplots(1, len(SHOWN) + 1, figsize=(3 * (len(SHOWN) + 1), 3.3), layout="constrained")
    for axis, step in zip(axes, SHOWN):
        axis.scatter(*path[step].T, s=1.5, color="tab:blue")
        axis.set_title("noise" if step == 0 else f"after {step} of 100 steps back")
    axes[-1].scatter(*X.T, s=1.5, color="black")
    axes[-1].set_title("data")
    for axis in axes:
        axis.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), xticks=[], yticks=[], aspect="equal")
    figure.savefig(out, dpi=75)
    print(f"drawn: {out}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=15000, help="of training (15000)")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent.parent / "docs" / "ddpm_points.png"))
    options = parser.parse_args()
    X, held_out = points(3000, options.seed), points(2000, options.seed + 1000)
    diffusion, model, average = train(X, options.steps, options.seed)
    with average.applied():
        path = list(diffusion.sample(model, (2000, 2), clip=3.0))
    gaussian = np.random.default_rng(options.seed).multivariate_normal(X.mean(axis=0), np.cov(X.T), 2000)
    print("energy distance to 2000 points held out")
    for name, drawn in (("a Gaussian of their mean and covariance", gaussian), ("the diffusion", path[-1]),
                        ("2000 points of the data", X[:2000])):  # fmt: skip
        print(f"  {name:40} {energy_distance(drawn, held_out):.4f}")
    draw(path, X, options.out)


if __name__ == "__main__":
    main()
