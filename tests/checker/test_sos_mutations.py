"""Every number of a real proof and of its question changed: what is still accepted is still true."""

from __future__ import annotations

import json
import zipfile
from fractions import Fraction
from io import BytesIO
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cvxpy")

from relaxations.sos.proving import prove_least, refute
from specs.polynomial import Polynomial
from tests.checker.sos_files import archive
from tests.polynomials import bounded, number, problem, square_box, van_der_pol, written, x, y
from verifier.checker.errors import CheckError
from verifier.checker.sos import verdict_on_polynomials
from verifier.checker.sos_format import read_evidence


@pytest.fixture(scope="module")
def region() -> tuple[dict[str, Any], dict[str, Any]]:
    """The region of attraction at 2.304, where the truth is 2.30448: problem.json and proof.json."""
    case = van_der_pol(Fraction("2.304"))
    attempt = refute(case, *square_box(Fraction(7, 2)), 4)
    return parts(written(problem(case, Fraction(7, 2)), [attempt.proof]))


@pytest.fixture(scope="module")
def quartic() -> tuple[dict[str, Any], dict[str, Any]]:
    """The least value of a quartic on [-1, 1]^2."""
    p = x**4 + y**4 - number(2) * x * y + number("1/3") * x
    found = prove_least(bounded(p, 1), 2)
    return parts(written(problem(found.case, 1), [found.proof]))


def parts(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    with zipfile.ZipFile(BytesIO(data)) as file:
        return json.loads(file.read("problem.json")), json.loads(file.read("proof.json"))


def accepted(question: Any, proof: Any) -> bool:
    try:
        return verdict_on_polynomials(read_evidence(archive(question, proof))).accepted
    except CheckError:
        return False


def numbers(value: Any, path: tuple = ()) -> list[tuple]:
    """Paths of all integers and rational texts."""
    if isinstance(value, dict):
        return [p for key in value for p in numbers(value[key], (*path, key))]
    if isinstance(value, list):
        return [p for k, part in enumerate(value) for p in numbers(part, (*path, k))]
    written_number = isinstance(value, str) and value.lstrip("-")[:1].isdigit()
    return [path] if isinstance(value, int) or written_number else []


def changed(value: Any, path: tuple, change: Any) -> Any:
    copy = json.loads(json.dumps(value))
    place = copy
    for key in path[:-1]:
        place = place[key]
    old = place[path[-1]]
    place[path[-1]] = str(change(Fraction(old))) if isinstance(old, str) else int(change(old))
    return copy


CHANGES = [lambda v: -v, lambda v: v + 1, lambda v: v - 1, lambda v: v * 2, lambda v: v * 0]


def values(polynomial: list, grid: np.ndarray) -> np.ndarray:
    terms = Polynomial.of({tuple(map(tuple, m)): Fraction(c) for c, m in polynomial}).terms
    return sum(
        (float(c) * np.prod([grid[k] ** e for k, e in m], axis=0) for m, c in terms.items()), np.zeros(grid[0].shape)
    )


def seems_empty(question: dict[str, Any]) -> bool:
    """No point of a fine grid is clearly inside any case."""
    axes = [np.linspace(float(Fraction(low)), float(Fraction(up)), 301) for low, up in question["box"]]
    grid = np.array(np.meshgrid(*axes, indexing="ij"))
    for case in question["cases"]:
        inside = np.ones(grid[0].shape, dtype=bool)
        for p in (*case["strict"], *case["weak"]):
            inside &= values(p, grid) > 1e-9
        if inside.any():
            return False
    return True


@pytest.mark.parametrize("which", ["region", "quartic"])
def test_changes_of_the_question(which, request):
    question, proof = request.getfixturevalue(which)
    assert accepted(question, proof)
    assert seems_empty(question)
    survivors = 0
    for path in numbers(question):
        for change in CHANGES:
            other = changed(question, path, change)
            if other != question and accepted(other, proof):
                survivors += 1
                assert seems_empty(other), path
    assert survivors < len(numbers(question)), "most changes of a tight question are false or not proved by this"


@pytest.mark.parametrize("which", ["region", "quartic"])
def test_changes_of_the_proof_cannot_prove_something_false(which, request):
    question, proof = request.getfixturevalue(which)
    false = json.loads(json.dumps(question))
    if which == "region":
        (constant,) = [term for term in false["cases"][0]["strict"][1] if term[1] == []]
    else:
        (constant,) = [term for term in false["cases"][0]["strict"][0] if term[1] == []]
    constant[0] = str(Fraction(constant[0]) + Fraction(1, 5))
    assert not seems_empty(false)
    assert not accepted(false, proof)
    for path in numbers(proof):
        for change in CHANGES:
            assert not accepted(false, changed(proof, path, change)), path


def test_the_smallest_change_of_a_tight_identity_is_seen(region):
    question, proof = region
    squares = proof["cases"][0]["squares"]
    for number_, square in enumerate(squares):
        last = len(square["gram"]) - 1
        path = ("cases", 0, "squares", number_, "gram", last, last)
        assert not accepted(question, changed(proof, path, lambda v: v + 1)), "the identity has to hold exactly"
