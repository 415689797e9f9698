"""What does a gradient checker miss? Hundreds of wrong backwards, made by changing the source of every layer.

Of each registered layer, the functions that run in its backward and not in its forward are found by tracing. In their
syntax trees one node at a time is changed: a sum, factor, term, transpose, sign, mask or index is dropped or swapped,
`+=` becomes `=`, a constant moves; or backward gets a line that writes into dout, keeps an old cache, or is not linear
in dout. Changes that make backward raise are left out: anyone finds those. Every other one is shown to four checkers at
four batch sizes: ours, PyTorch's in both modes (the layer as an autograd.Function), and the course's, central
differences of every entry with h = 1e-5 and a relative error above 1e-4. A checker that would take too long at a size
is not run there. What ours lets pass is compared with the original over many draws, to see whether it is wrong at all.

    pip install '.[bench]'
    python benchmarks/gradcheck_power.py [--per-layer 3] [--quick] [--survivors]
"""

import argparse
import collections
import itertools
import pathlib
import random
import sys
import time
import warnings

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.mutants import functions_of_backward, mutants_of, remember_caches
from gradcheck import check_layer
from gradcheck.objects import LayerObject
from tests.cases import GATES, IMAGES, LAYERS, LOSSES, SEQUENCES

SIZES = (1, 2, 4, 8)  # times the batch of the registry
ENTRIES = {"torch slow": 300, "course": 1500}  # inputs, and for the Jacobian outputs, beyond which one is not run

# --- checkers: True if they find something wrong


def inputs_of(case, size, seed=0):
    """The case's inputs with `size` times the examples; what has another first axis stays."""
    draws = [case.draw(1000 * seed + i) for i in range(size)]
    n = [len(x) if np.ndim(x) else 0 for x in draws[0]]
    return tuple(np.concatenate(xs) if n[i] and n[i] == n[0] else xs[0] for i, xs in enumerate(zip(*draws)))


def ours(case, inputs):
    return check_layer(case.make(), *inputs, why=False).verdict in ("fail", "contract", "error", "kink")


class Numpy(torch.autograd.Function):
    """A subject's forward and backward, called by PyTorch."""

    @staticmethod
    def forward(ctx, subject, *tensors):
        ctx.run = subject.run([t.detach().numpy().copy() for t in tensors])
        ctx.takes_dout = subject.takes_dout
        outs = tuple(torch.as_tensor(np.array(out)) for out in ctx.run.outs)
        return outs if len(outs) > 1 else outs[0]

    @staticmethod
    def backward(ctx, *douts):
        gradients = ctx.run.backward([d.numpy()[()] for d in douts] if ctx.takes_dout else [])
        scale = 1 if ctx.takes_dout else douts[0]
        return None, *(None if g is None else torch.as_tensor(np.array(g)) * scale for g in gradients)


def through_torch(fast):
    def accuses(case, inputs):
        subject = LayerObject(case.make(), inputs, None)
        tensors = [torch.tensor(x, requires_grad=True) for x in subject.arrays]
        try:
            return not torch.autograd.gradcheck(lambda *ts: Numpy.apply(subject, *ts), tensors, fast_mode=fast)
        except Exception:
            return True

    return accuses


def course(case, inputs):
    subject = LayerObject(case.make(), inputs, None)
    run = subject.run(subject.arrays)
    douts = [np.random.randn(*np.shape(out)) for out in run.outs]  # noqa: NPY002
    if not subject.takes_dout:
        douts = [np.ones(())]
    try:
        gradients = run.backward(list(douts))
    except Exception:
        return True
    for k, gradient in enumerate(gradients):
        numeric = np.zeros_like(subject.arrays[k])
        for i in range(numeric.size):
            up, down = ([x.copy() for x in subject.arrays] for _ in range(2))
            up[k].flat[i] += 1e-5
            down[k].flat[i] -= 1e-5
            rises = zip(subject.run(up).outs, subject.run(down).outs, douts)
            numeric.flat[i] = sum(np.sum((a - b) * d) for a, b, d in rises) / 2e-5
        if np.shape(gradient) != numeric.shape:
            return True
        relative = np.abs(gradient - numeric) / np.maximum(1e-8, np.abs(gradient) + np.abs(numeric))
        if np.max(relative, initial=0) > 1e-4:
            return True
    return False


CHECKERS = {"ours": ours, "torch slow": through_torch(False), "torch fast": through_torch(True), "course": course}


def can_run(name, case, inputs):
    if name not in ENTRIES:
        return True
    subject = LayerObject(case.make(), inputs, None)
    outs = sum(np.size(out) for out in subject.run(subject.arrays).outs) if name == "torch slow" else 1
    return sum(x.size for x in subject.arrays) + outs <= ENTRIES[name]


# --- what is equivalent


def gradients(case, inputs, seed, between=lambda: None):
    """All gradients for a random dout, with `between` called after forward; inf where dout was written into."""
    subject = LayerObject(case.make(), inputs, None)
    rng = np.random.default_rng(seed)
    run = subject.run(subject.arrays)
    douts = [rng.standard_normal(np.shape(out))[()] for out in run.outs]
    kept = [np.array(dout) for dout in douts]
    between()
    found = [np.array(g) for g in run.backward(douts if subject.takes_dout else [])]
    return found if all(map(np.array_equal, douts, kept)) else [np.full_like(g, np.inf) for g in found]


def difference(case, mutant, inputs, other, seed):
    """The largest difference of a gradient to the original's, relative to its largest entry; inf if dout changes.

    Before backward another layer of the class runs forward and backward, and one more forward: all that a program does.
    """
    before = gradients(case, inputs, seed)
    with mutant.active():
        gradients(case, other, seed)
        after = gradients(case, inputs, seed, between=lambda: gradients(case, other, seed))
    tops = [max(np.max(np.abs(a), initial=0), 1e-300) for a in before]
    return max(float(np.max(np.abs(a - b), initial=0) / top) for a, b, top in zip(before, after, tops))


