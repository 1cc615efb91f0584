"""Relaxed checkers, the adversary, and calibration, against shares and maxima that are known."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from specs.errors import CertifyError
from specs.overseer.python_overseer import OverseerError
from tests.checker.statements import asking, stand
from verifier.relaxed_checker.adversary import Climb
from verifier.relaxed_checker.asking import Flags, Misses, Runs
from verifier.relaxed_checker.checkers import NetworkChecker, RoundedChecker
from verifier.relaxed_checker.compose import Inconsistent, calibrated
from verifier.relaxed_checker.embedding import Layer
from verifier.relaxed_checker.identity import identity
from verifier.relaxed_checker.laws import Normal
from verifier.relaxed_checker.learn import learn, one_sided, write
from verifier.relaxed_checker.plans import calibration_plan, domination_plan, search_plan
from verifier.relaxed_checker.quantiles import OfQuantiles, Ranks
from verifier.relaxed_checker.statements import calibrate
from verifier.statistics.queries import Budget, BudgetSpent, Queries, ask_all
from verifier.statistics.sampling import Box

F = Fraction
SQUARE = Box((0.0, 0.0), (1.0, 1.0))
TAU = F(1, 2)


class Above:
    """The overseer: objects where the two numbers add up to more than 3/2."""

    name, sha256 = "above.py:judge", "d" * 64

    def ask(self, arguments, seconds):
        return 1.5 - sum(arguments[0])


class Spread:
    """Rounds to the square of half-width 1/4 around the state."""

    name, sha256 = "spread", "1" * 64

    def draw(self, state, rng):
        return state + (rng.random(2) - 0.5) / 2


class Same:
    name, sha256 = "the input itself", "e" * 64

    def __call__(self, x):
        return list(x)


def rounded(queries, samples=400, seed=0):
    return RoundedChecker(queries, Spread(), lambda x: [x], "", samples, seed)


def test_a_rounded_checker_counts_objections(tmp_path):
    """On the line of a sum of 3/2 half of the square around the state is objected to, further up all of it."""
    with asking(tmp_path / "l", Above()) as queries:
        checker = rounded(queries, samples=300)
        assert checker.value([0.25, 0.5]) == 0
        assert checker.value([1.25, 1.0]) == 1
        middle = checker.value([0.75, 0.75])
        assert abs(middle - 0.5) < 5 * math.sqrt(0.25 / 300)
        asked = queries.spent.queries
        assert checker.value([0.75, 0.75]) == middle  # the same samples, whose answers are known
        assert queries.spent.queries == asked
        bounds = checker.bounds([0.75, 0.75], F(1, 1000))
        assert bounds.lower < middle < bounds.upper
        assert bounds.lower < F(1, 2) < bounds.upper


def test_a_rounded_checker_keeps_to_the_budget_of_its_overseer(tmp_path):
    with Queries(tmp_path / "l", Above(), Budget(25)) as queries:
        with pytest.raises(BudgetSpent):
            rounded(queries, samples=26).value([0.5, 0.5])
        assert queries.spent.queries == 25


def test_silence_of_the_overseer_counts_as_an_objection(tmp_path):
    class Silent(Above):
        def ask(self, arguments, seconds):
            raise OverseerError("no opinion")

    with Queries(tmp_path / "l", Silent(), Budget(5)) as queries:
        assert rounded(queries, samples=5).value([0.0, 0.0]) == 1


def test_identities_are_of_all_that_matters(tmp_path):
    with Queries(tmp_path / "l", Above(), Budget(5)) as queries:
        found = {rounded(queries, samples, seed).sha256 for samples in (1, 2) for seed in (0, 1)}
    climbs = [Climb(SQUARE), Climb(SQUARE, step=0.125), Climb(SQUARE, tries=9), Climb(Box((0.0, 0.0), (1.0, 2.0)))]
    assert len(found) == 4
    assert len({climb.sha256 for climb in climbs}) == 4
    checker = SimpleNamespace(name="c", sha256="2" * 64)
    misses = Misses(checker, Same(), Above(), TAU)
    assert misses.sha256 == identity("calibration", "1/2", "2" * 64, "e" * 64, "d" * 64)
    assert misses.sha256 != replace(misses, tau=F(1, 4)).sha256
    with pytest.raises(ValueError, match="single lines"):
        identity("a", "b\nc")


class Hill:
    name, sha256 = "hill", "3" * 64

    def guide(self, state):
        return 1 - math.dist(state, (0.7, 0.2))

    def value(self, state):
        return float(self.guide(state) > 0.98)


def test_the_adversary_climbs_and_can_be_run_again():
    climb = Climb(SQUARE)
    found = [climb.run(Hill(), seed) for seed in range(20)]
    assert sum(one.value for one in found) >= 19
    assert climb.run(Hill(), 7) == found[7]
    assert len({one.state for one in found}) == 20
    assert all(0 <= v <= 1 for one in found for v in one.state)
    assert climb.evaluations == 128


@pytest.mark.parametrize(("states", "successes"), [(Box((0.0, 0.0), (0.5, 0.5)), 0), (Box((0.5, 0.5), (1.0, 1.0)), 10)])
def test_the_adversary_against_a_slow_overseer(tmp_path, states, successes):
    """Where no rounding of a state reaches the line no run succeeds; where the corner is in reach all do. Questions of
    the runs are charged to the overseer's own ledger."""
    climb = Climb(states, starts=4, rounds=4, tries=2)
    with asking(tmp_path / "overseer.jsonl", Above()) as queries:
        checker = rounded(queries, samples=4)
        with asking(tmp_path / "l.jsonl", Runs(checker, climb)) as runs:
            ask_all(runs, search_plan("search", 10, TAU, F(9, 10)), lambda seed: [seed.tolist()])
        assert climb.evaluations * 4 <= queries.spent.queries <= 10 * (climb.evaluations + 1) * 4
    statement, accepted = stand(tmp_path, "search")
    assert accepted
    assert statement.failures == successes


