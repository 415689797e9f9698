"""Another engine's gradients in place of differences: a graph of ours, or a function of PyTorch tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .directional import digits, precision_of
from .report import ArgumentResult, Worst

Engine = Callable[[Sequence[Any], list[Any]], tuple[tuple[Any, ...], list[Any]]]  # arguments, douts -> outs, gradients
TOLERANCE = 1e-9  # two exact engines differ by rounding alone; this times the norm leaves room for cancellation


def engine_of(against: Any, names: list[str]) -> Engine:
    """A function from arguments and douts to outputs and one gradient for each of `names` (None where it has none)."""
    if hasattr(against, "forward") and hasattr(against, "backward") and not _is_torch(against):
        return lambda values, douts: _by_graph(against, names, values, douts)
    if callable(against):
        return lambda values, douts: _by_torch(against, values, douts)
    raise TypeError(
        "against must be a graph, with forward(...) and a backward(...) that returns a dict of gradients by input "
        f"name, or a function of PyTorch tensors; got {type(against).__name__}"
    )


def _by_graph(
    graph: Any, names: list[str], values: Sequence[Any], douts: list[Any]
) -> tuple[tuple[Any, ...], list[Any]]:
    inputs = list(getattr(graph, "names", names))
    if set(inputs) <= set(names):
        out = graph.forward(**{name: value for name, value in zip(names, values) if name in inputs})
    else:
        out = graph.forward(*values)
    gradients = graph.backward(*douts)
    if set(gradients) <= set(names):
        return _as_tuple(out), [gradients.get(name) for name in names]
    return _as_tuple(out), [*gradients.values()][: len(names)]


def _by_torch(function: Any, values: Sequence[Any], douts: list[Any]) -> tuple[tuple[Any, ...], list[Any]]:
    import torch

    tensors = [torch.tensor(value) if isinstance(value, np.ndarray) else value for value in values]
    for tensor in tensors:
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
            tensor.requires_grad_(True)
    outs = _as_tuple(function(*tensors))
    torch.autograd.backward(
        [out for out, dout in zip(outs, douts) if dout is not None],
        [torch.as_tensor(dout, dtype=out.dtype) for out, dout in zip(outs, douts) if dout is not None],
    )
    grads = [getattr(tensor, "grad", None) for tensor in tensors]
    return tuple(out.detach().numpy() for out in outs), [None if g is None else g.numpy() for g in grads]


def outputs_differ(outs: Sequence[Any], reference: Sequence[Any]) -> bool:
    """Whether two forwards compute two different things."""
    if [np.shape(out) for out in outs] != [np.shape(out) for out in reference]:
        return True
    for out, other in zip(outs, reference):
        tolerance = max(TOLERANCE, 64 * precision_of(out), 64 * precision_of(other)) * float(np.linalg.norm(other))
        if not np.linalg.norm(np.subtract(out, other, dtype=np.float64)) <= tolerance:
            return True
    return False


def compare_entries(name: str, gradient: np.ndarray, reference: Any) -> ArgumentResult:
    """Every entry against the engine's."""
    if reference is None:
        return ArgumentResult(name, "inconclusive", notes=["the other engine has no gradient for it"])
    reference = np.asarray(reference, dtype=np.float64)
    if reference.shape != gradient.shape:
        note = f"the other engine's gradient has the shape {reference.shape}"
        return ArgumentResult(name, "inconclusive", notes=[note])
    gap = np.abs(gradient - reference)
    size = float(np.sqrt(np.mean(reference**2))) if reference.size else 0.0
    relative = max(TOLERANCE, 64 * precision_of(gradient))
    wrong = ~(gap <= relative * (size + np.abs(reference)))
    result = ArgumentResult(name, "pass", checked=gradient.size, wrong=int(wrong.sum()))
    result.digits = digits(float(np.linalg.norm(gap)), float(np.linalg.norm(reference)))
    if not np.any(reference) and not np.any(wrong):
        result.verdict, result.digits = "vacuous", None
        result.notes.append("its gradient is zero at these inputs")
    elif np.any(wrong):
        result.verdict, result.digits = "fail", None
        at = np.unravel_index(int(np.where(wrong, np.nan_to_num(gap, nan=np.inf), -1).argmax()), gradient.shape)
        result.worst = Worst(tuple(map(int, at)), float(gradient[at]), float(reference[at]))
    return result


def _as_tuple(out: Any) -> tuple[Any, ...]:
    return tuple(out) if isinstance(out, (tuple, list)) else (out,)


def _is_torch(thing: Any) -> bool:
    return type(thing).__module__.partition(".")[0] == "torch" or hasattr(thing, "named_parameters")
