"""What values a term can take, from the boxes of the inputs alone: for what means something only on a range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from specs.language.expressions.terms import Extreme, Term
from specs.language.inputs.coupling import Coupling
from specs.language.text.decimals import show
from specs.sets import InputSet

Interval = tuple[Fraction | None, Fraction | None]
Range = Callable[[Term], Interval]
"""Bounds of a term, exact and not necessarily tight; None where there is none. Of a normalised element, which a network
is given as it is, they are those of what the network consumes."""


def ranges(inputs: Sequence[InputSet], coupling: Coupling) -> Range:
    """Bounds by interval arithmetic in rationals. Outputs of networks have none."""
    known: dict[int, Interval] = {}
    for one, places in zip(inputs, coupling.places):
        for place, low, up, mean, scale in zip(places, one.lower, one.upper, one.mean, one.scale):
            own = (None if low is None else (low - mean) / scale, None if up is None else (up - mean) / scale)
            before = known.get(place, (None, None))
            known[place] = (_best(max, own[0], before[0]), _best(min, own[1], before[1]))

    def bounds(term: Term) -> Interval:
        if isinstance(term, Extreme):
            parts = [bounds(part) for part in term.parts]
            lows, ups = [low for low, _ in parts], [up for _, up in parts]
            if term.kind == "max":
                return max((low for low in lows if low is not None), default=None), _all(max, ups)
            return _all(min, lows), min((up for up in ups if up is not None), default=None)
        if term.y:
            return None, None
        if len(term.x) == 1:
            ((variable, factor),) = term.x.items()
            mean, scale = coupling.normalization[variable]
            if (factor, term.constant) == (scale, mean):
                return known[variable]
        low: Fraction | None = term.constant
        up: Fraction | None = term.constant
        for variable, factor in term.x.items():
            ends = known[variable] if factor > 0 else known[variable][::-1]
            low = None if low is None or ends[0] is None else low + factor * ends[0]
            up = None if up is None or ends[1] is None else up + factor * ends[1]
        return low, up

    return bounds


def outside(found: Interval, low: Fraction, up: Fraction) -> str:
    """Why a value with these bounds may be none of [low, up], in words; "" where it is one."""
    if found[0] is not None and found[1] is not None and low <= found[0] and found[1] <= up:
        return ""
    if found[0] is None or found[1] is None:
        return "can be any number"
    return f"can be anything in [{show(found[0])}, {show(found[1])}]"


def _best(choose: Callable[[Fraction, Fraction], Fraction], a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return b if a is None else a if b is None else choose(a, b)


def _all(choose: Callable[..., Fraction], ends: Sequence[Fraction | None]) -> Fraction | None:
    kept = [end for end in ends if end is not None]
    return choose(kept) if len(kept) == len(ends) else None
