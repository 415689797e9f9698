"""A Vision Transformer on the digits: 16 patches of 2 x 2 pixels.

python examples/vit_digits.py [--seed 0]
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from data import load, scale, split
from layers import SoftmaxLoss
from models import Solver, VisionTransformer
from optim import AdamW, CosineDecay, Warmup

EPOCHS, BATCH = 120, 32


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    train, val, test = scale(*split(load("digits"), seed=options.seed), how="minmax")
    images = [part.X.reshape(-1, 1, 8, 8) for part in (train, val, test)]
    model = VisionTransformer((1, 8, 8), 10, patch_size=2, embed_dim=64, num_layers=3, dropout=0.2, rng=options.seed)
    steps = EPOCHS * -(-len(train) // BATCH)
    solver = Solver(
        model,
        SoftmaxLoss(),
        AdamW(model.parameters(), learning_rate=2e-3, weight_decay=0.05),
        epochs=EPOCHS,
        batch_size=BATCH,
        schedule=Warmup(steps // 10, CosineDecay(steps - steps // 10)),
        clip_norm=1.0,
        seed=options.seed,
        callbacks=[lambda s: print(f"epoch {s.epoch:3}: validation accuracy {s.history[-1]['val_accuracy']:.4f}")],
    )
    solver.fit(images[0], train.y, images[1], val.y)
    print(f"test accuracy {solver.evaluate(images[2], test.y)['val_accuracy']:.2%}")


if __name__ == "__main__":
    main()
