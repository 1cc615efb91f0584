"""Statements about smoothed classifiers: the distribution function behind them, and what a forger may try."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.checker.relaxed_statements import parts_of, repacked
from tests.checker.smoothed_statements import CENTER, SIGMA, linear, passes, restated, smoothed, stated, verdict
from tests.checker.statements import F, asking, forged
from tests.checker.statements import passes as statement_passes
from tests.checker.statements import restated as told_anew
from verifier.checker.normal import normal_cdf_up
from verifier.checking import run_checker
from verifier.relaxed_checker.identity import identity
from verifier.relaxed_checker.quantiles import cube
from verifier.smoothing.radius import radius_from
from verifier.smoothing.votes import Noise, Votes
from verifier.statistics.plan import Plan
from verifier.statistics.queries import ask_all
from verifier.statistics.sampling import Box, Mixture, Rows, Seeds
from verifier.statistics.statement import rows_hash, write_statement

HIGH = F(99, 100)


def _phi(z: Fraction):
    """By the complementary error function of mpmath, to 80 digits."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(80):
        return 1 - mpmath.erfc(mpmath.mpf(z.numerator) / z.denominator / mpmath.sqrt(2)) / 2


def _is_above_and_near(z: Fraction) -> bool:
    import mpmath

    with mpmath.workdps(80):
        found = normal_cdf_up(z)
        gap = mpmath.mpf(found.numerator) / found.denominator - _phi(z)
        return 0 <= gap < mpmath.mpf("1e-40")


def test_the_distribution_function_is_bounded_from_above_and_nearly_met():
    pytest.importorskip("mpmath")
    rng = np.random.default_rng(0)
    points = [*rng.uniform(0, 4, 6000), *rng.uniform(4, 14, 3000), *10.0 ** rng.uniform(-30, 0, 1000)]
    assert all(_is_above_and_near(Fraction(z)) for z in points)


HOSTILE = (
    "0", "1/10000000000000000000000000000000000000000", "14", f"13{'9' * 26}/1{'0' * 26}",
    "1/3", "1", "2", "7", "1.4142135623730950488016887242096980785696718753769480731766797",
    f"{10**400 + 1}/{10**400}", f"1/{10**900}", f"{2**1500 + 1}/{2**1499}",
)  # fmt: skip


@pytest.mark.parametrize("z", HOSTILE)
def test_at_hostile_points_too(z):
    pytest.importorskip("mpmath")
    assert _is_above_and_near(Fraction(z))


def test_far_out_nothing_is_claimed():
    assert normal_cdf_up(F(14) + F(1, 10**900)) == 1
    assert normal_cdf_up(F(10**900)) == 1
    assert normal_cdf_up(F(14)) < 1
    with pytest.raises(ValueError, match="upper half"):
        normal_cdf_up(F(-1))


def test_radii_that_are_proposed_are_proved_and_hardly_smaller_than_they_could_be():
    """For bounds on other votes from 1e-30 to just below one half, and deviations of all sizes."""
    rng = np.random.default_rng(1)
    bounds = [
        *10.0 ** rng.uniform(-30, -1, 300),
        *rng.uniform(0.1, 0.49, 300),
        *(0.5 - 10.0 ** rng.uniform(-9, -2, 300)),
    ]
    for upper in map(Fraction, bounds):
        sigma = Fraction(float(10.0 ** rng.uniform(-6, 6)))
        radius = radius_from(sigma, upper)
        assert normal_cdf_up(radius / sigma) <= 1 - upper
        assert normal_cdf_up(radius / sigma * (1 + F(1, 10**11)) + F(1, 10**12)) > 1 - upper
    assert radius_from(F(1), F(1, 2)) == radius_from(F(1), F(3, 4)) == radius_from(F(1), F(1)) == 0


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return smoothed(tmp_path_factory.mktemp("honest"))


