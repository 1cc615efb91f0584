"""Rounding to levels against its definition, and the relation of an input with what it is rounded to."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.language.expressions.dnf import Dnf
from specs.language.observations.levels import Levels, Scaled, near, of_points, rounded

NUMBERS = st.fractions(min_value=-4, max_value=4, max_denominator=16)


@st.composite
def levels(draw: st.DrawFn) -> Levels:
    low, up = sorted((draw(NUMBERS), draw(NUMBERS)))
    return Levels(low, up, draw(st.integers(2, 9)))


def by_definition(one: Levels, value: Fraction) -> Fraction:
    """The nearest of all levels, the larger one of two that are equally near."""
    every = [one.low + Fraction(k, one.count - 1) * (one.up - one.low) for k in range(one.count)]
    return min(every, key=lambda level: (abs(level - value), -level))


def holds(dnf: Dnf, values: list[Fraction]) -> bool:
    def true(atom) -> bool:
        total = atom.constant + sum(c * values[i] for i, c in atom.x)
        return total < 0 if atom.strict else total <= 0

    return any(all(map(true, cube)) for cube in dnf)


@given(levels(), NUMBERS)
def test_a_value_is_rounded_to_the_nearest_level_and_up_half_way(one: Levels, value: Fraction) -> None:
    assert one.of(value) == by_definition(one, value)


def test_half_way_is_up_below_zero_too() -> None:
    one = Levels(Fraction(-1), Fraction(1), 3)
    assert [one.of(Fraction(v)) for v in (-1, "-1/2", "-501/1000", 0, "1/2", "499/1000", 7)] == [-1, 0, -1, 0, 1, 0, 1]


@given(levels(), NUMBERS, NUMBERS, NUMBERS, st.fractions(-3, 3), st.fractions(Fraction(1, 4), 4))
def test_the_relation_holds_for_what_an_input_is_rounded_to_and_for_nothing_else(
    one: Levels, a: Fraction, b: Fraction, value: Fraction, mean: Fraction, scale: Fraction
) -> None:
    low, up = sorted((a, b))
    value = min(max(value, low), up)
    dnf = rounded(one, Scaled(mean, scale), 0, 1, low, up)
    assert len(dnf) == len(one.numbers(low, up))
    for number in range(one.count):
        level = one.level(number)
        assert holds(dnf, [(value - mean) / scale, (level - mean) / scale]) == (level == by_definition(one, value))
    assert not holds(dnf, [(value - mean) / scale, (one.of(value) + Fraction(1, 1000) - mean) / scale])


@given(levels(), NUMBERS, st.fractions(-3, 3), st.fractions(Fraction(1, 4), 4))
def test_rounding_inside_the_range_moves_nothing_by_more_than_half_a_step(
    one: Levels, value: Fraction, mean: Fraction, scale: Fraction
) -> None:
    value = min(max(value, one.low), one.up)
    point = [(value - mean) / scale, (one.of(value) - mean) / scale]
    assert all(holds(dnf, point) for dnf in near(one, Scaled(mean, scale), 0, 1))


@given(levels(), NUMBERS, NUMBERS)
def test_values_of_a_level_are_rounded_to_it(one: Levels, a: Fraction, b: Fraction) -> None:
    low, up = sorted((a, b))
    for number in one.numbers(low, up):
        value = one.nearest_value(number, low, up)
        assert low <= value <= up
        assert one.number(value) == number


def test_points_are_rounded_one_by_one() -> None:
    one, unit = Levels(Fraction(0), Fraction(1), 2), Scaled(Fraction(0), Fraction(1))
    points = [(Fraction(1, 4), Fraction(3, 4)), (Fraction(1), Fraction(0))]
    dnf = of_points([one, one], [unit, unit], [0, 1], [2, 3], points)
    assert holds(dnf, [Fraction(1, 4), Fraction(3, 4), Fraction(0), Fraction(1)])
    assert not holds(dnf, [Fraction(1, 4), Fraction(3, 4), Fraction(1), Fraction(1)])
    assert not holds(dnf, [Fraction(1), Fraction(3, 4), Fraction(1), Fraction(1)])


@pytest.mark.parametrize("value", [Fraction(3, 8), Fraction(5)])
def test_an_interval_that_is_a_point_has_one_level(value: Fraction) -> None:
    one = Levels(Fraction(0), Fraction(1), 5)
    assert list(one.numbers(value, value)) == [one.number(value)]


@given(levels(), NUMBERS)
def test_the_number_of_a_level_is_a_floor(one: Levels, value: Fraction) -> None:
    if one.step:
        plain = floor((value - one.low) / one.step + Fraction(1, 2))
        assert one.number(value) == min(max(plain, 0), one.count - 1)
