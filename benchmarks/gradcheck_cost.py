"""What one check costs: ours against PyTorch's gradcheck, fast and slow, on an affine layer, a convolution and nets.

PyTorch checks its own layers in float64, ours the layers of `layers`. Its slow mode builds the Jacobian; where the
forwards and backwards that this takes last longer than `--limit` seconds, only their sum is given. Each figure is the
least of `--rounds` rounds, ours and theirs in turn; "busy": the processor's time of ours, however shared.

    pip install '.[bench]'
    python benchmarks/gradcheck_cost.py [--rounds 9] [--limit 1] [--quick]
"""

import argparse
import itertools
import pathlib
import sys
import time
import warnings

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import layers
import models
from gradcheck import check_layer

GOALS = {"affine 64x256->128": 0.020, "conv 3x3 4x8x16x16->16": 0.150, "net of 1M parameters": 2.0}


def affine():
    return layers.Affine(256, 128, rng=0), torch.nn.Linear(256, 128), (64, 256)


def conv():
    return layers.Conv2D(8, 16, 3, padding=1, rng=0), torch.nn.Conv2d(8, 16, 3, padding=1), (4, 8, 16, 16)


def net(width, depth=2, batch=16, features=32):
    def make():
        chain, sizes = [], [features, *[width] * depth, 10]
        for a, b in itertools.pairwise(sizes):
            chain += [torch.nn.Linear(a, b), torch.nn.Tanh()]
        ours = models.MLP(features, [width] * depth, 10, activation="tanh", rng=0)
        return ours, torch.nn.Sequential(*chain[:-1]), (batch, features)

    return make


WORKS = {
    "affine 64x256->128": affine,
    "conv 3x3 4x8x16x16->16": conv,
    "net of 1k parameters": net(14),
    "net of 10k parameters": net(80),
    "net of 100k parameters": net(295),
    "net of 1M parameters": net(980),
}


def torch_check(module, shape, fast):
    """A call of torch.autograd.gradcheck over the input and all parameters."""
    module = module.double()
    names = [name for name, _ in module.named_parameters()]
    values = [p.detach().clone().requires_grad_(True) for p in module.parameters()]
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)

    def function(x, *values):
        return torch.func.functional_call(module, dict(zip(names, values)), (x,))

    return lambda: torch.autograd.gradcheck(function, (x, *values), fast_mode=fast)


def seconds(call, clock=time.perf_counter):
    started = clock()
    call()
    return clock() - started


def at_least(module, shape):
    """Seconds that the slow mode takes at the least: two forwards an entry of the inputs, one backward an output."""
    module = module.double()
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    forward = min(seconds(lambda: module(x)) for _ in range(5))
    backward = min(seconds(lambda: module(x).sum().backward()) for _ in range(5))
    entries = x.numel() + sum(p.numel() for p in module.parameters())
    return 2 * entries * forward + module(x).numel() * backward


def text(value):
    return f"{1e3 * value:10.1f}" if value is not None else f"{'-':>10}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--limit", type=float, default=1.0, help="seconds of forwards and backwards in the slow mode")
    parser.add_argument("--quick", action="store_true", help="three rounds, no slow mode")
    options = parser.parse_args()
    rounds, limit = (3, 0.0) if options.quick else (options.rounds, options.limit)
    warnings.simplefilter("ignore")
    print(f"{'milliseconds':24} {'ours':>10} {'busy':>10} {'goal':>10} {'fast':>10} {'slow':>10}  ns a parameter")
    for name, make in WORKS.items():
        ours, theirs, shape = make()
        ours = ours.astype(np.float64)
        x = np.random.default_rng(0).standard_normal(shape)
        fast = torch_check(theirs, shape, fast=True)
        assert check_layer(ours, x)
        pairs = [(seconds(lambda: check_layer(ours, x)), seconds(fast)) for _ in range(rounds)]  # noqa: B023
        mine, quick = map(min, zip(*pairs))  # what else runs on the machine only adds
        busy = min(seconds(lambda: check_layer(ours, x), time.process_time) for _ in range(rounds))  # noqa: B023
        least = at_least(theirs, shape)
        slow = seconds(torch_check(theirs, shape, fast=False)) if least < limit else None
        size = sum(p.value.size for p in ours.parameters().values())
        shown = text(slow) if slow is not None else f"{'>':>3}{1e3 * least:7.0f}"
        cells = [*map(text, (mine, busy, GOALS.get(name), quick)), shown]
        print(f"{name:24} {' '.join(cells)}  {1e9 * busy / size:8.0f}")


if __name__ == "__main__":
    main()
