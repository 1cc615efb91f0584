"""Rule R4: proofs by multipliers worked out by hand, and no bound above what it bounds, whatever the hints are."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.checker.judging import Judge
from tests.checker.phase_words import (
    END,
    certificate,
    chunk,
    frame,
    multiplied,
    phased,
    random_frame,
    random_multiplied,
    split,
    words,
)
from tests.checker.test_rounding import dot, exact, hostile_box, hostile_network, hostile_rows, points
from tests.checker.test_rounding_phases import arguments, enter, sign
from verifier.checker import phases
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes, Rows
from verifier.checker.check import Checker
from verifier.checker.container import Certificate
from verifier.checker.errors import CheckError
from verifier.checker.exact import evaluate
from verifier.checker.multipliers import Lifted
from verifier.checker.network import Affine, Dense, Input, Network, Relu
from verifier.checker.phase_tree import Multiplied, read_phase_tree
from verifier.checker.phases import PhaseProver
from verifier.checker.vnnlib import QueryCase, QueryRow

IDENTITY = Affine(((0, Dense(np.array([[1.0]]))),), np.zeros(1))
RELU = Network((Input(1), IDENTITY, Relu(1)), (1, 1, 1))  # y = max(x, 0)
ON_A, ON_B, ON_CHORD = ([1.0], [0.0], [0.0]), ([0.0], [1.0], [0.0]), ([0.0], [0.0], [1.0])
NONE = ([0.0], [0.0], [0.0])


def question(x: Fraction, y: Fraction, constant: Fraction, low: int = -1, up: int = 1) -> Checker:
    """``x X + y Y + constant > 0`` about y = max(x, 0)."""
    row = QueryRow({0: x}, {0: y}, constant, True)
    return Checker(RELU, (QueryCase(lower=(Fraction(low),), upper=(Fraction(up),), rows=(row,), empty=False),))


def at_root(item: list[int]) -> Certificate:
    return certificate(1, chunk([0], frame([(0, 0)]), item, [END]))


HALF, SMALL = Fraction(1, 2), Fraction(1, 1000)


def test_a_linear_form_by_hand(judge: Judge) -> None:
    """a - x/2 = a/2 + b/2, so a half of each leaves nothing but the constant."""
    halves = multiplied(0, [1], [0], ([0.5], [0.5], [0.0]))
    assert judge(question(-HALF, Fraction(1), SMALL), at_root(halves)).accepted
    assert not judge(question(-HALF, Fraction(1), Fraction(0)), at_root(halves)).accepted
    nothing = multiplied(0, [1], [0], NONE)
    assert not judge(question(-HALF, Fraction(1), SMALL), at_root(nothing)).accepted


def test_the_chord_by_hand(judge: Judge) -> None:
    """On [-1, 1] the chord says a <= (x + 1) / 2, on [-1, 3] that a <= 3 (x + 1) / 4."""
    half = multiplied(0, [1], [0], ([0.0], [0.0], [0.5]))  # of 1 - a - b = 1 - 2 a + x
    assert judge(question(HALF, Fraction(-1), HALF + SMALL), at_root(half)).accepted
    assert not judge(question(HALF, Fraction(-1), HALF - SMALL), at_root(half)).accepted
    quarter = multiplied(0, [1], [0], ([0.0], [0.0], [0.25]))  # of 3 - a - 3 b = 3 - 4 a + 3 x
    wide = question(Fraction(3, 4), Fraction(-1), Fraction(3, 4) + SMALL, up=3)
    assert judge(wide, at_root(quarter)).accepted
    assert not judge(question(Fraction(3, 4), Fraction(-1), Fraction(3, 4) - SMALL, up=3), at_root(quarter)).accepted


def by_squares(slack: float, product: float = -2.0, back: float = 1.0, of_a: float = 0.25) -> list[int]:
    """1 - a - b = (1 - a - b)^2 + a (1 - a) + b (1 - b) - 2 a b, where a (1 - a) = (1 - e^2) / 4."""
    share = slack / 8
    squares = [-0.25 - slack / 2, share, of_a + share]
    return multiplied(0, [1], [0], NONE, ([product], [back], squares))


def test_the_chord_follows_from_squares(judge: Judge) -> None:
    claim = question(Fraction(1), Fraction(-2), 1 + SMALL)
    assert judge(claim, at_root(by_squares(1e-3))).accepted
    assert not judge(question(Fraction(1), Fraction(-2), 1 - SMALL), at_root(by_squares(1e-3))).accepted
    assert not judge(claim, at_root(by_squares(1e-3, product=0.0))).accepted
    assert not judge(claim, at_root(by_squares(1e-3, back=0.0))).accepted
    assert not judge(claim, at_root(by_squares(1e-3, of_a=0.2))).accepted


@pytest.mark.parametrize("squares", [[-1.0, 0.0, 0.0], [-1e20, 1.0, 1.0], [-0.2505, 0.0, 0.25], [-0.25, -0.0, 0.25]])
def test_a_form_whose_diagonal_is_too_small_proves_nothing(judge: Judge, squares: list[float]) -> None:
    item = multiplied(0, [1], [0], NONE, ([-2.0], [1.0], squares))
    assert not judge(question(Fraction(1), Fraction(-2), 1 + SMALL), at_root(item)).accepted


def test_what_no_square_covers_is_paid_for_by_its_size(judge: Judge) -> None:
    """The form of y + 4 is 4.5 + e/2: with a square for nothing it is bounded like a linear one."""
    for constant, accepted in ((4, True), (0, False)):
        claim = question(Fraction(0), Fraction(1), Fraction(constant))
        item = multiplied(0, [1], [0], NONE, ([0.0], [0.0], [-3.5, 0.0, 0.0]))
        assert judge(claim, at_root(item)).accepted == accepted


def test_multipliers_of_splits_count(judge: Judge) -> None:
    """On [-1, 1] with x <= 0 the row is x + 1/1000 less a multiple of -x: never positive without, nor needed with x."""
    claim = question(Fraction(-1), Fraction(0), SMALL)  # -x + 1/1000 > 0 is true where x <= 0 only
    for multiplier, accepted in ((1.0, True), (0.0, False)):
        below = multiplied(0, [1], [], ([], [], []), (), [multiplier])
        tree = chunk([0], frame([(0, 0)]), split(0, 0), below, [END], [END])
        refused = [failure.position for _, _, failure in judge(claim, certificate(1, tree)).failures]
        assert (tree.index(8) not in refused) == accepted
        assert len(tree) - 1 in refused, "x >= 0 has no proof"


@pytest.mark.parametrize("columns", [[1], [0, 0]], ids=["unknown", "twice"])
def test_columns_have_to_exist_and_differ(columns: list[int]) -> None:
    item = multiplied(0, [1], columns, [[0.0] * len(columns)] * 3)
    with pytest.raises(CheckError, match="column"):
        question(HALF, HALF, HALF).check(at_root(item), None)


@pytest.mark.parametrize(
    ("linear", "quadratic"),
    [
        (([-1.0], [0.0], [0.0]), ()),
        (([0.0], [-1e-30], [0.0]), ()),
        (([0.0], [0.0], [np.nan]), ()),
        (([np.inf], [0.0], [0.0]), ()),
        (NONE, ([np.nan], [0.0], [0.0, 0.0, 0.0])),
        (NONE, ([1e31], [0.0], [0.0, 0.0, 0.0])),
        (NONE, ([0.0], [-1.0], [0.0, 0.0, 0.0])),
        (NONE, ([0.0], [0.0], [0.0, -1.0, 0.0])),
        (NONE, ([0.0], [0.0], [0.0, 0.0, -1e-9])),
        (NONE, ([0.0], [0.0], [-np.inf, 0.0, 0.0])),
    ],
)
def test_multipliers_out_of_range_are_refused(linear: list[list[float]], quadratic: list[list[float]]) -> None:
    with pytest.raises(CheckError, match="multiplier"):
        question(HALF, HALF, HALF).check(at_root(multiplied(0, [1], [0], linear, quadratic)), None)


def test_a_form_is_linear_or_quadratic() -> None:
    item = multiplied(0, [1], [0], NONE)
    flag = len(item) - 7
    assert item[flag] == 0
    item[flag] = 2
    with pytest.raises(CheckError, match="linear"):
        question(HALF, HALF, HALF).check(at_root(item), None)


def tree_around(network: Network, rows: int, x: list[Fraction], rng: random.Random) -> list[int]:
    """A path of random splits with the signs at x, random frames on it, and multipliers of any size at its end."""
    neurons, z = phased(network), arguments(network, x)
    path: list[tuple[int, int]] = []
    columns, found = random_frame(rng, network, path)
    behind: list[int] = []
    for layer, i in (rng.choice(neurons) for _ in range(rng.choice((0, 1, 3)) if neurons else 0)):
        enter((layer, i), sign(z[layer][i], rng) > 0, path, found, behind)
        if rng.random() < 0.5:
            columns, more = random_frame(rng, network, path)
            found += more
    item = random_multiplied(rng, 0, rows, network.sizes[0], len(columns), len(path))
    return chunk([0], found, item, [END], behind)


class Kept(Lifted):
    """Keeps every bound for the test that made it."""

    seen: ClassVar[list[float]] = []

    def least(self, rows: Rows) -> float:
        value = super().least(rows)
        self.seen.append(value)
        return value


def combined(network: Network, rows: Rows, weights: NDArray[np.float64], x: list[Fraction]) -> Fraction:
    """The rows, added up with these weights, at an input."""
    y = evaluate(network, x)
    many = range(len(rows.constant))
    values = [dot(rows.x[r], x) + dot(rows.y[r], y) + exact(rows.constant)[r] for r in many]
    return sum((Fraction(w) * v for w, v in zip(weights.tolist(), values, strict=True)), Fraction(0))


def broken(seed: int) -> tuple[int, int]:
    """Of bounds by random multipliers at points of a hostile network: how many exceed the truth, and how many."""
    rng = random.Random(seed)
    network = hostile_network(seed)
    rows, (lower, upper) = hostile_rows(seed, network), hostile_box(seed, network.sizes[0])
    boxes, many = Boxes.of(lower[None], upper[None]), len(rows.constant)
    above = compared = 0
    for x in points(seed, lower, upper)[:3]:
        chunk_words = words(tree_around(network, many, x, rng))
        tree = read_phase_tree(chunk_words, network.sizes[0], network.widths, [many])
        Kept.seen.clear()
        PhaseProver(Bounder(network), tree, [rows], boxes).prove(0, tree.ends)
        [item] = [item for node in tree.nodes for item in node.items if isinstance(item, Multiplied)]
        true = combined(network, rows, item.weights, x)
        finite = [least for least in Kept.seen if np.isfinite(least)]
        above += sum(Fraction(least) > true for least in finite)
        compared += len(finite)
    return above, compared


def test_no_bound_is_above_what_it_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "Lifted", Kept)
    found = [broken(seed) for seed in range(300)]
    assert sum(above for above, _ in found) == 0
    assert sum(compared for _, compared in found) > 300
