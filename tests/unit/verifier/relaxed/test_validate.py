"""Validation accepts what is a point of its relaxation and names what is wrong with anything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds import balls
from specs.problem import Ball
from tests.unit.verifier.relaxed.drawn import drawn
from tests.unit.verifier.relaxed.files import (
    about,
    obstacle,
    of_lines,
    of_model,
    of_moments,
    of_outputs,
    of_point,
    of_pseudo_moments,
    packed,
    sides,
    subject,
)
from verifier.relaxed.container import parse_relaxed
from verifier.relaxed.contents import Assignment, PointAction, RelaxedFile, Units
from verifier.relaxed.validate import Validation, validate

SEEDS = range(60)


def names(found: Validation) -> list[str]:
    return [check.name for check in found.checks]


def wrong(found: Validation) -> list[str]:
    return [check.name for check in found.checks if not check.ok]


def test_best_actions_of_linear_programs_are_valid_exactly_where_they_stand_in_the_way() -> None:
    stood = 0
    for seed in SEEDS:
        one = drawn(seed)
        found = validate(of_point(one), subject(one.query))
        assert found.score == pytest.approx(one.value, rel=1e-7, abs=1e-7)
        assert found.real == pytest.approx(one.query.score(one.action.x[None])[0], rel=1e-9, abs=1e-9)
        assert found.real <= found.score + 1e-7 * (1 + abs(found.score))
        expected = [] if one.value >= 0 else ["the score is not negative"]
        assert wrong(found) == expected, found.checks
        stood += found.valid
    assert 20 < stood < 60


def test_actions_behind_crown_bounds_are_valid_where_crown_has_no_proof() -> None:
    for seed in SEEDS:
        one = drawn(seed)
        attack = of_lines(one)
        found = validate(attack, subject(one.query))
        assert wrong(found) == ([] if attack.score >= 0 else ["the score is not negative"]), found.checks
        if len(one.query.rows.constant) == 1:
            assert attack.score >= one.value - 1e-7 * (1 + abs(one.value))  # a weaker relaxation gains no less


def test_a_file_is_as_valid_as_the_attack_in_it() -> None:
    one = obstacle(0)
    for attack in (of_point(one), of_lines(one), of_moments(one.query, True), of_model(one.query)):
        told, read = (validate(a, subject(one.query)) for a in (attack, parse_relaxed(packed(attack))))
        assert [c.ok for c in told.checks] == [c.ok for c in read.checks]
        assert told.score == read.score


def test_moved_outputs_are_valid_and_what_is_changed_is_named() -> None:
    for seed in range(20):
        query = drawn(seed).query
        if not query.rows.y.any(axis=1).all():
            continue
        attack = of_outputs(query)
        assert wrong(validate(attack, subject(query))) == []
        content, far = attack.content, 1 + np.abs(attack.content.upper) + np.abs(attack.content.lower)
        changed = {
            "outputs are inside their ranges": replace(content, y=content.upper + far),
            "every range has its ends in order": replace(content, lower=content.upper + far),
            "the input is inside the box": replace(content, x=query.upper + 1),
        }
        for name, other in changed.items():
            assert name in wrong(validate(replace(attack, content=other), subject(query)))
        point = replace(content, lower=content.y, upper=content.y)
        assert [name for name in wrong(validate(replace(attack, content=point), subject(query))) if "real" in name]
        told = validate(replace(attack, rows=attack.rows + 1, score=attack.score - 1), subject(query))
        assert "rows and score are what the action gives" in wrong(told)
        short = replace(content, y=content.y[:-1], lower=content.lower[:-1], upper=content.upper[:-1])
        assert not validate(replace(attack, content=short), subject(query)).valid
        split = replace(attack, splits=((0, 0, 1),))
        assert not validate(split, subject(query)).valid


def edited(attack: RelaxedFile, **parts: Callable[[Units], tuple[np.ndarray, ...]]) -> RelaxedFile:
    units = attack.content.units
    changed = replace(units, **{name: change(units) for name, change in parts.items()})
    return replace(attack, content=replace(attack.content, units=changed))


def moved(layers: tuple[np.ndarray, ...], k: int, i: int, by: float) -> tuple[np.ndarray, ...]:
    return tuple(part + by * (np.arange(len(part)) == i) * (j == k) for j, part in enumerate(layers))


def unit_of(attack: RelaxedFile) -> tuple[int, int]:
    """An unstable unit."""
    units = attack.content.units
    return next(
        (k, int(i)) for k, (l, u) in enumerate(zip(units.lower, units.upper)) for i in np.flatnonzero((l < 0) & (u > 0))
    )


def outside_the_box(attack: RelaxedFile) -> RelaxedFile:
    return replace(attack, content=replace(attack.content, x=attack.upper + 0.01))


def a_above(attack: RelaxedFile) -> RelaxedFile:
    k, i = unit_of(attack)
    return edited(attack, a=lambda units: moved(units.a, k, i, units.upper[k][i] - units.lower[k][i]))


def a_below(attack: RelaxedFile) -> RelaxedFile:
    k, i = unit_of(attack)
    return edited(attack, a=lambda units: moved(units.a, k, i, -units.a[k][i] - 0.01))


def wrong_z(attack: RelaxedFile) -> RelaxedFile:
    return edited(attack, z=lambda units: moved(units.z, 0, 0, 0.01))


def narrow_ranges(attack: RelaxedFile) -> RelaxedFile:
    """Ranges that no real execution at the input obeys: a relaxation of nothing."""
    return edited(
        attack,
        lower=lambda units: tuple(l * 0.01 for l in units.lower),
        upper=lambda units: tuple(u * 0.01 for u in units.upper),
    )


def ends_swapped(attack: RelaxedFile) -> RelaxedFile:
    return edited(attack, lower=lambda units: units.upper, upper=lambda units: units.lower)


EDITS: dict[str, tuple[Callable[[RelaxedFile], RelaxedFile], str]] = {
    "x outside the box": (outside_the_box, "the input is inside the box"),
    "a above its triangle": (a_above, "outputs are not above the triangle of their range"),
    "a below its triangle": (a_below, "outputs are not below the triangle of their range"),
    "a wrong z": (wrong_z, "pre-activations are the affine maps of the outputs before them"),
    "ranges that do not hold": (narrow_ranges, "the ranges hold at"),
    "ranges upside down": (ends_swapped, "every range has its ends in order"),
    "a wrong score": (lambda a: replace(a, score=a.score + 0.1), "rows and score are what the action gives"),
    "a wrong row": (lambda a: replace(a, rows=a.rows - 0.1), "rows and score are what the action gives"),
    "a larger box": (lambda a: replace(a, upper=a.upper + 0.1), "the node's box is inside the case's"),
    "a split that is none": (
        lambda a: replace(a, splits=((*unit_of(a), 1),)),
        "the ranges of split neurons are on their side",
    ),
    "weights of another sum": (lambda a: replace(a, weights=2.0 * np.ones(len(a.rows))), "the rows' weights sum to 1"),
    "no units": (lambda a: replace(a, content=PointAction(a.content.x, None)), "there are units to check"),
    "an unknown layer": (lambda a: replace(a, splits=((99, 0, 1),)), "inputs, rows and layers are those of the model"),
    "another model": (
        lambda a: replace(a, lower=a.lower[1:], upper=a.upper[1:]),
        "inputs, rows and layers are those of the model",
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_each_kind_of_edit_is_named(what: str) -> None:
    edit, expected = EDITS[what]
    for first in (0, 20, 40):
        one = obstacle(first)
        attack = of_point(one)
        assert validate(attack, subject(one.query)).valid
        found = validate(edit(attack), subject(one.query))
        assert not found.valid
        assert any(name.startswith(expected) for name in wrong(found)), wrong(found)


def test_random_small_edits_beyond_the_tolerance_never_pass() -> None:
    """The affine equations tie all numbers together: no single one can move."""
    rng = np.random.default_rng(0)
    one = obstacle(7)
    attack = of_point(one)
    for _ in range(200):
        name = str(rng.choice(["z", "a"]))
        k = int(rng.integers(len(attack.content.units.z)))
        i = int(rng.integers(len(attack.content.units.z[k])))
        size = 1e-3 * (1 + float(np.abs(attack.content.units.upper[k][i])))
        changed = edited(attack, **{name: lambda units, n=name, k=k, i=i, s=size: moved(getattr(units, n), k, i, s)})
        last = k == len(attack.content.units.z) - 1
        unread = name == "a" and last and not np.abs(one.query.network.output.terms[-1][1][:, i]).any()
        assert unread or not validate(changed, subject(one.query)).valid


def test_a_score_of_a_proof_is_no_obstacle() -> None:
    one = next(one for one in map(drawn, SEEDS) if one.value < -0.1)
    assert wrong(validate(of_point(one), subject(one.query))) == ["the score is not negative"]


@pytest.mark.parametrize("factor", [False, True])
def test_moments_of_real_executions_obey_everything(factor: bool) -> None:
    for seed in range(0, 60, 3):
        query = drawn(seed).query
        found = validate(of_moments(query, factor), subject(query))
        assert set(wrong(found)) <= {"the score is not negative"}, found.checks


def test_pseudo_moments_of_real_executions_obey_everything() -> None:
    checked = 0
    for seed in range(40):
        query = drawn(seed).query
        if query.network.input_size + query.count_unstable <= 6:
            found = validate(of_pseudo_moments(query), subject(query))
            assert set(wrong(found)) <= {"the score is not negative"}, found.checks
            checked += 1
    assert checked >= 3


def matrix_edit(place: Callable[[list[str]], tuple[int, int]], by: float) -> Callable[[RelaxedFile], RelaxedFile]:
    def edit(attack: RelaxedFile) -> RelaxedFile:
        values = attack.content.values.copy()
        i, j = place(list(attack.content.symbols))
        values[i, j] += by
        values[j, i] = values[i, j]
        return replace(attack, content=replace(attack.content, values=values))

    return edit


def first_unit(symbols: list[str]) -> int:
    return next(i for i, symbol in enumerate(symbols) if symbol[0] == "a")


MOMENT_EDITS = {
    "mass": (matrix_edit(lambda s: (0, 0), 0.1), "the moment of 1 is 1"),
    "a variance": (matrix_edit(lambda s: (1, 1), -50.0), "the moment matrix is positive semidefinite"),
    "a spread": (matrix_edit(lambda s: (1, 1), 50.0), "E[(x - l)(x - u)] is not positive"),
    "a mean": (matrix_edit(lambda s: (0, first_unit(s)), -50.0), "E[a] is not negative"),
    "a product": (matrix_edit(lambda s: (first_unit(s), first_unit(s)), 50.0), "E[a (a - z)] is 0"),
}


@pytest.mark.parametrize("what", MOMENT_EDITS)
def test_each_edit_of_moments_is_named(what: str) -> None:
    edit, expected = MOMENT_EDITS[what]
    query = obstacle(0).query
    found = validate(edit(of_moments(query, False)), subject(query))
    assert expected in wrong(found)


def test_a_symbol_left_out_of_an_unstable_unit_is_missed() -> None:
    query = obstacle(0).query
    attack = of_moments(query, False)
    content = attack.content
    shorter = replace(content, symbols=content.symbols[:-1], values=content.values[:-1, :-1])
    found = validate(replace(attack, content=shorter), subject(query))
    assert "neurons without a symbol are stable in their ranges" in wrong(found)


def test_models_in_exact_numbers() -> None:
    query = obstacle(0).query
    attack = of_model(query)
    assert set(wrong(validate(attack, subject(query)))) <= {"the score is not negative"}
    name = next(name for name in attack.content.values if name.startswith("a"))
    values = {**attack.content.values, name: attack.content.values[name] + Fraction(1, 10)}
    changed = about(query, "smt", Assignment(values), attack.rows)
    found = validate(changed, subject(query))
    assert any(name.startswith("outputs are not") for name in wrong(found))


def test_giant_ranges_neither_hide_errors_nor_go_unnoticed() -> None:
    one = obstacle(0)
    attack = edited(
        of_point(one),
        lower=lambda units: tuple(np.full(len(l), -1e12) for l in units.lower),
        upper=lambda units: tuple(np.full(len(u), 1e12) for u in units.upper),
    )
    (remark,) = validate(attack, subject(one.query)).remarks
    assert "wider than interval arithmetic" in remark
    found = validate(wrong_z(attack), subject(one.query))
    assert "pre-activations are the affine maps of the outputs before them" in wrong(found)


@pytest.mark.parametrize(("share", "holds"), [(1.01, True), (0.99, False)])
def test_second_moments_have_to_be_those_of_the_ball(share: float, holds: bool) -> None:
    """Executions at a mean squared distance just below the ball's, or just above: the mean input is in both."""
    name, query = "E[(x - c)^2] is that of the ball at most", obstacle(0).query
    attack, about_it = of_moments(query, False), subject(query)
    symbols, matrix = list(attack.content.symbols), attack.content.matrix
    inputs = [symbols.index(f"x{i}") for i in range(query.network.input_size)]
    center, mean = about_it.box.lower, matrix[0, inputs]
    away = np.array([float(c) for c in center])
    distance = Fraction(float((matrix[inputs, inputs] - 2 * away * mean + away**2).sum()))
    ball = Ball(center, (Fraction(3),) * len(center), 3 * distance * Fraction(share))
    assert (name not in wrong(validate(attack, replace(about_it, ball=ball)))) is holds
    point = Ball(center, (Fraction(3),) * len(center), Fraction(0))
    assert name in wrong(validate(attack, replace(about_it, ball=point)))


