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

from layers import LSTM, Affine, Conv2D, EncoderLayer, Flatten, MaxPool2D, ReLU, SoftmaxLoss
from models import MLP, Sequential
from optim import SGD, Adam

SKLEARN_STEPS = 20  # in one call
TINY = np.float32(1e-6)  # scale of a dout that stays the same: many steps in its direction leave the weights finite
WORKS = {"2-100-3": ((2, 100, 3), 300), "64-128-10": ((64, 128, 10), 64), "784-512-256-10": ((784, 512, 256, 10), 128)}


def optimizer_of(parameters, opt):
    return Adam(parameters, learning_rate=1e-3) if opt == "adam" else SGD(parameters, learning_rate=1e-3, momentum=0.9)


def torch_optimizer_of(parameters, opt):
    import torch

    return torch.optim.Adam(parameters, 1e-3) if opt == "adam" else torch.optim.SGD(parameters, 1e-3, momentum=0.9)


def ours(model, opt, x, y):
    """One step of a classifier."""
    loss, optimizer = SoftmaxLoss(), optimizer_of(model.parameters(), opt)

    def step():
        optimizer.zero_grad()
        loss.forward(model.forward(x), y)
        model.add_grads(loss.backward())
        optimizer.step()

    return step


def pytorch(model, opt, x, y):
    """One step of a classifier."""
    import torch

    loss, optimizer = torch.nn.CrossEntropyLoss(), torch_optimizer_of(model.parameters(), opt)
    x, y = torch.from_numpy(x), torch.from_numpy(y)

    def step():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step


def ours_from(layer, x, dout):
    """One step of a layer within a net: dout comes from above, dx goes on below."""
    optimizer = optimizer_of(layer.parameters(), "momentum")

    def step():
        optimizer.zero_grad()
        layer.forward(x)
        layer.backward(dout)
        optimizer.step()

    return step


def pytorch_from(module, x, dout):
    """One step of a module within a net: dout comes from above, dx goes on below."""
    import torch

    optimizer = torch_optimizer_of(module.parameters(), "momentum")
    x, dout = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dout)

    def step():
        optimizer.zero_grad()
        x.grad = None
        out = module(x)
        (out[0] if isinstance(out, tuple) else out).backward(dout)
        optimizer.step()

    return step


def torch_mlp(sizes):
    import torch

    chain = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        chain += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*chain[:-1])


def cnn(rng):
    """3x32x32: conv 32, pool, conv 64, pool, conv 128, affine; all 3x3 with ReLU; batch 64."""
    from torch import nn

    x, y = rng.standard_normal((64, 3, 32, 32), dtype=np.float32), rng.integers(0, 10, 64)
    model, twin = [], []
    for channels, filters in itertools.pairwise((3, 32, 64, 128)):
        model += [Conv2D(channels, filters, 3, padding=1, rng=0), ReLU()] + [MaxPool2D(2)] * (filters < 128)
        twin += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()] + [nn.MaxPool2d(2)] * (filters < 128)
    model += [Flatten(), Affine(128 * 64, 10, rng=0)]
    twin += [nn.Flatten(), nn.Linear(128 * 64, 10)]
    return ours(Sequential(*model), "momentum", x, y), pytorch(nn.Sequential(*twin), "momentum", x, y)


def lstm(rng):
    """T = 64, B = 32, D = 65, H = 256."""
    from torch import nn

    x, dout = (rng.standard_normal((32, 64, width), dtype=np.float32) for width in (65, 256))
    return ours_from(LSTM(65, 256, rng=0), x, TINY * dout), pytorch_from(
        nn.LSTM(65, 256, batch_first=True), x, TINY * dout
    )


def transformer(rng):
    """A block: B = 32, T = 64, D = 128, 4 heads, pre-norm, feed-forward 4 D, GELU in its tanh form, no dropout."""
    from torch import nn

    x, dout = (rng.standard_normal((32, 64, 128), dtype=np.float32) for _ in range(2))
    gelu = nn.GELU(approximate="tanh")
    twin = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, activation=gelu, batch_first=True, norm_first=True)
    return ours_from(EncoderLayer(128, 4, rng=0), x, TINY * dout), pytorch_from(twin, x, TINY * dout)


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
    print(f"{'work':31}{'ours ms':>8}{'torch':>9}{'sklearn':>9}{'GEMM':>9}  {'ours/torch':18}  ours/sklearn")
    with threadpool_limits(options.threads):
        for name, (sizes, batch) in WORKS.items():
            rng = np.random.default_rng(0)
            x = rng.standard_normal((batch, sizes[0]), dtype=np.float32)
            y = rng.integers(0, sizes[-1], batch)
            limit = gemm_seconds(sizes, batch)
            for opt in ("momentum", "adam"):
                steps = [
                    ours(MLP(sizes[0], sizes[1:-1], sizes[-1], rng=0), opt, x, y),
                    pytorch(torch_mlp(sizes), opt, x, y),
                    sklearn(sizes, opt, x, y),
                ]
                a, b, c, ratio, skratio = compare(steps, options.rounds)
                work = f"{name} x {batch} {opt}"
                print(f"{work:31}{a:8.3f}{b:9.3f}{c:9.3f}{limit * 1e3:9.3f}  {ratio:18}  {skratio}")
        for make in (cnn, lstm, transformer):
            a, b, ratio = compare(make(np.random.default_rng(0)), options.rounds)
            print(f"{make.__name__:31}{a:8.2f}{b:9.2f}{'-':>9}{'-':>9}  {ratio}")


def compare(steps, rounds):
    """Median milliseconds of each step, and the paired ratios of the first to each other, as text."""
    per_call = [1, 1, SKLEARN_STEPS]
    repeats = [max(1, int(0.02 / timed(step, 3))) for step in steps]
    rows = [[timed(step, n) / k for step, n, k in zip(steps, repeats, per_call)] for _ in range(rounds)]
    ratios = [statistics.quantiles([row[0] / row[i] for row in rows], n=4) for i in range(1, len(steps))]
    return *(statistics.median(column) * 1e3 for column in zip(*rows)), *(
        f"{q[1]:.2f} ({q[0]:.2f}-{q[2]:.2f})" for q in ratios
    )


if __name__ == "__main__":
    main()
