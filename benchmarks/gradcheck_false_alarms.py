"""Does the checker accuse correct code? A thousand draws over all registered layers, at scales that differences hate.

The first input of each layer is drawn afresh, multiplied by 1e-6 .. 1e3 or shifted by 1000. A draw counts as saturated
where rounding alone hides the slope: out is so large beside what x can move it (or, shifted, varies so little) that
differences keep fewer than three digits at any step, by eps**(2/3) * (norm(out * dout) / (norm(dx) * norm(x)))**(2/3).
There `inconclusive` is the honest answer; elsewhere it should be rare, and an accusation is wrong everywhere.

    python benchmarks/gradcheck_false_alarms.py [--draws 1000] [--quick]
"""

import argparse
import collections
import itertools
import pathlib
import sys
import warnings

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from gradcheck import check_layer
from gradcheck.objects import LayerObject
from tests.cases import GATES, IMAGES, LAYERS, LOSSES, SEQUENCES

CHANGES = [(1e-6, 0.0), (1e-3, 0.0), (1.0, 0.0), (30.0, 0.0), (1e3, 0.0), (1.0, 1000.0)]
ACCUSED = {"fail", "contract", "kink", "error", "not_implemented"}
EPS = np.finfo(np.float64).eps


def changed(case, seed, scale, shift):
    """The case's inputs with the first one scaled and shifted."""
    first, *others = case.draw(seed)
    if first.dtype.kind != "f":
        return (first, *others)
    return (scale * first + shift, *others)


def is_saturated(case, inputs):
    """Whether rounding hides the slope of some gradient, or all of it is 0; computed from the layer itself."""
    subject = LayerObject(case.make(), inputs, None)
    with np.errstate(all="ignore"):
        run = subject.run(subject.arrays)
        rng = np.random.default_rng(0)
        outs = [np.asarray(out) for out in run.outs]
        douts = [rng.standard_normal(out.shape) if subject.takes_dout else np.ones(out.shape) for out in outs]
        gradients = run.backward([dout[()] for dout in douts])
    top = np.linalg.norm([np.linalg.norm(out * dout) for out, dout in zip(outs, douts)])
    if not np.isfinite(top):
        return True
    moves = [np.linalg.norm(g) * min(max(1, np.linalg.norm(x)), spread(x)) for g, x in zip(gradients, subject.arrays)]
    return any(EPS * top > 1e-6 * move for move in moves)


def spread(x):
    """How far x may move before all is another function: its standard deviation times the root of its size."""
    return float(np.std(x)) * x.size**0.5 if x.size > 1 else np.inf


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="200 draws")
    options = parser.parse_args()
    draws = 200 if options.quick else options.draws
    warnings.simplefilter("ignore")
    cases = [*LAYERS, *IMAGES, *SEQUENCES, *GATES, *LOSSES]
    seen = {change: collections.Counter() for change in CHANGES}
    digits = collections.defaultdict(list)
    for i, (case, change) in zip(range(draws), itertools.cycle(itertools.product(cases, CHANGES))):
        inputs = changed(case, i, *change)
        report = check_layer(case.make(), *inputs, rng=i)
        count = seen[change]
        count["draws"] += 1
        if report.verdict in ACCUSED:
            count["accused"] += 1
            print(f"{case.id} at scale {change[0]:g}, shift {change[1]:g}, draw {i}:\n{report}\n")
        elif report.verdict == "pass":
            digits[change] += [a.digits for a in report.arguments if a.digits is not None]
        elif is_saturated(case, inputs):
            count["saturated"] += 1
        else:
            count[report.verdict] += 1
            print(f"{case.id} at scale {change[0]:g}, shift {change[1]:g}, draw {i}: {report.message}")
    columns = ("draws", "accused", "saturated", "inconclusive", "vacuous")
    print("\n scale  shift " + "".join(f"{name:>13}" for name in columns) + "  median digits")
    for change, count in seen.items():
        row = "".join(f"{count[name]:13}" for name in columns)
        print(f"{change[0]:6g} {change[1]:6g} {row} {np.median(digits[change] or [0]):14.1f}")
    total = sum(seen.values(), collections.Counter())
    judged = total["draws"] - total["saturated"]
    share = (total["inconclusive"] + total["vacuous"]) / judged
    print(f"\n{total['accused']} accused of {total['draws']}; undecided outside saturation {share:.1%} of {judged}")


if __name__ == "__main__":
    main()
