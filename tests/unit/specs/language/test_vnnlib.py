"""The VNN-LIB reader against a direct evaluation of the file's formulas, and the messages a user meets."""

from __future__ import annotations

import gzip
import random
import re
from fractions import Fraction
from pathlib import Path

import pytest

from specs.errors import SpecError
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import parse_vnnlib, read_vnnlib
from specs.problem import Problem, Row, Terms
from tests.unit.specs.language.networks import network
from verifier.checker.vnnlib import read_query


def declarations(n_inputs: int, n_outputs: int) -> str:
    names = [f"X_{i}" for i in range(n_inputs)] + [f"Y_{i}" for i in range(n_outputs)]
    return "".join(f"(declare-const {name} Real)\n" for name in names)


def boxed(n_inputs: int, n_outputs: int, text: str, low: int = -2, high: int = 2) -> str:
    bounds = "".join(f"(assert (<= X_{i} {high}))(assert (>= X_{i} {low}))\n" for i in range(n_inputs))
    return declarations(n_inputs, n_outputs) + bounds + text


def problem_of(text: str, n_inputs: int, n_outputs: int) -> Problem:
    return compile_vnnlib(parse_vnnlib(text), network(n_inputs, n_outputs))


def dot(terms: Terms, values: list[Fraction]) -> Fraction:
    return sum((coefficient * values[index] for index, coefficient in terms), Fraction(0))


def holds(row: Row, x: list[Fraction], y: list[Fraction]) -> bool:
    value = dot(row.x, x) + dot(row.y, y) + row.constant
    return value > 0 if row.strict else value >= 0


def violates(problem: Problem, x: list[Fraction], y: list[Fraction]) -> bool:
    """Whether (x, y) is a counterexample by the meaning of the normal form."""
    return any(
        all(low <= value <= up for low, value, up in zip(case.box.lower, x, case.box.upper))
        and not any(holds(row, x, y) for row in case.any_of)
        for case in problem.cases
    )


def evaluate(expression: object, env: dict[str, Fraction]) -> object:
    """Value of a VNN-LIB expression given as nested lists: written from the language, apart from the reader."""
    if isinstance(expression, str):
        return env[expression] if expression in env else Fraction(expression)
    head, *arguments = expression
    values = [evaluate(argument, env) for argument in arguments]
    match head:
        case "and":
            return all(values)
        case "or":
            return any(values)
        case "<=":
            return values[0] <= values[1]
        case ">=":
            return values[0] >= values[1]
        case "<":
            return values[0] < values[1]
        case ">":
            return values[0] > values[1]
        case "=":
            return values[0] == values[1]
        case "+":
            return sum(values)
        case "-":
            return -values[0] if len(values) == 1 else values[0] - sum(values[1:])
        case "*":
            product = Fraction(1)
            for value in values:
                product *= value
            return product
    raise AssertionError(head)


def write(expression: object) -> str:
    return expression if isinstance(expression, str) else "(" + " ".join(map(write, expression)) + ")"


def random_term(rng: random.Random, depth: int) -> object:
    kind = rng.randrange(5) if depth else rng.randrange(2)
    if kind == 0:
        return rng.choice(["X_0", "X_1", "Y_0", "Y_1"])
    if kind == 1:
        return rng.choice(["0", "1", "-1.5", "2e-1", "+.5", "3."])
    if kind == 2:
        return ["+", *(random_term(rng, depth - 1) for _ in range(rng.randint(1, 3)))]
    if kind == 3:
        return ["-", *(random_term(rng, depth - 1) for _ in range(rng.randint(1, 2)))]
    return ["*", rng.choice(["2", "-0.5", ["-", "1.0"]]), random_term(rng, depth - 1)]


def random_formula(rng: random.Random, depth: int) -> object:
    if depth and rng.random() < 0.6:
        return [rng.choice(["and", "or"]), *(random_formula(rng, depth - 1) for _ in range(rng.randint(1, 3)))]
    simple = rng.random() < 0.4
    left = rng.choice(["X_0", "X_1", "Y_0", "Y_1"]) if simple else random_term(rng, 2)
    right = rng.choice(["0", "1", "-1"]) if simple else random_term(rng, 2)
    return [rng.choice(["<=", ">=", "<", ">", "="]), left, right]


