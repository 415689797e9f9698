"""Variational autoencoders of the digits, beside principal components of as many dimensions; draws docs/vae_digits.png.

python examples/vae_digits.py [--seed 0] [--out docs/vae_digits.png]

Both are one model, z ~ N(0, 1) and x ~ N(decoder(z), variance), the variance fitted with the rest. Where the decoder is
affine that is probabilistic PCA, whose likelihood is known exactly; a VAE's decoder is a net, its loss an upper bound.
"""

import argparse
import math
import pathlib
import sys
from dataclasses import replace

import numpy as np
from scipy.special import ndtri
from sklearn.decomposition import PCA

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from data import batches, load, split
from layers import ELBOLoss, MSELoss
from models import MLP, VAE, Autoencoder, Solver
from optim import AdamW, CosineDecay

HIDDEN = (256, 128)
EPOCHS, BATCH, RATE = 200, 64, 3e-3
DIMENSIONS = (2, 8, 16)
SHOWN = 8  # beside 2, in the picture


def nets(D, code, latent, seed):
    """Encoder of D pixels to `code` numbers, and decoder of `latent` numbers."""
    own = {"activation": "tanh", "rng": np.random.default_rng(seed)}
    return MLP(D, HIDDEN, code, **own), MLP(latent, HIDDEN[::-1], D, **own)