def test_an_honest_statement_is_accepted_in_words(honest):
    found = verdict(honest.file.read_bytes())
    assert found.accepted, found.reason
    for words in ("smoothed classifier g", "not the network f itself", "class 0", "at confidence 99/100",
                  "N(0, (1/20)^2 I)", "x0 = (1/50, 1/100)", "stand for normal noise",
                  honest.votes.noise.model):  # fmt: skip
        assert words in found.reason
    result = run_checker(honest.file, None, None, False, {})
    assert (result.accepted, result.kind) == (True, "statistical")
    assert result.claim == honest.claim


FORGED = {
    "a radius larger by 1e-9": lambda m: {"radius": str(F(m["radius"]) + F(1, 10**9))},
    "a radius larger by 1e-11": lambda m: {"radius": str(F(m["radius"]) + F(1, 10**11))},
    "no radius": lambda m: {"radius": "0"},
    "a radius below 0": lambda m: {"radius": "-1"},
    "a huge radius": lambda m: {"radius": "9" * 999},
    "a radius that is no number": lambda m: {"radius": "inf"},
    "a radius as a float": lambda m: {"radius": float(m["radius"])},
    "more noise": lambda m: {"sigma": "0.06", "radius": str(F(m["radius"]) * F(6, 5))},
    "less noise": lambda m: {"sigma": "0.04"},
    "no noise": lambda m: {"sigma": "0"},
    "noise below 0": lambda m: {"sigma": "-0.05", "radius": f"-{m['radius']}"},
    "another class": lambda m: {"class": 1},
    "a class that is true": lambda m: {"class": True},
    "another centre": lambda m: {"center": ["0.02", "0.011"]},
    "a centre turned round": lambda m: {"center": m["center"][::-1]},
    "a longer centre": lambda m: {"center": [*m["center"], "0"]},
    "a shorter centre": lambda m: {"center": m["center"][:1]},
    "no centre": lambda m: {"center": "0.02"},
    "another network": lambda m: {"model": "9" * 64},
    "a network by its name": lambda m: {"model": "m.onnx"},
    "another version": lambda m: {"version": 2},
    "another format": lambda m: {"format": "nnrelaxed"},
    "a key more": lambda m: {"kappa": "1"},
}


@pytest.mark.parametrize("which", FORGED)
def test_forged_statements_are_refused(honest, which):
    data = honest.file.read_bytes()
    assert passes(data)
    assert not passes(restated(data, **FORGED[which](stated(data))))


def test_members_are_what_they_are_called(honest):
    parts = parts_of(honest.file.read_bytes())
    assert not passes(repacked({**parts, "extra": b""}))
    assert not passes(repacked({"smoothing.json": parts["smoothing.json"]}))
    assert not passes(repacked({**parts, "votes.nnstat": honest.file.read_bytes()}))
    lower = told_anew(parts["votes.nnstat"], upper="0.0001")
    assert not passes(repacked({**parts, "votes.nnstat": lower}))


def _replaced(honest, votes: bytes) -> bytes:
    """The file with other votes, and a radius so small that any majority would do."""
    return restated(repacked({**parts_of(honest.file.read_bytes()), "votes.nnstat": votes}), radius="0.000001")


class _Called:
    """Whoever answers under the hash of somebody else: that all is well."""

    name = "somebody"

    def __init__(self, sha256):
        self.sha256 = sha256

    def ask(self, arguments, seconds):
        return 1.0


CUBE = cube(2)
HALF = Box((0.0, 0.0), (1.0, 0.5))
TABLE = np.full((4, 2), 0.75)
PLAN = Plan("smoothed.votes", CUBE, 0, 60, HIGH)
OTHER_PLANS = {
    "kappa": replace(PLAN, method="domination", kappa=F(1), nature="another law"),
    "a divergence": replace(PLAN, method="renyi", divergence=F(0), order=F(64), nature="another law"),
    "a law that is named": replace(PLAN, nature="another law"),
    "weights": replace(PLAN, sampler=Mixture((F(1, 2), F(1, 2)), (CUBE, HALF)), method="importance"),
    "a part of the cube": replace(PLAN, sampler=HALF),
    "a larger cube": replace(PLAN, sampler=cube(3)),
    "a mixture": replace(PLAN, sampler=Mixture((F(1),), (CUBE,))),
    "rows": replace(PLAN, sampler=Rows(4, 2, rows_hash(TABLE))),
    "seeds": replace(PLAN, sampler=Seeds()),
    "an event that never happens": replace(PLAN, below=F(-2)),
    "an event of another number": replace(PLAN, below=F(1, 2)),
}


