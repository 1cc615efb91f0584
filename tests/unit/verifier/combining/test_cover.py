"""Covers against counting: boxes with whole coordinates cover a box if and only if they hold every unit cell of it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.checker.ball import ExactBall
from verifier.checker.combined import holds_cell
from verifier.checker.vnnlib import QueryCase
from verifier.combining.cover import Gap, Part, Undecided, cover

SIDE = 4


def vector(*values: object) -> tuple[Fraction, ...]:
    return tuple(Fraction(str(value)) for value in values)


def part(member: int, low: Sequence[object], up: Sequence[object], ball: ExactBall | None = None) -> Part:
    return Part(member, QueryCase(vector(*low), vector(*up), False, (), ball))


def cells(words: Sequence[object], low: tuple[Fraction, ...], up: tuple[Fraction, ...]) -> list[tuple]:
    """The cells of a tree with their members; it has to end exactly where its words do."""
    stack, found = [(low, up)], []
    for word in words:
        low, up = stack.pop()
        if isinstance(word, list):
            k, at = int(word[0]), Fraction(word[1])
            assert low[k] < at < up[k]
            stack += [((*low[:k], at, *low[k + 1 :]), up), (low, (*up[:k], at, *up[k + 1 :]))]
        else:
            found.append((word, low, up))
    assert not stack
    return found


ends = st.tuples(st.integers(0, SIDE), st.integers(0, SIDE))


@given(st.integers(2, 3), st.lists(st.lists(ends, min_size=3, max_size=3), max_size=9))
@settings(max_examples=300, deadline=None)
def test_a_cover_is_found_exactly_where_every_unit_cell_is_held(size: int, boxes: list) -> None:
    parts = []
    for k, sides in enumerate(boxes):
        low, up = zip(*(sorted(side) for side in sides[:size]))
        parts.append(part(k, low, up))
    low, up = vector(*[0] * size), vector(*[SIDE] * size)
    middles = [tuple(i + Fraction(1, 2) for i in place) for place in product(range(SIDE), repeat=size)]
    held = all(any(one.case.contains(middle) for one in parts) for middle in middles)
    if not held:
        with pytest.raises(Gap) as gap:
            cover(low, up, parts)
        assert all(0 <= value <= SIDE for value in gap.value.point)
        assert not any(one.case.contains(gap.value.point) for one in parts)
        return
    found = cells(cover(low, up, parts), low, up)
    volume = Fraction(0)
    for member, below, above in found:
        assert holds_cell(parts[member].case, below, above)
        own = Fraction(1)
        for a, b in zip(below, above):
            own *= b - a
        volume += own
    assert volume == SIDE**size


def test_halves_that_overlap_or_touch_cover_and_a_gap_of_a_billionth_does_not() -> None:
    low, up = vector(0, 0), vector(1, 1)
    for at in ("0.4", "0.5"):
        words = cover(low, up, [part(0, (0, 0), ("0.5", 1)), part(1, (at, 0), (1, 1))])
        assert [member for member, _, _ in cells(words, low, up)] == [0, 1]
    with pytest.raises(Gap) as found:
        cover(low, up, [part(0, (0, 0), ("0.5", 1)), part(1, ("0.500000001", 0), (1, 1))])
    assert Fraction(1, 2) < found.value.point[0] < Fraction("0.500000001")


def test_a_point_between_parts_is_none_of_theirs_even_where_a_thin_part_is_in_the_middle() -> None:
    with pytest.raises(Gap) as found:
        cover(vector(0), vector(1), [part(0, ("0.5",), ("0.5",))])
    assert found.value.point != vector("0.5")


def test_a_side_without_a_length_is_covered_by_what_holds_its_point() -> None:
    low, up = vector(0, "0.3"), vector(1, "0.3")
    assert cover(low, up, [part(7, (0, 0), (1, 1))]) == [7]
    with pytest.raises(Gap):
        cover(low, up, [part(7, (0, "0.31"), (1, 1))])


def ball(center: Sequence[object], radius: str) -> ExactBall:
    return ExactBall(vector(*center), (Fraction(1),) * len(center), Fraction(radius) ** 2)


@pytest.mark.parametrize(("radius", "covered"), [("0.8", True), ("0.7072", True), ("0.7", False)])
def test_two_balls_cover_a_box_if_they_reach_its_corners(radius: str, covered: bool) -> None:
    """The points of the box that are farthest from the nearer centre are at sqrt(1/2): corners, (1, 0) and (1, 1)."""
    parts = [part(k, (-9, -9), (9, 9), ball((k + Fraction(1, 2), Fraction(1, 2)), radius)) for k in (0, 1)]
    low, up = vector(0, 0), vector(2, 1)
    if not covered:
        with pytest.raises(Gap) as found:
            cover(low, up, parts)
        assert not any(one.case.contains(found.value.point) for one in parts)
        return
    found = cells(cover(low, up, parts), low, up)
    assert all(holds_cell(parts[member].case, below, above) for member, below, above in found)


def test_a_box_whose_corners_lie_on_a_sphere_is_in_the_ball() -> None:
    whole = ExactBall(vector(0, 0), (Fraction(1),) * 2, Fraction(2))
    low, up = vector(-1, -1), vector(1, 1)
    assert cover(low, up, [part(0, (-9, -9), (9, 9), whole)]) == [0]
    less = ExactBall(whole.center, whole.weights, Fraction(2) - Fraction(1, 10**12))
    with pytest.raises((Gap, Undecided)):
        cover(low, up, [part(0, (-9, -9), (9, 9), less)])
