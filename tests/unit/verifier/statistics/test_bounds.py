"""Every bound covers: by exact enumeration, by closed forms, and beside the peers' values."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from verifier.checker import statistics_bounds as checker
from verifier.statistics import betting, clopper_pearson
from verifier.statistics.binomial_tail import tail_is_at_most
from verifier.statistics.importance import domination, exp_up, renyi
from verifier.statistics.strata import Cell, allocate, total_bound

F = Fraction
LEVEL = F(1, 1000)


def tail(trials: int, failures: int, rate: Fraction) -> Fraction:
    """P[Bin <= failures], exactly."""
    return sum((math.comb(trials, i) * rate**i * (1 - rate) ** (trials - i) for i in range(failures + 1)), F(0))


@pytest.mark.parametrize(
    ("trials", "level", "known"),
    [(800, LEVEL, 0.00860), (2000, LEVEL, 0.00345), (2000, F(1, 20), 0.00150), (600, LEVEL, 0.01145)],
)
def test_no_failures_give_the_closed_form(trials, level, known):
    bound = clopper_pearson.upper_bound(0, trials, level)
    assert (1 - bound) ** trials <= level  # covers, in rationals
    assert (1 - bound * (1 - F(1, 10**8))) ** trials > level  # and hardly more than that
    assert float(bound) == pytest.approx(known, abs=5e-6)


@pytest.mark.parametrize("value", [F(0.1), F(-0.1), F(1, 10**50) + 1, F(3), F(0), F(10**40)])
def test_decimals_are_written_in_full(value):
    assert F(clopper_pearson.decimal_text(value)) == value


@pytest.mark.parametrize("trials", [1, 2, 7, 20, 60])
@pytest.mark.parametrize("level", [LEVEL, F(1, 20), F(2, 5), F(9, 10)])
def test_coverage_is_at_least_nominal_at_every_rate(trials, level):
    uppers = [clopper_pearson.upper_bound(k, trials, level) for k in range(trials + 1)]
    lowers = [clopper_pearson.lower_bound(k, trials, level) for k in range(trials + 1)]
    assert uppers == sorted(uppers)
    assert lowers == sorted(lowers)
    rates = {F(i, 53) for i in range(1, 53)} | {u - F(1, 10**15) for u in uppers} | {l + F(1, 10**15) for l in lowers}
    for rate in rates:
        if not 0 < rate < 1:
            continue
        masses = [math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(trials + 1)]
        assert sum(m for m, u in zip(masses, uppers) if u < rate) <= level
        assert sum(m for m, l in zip(masses, lowers) if l > rate) <= level


@pytest.mark.parametrize("trials", [5, 40])
def test_bounds_are_not_looser_than_the_limit(trials):
    for k in range(trials):
        bound = clopper_pearson.upper_bound(k, trials, LEVEL)
        assert tail(trials, k, bound - min(bound, 1 - bound) / 10**8) > LEVEL
        low = clopper_pearson.lower_bound(k + 1, trials, LEVEL)
        assert tail(trials, trials - k - 1, 1 - low * (1 + F(1, 10**8))) > LEVEL


def test_two_provers_agree_with_exact_tails():
    for trials, k, rate in ((10, 3, F(1, 3)), (50, 0, F(1, 7)), (30, 29, F(99, 100)), (200, 40, F(1, 4))):
        exact = tail(trials, k, rate)
        for proves in (tail_is_at_most, checker.tail_is_small):
            assert proves(trials, k, rate, exact * (1 + F(1, 2**50)))
            assert not proves(trials, k, rate, exact * (1 - F(1, 2**70)))


@pytest.mark.parametrize(("failures", "trials"), [(0, 10**6), (3, 10**6), (2000, 10**6), (70_000, 100_000)])
def test_large_counts_agree_between_the_provers(failures, trials):
    upper = clopper_pearson.upper_bound(failures, trials, LEVEL)
    lower = clopper_pearson.lower_bound(failures, trials, LEVEL)
    assert checker.tail_is_small(trials, failures, upper, LEVEL)
    assert not checker.tail_is_small(trials, failures, upper - (1 - upper) * upper / 10**8, LEVEL)
    assert failures == 0 or checker.tail_is_small(trials, trials - failures, 1 - lower, LEVEL)


@pytest.mark.peer
def test_scipy_finds_the_same_limits():
    beta = pytest.importorskip("scipy.stats").beta
    for failures, trials in ((0, 30), (3, 50), (49, 50), (120, 4000), (31, 10**5)):
        for level in (F(1, 20), LEVEL):
            upper = float(clopper_pearson.upper_bound(failures, trials, level))
            assert upper == pytest.approx(beta.ppf(1 - float(level), failures + 1, trials - failures), rel=1e-7)
            if failures:
                lower = float(clopper_pearson.lower_bound(failures, trials, level))
                assert lower == pytest.approx(beta.ppf(float(level), failures, trials - failures + 1), rel=1e-7)


@pytest.mark.parametrize("how", [betting.Bets(), betting.Bets(F(9, 10), 8)])
@pytest.mark.parametrize("rate", [F(1, 20), F(1, 3), F(2, 3), F(19, 20)])
def test_betting_covers_at_every_time_at_once(how, rate):
    """All sequences of eight: a bound is wrong at some time with at most the stated probability, exactly."""
    level = F(1, 4)
    wrong = [F(0), F(0)]
    for bits in itertools.product((0, 1), repeat=8):
        values = [F(b) for b in bits]
        mass = math.prod((rate if b else 1 - rate for b in bits), start=F(1))
        if betting.upper_bound(values, level, how) < rate:
            wrong[0] += mass
        if betting.lower_bound(values, level, how) > rate:
            wrong[1] += mass
    assert max(wrong) <= level


def test_capital_against_the_true_mean_is_a_martingale_and_grows_in_the_mean():
    """The two facts that the bound rests on, in rationals, with the checker's bets."""
    level, truncation = F(1, 20), F(3, 4)

    def capital(values: list[Fraction], mean: Fraction) -> Fraction:
        stakes = checker.bets(values, level, None)
        limit = truncation / (1 - mean)
        return math.prod((1 + min(s, limit) * (mean - v) for s, v in zip(stakes, values)), start=F(1))

    rate = F(2, 7)
    total = F(0)
    for bits in itertools.product((0, 1), repeat=7):
        values = [F(b) for b in bits]
        total += math.prod((rate if b else 1 - rate for b in bits), start=F(1)) * capital(values, rate)
        grown = [capital(values, F(i, 40)) for i in range(40)]
        assert grown == sorted(grown)
    assert total == 1


