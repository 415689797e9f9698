"""How the time of a training step grows, against its multiplications: with batch, width, depth, length and image size.

Each line doubles one size four times. Its slope is that of log time against log FLOPs, over the upper half of the
sizes: at most 1, but for noise, where nothing grows faster than the work. Draws docs/growth.png.

    pip install '.[bench,plot]'
    python benchmarks/growth.py [--threads 1] [--out docs/growth.png]
"""

import argparse
import itertools
import pathlib
import sys
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.speed import timed
from benchmarks.works import block_flops, conv_flops, ours, ours_from, recurrent_flops
from layers import LSTM, Affine, Conv2D, EncoderLayer, Flatten, ReLU
from models import MLP, Sequential


def mlp(batch, width, depth):
    sizes = (width, *[width] * depth, 10)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((batch, width), dtype=np.float32), rng.integers(0, 10, batch)
    flops = batch * sum(2 * a * b * (3 if i else 2) for i, (a, b) in enumerate(itertools.pairwise(sizes)))
    return ours(MLP(width, sizes[1:-1], 10, rng=0), "adam", x, y), flops


def lstm(T, H):
    x, dout = (np.random.default_rng(0).standard_normal((32, T, width), dtype=np.float32) for width in (64, H))
    return ours_from(LSTM(64, H, rng=0), x, 1e-6 * dout), recurrent_flops(4, T, 32, 64, H)


def attention(T):
    x = np.random.default_rng(0).standard_normal((8, T, 64), dtype=np.float32)
    return ours_from(EncoderLayer(64, 4, rng=0), x, np.float32(1e-6) * x), block_flops(8, T, 64)


def convolution(size, batch=8):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((batch, 16, size, size), dtype=np.float32), rng.integers(0, 10, batch)
    model = Sequential(
        Conv2D(16, 32, 3, padding=1, rng=0), ReLU(), Conv2D(32, 32, 3, padding=1, rng=1), ReLU(), Flatten(),
        Affine(32 * size * size, 10, rng=2),
    )  # fmt: skip
    flops = conv_flops(16, 32, size**2, first=True) + conv_flops(32, 32, size**2) + 6 * 32 * size**2 * 10
    return ours(model, "momentum", x, y), batch * flops


LINES = {
    "MLP 256-256-10, batch": ((32, 64, 128, 256, 512), lambda n: mlp(n, 256, 1)),
    "MLP batch 64, width": ((64, 128, 256, 512, 1024), lambda n: mlp(64, n, 2)),
    "MLP batch 64, width 128, depth": ((2, 4, 8, 16, 32), lambda n: mlp(64, 128, n)),
    "LSTM H 64, length": ((16, 32, 64, 128, 256), lambda n: lstm(n, 64)),
    "LSTM length 32, width": ((32, 64, 128, 256, 512), lambda n: lstm(32, n)),
    "transformer block, length": ((16, 32, 64, 128, 256), attention),
    "two convolutions, height and width": ((8, 16, 32, 64, 128), convolution),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent.parent / "docs" / "growth.png"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = {}
    with threadpool_limits(options.threads):
        for name, (sizes, make) in LINES.items():
            points = []
            for size in sizes:
                step, flops = make(size)
                repeats = max(1, int(0.02 / timed(step, 2)))
                points.append((flops, min(timed(step, repeats) for _ in range(7))))
            upper = np.log(points[len(points) // 2 :]).T
            slope = np.polyfit(*upper, 1)[0]
            lines[name] = points, slope
            milliseconds = "  ".join(f"{size}: {seconds * 1e3:.3g}" for size, (_, seconds) in zip(sizes, points))
            print(f"{name:36} slope {slope:.2f}   ms  {milliseconds}", flush=True)
    draw(lines, options.out)


def draw(lines, out):
    """Time against FLOPs, both on logarithmic axes."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        sys.exit("the picture needs Matplotlib: pip install '.[plot]'")
    figure, axis = plt.subplots(figsize=(7.5, 5), layout="constrained")
    for name, (points, slope) in lines.items():
        flops, seconds = np.array(points).T
        axis.loglog(flops, seconds * 1e3, "o-", markersize=4, label=f"{name}: slope {slope:.2f}")
    ends = np.array(axis.get_xlim())
    for rate in (10, 100):
        axis.loglog(ends, ends / rate / 1e6, "--", color="grey", linewidth=0.8)
        axis.annotate(f"{rate} GFLOP/s", (ends[1], ends[1] / rate / 1e6), ha="right", va="bottom", color="grey")
    axis.set(xlabel="multiplications and additions of one training step", ylabel="milliseconds")
    axis.legend(fontsize=8)
    figure.savefig(out, dpi=90)
    print(f"drawn: {out}")


if __name__ == "__main__":
    main()