def anywhere(case, mutant, draws=30):
    """The largest difference over draws of inputs and dout at several sizes."""
    return max(
        difference(case, mutant, *(inputs_of(case, SIZES[seed % 3], seed + other) for other in (0, 100)), seed)
        for seed in range(draws)
    )


def where_it_passed(case, mutant, sizes, draws=10):
    """The largest difference at the very inputs at which ours let it pass."""
    return max(
        difference(case, mutant, inputs_of(case, size), inputs_of(case, size, 100), seed)
        for size in sizes
        for seed in range(draws)
    )


CASES = [*LAYERS, *IMAGES, *SEQUENCES, *GATES, *LOSSES]


def by_turns(mutants, draw):
    """In random order, but one of each kind before a second of any."""
    draw.shuffle(mutants)
    seen = collections.Counter()
    turns = {}
    for mutant in mutants:
        seen[mutant.kind] += 1
        turns[mutant] = seen[mutant.kind]
    return sorted(mutants, key=turns.get)


def runs(case, mutant):
    """Whether backward gives gradients at all."""
    try:
        with mutant.active():
            gradients(case, inputs_of(case, 1), 0)
    except Exception:
        return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-layer", type=int, default=3, help="mutants of each registered layer, drawn at random")
    parser.add_argument("--quick", action="store_true", help="one mutant a layer, two sizes")
    parser.add_argument("--survivors", action="store_true", help="list each that ours lets pass")
    options = parser.parse_args()
    per_layer, sizes = (1, SIZES[:2]) if options.quick else (options.per_layer, SIZES)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    draw = random.Random(0)
    remember_caches(CASES)
    found, ran, spent, kinds = (collections.Counter() for _ in range(4))
    survivors, total = collections.defaultdict(list), 0
    for case in CASES:
        every = [m for function in functions_of_backward(case) for m in mutants_of(function)]
        chosen = list(itertools.islice((m for m in by_turns(every, draw) if m.build() and runs(case, m)), per_layer))
        total += len(chosen)
        for size in sizes:
            inputs = inputs_of(case, size)
            able = [name for name in CHECKERS if can_run(name, case, inputs)]
            for name in able:
                ran["correct", name, size] += 1
                found["correct", name, size] += CHECKERS[name](case, inputs)
            for mutant in chosen:
                for name in able:
                    started = time.perf_counter()
                    with mutant.active():
                        accused = CHECKERS[name](case, inputs)
                    spent[name, size] += time.perf_counter() - started
                    ran[name, size] += 1
                    found[name, size] += accused
                    if name == "ours" and not accused:
                        survivors[case.id, mutant].append(size)
        kinds.update(mutant.kind for mutant in chosen)
    print_table(found, ran, spent, sizes)
    print(
        f"\n{total} mutants of {len(CASES)} registered layers: " + ", ".join(f"{k} {n}" for k, n in kinds.most_common())
    )
    print_survivors(survivors, options.survivors)


def print_survivors(survivors, every):
    """Each mutant that ours let pass: it equals the original, or did so at the inputs given, or was missed."""
    named = {case.id: case for case in CASES}
    verdicts, lines = collections.Counter(), []
    for (name, mutant), sizes in survivors.items():
        case = named[name]
        verdict, where = "equal", ""
        if anywhere(case, mutant) > 1e-12:
            hidden = where_it_passed(case, mutant, sizes) < 1e-12
            verdict, where = ("hidden", f" at the inputs of batch x {sizes}") if hidden else ("MISSED", "")
        elif not any(reaches(case, mutant, size) for size in sizes):
            verdict = "unreached"
        verdicts[verdict] += 1
        if every or verdict in ("hidden", "MISSED"):
            lines.append(f"  {name}: {mutant}: {verdict}{where}")
    print(f"ours lets {len(survivors)} pass at some size; {verdicts['MISSED']} of these change a gradient there, "
          f"{verdicts['hidden']} do at other inputs only; {verdicts['equal']} equal the original at all draws, "
          f"{verdicts['unreached']} are in a statement that the layer does not reach")  # fmt: skip
    print("\n".join(lines))


def reaches(case, mutant, size):
    """Whether backward comes to the mutant's line."""
    lines = set()

    def on_line(frame, event, arg):
        lines.add(frame.f_lineno)
        return on_line

    def on_call(frame, event, arg):
        return on_line(frame, event, arg) if frame.f_code is mutant.function.__code__ else None

    sys.settrace(on_call)
    try:
        gradients(case, inputs_of(case, size), 0)
    finally:
        sys.settrace(None)
    return mutant.line in lines


def print_table(found, ran, spent, sizes):
    print(f"{'found of those run, batch':28}" + "".join(f"{'x ' + str(size):>14}" for size in sizes))
    for name in CHECKERS:
        cells = [f"{found[name, size]} of {ran[name, size]}" if ran[name, size] else "-" for size in sizes]
        print(f"{name:28}" + "".join(f"{cell:>14}" for cell in cells))
    for name in CHECKERS:
        cells = [f"{1e3 * spent[name, s] / ran[name, s]:.0f} ms" if ran[name, s] else "-" for s in sizes]
        print(f"{'mean time: ' + name:28}" + "".join(f"{cell:>14}" for cell in cells))
    for name in CHECKERS:
        cells = [f"{found['correct', name, s]} of {ran['correct', name, s]}" for s in sizes]
        print(f"{'accused though correct: ' + name:36}" + "  ".join(cells))


if __name__ == "__main__":
    main()