def test_no_number_from_0_to_1_is_no_answer():
    for value in (math.nan, math.inf, -0.1, 1.5):
        checker = SimpleNamespace(name="c", sha256="2" * 64, value=lambda state, value=value: value)
        with pytest.raises(OverseerError, match="no number from 0 to 1"):
            Flags(checker).ask([[0.0]], 1.0)


def test_misses_ask_the_overseer_only_where_nothing_is_flagged():
    asked = []

    class Noted(Above):
        def ask(self, arguments, seconds):
            asked.append(arguments)
            return super().ask(arguments, seconds)

    checker = SimpleNamespace(name="c", sha256="2" * 64, value=lambda state: state[0])
    misses = Misses(checker, Same(), Noted(), TAU)
    assert misses.ask([[0.75, 1.0]], 1.0) == 1  # objected to and flagged
    assert asked == []
    assert misses.ask([[0.5, 1.0]], 1.0) == 0  # at the level is not above it
    assert misses.ask([[0.5, 1.125]], 1.0) < 0
    assert len(asked) == 2


def learned(folder, flipped=False):
    """A network that has learnt where the overseer objects, or the opposite."""
    states = np.random.default_rng(0).random((400, 2))
    bad = ((states.sum(axis=1) > 1.5) != flipped).astype(float)
    layers = one_sided(learn(states, bad, (8,)), states, bad, 0.5, 0.125, 0.0625)
    write(folder / "relaxed.onnx", layers)
    return NetworkChecker(folder / "relaxed.onnx"), states, bad


def test_a_network_learns_to_be_one_sided(tmp_path):
    checker, states, bad = learned(tmp_path)
    flags = np.array([checker.value(state.tolist()) > 0.5 for state in states])
    assert flags[bad > 0].all()
    assert flags.mean() < 2 * bad.mean()
    assert checker.sha256 == hashlib.sha256((tmp_path / "relaxed.onnx").read_bytes()).hexdigest()
    assert checker.value([0.0, 0.0]) == 0


