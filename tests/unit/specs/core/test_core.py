"""Traced cores against Python's own execution of the same file, and refusals by name and line."""

from __future__ import annotations

import random
import re
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from specs.core import Core, Traced, read_core
from specs.errors import SpecError
from specs.graph import Graph, ops

POINTS = 10_000


def core(tmp_path: Path, text: str, function: str = "f") -> Core:
    (tmp_path / "core.py").write_text(text)
    return read_core(f"core.py:{function}", tmp_path)


def executed(text: str, function: str = "f"):
    """The function as Python runs it."""
    scope: dict[str, object] = {}
    exec(compile(text, "core.py", "exec"), scope)
    return scope[function]


def dyadic(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Multiples of 1/4 in [-2, 2], so that float64 is exact and many points lie on borders of branches."""
    return rng.integers(-8, 9, (count, size)) / 4


def agrees(traced: Traced, function, sizes: list[int], points: np.ndarray) -> None:
    starts = np.cumsum([0, *sizes])
    for x, outputs in zip(points.tolist(), at_once(traced.graph, points, starts).tolist()):
        parts = [x[a:b] for a, b in pairwise(starts)]
        found = function(*(part if size > 1 else part[0] for part, size in zip(parts, sizes)))
        assert outputs == (list(found) if isinstance(found, (list, tuple)) else [found])


def at_once(graph: Graph, points: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The flat outputs of a graph of vectors at many points: every value is a matrix with a column for each."""
    values = {name: points[:, a:b].T for name, a, b in zip(graph.inputs, starts, starts[1:])}
    for node in graph.nodes:
        if isinstance(node.op, ops.Constant):
            values[node.name] = node.op.value if node.op.value.ndim == 2 else node.op.value[:, None]
        elif node.name not in values:
            values[node.name] = node.op.evaluate(*(values[name] for name in node.inputs))
    return np.concatenate([values[name] for name in graph.outputs]).T


class Programs:
    """Random programs of the subset: continuous by construction where they branch on data."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.lines: list[str] = []
        self.names = ["x", "y", "q[0]", "q[1]", "q[2]"]
        self.fresh = 0

    def text(self) -> str:
        for _ in range(self.rng.randint(2, 5)):
            self.statement("    ")
        helper = "def twice(v, by=0.5):\n    return 2 * v - by\n\n\n"
        table = f"TABLE = [{self.number()}, {self.number()}, {self.number()}]\n\n\n"
        body = "\n".join(self.lines)
        return f"{table}{helper}def f(x, y, q):\n{body}\n    return {self.term(2)}, {self.term(1)}\n"

    def number(self) -> str:
        return self.rng.choice(["1", "-1", "0.5", "0.25", "2", "-1.5", "3"])

    def new(self) -> str:
        self.fresh += 1
        return f"v{self.fresh}"

    def term(self, depth: int) -> str:
        pick = self.rng.randrange(9 if depth else 2)
        a = partial(self.term, depth - 1)
        return [
            lambda: self.rng.choice(self.names),
            lambda: self.rng.choice([self.number(), f"TABLE[{self.rng.randrange(3)}]"]),
            lambda: f"({a()} + {a()})",
            lambda: f"({a()} - {a()})",
            lambda: f"{self.number()} * {a()}" if self.rng.random() < 0.5 else f"({a()}) / 2",
            lambda: f"max({a()}, {a()})",
            lambda: f"min({a()}, {a()}, {a()})",
            lambda: f"abs({a()})",
            lambda: f"twice({a()})",
        ][pick]()

    def statement(self, indent: str) -> None:
        name = self.new()
        add = self.lines.append
        match self.rng.randrange(6):
            case 0:
                add(f"{indent}{name} = {self.term(2)}")
            case 1:  # the two branches differ by a multiple of what is compared
                a, b, t = self.term(0), self.rng.choice(["x", "y"]), self.number()
                add(f"{indent}{name} = {self.term(1)}")
                add(f"{indent}if {a} {self.rng.choice(['<', '<=', '>', '>='])} {b}:")
                add(f"{indent}    {name} = {name} + {t} * ({a} - {b})")
            case 2:  # clipping by early comparison, and by sorting two names
                add(f"{indent}{name}, {name}b = {self.term(0)}, y")
                add(f"{indent}if {name} > {name}b:")
                add(f"{indent}    {name}, {name}b = {name}b, {name}")
            case 3:
                add(f"{indent}{name} = 0")
                add(f"{indent}for k in range({self.rng.randint(1, 3)}):")
                add(f"{indent}    {name} += TABLE[k] * q[k]")
            case 4:
                add(f"{indent}{name} = sum([abs(v - {self.term(0)}) for v in q])")
            case 5:
                add(f"{indent}{name} = x if x >= 0 else -x" if self.rng.random() < 0.5 else
                    f"{indent}{name} = {self.term(1)} if len(q) == 3 else unknown")  # fmt: skip
        self.names.append(name)


@pytest.mark.parametrize("seed", range(50))
def test_a_random_program_is_what_python_executes(seed: int, tmp_path: Path) -> None:
    text = Programs(seed).text()
    traced = core(tmp_path, text).trace([1, 1, 3])
    points = dyadic(np.random.default_rng(seed), POINTS, 5)
    assert np.array_equal(
        at_once(traced.graph, points[:9], np.array([0, 1, 2, 5]))[4], traced.graph.evaluate_flat(points[4])
    )
    agrees(traced, executed(text), [1, 1, 3], points)
    forms = traced.tape
    for x in points[:50]:
        assert forms.value(traced.forms, [Fraction(v) for v in x]) == [
            Fraction(v) for v in traced.graph.evaluate_flat(x).tolist()
        ]


BRANCHES = {
    "clip": "def f(x):\n    if x < 0:\n        return 0.0\n    if x > 1:\n        return 1.0\n    return x\n",
    "chain": "def f(x):\n    return x if -1 <= x <= 1 else max(-1, min(1, x))\n",
    "sort": "def f(x, y):\n    if x > y:\n        x, y = y, x\n    return x, y\n",
    "corner": "def f(x, y):\n    if x > y:\n        return max(x, 0) + 2 * y\n"
    "    else:\n        return max(y, 0) + 2 * x\n",
    "not": "def f(x, y):\n    return y if not x <= y else x\n",
    "nested": "def f(x, y):\n    z = 0\n    if x > 0:\n        z = x\n        if x > 1:\n            z = 2 * x - 1\n"
    "    return z - y\n",
    "falls through": "def f(x, y):\n    if x < y:\n        return x\n    z = x - y\n    return x - z\n",
    "loop": "def f(x, y):\n    for k in range(3):\n        if x > y:\n            x = x - (x - y) / 2\n    return x\n",
}  # fmt: skip


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_agree_on_both_sides_and_on_the_border(name: str, tmp_path: Path) -> None:
    text = BRANCHES[name]
    size = text.split(")")[0].count(",") + 1
    traced = core(tmp_path, text).trace([1] * size)
    points = dyadic(np.random.default_rng(0), POINTS, size)
    assert any((x == x[0]).all() for x in points)
    agrees(traced, executed(text), [1] * size, points)


def test_recursion_and_loops_are_unrolled(tmp_path: Path) -> None:
    text = (
        "def best(q):\n    n = len(q)\n    if n == 1:\n        return q[0]\n"
        "    return max(best(q[:n // 2]), best(q[n // 2:]))\n"
    )
    traced = core(tmp_path, text, "best").trace([8])
    assert traced.n_parts == 7
    agrees(traced, lambda q: max(q), [8], dyadic(np.random.default_rng(1), POINTS, 8))
    assert traced.lipschitz() == 1


def test_two_ways_of_saying_the_same_are_one(tmp_path: Path) -> None:
    text = "def f(x, y):\n    return max(x, y) - min(-x, -y) - 2 * max(y, x) + abs(x - y) - abs(2 * y - 2 * x) / 2\n"
    traced = core(tmp_path, text).trace([1, 1])
    assert traced.n_parts == 0
    assert not traced.graph.evaluate_flat([0.25, 7.5]).any()


@pytest.mark.parametrize(
    "expression",
    ["(1 and 5) * x", "(0 or 3) * x", "(2 or 1 / 0) + x", "x if (1 and x > 0) else 0", "0 if (x <= 0 or 0) else x",
     "(not 0) * x", "7 // 2 * x + 7 % 4 - 2 ** -1", "[x, 2 * x][-1] + len([1, 2][1:])",
     "max(1, 2.0) * x + min(3, x, 1)",
     "sum([k * x for k in range(4) if k != 2])", "sum([a * b for a, b in zip([1, 2], reversed([x, 3]))])",
     "sum([k * v for k, v in enumerate(list(reversed([x, 2, 3])))])", "x if (x > 0 and False or True) else 0",
     "x if True else y", "float(3) * x + int(2.0)"],
)  # fmt: skip
def test_constants_are_pythons_own(expression: str, tmp_path: Path) -> None:
    text = f"def f(x):\n    return {expression}\n"
    agrees(core(tmp_path, text).trace([1]), executed(text), [1], dyadic(np.random.default_rng(3), 100, 1))


LIPSCHITZ = [("max(x, y)", 1), ("x + y", 2), ("abs(x - y)", 2), ("(x + y) / 2", 1), ("max(x, y) - min(x, y)", 2),
             ("max(max(x, y), x - 1)", 1), ("3 * min(x, 0)", 3), ("1.0", 0)]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), LIPSCHITZ)
def test_lipschitz_constants_are_exact(expression: str, expected: int, tmp_path: Path) -> None:
    traced = core(tmp_path, f"def f(x, y):\n    return {expression}\n").trace([1, 1])
    assert traced.lipschitz() == expected
    rng = np.random.default_rng(2)
    function = executed(f"def f(x, y):\n    return {expression}\n")
    for a, b in rng.uniform(-2, 2, (2000, 2, 2)):
        assert abs(function(*a) - function(*b)) <= float(traced.lipschitz()) * np.abs(a - b).max() + 1e-12


REFUSED = [
    ("def f(x):\n    return 0.1 * x\n", 2, "the number 0.1 has no exact float64"),
    ("def f(x):\n    return x / 3\n", 2, "has no exact float64"),
    ("def f(x):\n    return x * (1 / 3)\n", 2, "has no exact float64"),
    ("def f(x):\n    return (2 ** 60 + 1) * x\n", 2, "has no exact float64"),
    ("def f(x):\n    return x * x\n", 2, "a product of data"),
    ("def f(x):\n    return 1 / x\n", 2, "division by data"),
    ("def f(x):\n    return x ** 2\n", 2, "a power of data"),
    ("def f(x):\n    return x // 1\n", 2, "floor division of data"),
    ("def f(x):\n    if x > 0:\n        return 1.0\n    return 0.0\n", 2, "not proved to be continuous"),
    ("def f(x):\n    return 1 if x == 0 else 1 + x\n", 2, "equality of data"),
    ("def f(x):\n    while x > 0:\n        x = x - 1\n    return x\n", 2, "a while loop"),
    ("def f(x):\n    return (lambda v: v)(x)\n", 2, "a call"),
    ("def f(x):\n    return x.real\n", 2, "an attribute"),
    ("import os\n\n\ndef f(x):\n    return x\n", 1, "an import"),
    ("def f(x):\n    return open('/etc/passwd')\n", 2, "'/etc/passwd' is no number"),
    ("def f(x):\n    return exp(x)\n", 2, "'exp' is no function"),
    ("def f(x):\n    q = [0, x]\n    q[0] = 1\n    return q[0]\n", 3, "only names are assigned to"),
    ("def f(x):\n    return [0, 1][x]\n", 2, "an index depends on data"),
    ("def f(x):\n    return f(x)\n", 2, "nested deeper"),
    ("def f(x):\n    for k in range(10 ** 9):\n        x = x + 1\n    return x\n", 2, "range takes"),
    ("def f(x):\n    for k in range(10000):\n        for m in range(10000):\n            x = x + 1\n    return x\n", 4,
     "takes more than"),
    ("def f(x):\n    y = z + x\n    z = 1\n    return y\n", 2, "'z' has no value here"),
    ("def f(x):\n    y = x\n", 1, "can end without return"),
    ("def f(*x):\n    return x[0]\n", 1, "arguments are plain"),
    ("@staticmethod\ndef f(x):\n    return x\n", 1, "a decorator"),
    ("def f(x):\n    try:\n        return x\n    except ValueError:\n        return 0\n", 2, "try"),
    ("def f(x):\n    return max(x, key=1)\n", 2, "by position"),
    ("def f(x):\n    return 1e999 * x\n", 2, "has no exact float64"),
    ("def f(x):\n    return x % 2\n", 2, "the remainder of data"),
    ("def f(x):\n    return int(x)\n", 2, "int of data"),
    ("def f(x):\n    return (x > 0) + 1\n", 2, "a condition on data is used as a number"),
    ("A = 1\nA = 2\n\n\ndef f(x):\n    return A * x\n", 2, "a name for the second time"),
    ("def f(x):\n    return x\n\n\ndef f(x):\n    return 2 * x\n", 5, "a name for the second time"),
    (f"def f(x):\n    return {'+'.join(['x'] * 1500)}\n", 1, "nested too deeply"),
    ("class A:\n    pass\n\n\ndef f(x):\n    return x\n", 1, "a class"),
    # what Python computes is another thing than what the text seems to say, or depends on when it is run
    ("max = min\n\n\ndef f(x):\n    return max(x, 0)\n", 1, "'max' is a function of Python"),
    ("A = max(1, 2)\n\n\ndef max(a, b):\n    return a + b\n\n\ndef f(x):\n    return A * x\n", 4,
     "'max' is a function of Python"),
    ("def f(x):\n    a = [x]\n    b = a\n    b += [1]\n    return sum(a)\n", 4, "changed under all of its names"),
    ("def f(x):\n    r = reversed([x, 1])\n    return sum(r) + sum(r)\n", 2, "gives its elements once"),
    ("def f(x):\n    return x if zip([], []) else 0\n", 2, "gives its elements once"),
    ("def f(x):\n    return len(zip([x], [x])) * x\n", 2, "gives its elements once"),
    ("def f(x):\n    return (x > 0 or 5) * x\n", 2, "this is no truth value"),
    ("def f(x):\n    return 3 * x if (x > 0 or 5) == 5 else x\n", 2, "this is no truth value"),
    ("def f(x):\n    for k in range(0, 3, 0):\n        x = 2 * x\n    return x\n", 2, "range takes"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), REFUSED)
def test_what_has_no_exact_meaning_is_refused_by_name_and_line(
    text: str, line: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        core(tmp_path, text).trace([1])
    assert str(caught.value).startswith(f"{tmp_path / 'core.py'}:{line}:")


def test_nothing_is_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    text = f"def f(x, y=open({str(marker)!r}, 'w')):\n    return x\n"
    with pytest.raises(SpecError, match="is no number"):
        core(tmp_path, text).trace([1])
    assert not marker.exists()
