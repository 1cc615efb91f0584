"""Expressions: the compiled form against direct evaluation of the tree, meanings worked out by hand, and messages."""

from __future__ import annotations

import ast
import random
from fractions import Fraction

import pytest

from specs.language.expressions.compile import compile_formula
from specs.language.expressions.dnf import Dnf
from specs.language.expressions.evaluate import Numbers, evaluate_expression, is_true
from specs.language.expressions.expression import ExpressionFault, parse_expression
from specs.language.expressions.formula import negate, to_dnf
from specs.language.expressions.scope import Scope
from specs.language.expressions.tensor import Tensor
from specs.language.expressions.terms import Linear
from specs.problem import Terms

NAMES_X, NAMES_Y = ("rho", "theta"), ("COC", "WL", "WR", "SL")
ONE, ZERO = Fraction(1), Fraction(0)


class Called:
    """A network whose outputs are given, whatever it is called on."""

    names = ("target",)

    def call(self, node: ast.Call, name: str, tap: str, arguments: object) -> Tensor:
        return Tensor.of([Linear({}, {i: ONE}, ZERO) for i in range(4)], (1, 4), NAMES_Y)


def scope() -> Scope:
    x = Tensor.of([Linear({i: ONE}, {}, ZERO) for i in range(2)], (1, 2), NAMES_X)
    y = Tensor.of([Linear({}, {i: ONE}, ZERO) for i in range(4)], (1, 4), NAMES_Y)
    return Scope({"x": x, "y": y}, Called(), {"x": 2})


def numbers(x: list[Fraction], y: list[Fraction]) -> Numbers:
    outputs = Tensor.of(y, (1, 4), NAMES_Y)

    def called(node: ast.Call) -> Tensor | None:
        return outputs if isinstance(node.func, ast.Name) and node.func.id == "target" else None

    return Numbers({"x": Tensor.of(x, (1, 2), NAMES_X), "y": outputs}, called, {"x": 2})


def dot(terms: Terms, values: list[Fraction]) -> Fraction:
    return sum((coefficient * values[index] for index, coefficient in terms), ZERO)


def satisfied(dnf: Dnf, x: list[Fraction], y: list[Fraction]) -> bool:
    def true(value: Fraction, strict: bool) -> bool:
        return value < 0 if strict else value <= 0

    return any(all(true(dot(a.x, x) + dot(a.y, y) + a.constant, a.strict) for a in cube) for cube in dnf)


def agree(text: str, x: list[Fraction], y: list[Fraction]) -> bool:
    """Whether compiled form, compiled negation and direct evaluation agree at a point; returns the common value."""
    expression = parse_expression(text)
    formula = compile_formula(expression, scope())
    expected = is_true(evaluate_expression(expression, numbers(x, y)))
    assert satisfied(to_dnf(formula), x, y) == expected, (text, x, y)
    assert satisfied(to_dnf(negate(formula)), x, y) != expected, (text, x, y)
    return expected