def train_vae(X, latent, seed):
    """A VAE and its loss, whose beta is the variance of a pixel given z: what the last epoch left unexplained."""
    model = VAE(*nets(X.shape[1], 2 * latent, latent, seed), latent=latent, rng=seed)
    loss = ELBOLoss("gaussian", beta=float(X.var()))
    optimizer = AdamW(model.parameters(), learning_rate=RATE, weight_decay=0.1)
    schedule, step = CosineDecay(EPOCHS * -(-len(X) // BATCH)), 0
    for epoch in range(EPOCHS):
        squares = 0.0
        for x, _ in batches(X, X, BATCH, seed=seed, epoch=epoch):
            optimizer.zero_grad()
            loss.forward(*model.forward(x), x)
            model.add_grads(*loss.backward())
            optimizer.learning_rate = RATE * schedule(step)
            optimizer.step()
            step += 1
            squares += 2 * loss.terms[0] * len(x)
        loss.beta = squares / X.size
    return model, loss


def train_autoencoder(X, latent, seed):
    """The same nets without chance and without divergence."""
    model = Autoencoder(*nets(X.shape[1], latent, latent, seed))
    optimizer = AdamW(model.parameters(), learning_rate=RATE, weight_decay=0.1)
    schedule = CosineDecay(EPOCHS * -(-len(X) // BATCH))
    Solver(model, MSELoss(), optimizer, epochs=EPOCHS, batch_size=BATCH, metric="r2", schedule=schedule, seed=seed).fit(
        X, X
    )
    return model


def nats(model, loss, X, draws=20):
    """Bound on -log p(x), reconstruction and divergence, nats an image, the mean over X and so many draws of z."""
    terms = []
    for _ in range(draws):
        loss.forward(*model.forward(X), X)
        terms.append(loss.terms)
    squares, kl = np.mean(terms, axis=0)
    reconstruction = squares / loss.beta + 0.5 * X.shape[1] * math.log(2 * math.pi * loss.beta)
    return reconstruction + kl, reconstruction, kl


def sample_pca(pca, n, rng):
    """Means of images drawn from probabilistic PCA."""
    scales = np.sqrt(np.maximum(pca.explained_variance_ - pca.noise_variance_, 0))
    return pca.mean_ + (rng.standard_normal((n, len(scales))) * scales) @ pca.components_


def mosaic(images, columns):
    """Images (N, 64) as one, `columns` a row, with a pixel of paper between them."""
    framed = np.pad(images.reshape(-1, columns, 8, 8), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    return framed.transpose(0, 2, 1, 3).reshape(-1, 9 * columns)[:-1, :-1]


def draw(path, Figure, test, models, pcas, seed):
    """The picture: reconstructions, what lies between two digits, samples, the plane of the two-dimensional code."""
    rng = np.random.default_rng(seed)
    X = test.X[[int(np.flatnonzero(test.y == digit)[0]) for digit in range(10)]]
    figure = Figure(figsize=(14, 16), layout="constrained")
    panels = figure.subplot_mosaic("AB\nCD\nEF", height_ratios=(0.58, 1, 1))

    rows = {"test images": X}
    for Z in (2, SHOWN):
        rows[f"PCA, Z = {Z}"] = pcas[Z].inverse_transform(pcas[Z].transform(X))
        rows[f"VAE, Z = {Z}"] = models[Z].reconstruct(X)
    show(panels["A"], mosaic(np.concatenate(list(rows.values())), 10), "Reconstructions")
    panels["A"].set_yticks([9 * i + 3.5 for i in range(len(rows))], list(rows), fontsize=13)

    between = [models[SHOWN].interpolate(X[a], X[b], 10) for a, b in ((0, 6), (1, 7), (2, 3), (4, 9), (5, 8))]
    show(panels["B"], mosaic(np.concatenate(between), 10), f"VAE, Z = {SHOWN}: from one test image to another")
    show(panels["C"], mosaic(sample_pca(pcas[SHOWN], 100, rng), 10), f"Drawn from probabilistic PCA, Z = {SHOWN}")
    show(panels["D"], mosaic(models[SHOWN].sample(100, rng=rng), 10), f"Drawn from the VAE, Z = {SHOWN}")

    side = 15
    quantiles = ndtri((np.arange(side) + 0.5) / side)  # as many codes lie between each two
    plane = np.stack(np.meshgrid(quantiles, -quantiles), axis=-1).reshape(-1, 2)  # the second axis points up
    show(panels["E"], mosaic(models[2].decode(plane), side), "VAE, Z = 2: the plane decoded, at quantiles of N(0, 1)")
    code = models[2].encode(test.X)
    for digit in range(10):
        one = code[test.y == digit]
        panels["F"].scatter(*one.T, s=14, color=f"C{digit}", alpha=0.6, linewidths=0)
        panels["F"].annotate(
            str(digit), np.median(one, axis=0), fontsize=20, fontweight="bold", color=f"C{digit}", ha="center",
            va="center", bbox={"boxstyle": "circle,pad=0.12", "color": "white", "alpha": 0.8},
        )  # fmt: skip
    panels["F"].set(aspect="equal", xlim=(-3.2, 3.2), ylim=(-3.2, 3.2))
    panels["F"].set_title("VAE, Z = 2: where the test images lie", fontsize=14)
    figure.savefig(path, dpi=75)


def show(panel, image, title):
    """Ink on paper, without ticks."""
    panel.imshow(image, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    panel.set(xticks=[], yticks=[])
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    panel.set_title(title, fontsize=14)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "vae_digits.png")
    options = parser.parse_args()
    try:
        from matplotlib.figure import Figure
    except ImportError:
        sys.exit("vae_digits.py draws with matplotlib, which is not installed: pip install '.[plot]'")

    parts = split(load("digits"), seed=options.seed)
    train, _, test = (replace(part, X=part.X / np.float32(16)) for part in parts)  # pixels of 0..16 become 0..1
    mean, variance = train.X.mean(axis=0), float(((train.X - train.X.mean(axis=0)) ** 2).mean())
    squares = ((test.X - mean) ** 2).mean()
    blank = 0.5 * test.X.shape[1] * (math.log(2 * math.pi * variance) + squares / variance)
    print(f"{len(train)} images to train, {len(test)} to test; nats an image, the smaller the better")
    print("            nats an image                             mean squared error of a pixel")
    print(" Z      PCA  VAE at most = reconstruction + KL       PCA  autoencoder     VAE")
    print(f" 0 {blank:8.2f}  (the mean image)                       {squares:7.4f}")
    vaes, pcas = {}, {}
    for latent in DIMENSIONS:
        pca = PCA(latent, svd_solver="full").fit(train.X)
        plain = train_autoencoder(train.X, latent, options.seed)
        model, loss = train_vae(train.X, latent, options.seed)
        bound, reconstruction, kl = nats(model, loss, test.X)
        outs = pca.inverse_transform(pca.transform(test.X)), plain.reconstruct(test.X), model.reconstruct(test.X)
        errors = [((out - test.X) ** 2).mean() for out in outs]
        print(
            f"{latent:2} {-pca.score(test.X):8.2f} {bound:12.2f} = {reconstruction:14.2f} + {kl:5.2f}   "
            f"{errors[0]:7.4f} {errors[1]:12.4f} {errors[2]:7.4f}"
        )
        vaes[latent], pcas[latent] = model, pca
    draw(options.out, Figure, test, vaes, pcas, options.seed)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