def test_betting_bounds_only_tighten_with_time_and_the_two_codes_agree():
    values = [F(int(i % 9 == 4)) for i in range(300)]
    bounds = [betting.upper_bound(values[:n], LEVEL) for n in (50, 100, 200, 300)]
    assert bounds == sorted(bounds, reverse=True)
    assert checker.bets(values, LEVEL, None) == betting.plug_in_bets(values, LEVEL)
    assert checker.capital_reaches(values, bounds[-1], LEVEL, F(3, 4), None)
    assert not checker.capital_reaches(values, bounds[-1] - F(1, 10**8), LEVEL, F(3, 4), None)


def test_renyi_and_domination():
    assert domination(F(1, 100), F(4)) == F(1, 25)
    assert domination(F(1, 2), F(4)) == 1
    for exponent in (F(0), F(1, 3), F(5), F(40)):
        assert exp_up(exponent) >= F(math.exp(exponent)) * (1 - F(1, 10**15))
        assert float(exp_up(exponent)) == pytest.approx(math.exp(exponent), rel=1e-12)
    bound = renyi(F(1, 1000), F(1, 2), F(3))
    assert float(bound) == pytest.approx((math.exp(0.5) / 1000) ** (2 / 3), rel=1e-8)
    assert checker.renyi_rate(bound, F(1, 2), F(3)) >= F(1, 1000)
    assert renyi(F(9, 10), F(2), F(2)) == 1


