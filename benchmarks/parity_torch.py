"""Does each layer, loss and update rule compute what PyTorch's does? Outputs and all gradients, on drawn settings.

Each draw makes shapes, options, weights, inputs and output gradients anew. Ours runs in float64 and in float32, and is
compared with PyTorch in float64 on the same numbers; the last figure is how far PyTorch's own float32 is from that. A
difference is the largest of an array, divided by the largest entry of PyTorch's; a gradient's by at least a tenth of
the largest gradient of its draw, for some are zero up to rounding (a key's bias in attention). Update rules take 50
steps and are compared after each. The second table is what PyTorch does otherwise and why; each of its rows that can be
shown by two numbers is computed and has to differ.

    pip install '.[bench]'
    python benchmarks/parity_torch.py [--seed 0] [--draws 30] [--only LSTM]

Exits with 1 if a difference is above 1e-10 in float64 or 1e-4 in float32, or something public is not compared.
"""

import argparse
import pathlib
import sys
import warnings
import zlib

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import layers
import optim
from benchmarks import parity_losses, parity_sequences  # noqa: F401, they add to CASES
from benchmarks.parity_cases import CASES, Draw
from benchmarks.parity_differences import DIFFERENCES
from benchmarks.parity_rules import RULES

BARS = {"float64": 1e-10, "float32": 1e-4}
NOT_COMPARED = {
    "Layer": "the base of all layers; nn.Module finds gradients by autograd, there is no backward to compare",
    "Parameter": "a value with its gradient; each comparison of a layer reads it",
    "Optimizer": "the base of all update rules",
}


def tuple_of(values):
    return values if isinstance(values, tuple) else () if values is None else (values,)


def to_dtype(array, dtype):
    return array.astype(dtype) if array.dtype.kind == "f" else array


def tensor(array, dtype, **options):
    return torch.tensor(to_dtype(np.asarray(array), dtype), **options)


def compare_layer(make, draw, dtype, torch_dtype):
    """(what, ours, PyTorch's, smallest scale) of the outputs, the gradients and the buffers of one draw."""
    case = make(draw)
    layer, parameters = case.layer, case.layer.parameters() if case.parameters is None else case.parameters
    layer.astype(dtype)
    for parameter in parameters.values():
        parameter.astype(dtype)
        parameter.value = 0.5 * draw.normal(*parameter.value.shape)
    inputs, given = ([to_dtype(x, dtype) for x in arrays] for arrays in (case.inputs, case.given))
    weights = {name: tensor(each.value, torch_dtype, requires_grad=True) for name, each in parameters.items()}
    buffers = {name: tensor(each, torch_dtype) for name, each in layer.state_dict().items() if name not in weights}
    leaves = [*(tensor(x, torch_dtype, requires_grad=True) for x in inputs), *weights.values()]

    outs = tuple_of(layer.forward(*inputs, *given, **case.options))
    constants = (tensor(x, torch_dtype) for x in given)
    expected = tuple_of(case.twin({**weights, **buffers}, *leaves[: len(inputs)], *constants))
    douts = [np.asarray(draw.normal(*out.shape), dtype) for out in expected]
    dinputs = tuple_of(layer.backward(*(dout if dout.ndim else float(dout) for dout in douts)))
    grads = torch.autograd.grad(
        expected, leaves, [tensor(dout, torch_dtype) for dout in douts], allow_unused=True, materialize_grads=True
    )

    scale = 0.1 * max((float(grad.abs().max()) for grad in grads if grad.numel()), default=0.0)
    names = [*(f"dx{i}" for i in range(len(inputs))), *(f"d{name}" for name in weights)]
    found = [*dinputs, *(parameter.grad for parameter in parameters.values())]
    state = layer.state_dict()
    return [  # strict: one output or gradient too few is an error
        *((f"out{i}", *pair, 0.0) for i, pair in enumerate(zip(outs, expected, strict=True))),
        *((name, *pair, scale) for name, *pair in zip(names, found, grads, strict=True)),
        *((name, state[name], buffer, 0.0) for name, buffer in buffers.items()),
    ]


def compare_rule(run, draw, dtype, torch_dtype):
    """(what, ours, PyTorch's, smallest scale) after each step."""
    return [(*pair, 0.0) for pair in run(draw, dtype, torch_dtype)]


def detached(array):
    return array.detach().numpy() if isinstance(array, torch.Tensor) else array


def relative(found, expected, smallest_scale):
    """The largest difference over the largest entry; infinite where the shapes differ or something is not finite."""
    found, expected = (np.asarray(detached(array), float) for array in (found, expected))
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return np.inf
    difference = np.abs(found - expected).max(initial=0)
    return float(difference / max(np.abs(expected).max(), smallest_scale)) if difference else 0.0