def test_ranges_are_tried_where_box_and_ball_meet() -> None:
    """Ranges that hold in the ball alone are right on it, and wrong on the box."""
    one = drawn(7)
    query, radius = one.query, Fraction(1, 64)
    center = tuple(Fraction(v) for v in one.query.moved_inside(one.action.x[None])[0].tolist())
    ball = Ball(center, (Fraction(1),) * len(center), radius**2)
    x = np.array([float(c) for c in center])
    seen, _ = query.network.preactivations(x[None])
    narrow = Query.over_box(query.network, query.rows, query.lower, query.upper, balls.Ball.rounded(ball))
    values = [np.clip(z[0], l, u) for z, (l, u) in zip(seen, narrow.ranges)]
    outputs = [np.maximum(z, 0) for z in values]
    units = Units(tuple(values), tuple(outputs), *sides(narrow))
    attack = about(query, "crown", PointAction(x, units), query.margins(x[None])[0])
    tried = [name for name in names(validate(attack, replace(subject(query), ball=ball))) if "real inputs" in name]
    assert tried == ["the ranges hold at 65 real inputs"]
    assert tried[0] not in wrong(validate(attack, replace(subject(query), ball=ball)))
    assert tried[0] in wrong(validate(attack, subject(query)))


@pytest.mark.parametrize(("share", "holds"), [(1.01, True), (0.99, False)])
def test_the_input_has_to_be_in_the_ball(share: float, holds: bool) -> None:
    """A ball around a corner of the box, to just beyond the attack's input or to just before it."""
    one = drawn(3)
    attack, about_it = of_point(one), subject(one.query)
    center = about_it.box.lower
    x = [Fraction(value) for value in one.action.x.tolist()]
    distance = sum(((v - c) ** 2 for v, c in zip(x, center)), Fraction(0))
    assert distance > 0
    ball = Ball(center, (Fraction(1),) * len(center), distance * Fraction(share) ** 2)
    assert ("the input is in the ball" not in wrong(validate(attack, replace(about_it, ball=ball)))) is holds
