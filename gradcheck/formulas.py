"""Mistakes in formulas, undone: factors and terms, operators, numbers, names."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from .place import EPS, Change, Place, called, is_tight, is_whole
from .rewrite import heads

VARIANCE = re.compile(r"var|sigma|std", re.IGNORECASE)
OPERATORS = {
    ast.Add: ["-", "*"], ast.Sub: ["+", "/"], ast.Mult: ["/", "+", "@"], ast.Div: ["*", "//"], ast.MatMult: ["*"],
    ast.FloorDiv: ["%"], ast.Mod: ["//"],
}  # fmt: skip
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.FloorDiv: "//", ast.Mod: "%"}
COMPARISONS = {
    ast.Lt: ["<=", ">", ">="], ast.LtE: ["<", ">=", ">"], ast.Gt: [">=", "<", "<="], ast.GtE: [">", "<=", "<"],
    ast.Eq: ["!=", ">=", "<="], ast.NotEq: ["=="],
}  # fmt: skip
WRITTEN = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


def eps_added(place: Place) -> Iterator[Change]:
    """``eps`` where a variance is rooted, raised or divided by."""
    values = [name for name in place.scalars if EPS.search(name)]
    for node in place.nodes:
        inside: list[Any] = []
        if isinstance(node, ast.BinOp) and isinstance(node.left, ast.Call) and called(node.left) == "sqrt":
            beside = place.text.of(node.right)  # sqrt(var) + eps
            if EPS.search(beside):
                yield place.put("eps", "wrong-eps", (node, f"{place.text.of(node.left)[:-1]} + {beside})"))
        if isinstance(node, ast.Call) and called(node) == "sqrt":
            inside = node.args[:1]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            inside = [node.left]
        elif isinstance(node, (ast.Name, ast.Call)) and VARIANCE.search(place.text.of(node)):
            inside = [node]
        for part, name in itertools.product(inside, values):
            if name not in place.text.of(part):
                yield place.wrapped("eps", "wrong-eps", part, f" + {name}")
        for part in inside:
            if isinstance(part, ast.BinOp) and EPS.search(place.text.of(part.right)):
                yield place.put("eps", "wrong-eps", (part, place.text.of(part.left)))


def undone(place: Place) -> Iterator[Change]:
    """A sign left out, or a number by which something is multiplied or divided."""
    for node in place.nodes:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield place.put("sign", "wrong-term", (node, place.text.of(node.operand)))
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
            (start, end), left, right = (
                place.text.span(node),
                place.text.outside(node.left),
                place.text.outside(node.right),
            )
            cause = "regularization" if _is_regularization(place, node) else None
            if _is_number(place, node.right):
                yield Change("drop", cause or _cause_of_factor(place, place.text.of(node.right)), ((left[1], end, ""),))
            if isinstance(node.op, ast.Mult) and _is_number(place, node.left):
                yield Change(
                    "drop", cause or _cause_of_factor(place, place.text.of(node.left)), ((start, right[0], ""),)
                )


def _is_number(place: Place, node: ast.expr) -> bool:
    """Whether this is a number: a constant, one in scope, or a size."""
    size = node.value if isinstance(node, ast.Subscript) else node
    is_size = isinstance(size, ast.Attribute) and size.attr in ("shape", "size")
    is_count = isinstance(node, ast.Call) and place.text.of(node.func) == "len"
    return isinstance(node, ast.Constant) or place.text.of(node) in place.scalars or is_size or is_count


def scaled(place: Place) -> Iterator[Change]:
    """Twice, half of or minus a right-hand side or a term of it; times or over a number in scope."""
    for value in _terms(place):
        regular = "regularization" if _is_regularization(place, value) else None
        product = isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Mult, ast.Div, ast.MatMult))
        parent = place.body.parent.get(value)
        subtracted = isinstance(parent, ast.BinOp) and parent.right is value  # by another operator, see `operators`
        for factor in ("2 * ", "0.5 * ") if subtracted else ("2 * ", "0.5 * ", "-"):
            before, after = (factor, "") if product or is_tight(value) else (f"{factor}(", ")")
            yield place.around("scale", regular, value, before, after)
        for name in place.scalars:
            cause = regular or _cause_of_factor(place, name)
            for sign in ("*", "/"):
                yield place.wrapped("scale", cause, value, f" {sign} {name}")
            if 0 < float(place.values.get(name, 0.5)) < 1:
                yield place.wrapped("scale", cause, value, f" / (1 - {name})")


def derived(place: Place) -> Iterator[Change]:
    """The derivative of an activation as one more factor."""
    for value in _terms(place):
        for x in place.arrays:
            yield place.wrapped("derivative", "wrong-mask", value, f" * ({x} > 0)")
            for factor in (f"(1 - {x} ** 2)", f"{x} * (1 - {x})", f"(1 - {x})"):
                yield place.wrapped("derivative", "wrong-local-derivative", value, f" * {factor}")


def moved_inside(place: Place) -> Iterator[Change]:
    """A factor taken from before a sum into it: ``gamma * (dout - dout.mean(1))`` of ``gamma * dout``."""
    for s in place.statements:
        names = [node for head in heads(s) for node in ast.walk(head) if isinstance(node, ast.Name)]
        names = [node for node in names if isinstance(node.ctx, ast.Load) and node.id in place.arrays]
        for a, b in itertools.permutations(dict.fromkeys(node.id for node in names), 2):
            factor = [node for node in names if node.id == a]
            if len(factor) == 1:
                yield place.put(
                    "inside", "scale-per-channel", (factor[0], "1"),
                    *((node, f"({b} * {a})") for node in names if node.id == b),
                )  # fmt: skip


def operators(place: Place) -> Iterator[Change]:
    """Another operator."""
    for node in place.nodes:
        if isinstance(node, ast.BinOp):
            around_eps = EPS.search(place.text.of(node.right)) or EPS.search(place.text.of(node.left))
            for new in OPERATORS.get(type(node.op), []):
                start, sign = place.text.operator(node.left, node.right)
                cause = "wrong-eps" if around_eps and {sign, new} == {"+", "-"} else "wrong-term"
                yield Change("operator", cause, ((start, start + len(sign), new),))


def signs(place: Place) -> Iterator[Change]:
    """A minus before an operand."""
    compound = [s for s in place.statements if hasattr(s, "body")]
    headers = {node for s in compound for head in heads(s) for node in ast.walk(head)}
    for node in place.nodes:
        if (
            isinstance(node, (ast.Name, ast.Call, ast.Constant, ast.Subscript))
            and isinstance(place.body.parent.get(node), (ast.BinOp, ast.Call, ast.Assign, ast.AugAssign))
            and not isinstance(getattr(node, "ctx", None), ast.Store)
            and not any(isinstance(outer, ast.Subscript) for outer in place.body.around(node))
            and node not in headers
        ):
            yield place.around("sign", "wrong-term", node, "(-", ")")


def transposed(place: Place) -> Iterator[Change]:
    """``.T`` given or taken away; the factors of a product exchanged."""
    for node in place.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "T":
            yield place.put("transpose", "transposed", (node, place.text.of(node.value)))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            sides = [node.left, node.right]
        else:
            sides = _dotted(node)
        for side in sides:
            yield place.wrapped("transpose", "transposed", side, ".T")
        if len(sides) == 2:
            left, right = map(place.text.of, sides)
            yield place.put("transpose", "transposed", (sides[0], right), (sides[1], left))
            for a, b in (("", ".T"), (".T", ""), (".T", ".T")):
                yield place.put("transpose", "transposed", (sides[0], f"{right}{a}"), (sides[1], f"{left}{b}"))


def dropped(place: Place) -> Iterator[Change]:
    """An operand left out, or a call around its first argument, or a condition."""
    for node in place.nodes:
        if isinstance(node, ast.BinOp):
            start, end = place.text.span(node)
            left, right = place.text.outside(node.left), place.text.outside(node.right)
            yield Change("drop", "wrong-term", ((left[1], end, ""),))
            yield Change("drop", "wrong-term", ((start, right[0], ""),))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Attribute):
            (start, end), first = place.text.span(node), place.text.span(node.args[0])
            yield Change("drop", "wrong-term", ((start, first[0], "("), (first[1], end, ")")))


def reductions(place: Place) -> Iterator[Change]:
    """A sum for a mean, and the like."""
    others = {"mean": ["sum"], "sum": ["mean"], "std": ["var", "sqrt"], "var": ["std"], "max": ["sum"],
              "argmax": ["argmin"], "zeros_like": ["ones_like"], "ones_like": ["zeros_like"], "dot": ["multiply"],
              "maximum": ["minimum"], "empty_like": ["zeros_like"], "empty": ["zeros"]}  # fmt: skip
    for node in place.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            end = place.text.span(node.func)[1]
            for new in others.get(node.func.attr, []):
                yield Change("function", "wrong-term", ((end - len(node.func.attr), end, new),))


def compared(place: Place) -> Iterator[Change]:
    """Another comparison."""
    yield from _comparisons(place, (ast.Lt, ast.LtE, ast.Gt, ast.GtE))


def conditions(place: Place) -> Iterator[Change]:
    """A test for equality turned round, or none at all."""
    yield from _comparisons(place, (ast.Eq, ast.NotEq))
    for s in place.statements:
        if isinstance(s, ast.If):
            yield place.put("condition", None, (s.test, "True"))


def _comparisons(place: Place, kinds: tuple[type[ast.cmpop], ...]) -> Iterator[Change]:
    branches = [s.test for s in place.statements if isinstance(s, (ast.If, ast.While))]  # of one number: no mask
    for node in place.nodes:
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], kinds):
            old = WRITTEN[type(node.ops[0])]
            start = place.text.text.index(old, place.text.end(node.left))
            cause = None if node in branches else "wrong-mask"
            for new in COMPARISONS[type(node.ops[0])]:
                yield Change("compare", cause, ((start, start + len(old), new),))


def constants(place: Place) -> Iterator[Change]:
    """Another number; in an index or a size one that is in scope."""
    for node in place.nodes:
        if not isinstance(node, ast.Constant) or type(node.value) not in (int, float):
            continue
        if isinstance(place.body.parent.get(node), ast.keyword):  # an axis, see `slips.axes`
            continue
        indexed = any(isinstance(outer, (ast.Subscript, ast.Slice)) for outer in place.body.around(node))
        number: Any = node.value
        for value in _other_numbers(number):
            yield place.put("constant", "wrong-index" if indexed else "wrong-term", (node, value))
        whole = isinstance(node.value, int)
        for name in place.scalars:
            if not whole or is_whole(place.values.get(name, 0)):
                cause = "config-hardcoded" if whole else "wrong-eps" if EPS.search(name) else None
                yield place.put("constant", cause, (node, name))
    for node in place.nodes:  # np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        if isinstance(node, ast.Call):
            inner = [part for part in ast.walk(node) if isinstance(part, ast.Constant) and type(part.value) is int]
            for number, name in itertools.product({part.value for part in inner}, place.scalars):
                alike = [part for part in inner if part.value == number]
                if len(alike) > 1 and is_whole(place.values.get(name, 0)):
                    yield place.put("constant", "config-hardcoded", *((part, name) for part in alike))


def termed(place: Place) -> Iterator[Change]:
    """A term more: of a gradient's shape, with a factor in scope; such is an L2 penalty's."""
    for k, name, true, _ in place.wrong:
        same = [x for x in place.arrays if place.values[x].shape == true]
        same.sort(key=lambda x: x != name)
        factors = [f for f in place.scalars if not is_whole(place.values.get(f))]
        for node, x in itertools.product(place.results(k), same):
            s = place.body.parent.get(node)
            for factor in ["", *(f"{c}{f} * " for f in factors for c in ("2 * ", "", "0.5 * "))]:
                own = place.values.get(name)  # which a net has under names of its own
                is_own = x == name or own is None or np.array_equal(place.values[x], own)
                cause = "regularization" if factor and is_own and place.is_loss else "missing-branch"
                for sign in ("+", "-"):
                    if isinstance(s, ast.AugAssign) and isinstance(s.op, (ast.Mult, ast.Div)):
                        start, written = place.text.operator(s.target, s.value)
                        new = f"= {place.text.of(s.target)} {written[:-1]}"
                        end = place.text.end(s)
                        yield Change("term", cause, ((start, start + 2, new), (end, end, f" {sign} {factor}{x}")))
                    else:
                        yield place.wrapped("term", cause, node, f" {sign} {factor}{x}")


def one_hot(place: Place) -> Iterator[Change]:
    """Of a loss the part at the labels, left out: ``p[np.arange(N), y] -= 1``, ``dW[:, y[i]] -= X[i]``."""
    labels = [y for y, value in place.values.items() if isinstance(value, np.ndarray) and value.dtype.kind in "iu"]
    for s in place.statements if place.is_loss else ():
        end = place.text.end(s)
        for y in labels:
            if isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name) and s.targets[0].id in place.arrays:
                name = s.targets[0].id
                for share in ("1", f"{name}.sum(axis=1)"):  # of a softmax, of margins
                    part = f"; {name}[np.arange(len({name})), {y}] -= {share}"
                    yield Change("one-hot", "missing-one-hot", ((end, end, part),))
            elif isinstance(s, ast.AugAssign) and isinstance(s.op, ast.Add):
                target, value = s.target, place.text.of(s.value)
                indices = [
                    node for node in ast.walk(target) if isinstance(node, ast.Name) and node.id not in place.arrays
                ]
                loops = [outer.target.id for outer in place.body.around(s)
                         if isinstance(outer, ast.For) and isinstance(outer.target, ast.Name)]  # fmt: skip
                for index, i in itertools.product(indices, loops):
                    start = place.text.span(target)[0]
                    a, b = (at - start for at in place.text.span(index))
                    text = place.text.of(target)
                    part = f"; {text[:a]}{y}[{i}]{text[b:]} -= {value}"
                    yield Change("one-hot", "missing-one-hot", ((end, end, part),))


def multiplied(place: Place) -> Iterator[Change]:
    """A factor more, at any operand: an array or number in scope."""
    operands = []
    for node in place.nodes:
        parent = place.body.parent.get(node)
        if not isinstance(node, (ast.Name, ast.Call, ast.BinOp, ast.Subscript, ast.Compare)) or not isinstance(
            parent, (ast.Assign, ast.AugAssign, ast.BinOp, ast.Call, ast.Return, ast.Tuple)
        ):
            continue
        if not isinstance(getattr(node, "ctx", None), ast.Store):
            operands.append(node)
    for sign, node in itertools.product("*/+-", operands):
        for name in [*place.arrays, *place.scalars]:
            if sign in "*/" or name in place.arrays:
                cause = _cause_of_factor(place, name) if sign in "*/" else "missing-branch"
                yield place.wrapped("factor", cause, node, f" {sign} {name}")


def replaced_operand(place: Place) -> Iterator[Change]:
    """Another operator and operand: ``2 * W / N`` as ``2 * W * reg``; 0 where there is nothing under zero."""
    for node in place.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
            start, end = place.text.end(node.left), place.text.span(node)[1]
            if place.text.text[start : start + 1] == ")":
                continue
            for name in place.scalars:
                for sign in ("*", "/"):
                    cause = "regularization" if _is_regularization(place, node.left) else "wrong-term"
                    yield Change("operand", cause, ((start, end, f" {sign} {name}"),))
    for node in place.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            for side in (node.right, node.left):
                if isinstance(side, ast.Name) and side.id in place.arrays:
                    yield place.around("clamp", "wrong-mask", side, "(", " > 0)")
    for value in _right_sides(place):
        yield place.around("clamp", "wrong-mask", value, "np.maximum(0, ", ")")
        yield place.around("clamp", "wrong-mask", value, "(", ") > 0")


def _right_sides(place: Place) -> Iterator[ast.expr]:
    """What statements assign or return."""
    for s in place.statements:
        if isinstance(s, (ast.Assign, ast.AugAssign)):
            if not isinstance(s.value, ast.Tuple):
                yield s.value
        elif isinstance(s, ast.Return) and s.value is not None:
            yield from s.value.elts[place.is_loss :] if isinstance(s.value, ast.Tuple) else [s.value]


def _terms(place: Place) -> Iterator[ast.expr]:
    """What statements assign or return, and the terms of those that are sums."""
    todo = list(_right_sides(place))
    while todo:
        value = todo.pop(0)
        yield value
        if isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Add, ast.Sub)):
            todo += [value.left, value.right]


def _is_regularization(place: Place, node: ast.AST) -> bool:
    """Whether the only array in a term of a loss's gradient is the argument itself."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & set(place.arrays)
    return place.is_loss and bool(names) and names <= {name for _, name, *_ in place.wrong}


def _cause_of_factor(place: Place, name: str) -> str | None:
    value = place.values.get(name)
    if re.search(r"keep|drop|\bp\b|'p'", name):
        return "scale-keep"
    if isinstance(value, np.ndarray):
        return "scale-per-channel" if value.ndim == 1 else "wrong-term"
    is_batch = name in ("N", "num_train") or name.endswith("shape[0]") or name.startswith("len(")
    return "scale-batch" if is_batch else "wrong-term"


def _dotted(node: ast.AST) -> list[ast.expr]:
    """The factors of ``np.dot(a, b)`` or ``a.dot(b)``."""
    if not isinstance(node, ast.Call) or called(node) not in ("dot", "matmul"):
        return []
    if len(node.args) == 1 and isinstance(node.func, ast.Attribute):
        return [node.func.value, node.args[0]]
    return node.args if len(node.args) == 2 else []


def _other_numbers(value: float) -> list[str]:
    if isinstance(value, int):
        return list(dict.fromkeys(str(v) for v in (0, 1, 2, value + 1, value - 1, -value) if v != value))
    return list(dict.fromkeys(f"{v:g}" for v in (2 * value, value / 2, -value, 1 / value if value else 1.0, 1.0)))