def measure(compare, entry, name, options):
    """(settings drawn, the largest differences, texts of the misses)."""
    drawn, largest, misses = {}, dict.fromkeys(["float64", "float32", "theirs"], 0.0), []
    for i in range(options.draws):

        def run(dtype, torch_dtype, i=i):
            draw = Draw(options.seed, i, zlib.crc32(name.encode()))
            return draw.settings, compare(entry, draw, dtype, torch_dtype)

        settings, double = run(np.float64, np.float64)
        _, single = run(np.float32, np.float64)
        _, theirs = run(np.float32, np.float32)
        text = f"draw {i}: " + " ".join(f"{key}={value}" for key, value in settings.items())
        for key, value in settings.items():
            drawn.setdefault(key, []).append(value)
        for dtype, quadruples in (("float64", double), ("float32", single)):
            for what, found, expected, scale in quadruples:
                difference = relative(found, expected, scale)
                largest[dtype] = max(largest[dtype], difference)
                if difference > BARS[dtype]:
                    misses.append(f"{name}: {what} differs by {difference:.1e} in {dtype}, {text}")
                if isinstance(found, np.ndarray) and found.dtype != dtype:
                    misses.append(f"{name}: {what} of {dtype} is {found.dtype}, {text}")
        own = (relative(rough[2], exact[2], exact[3]) for rough, exact in zip(theirs, single, strict=True))
        largest["theirs"] = max(largest["theirs"], *own)
    return drawn, largest, misses


def shown(values):
    """The settings drawn, as a range or as the set of them."""
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        low, high = min(values), max(values)
        return f"{low:.3g}" if low == high else f"{low:.3g}..{high:.3g}"
    return "|".join(sorted({str(value) for value in values}))


def works(only):
    """(our name, what it is compared with, how, the entry) of all that is compared, or of one name."""
    named = [(type(make(Draw(0)).layer).__name__, against, compare_layer, make) for against, make in CASES]
    named += [(name, against, compare_rule, run) for name, against, run in RULES]
    return [work for work in named if only in (None, work[0])]


def print_comparisons(options):
    """The first table; returns the texts of what missed its bar."""
    misses, worst = [], {}
    print(f"{'here':26}{'in PyTorch':49}{'float64':>9}{'float32':>9}{'theirs':>9}  settings drawn")
    for name, against, compare, entry in works(options.only):
        drawn, largest, missed = measure(compare, entry, name, options)
        settings = ", ".join(f"{key} {shown(values)}" for key, values in drawn.items())
        digits = "".join(f"{value:9.0e}" if value else f"{0:>9}" for value in largest.values())
        print(f"{name:26}{against:49}{digits}  {settings}")
        worst = {key: max(worst.get(key, 0.0), value) for key, value in largest.items()}
        misses += missed
    print(f"{'the largest':75}" + "".join(f"{value:9.0e}" for value in worst.values()))
    return misses


def print_differences(only):
    """The second table; returns the texts of differences that are none."""
    misses = []
    print(f"\n{'here':28}{'PyTorch':34}{'here, and why':59}PyTorch / here")
    for name, theirs, ours, show in DIFFERENCES:
        if only in (None, *name.split(", ")):
            numbers = show() if show else ()
            print(f"{name:28}{theirs:34}{ours:59}" + " / ".join(f"{number:.9g}" for number in numbers))
            if numbers and numbers[0] == numbers[1]:
                misses.append(f"{name}: PyTorch does the same, {numbers[0]}")
    return misses


def uncompared():
    """Texts of public names that are in neither table, and the list of those with a reason."""
    public = {*layers.__all__, *optim.__all__}
    compared = {name for name, *_ in works(None)}
    print("\nNot compared: " + "; ".join(f"{name}, {reason}" for name, reason in NOT_COMPARED.items()) + ".")
    return [f"{name} is public and not compared" for name in sorted(public - compared - NOT_COMPARED.keys())]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=30, help="settings drawn for each comparison")
    parser.add_argument("--only", metavar="NAME", help="one public name, such as LSTM")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if not works(options.only):
        parser.error(f"--only must be a name that is compared; got {options.only}")
    print(f"numpy {np.__version__}, torch {torch.__version__}; seed {options.seed}, {options.draws} draws\n")
    misses = print_comparisons(options) + print_differences(options.only)
    if options.only is None:
        misses += uncompared()
    print("\n" + "\n".join(misses or ["All within 1e-10 in float64 and 1e-4 in float32."]))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
