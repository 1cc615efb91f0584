"""The numbers of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESOLUTION = 0.0005  # seconds; the results file holds three decimals, and a ratio has to be finite
RESAMPLES, RESAMPLES_AT_ONCE = 10_000, 500
LEVEL = 0.95


@dataclass(frozen=True)
class Ratio:
    """A geometric mean of ratios with the ends of its interval, NaN where two or more instances would be needed."""

    mean: float
    low: float
    high: float


def geometric_mean_ratio(a: Sequence[float], b: Sequence[float], seed: int = 0) -> Ratio:
    """The geometric mean of ``a[i] / b[i]`` with its 95 % bootstrap interval, by percentiles.

    Instances are what is drawn again: the interval says how much the ratio depends on which of them were asked, and
    each drawn instance keeps its two times together. Source: Efron and Tibshirani 1993, chapter 13.
    """
    if not len(a):
        return Ratio(np.nan, np.nan, np.nan)
    logs = np.log(np.maximum(a, RESOLUTION)) - np.log(np.maximum(b, RESOLUTION))
    mean = float(np.exp(logs.mean()))
    if len(logs) < 2:
        return Ratio(mean, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    drawn = (RESAMPLES_AT_ONCE, len(logs))
    means = [logs[rng.integers(len(logs), size=drawn)].mean(axis=1) for _ in range(RESAMPLES // RESAMPLES_AT_ONCE)]
    tail = (1 - LEVEL) / 2
    low, high = np.exp(np.quantile(np.concatenate(means), [tail, 1 - tail]))
    return Ratio(mean, float(low), float(high))


def limits(seconds: Sequence[float]) -> list[float]:
    """Time limits 1, 2, 5, 10, ... of all decades that ``seconds`` span, up to the first that covers them all."""
    if not len(seconds):
        return []
    shortest, longest = max(min(seconds), RESOLUTION), max(*seconds, RESOLUTION)
    decades = range(int(np.floor(np.log10(shortest))), int(np.floor(np.log10(longest))) + 2)
    steps = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    first = next(i for i, step in enumerate(steps) if step >= shortest)
    last = next(i for i, step in enumerate(steps) if step >= longest)
    return steps[first : last + 1]


def solved_within(seconds: Sequence[float], limit: float) -> int:
    """A point of the cactus plot: how many were solved within the limit, each by itself."""
    return sum(each <= limit for each in seconds)