def test_renyi_bounds_the_gaussian_half_space():
    """P = N(0, 1), Q = N(s, 1): D_a = a s^2 / 2, and both probabilities of x > t are known."""
    for t, s, a in ((2.0, 1.0, 3), (3.0, 2.0, 2), (4.0, 1.5, 5)):
        p, q = math.erfc(t / math.sqrt(2)) / 2, math.erfc((t - s) / math.sqrt(2)) / 2
        assert float(renyi(F(q), F(a) * F(s) ** 2 / 2, F(a))) >= p


@pytest.mark.parametrize("t", [1.0, 2.0, 3.0, 4.0])
def test_a_gaussian_half_space_is_covered_and_not_vacuously(t):
    """x > t under N(0, 1), of probability Phi(-t). All of x <= t - 1/2 is proved safe; 400 draws come from the rest.

    In 1000 repetitions the bound is too small as often as its level says at most (5 standard deviations are allowed
    for), and never ten times too large.
    """
    level, draws, repetitions = F(1, 20), 400, 1000
    truth, mass = (math.erfc(s / math.sqrt(2)) / 2 for s in (t, t - 0.5))
    low = 1 - mass
    cells = [Cell(F(low), "certified"), Cell(1 - F(low), "sampled", (low,), (1.0,), draws, F(1))]
    failures = np.random.default_rng(int(t)).binomial(draws, truth / mass, repetitions)
    bounds = {k: total_bound(cells, [0, k], level) for k in set(failures.tolist())}
    wrong = sum(bounds[k] < F(truth) for k in failures.tolist())
    assert wrong <= float(level) * repetitions + 5 * math.sqrt(float(level) * repetitions)
    assert max(bounds.values()) < 10 * F(truth)


def test_cells_add_up():
    open_cell = Cell(F(1, 10), "open")
    proved = Cell(F(6, 10), "certified")
    sampled = Cell(F(3, 10), "sampled", (0.0,), (1.0,), 800, F(1))
    assert total_bound([proved], [0], LEVEL) == F(4, 10)  # mass without a cell is open
    whole = total_bound([open_cell, proved, sampled], [0, 0, 0], LEVEL)
    assert whole == F(1, 10) + F(3, 10) * clopper_pearson.upper_bound(0, 800, LEVEL)
    assert total_bound([Cell(F(1), "certified")], [0], LEVEL) == 0
    with pytest.raises(ValueError, match="share"):
        total_bound([sampled, sampled], [0, 0], LEVEL)
    assert sum(allocate([F(1, 4), F(1, 2), F(1, 4)], 100)) == 100
    assert min(allocate([F(1, 10**9), F(1)], 10)) == 1


def test_joint_bound_of_cells_covers_exactly():
    """Two sampled cells with known rates, all outcomes enumerated."""
    level = F(1, 10)
    cells = [
        Cell(F(1, 3), "sampled", (0.0,), (1.0,), 12, F(1, 2)),
        Cell(F(2, 3), "sampled", (1.0,), (2.0,), 9, F(1, 2)),
    ]
    bounds = {(i, j): total_bound(cells, [i, j], level) for i in range(13) for j in range(10)}
    for p, q in itertools.product((F(1, 20), F(1, 5), F(1, 2)), repeat=2):
        truth = p / 3 + 2 * q / 3
        wrong = sum(
            math.comb(12, i) * p**i * (1 - p) ** (12 - i) * math.comb(9, j) * q**j * (1 - q) ** (9 - j)
            for (i, j), bound in bounds.items()
            if bound < truth
        )
        assert wrong <= level


@pytest.mark.parametrize("bad", [(-1, 5, LEVEL), (6, 5, LEVEL), (0, 0, LEVEL), (0, 5, F(0)), (0, 5, F(1))])
def test_nonsense_is_refused(bad):
    with pytest.raises(ValueError, match=r"failures|level"):
        clopper_pearson.upper_bound(*bad)
