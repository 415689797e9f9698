"""A whole training step (forward, backward, update): ours against PyTorch eager and scikit-learn's MLP.

Every work is done by each library in turn, A B C A B C ..., in one process, so that a drift of the machine's speed hits
all alike; a turn is some steps that do not count and some that do. The table gives the median of the paired ratios with
their quartiles (below 1: ours is faster), the bar, and as the limit what the step's multiplications and additions would
take at the rate of a large matrix product, measured in the same run. Then fresh processes: imports, the way to 97 % on
the digits, and peak memory, which is measured without Numba: its compiler alone takes 60 MB.

    pip install '.[bench]'      # and '.[fast]' for the image layers' compiled passes
    python benchmarks/speed.py [--threads 2] [--rounds 30] [--only a,b,f] [--processes]
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from layers._numba import compiled  # before NumPy, see layers/_idle.py

import numpy as np  # isort: skip
from threadpoolctl import threadpool_limits  # isort: skip

SKLEARN_STEPS = 20  # in one call
AWAKE = 0.02  # seconds; threads of another library are asleep by then
ROOT = pathlib.Path(__file__).parent.parent


def sklearn(sizes, opt, x, y):
    from sklearn.neural_network import MLPClassifier

    # alpha = 0: no L2 term. One pass over 20 batches, so that the check of its input, once a pass, weighs little.
    solver = {"adam": "adam", "momentum": "sgd"}[opt]
    model = MLPClassifier(sizes[1:-1], solver=solver, alpha=0.0, batch_size=len(x), nesterovs_momentum=False)
    x, y = np.tile(x, (SKLEARN_STEPS, 1)), np.tile(y, SKLEARN_STEPS)
    model.partial_fit(x, y, classes=np.arange(sizes[-1]))
    return lambda: model.partial_fit(x, y)


def gemm_rate(n=1024):
    """Multiplications and additions a second of a large product: the best of some."""
    a, b = np.ones((2, n, n), np.float32)
    return 2 * n**3 / min(timed(lambda: a @ b, 3) for _ in range(10))


def timed(function, repeats):
    """Mean seconds of one call."""
    started = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - started) / repeats


def turn(step, repeats):
    """Mean seconds of a step, after some that do not count: in them the threads of the library before go to sleep.

    Those of OpenMP, which PyTorch calls, wait up to 10 ms for more work, and hold a core meanwhile.
    """
    started = time.perf_counter()
    while time.perf_counter() - started < AWAKE:
        step()
    return timed(step, repeats)


def compare(steps, rounds):
    """Median milliseconds of each step, and the quartiles of the paired ratios of the first to each other."""
    per_call = [1, 1, SKLEARN_STEPS]
    repeats = [max(3, int(0.02 / timed(step, 3))) for step in steps]
    rows = [[turn(step, n) / k for step, n, k in zip(steps, repeats, per_call)] for _ in range(rounds)]
    ratios = [statistics.quantiles([row[0] / row[i] for row in rows], n=4) for i in range(1, len(steps))]
    return [statistics.median(column) * 1e3 for column in zip(*rows)], ratios


def steps_table(options):
    from benchmarks.works import MLPS, WORKS

    limit = gemm_rate()
    print(f"a large matrix product: {limit / 1e9:.0f} GFLOP/s\n")
    print(
        f"{'':3}{'work':37}{'ours ms':>9}{'torch':>9}{'limit':>9}   {'ours / torch':18}{'bar':>6}  ours / scikit-learn"
    )
    for letter, name, bar, flops, make in WORKS:
        if options.only and letter not in options.only.split(","):
            continue
        steps = list(make())
        if letter in "abc" and letter in MLPS:
            sizes, batch = MLPS[letter]
            rng = np.random.default_rng(0)
            x, y = rng.standard_normal((batch, sizes[0]), dtype=np.float32), rng.integers(0, sizes[-1], batch)
            steps.append(sklearn(sizes, name.split()[-1], x, y))
        (mine, theirs, *_), ratios = compare(steps, options.rounds)
        texts = [f"{q[1]:.2f} ({q[0]:.2f}-{q[2]:.2f})" for q in ratios]
        least = f"{flops / limit * 1e3:9.3f}" if flops else f"{'':9}"
        late = " " if ratios[0][1] <= bar else "*"
        print(f"{letter:3}{name:37}{mine:9.3f}{theirs:9.3f}{least}   {texts[0]:18}{bar:6}{late} {''.join(texts[1:])}",
              flush=True)  # fmt: skip


# --- fresh processes

OURS = """
import numpy as np
from data import load, split
from layers import SoftmaxLoss
from models import MLP
from optim import Adam
train, _, test = split(load("digits"), seed=0)
X, y, TX, ty = train.X / np.float32(16), train.y, test.X / np.float32(16), test.y
model, loss, rng = MLP(64, [128], 10, rng=0), SoftmaxLoss(), np.random.default_rng(0)
optimizer = Adam(model.parameters(), learning_rate=3e-3)
for epoch in range(60):
    order = rng.permutation(len(X))
    for at in range(0, len(X), 32):
        rows = order[at : at + 32]
        optimizer.zero_grad()
        loss.forward(model.forward(X[rows]), y[rows])
        model.add_grads(loss.backward())
        optimizer.step()
    if (model.predict(TX).argmax(axis=1) == ty).mean() >= 0.97:
        break
