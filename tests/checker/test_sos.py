"""What the checker proves about polynomials, against mathematics and against other code."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specs.polynomial import Polynomial as Stated
from tests.checker.sos_files import archive, below_zero, packed, square_proof
from verifier.checker.errors import CheckError
from verifier.checker.sos import verdict_on_polynomials
from verifier.checker.sos_format import read_evidence
from verifier.checker.sos_polynomial import (
    BITS,
    Polynomial,
    Work,
    exponents,
    is_semidefinite,
    product,
    substituted,
    total,
)

RATIONALS = st.fractions(min_value=-5, max_value=5, max_denominator=12)
MONOMIALS = st.dictionaries(st.integers(0, 3), st.integers(1, 3), max_size=3).map(lambda d: tuple(sorted(d.items())))
POLYNOMIALS = st.dictionaries(MONOMIALS, RATIONALS, max_size=6).map(Stated.of)


def in_checker(p: Stated) -> Polynomial:
    return Polynomial.of({sum(e << (BITS * k) for k, e in m): c for m, c in p.terms.items()}, p.degree)


def out_of_checker(p: Polynomial) -> dict:
    return {tuple(exponents(m, Work())): c for m, c in p.coefficients().items()}


@given(POLYNOMIALS, POLYNOMIALS)
def test_arithmetic_agrees_with_the_other_implementation(p, q):
    work = Work()
    assert out_of_checker(product(in_checker(p), in_checker(q), work)) == dict((p * q).terms)
    assert out_of_checker(total([in_checker(p), in_checker(q)], work)) == dict((p + q).terms)


@given(POLYNOMIALS, st.lists(RATIONALS, min_size=4, max_size=4), st.lists(RATIONALS, min_size=4, max_size=4))
@settings(max_examples=50)
def test_substitution_is_evaluation_at_the_mapped_point(p, centre, t):
    scale = [Fraction(k + 1, 2) for k in range(4)]
    found = substituted(in_checker(p), centre, scale, Work())
    mapped = Stated.of(out_of_checker(found))
    assert mapped.at(t) == p.at([c + s * v for c, s, v in zip(centre, scale, t)])


def determinant(rows: list[list[int]]) -> int:
    if not rows:
        return 1
    return sum(
        (-1) ** j * rows[0][j] * determinant([row[:j] + row[j + 1 :] for row in rows[1:]]) for j in range(len(rows))
    )


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(st.integers(-3, 3), min_size=n, max_size=n), min_size=n, max_size=n)
    ),
    st.integers(0, 2),
)
@settings(max_examples=300)
def test_semidefinite_exactly_if_no_principal_minor_is_negative(rows, kind):
    size = len(rows)
    if kind == 0:  # a Gram matrix, often singular
        full = [[sum(a * b for a, b in zip(rows[i], rows[j])) for j in range(size)] for i in range(size)]
    else:
        full = [[rows[max(i, j)][min(i, j)] for j in range(size)] for i in range(size)]
    chosen = [c for k in range(1, size + 1) for c in combinations(range(size), k)]
    expected = all(determinant([[full[i][j] for j in c] for i in c]) >= 0 for c in chosen)
    lower = [row[: i + 1] for i, row in enumerate(full)]
    assert is_semidefinite(lower, Work()) == expected
    assert not (kind == 0 and not expected)


def test_a_gram_matrix_short_of_semidefinite_by_1e_minus_30_is_rejected():
    unit = 10**30
    above = archive(below_zero(f"1/{unit}"), square_proof([[unit + 1], [-unit, unit]], unit))
    assert verdict_on_polynomials(read_evidence(above)).accepted
    below = archive(below_zero(f"-1/{unit}"), square_proof([[unit - 1], [-unit, unit]], unit))
    verdict = verdict_on_polynomials(read_evidence(below))
    assert not verdict.accepted
    assert "semidefinite" in verdict.reason


@pytest.mark.parametrize(("box", "level", "true"), [(("-1", "1"), "1", True), (("-1", "1"), "999/1000", False)])
def test_what_an_identity_leaves_is_judged_by_the_box(box, level, true):
    # x - level > 0 nowhere on [-1, 1]: no squares at all, R = x - level <= 1 - level.
    problem = {
        "variables": ["x"],
        "box": [list(box)],
        "cases": [{"strict": [[["1", [[0, 1]]], [f"-{level}", []]]], "weak": [], "zero": []}],
    }
    proof = {"centre": ["0"], "scale": ["1"], "positive": [["1", [0]]], "squares": [], "multipliers": []}
    for centre, scale in (("0", "1"), ("0", "1/3"), ("0", "7")):
        changed = {**proof, "centre": [centre], "scale": [scale]}
        assert verdict_on_polynomials(read_evidence(archive(problem, {"cases": [changed]}))).accepted == true


def test_strict_weak_and_equal_conditions_each_do_what_they_say():
    # x > 0, x = 0 is empty; x >= 0, x = 0 is not.
    proof = {
        "centre": ["0"],
        "scale": ["1"],
        "positive": [["1", [0]]],
        "squares": [],
        "multipliers": [[0, [["-1", []]]]],
    }
    line = [["1", [[0, 1]]]]
    case = {"strict": [line], "weak": [], "zero": [line]}
    problem = {"variables": ["x"], "box": [["-1", "1"]], "cases": [case]}
    assert verdict_on_polynomials(read_evidence(archive(problem, {"cases": [proof]}))).accepted
    problem["cases"] = [{"strict": [], "weak": [line], "zero": [line]}]
    weak = {**proof, "positive": [["1", []]]}
    assert not verdict_on_polynomials(read_evidence(archive(problem, {"cases": [weak]}))).accepted


def witness(point: list[str], case: int = 0) -> bytes:
    """The claim that a point is in a case: x > 1/2, y <= 1, x + y = 1 on [0, 1]^2."""
    x, y = [[0, 1]], [[1, 1]]
    conditions = {
        "strict": [[["1", x], ["-1/2", []]]],
        "weak": [[["1", []], ["-1", y]]],
        "zero": [[["1", x], ["1", y], ["-1", []]]],
    }
    problem = {"variables": ["x", "y"], "box": [["0", "1"], ["0", "1"]], "cases": [conditions]}
    data = json.dumps(problem).encode()
    manifest = {
        "format": "nnsoswitness",
        "version": 1,
        "semantics": "real",
        "problem": hashlib.sha256(data).hexdigest(),
        "question": {"requirement": "r", "parameters": {}},
        "case": case,
        "x": point,
        "claim": "",
        "producer": {},
    }
    return packed({"manifest.json": json.dumps(manifest).encode(), "problem.json": data})


@pytest.mark.parametrize(
    ("point", "inside"),
    [
        (["2/3", "1/3"], True),
        (["1", "0"], True),
        (["1/2", "1/2"], False),
        (["2/3", "1/2"], False),
        (["3/2", "-1/2"], False),
        ([f"{10**30 + 2}/{2 * 10**30}", f"{10**30 - 2}/{2 * 10**30}"], True),
        ([f"{10**30 + 2}/{2 * 10**30}", f"{10**30 - 1}/{2 * 10**30}"], False),
    ],
)
def test_a_point_is_judged_exactly(point, inside):
    assert verdict_on_polynomials(read_evidence(witness(point))).accepted == inside


@pytest.mark.parametrize("point", [["1"], ["1", "0", "0"], ["0.5", "0.5"], [1, 0], "10"])
def test_points_that_are_none_are_refused(point):
    with pytest.raises(CheckError):
        read_evidence(witness(point))
    with pytest.raises(CheckError):
        read_evidence(witness(["1", "0"], case=1))


def test_a_product_of_too_many_terms_is_refused_and_every_term_of_a_rest_is_charged():
    left = Polynomial({(i << BITS) | j: 1 for i in range(30) for j in range(30)}, 1, 58)
    right = Polynomial({((i << BITS) | j) << (2 * BITS): 1 for i in range(30) for j in range(30)}, 1, 58)
    with pytest.raises(CheckError, match="500000 terms"):
        product(left, right, Work())
    x = [["1", [[0, e]]] for e in range(1, 60)]
    problem = {"variables": ["x"], "box": [["-1", "1"]], "cases": [{"strict": [x], "weak": [], "zero": []}]}
    proof = {"centre": ["0"], "scale": ["1"], "positive": [["1", []]], "squares": [], "multipliers": []}
    used = []
    for chosen in ([], [0]):
        work = Work()
        proof["positive"] = [["1", chosen]]
        assert not verdict_on_polynomials(read_evidence(archive(problem, {"cases": [proof]})), work).accepted
        used.append(work.left)
    assert used[0] - used[1] > 59 * 10, "what is summed up term by term costs at least ten operations each"
