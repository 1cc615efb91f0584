"""Writing a problem as VNN-LIB: read back it is the same, or covers a little more and says so."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import pytest

from specs.errors import SpecError
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import parse_vnnlib, read_vnnlib
from specs.language.vnnlib.writer import write_vnnlib
from specs.problem import Box, Case, Problem, Row, Terms
from tests.unit.specs.language.networks import network
from verifier.checker.vnnlib import read_query


def read_back(problem: Problem) -> Problem:
    return compile_vnnlib(parse_vnnlib(write_vnnlib(problem)), problem.graph)


def random_problem(rng: random.Random) -> Problem:
    def number() -> Fraction:
        return Fraction(rng.randint(-50, 50), rng.choice([1, 2, 5, 8, 1000, 2**30]))

    def terms(size: int, least: int) -> Terms:
        chosen = sorted(rng.sample(range(size), rng.randint(least, size)))
        return tuple((i, rng.choice([Fraction(1), Fraction(-1), number() or Fraction(1)])) for i in chosen)

    def box() -> Box:
        ends = [sorted((number(), number())) for _ in range(2)]
        return Box(tuple(low for low, _ in ends), tuple(up for _, up in ends))

    def row() -> Row:
        return Row(terms(2, 0), terms(3, 1), rng.choice([Fraction(0), number()]), rng.random() < 0.5)

    shared = box() if rng.random() < 0.5 else None
    cases = tuple(
        Case(shared or box(), tuple(dict.fromkeys(row() for _ in range(rng.randint(0, 3)))))
        for _ in range(rng.randint(1, 4))
    )
    return Problem(network(2, 3), cases)


@pytest.mark.parametrize("seed", range(300))
def test_a_problem_of_finite_decimals_reads_back_the_same(seed: int) -> None:
    problem = random_problem(random.Random(seed))
    assert read_back(problem) == problem
    assert "rounded" not in write_vnnlib(problem)


def test_other_bounds_are_rounded_outward_and_the_file_says_so() -> None:
    thirds = Fraction(-1, 3), Fraction(1, 3), Fraction(1, 10**20 * 3)
    problem = Problem(network(3, 1), (Case(Box(thirds, thirds), (Row((), ((0, Fraction(1)),), Fraction(0)),)),))
    (case,) = read_back(problem).cases
    for lower, exact, upper in zip(case.box.lower, thirds, case.box.upper):
        assert lower < exact < upper
        assert upper - lower <= abs(exact) / 2**51
    assert any(line.startswith(";") and "outward" in line for line in write_vnnlib(problem).splitlines())


def test_other_coefficients_are_scaled_and_stay_exact() -> None:
    row = Row(((0, Fraction(1, 3)),), ((0, Fraction(1, 7)),), Fraction(-1, 30), strict=False)
    box = Box((Fraction(0),), (Fraction(1),))
    (case,) = read_back(Problem(network(1, 1), (Case(box, (row,)),))).cases
    (read,) = case.any_of
    assert (read.x[0][1] / row.x[0][1], read.y[0][1] / row.y[0][1], read.constant / row.constant) == (21, 21, 21)
    assert not read.strict


def test_what_nothing_can_violate_is_a_query_of_no_input_at_all() -> None:
    text = write_vnnlib(Problem(network(2, 1), ()))
    (case,) = read_query(text, 2, 1)
    assert (case.empty, case.rows) == (True, ())
    with pytest.raises(SpecError, match=r"describes no point at all"):
        compile_vnnlib(parse_vnnlib(text), network(2, 1))


@pytest.mark.shared
def test_queries_of_the_benchmarks_read_back_the_same(shared_dir: Path) -> None:
    folders = sorted((shared_dir / "benchmarks").glob("*/vnnlib"))
    assert folders
    for folder in folders:
        smallest = min(folder.rglob("*.vnnlib*"), key=lambda path: (path.stat().st_size, path.name))
        query = read_vnnlib(smallest)
        problem = compile_vnnlib(query, network(query.n_inputs, query.n_outputs))
        assert read_back(problem) == problem, smallest
