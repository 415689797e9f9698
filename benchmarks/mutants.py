"""Wrong backwards for `gradcheck_power.py`: the functions that only a layer's backward runs, changed at one node."""

import ast
import contextlib
import inspect
import itertools
import pathlib
import sys
import tempfile
import types

import numpy as np

import layers

FOLDER = pathlib.Path(layers.__file__).parent
WRITTEN, COUNT = tempfile.TemporaryDirectory(), itertools.count()  # the changed modules

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
            kind = "sign" if isinstance(node.op, (ast.Add, ast.Sub)) else "factor"
            yield kind, ast.AugAssign(node.target, SWAPS[type(node.op)](), node.value)
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
    """A change of one function, which can be put in place of the original and taken out again.

    `edit` takes the text of the function's module to that of the changed one, which is written to a file of its own: a
    checker that reads the source reads what it runs. `line` is that of the changed statement there.
    """

    def __init__(self, function, kind, line, edit):
        self.function, self.kind, self.line, self.edit = function, kind, line, edit
        self.code = None

    def build(self):
        """Write and compile the changed module; whether the function still fits its closure."""
        original = self.function.__code__
        path = pathlib.Path(WRITTEN.name, str(next(COUNT)), pathlib.Path(original.co_filename).name)
        path.parent.mkdir()
        path.write_text(self.edit(pathlib.Path(original.co_filename).read_text()))
        try:
            stack = [compile(path.read_text(), str(path), "exec")]
        except SyntaxError:
            return False
        while stack:
            code = stack.pop()
            stack += [const for const in code.co_consts if isinstance(const, types.CodeType)]
            if (code.co_name, code.co_firstlineno) == (original.co_name, original.co_firstlineno):
                self.code = code
                return len(code.co_freevars) == len(original.co_freevars)
        return False

    @contextlib.contextmanager
    def active(self):
        """The changed function in place."""
        original, self.function.__code__ = self.function.__code__, self.code
        names = self.function.__globals__
        names["__FIRST"], names["__LATEST"] = {}, Latest()
        try:
            yield
        finally:
            self.function.__code__ = original
            del names["__FIRST"], names["__LATEST"]

    def __str__(self):
        file = pathlib.Path(self.function.__code__.co_filename).name
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
    """The functions of the package that run in backward and not in forward; not those whose results are kept."""
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
            function = names.get(code.co_name)
            function = inspect.unwrap(function) if callable(function) and not hasattr(function, "cache_info") else None
            if getattr(function, "__code__", None) is code and code not in ran["forward"]:
                found[code] = function
    return list(found.values())


def mutants_of(function):
    """All mutants of one function, not yet built."""
    code = function.__code__
    numbered = list(ast.walk(ast.parse(pathlib.Path(code.co_filename).read_text())))
    definition = next(
        node
        for node in numbered
        if isinstance(node, ast.FunctionDef) and (node.name, node.lineno) == (code.co_name, code.co_firstlineno)
    )
    inside = {id(node) for statement in definition.body for node in ast.walk(statement)}
    for node in numbered:
        if id(node) in inside:
            for kind, new in changes(node):
                yield Mutant(function, kind, node.lineno, replacing(node, new))
    if code.co_name == "backward" and code.co_argcount > 1:
        first = definition.body[0]
        for kind, line in LINES.items():
            yield Mutant(function, kind, first.lineno, prepending(first, line.format(d=code.co_varnames[1])))


def replacing(node, new):
    """An edit: another node in place of this one, on as many lines."""
    written = ast.unparse(ast.fix_missing_locations(ast.Module([new], []) if isinstance(new, ast.stmt) else new))
    written = written if isinstance(new, ast.stmt) else f"({written})"

    def edit(text):
        rows = text.split("\n")
        before, after = rows[node.lineno - 1], rows[node.end_lineno - 1]
        head, tail = before.encode()[: node.col_offset].decode(), after.encode()[node.end_col_offset :].decode()
        rows[node.lineno - 1 : node.end_lineno] = [head + written + tail, *[""] * (node.end_lineno - node.lineno)]
        return "\n".join(rows)

    return edit


def prepending(first, lines):
    """An edit: lines before the first statement of a function."""

    def edit(text):
        rows = text.split("\n")
        rows[first.lineno - 1 : first.lineno - 1] = [" " * first.col_offset + line for line in lines.split("\n")]
        return "\n".join(rows)

    return edit
