"""The bounds of D1 and D2 are too small as seldom as they say: by enumeration, and for rare events by simulation."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest

from tests.checker.statements import asking, stand
from verifier.checker import statistics_bounds as checker
from verifier.relaxed_checker.asking import Flags, Runs
from verifier.relaxed_checker.laws import Normal, divergence_of_normals, domination_of_normals
from verifier.relaxed_checker.plans import domination_plan, renyi_plan, search_plan
from verifier.relaxed_checker.quantiles import OfQuantiles, cube
from verifier.statistics.clopper_pearson import upper_bound
from verifier.statistics.importance import domination, renyi
from verifier.statistics.queries import ask_all

F = Fraction
LEVEL = F(1, 20)
REPETITIONS = 1000
PHI = NormalDist()
P = Normal((F(0),), (F(1),))
WIDE = Normal((F(0),), (F(11, 10),))  # the right proposal: a little wider than nature
ORDER = F(32)


def pmf(k, n, p):
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


def rarely(wrong: int) -> bool:
    """As seldom as the level says, up to five standard deviations."""
    mean = float(LEVEL) * REPETITIONS
    return wrong <= mean + 5 * math.sqrt(mean * (1 - float(LEVEL)))


DRAWS = {1.0: 2000, 2.0: 20_000, 3.0: 200_000, 4.0: 2_000_000}


@pytest.mark.parametrize("t", DRAWS)
@pytest.mark.parametrize("form", ["domination", "renyi"])
def test_a_gaussian_half_space(t, form):
    """x > t under N(0, 1), of probability Phi(-t), by draws of N(0, 1.1^2): never below the truth too often, and less
    than ten times the truth. The checker proves each bound again."""
    truth, q = F(PHI.cdf(-t)), PHI.cdf(-t / 1.1)
    kappa, divergence = domination_of_normals(P, WIDE), divergence_of_normals(P, WIDE, ORDER)
    assert kappa == F(11, 10)
    counts, bounds = np.random.default_rng(int(t)).binomial(DRAWS[t], q, REPETITIONS).tolist(), {}
    for k in set(counts):
        rate = upper_bound(k, DRAWS[t], LEVEL)
        bounds[k] = domination(rate, kappa) if form == "domination" else renyi(rate, divergence, ORDER)
    assert sum(bounds[k] < truth for k in counts) <= LEVEL * REPETITIONS
    assert max(bounds.values()) < 10 * truth
    k = counts[0]
    stated = bounds[k] / kappa if form == "domination" else checker.renyi_rate(bounds[k], divergence, ORDER)
    assert checker.tail_is_small(DRAWS[t], k, stated, LEVEL)


@pytest.mark.parametrize("t", DRAWS)
def test_a_gaussian_half_space_by_draws_of_nature_itself(t):
    """Here nothing is lost to kappa: the bound is wrong about as often as its level says, and no more."""
    truth = F(PHI.cdf(-t))
    assert domination_of_normals(P, P) == 1
    counts = np.random.default_rng(100 + int(t)).binomial(DRAWS[t], float(truth), REPETITIONS).tolist()
    bounds = {k: domination(upper_bound(k, DRAWS[t], LEVEL), F(1)) for k in set(counts)}
    wrong = sum(bounds[k] < truth for k in counts)
    assert rarely(wrong)
    assert wrong > 0  # a bound that is never wrong would be no test of coverage
    assert max(bounds.values()) < 10 * truth


def test_the_wrong_proposal_covers_but_says_little():
    """Draws shifted to the failure itself: half of them fail, no kappa is finite, the Renyi bound is far too large."""
    t = 3
    shifted = Normal((F(t),), (F(1),))
    assert domination_of_normals(P, shifted) is None
    rate = upper_bound(500, 1000, LEVEL)
    orders = (F(11, 10), F(5, 4), F(3, 2), F(2))
    best = min(renyi(rate, divergence_of_normals(P, shifted, a), a) for a in orders)
    assert best > 100 * F(PHI.cdf(-t))


class HalfSpace:
    """Flags a number above 1."""

    name, sha256 = "half-space", "a" * 64

    def value(self, state):
        return float(state[0] > 1)

    guide = value


@pytest.mark.parametrize("form", ["domination", "renyi"])
def test_a_gaussian_half_space_from_the_ledger_to_the_checker(tmp_path, form):
    """The same with a file: ranks are drawn, states of N(0, 1.1^2) are asked about."""
    flags = Flags(OfQuantiles(HalfSpace(), WIDE))
    told = (F(1, 2), 1 - LEVEL, "N(0, 1)")
    if form == "domination":
        plan = domination_plan("flags", cube(1), 4, 400, *told, domination_of_normals(P, WIDE))
    else:
        plan = renyi_plan("flags", cube(1), 4, 400, *told, ORDER, divergence_of_normals(P, WIDE, ORDER))
    with asking(tmp_path / "l.jsonl", flags) as queries:
        ask_all(queries, plan, lambda x: [x.tolist()])
    statement, accepted = stand(tmp_path, plan.name)
    assert accepted
    assert PHI.cdf(-1) < float(statement.bounds.upper) < 2 * PHI.cdf(-1)


def test_the_sum_of_two_bounds_covers_exactly():
    """All outcomes of flags and misses enumerated, with as little room as there is: P[C] = kappa q + m."""
    flags, inputs, level = 14, 11, F(1, 10)
    one = [upper_bound(k, flags, level) for k in range(flags + 1)]
    two = [upper_bound(k, inputs, level) for k in range(inputs + 1)]
    for kappa in (F(1), F(2)):
        for q in (F(1, 30), F(1, 6), F(2, 5)):
            for m in (F(1, 50), F(1, 8)):
                wrong = sum(
                    pmf(i, flags, q) * pmf(j, inputs, m)
                    for i in range(flags + 1)
                    for j in range(inputs + 1)
                    if min(F(1), domination(one[i], kappa) + two[j]) < min(F(1), kappa * q + m)
                )
                assert wrong <= 2 * level


class Lucky:
    """An adversary that succeeds with a known probability."""

    name = "lucky"

    def __init__(self, rate):
        self.rate, self.sha256 = rate, "b" * 64

    def run(self, checker, seed):
        return _Found(float(np.random.default_rng(seed).random() < self.rate))


class _Found:
    def __init__(self, value):
        self.value = value


def test_searches_cover_exactly():
    runs = 25
    bounds = [upper_bound(k, runs, LEVEL) for k in range(runs + 1)]
    assert (1 - bounds[0]) ** runs <= LEVEL < (1 - bounds[0] * F(999_999, 10**6)) ** runs  # 1 - delta^(1/N)
    for rate in (F(1, 40), F(1, 9), F(1, 2), F(9, 10)):
        assert sum(pmf(k, runs, rate) for k in range(runs + 1) if bounds[k] < rate) <= LEVEL


def test_a_search_counts_its_successes(tmp_path):
    runs = Runs(HalfSpace(), Lucky(0.2))
    with asking(tmp_path / "l.jsonl", runs) as queries:
        ask_all(queries, search_plan("search", 200, F(1, 2), 1 - LEVEL), lambda x: [x.tolist()])
    statement, accepted = stand(tmp_path, "search")
    assert accepted
    assert statement.failures == sum(np.random.default_rng(seed).random() < 0.2 for seed in range(200))
    assert 0.2 < float(statement.bounds.upper) < 0.3
