"""What a convnet trained on the digits goes by: saliency, images that fool it, its idea of each digit.

python examples/looking_inside.py [--seed 0] [--out docs/inside_digits.png]
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from data import load, split
from layers import SoftmaxLoss
from models import VGG, Solver, class_visualization, fooling_image, predict, saliency_map
from optim import Adam, CosineDecay


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent.parent / "docs" / "inside_digits.png"))
    options = parser.parse_args()
    train, val, test = split(load("digits"), seed=options.seed)
    images = [(part.X.reshape(-1, 1, 8, 8) / 16).astype(np.float32) for part in (train, val, test)]
    model = VGG((1, 8, 8), 10, rng=options.seed)
    steps = 20 * -(-len(train.X) // 32)
    solver = Solver(model, SoftmaxLoss(), Adam(model.parameters(), learning_rate=3e-3), epochs=20, batch_size=32,
                    schedule=CosineDecay(steps))  # fmt: skip
    solver.fit(images[0], train.y, images[1], val.y)
    print(f"test accuracy {solver.evaluate(images[2], test.y)['val_accuracy']:.1%}")

    chosen = np.array([np.flatnonzero(test.y == digit)[0] for digit in range(10)])
    X, targets = images[2][chosen], (np.arange(10) + 5) % 10
    saliency = saliency_map(model, X, np.arange(10))
    fooling, taken = zip(
        *(fooling_image(model, x, target, learning_rate=0.02, limits=(0, 1)) for x, target in zip(X, targets))
    )
    deceived = np.mean(predict(model, np.array(fooling)).argmax(axis=1) == targets)
    moved = [np.linalg.norm(new - old) / np.linalg.norm(old) for new, old in zip(fooling, X)]
    print(f"{deceived:.0%} fooled, after {np.mean(taken):.0f} steps and by {np.mean(moved):.0%} of an image's length")
    # A shift of one pixel of 8 would be a new digit: no jitter. Ink is 0 to 1, and so are these images.
    ideas = [class_visualization(model, (1, 8, 8), k, jitter=0, limits=(0, 1), rng=options.seed) for k in range(10)]
    print(
        f"{np.mean(predict(model, np.array(ideas)).argmax(axis=1) == np.arange(10)):.0%} of the classes are their own"
    )
    rows = {"test image": X, "saliency": saliency, "taken for": fooling, "difference": np.array(fooling) - X,
            "class itself": ideas}  # fmt: skip
    draw(rows, targets, options.out)


def draw(rows, targets, out):
    """Rows of ten images each: ink black on white, saliency bright on black, differences red and blue about white."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        sys.exit("the picture needs Matplotlib: pip install '.[plot]'")
    figure, axes = plt.subplots(len(rows), 10, figsize=(10, 1.15 * len(rows)), layout="constrained")
    for (name, images), line in zip(rows.items(), axes):
        for k, (axis, image) in enumerate(zip(line, images)):
            image = np.reshape(image, (8, 8))
            if name == "saliency":
                colours = {"cmap": "inferno"}
            elif name == "difference":
                colours = {"cmap": "RdBu", "vmin": -0.5, "vmax": 0.5}
            else:
                colours = {"cmap": "gray_r", "vmin": 0, "vmax": 1}
            axis.imshow(image, **colours)
            axis.set(xticks=[], yticks=[])
            if name == "taken for":
                axis.set_title(f"a {targets[k]}", fontsize=9)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.savefig(out, dpi=100)
    print(f"drawn: {out}")


if __name__ == "__main__":
    main()
