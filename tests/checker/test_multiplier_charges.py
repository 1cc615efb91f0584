"""What each charge of rule R4 pays for, one at a time, where nothing else does."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.checker.judging import Judge
from tests.checker.phase_words import END, OPEN, Cut, certificate, chunk, frame, multiplied, split, words, zonotope
from tests.checker.test_multipliers import IDENTITY, NONE, RELU, question
from tests.checker.test_rounding import HALF_ULP, exact
from verifier.checker import multipliers
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes, Rows
from verifier.checker.check import Checker
from verifier.checker.container import Certificate
from verifier.checker.lines import U
from verifier.checker.multipliers import Lifted
from verifier.checker.network import Affine, Dense, Input, Network, Relu
from verifier.checker.phase_tree import Multiplied, read_phase_tree
from verifier.checker.phases import PhaseProver
from verifier.checker.vnnlib import QueryCase, QueryRow

S = 1e-3


def nameless(bias: float) -> Network:
    """y = max(max(x, 0) + bias, 0): on [-1, 1] the first ReLU, without a column, is x/2 + 1/4 -+ 1/4."""
    one = Dense(np.array([[1.0]]))
    nodes = (Input(1), IDENTITY, Relu(1), Affine(((2, one),), np.array([bias])), Relu(3))
    return Network(nodes, (1,) * 5)


def at_most(network: Network, d: Fraction) -> Checker:
    """d - y > 0 on [-1, 1]."""
    row = QueryRow({}, {0: Fraction(-1)}, d, True)
    return Checker(network, (QueryCase(lower=(Fraction(-1),), upper=(Fraction(1),), rows=(row,), empty=False),))


def second(item: list[int]) -> Certificate:
    return certificate(1, chunk([0], frame([(1, 0)]), item, [END]))


def test_what_a_nameless_symbol_hides_is_charged_to_b(judge: Judge) -> None:
    """The chord 3/16 - a + 3 z / 4 of z = x/2 -+ 1/4; without the 1/4 the bound would be d - 9/16. y(1) is 3/4."""
    item = multiplied(0, [1], [0], ([0.0], [0.0], [1.0]))
    assert not judge(at_most(nameless(-0.25), Fraction(5, 8)), second(item)).accepted
    assert judge(at_most(nameless(-0.25), Fraction(3, 4) + Fraction(1, 1000)), second(item)).accepted


def test_what_a_nameless_symbol_hides_is_charged_to_a_b(judge: Judge) -> None:
    """5/8 - a + 2 a (a - x/2) = 1/8 + 2 (a - 1/4 - x/4)^2 + (1 - x)^2 / 8 + (1 - x^2) / 4, if only b were a - x/2."""
    item = multiplied(0, [1], [0], NONE, ([-2.0], [0.0], [-0.375 + S, 0.25 + S, S]))
    assert not judge(at_most(nameless(-0.25), Fraction(5, 8)), second(item)).accepted


def test_what_a_nameless_symbol_hides_is_charged_to_b_b(judge: Judge) -> None:
    """7/8 - a + 4 (a - x/2 - 1/4)^2 >= 1/16 + (1 - x^2) / 4 + ..., where in truth b = 0 and y is 1 at x = 1; L is 0."""
    item = multiplied(0, [1], [0], NONE, ([0.0], [4.0], [-0.3125 + S, 0.25 + S, S]))
    assert not judge(at_most(nameless(0.0), Fraction(7, 8)), second(item)).accepted


def test_sums_of_multiplied_forms_that_round_away_are_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 - a_0 - e - e - ...: a_0 is 1, every e is lost beside it. All forms are exact, so gamma of the network is 0."""
    count = 2000
    bias = np.full(count, HALF_ULP / 16)
    bias[0] = 1.0
    nodes = (Input(1), Affine(((0, Dense(np.zeros((count, 1)))),), bias), Relu(1))
    network, boxes = Network(nodes, (1, count, count)), Boxes.of(np.zeros((1, 1)), np.zeros((1, 1)))
    bounder = Bounder(network)
    bounder.gamma = 0.0
    columns = np.stack([np.zeros(count, dtype=np.int64), np.arange(count)], axis=1)
    none, ones = np.zeros(count), np.ones(count)
    squares = np.zeros(2 + count)
    item = Multiplied(
        0, 0, np.ones(1), np.zeros(0), np.arange(count), ones, none, none, False, none, none, 0.0, squares
    )
    with np.errstate(all="ignore"):
        relaxation = bounder.relax(boxes, lambda *_: None)
        lifted = Lifted(bounder, boxes, relaxation.ranges, relaxation.sizes, columns, (), item)
        order = lifted.zonotope.symbols
        lifted.zonotope.combined = lambda *_: (np.zeros((1, order)), np.ones(1), np.zeros(1))
        least = lifted.least(Rows(np.zeros((1, 1)), np.zeros((1, count)), np.ones(1)))
    true = 1 - sum(exact(lifted.zonotope.center)) - sum(exact(lifted.zonotope.half))
    assert Fraction(least) <= true


def least_by(matrix: np.ndarray, squares: np.ndarray, root: np.ndarray) -> Fraction:
    n = len(matrix)
    used = [i for i in range(n) if i == 0 or squares[i]]
    m = [exact(row) for row in matrix]
    for i in used:
        m[i][i] += Fraction(float(squares[i]))
    r = [exact(row) for row in root]
    for p, i in enumerate(used):
        for q, j in enumerate(used):
            m[i][j] -= sum((a * b for a, b in zip(r[p], r[q])), Fraction(0))
    return -sum(exact(squares), Fraction(0)) - sum((abs(v) for row in m for v in row), Fraction(0))


