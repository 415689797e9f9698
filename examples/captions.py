"""Captions of images: rows of one to four digits, named in words by CS231n's captioning nets.

python examples/captions.py [rnn|lstm|transformer] [--seed 0] [--steps 3000]
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from data import load, split
from layers import TemporalSoftmaxLoss
from models import CaptioningRNN, CaptioningTransformer
from optim import Adam, CosineDecay, clip_by_global_norm

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "<end>", "<start>", "<null>")
END, START, NULL = 10, 11, 12
PLACES, BATCH, RATE = 4, 64, 2e-3


def rows_of_digits(X, y, n, rng):
    """Pixels (n, 4, 64) of rows with one to four digits, the other places empty, and their captions (n, 6)."""
    picked, count = rng.integers(0, len(X), (n, PLACES)), rng.integers(1, PLACES + 1, (n, 1))
    taken = np.arange(PLACES) < count
    captions = np.full((n, PLACES + 2), NULL)
    captions[:, 0] = START
    captions[:, 1:-1] = np.where(taken, y[picked], NULL)
    captions[np.arange(n), count[:, 0] + 1] = END
    return np.where(taken[..., None], X[picked], 0), captions


def features_for(kind, rows):
    """A transformer attends to places, which have to say which they are; a recurrent net starts from all pixels."""
    if kind != "transformer":
        return rows.reshape(len(rows), -1)
    return np.concatenate([rows, np.broadcast_to(np.eye(PLACES), (len(rows), PLACES, PLACES))], axis=2)


def make(kind, seed):
    if kind == "transformer":
        return CaptioningTransformer(len(WORDS), max_len=PLACES + 1, in_features=64 + PLACES, embed_dim=64, rng=seed)
    return CaptioningRNN(len(WORDS), in_features=64 * PLACES, hidden_size=128, cell=kind, rng=seed)


def train(kind, X, y, steps, seed):
    rng, model, loss = np.random.default_rng(seed), make(kind, seed), TemporalSoftmaxLoss(mean_over="examples")
    optimizer, schedule = Adam(model.parameters(), learning_rate=RATE), CosineDecay(steps)
    for step in range(steps):
        rows, captions = rows_of_digits(X, y, BATCH, rng)
        asked, answer = captions[:, :-1], captions[:, 1:]
        optimizer.zero_grad()
        loss.forward(model.forward(features_for(kind, rows), asked), answer, answer != NULL)
        model.add_grads(loss.backward())
        clip_by_global_norm(optimizer, 1.0)
        optimizer.learning_rate = RATE * schedule(step)
        optimizer.step()
    return model


def in_words(caption):
    """The words as far as the end."""
    tokens = caption.tolist()
    return " ".join(WORDS[token] for token in tokens[: tokens.index(END)] if token != NULL) if END in tokens else "?"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", nargs="?", choices=["rnn", "lstm", "transformer"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3000, help="of training (3000)")
    options = parser.parse_args()
    train_part, _, test = split(load("digits"), seed=options.seed)
    rows, captions = rows_of_digits(test.X / 16, test.y, 1000, np.random.default_rng(options.seed + 1))
    for kind in ("rnn", "lstm", "transformer") if options.kind is None else (options.kind,):
        model = train(kind, train_part.X / 16, train_part.y, options.steps, options.seed)
        said = [in_words(c) for c in model.sample(features_for(kind, rows), START, PLACES + 1)]
        truth = [in_words(c) for c in captions[:, 1:]]
        right = np.mean([a == b for a, b in zip(said, truth)])
        print(f"{kind}: {right:.1%} of 1000 rows of digits never seen have the caption word by word")
        print("\n".join(f"  {a:24} for {b}" for a, b in zip(said[:4], truth)))


if __name__ == "__main__":
    main()
