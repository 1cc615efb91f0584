"""Numbers in statements of probability: one spelling each, and extreme tails and rates held against closed forms."""

from __future__ import annotations

from fractions import Fraction

import pytest

from verifier.checker.errors import CheckError
from verifier.checker.statistics_bounds import renyi_rate, tail_is_small
from verifier.checker.statistics_ledger import rational, read_ledger, real

F = Fraction
HIGH = F(99, 100)


@pytest.mark.parametrize(
    "number", ["1_0", " 1", "1\n", "\u0661", "1e3", ".5", "5.", "+-1", "1/0", "0x1", "", "1" * 1001]
)
def test_numbers_have_one_spelling_each(number):
    with pytest.raises(CheckError):
        rational(number)


@pytest.mark.parametrize("seconds", [10**400, 1e16, -1, float("nan"), float("inf"), True, "1", None])
def test_times_are_numbers(seconds):
    with pytest.raises(CheckError):
        real(seconds)


def test_extreme_tails_are_judged_by_the_truth():
    """Closed forms at rates and levels beyond float64: no failure in n, and one success in n."""
    for digits in (30, 300, 900):
        tiny = F(1, 10**digits)
        assert tail_is_small(1, 0, 1 - tiny, tiny * (1 + F(1, 10**20)))  # P = tiny
        assert not tail_is_small(1, 0, 1 - tiny, tiny)  # within the slack of 1e-25, so not proved
        # P = (1 - tiny)^n < 1 - tiny, but only for the first by more than the slack
        assert tail_is_small(10**7, 0, tiny, 1 - tiny) == (digits == 30)
        assert not tail_is_small(2, 1, tiny, 1 - 2 * tiny)  # P = 1 - tiny^2
    assert not tail_is_small(3, 3, F(1, 2), HIGH)
    with pytest.raises(CheckError):
        tail_is_small(10**9, 0, F(1, 2), HIGH)


def test_the_rate_of_a_divergence_is_never_too_large():
    """bound^(a/(a-1)) exp(-D) in closed form: a = 2 and D = 0 give the square."""
    for bound in (F(1, 3), F(1, 10**40), 1 - F(1, 10**61)):
        rate = renyi_rate(bound, F(0), F(2))
        assert rate <= bound**2
        assert rate >= bound**2 * (1 - F(1, 10**20))
    assert renyi_rate(F(1, 2), F(10**6), F(2)) == 0


def test_a_ledger_of_nothing_is_refused():
    for data in (b"", b"\n", b"{}\n", b"x" * 100 + b"\n"):
        with pytest.raises(CheckError):
            read_ledger(data, "0" * 64, data.count(b"\n"))
