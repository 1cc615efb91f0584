"""The triangle's linear program: optima found by hand, a second formulation, duals of all kinds, and phases."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.bounds.relaxed import Crown, Interval
from relaxations.lowering import lower
from relaxations.lp.encoding import Encoded
from relaxations.lp.highs import Solver
from relaxations.lp.phase_program import PhaseProgram
from relaxations.lp.safe_dual import Phases, no_multipliers, phases_of, random_multipliers, safe_dual
from relaxations.lp.triangle import Triangle
from relaxations.maps.linear import dense
from relaxations.multipliers import Multipliers
from relaxations.network import Layer, ReluNetwork
from specs.errors import CertifyError
from specs.graph import ops
from tests.relaxations.queries import exact_optimum, inputs_of, random_queries, random_query
from tests.unit.relaxations.graphs import chain, weight

ROUNDING = 1e-9


def network(*layers: tuple[list[list[float]], list[float]]) -> ReluNetwork:
    """Fully connected, the last layer without a ReLU."""
    made = [Layer(((k, np.array(w, dtype=float)),), np.array(b, dtype=float)) for k, (w, b) in enumerate(layers)]
    return ReluNetwork(len(layers[0][0][0]), tuple(made[:-1]), made[-1])


def asked(
    net: ReluNetwork, low: list[float], up: list[float], *scores: tuple[list[float], list[float], float]
) -> Query:
    """A query of these scores, each linear in the inputs and the outputs and a constant."""
    x, y, constant = (-np.array(part, dtype=float) for part in zip(*scores))
    return Query.over_box(net, Rows(x, y, constant), np.array(low, dtype=float), np.array(up, dtype=float))


ABSOLUTE = network(([[1], [-1]], [0, 0]), ([[1, 1]], [0]))  # |x|
IDENTITY = network(([[1], [-1]], [0, 0]), ([[1, -1]], [0]))  # x
XOR = network(([[1, 1], [1, 1]], [0, -1]), ([[1, -2]], [0]))  # of two bits; s up to s = x1 + x2 = 1, then 2 - s
ONE = network(([[1]], [0]), ([[1]], [0]))

# The adversary's best in the triangles, and in truth. ABSOLUTE: at x = 0 both units may be p q / (p + q), the chords of
# [-p, q]. IDENTITY: there a unit is invented against one that is real. XOR: at s = 1 the second unit may be 1/2.
BY_HAND = {
    "one ReLU": (asked(ONE, [-2], [1], ([-0.5], [1], 0)), 1.0, 1.0),
    "one ReLU and a wish": (asked(ONE, [-2], [1], ([0], [1], 0), ([-1], [0], 0)), 0.5, 0.0),
    "absolute": (asked(ABSOLUTE, [-1], [1], ([0], [1], 0), ([2], [0], 1), ([-2], [0], 1)), 1.0, 1 / 3),
    "absolute, lopsided": (asked(ABSOLUTE, [-3], [1], ([0], [1], 0), ([99], [0], 1.5), ([-99], [0], 1.5)), 1.5, 0.015),
    "identity": (asked(IDENTITY, [-1], [1], ([-1], [1], 0)), 0.5, 0.0),
    "identity, lopsided": (asked(IDENTITY, [-3], [1], ([-1], [1], 0)), 0.75, 0.0),
    "xor": (asked(XOR, [0, 0], [1, 1], ([0, 0], [-1], 0.5), ([1, 1], [0], -0.5), ([-1, -1], [0], 1.5)), 0.5, 0.0),
    "no ReLU": (asked(network(([[2, -1]], [1])), [0, 0], [1, 1], ([0, 0], [1], 0)), 3.0, 3.0),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_optima_found_by_hand(name: str) -> None:
    query, relaxed, true = BY_HAND[name]
    solution = Triangle(query).solve()
    assert solution.value == pytest.approx(relaxed, abs=1e-12)
    assert solution.attained == pytest.approx(relaxed, abs=1e-12)
    assert float(exact_optimum(query)) == pytest.approx(true, abs=1e-12)


def test_bounds_by_lines_and_intervals_found_by_hand() -> None:
    """|x| on [-1, 1]: the intervals of both units are [0, 1], and the two upper lines add up to 1 everywhere."""
    query = asked(ABSOLUTE, [-1], [1], ([0], [1], 0))
    assert Interval(query).solve().value == 2.0
    assert Crown(query).solve().value == 1.0


@pytest.mark.parametrize("seed", range(40))
def test_the_optimum_is_that_of_the_reference(seed: int) -> None:
    pytest.importorskip("cvxpy")
    from relaxations.lp.reference import triangle_by_cvxpy

    query = random_query(seed)
    solution, (optimum, action) = Triangle(query).solve(), triangle_by_cvxpy(query)
    size = 1 + abs(optimum)
    assert solution.value == pytest.approx(optimum, abs=1e-6 * size)
    assert Triangle(query).outside(action) <= 1e-6 * size
    assert Triangle(query).score(action) == pytest.approx(optimum, abs=1e-6 * size)


@pytest.mark.parametrize("seed", range(30))
def test_phases_are_solved_one_after_another_as_each_alone(seed: int) -> None:
    """In the kept program, in a fresh one and in the reference; some of them are empty."""
    pytest.importorskip("cvxpy")
    from relaxations.lp.reference import triangle_by_cvxpy

    query, rng = random_query(seed, neurons=8), np.random.default_rng(seed)
    free = [(k, int(i)) for k in range(len(query.ranges)) for i in query.unstable(k)]
    program = PhaseProgram(query)
    for _ in range(4):
        phases = phases_of(query, [(*neuron, int(rng.integers(-1, 2))) for neuron in free])
        kept, fresh = program.solve(phases), PhaseProgram(query).solve(phases)
        assert kept.safe.value == pytest.approx(fresh.safe.value, abs=1e-7)
        optimum, _ = triangle_by_cvxpy(query, phases)
        assert kept.empty == (optimum == -np.inf)
        if not kept.empty:
            assert kept.safe.value == pytest.approx(optimum, abs=1e-6 * (1 + abs(optimum)))
    assert program.solve().safe.value == pytest.approx(Triangle(query).solve().value, abs=1e-9)


def test_an_empty_region_is_shown_by_weights_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """x >= 0 and x <= -1/2 at once, by either method; where it is x <= 0 there is an action left."""
    net = network(([[1], [-1]], [0, -0.5]), ([[1, 1]], [0]))
    solved = PhaseProgram(asked(net, [-1], [1], ([0], [1], 0))).solve((np.array([1, 1]),))
    assert solved.empty
    assert solved.action is None
    assert not solved.dual.weights.any()
    assert solved.dual.positive[0].min() > 0
    monkeypatch.setattr("relaxations.lp.highs.IPM_NONZEROS", 0)
    assert PhaseProgram(asked(net, [-1], [1], ([0], [1], 0))).solve((np.array([1, 1]),)).empty
    touching = PhaseProgram(asked(ABSOLUTE, [-1], [1], ([0], [1], 0))).solve((np.array([1, 1]),))
    assert not touching.empty
    assert touching.safe.value == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_any_multipliers_bound_what_has_the_phases(seed: int) -> None:
    """Also negative ones, and weights of any sum."""
    query, rng = random_query(seed), np.random.default_rng(seed)
    points = inputs_of(query, rng, 500)
    seen, _ = query.network.preactivations(points)
    scores = query.score(points)
    for _ in range(10):
        at = rng.integers(len(points))
        phases = tuple(
            np.where((l < 0) & (u > 0) & (rng.random(len(l)) < 0.3), np.where(z[at] >= 0, 1, -1), 0)
            for z, (l, u) in zip(seen, query.ranges)
        )
        here = np.all([(z * phase >= 0).all(axis=1) for z, phase in zip(seen, phases)], axis=0)
        some = random_multipliers(query, rng)
        signed = tuple(part - 0.3 * rng.random(len(part)) for part in some.chord)
        dual = replace(some, weights=7 * some.weights, chord=signed)
        bound, best = safe_dual(query, dual, phases).value, scores[here].max()
        assert bound >= best - ROUNDING * (1 + abs(bound) + abs(best))


def lagrangian(query: Query, dual: Multipliers, phases: Phases, x: np.ndarray, free: list[np.ndarray]) -> float:
    """The weighted row less all multiples of what is to hold, at any input and outputs of the unstable neurons."""
    sources, total, outputs = [x[None]], 0.0, []
    for k, layer in enumerate(query.network.layers):
        z, (l, u), unstable = layer.apply(sources)[0], query.ranges[k], query.unstable(k)
        a, phase = np.where(l >= 0, z, 0.0), phases[k][unstable]
        a[unstable] = np.where(phase > 0, z[unstable], np.where(phase < 0, 0.0, free[k]))
        positive, negative = a[unstable], (a - z)[unstable]
        drop, reach = -l[unstable], u[unstable]
        total += dual.positive[k] @ positive + dual.above[k] @ negative
        total += dual.chord[k] @ (reach * drop - drop * positive - reach * negative)
        outputs.append(a)
        sources.append(a[None])
    rows = Point(x, tuple(outputs), tuple(outputs)).margins(query)
    return float(dual.weights @ rows - total)


@pytest.mark.parametrize("seed", range(30))
def test_the_safe_dual_is_the_least_of_the_lagrangian(seed: int) -> None:
    """Which is affine, so that its least over a box is found one coordinate after another."""
    query, rng = random_query(seed), np.random.default_rng(seed)
    unstable = [query.unstable(k) for k in range(len(query.ranges))]
    dual = random_multipliers(query, rng)
    phases = phases_of(query, [(k, int(i), int(rng.integers(-1, 2))) for k, free in enumerate(unstable) for i in free])
    x, free = query.lower.copy(), [np.zeros(len(part)) for part in unstable]
    least = lagrangian(query, dual, phases, x, free)
    ends = [(x, query.upper), *((part, u[here]) for part, (_, u), here in zip(free, query.ranges, unstable))]
    for variable, upper in ends:
        for i in range(len(variable)):
            before = variable[i]
            variable[i] = upper[i]
            moved = lagrangian(query, dual, phases, x, free)
            variable[i], least = (upper[i], moved) if moved < least else (before, least)
    assert -safe_dual(query, dual, phases).value == pytest.approx(least, rel=1e-9, abs=1e-9)


def test_no_multipliers_are_a_bound_by_intervals_of_the_last_layer() -> None:
    """What is left on the outputs is taken at its least: 1 for each unit of |x|."""
    query = asked(ABSOLUTE, [-1], [1], ([0], [1], 0))
    assert safe_dual(query, no_multipliers(query)).value == 2.0


def test_weights_of_zero_that_show_nothing_bound_nothing() -> None:
    query = random_query(3)
    assert safe_dual(query, no_multipliers(query, np.zeros(len(query.rows.constant)))).value == np.inf


@pytest.mark.parametrize("seed", range(20))
def test_actions_of_the_solver_satisfy_what_defines_them(seed: int) -> None:
    """Exactly, up to rounding, and mixtures of them too: the set is convex."""
    query, rng = random_query(seed), np.random.default_rng(seed)
    relaxation = Triangle(query)
    best, real = relaxation.solve().action, Point.real(query, inputs_of(query, rng, 1)[0])
    size = 1 + max(np.abs(z).max() for z in (*best.z, *real.z))
    for share in (0.0, 0.3, 1.0):
        mixed = Point(
            share * best.x + (1 - share) * real.x,
            tuple(share * a + (1 - share) * b for a, b in zip(best.z, real.z)),
            tuple(share * a + (1 - share) * b for a, b in zip(best.a, real.a)),
        )
        assert relaxation.outside(mixed) <= ROUNDING * size
        dual = relaxation.some_dual(rng)
        assert relaxation.bound(dual) >= relaxation.score(mixed) - ROUNDING * (1 + abs(relaxation.bound(dual)))


def test_outside_measures_each_constraint() -> None:
    query = asked(ABSOLUTE, [-1], [1], ([0], [1], 0))
    relaxation = Triangle(query)
    inside = Point(np.zeros(1), (np.zeros(2),), (np.array([0.5, 0.5]),))
    assert relaxation.outside(inside) == 0.0
    assert relaxation.outside(replace(inside, x=np.array([1.25]))) == 1.25
    assert relaxation.outside(replace(inside, z=(np.array([0.0, 0.1]),))) == pytest.approx(0.1)
    assert relaxation.outside(replace(inside, a=(np.array([0.5, 0.75]),))) == pytest.approx(0.25)
    assert relaxation.outside(replace(inside, a=(np.array([-0.25, 0.0]),))) == pytest.approx(0.25)


def test_branches_are_the_invented_neurons() -> None:
    query, _, _ = BY_HAND["identity"]
    relaxation = Triangle(query)
    (branch,) = relaxation.tighten(relaxation.solve().action)
    assert (branch.layer, branch.neuron) == (0, 0)
    assert branch.weight == pytest.approx(0.5)
    assert relaxation.tighten(relaxation.embed(np.array([0.3]))) == []


def test_convolutions_are_encoded_as_the_matrices_they_are() -> None:
    conv = ops.Conv(strides=(1, 1), pads=(1, 1, 1, 1), dilations=(1, 1), group=1)
    graph = chain(
        (1, 1, 4, 4),
        (conv, weight(2, 1, 3, 3)),
        (ops.Relu(),),
        (conv, weight(2, 2, 3, 3)),
        (ops.Relu(),),
        (ops.Reshape((1, 32)),),
        (ops.MatMul(), weight(32, 2)),
    )
    maps = lower(graph)

    def plain(layer: Layer) -> Layer:
        return replace(layer, terms=tuple((s, dense(w)) for s, w in layer.terms))

    matrices = replace(maps, layers=tuple(map(plain, maps.layers)), output=plain(maps.output))
    rows = Rows(np.zeros((2, 16)), np.array([[1.0, -1.0], [0.5, 1.0]]), np.zeros(2))
    low, up = np.full(16, -0.2), np.full(16, 0.2)
    query = Query.over_box(maps, rows, low, up)
    first, second = Triangle(query).solve(), Triangle(replace(query, network=matrices)).solve()
    assert query.count_unstable > 10
    assert first.value == pytest.approx(second.value, abs=1e-9)
    assert abs(first.gap) <= ROUNDING * (1 + abs(first.value))


def test_no_time_is_no_answer() -> None:
    solution = Triangle(random_query(5, inputs=6, neurons=40)).solve(0.0)
    assert solution.value == np.inf
    assert solution.dual is None
    assert not solution.finished


@pytest.mark.parametrize("seed", range(10))
def test_the_interior_point_method_finds_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    query = random_query(seed)
    by_simplex = Triangle(query).solve()
    monkeypatch.setattr("relaxations.lp.highs.IPM_NONZEROS", 0)
    assert Solver(Encoded.of(query).program)._large
    assert Triangle(query).solve().value == pytest.approx(by_simplex.value, abs=1e-6 * (1 + abs(by_simplex.value)))


@pytest.mark.parametrize(("module", "package"), [("highspy", "highspy"), ("cvxpy", "cvxpy")])
def test_a_missing_solver_is_named(module: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from relaxations.lp.reference import triangle_by_cvxpy

    monkeypatch.setitem(sys.modules, module, None)
    query = random_query(0)
    with pytest.raises(CertifyError, match=f"pip install {package}"):
        Triangle(query).solve() if module == "highspy" else triangle_by_cvxpy(query)


def test_the_solver_prints_nothing() -> None:
    code = (
        "from tests.relaxations.queries import random_query; from relaxations.lp.triangle import Triangle;"
        "from relaxations.milp.big_m import BigM; Triangle(random_query(1)).solve(); BigM(random_query(1)).solve()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == run.stderr == ""


def test_declines_signs() -> None:
    query = random_query(0)
    layers = tuple(replace(layer, sign=True) for layer in query.network.layers)
    assert "signs" in Triangle.declines(replace(query, network=replace(query.network, layers=layers)))
    assert all(not Triangle.declines(q) for q in random_queries(3))