@pytest.mark.parametrize("flipped", [False, True])
def test_calibration_rejects_an_inconsistent_checker(tmp_path, flipped):
    """The overseer objects to an eighth of the natural inputs; the flipped checker flags none of these."""
    checker, *_ = learned(tmp_path, flipped)
    misses = Misses(checker, Same(), Above(), TAU)
    natural = np.random.default_rng(9).random((300, 2))
    found = calibrate(tmp_path, "missed", misses, natural, lambda x: [x], "the square", F(99, 100))
    objected = (natural.sum(axis=1) > 1.5).sum()
    if flipped:
        assert found.statement.failures >= 0.9 * objected
        with pytest.raises(Inconsistent, match="rejected"):
            calibrated(found.statement, most=F(5, 100))
    else:
        assert found.statement.failures <= 1
        assert calibrated(found.statement, most=F(5, 100)) < F(3, 100)


def test_an_inconsistent_checker_seldom_passes(tmp_path):
    """One that is blind on exactly the share that is accepted passes at most as often as the level says."""
    level, blind, count = F(1, 10), F(1, 20), 60
    bounds = {}
    for k in range(count + 1):
        natural = np.linspace(0, 1, count).reshape(-1, 1)
        folder = tmp_path / str(k)
        folder.mkdir()
        checker = SimpleNamespace(name="c", sha256="2" * 64, value=lambda state: 0.0)
        few = (k - 0.5) / (count - 1)  # k of the numbers are below it
        asked = SimpleNamespace(name="o", sha256="4" * 64, ask=lambda a, s, few=few: a[0][0] - few)
        with asking(folder / "l.jsonl", Misses(checker, Same(), asked, TAU)) as queries:
            plan = calibration_plan("missed", natural, "numbers", 1 - level)
            ask_all(queries, plan, lambda x: [x.tolist()], natural)
        bounds[k] = calibration_bound(folder, natural)
        if bounds[k] > blind:
            break
    passing = [k for k, bound in bounds.items() if bound <= blind]
    share = sum(math.comb(count, k) * blind**k * (1 - blind) ** (count - k) for k in passing)
    assert passing == [0] or not passing
    assert share <= level


def calibration_bound(folder, natural):
    from verifier.statistics.statement import write_statement

    return write_statement(folder / "s", folder / "l.jsonl", "missed", natural).bounds.upper


def test_states_of_a_layer(tmp_path):
    checker, *_ = learned(tmp_path)
    hidden = next(node.name for node in checker.graph.nodes if node.name.startswith("hidden"))
    layer = Layer(tmp_path / "relaxed.onnx", hidden)
    assert len(layer([0.25, 0.5])) == 8
    assert min(layer([0.25, 0.5])) >= 0
    with pytest.raises(CertifyError, match="no tensor"):
        Layer(tmp_path / "relaxed.onnx", "elsewhere")


def test_ranks_of_states_are_where_the_states_are():
    law = Normal((F(1), F(0)), (F(2), F(1, 2)))
    ranks = Ranks(Same(), law)
    seen = []
    checker = SimpleNamespace(name="c", sha256="2" * 64, value=lambda state: seen.append(state) or 0.0)
    of = OfQuantiles(checker, law)
    for point in ([1.0, 0.0], [-2.5, 0.75], [4.0, -0.5]):
        assert of.value(ranks(point)) == 0
        assert seen.pop() == pytest.approx(point, abs=1e-12)
    assert ranks([1.0, 0.0]) == [0.5, 0.5]
    with pytest.raises(OverseerError, match="no state"):
        of.value([0.0, 0.5])
    assert ranks.sha256 != Ranks(Same(), Normal((F(0), F(0)), (F(2), F(1, 2)))).sha256


def test_a_plan_needs_a_level_below_1(tmp_path):
    with pytest.raises(ValueError, match="level"):
        domination_plan("p", SQUARE, 0, 5, F(1), F(9, 10), "n", F(1))


def test_no_answer_counts_as_a_flag(tmp_path):
    checker = SimpleNamespace(name="c", sha256="2" * 64, value=lambda state: math.nan)
    with asking(tmp_path / "l.jsonl", Flags(checker)) as queries:
        ask_all(queries, domination_plan("p", SQUARE, 0, 5, TAU, F(9, 10), "n", F(1)), lambda x: [x.tolist()])
    statement, accepted = stand(tmp_path, "p")
    assert accepted
    assert (statement.failures, statement.bounds.upper) == (5, 1)
