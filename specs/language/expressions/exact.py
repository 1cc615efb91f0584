"""Exact numbers as constants of a network: what float64 does not hold is refused, never rounded."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from specs.language.text.decimals import show


def exactly(value: Fraction) -> float:
    """The number in float64. Raises ``ValueError`` where float64 does not hold it."""
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if np.isinf(number) or Fraction(number) != value:
        raise ValueError(f"{show(value)} has no exact float64, so it cannot be a weight of the composed network")
    return number


def narrow(values: np.ndarray) -> np.ndarray:
    """In float32 where that holds every number, so that a network of float32 weights stays one."""
    with np.errstate(over="ignore"):
        small = values.astype(np.float32)
    return small if np.array_equal(small.astype(np.float64), values) else values
