"""Mistakes of form, undone: names, the cache, what is stored, which axes and shapes."""

from __future__ import annotations

import ast
import builtins
import difflib
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from .place import REDUCTIONS, Change, Place, called, is_tight
from .rewrite import Text

RENAMED = {
    "int": "int64", "float": "float64", "bool": "bool_", "product": "prod", "iteritems": "items",
    "itervalues": "values", "iterkeys": "keys", "xrange": "range", "newshape": "shape", "dims": "shape",
    "row_stack": "vstack",
}  # fmt: skip
PAD = re.compile(r"pad|\bp\b", re.IGNORECASE)
KEYWORDS = ("axis", "keepdims", "dtype", "shape", "out", "mode", "constant_values")


def misnamed(place: Place) -> Iterator[Change]:
    """Names, attributes and keywords that do not exist, for the nearest that do; what Python and NumPy have renamed."""
    if place.error is None:
        return
    known = [*place.values, *(place.forward.values if place.forward else ())]
    for node in place.nodes:
        if isinstance(node, ast.Name) and node.id not in place.values and not hasattr(builtins, node.id):
            for name in [RENAMED.get(node.id), *difflib.get_close_matches(node.id, known, 3, 0.4)]:
                if name and name != node.id:
                    yield place.put("name", "undefined-name", (node, name))
        elif isinstance(node, ast.Attribute):
            start, end = place.text.end(node.value), place.text.end(node)
            options = dir(np) if place.text.of(node.value) in ("np", "numpy") else []
            if options and node.attr in options:
                continue
            for name in [RENAMED.get(node.attr), *difflib.get_close_matches(node.attr, options, 2)]:
                if name:
                    yield Change("name", "raises", ((start, end, f".{name}"),))
            if place.text.of(node).startswith(("np.lib.", "numpy.lib.")):
                yield place.put("name", "raises", (node, f"np.{node.attr}"))
        elif isinstance(node, ast.keyword) and node.arg:
            start = place.text.span(node)[0]
            for name in [RENAMED.get(node.arg), *difflib.get_close_matches(node.arg, KEYWORDS, 1)]:
                if name and name != node.arg:
                    yield Change("name", "raises", ((start, start + len(node.arg), name),))


def kept(place: Place) -> Iterator[Change]:
    """A result that is computed and let go: ``dx.reshape(x.shape)`` alone on its line."""
    for s in place.body.statements:
        if isinstance(s, ast.Expr) and not isinstance(s.value, (ast.Constant, ast.Name)):
            start = place.text.span(s)[0]
            names = [node.id for node in ast.walk(s.value) if isinstance(node, ast.Name) and node.id in place.arrays]
            returned = [name for k, *_ in place.wrong for node in place.returned(k) for name in _names(node)]
            for name in dict.fromkeys([*returned, *names]):
                yield Change("keep", "unfinished", ((start, start, f"{name} = "),))
                yield Change("keep", "unfinished", ((start, start, f"{name} += "),))


def _names(node: ast.AST) -> list[str]:
    return [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]


def dtypes(place: Place) -> Iterator[Change]:
    """An array of another type than its numbers: made without ``dtype``, or with that of floats."""
    for node in place.nodes:
        if not isinstance(node, ast.Call) or not called(node).startswith(("zeros", "ones", "empty", "full", "array")):
            continue
        given = [keyword.value for keyword in node.keywords if keyword.arg == "dtype"]
        for value in given:
            yield place.put("dtype", "wrong-dtype", (value, "float"))
        if not given and isinstance(place.error, TypeError):
            end = place.text.span(node)[1] - 1
            yield Change("dtype", "wrong-dtype", ((end, end, ", dtype=float"),))


def calls(place: Place) -> Iterator[Change]:
    """An attribute that was called, an argument unpacked, a division that ought to give a whole number."""
    if place.error is None:
        return
    for node in place.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
            yield place.put("call", "raises", (node, place.text.of(node.func)))
        if isinstance(node, ast.Call):
            for argument in node.args:
                if isinstance(argument, ast.Starred):
                    yield place.put("call", "raises", (argument, place.text.of(argument.value)))
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Div)
            and isinstance(place.error, (TypeError, IndexError))
        ):
            yield place.put("integer", "raises", (node, _floored(place.text, node)))