@pytest.mark.parametrize("seed", range(150))
def test_compiled_query_is_violated_exactly_where_the_file_is_true(seed: int) -> None:
    rng = random.Random(seed)
    formulas = [random_formula(rng, 3) for _ in range(2)]
    text = boxed(2, 2, "".join(f"(assert {write(formula)})\n" for formula in formulas))
    try:
        problem = problem_of(text, 2, 2)
    except SpecError as error:
        if "describes no point" not in str(error):
            raise
        problem = Problem(network(2, 2), ())
    grid = [Fraction(n, 2) for n in range(-5, 6)]  # half-integers, so that ties at the constants above are common
    for _ in range(60):
        x, y = [[rng.choice(grid) for _ in range(2)] for _ in range(2)]
        env = {"X_0": x[0], "X_1": x[1], "Y_0": y[0], "Y_1": y[1]}
        true = all(-2 <= value <= 2 for value in x) and all(evaluate(formula, env) for formula in formulas)
        assert violates(problem, x, y) == true, (text, x, y)


def test_decimals_are_exact_and_strictness_flips() -> None:
    problem = problem_of(boxed(1, 1, "(assert (<= Y_0 0.1))(assert (< X_0 1e-1))"), 1, 1)
    (case,) = problem.cases
    assert case.box.upper == (Fraction(1, 10),)
    assert case.any_of == (
        Row((), ((0, Fraction(1)),), Fraction(-1, 10), strict=True),
        Row(((0, Fraction(1)),), (), Fraction(-1, 10), strict=False),
    )


def test_disjunction_over_inputs_becomes_one_case_per_box() -> None:
    text = (
        declarations(1, 1)
        + """
    (assert (or (and (>= X_0 0) (<= X_0 1)) (and (>= X_0 5) (<= X_0 4)) (and (>= X_0 2) (<= X_0 3) (>= Y_0 7))))
    (assert (or (<= Y_0 1) (>= Y_0 2)))"""
    )
    problem = problem_of(text, 1, 1)
    assert [(case.box.lower[0], case.box.upper[0], len(case.any_of)) for case in problem.cases] == [
        (0, 1, 1),
        (0, 1, 1),
        (2, 3, 2),
        (2, 3, 2),
    ]


def test_alternatives_over_outputs_share_one_box() -> None:
    problem = problem_of(boxed(1, 3, "(assert (or (<= Y_0 Y_1) (<= Y_0 Y_2)))"), 1, 3)
    assert len(problem.cases) == 2
    assert problem.cases[0].box is problem.cases[1].box


def test_declare_fun_comments_gzip_and_byte_order_mark(tmp_path: Path) -> None:
    text = (
        "\ufeff; a comment with (parentheses\n(declare-fun X_0 () Real) (declare-fun Y_0 () Real)\n"
        "(assert (and (<= X_0 1 ; upper\n) (>= X_0 (- 1.0))))\n(assert (>= (* 2.0 Y_0) (+ X_0 1)))"
    )
    path = tmp_path / "query.vnnlib.gz"
    path.write_bytes(gzip.compress(text.encode()))
    (case,) = compile_vnnlib(read_vnnlib(path), network(1, 1)).cases
    assert (case.box.lower, case.box.upper) == ((-1,), (1,))
    assert case.any_of == (Row(((0, Fraction(1)),), ((0, Fraction(-2)),), Fraction(1), strict=True),)


def test_a_comment_ends_at_a_carriage_return_for_both_readers() -> None:
    """By SMT-LIB a line ends there, too: what follows is no part of the comment."""
    text = boxed(1, 1, "; the upper half\r(assert (>= X_0 0))\r\n; no (more\r\n(assert (<= Y_0 0))")
    (case,) = problem_of(text, 1, 1).cases
    (checked,) = read_query(text, 1, 1)
    assert case.box.lower == checked.lower == (0,)
    assert case.box.upper == checked.upper == (2,)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 0, 0, "declares no variables"),
        ("hello", 1, 1, "expected a command"),
        ("(declare-const X_0 Real))", 1, 25, "never opened"),
        ("\n  (assert (and", 2, 11, "never closed"),
        ("(declare-const X_0 Real)\n(declare-const X_0 Real)", 2, 16, "declared twice"),
        ("(declare-const X_0 Int)", 1, 1, "expected (declare-const"),
        ("(declare-const Z_0 Real)", 1, 16, "neither an input"),
        ("(declare-const X_1 Real)", 0, 0, "not X_0"),
        ("(declare-const X_0 Real)\n(assert (<= Y_5 0))", 2, 13, "Y_5 is not declared"),
        ("(declare-const X_0 Real)\n(assert (<= X_0 nan))", 2, 17, "nan is not a number"),
        ("(declare-const X_0 Real)\n(assert (<= X_0 -inf))", 2, 17, "finite"),
        ("(declare-const X_0 Real)\n(assert (<= X_0 1.2.3))", 2, 17, "'1.2.3' is neither"),
        ("(declare-const X_0 Real)\n(assert (<= X_0 1e999999999))", 2, 17, "exponent"),
        ("(declare-const X_0 Real)\n(assert (<= (* X_0 X_0 X_0) 1))", 2, 13, "nonlinear"),
        ("(declare-const X_0 Real)\n(assert (<= (/ X_0 0) 1))", 2, 13, "other than 0"),
        ("(declare-const X_0 Real)\n(assert (<= X_0 1 2))", 2, 9, "compares two values"),
        ("(declare-const X_0 Real)\n(assert (=> (<= X_0 1) (<= X_0 1)))", 2, 10, "unknown command or operator '=>'"),
        ("(declare-const X_0 Real)\n(assert X_0)", 2, 9, "expected a formula"),
        ("(vnnlib-version <2.0>)", 1, 1, "VNN-LIB 2.0 is not supported yet"),
    ],
)
def test_faults_are_located(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        parse_vnnlib(text, Path("q.vnnlib"))
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).startswith("q.vnnlib:")


