"""Limits in floating point against the exact sets that only their members may pass, at the floats beside the bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.compose import Composer
from specs.graph import ops
from specs.guards import EmptyGuard, Limits, guard_graph, limits_of
from specs.guards.limits import Arithmetic
from specs.language.expressions.dnf import Atom
from specs.loading.onnx_writer import write_onnx
from specs.problem import Ball
from tests.unit.specs.compose.modules import random_dense

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
Total = Callable[[np.ndarray], np.floating]
TOTALS: list[Total] = [
    lambda terms: terms.sum(),
    lambda terms: np.add.reduce([*terms[::-1]]),
    lambda terms: terms.dtype.type(terms.astype(np.float64).sum()),  # wider inside, rounded once
]


def atom(terms: Sequence[tuple[int, Fraction]], constant: Fraction, strict: bool = False) -> Atom:
    return Atom(tuple(terms), (), constant, strict, -1)


def holds(one: Atom, x: Sequence[float]) -> bool:
    value = one.constant + sum((a * Fraction(float(x[i])) for i, a in one.x), Fraction(0))
    return value < 0 if one.strict else value <= 0


@given(st.fractions(-1000, 1000), st.booleans(), st.sampled_from([SINGLE, DOUBLE]))
def test_a_bound_is_the_last_float_inside(value: Fraction, strict: bool, dtype: np.dtype) -> None:
    near = Arithmetic(dtype)
    below, above = (dtype.type(side(value, strict)) for side in (near.below, near.above))

    def inside(number: np.floating, sign: int) -> bool:
        gap = sign * (value - Fraction(float(number)))
        return gap > 0 if strict else gap >= 0

    assert inside(below, 1)
    assert not inside(np.nextafter(below, dtype.type(np.inf)), 1)
    assert inside(above, -1)
    assert not inside(np.nextafter(above, dtype.type(-np.inf)), -1)


def test_bounds_beyond_all_floats_are_those_of_finite_ones() -> None:
    limits = limits_of([None, Fraction(-(10**60))], [Fraction(10**60), None], (), None, SINGLE)
    most = float(np.finfo(SINGLE).max)
    assert limits.lower == (-most, -most)
    assert limits.upper == (most, most)
    with pytest.raises(EmptyGuard):
        limits_of([Fraction(10**60)], [None], (), None, SINGLE)


def test_conditions_on_one_element_are_bounds_and_strict_ones_leave_the_end_out() -> None:
    one = Fraction(1)
    atoms = [atom([(0, one)], -one, strict=True), atom([(0, -one)], Fraction(0)), atom([(0, 2 * one)], Fraction(-2))]
    limits = limits_of([None], [Fraction(3)], atoms, None, SINGLE)
    assert (limits.lower, limits.upper) == ((0.0,), (float(np.nextafter(np.float32(1), np.float32(0))),))
    assert limits.is_exact


def test_a_set_between_two_floats_is_refused() -> None:
    with pytest.raises(EmptyGuard, match="no float32 number"):
        limits_of([Fraction(1, 10)], [Fraction(1, 10)], (), None, SINGLE)


def passes(limits: Limits, x: np.ndarray, total: Total = TOTALS[0]) -> bool:
    """What a runtime computes, with sums in an order and a precision of its own."""
    kind = limits.arithmetic.dtype.type
    ok = bool((np.array(limits.lower, kind) <= x).all() and (x <= np.array(limits.upper, kind)).all())
    for i, j, strict in limits.orders:
        ok = ok and bool(x[i] < x[j] if strict else x[i] <= x[j])
    for one in limits.sums:
        ok = ok and bool(total(x[list(one.places)] * np.array(one.coefficients, kind)) <= kind(one.limit))
    if limits.ball is not None:
        powers = np.abs(x - np.array(limits.ball.center, kind)) ** limits.ball.norm
        powers = powers * np.array(limits.ball.weights, kind) if limits.ball.weights else powers
        ok = ok and bool(total(powers) <= kind(limits.ball.limit))
    return ok


def test_coefficients_that_are_no_ordinary_floats() -> None:
    """Too large ones are refused; subnormal ones, which a runtime may take for zeros, are paid for as zeros."""
    lower, upper = [Fraction(-1), Fraction(-(10**37))], [Fraction(1), Fraction(10**37)]
    for huge in (Fraction(10**39), Fraction(10**400)):
        with pytest.raises(EmptyGuard, match="larger than any float32 number"):
            limits_of(lower, upper, [atom([(0, huge), (1, Fraction(1))], Fraction(-3))], None, SINGLE)
    small = atom([(0, Fraction(1)), (1, Fraction(1, 10**38))], Fraction(-1, 2))
    (test,) = limits_of(lower, upper, [small], None, SINGLE).sums
    assert test.coefficients == (1.0, 0.0)
    assert test.limit < 0.4
    ball = Ball((Fraction(0),) * 2, (Fraction(1), Fraction(1, 10**38)), Fraction(1))
    with pytest.raises(EmptyGuard, match="weights of a ball are too different"):
        limits_of([Fraction(-1)] * 2, [Fraction(1)] * 2, (), ball, SINGLE)


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
def test_what_passes_a_sum_fulfils_the_condition_however_it_is_added_up(dtype: np.dtype) -> None:
    """Points are moved to within a few floats of the boundary, where all that a runtime rounds is decisive."""
    rng = np.random.default_rng(1)
    passed = failed = narrow = 0
    for _ in range(60):
        n = int(rng.integers(2, 8))
        numerators = rng.integers(1, 99, n) * rng.choice([-1, 1], n)
        a = [Fraction(int(v), int(w)) for v, w in zip(numerators, rng.integers(1, 99, n))]
        one = atom(list(enumerate(a)), Fraction(int(rng.integers(-50, 50)), 7), bool(rng.integers(2)))
        try:
            limits = limits_of([Fraction(-3)] * n, [Fraction(3)] * n, [one], None, dtype)
        except EmptyGuard:
            continue
        for _ in range(40):
            x = rng.uniform(-3, 3, n).astype(dtype)
            value = one.constant + sum((c * Fraction(float(v)) for c, v in zip(a, x)), Fraction(0))
            x[-1] = dtype.type(float(Fraction(float(x[-1])) - value / a[-1]))
            for _ in range(int(rng.integers(0, 40))):
                x[-1] = np.nextafter(x[-1], dtype.type(rng.choice([-np.inf, np.inf])))
            for total in TOTALS:
                accepted = passes(limits, x, total)
                assert not accepted or holds(one, x)
                passed, failed = passed + accepted, failed + (not accepted)
            x[-1] -= dtype.type(0.001) * dtype.type(np.sign(float(a[-1])))
            if abs(x[-1]) <= 3 and abs(a[-1]) > Fraction(1, 20):
                narrow += 1
                assert passes(limits, x), "a point with some room is refused"
    assert failed > 1000
    assert narrow > 200


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("norm", [1, 2])
def test_what_passes_a_ball_lies_in_it(dtype: np.dtype, weighted: bool, norm: int) -> None:
    rng = np.random.default_rng(2)
    near = inside = 0
    for _ in range(40):
        n = int(rng.integers(1, 9))
        center = [Fraction(int(v), 77) for v in rng.integers(-200, 200, n)]
        weights = [Fraction(int(v), 9) if weighted else Fraction(3) for v in rng.integers(1, 40, n)]
        ball = Ball(tuple(center), tuple(weights), Fraction(int(rng.integers(1, 90)), 13), norm)
        reach = [Fraction(float(ball.bound / w) ** (1 / norm) * 1.01) for w in weights]
        box = [c - r for c, r in zip(center, reach)], [c + r for c, r in zip(center, reach)]
        limits = limits_of(*box, (), ball, dtype)
        for _ in range(40):
            ray = rng.normal(size=n)
            spent = sum(float(w) * abs(r) ** norm for w, r in zip(weights, ray))
            scale = (float(ball.bound) / spent) ** (1 / norm)
            shrink = 1 + float(rng.integers(-60, 60)) * float(np.finfo(dtype).eps) / 4
            x = np.array([float(c) + scale * shrink * r for c, r in zip(center, ray)]).astype(dtype)
            for total in TOTALS:
                assert not passes(limits, x, total) or ball.holds([Fraction(float(v)) for v in x])
            near += 1
            x = np.array([float(c) + 0.999 * scale * r for c, r in zip(center, ray)]).astype(dtype)
            assert passes(limits, x)
            inside += 1
    assert near == inside == 1600


def test_comparing_two_elements_rounds_nothing() -> None:
    a = Fraction(7, 3)
    limits = limits_of([Fraction(0)] * 3, [Fraction(1)] * 3, [atom([(0, a), (2, -a)], Fraction(0))], None, SINGLE)
    assert limits.orders == ((0, 2, False),)
    assert limits.is_exact
    equal = [atom([(0, a), (1, -a)], Fraction(0)), atom([(0, -a), (1, a)], Fraction(0))]
    limits = limits_of([Fraction(0)] * 2, [Fraction(1)] * 2, equal, None, SINGLE)
    x = np.array([0.3, 0.3], np.float32)
    assert passes(limits, x)
    assert not passes(limits, np.array([x[0], np.nextafter(x[0], np.float32(1))]))


def test_what_rounding_cannot_be_paid_for_is_refused() -> None:
    one, box = Fraction(1), ([Fraction(0)] * 2, [Fraction(1)] * 2)
    equation = [atom([(0, one), (1, one)], -one), atom([(0, -one), (1, -one)], one)]
    with pytest.raises(EmptyGuard, match="equation"):
        limits_of(*box, equation, None, SINGLE)
    with pytest.raises(EmptyGuard, match="no bounds"):
        limits_of([None, Fraction(0)], [None, one], [equation[0]], None, SINGLE)
    with pytest.raises(EmptyGuard, match="less room than rounding"):
        limits_of(*box, [atom([(0, one), (1, one)], Fraction(0))], None, SINGLE)
    with pytest.raises(EmptyGuard, match="smaller than what rounding takes"):
        limits_of(*box, (), Ball((Fraction(1, 3),) * 2, (one, one), Fraction(1, 10**20)), SINGLE)
    far = [Fraction(10**38)] * 2
    with pytest.raises(EmptyGuard, match="larger than any"):
        limits_of([-v for v in far], far, [equation[0]], None, SINGLE)


@pytest.mark.peer
@pytest.mark.parametrize("shape", [(2,), (1, 2), (1, 2, 1)], ids=str)
def test_a_network_of_float64_is_guarded_in_float64(shape: tuple[int, ...]) -> None:
    """Its bound is a float64 number, beside which a float32 one would give up many; outputs may have any shape."""
    ort = pytest.importorskip("onnxruntime")
    composer = Composer()
    x = composer.input("x", shape)
    y = composer.add(ops.Mul(), x, composer.constant(np.array([1 / 3])), name="y")
    limits = limits_of([Fraction(0)] * 2, [Fraction(7, 10)] * 2, (), None, DOUBLE)
    session = ort.InferenceSession(
        write_onnx(guard_graph(composer.build([x], [y]), limits)), providers=["CPUExecutionProvider"]
    )
    assert session.get_inputs()[0].type == "tensor(double)"
    last = 0.7 if Fraction(0.7) <= Fraction(7, 10) else np.nextafter(0.7, 0)
    for value, inside in ((last, True), (np.nextafter(last, 1), False), (-5e-324, False), (0.0, True)):
        answer, accept = session.run(None, {"x": np.array([value, 0.5]).reshape(shape)})
        assert bool(accept[0]) == inside
        assert answer.shape == shape
        assert np.isnan(answer).all() != inside


def test_an_output_that_is_no_real_number_is_refused() -> None:
    composer = Composer()
    x = composer.input("x", (2,))
    graph = composer.build([x], [composer.add(ops.Less(), x, composer.constant(np.zeros(2, np.float32)))])
    with pytest.raises(EmptyGuard, match="no real number"):
        guard_graph(graph, limits_of([Fraction(0)] * 2, [Fraction(1)] * 2, (), None, SINGLE))


@pytest.mark.peer
def test_the_runtime_accepts_members_only_and_marks_the_rest() -> None:
    """Every test at once, with the points beside each boundary, NaN and infinity; answers inside are the model's."""
    ort = pytest.importorskip("onnxruntime")
    graph = random_dense(np.random.default_rng(4), 3, 6, 5, 2)
    third, one = Fraction(1, 3), Fraction(1)
    atoms = [atom([(0, one), (1, third)], Fraction(-11, 10)), atom([(1, one), (2, -one)], Fraction(0), strict=True)]
    ball = Ball((Fraction(1, 10),) * 3, (one, 2 * one, one), Fraction(3, 4))
    lower, upper = [Fraction(-1, 10)] * 3, [Fraction(7, 10)] * 3
    limits = limits_of(lower, upper, atoms, ball, SINGLE)
    guarded = guard_graph(graph, limits)
    session = ort.InferenceSession(write_onnx(guarded), providers=["CPUExecutionProvider"])
    plain = ort.InferenceSession(write_onnx(graph), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert names == [*graph.outputs, "accept"]

    def run(x: np.ndarray) -> bool:
        y, accept = session.run(None, {"x": x[None]})
        (expected,) = plain.run(None, {"x": x[None]})
        assert np.array_equal(y, expected) if accept[0] else np.isnan(y).all()
        return bool(accept[0])

    rng = np.random.default_rng(5)
    counts = {True: 0, False: 0}
    for x in rng.uniform(-0.3, 0.9, (3000, 3)).astype(np.float32):
        exact = [Fraction(float(v)) for v in x]
        member = all(a <= v <= b for a, v, b in zip(lower, exact, upper)) and ball.holds(exact)
        member = member and all(holds(own, x) for own in atoms)
        accepted = run(x)
        assert accepted == member  # none of these is within rounding of a boundary
        assert bool(guarded.evaluate(x)[-1][0]) == member
        counts[accepted] += 1
    assert min(counts.values()) > 100
    inner = np.array([0.1, 0.1, 0.2], np.float32)
    assert run(inner)
    for value in (np.nan, np.inf, -np.inf, 0.7000001, -0.10000001):
        for order in set(permutations((value, 0.1, 0.2))):
            assert not run(np.array(order, np.float32))