def accumulated(place: Place) -> Iterator[Change]:
    """``=`` where ``+=`` is due, and the other way round; ``np.add.at`` where indices repeat."""
    for s in place.statements:
        if isinstance(s, ast.Assign) and len(s.targets) == 1 and not isinstance(s.targets[0], ast.Tuple):
            target: ast.expr = s.targets[0]
            looped = any(isinstance(outer, (ast.For, ast.While)) for outer in place.body.around(s))
            if looped or isinstance(target, ast.Subscript):
                equals = place.text.text.index("=", place.text.end(target))
                yield Change("accumulate", "overwritten", ((equals, equals, "+"),))
                yield Change("accumulate", "overwritten", ((equals, equals, "-"),))
            for node in ast.walk(s.value):  # dW[:, j] = W[:, j] + ...
                if isinstance(node, ast.Subscript) and isinstance(target, ast.Subscript):
                    name, index = place.text.of(target), place.text.of(target.slice)
                    if place.text.of(node) != name and place.text.of(node.slice) == index:
                        yield place.put("rename", "wrong-term", (node, name))
        elif isinstance(s, ast.AugAssign):
            target = s.target
            start, sign = place.text.operator(target, s.value)
            for new in {"+=": ["=", "-="], "-=": ["+=", "="], "*=": ["/="], "/=": ["*="]}.get(sign, []):
                yield Change("accumulate", None, ((start, start + len(sign), new),))
        else:
            continue
        if isinstance(target, ast.Subscript):
            array, index, value = map(place.text.of, (target.value, target.slice, s.value))
            index = f"({index})" if isinstance(target.slice, ast.Tuple) else index
            if ":" not in index:
                yield place.put("accumulate", "overwritten", (s, f"np.add.at({array}, {index}, {value})"))


def keepdims(place: Place) -> Iterator[Change]:
    """``keepdims`` taken away or given."""
    for node in place.nodes:
        if not isinstance(node, ast.Call):
            continue
        given = [keyword for keyword in node.keywords if keyword.arg == "keepdims"]
        for keyword in given:
            if isinstance(keyword.value, ast.Constant):
                flag = bool(keyword.value.value)
                yield place.put("keepdims", "shape-keepdims" if flag else None, (keyword.value, str(not flag)))
        if not given and called(node) in REDUCTIONS and (node.args or node.keywords):
            last = [*node.args, *node.keywords][-1]
            end = place.text.end(last)
            yield Change("keepdims", None, ((end, end, ", keepdims=True"),))


def cropped(place: Place) -> Iterator[Change]:
    """``pad:-pad``, which is empty where pad is 0, as ``pad:pad + H``."""
    for node in place.nodes:
        if not isinstance(node, ast.Subscript):
            continue
        indices: list[Any] = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        cut = [(axis, index) for axis, index in enumerate(indices) if _is_cropping(index)]
        alike = [name for name in place.arrays if place.values[name].ndim == len(indices)] if cut else []
        for name in sorted(alike, key=lambda name: name.startswith("d")):
            sizes = [place.size(name, axis) for axis, _ in cut]
            parts = [(i.upper, f"{place.text.of(i.lower)} + {size}") for (_, i), size in zip(cut, sizes) if i.lower]
            if len(parts) == len(cut) and place.text.of(node.value) != name:
                yield place.put("crop", "shape-cropped", *parts)
        if cut:
            yield place.put("crop", "shape-cropped", *((i.upper, f"{place.text.of(i.upper)} or None") for _, i in cut))
        fixed = [index for index in indices if _is_fixed_crop(index)]
        for pad in [name for name in place.scalars if PAD.search(name)] if fixed else ():
            parts = [part for i in fixed for part in ((i.lower, pad), (i.upper, f"-{pad} or None"))]
            yield place.put("crop", "config-hardcoded", *parts)


def reshaped(place: Place) -> Iterator[Change]:
    """A gradient brought to its argument's shape: reshaped, summed, transposed."""
    for k, name, true, returned in place.wrong:
        if returned is None or true == returned:
            continue
        fits = [x for x in place.arrays if place.values[x].shape == true]
        fits.sort(key=lambda x: x != name)
        for node in place.results(k):
            if int(np.prod(true)) == int(np.prod(returned)):
                lost = "shape-keepdims" if _without_ones(true) == _without_ones(returned) else "shape-not-restored"
                for x in fits[:4]:
                    yield place.wrapped("reshape", lost, node, f".reshape({x}.shape)")
            if true == returned[::-1]:
                yield place.wrapped("reshape", "shape-transposed", node, ".T")
            for axes in _summed_away(returned, true):
                text = str(axes[0]) if len(axes) == 1 else str(axes)
                yield place.wrapped("reshape", "shape-not-summed", node, f".sum(axis={text})")
                yield place.wrapped("reshape", "shape-not-summed", node, f".sum(axis={text}, keepdims=True)")


def unwrapped(place: Place) -> Iterator[Change]:
    """A call that only reshapes, left out: ``var.squeeze()``; or bound to other axes."""
    for node in place.nodes:
        if isinstance(node, ast.Call) and called(node) in {"squeeze", "ravel", "flatten", "reshape", "transpose", "T"}:
            inner = node.func.value if isinstance(node.func, ast.Attribute) else None
            if inner is not None and place.text.of(inner) not in ("np", "numpy"):
                yield place.put("unwrap", "shape-squeezed" if called(node) == "squeeze" else None,
                                (node, place.text.of(inner)))  # fmt: skip
                if called(node) == "squeeze" and not node.args:
                    ndim = getattr(place.values.get(place.text.of(inner)), "ndim", 0)
                    for n in range(1, ndim):
                        axes = tuple(range(ndim - n, ndim))
                        yield place.put("unwrap", "shape-squeezed",
                                        (node, f"{place.text.of(inner)}.squeeze({axes})"))  # fmt: skip
            elif node.args:
                yield place.put("unwrap", None, (node, place.text.of(node.args[0])))