def test_all_faults_at_once() -> None:
    text = declarations(1, 1) + "(assert (<= X_1 0))\n(assert (or (<= Y_0 nan) (and (<= Y_9 1))))"
    with pytest.raises(SpecError) as caught:
        parse_vnnlib(text, Path("q.vnnlib"))
    lines = str(caught.value).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["q.vnnlib:3:13:", "q.vnnlib:4:21:", "q.vnnlib:4:35:"]


def test_thousands_of_faults_end_quickly() -> None:
    with pytest.raises(SpecError) as caught:
        parse_vnnlib(declarations(1, 1) + "(assert (<= X_1 0))\n" * 50_000)
    assert len(str(caught.value).splitlines()) <= 21


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (declarations(2, 1) + "(assert (<= X_0 1))", "no lower bound on X_0, X_1; no upper bound on X_1"),
        (boxed(2, 1, "(assert (>= X_1 3))"), "X_1 is at least 3 and at most 2"),
        (boxed(2, 1, "(assert (or (>= X_1 3) (<= X_1 -3)))"), "describes no point"),
        (boxed(2, 1, "(assert (<= 1 0))"), "without variables is false"),
        (boxed(3, 1, ""), "declares 3 inputs X_i but the model has 2 (x [1, 2])"),
        (boxed(2, 3, ""), "declares 3 outputs Y_i but the model has 1 (y [1, 1])"),
    ],
)
def test_queries_that_do_not_fit(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        problem_of(text, 2, 1)


def test_the_empty_box_is_located_at_its_later_bound() -> None:
    with pytest.raises(SpecError) as caught:
        problem_of(boxed(1, 1, "(assert (>= X_0 3))"), 1, 1)
    assert (caught.value.line, caught.value.column) == (4, 9)


def test_deep_nesting_neither_recurses_nor_hangs() -> None:
    deep = 1_500
    sums = "(+ 1 " * deep + "Y_0" + ")" * deep
    formula = "(and (<= Y_0 7) (or " * (deep // 8) + f"(<= {sums} 0)" + "))" * (deep // 8)
    (case,) = problem_of(boxed(1, 1, f"(assert {formula})"), 1, 1).cases
    assert case.any_of[-1] == Row((), ((0, Fraction(1)),), Fraction(deep))
    with pytest.raises(SpecError, match="nested deeper"):
        parse_vnnlib("(" * 1_000_000)


def test_a_query_that_multiplies_out_too_far_is_refused() -> None:
    choice = "(or (<= Y_0 0) (>= Y_0 1))"
    with pytest.raises(SpecError, match="alternatives"):
        problem_of(boxed(1, 1, f"(assert (and {choice * 40}))"), 1, 1)
    with pytest.raises(SpecError, match="alternatives"):
        problem_of(boxed(1, 1, f"(assert {choice})" * 40), 1, 1)


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00", gzip.compress(b"(declare" * 1000, mtime=0)[:-20], b"\x1f\x8bgarbage"]
)
def test_files_that_are_not_text(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "q.vnnlib"
    path.write_bytes(data)
    with pytest.raises(SpecError, match=re.escape(str(path))):
        read_vnnlib(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        read_vnnlib(tmp_path / "none.vnnlib")
