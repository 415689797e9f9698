"""Our defaults against scikit-learn's on the same splits: the mean test score of five seeds, side by side.

`python train.py --dataset NAME` against ``MLPClassifier`` or ``MLPRegressor``, `--model softmax` against
``LogisticRegression``, `--model svm` against ``LinearSVC``, each with its defaults but for the seed. Data are split and
scaled once for both, targets of a regression too. Ours picks its best epoch on the validation part, which
scikit-learn has no use for; the last column lets it train on that part as well, a third more data.

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
    """The same of scikit-learn: trained on the training part, and on training and validation parts together."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.svm import LinearSVC

    dataset = data.load(name, seed=seed)
    parts = data.scale(*data.split(dataset, seed=seed), how=train.scaling_of(dataset))
    fit, val, test = data.scale_targets(*parts) if dataset.task == "regression" else parts
    scores = []
    for used in ([fit], [fit, val]):
        X, y = np.concatenate([part.X for part in used]), np.concatenate([part.y for part in used])
        if model == "softmax":
            estimator = LogisticRegression()
        elif model == "svm":
            estimator = LinearSVC(random_state=seed)
        else:
            estimator = (MLPRegressor if dataset.task == "regression" else MLPClassifier)(random_state=seed)
        scores.append(estimator.fit(X, y.ravel()).score(test.X, test.y))
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", default=DATASETS)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"mean test accuracy (R2 for diabetes) of {options.seeds} seeds\n")
    print(f"{'dataset':15}{'model':9}{'ours':>8}{'sklearn':>9}{'ours - it':>11}{'with val.':>11}")
    for name in options.datasets:
        for model in ("mlp",) if name == "diabetes" else ("mlp", "softmax", "svm"):
            rows = [(ours(name, model, seed), *theirs(name, model, seed)) for seed in range(options.seeds)]
            a, b, c = (statistics.mean(column) for column in zip(*rows))
            print(f"{name:15}{model:9}{a:8.4f}{b:9.4f}{a - b:+11.4f}{c:11.4f}", flush=True)


if __name__ == "__main__":
    main()
