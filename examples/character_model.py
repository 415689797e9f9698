"""A character model of the project's own source: its loss beside a bigram table's, and a sample.

python examples/character_model.py [--model rnn|lstm|gru|transformer] [--epochs 10]
"""

import argparse
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from data import Text
from layers import TemporalSoftmaxLoss
from models import RecurrentLM, Solver, TransformerLM, generate
from optim import Adam, CosineDecay, Warmup

STEPS, BATCH = 64, 16


def bigram_loss(train, val, vocabulary):
    """Nats a character of the table of pairs, every pair counted once more than seen."""
    counts = 1 + np.bincount(train[:-1] * vocabulary + train[1:], minlength=vocabulary**2)
    table = counts.reshape(vocabulary, vocabulary)
    return -np.log((table / table.sum(axis=1, keepdims=True))[val[:-1], val[1:]]).mean()


def make(name, vocabulary):
    """The model, and its learning rate."""
    if name == "transformer":
        return TransformerLM(vocabulary, max_len=STEPS, embed_dim=128, num_layers=3, rng=0), 2e-3
    return RecurrentLM(vocabulary, embed_dim=32, hidden_size=192, cell=name, rng=0), 5e-3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["rnn", "lstm", "gru", "transformer"], default="lstm")
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()

    files = [
        path for package in ("layers", "optim", "data", "models") for path in sorted((ROOT / package).glob("*.py"))
    ]
    text = Text("\n".join(path.read_text() for path in files))
    train, held_out = text.cut(0.1)
    x, y = train.windows(STEPS)
    model, rate = make(options.model, len(text.vocabulary))
    steps = options.epochs * -(-len(x) // BATCH)
    solver = Solver(
        model,
        TemporalSoftmaxLoss(),
        Adam(model.parameters(), learning_rate=rate),
        epochs=options.epochs,
        batch_size=BATCH,
        monitor="val_loss",
        schedule=Warmup(100, CosineDecay(steps)) if options.model == "transformer" else CosineDecay(steps),
        clip_norm=1.0,
        callbacks=[
            lambda s: print(f"epoch {s.epoch:3}: {s.history[-1]['train_loss']:.3f} {s.history[-1]['val_loss']:.3f}")
        ],
    )
    print(f"{len(text):,} characters, {len(text.vocabulary)} different; the last tenth held out; nats a character:")
    solver.fit(x, y, *held_out.windows(STEPS))
    print(f"bigram table {bigram_loss(train.tokens, held_out.tokens, len(text.vocabulary)):.3f}")
    print(
        f"{options.model:12} {solver.best['val_loss']:.3f}, {solver.best['val_accuracy']:.1%} of the characters right\n"
    )
    start = text.encode("class ")
    print(text.decode(generate(model, start, 400, context=STEPS, temperature=0.6, rng=0)))


if __name__ == "__main__":
    main()
