"""A character model of the project's own source: its loss beside a bigram table's, and a sample.

python examples/character_model.py [--cell lstm] [--epochs 12]
"""

import argparse
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from layers import TemporalSoftmaxLoss
from models import RecurrentLM, Solver, generate
from optim import Adam, CosineDecay

STEPS = 64


def windows(tokens):
    """Inputs (N, T) and labels (N, T), the same text one character later."""
    n = (len(tokens) - 1) // STEPS
    return tokens[: n * STEPS].reshape(n, STEPS), tokens[1 : n * STEPS + 1].reshape(n, STEPS)


def bigram_loss(train, val, vocabulary):
    """Nats a character of the table of pairs, every pair counted once more than seen."""
    counts = np.ones((vocabulary, vocabulary))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    table = counts / counts.sum(axis=1, keepdims=True)
    return -np.log(table[val[:-1], val[1:]]).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", choices=["rnn", "lstm", "gru"], default="lstm")
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()

    files = [
        path for package in ("layers", "optim", "data", "models") for path in sorted((ROOT / package).glob("*.py"))
    ]
    text = "\n".join(path.read_text() for path in files)
    letters = sorted(set(text))
    tokens = np.array([letters.index(letter) for letter in text])
    cut = int(0.9 * len(tokens))
    x, y = windows(tokens[:cut])
    x_val, y_val = windows(tokens[cut:])

    model = RecurrentLM(len(letters), embed_dim=32, hidden_size=192, cell=options.cell, rng=0)
    optimizer = Adam(model.parameters(), learning_rate=5e-3)
    solver = Solver(
        model,
        TemporalSoftmaxLoss(),
        optimizer,
        epochs=options.epochs,
        batch_size=16,
        metric=lambda out, y: float((out.argmax(axis=2) == y).mean()),
        monitor="val_loss",
        schedule=CosineDecay(options.epochs * -(-len(x) // 16)),
        clip_norm=1.0,
        callbacks=[
            lambda s: print(f"epoch {s.epoch:3}: {s.history[-1]['train_loss']:.3f} {s.history[-1]['val_loss']:.3f}")
        ],
    )
    print(f"{len(text):,} characters, {len(letters)} different; the last tenth held out; nats a character:")
    solver.fit(x, y, x_val, y_val)
    print(f"bigram table {bigram_loss(tokens[:cut], tokens[cut:], len(letters)):.3f}")
    print(f"{options.cell}         {solver.best['val_loss']:.3f}\n")
    start = [letters.index(letter) for letter in "class "]
    print("".join(letters[token] for token in generate(model, start, 400, context=STEPS, temperature=0.6, rng=0)))


if __name__ == "__main__":
    main()
