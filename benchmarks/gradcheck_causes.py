"""Is the cause that the checker names the right one? The mutants of `gradcheck_power.py`, each kind against the cause.

Every mutant of a registered layer's backward that changes a gradient is diagnosed, with the layer at two sizes of the
batch and a second draw. A cause is right if it is among those by which a change of that kind can show itself: a factor
left out is a scale, another local derivative, or a gradient that ignores dout.

    python benchmarks/gradcheck_causes.py [--per-layer 3] [--list]
"""

import argparse
import collections
import inspect
import itertools
import pathlib
import random
import sys
import time
import warnings

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.mutants import functions_of_backward, mutants_of, remember_caches
from gradcheck import check_layer
from tests.cases import GATES, IMAGES, LAYERS, LOSSES, SEQUENCES

SCALES = {"scale-batch", "scale-count", "scale-factor", "scale-sign", "scale-keep", "scale-per-channel"}
TERMS = {"missing-branch", "missing-term-mean", "missing-term-variance", "diagonal-jacobian", "missing-one-hot",
         "missing-timestep", "wrong-term", "wrong-local-derivative", "ignores-dout", "unfinished"}  # fmt: skip
PLACES = {"transposed", "permuted", "wrong-index", "off-by-one", "wrong-axis", "not-flipped", "shape-transposed"}
SHAPES = {"shape-not-summed", "shape-keepdims", "shape-not-restored", "shape-squeezed", "shape-cropped"}
RIGHT = {
    "term": TERMS | SCALES | PLACES | {"overwritten", "wrong-eps", "wrong-mask"},
    "sign": TERMS | SCALES | {"wrong-mask", "wrong-eps", "wrong-index", "off-by-one"},  # of an offset: a shift
    "factor": TERMS | SCALES | {"nonlinear-in-dout", "wrong-mask", "wrong-eps", "swapped-gradients", "non-finite"},
    "sum": SCALES | SHAPES | TERMS | {"wrong-axis", "wrong-mask"},
    "transpose": PLACES | SHAPES | {"wrong-cache", "swapped-gradients"},
    "mask": {"wrong-mask", "wrong-local-derivative", "wrong-index", "scale-sign", "unfinished", "missing-one-hot",
             "shape-not-summed"},  # a comparison that decides which axes are summed
    "index": PLACES | SHAPES | SCALES | TERMS | {"config-hardcoded", "wrong-cache", "overwritten", "last-sample-only",
                                                "missing-gradient", "wrong-mask"},
    "+= to =": {"overwritten", "last-sample-only", "missing-branch", "missing-timestep", "nonlinear-in-dout",
                "non-finite", "missing-one-hot"} | TERMS | SCALES,  # a term or, by *=, a factor is lost
    "eps or constant": SCALES | {"wrong-eps", "wrong-local-derivative", "wrong-mask", "wrong-term"},
    "statement": TERMS | {"missing-gradient", "overwritten", "not-repeatable"},  # memory that is no longer filled
    "mutates dout": {"mutates-dout"},
    "latest cache": {"stale-cache"},
    "first cache": {"stale-cache"},
    "dout squared": {"nonlinear-in-dout"},
    "dout clipped": {"nonlinear-in-dout"},
    "dout plus 1e-3": {"ignores-dout"},
    "all off by 1e-5": {"scale-factor", "wrong-term"},  # of several douts only the first is off
}  # fmt: skip
CASES = [*LAYERS, *IMAGES, *SEQUENCES, *GATES, *LOSSES]


def inputs_of(case, size, seed):
    """The case's inputs with `size` times the examples; what has another first axis stays."""
    draws = [case.draw(1000 * seed + i) for i in range(size)]
    n = [len(x) if np.ndim(x) else 0 for x in draws[0]]
    return tuple(np.concatenate(xs) if n[i] and n[i] == n[0] else xs[0] for i, xs in enumerate(zip(*draws)))


def diagnosed(case):
    """What a check of the layer names as the cause, why, and the line."""
    report = check_layer(case.make(), *inputs_of(case, 1, 0), wrt=case.wrt)
    return report.cause or "nothing", report.why.evidence if report.why else report.message, report.line


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-layer", type=int, default=3, help="mutants of each registered layer, drawn at random")
    parser.add_argument("--list", action="store_true", help="print each that is wrong or unknown")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    random_order = random.Random(0)
    remember_caches(CASES)
    table, times, lines = collections.defaultdict(collections.Counter), [], []
    lined = {True: [], False: []}  # mutants of the layer's own backward, and of what it calls: is the line within 2?
    for case in CASES:
        every = [m for function in functions_of_backward(case) for m in mutants_of(function)]
        random_order.shuffle(every)
        for mutant in itertools.islice(filter(shows(case), every), options.per_layer):
            with mutant.active():
                started = time.perf_counter()
                cause, evidence, line = diagnosed(case)
                times.append(time.perf_counter() - started)
            table[mutant.kind][cause] += 1
            lined[is_own(mutant, case)].append(line is not None and abs(line - mutant.line) <= 2)
            if cause not in RIGHT[mutant.kind]:
                lines.append(f"{case.id}: {mutant}: {cause}: {evidence}")
            if line is None or abs(line - mutant.line) > 2:
                lines.append(f"{case.id}: {mutant}: line {line}; {cause}")
    print_table(table)
    print(f"line within 2: {sum(lined[True])} of {len(lined[True])} in the layer's own backward, "
          f"{sum(lined[False])} of {len(lined[False])} in the layers and functions that it calls")  # fmt: skip
    print(f"seconds: median {np.median(times):.2f}, worst {max(times):.2f}")
    if options.list:
        print("\n".join(lines))


def is_own(mutant, case):
    """Whether a mutant changes the backward that the class itself has."""
    own = [inspect.unwrap(getattr(case.type, name)) for name in ("backward", "add_grads")]
    return any(mutant.function.__code__.co_firstlineno == f.__code__.co_firstlineno
               and mutant.function.__code__.co_filename == f.__code__.co_filename for f in own)  # fmt: skip


def shows(case):
    """Whether a mutant runs, and fails the check."""

    def accused(mutant):
        if not mutant.build():
            return False
        with mutant.active():
            return check_layer(case.make(), *inputs_of(case, 1, 0), wrt=case.wrt).verdict in ("fail", "contract")

    return accused


def print_table(table):
    total = collections.Counter()
    for kind, causes in sorted(table.items(), key=lambda row: -row[1].total()):
        right = sum(n for cause, n in causes.items() if cause in RIGHT[kind])
        unknown = causes["unknown"] + causes["nothing"]
        total.update(right=right, unknown=unknown, wrong=causes.total() - right - unknown, all=causes.total())
        print(f"{kind:16} {right:4} of {causes.total():4}  " + ", ".join(f"{c} {n}" for c, n in causes.most_common()))
    print(f"right {total['right'] / total['all']:.1%}, unknown {total['unknown'] / total['all']:.1%}, "
          f"wrong {total['wrong'] / total['all']:.1%} of {total['all']}")  # fmt: skip


if __name__ == "__main__":
    main()
