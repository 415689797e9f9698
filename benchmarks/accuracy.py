"""Our defaults against scikit-learn's on the same splits: the mean test score of five seeds, side by side.

`python train.py --dataset NAME` against ``MLPClassifier`` or ``MLPRegressor``, `--model softmax` against
``LogisticRegression``, `--model svm` against ``LinearSVC``. Scikit-learn gets the training part, scaled as ours, and its
defaults but for the seed; ours takes 20 % of the data for validation, and scikit-learn trains on that part too.

    python benchmarks/accuracy.py [--seeds 5] [DATASET ...]
"""

import argparse
import pathlib
import statistics
import sys
import warnings

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import data
import train

DATASETS = ("digits", "spirals", "moons", "circles", "xor", "iris", "wine", "breast_cancer", "diabetes")


def ours(name, model, seed):
    """Test accuracy, or R2, of the command line's defaults."""
    figures = train.fit(train.parse(["--dataset", name, "--model", model, "--seed", str(seed), "--quiet"]))
    return figures["test_r2" if name == "diabetes" else "test_accuracy"]


def theirs(name, model, seed):
    """The same of scikit-learn, trained on what is ours for training and validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.svm import LinearSVC

    train_part, val, test = data.scale(*data.split(data.load(name, seed=seed), seed=seed))
    X, y = np.concatenate([train_part.X, val.X]), np.concatenate([train_part.y, val.y])
    if model == "softmax":
        estimator = LogisticRegression()
    elif model == "svm":
        estimator = LinearSVC(random_state=seed)
    else:
        estimator = (MLPRegressor if name == "diabetes" else MLPClassifier)(random_state=seed)
    return estimator.fit(X, y).score(test.X, test.y)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", default=DATASETS)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'dataset':15}{'model':9}{'ours':>8}{'sklearn':>9}{'difference':>12}   mean of {options.seeds} seeds")
    for name in options.datasets:
        for model in ("mlp",) if name == "diabetes" else ("mlp", "softmax", "svm"):
            pairs = [(ours(name, model, seed), theirs(name, model, seed)) for seed in range(options.seeds)]
            a, b = (statistics.mean(column) for column in zip(*pairs))
            print(f"{name:15}{model:9}{a:8.4f}{b:9.4f}{a - b:+12.4f}", flush=True)


if __name__ == "__main__":
    main()
