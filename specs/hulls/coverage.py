"""What data exercises inside a network: exact statements about the examples of a file, and nothing else.

``Layer.missing_mass`` estimates a property of where the examples come from: the probability that the next one has a
sign pattern that none of them has. Source: Good, *The population frequencies of species and the estimation of
population parameters*, Biometrika 1953.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Layer:
    """One layer on all examples; arrays are by unit, flat.

    ``positive`` and ``negative`` count examples on which a unit is above and below 0; it is 0 on all others.
    ``patterns`` (patterns, units) are the different sets of units above 0, the most frequent first, and
    ``frequencies`` how many examples have each.
    """

    examples: int
    positive: Counts
    negative: Counts
    lowest: Reals
    highest: Reals
    patterns: NDArray[np.bool_]
    frequencies: Counts

    @property
    def units(self) -> int:
        return len(self.positive)

    @property
    def never_active(self) -> list[int]:
        """Units that are above 0 on no example."""
        return [int(i) for i in np.flatnonzero(self.positive == 0)]

    @property
    def always_active(self) -> list[int]:
        """Units that are above 0 on every example."""
        return [int(i) for i in np.flatnonzero(self.positive == self.examples)]

    @property
    def seen_once(self) -> int:
        """Patterns that exactly one example has."""
        return int((self.frequencies == 1).sum())

    @property
    def missing_mass(self) -> Fraction:
        """Good and Turing's estimate of the probability of patterns not seen: the share of examples alone in theirs."""
        return Fraction(self.seen_once, self.examples)


def layer_of(values: Reals) -> Layer:
    """The statistics of a layer's ``values`` (examples, units); there has to be an example."""
    above = values > 0
    packed = np.packbits(above, axis=1)
    _, first, counts = np.unique(packed, axis=0, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))  # equally frequent patterns in the order of the data
    return Layer(
        len(values),
        above.sum(axis=0),
        (values < 0).sum(axis=0),
        values.min(axis=0),
        values.max(axis=0),
        above[first[order]],
        counts[order],
    )


def arrays_of(layers: Mapping[str, Layer]) -> dict[str, NDArray[np.generic]]:
    """All of it as arrays by name, ``LAYER.positive`` and so on; patterns are packed, eight units a byte."""
    found: dict[str, NDArray[np.generic]] = {}
    for name, layer in layers.items():
        found |= {
            f"{name}.positive": layer.positive,
            f"{name}.negative": layer.negative,
            f"{name}.lowest": layer.lowest,
            f"{name}.highest": layer.highest,
            f"{name}.patterns": np.packbits(layer.patterns, axis=1),
            f"{name}.frequencies": layer.frequencies,
        }
    return found
