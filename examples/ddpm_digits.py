"""A diffusion model of the digits, told which to make, by a U-Net; draws docs/ddpm_digits.png.

python examples/ddpm_digits.py [--seed 0] [--steps 3000] [--out docs/ddpm_digits.png]
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from data import load, split
from layers import MSELoss
from models import GaussianDiffusion, KNearestNeighbor, UNet
from optim import EMA, Adam, CosineDecay

BATCH, RATE, UNLABELLED, GUIDANCES, EACH = 64, 3e-3, 0.1, (0.0, 1.0, 3.0), 20


def train(X, y, steps, seed):
    """A diffusion and its U-Net, with the average of its last weights."""
    diffusion, rng = GaussianDiffusion(100, rng=seed), np.random.default_rng(seed)
    model, loss = UNet(1, (32, 64), classes=10, rng=seed), MSELoss()
    optimizer, schedule = Adam(model.parameters(), learning_rate=RATE), CosineDecay(steps)
    average, total = EMA(model.parameters(), 0.99), 0.0
    for step in range(steps):
        rows = rng.integers(0, len(X), BATCH)
        labels = np.where(rng.random(BATCH) < UNLABELLED, 10, y[rows])  # 10: of no digit in particular
        xt, t, noise = diffusion.noised(X[rows])
        optimizer.zero_grad()
        total += loss.forward(model.forward(xt, t, labels), noise)
        model.add_grads(loss.backward())
        optimizer.learning_rate = RATE * schedule(step)
        optimizer.step()
        average.update()
        if (step + 1) % max(1, steps // 5) == 0:
            print(f"step {step + 1:5}: squared error of the noise {total / max(1, steps // 5):.3f}")
            total = 0.0
    return diffusion, model, average


def spread(images, y):
    """The mean over classes of the mean variance of a pixel: how unlike each other images of a class are."""
    return float(np.mean([images[y == digit].var(axis=0).mean() for digit in range(10)]))


def report(title, images, y, judge):
    nearest = judge.compute_distances(images).min(axis=1).mean()
    print(f"  {title:14}{judge.score(images, y):24.1%}{spread(images, y):24.3f}{nearest:24.2f}")


def draw(rows, out):
    """One row of ten digits, 0 to 9, for each title."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        sys.exit("the picture needs Matplotlib: pip install '.[plot]'")
    figure, axes = plt.subplots(len(rows), 1, figsize=(8, 1.1 * len(rows)), layout="constrained")
    for axis, (title, images) in zip(axes, rows.items()):
        axis.imshow(np.hstack([np.pad(image[0], 1, constant_values=-1) for image in images]), cmap="gray_r")
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=8)
    figure.savefig(out, dpi=75)
    print(f"drawn: {out}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3000, help="of training (3000)")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent.parent / "docs" / "ddpm_digits.png"))
    options = parser.parse_args()
    train_part, _, test = split(load("digits"), seed=options.seed)
    X, held_out = (part.X.reshape(-1, 1, 8, 8).astype(np.float32) / 8 - 1 for part in (train_part, test))  # -1 to 1
    judge = KNearestNeighbor().fit(X, train_part.y)
    diffusion, model, average = train(X, train_part.y, options.steps, options.seed)

    y = np.repeat(np.arange(10), EACH)
    rows = {"held out": np.stack([held_out[test.y == digit][0] for digit in range(10)])}
    print(f"{'':16}{'taken for the digit':>24}{'variance of a pixel':>24}{'distance to the nearest':>24}")
    print(f"{'':16}{'asked for':>24}{'within a digit':>24}{'that it learned from':>24}")
    report("held out", held_out, test.y, judge)
    for guidance in GUIDANCES:
        with average.applied():
            *_, digits = diffusion.sample(model, (len(y), 1, 8, 8), y=y, guidance=guidance, clip=1.0)
        report(f"guidance {guidance:g}", digits, y, judge)
        rows[f"made, guidance {guidance:g}"] = digits[::EACH]
    draw(rows, options.out)


if __name__ == "__main__":
    main()
