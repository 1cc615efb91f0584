"""Piecewise-linear terms: linear expressions over inputs and outputs under nested max and min."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

MAX_PIECES = 20_000


@dataclass(frozen=True)
class Linear:
    """``sum x + sum y + constant`` with exact coefficients by flat index; zero coefficients are left out."""

    x: Mapping[int, Fraction]
    y: Mapping[int, Fraction]
    constant: Fraction

    @property
    def is_constant(self) -> bool:
        return not self.x and not self.y


@dataclass(frozen=True)
class Extreme:
    """The largest or the smallest of ``parts``."""

    kind: Literal["max", "min"]
    parts: tuple[Term, ...]
    pieces: int


Term = Linear | Extreme


def constant(value: Fraction | int) -> Linear:
    return Linear({}, {}, Fraction(value))


def extreme(kind: Literal["max", "min"], parts: Sequence[Term]) -> Term:
    """``max`` or ``min`` of one or more terms. Raises ``OverflowError`` beyond 20,000 linear pieces."""
    flat: list[Term] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Extreme) and part.kind == kind else [part])
    constants = [part.constant for part in flat if isinstance(part, Linear) and part.is_constant]
    if len(constants) > 1:
        flat = [part for part in flat if not (isinstance(part, Linear) and part.is_constant)]
        flat.append(constant(max(constants) if kind == "max" else min(constants)))
    if len(flat) == 1:
        return flat[0]
    pieces = sum(_pieces(part) for part in flat)
    if pieces > MAX_PIECES:
        raise OverflowError(f"expands into more than {MAX_PIECES:,} linear pieces")
    return Extreme(kind, tuple(flat), pieces)


def add(a: Term, b: Term) -> Term:
    """The sum; a max or min takes the other summand into each of its parts."""
    if isinstance(a, Linear) and isinstance(b, Linear):
        return Linear(_sum(a.x, b.x), _sum(a.y, b.y), a.constant + b.constant)
    if isinstance(a, Linear):
        return add(b, a)
    if a.pieces * _pieces(b) > MAX_PIECES:
        raise OverflowError(f"expands into more than {MAX_PIECES:,} linear pieces")
    return extreme(a.kind, [add(part, b) for part in a.parts])


def scale(a: Term, factor: Fraction) -> Term:
    """``factor * a``; a negative factor turns max into min and back."""
    if isinstance(a, Linear):
        x, y = ({index: factor * value for index, value in part.items() if factor} for part in (a.x, a.y))
        return Linear(x, y, factor * a.constant)
    if factor == 0:
        return constant(0)
    parts = [scale(part, factor) for part in a.parts]
    return extreme(a.kind if factor > 0 else "min" if a.kind == "max" else "max", parts)


def subtract(a: Term, b: Term) -> Term:
    return add(a, scale(b, Fraction(-1)))


def total(terms: Iterable[Term]) -> Term:
    result: Term = constant(0)
    for term in terms:
        result = add(result, term)
    return result


def absolute(a: Term) -> Term:
    return extreme("max", [a, scale(a, Fraction(-1))])


def _pieces(a: Term) -> int:
    return a.pieces if isinstance(a, Extreme) else 1


def _sum(a: Mapping[int, Fraction], b: Mapping[int, Fraction]) -> Mapping[int, Fraction]:
    result = dict(a)
    for index, value in b.items():
        result[index] = result.get(index, Fraction(0)) + value
        if not result[index]:
            del result[index]
    return result


def value_of(term: Term, x: Mapping[int, Fraction]) -> Fraction:
    """What a term that reads no output amounts to, exactly."""
    if isinstance(term, Extreme):
        return (max if term.kind == "max" else min)(value_of(part, x) for part in term.parts)
    return sum((factor * x[index] for index, factor in term.x.items()), term.constant)


def variables_read(term: Term) -> Iterator[int]:
    """The variables of inputs that the term reads."""
    if isinstance(term, Extreme):
        for part in term.parts:
            yield from variables_read(part)
    else:
        yield from term.x


def slots_read(term: Term) -> Iterator[int]:
    """What networks compute that the term reads."""
    if isinstance(term, Extreme):
        for part in term.parts:
            yield from slots_read(part)
    else:
        yield from term.y