def axes(place: Place) -> Iterator[Change]:
    """Another axis, or several."""
    for node in place.nodes:
        if not isinstance(node, ast.Call) or called(node) not in REDUCTIONS:
            continue
        given = [keyword.value for keyword in node.keywords if keyword.arg == "axis"]
        is_method = isinstance(node.func, ast.Attribute) and place.text.of(node.func.value) not in ("np", "numpy")
        given += node.args[0 if is_method else 1 :][:1]
        options = ["0", "1", "2", "3", "-1", "(0, 1)", "(0, 2)", "(1, 2)", "(0, 2, 3)", "(0, 1, 2)", "(1, 2, 3)"]
        for value in given:
            yield from (place.put("axis", "wrong-axis", (value, new)) for new in [*options, "None"])
        if not given:
            end = place.text.span(node)[1] - 1
            comma = ", " if node.args or node.keywords else ""
            for new in [*options, *(f"{axis}, keepdims=True" for axis in options)]:
                yield Change("axis", "wrong-axis", ((end, end, f"{comma}axis={new}"),))


def returned_order(place: Place) -> Iterator[Change]:
    """The gradients returned in another order."""
    for statement in place.body.returns:
        elements = statement.value.elts if isinstance(statement.value, ast.Tuple) else []
        if 1 < len(elements) <= 4:
            texts = [place.text.of(element) for element in elements]
            for order in itertools.permutations(range(len(elements))):
                if list(order) != sorted(order):
                    parts = [(element, texts[i]) for element, i in zip(elements, order)]
                    yield place.put("order", "swapped-gradients", *parts)


def copied(place: Place) -> Iterator[Change]:
    """A copy made before something is written into."""
    for node in place.nodes:
        if isinstance(node, (ast.Name, ast.Subscript)) and isinstance(node.ctx, ast.Load):
            parent = place.body.parent.get(node)
            if isinstance(parent, (ast.Assign, ast.Tuple, ast.Return, ast.keyword)):
                cause = "mutates-dout" if place.text.of(node) == place.first else "mutates-cache"
                yield place.wrapped("copy", cause, node, ".copy()")
    for s in place.statements:
        target = s.targets[0] if isinstance(s, ast.Assign) else getattr(s, "target", None)
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            start, name = place.text.span(s)[0], target.value.id
            cause = "mutates-dout" if name == place.first else "mutates-cache"
            yield Change("copy", cause, ((start, start, f"{name} = {name}.copy(); "),))
        if isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name):
            start, sign = place.text.operator(s.target, s.value)
            new = f"= {s.target.id} {sign[:-1]}"
            given = s.target.id in {argument.arg for argument in place.body.function.args.args}
            kind = "rebind" if place.role == "forward" and not given else "copy"
            if not is_tight(s.value):
                value = place.text.span(s.value)
                yield Change(kind, None, ((start, start + len(sign), new), (value[0], value[0], "("),
                                               (value[1], value[1], ")")))  # fmt: skip
            else:
                yield Change(kind, None, ((start, start + len(sign), new),))
        elif isinstance(s, ast.Assign) and isinstance(s.value, ast.Call):
            for argument in s.value.args:
                yield place.wrapped("copy", None, argument, ".copy()")
    first = next((s for s in place.body.statements if isinstance(s, (ast.Assign, ast.AugAssign))), None)
    for name in [argument.arg for argument in place.body.function.args.args] if first is not None else ():
        if isinstance(place.values.get(name), (np.ndarray, list, dict)) and place.role == "main":
            start = place.text.span(first)[0]
            cause = "mutates-dout" if name == place.first else "mutates-cache"
            yield Change("copy", cause, ((start, start, f"{name} = {name}.copy(); "),))


def _is_fixed_crop(index: ast.AST) -> bool:
    """Whether this is ``1:-1``."""
    return (
        isinstance(index, ast.Slice)
        and isinstance(index.lower, ast.Constant)
        and isinstance(index.upper, ast.UnaryOp)
        and isinstance(index.upper.operand, ast.Constant)
        and index.lower.value == index.upper.operand.value
    )


def _is_cropping(index: ast.AST) -> bool:
    return (
        isinstance(index, ast.Slice)
        and isinstance(index.upper, ast.UnaryOp)
        and isinstance(index.upper.op, ast.USub)
        and not isinstance(index.upper.operand, ast.Constant)
    )


def _summed_away(shape: tuple[int, ...], goal: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The axes whose sum leaves `goal`."""
    return [
        axes
        for n in range(1, len(shape) + 1)
        for axes in itertools.combinations(range(len(shape)), n)
        if goal in (tuple(s for i, s in enumerate(shape) if i not in axes),
                    tuple(1 if i in axes else s for i, s in enumerate(shape)))
    ]  # fmt: skip


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _floored(text: Text, node: ast.BinOp) -> str:
    """A quotient as ``//`` writes it."""
    (a, b), (c, d) = text.outside(node.left), text.outside(node.right)
    return f"{text.text[a:b]} // {text.text[c:d]}"
