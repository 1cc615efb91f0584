"""The numbers of a comparison against mathematics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.compare.statistics import geometric_mean_ratio, limits, solved_within


def test_a_constant_ratio_leaves_no_doubt() -> None:
    b = [0.1, 2.0, 30.0]
    ratio = geometric_mean_ratio([2 * each for each in b], b)
    assert (ratio.mean, ratio.low, ratio.high) == pytest.approx((2.0, 2.0, 2.0))


def test_the_mean_is_geometric_and_swapping_the_sides_inverts_everything() -> None:
    a, b = [1.0, 8.0, 5.0, 3.0], [4.0, 2.0, 1.0, 3.0]
    ratio, swapped = geometric_mean_ratio(a, b), geometric_mean_ratio(b, a)
    assert ratio.mean == pytest.approx((1 / 4 * 4 * 5 * 1) ** (1 / 4))
    assert ratio.low < ratio.mean < ratio.high
    assert (swapped.mean, swapped.low, swapped.high) == pytest.approx((1 / ratio.mean, 1 / ratio.high, 1 / ratio.low))


def test_the_interval_is_as_wide_as_the_central_limit_theorem_says() -> None:
    """Of many log-normal ratios, the mean of the logarithms is normal: 1.96 standard errors to either side."""
    logs = np.random.default_rng(3).normal(0.5, 0.8, size=400)
    ratio = geometric_mean_ratio(np.exp(logs), np.ones(400))
    error = 1.96 * logs.std() / math.sqrt(400)
    assert math.log(ratio.mean) == pytest.approx(logs.mean())
    assert math.log(ratio.low) == pytest.approx(logs.mean() - error, abs=0.05 * error)
    assert math.log(ratio.high) == pytest.approx(logs.mean() + error, abs=0.05 * error)


def test_too_little_data_has_no_interval() -> None:
    one, none = geometric_mean_ratio([3.0], [1.5]), geometric_mean_ratio([], [])
    assert one.mean == pytest.approx(2.0)
    assert all(map(math.isnan, (one.low, one.high, none.mean, none.low, none.high)))


def test_times_below_the_resolution_of_the_file_keep_the_ratio_finite() -> None:
    assert math.isfinite(geometric_mean_ratio([0.0, 1.0], [1.0, 0.0]).mean)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([], []),
        ([0.03, 4.0], [0.05, 0.1, 0.2, 0.5, 1, 2, 5]),
        ([1.0], [1]),
        ([9.0, 60.0], [10, 20, 50, 100]),
        ([0.0], [0.0005]),
    ],
)
def test_limits_cover_all_times_in_steps_of_1_2_5(seconds: list[float], expected: list[float]) -> None:
    assert limits(seconds) == pytest.approx(expected)


def test_solved_within_a_limit_includes_it() -> None:
    assert [solved_within([0.5, 1.0, 3.0], limit) for limit in (0.1, 1.0, 5.0)] == [0, 2, 3]