def _votes(folder, overseer, plan, respond=lambda x: [x.tolist()], **options) -> bytes:
    data = TABLE if isinstance(plan.sampler, Rows) else None
    with asking(folder / "l.jsonl", overseer, **options) as queries:
        ask_all(queries, plan, respond, data)
    write_statement(folder / "s.nnstat", folder / "l.jsonl", plan.name, data)
    return (folder / "s.nnstat").read_bytes()


def test_a_liar_is_believed(honest, tmp_path):
    """So that the cases below are refused for what is wrong with them, and nothing else."""
    assert passes(_replaced(honest, _votes(tmp_path, _Called(honest.votes.sha256), PLAN)))


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        ({}, True),
        ({"sigma": "0"}, False),
        ({"sigma": "-1/20"}, False),
        ({"sigma": "-1/20", "radius": "-1/1000000"}, False),
        ({"radius": "0"}, False),
        ({"model": "m.onnx"}, False),
    ],
)
def test_votes_in_the_name_of_what_is_stated_do_not_help(honest, tmp_path, change, accepted):
    """The overseer's name is made from the forged statement, so that this is not what gives it away."""
    found = {**stated(honest.file.read_bytes()), **change}
    called = identity("smoothed", found["model"], str(F(found["sigma"])), "0", *map(str, CENTER))
    assert passes(restated(_replaced(honest, _votes(tmp_path, _Called(called), PLAN)), **change)) == accepted


@pytest.mark.parametrize("which", OTHER_PLANS)
def test_votes_by_another_plan_are_refused(honest, tmp_path, which):
    """For being about something else: as statements of their own they are accepted."""
    votes = _votes(tmp_path, _Called(honest.votes.sha256), OTHER_PLANS[which])
    assert statement_passes(votes)
    assert not passes(_replaced(honest, votes))


def test_votes_of_another_kind_of_overseer_are_refused(honest, tmp_path):
    called = _Called(honest.votes.sha256)
    for name, asked in (
        ("random", lambda folder: _votes(folder, called, PLAN, deterministic=False)),
        ("further", lambda folder: _votes(folder, called, PLAN, lambda x: [x.tolist(), [1.0]])),
        ("other", lambda folder: _votes(folder, _Called("0" * 64), PLAN)),
    ):
        (tmp_path / name).mkdir()
        assert not passes(_replaced(honest, asked(tmp_path / name))), name


def test_the_side_that_lost_has_no_radius(honest, tmp_path):
    """Votes against class 1, honestly counted, and stated as they are."""
    noise = Noise(linear(tmp_path / "m.onnx"), CENTER, SIGMA)
    votes = _votes(tmp_path, Votes(noise, 1), PLAN)
    found = verdict(restated(_replaced(honest, votes), **{"class": 1}))
    assert not found.accepted
    assert "more than half of the votes" in found.reason


def _fewer(lines):
    for line in lines:
        if line["kind"] == "plan":
            line["plan"]["queries"] = 399


def _of_another_seed(lines):
    for line in lines:
        if line["kind"] == "plan":
            line["plan"]["seed"] = 9


@pytest.mark.parametrize("change", [_fewer, _of_another_seed])
def test_votes_of_other_draws_are_refused(honest, change):
    votes = parts_of(honest.file.read_bytes())["votes.nnstat"]
    assert passes(_replaced(honest, votes))
    assert not passes(_replaced(honest, forged(votes, change)))


def test_the_manifest_holds_exact_decimals(honest):
    found = json.loads(parts_of(honest.file.read_bytes())["smoothing.json"])
    assert (found["sigma"], found["center"], found["class"]) == ("0.05", ["0.02", "0.01"], 0)
    assert F(found["radius"]) == honest.radius
