"""Seconds per call: measured often enough to say how much they vary."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles

FEWEST, MOST = 3, 1000  # calls


@dataclass(frozen=True)
class Measurement:
    """The median and the quartiles of what was measured, in ``unit``; None where nothing could be, and a note why.

    ``batch`` counts the boxes or nodes of one call (0: not a call), ``calls`` how often it was measured.
    """

    benchmark: str
    network: str
    batch: int
    unit: str
    median: float | None
    low: float | None
    high: float | None
    calls: int
    note: str = ""


def measured(benchmark: str, network: str, batch: int, unit: str, values: list[float], note: str = "") -> Measurement:
    """The measurement that these values, one or more, amount to."""
    low, middle, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Measurement(benchmark, network, batch, unit, middle, low, high, len(values), note)


def unmeasured(benchmark: str, network: str, note: str) -> Measurement:
    """No measurement, and why."""
    return Measurement(benchmark, network, 0, "", None, None, None, 0, note)


def seconds_per_call(call: Callable[[], object], budget: float) -> list[float]:
    """Seconds of each call, repeated until ``budget`` seconds are spent; the first one, which warms up, not counted."""
    call()
    values: list[float] = []
    end = time.perf_counter() + budget
    while len(values) < FEWEST or (time.perf_counter() < end and len(values) < MOST):
        started = time.perf_counter()
        call()
        values.append(time.perf_counter() - started)
    return values