"""
TORCH = """
import numpy as np, torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
X, y = load_digits(return_X_y=True)
X, TX, y, ty = train_test_split(np.float32(X / 16), y, test_size=0.4, stratify=y, random_state=0)
X, TX, y, ty = map(torch.from_numpy, (X, TX, y, ty))
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
loss, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), 3e-3)
for epoch in range(60):
    order = torch.randperm(len(X))
    for at in range(0, len(X), 32):
        rows = order[at : at + 32]
        optimizer.zero_grad()
        loss(model(X[rows]), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        if (model(TX).argmax(dim=1) == ty).float().mean() >= 0.97:
            break
"""
PEAK = """
import sys
sys.modules["numba"] = None
sys.path.insert(0, {root!r})
from benchmarks import works
def memory(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
steps = [make for letter, _, _, _, make in works.WORKS if letter == {letter!r}][0]()
step = steps[{which}]
del steps
open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
before = memory("VmRSS")
for _ in range(3):
    step()
print(memory("VmHWM") - before)
"""


def fresh(code, threads):
    """Seconds of a new process, and what it printed."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, done.stdout


def process_table(options):
    pairs = {
        "n: from start to 97 % on the digits": (OURS, TORCH, 0.25),
        "o: import layers, models, optim": ("import layers, models, optim", "import torch", 0.2),
    }
    print(f"\n{'':40}{'ours s':>9}{'torch':>9}   {'ours / torch':18}{'bar':>6}")
    for name, (mine, theirs, bar) in pairs.items():
        rows = [(fresh(mine, options.threads)[0], fresh(theirs, options.threads)[0]) for _ in range(7)]
        q = statistics.quantiles([a / b for a, b in rows], n=4)
        a, b = (statistics.median(column) for column in zip(*rows))
        text = f"{q[1]:.2f} ({q[0]:.2f}-{q[2]:.2f})"
        print(f"{name:40}{a:9.2f}{b:9.2f}   {text:18}{bar:6}{' ' if q[1] <= bar else '*'}", flush=True)
    print(f"\n{'p: peak memory above the imports':40}{'ours MB':>9}{'torch':>9}   {'ours / torch':18}{'bar':>6}")
    for letter in "dfik":
        codes = [PEAK.format(root=str(ROOT), letter=letter, which=which) for which in (0, 1)]
        a, b = (int(fresh(code, options.threads)[1]) / 1024 for code in codes)
        print(f"   {letter:37}{a:9.0f}{b:9.0f}   {a / b:<18.2f}{1.0:6}{' ' if a <= b else '*'}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=30, help="paired measurements of each work")
    parser.add_argument("--only", metavar="LETTERS", help="these works, as in a,b,f")
    parser.add_argument("--processes", action="store_true", help="n, o and p alone")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    try:
        import sklearn as sk
        import torch
    except ImportError as missing:
        sys.exit(f"{missing}: pip install '.[bench]'")
    kernels = os.environ.get("OPENBLAS_CORETYPE")
    if kernels:
        print(
            f"OPENBLAS_CORETYPE={kernels}: NumPy's products, not PyTorch's, are those of that processor",
            file=sys.stderr,
        )

    torch.set_num_threads(options.threads)
    print(
        f"numpy {np.__version__}, torch {torch.__version__}, scikit-learn {sk.__version__}, "
        f"{'with' if compiled('_norms') else 'without'} Numba; {options.threads} threads"
    )
    with threadpool_limits(options.threads):
        if not options.processes:
            steps_table(options)
    if options.processes or not options.only:
        process_table(options)


if __name__ == "__main__":
    main()