def random_scalar(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.25:
        leaves = [
            "y[0]",
            "y[-1]",
            "y.WL",
            "x[1]",
            "x.rho",
            "1",
            "0.5",
            "-2",
            "target(x)[2]",
            "label(x)",
            "2**2",
            "sum(y[1:3])",
        ]
        return rng.choice(leaves)
    a, b = random_scalar(rng, depth - 1), random_scalar(rng, depth - 1)
    forms = [
        f"({a} + {b})", f"({a} - {b})", f"-{a}", f"2 * {a}", f"{a} / 4", f"max({a}, {b})", f"min({a}, {b}, 1)",
        f"abs({a})", f"relu({a})", f"clip({a}, -1, 1)", "norm(y - y[0], inf)", "norm(x, 1)", "margin(y, 1)", "max(y)",
    ]  # fmt: skip
    return rng.choice(forms)


def random_condition(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.3:
        operator = rng.choice(["<", "<=", ">", ">=", "==", "!="])
        k = rng.randrange(4)
        forms = [
            f"{random_scalar(rng, 2)} {operator} {random_scalar(rng, 1)}",
            f"argmax(y) == {k}", f"argmax(y) != {k}", f"argmin(y) == {k}", f"{k} == argmax(y[0:4])",
            f"argmax(y) in [{k}, 0]", f"argmin(y) not in [{k}, 3]", f"{k} in top(y, 2)",
            f"label(x) not in top(y, {k or 1})",
            "argmax(y) == label(x)", "0 <= x[0] < x[1] <= 1", "y[0:2] <= y[2:4]", "y >= 0", "true", "False",
            f"any(y {operator} 1)", f"all(y {operator} 0.5, x >= -1)", f"any([y[0] {operator} 0, x[0] < 0])",
        ]  # fmt: skip
        return rng.choice(forms)
    a, b = random_condition(rng, depth - 1), random_condition(rng, depth - 1)
    forms = [f"({a}) and ({b})", f"({a}) or ({b})", f"not ({a})", f"implies({a}, {b})", f"iff({a}, {b})"]
    return rng.choice(forms)


@pytest.mark.parametrize("seed", range(250))
def test_compiled_form_agrees_with_the_tree(seed: int) -> None:
    rng = random.Random(seed)
    text = random_condition(rng, 2)
    expression = parse_expression(text)
    try:
        formula = compile_formula(expression, scope())
        compiled, opposite = to_dnf(formula), to_dnf(negate(formula))
    except (OverflowError, ExpressionFault) as error:
        if "expands into" not in str(error) and "multiplies out" not in str(error):
            raise
        return
    points = 40 if len(compiled) + len(opposite) < 1000 else 2
    for _ in range(points):
        # A coarse grid, so that ties are common.
        x = [Fraction(rng.randint(-2, 2), 2) for _ in range(2)]
        y = [Fraction(rng.randint(-2, 4), 2) for _ in range(4)]
        expected = is_true(evaluate_expression(expression, numbers(x, y)))
        assert satisfied(compiled, x, y) == expected, (text, x, y)
        assert satisfied(opposite, x, y) != expected, (text, x, y)


@pytest.mark.parametrize(
    ("text", "y", "expected"),
    [
        ("argmax(y) == 1", [0, 2, 1, 1], True),
        ("argmax(y) == 1", [2, 2, 1, 1], False),  # at a tie nothing wins
        ("argmax(y) != 1", [2, 2, 1, 1], True),
        ("argmax(y) in [0, 1]", [2, 2, 1, 1], True),  # but the winners are among these
        ("argmax(y) in [0, 1]", [2, 2, 2, 1], False),
        ("argmin(y) == 3", [1, 1, 1, 0], True),
        ("2 in top(y, 2)", [3, 0, 1, 0], True),
        ("2 in top(y, 2)", [3, 1, 1, 0], False),
        ("margin(y, 0) >= 0.5", [1, 0, Fraction(1, 2), 0], True),
        ("margin(y, 0) > 0.5", [1, 0, Fraction(1, 2), 0], False),
        ("not (y.COC <= y.WL and y.COC <= y.WR)", [0, 0, 0, 0], False),
        ("not (y.COC < y.WL and y.COC <= y.WR)", [0, 0, 0, 0], True),
        ("norm(y, 1) <= 4", [1, -1, 1, -1], True),
        ("norm(y, 1) < 4", [1, -1, 1, -1], False),
        ("norm(y, inf) == 1", [1, -1, 0, 0], True),
        ("clip(y[0], 0, 1) == 1", [5, 0, 0, 0], True),
        ("relu(y[0]) + relu(-y[0]) == abs(y[0])", [-3, 0, 0, 0], True),
        ("0.1 + 0.2 == 0.3", [0, 0, 0, 0], True),  # exact decimals
        ("2**-2 == 0.25", [0, 0, 0, 0], True),
        ("-1 <= y[0] < y[1]", [0, 0, 0, 0], False),
        ("any(y != 0)", [0, 0, 1, 0], True),
        ("implies(x.rho > 5, false)", [0, 0, 0, 0], True),
    ],
)
def test_meaning(text: str, y: list[int], expected: bool) -> None:
    assert agree(text, [ZERO, ZERO], [Fraction(value) for value in y]) == expected


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("y[0] * y[1] > 0", 0, "nonlinear"),
        ("1 / y[0] > 0", 0, "nonlinear"),
        ("x[0]**2 > 0", 0, "nonlinear"),
        ("norm(y, 2) > 0", 0, "nonlinear"),
        ("y[0] / 0 > 0", 0, "divides by zero"),
        ("y[7] > 0", 0, "y has 4 values; y[7] is out of range"),
        ("1 < y.COW", 4, "no element is called 'COW'"),
        ("z > 0", 0, "'z' is not defined"),
        ("tarjet(x)[0] > 0", 0, "Did you mean 'target'"),
        ("y[0] > 0 and y[1]", 13, "expected a comparison"),
        ("argmax(y) > 1", 0, "argmax"),
        ("argmax(y) + 1 == 2", 0, "a class"),
        ("argmax(y) == 4", 13, "class 4 is out of range"),
        ("y[0:2] > y", 0, "shapes"),
        ("y != 0", 0, "all(...) or any(...)"),
        ("abs(y[0], 1) > 0", 0, "abs takes 1 argument"),
        ("lambda: 0", 0, "not part of the expression language"),
        ("[i for i in y]", 0, "not part of the expression language"),
        ("__import__('os').system('true')", 0, "not part of the expression language"),
        ("(y)(x)", 0, "neither a model nor a function"),
        ("'a' == 'a'", 0, "not a decimal number"),
        ("y[0] > 1j", 7, "not a decimal number"),
        ("y[0] > 0x10", 7, "not a decimal number"),
        ("y[0] >", 6, "is not an expression"),
        ("y[0] > 1 if x[0] > 0 else 2", 0, "not part of the expression language"),
        ("y[0] ≥ 1", 5, "ASCII"),
        ("max(x, key=y) > 0", 0, "by position"),
        ("norm([" + ", ".join(["y[0]"] * 40) + "], 1) < 1", 0, "expands into"),
    ],
)
def test_faults_are_located(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionFault) as caught:
        compile_formula(parse_expression(text), scope())
    assert message in caught.value.message
    assert caught.value.column == column


@pytest.mark.parametrize(
    "text", ["(" * 5000, "-" * 15_000 + "1", "not " * 4000 + "true", "y[0]" + " + 1" * 4000, "y" * 30_000]
)
def test_hostile_sizes_are_refused(text: str) -> None:
    with pytest.raises(ExpressionFault):
        parse_expression(text)
