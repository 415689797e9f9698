"""Wrong backwards for `gradcheck_power.py`: the functions that only a layer's backward runs, changed at one node."""

import ast
import contextlib
import copy
import inspect
import pathlib
import sys
import types

import numpy as np

import layers

FOLDER = pathlib.Path(layers.__file__).parent

# --- changes of one node: (kind, what is put in its place)

SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
COMPARISONS = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE, ast.LtE: ast.GtE, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
METHODS = {"sum": "mean", "mean": "sum", "maximum": "minimum", "minimum": "maximum", "max": "min", "argmax": "argmin"}


def changes(node):
    if isinstance(node, ast.BinOp):
        kind = "term" if isinstance(node.op, (ast.Add, ast.Sub)) else "factor"
        yield from ((kind, side) for side in (node.left, node.right))
        if type(node.op) in SWAPS:
            yield "sign" if kind == "term" else "factor", ast.BinOp(node.left, SWAPS[type(node.op)](), node.right)
        if isinstance(node.op, ast.MatMult):
            yield "transpose", ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Invert)):
        yield "sign" if isinstance(node.op, ast.USub) else "mask", node.operand
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield "mask", ast.Compare(node.left, [COMPARISONS[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield "transpose", node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        yield from changes_of_call(node)
    elif isinstance(node, ast.AugAssign):
        yield "+= to =", ast.Assign([node.target], node.value)
        yield "term", ast.Pass()
        if type(node.op) in SWAPS:
            yield "sign", ast.AugAssign(node.target, SWAPS[type(node.op)](), node.value)
    elif isinstance(node, ast.Constant) and type(node.value) is float:
        yield "eps or constant", ast.Constant(node.value * 1.01 + 1e-3)
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield from (("index", ast.Constant(node.value + step)) for step in (1, -1))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "statement", ast.Pass()


def changes_of_call(node):
    name, operand = node.func.attr, node.func.value
    if name in METHODS:
        yield "sum", ast.Call(ast.Attribute(operand, METHODS[name], ast.Load()), node.args, node.keywords)
    if name in ("sum", "mean", "swapaxes", "transpose") and not (isinstance(operand, ast.Name) and operand.id == "np"):
        yield "sum" if name in ("sum", "mean") else "transpose", operand
    for word in node.keywords:
        if word.arg == "axis" and name in ("sum", "mean"):
            others = [k for k in node.keywords if k is not word]
            for axis in (0, -1):
                yield "sum", ast.Call(node.func, node.args, [*others, ast.keyword("axis", ast.Constant(axis))])


LINES = {  # put first in backward, whose dout is d
    "mutates dout": "if hasattr({d}, 'ndim'):\n    __own = {d}; {d} = {d}.copy(); __own += 1",
    "latest cache": "self.cache = __LATEST[type(self)]",
    "first cache": "self.cache = __FIRST.setdefault(type(self), self.cache)",
    "dout squared": "{d} = {d} * abs({d})",
    "dout clipped": "{d} = np.clip({d}, -3.5, 3.5)",
    "dout plus 1e-3": "{d} = {d} + 1e-3",
    "all off by 1e-5": "{d} = {d} * (1 + 1e-5)",
}


# --- mutants


class Mutant:
    """One changed function, which can be put in place of the original and taken out again."""

    def __init__(self, function, code, kind, line):
        self.function, self.code, self.kind, self.line = function, code, kind, line

    @contextlib.contextmanager
    def active(self):
        original, self.function.__code__ = self.function.__code__, self.code
        state = self.function.__globals__
        state["__FIRST"], state["__LATEST"] = {}, Latest()
        try:
            yield
        finally:
            self.function.__code__ = original
            del state["__FIRST"], state["__LATEST"]

    def __str__(self):
        file = pathlib.Path(self.code.co_filename).name
        return f"{self.kind} in {self.function.__qualname__} ({file}, line {self.line})"


class Latest:
    """The cache of the latest forward of any object of a class, by class."""

    caches = types.MappingProxyType({})

    def __getitem__(self, cls):
        return Latest.caches[cls]


def remember_caches(cases):
    """Makes every layer note its cache, so that a mutant can use that of another object."""
    caches = {}
    Latest.caches = caches
    for cls in {type(layer) for case in cases for _, layer in case.make().walk()}:
        forward = cls.forward

        def noting(self, *inputs, _forward=forward, **options):
            out = _forward(self, *inputs, **options)
            if hasattr(self, "cache"):
                caches[type(self)] = self.cache
            return out

        noting.__wrapped__ = forward
        cls.forward = noting


def functions_of_backward(case):
    """The functions of the package that run in backward and not in forward."""
    layer, inputs = case.make().astype(np.float64), case.draw()
    ran = {"forward": {}, "backward": {}}

    def trace(stage):
        def note(frame, event, arg):
            code = frame.f_code
            if (
                event == "call"
                and pathlib.Path(code.co_filename).parent == FOLDER
                and "base.py" not in code.co_filename
            ):
                ran[stage][code] = frame

        return note

    sys.setprofile(trace("forward"))
    out = layer.forward(*inputs)
    sys.setprofile(None)
    douts = [np.ones(np.shape(o)) for o in (out if isinstance(out, tuple) else (out,))]
    sys.setprofile(trace("backward"))
    layer.backward(*douts)
    sys.setprofile(None)
    owners = [vars(cls) for cls in type(layer).__mro__] + [
        vars(cls) for _, part in layer.walk() for cls in type(part).__mro__
    ]
    found = {}
    for code, frame in ran["backward"].items():
        for names in (*owners, frame.f_globals):
            function = inspect.unwrap(names.get(code.co_name)) if callable(names.get(code.co_name)) else None
            if getattr(function, "__code__", None) is code and code not in ran["forward"]:
                found[code] = function
    return list(found.values())


def mutants_of(function):
    """All mutants of one function."""
    code = function.__code__
    source = pathlib.Path(code.co_filename).read_text()
    tree = ast.parse(source)
    numbered = list(ast.walk(tree))
    start = next(
        i for i, node in enumerate(numbered)
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name and node.lineno == code.co_firstlineno
    )  # fmt: skip
    inside = {id(node) for statement in numbered[start].body for node in ast.walk(statement)}
    for i, node in enumerate(numbered):
        if id(node) in inside:
            for kind, new in changes(node):
                changed = copy.deepcopy(tree)
                old = list(ast.walk(changed))[i]
                yield from build(function, Replacing(old, copy.deepcopy(new)).visit(changed), kind, node.lineno)
    if code.co_name == "backward" and code.co_argcount > 1:
        for kind, line in LINES.items():
            changed = copy.deepcopy(tree)
            body = list(ast.walk(changed))[start].body
            body[:0] = ast.parse(line.format(d=code.co_varnames[1])).body
            yield from build(function, changed, kind, code.co_firstlineno)


class Replacing(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return ast.copy_location(self.new, node) if node is self.old else super().generic_visit(node)


def build(function, tree, kind, line):
    """The mutant, if the changed module compiles and the function still fits its closure."""
    original = function.__code__
    stack = [compile(ast.fix_missing_locations(tree), original.co_filename, "exec")]
    while stack:
        code = stack.pop()
        stack += [const for const in code.co_consts if isinstance(const, types.CodeType)]
        if (code.co_name, code.co_firstlineno) == (original.co_name, original.co_firstlineno):
            if len(code.co_freevars) == len(original.co_freevars):
                yield Mutant(function, code, kind, line)
            return
