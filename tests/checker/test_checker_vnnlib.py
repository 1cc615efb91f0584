"""The query reader: its cases must say exactly the opposite of the file, at every point."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from verifier.checker.errors import CheckError
from verifier.checker.exact import row_value
from verifier.checker.vnnlib import QueryCase, read_query

Formula = tuple[object, ...]


def declared(inputs: int, outputs: int) -> str:
    names = [f"X_{i}" for i in range(inputs)] + [f"Y_{j}" for j in range(outputs)]
    return "".join(f"(declare-const {name} Real)\n" for name in names)


def one_input(*assertions: str) -> tuple[QueryCase, ...]:
    text = "".join(f"(assert {assertion})" for assertion in ("(<= X_0 1)", "(>= X_0 -1)", *assertions))
    return read_query(declared(1, 2) + text, 1, 2)


def violated(cases: Sequence[QueryCase], x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
    """Whether some case fails at the point: inside the box, no row true."""
    for case in cases:
        inside = all(low <= value <= up for low, value, up in zip(case.lower, x, case.upper, strict=True))
        values = [(row_value(row, x, y), row.strict) for row in case.rows]
        if inside and not any(value > 0 or (value == 0 and not strict) for value, strict in values):
            return True
    return False


# --- random formulas, evaluated directly -----------------------------------------------------------------------------


def random_term(rng: random.Random, depth: int) -> Formula | str:
    if depth == 0 or rng.random() < 0.6:
        return rng.choice(["X_0", "X_1", "Y_0", "Y_1", "0", "1", "-2", "0.5", "+1e-1", ".25", "2.E0"])
    kind = rng.choice("+-*n")
    if kind == "*":
        return ("*", rng.choice(["2", "-0.5", "(- 3)"]), random_term(rng, depth - 1))
    if kind == "n":
        return ("-", random_term(rng, depth - 1))
    return (kind, *(random_term(rng, depth - 1) for _ in range(rng.randint(2, 3))))


def random_formula(rng: random.Random, depth: int) -> Formula:
    if depth == 0 or rng.random() < 0.4:
        relation = rng.choice(["<=", ">=", "<=", ">=", "<", ">", "="])
        return (relation, random_term(rng, 2), random_term(rng, 2))
    return (rng.choice(["and", "or"]), *(random_formula(rng, depth - 1) for _ in range(rng.randint(1, 3))))


def written(formula: object) -> str:
    return formula if isinstance(formula, str) else f"({' '.join(map(written, formula))})"  # type: ignore[call-overload]


def meaning(formula: object, point: dict[str, Fraction]) -> Fraction | bool:
    """The value of a formula or term by the definition of SMT-LIB."""
    if isinstance(formula, str):
        if formula.startswith("("):
            return -Fraction(formula[3:-1])
        return point[formula] if formula in point else Fraction(formula)
    assert isinstance(formula, tuple | list)
    head, parts = formula[0], [meaning(part, point) for part in formula[1:]]
    a, b = parts[0], parts[-1]
    match head:
        case "and":
            return all(parts)
        case "or":
            return any(parts)
        case "<=":
            return a <= b
        case ">=":
            return a >= b
        case "<":
            return a < b
        case ">":
            return a > b
        case "=":
            return a == b
        case "+":
            return sum(parts, Fraction(0))
        case "*":
            return a * b
        case "-":
            return -a if len(parts) == 1 else a - sum(parts[1:], Fraction(0))
    raise AssertionError(head)


def test_cases_fail_exactly_where_the_assertions_hold() -> None:
    rng = random.Random(17)
    grid = [Fraction(k, 4) for k in range(-5, 6)]
    seen = {True: 0, False: 0}
    for _ in range(400):
        formulas: list[Formula] = [random_formula(rng, 3) for _ in range(rng.randint(1, 3))]
        formulas += [("<=", name, "1") for name in ("X_0", "X_1")] + [(">=", name, "-1") for name in ("X_0", "X_1")]
        rng.shuffle(formulas)
        text = declared(2, 2) + "".join(f"(assert {written(formula)})\n" for formula in formulas)
        cases = read_query(text, 2, 2)
        for _ in range(25):
            x, y = [rng.choice(grid) for _ in range(2)], [rng.choice(grid) for _ in range(2)]
            point = {"X_0": x[0], "X_1": x[1], "Y_0": y[0], "Y_1": y[1]}
            expected = all(meaning(formula, point) for formula in formulas)
            seen[expected] += 1
            assert violated(cases, x, y) == expected, text
    assert min(seen.values()) > 1000


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_a_disjunct_becomes_its_negation() -> None:
    (case,) = one_input("(<= Y_0 Y_1)", "(>= (+ Y_0 (* 2 X_0)) 0.1)", "(< Y_1 3)")
    assert (case.lower, case.upper, case.empty) == ((-1,), (1,), False)
    first, second, third = case.rows
    assert (first.x, first.y, first.constant, first.strict) == ({}, {0: 1, 1: -1}, 0, True)
    assert (second.x, second.y, second.constant, second.strict) == ({0: -2}, {0: -1}, Fraction(1, 10), True)
    assert (third.x, third.y, third.constant, third.strict) == ({}, {1: 1}, -3, False)


def test_cases_come_in_the_order_of_the_product() -> None:
    cases = one_input("(or (<= Y_0 1) (<= Y_0 2))", "(>= Y_1 9)", "(or (<= Y_1 3) (and (<= Y_1 4) (<= Y_0 5)))")
    assert [[-row.constant for row in case.rows] for case in cases] == [
        [1, -9, 3], [1, -9, 4, 5], [2, -9, 3], [2, -9, 4, 5]
    ]  # fmt: skip


def test_decimals_are_exact() -> None:
    (case,) = one_input("(<= X_0 0.1)", "(>= X_0 -1.5e-3)")
    assert (case.lower, case.upper) == ((Fraction(-3, 2000),), (Fraction(1, 10),))


def test_bounds_intersect_within_each_case() -> None:
    low, high, empty = one_input("(or (<= X_0 0) (>= X_0 0.5) (>= (* -1 X_0) 2))")
    assert [(case.lower, case.upper, case.empty) for case in (low, high, empty)] == [
        ((-1,), (0,), False), ((Fraction(1, 2),), (1,), False), ((-1,), (-2,), True)
    ]  # fmt: skip


def test_a_strict_bound_excludes_its_boundary_only() -> None:
    cases = one_input("(< X_0 0.5)")
    y = [Fraction(0), Fraction(0)]
    assert [violated(cases, [Fraction(x)], y) for x in (0.25, 0.5, 0.75)] == [True, False, False]


def test_comments_and_layout_do_not_matter() -> None:
    text = (
        "; (assert nonsense\n(set-logic QF_LRA)(declare-fun X_0 () Real)\n\t(declare-const Y_0 Real)"
        '(assert(and(<= X_0\n1);tail | "\n(>= X_0 0)(<= Y_0 0)))'
    )
    (case,) = read_query(text, 1, 1)
    assert (case.lower, case.upper, len(case.rows)) == ((0,), (1,), 1)


BOX = declared(1, 1) + "(assert (<= X_0 1))(assert (>= X_0 0))"
REFUSED = {
    "no bound": (declared(1, 1) + "(assert (<= X_0 1))", "X_0"),
    "no bound in one case": (declared(1, 1) + "(assert (or (<= X_0 1) (and (<= X_0 1) (>= X_0 0))))", "X_0"),
    "undeclared": ("(assert (<= X_0 1))", "line 1.*X_0"),
    "missing declaration": ("(declare-const X_0 Real)(assert (<= X_0 1))(assert (>= X_0 1))", "Y_0"),
    "declared twice": (declared(1, 1) + "(declare-const X_0 Real)", "twice"),
    "too many variables": (declared(1, 2), "1 Y"),
    "padded name": ("(declare-const X_00 Real)", "X_00"),
    "integer sort": ("(declare-const X_0 Int)", "not supported"),
    "product": (BOX + "(assert (<= (* X_0 Y_0) 1))", "linear"),
    "division": (BOX + "(assert (<= (/ Y_0 2) 1))", "not supported"),
    "negation": (BOX + "(assert (not (<= Y_0 1)))", "not supported"),
    "three arguments": (BOX + "(assert (<= 0 Y_0 1))", "not supported"),
    "empty or": (BOX + "(assert (or))", "not supported"),
    "bare formula": (BOX + "(assert true)", "not supported"),
    "two formulas": (BOX + "(assert (<= Y_0 1) (<= Y_0 2))", "not supported"),
    "version 2": ("(vnnlib-version <2.0>)", "vnnlib-version"),
    "scopes": (BOX + "(push 1)", "push"),
    "open parenthesis": (BOX + "(assert (<= Y_0 1)", "never closed"),
    "stray parenthesis": (BOX + ")", "outside"),
    "stray word": ("hello", "outside"),
    "quoted": (BOX + "(set-info :source |(assert|)", "quoted"),
    "underscore in a number": (BOX + "(assert (<= Y_0 1_000))", "1_000"),
    "not a number": (BOX + "(assert (<= Y_0 nan))", "nan"),
    "infinity": (BOX + "(assert (<= Y_0 inf))", "inf"),
    "fraction": (BOX + "(assert (<= Y_0 1/3))", "1/3"),
    "foreign digits": (BOX + "(assert (<= Y_0 \u0663))", "number"),
    "enormous exponent": (BOX + "(assert (<= Y_0 1e999999999))", "1e999999999"),
    "endless number": (BOX + f"(assert (<= Y_0 {'1' * 5000}))", "number"),
    "deep nesting": (BOX + "(assert " + "(and " * 5000, "deeper"),
    "too many cases": (BOX + "(assert (or (<= Y_0 1) (<= Y_0 2)))" * 17, "131072 cases"),
    "too many cases inside": (BOX + "(assert (and " + "(or (<= Y_0 1) (<= Y_0 2))" * 400 + "))", "cases"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refusal(what: str) -> None:
    text, message = REFUSED[what]
    with pytest.raises(CheckError, match=message):
        read_query(text, 1, 1)


def test_all_offenders_are_named_with_their_lines() -> None:
    with pytest.raises(CheckError, match=r"line 2: .*X_7.*line 5: .*Z_0"):
        read_query("(declare-const X_0 Real)\n(declare-const X_7 Real)\n\n\n(assert (<= Z_0 1))", 1, 1)


def test_damaged_queries_raise_nothing_but_check_errors() -> None:
    rng = random.Random(23)
    text = BOX + "(assert (or (and (<= (* 2 Y_0) -1.5e-3) (> X_0 .5)) (= (- Y_0 X_0) 3)))"
    refused = 0
    for _ in range(2000):
        damaged = list(text)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(damaged))
            part = rng.choice(["(", ")", " ", "9", "e", "-", "X_0", "or", ";", "\0", "é"])
            damaged[at : at + rng.randint(0, 2)] = part
        try:
            read_query("".join(damaged), 1, 1)
        except CheckError:
            refused += 1
    assert 500 < refused < 2000


# --- the competition's files -----------------------------------------------------------------------------------------


def queries(shared_dir: Path) -> list[tuple[Path, str, int, int]]:
    """Every query file with its text and its numbers of inputs and outputs."""
    found = []
    for path in sorted((shared_dir / "benchmarks").glob("*/vnnlib/**/*.vnnlib*")):
        if path.is_file():
            raw = path.read_bytes()
            text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
            inputs, outputs = (len(set(re.findall(rf"declare-const {kind}_\d+", text))) for kind in "XY")
            found.append((path, text, inputs, outputs))
    return found


@pytest.mark.shared
@pytest.mark.slow
def test_every_query_of_the_benchmarks_is_read(shared_dir: Path) -> None:
    files = queries(shared_dir)
    assert len(files) > 800
    for path, text, inputs, outputs in files:
        cases = read_query(text, inputs, outputs)
        assert cases, path.name
        assert all(len(case.lower) == len(case.upper) == inputs and not case.empty for case in cases), path.name


def assertions(text: str) -> list[object]:
    """The formulas of a file as nested lists: another way to read it, through JSON."""
    tokens = re.sub(r"[^\s()]+", lambda match: json.dumps(match.group()), re.sub(";.*", "", text))
    listed = re.sub(r'(?<=["\])])(\s*)(?=["\[(])', ",", tokens.replace("(", "[").replace(")", "]"))
    commands = json.loads(f"[{listed}]")
    return [command[1] for command in commands if command[0] == "assert"]


@pytest.mark.shared
def test_cases_of_small_benchmark_files_fail_exactly_where_their_assertions_hold(shared_dir: Path) -> None:
    rng = random.Random(19)
    checked = {True: 0, False: 0}
    for path, text, inputs, outputs in queries(shared_dir):
        if len(text) > 6000 or rng.random() < 0.5:
            continue
        cases, formulas = read_query(text, inputs, outputs), assertions(text)
        numbers = [Fraction(number) for number in re.findall(r"(?<=\s)-?[0-9.e+-]+(?=\))", re.sub(";.*", "", text))]
        for _ in range(12):
            case = rng.choice(cases)
            x = [rng.choice(pair) for pair in zip(case.lower, case.upper)]
            if rng.random() < 0.3:
                x[rng.randrange(inputs)] += rng.choice([-1, 1]) * Fraction(1, 10**9)
            y = [rng.choice(numbers) + rng.choice([-1, 0, 1]) for _ in range(outputs)]
            point = {f"X_{i}": value for i, value in enumerate(x)} | {f"Y_{j}": value for j, value in enumerate(y)}
            expected = all(meaning(formula, point) for formula in formulas)
            checked[expected] += 1
            assert violated(cases, x, y) == expected, path.name
    assert min(checked.values()) > 100