@pytest.mark.parametrize("seed", range(40))
def test_the_residual_against_fractions(seed: int) -> None:
    """Never above what its R proves, and below it by what rounding R R' may cost."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    half = rng.normal(size=(n, n)) * 10.0 ** rng.uniform(-3, 3, (n, 1)) / 3
    squares = np.abs(rng.normal(size=n)) * (rng.random(n) < 0.8)
    inner = half @ half.T
    matrix = inner - np.diag(squares) * rng.choice([0.0, 1.0, 1 - 1e-9])
    matrix = np.tril(matrix) + np.tril(matrix, -1).T
    used = np.union1d([0], np.flatnonzero(squares)).astype(int)
    squares[0] *= rng.choice([-1, 1])
    try:
        root = np.linalg.cholesky(matrix[np.ix_(used, used)] + np.diag(squares[used]))
    except np.linalg.LinAlgError:
        assert multipliers._least(matrix, squares, 0.0) == -np.inf
        return
    gamma = 8 * (2 * n + 64) * U
    found, whole = multipliers._least(matrix, squares, gamma), least_by(matrix, squares, root)
    column = np.abs(root).sum(axis=0)
    assert Fraction(found) <= whole - Fraction(0.5 * gamma * (column @ column))


def test_squares_that_cancel_leave_their_rounding_behind() -> None:
    squares = np.full(128, HALF_ULP)
    squares[1:8], squares[0] = 1.0, -7.0
    matrix = np.diag(-squares * (1 - 2.0**-20))
    matrix[0, 0] = 7.0 + 2.0**-20
    root = np.linalg.cholesky(matrix + np.diag(squares))
    assert Fraction(multipliers._least(matrix, squares, 8 * (2 * 128 + 64) * U)) <= least_by(matrix, squares, root)


@pytest.mark.parametrize("parts", range(1, 6))
def test_every_item_is_checked_by_exactly_one_job(parts: int) -> None:
    false = multiplied(0, [0], [], ([], [], []))

    def below(splits: int) -> list[int]:
        return multiplied(0, [0], [], ([], [], []), (), [0.0] * splits)

    cut = zonotope(0, [0], [0], Cut(0, (0.0, 0.0), OPEN, OPEN))
    inner = [*split(0, 0), *below(2), END, *below(2), END]
    tree = chunk(
        [0], frame([(0, 0)]), false, cut, false, split(0, 0),
        below(1), [END], below(1), [END], below(1), inner, below(1), [END],
    )  # fmt: skip
    network, boxes = RELU, Boxes.of(-np.ones((1, 1)), np.ones((1, 1)))
    phases = read_phase_tree(words(tree), 1, [1], [1])
    rows = Rows(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1))
    expected = sorted(i.position for node in phases.nodes for i in node.items if isinstance(i, Multiplied))
    refused: list[int] = []
    for part in range(parts):
        first, last = (phases.ends * p // parts for p in (part, part + 1))
        refused += PhaseProver(Bounder(network), phases, [rows], boxes).prove(first, last)
    assert len(expected) == 8
    assert sorted(p for p in refused if p in expected) == expected


def test_items_of_several_cases_take_their_own_rows(judge: Judge) -> None:
    def case(*constants: int) -> QueryCase:
        rows = tuple(QueryRow({}, {}, Fraction(constant), True) for constant in constants)
        return QueryCase(lower=(Fraction(-1),), upper=(Fraction(1),), rows=rows, empty=False)

    true, false = case(1), case(-1, -2)
    one, two = multiplied(0, [1], [], ([], [], [])), multiplied(1, [1, 1], [], ([], [], []))
    checker = Checker(RELU, (true, false))
    failures = judge(checker, certificate(2, chunk([0, 1], one, two, [END]))).failures
    assert {f.position for _, _, f in failures} == {2 + 1 + len(one)}


def of_first(item: list[int]) -> Certificate:
    return certificate(1, chunk([0], frame([(0, 0)]), item, [END]))


@pytest.mark.parametrize(
    ("low", "up", "x", "constant", "item"),
    [
        # x + 7/2 - a + t b (b - 3) with t = 1/3 would be 1/2 + (b - 3)^2 / 3; L is 4, U is 3.
        (-4, 3, 1, Fraction(7, 2), multiplied(0, [1], [0], ([1.0], [0.0], [0.0]), ([0.0], [1 / 3], [-0.5 + S, S, S]))),
        # x < 0: with U = u the chord would be -(4 - b), and -x - 2 less it would be 2.
        (-4, -1, -1, Fraction(-2), multiplied(0, [1], [0], ([0.0], [0.0], [1.0]))),
        # x > 0: with L = -l the chord would be a - 4 - 4 b, and x - 2 = a - b - 2 less it and 3 b would be 2.
        (1, 4, 1, Fraction(-2), multiplied(0, [1], [0], ([0.0], [3.0], [1.0]))),
    ],
)
def test_ends_of_different_size_and_of_one_sign(
    judge: Judge, low: int, up: int, x: int, constant: Fraction, item: list[int]
) -> None:
    assert not judge(question(Fraction(x), Fraction(0), constant, low, up), of_first(item)).accepted


def test_items_take_no_room_for_numbers_that_are_not_in_the_file() -> None:
    """A dozen bytes of a linear item, however many inputs there are."""
    item = multiplied(0, [1], [], ([], [], []))
    tree = read_phase_tree(words(chunk([0], *[item] * 1000, [END])), 10**6, [1], [1])
    held = [part for part in tree.nodes[0].items if isinstance(part, Multiplied)]
    assert len(held) == 1000
    assert all(part.squares.strides == (0,) for part in held)
