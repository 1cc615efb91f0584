"""Lists of monomials that sums of squares are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

from specs.polynomial import Monomial


def monomials(variables: Sequence[int], highest: int, lowest: int = 0) -> tuple[Monomial, ...]:
    """All monomials in these variables of degrees ``lowest`` to ``highest``, by degree; none if there is no degree."""
    found: list[Monomial] = []
    for degree in range(lowest, highest + 1):
        for chosen in combinations_with_replacement(sorted(variables), degree):
            powers: dict[int, int] = {}
            for variable in chosen:
                powers[variable] = powers.get(variable, 0) + 1
            found.append(tuple(powers.items()))
    return tuple(found)
