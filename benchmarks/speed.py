"""A whole training step (forward, backward, update): ours against PyTorch eager and scikit-learn's MLP.

Every work is done by each library in turn, A B C A B C ..., in one process, so that a drift of the machine's speed hits
all alike. The table gives the median of the paired ratios with their quartiles (below 1: ours is faster), and as the
limit the time of the step's matrix products alone, measured in the same run.

    pip install '.[bench]'
    python benchmarks/speed.py [--threads 2] [--rounds 30]
"""

import argparse
import itertools
import pathlib
import statistics
import sys
import time
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from layers import SoftmaxLoss
from models import MLP
from optim import SGD, Adam

SKLEARN_STEPS = 20  # in one call
WORKS = {"2-100-3": ((2, 100, 3), 300), "64-128-10": ((64, 128, 10), 64), "784-512-256-10": ((784, 512, 256, 10), 128)}


def ours(sizes, opt, x, y):
    model, loss = MLP(sizes[0], sizes[1:-1], sizes[-1], rng=0), SoftmaxLoss()
    parameters = model.parameters()
    optimizer = (
        Adam(parameters, learning_rate=1e-3) if opt == "adam" else SGD(parameters, learning_rate=1e-3, momentum=0.9)
    )

    def step():
        optimizer.zero_grad()
        loss.forward(model.forward(x), y)
        model.add_grads(loss.backward())
        optimizer.step()

    return step


def pytorch(sizes, opt, x, y):
    import torch

    chain = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        chain += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    model, loss = torch.nn.Sequential(*chain[:-1]), torch.nn.CrossEntropyLoss()
    parameters = model.parameters()
    optimizer = torch.optim.Adam(parameters, 1e-3) if opt == "adam" else torch.optim.SGD(parameters, 1e-3, momentum=0.9)
    x, y = torch.from_numpy(x), torch.from_numpy(y)

    def step():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step


def sklearn(sizes, opt, x, y):
    from sklearn.neural_network import MLPClassifier

    # alpha = 0: no L2 term. One pass over 20 batches, so that the check of its input, once a pass, weighs little.
    solver = {"adam": "adam", "momentum": "sgd"}[opt]
    model = MLPClassifier(sizes[1:-1], solver=solver, alpha=0.0, batch_size=len(x), nesterovs_momentum=False)
    x, y = np.tile(x, (SKLEARN_STEPS, 1)), np.tile(y, SKLEARN_STEPS)
    model.partial_fit(x, y, classes=np.arange(sizes[-1]))
    return lambda: model.partial_fit(x, y)


def gemm_seconds(sizes, batch):
    """What the matrix products of one step take on this machine, each measured at its own shape: the limit."""
    total = 0.0
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        x, w, d = (np.ones(s, np.float32) for s in ((batch, fan_in), (fan_in, fan_out), (batch, fan_out)))
        products = [lambda x=x, w=w: x @ w, lambda x=x, d=d: x.T @ d] + [lambda d=d, w=w: d @ w.T] * (i > 0)
        total += sum(min(timed(product, 5) for _ in range(20)) for product in products)
    return total


def timed(function, repeats):
    """Mean seconds of one call."""
    started = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - started) / repeats


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=30, help="paired measurements of each work")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    import sklearn as sk
    import torch

    torch.set_num_threads(options.threads)
    print(
        f"numpy {np.__version__}, torch {torch.__version__}, scikit-learn {sk.__version__}; {options.threads} threads\n"
    )
    print(f"{'work':27}{'ours ms':>9}{'torch ms':>10}{'sklearn ms':>12}{'GEMM ms':>9}  {'ours/torch':18}  ours/sklearn")
    with threadpool_limits(options.threads):
        for name, (sizes, batch) in WORKS.items():
            rng = np.random.default_rng(0)
            x = rng.standard_normal((batch, sizes[0]), dtype=np.float32)
            y = rng.integers(0, sizes[-1], batch)
            limit = gemm_seconds(sizes, batch)
            for opt in ("momentum", "adam"):
                steps = [make(sizes, opt, x, y) for make in (ours, pytorch, sklearn)]
                repeats = [max(1, int(0.02 / timed(step, 3))) for step in steps]
                rows = [[timed(step, n) for step, n in zip(steps, repeats)] for _ in range(options.rounds)]
                rows = [(a, b, c / SKLEARN_STEPS) for a, b, c in rows]
                times = [statistics.median(column) * 1e3 for column in zip(*rows)]
                ratios = [statistics.quantiles([row[0] / row[i] for row in rows], n=4) for i in (1, 2)]
                spread = [f"{q[1]:.2f} ({q[0]:.2f}-{q[2]:.2f})" for q in ratios]
                print(
                    f"{name + ' x ' + str(batch) + ' ' + opt:27}{times[0]:9.3f}{times[1]:10.3f}{times[2]:12.3f}"
                    f"{limit * 1e3:9.3f}  {spread[0]:18}  {spread[1]}"
                )


if __name__ == "__main__":
    main()
