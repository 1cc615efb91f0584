"""Radii of smoothed classifiers, against the linear one: its margin over the norm of its weights, whatever sigma is."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import NormalDist
from unittest.mock import patch

import numpy as np
import pytest

from specs.errors import CertificateError, CertifyError
from specs.overseer.python_overseer import OverseerError
from tests.checker.smoothed_statements import CENTER, DISTANCE, SIGMA, linear, smoothed
from verifier import api
from verifier.checker.normal import normal_cdf_up
from verifier.checker.statistics_bounds import tail_is_small
from verifier.checking import run_checker
from verifier.relaxed_checker.quantiles import cube
from verifier.smoothing.radius import NoRadius, certify_radius, radius_from
from verifier.smoothing.votes import CHOICE, Noise, Votes
from verifier.statistics.clopper_pearson import upper_bound
from verifier.statistics.ledger import LedgerError
from verifier.statistics.sampling import draws

F = Fraction
PHI = NormalDist()


def test_the_radius_of_a_linear_classifier_is_found_by_draws(tmp_path):
    """Noise of deviation 0.02 and 8000 draws: sqrt(p (1 - p) / n) / phi(z) is 0.015 deviations, or 3e-4."""
    model = linear(tmp_path / "m.onnx", weights=(2.0, -1.0, 2.0), bias=0.125)
    center = (F("0.25"), F("0.6"), F("0.01"))  # (0.5 - 0.6 + 0.02 + 0.125) / 3
    with patch("verifier.statistics.ledger.os.fsync"):
        found = certify_radius(tmp_path, model, center, F("0.02"), queries=8000, confidence=F("0.95"))
    assert found.label == 0
    assert abs(found.radius - F("0.015")) < F(1, 1000)


@pytest.mark.parametrize(("distance", "sigma"), [(F("0.1"), F("0.25")), (F("0.4"), F("0.25")), (F("0.1"), F("0.05"))])
def test_with_votes_as_expected_it_is_found_for_any_noise(sigma, distance):
    """Ten million draws, of which exactly as many fail as are expected; the checker's own bounds agree."""
    draws, level = 10**7, F(1, 1000)
    failures = round(draws * PHI.cdf(-float(distance / sigma)))
    upper = upper_bound(failures, draws, level)
    radius = radius_from(sigma, upper)
    assert radius < distance
    assert distance - radius < F(1, 1000)
    assert tail_is_small(draws, failures, upper, level)
    assert normal_cdf_up(radius / sigma) <= 1 - upper


@pytest.mark.peer
@pytest.mark.parametrize(
    ("votes", "draws"), [(99, 100), (100, 100), (990, 1000), (52_000, 100_000), (100_000, 100_000)]
)
def test_it_is_that_of_the_paper(votes, draws):
    """CERTIFY of Cohen and others: sigma Phi^-1 of the one-sided limit of Clopper and Pearson, here by scipy."""
    stats = pytest.importorskip("scipy.stats")
    level = F(1, 1000)
    found = radius_from(SIGMA, upper_bound(draws - votes, draws, level))
    peer = float(SIGMA) * stats.norm.ppf(stats.beta.ppf(float(level), votes, draws - votes + 1))
    assert float(found) <= peer * (1 + 1e-12)
    assert float(found) == pytest.approx(peer, rel=1e-6)


@pytest.mark.parametrize("distance", [0.2, 1.0, 2.5])
@pytest.mark.parametrize("draws", [50, 1000])
def test_it_is_too_large_as_seldom_as_the_confidence_says(distance, draws):
    """Of 2000 statements at confidence 0.95, about votes of a known share."""
    level, repetitions = F(1, 20), 2000
    counts = np.random.default_rng(draws).binomial(draws, PHI.cdf(-distance), repetitions).tolist()
    radii = {k: radius_from(F(1), upper_bound(k, draws, level)) for k in set(counts)}
    wrong = sum(radii[k] > distance for k in counts)
    mean = float(level) * repetitions
    assert wrong <= mean + 5 * math.sqrt(mean * (1 - float(level)))


def test_that_holds_of_votes_that_are_cast_too(tmp_path):
    """300 statements from 60 draws each, by their own seeds."""
    level, repetitions, draws_each = F(1, 20), 300, 60
    votes = Votes(Noise(linear(tmp_path / "m.onnx"), CENTER, SIGMA), 0)
    wrong = 0
    for seed in range(repetitions):
        failures = sum(votes.ask([u.tolist()], 1.0) < 0 for u in islice(draws(cube(2), seed), draws_each))
        wrong += radius_from(SIGMA, upper_bound(failures, draws_each, level)) > DISTANCE
    mean = float(level) * repetitions
    assert 0 < wrong <= mean + 5 * math.sqrt(mean * (1 - float(level)))


def test_a_long_centre_is_named_by_the_file(tmp_path):
    """Float64 numbers, exactly; the classes meet at the distance 0.6 / sqrt(6)."""
    model = linear(tmp_path / "m.onnx", weights=(1.0,) * 6)
    center = tuple(map(F, [0.1] * 6))
    with patch("verifier.statistics.ledger.os.fsync"):
        found = certify_radius(tmp_path, model, center, F("0.1"), queries=100)
    assert "x0 = the 6 numbers of the file" in found.claim
    assert 0 < float(found.radius) < 0.6 / math.sqrt(6)
    assert "x0 = 6 numbers (sha256:" in run_checker(found.file, model, None, False, {}).reason


def test_the_noise_is_normal(tmp_path):
    """The votes for class 0 are as often as they are for normal noise, up to five standard deviations."""
    found = smoothed(tmp_path, queries=4000)
    share = PHI.cdf(float(DISTANCE / SIGMA))
    votes = 4000 - found.statement.failures
    assert abs(votes - 4000 * share) < 5 * math.sqrt(4000 * share * (1 - share))


def test_the_sentence_is_about_the_vote(tmp_path):
    found = smoothed(tmp_path)
    assert found.claim_class == "statistical(99/100)"
    for words in ("CLASS statistical(99/100)", "smoothed classifier", "returns most often", "x0 = (0.02, 0.01)",
                  "N(0, 0.05^2 I)", "anything about the network f itself",
                  "fixed before the first answer"):  # fmt: skip
        assert words in found.claim


def test_the_same_draws_give_the_same_statement(tmp_path):
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        found = smoothed(tmp_path / name)
        lines = [
            json.loads(line) for line in (tmp_path / name / "smoothed.votes.ledger.jsonl").read_text().splitlines()
        ]
        answers = [(line.get("arguments"), line.get("answer")) for line in lines]
        made.append((found.radius, found.label, found.claim, answers))
    assert made[0] == made[1]
    before = found.file.read_bytes()
    assert smoothed(tmp_path / "two").file.read_bytes() == before  # nothing is asked twice
    assert smoothed(tmp_path / "one", name="again", seed=1).radius != found.radius


def test_the_class_is_chosen_by_draws_that_do_not_count(tmp_path):
    """The same class, given or chosen, is asked about at the same draws, none of which chose it."""
    noise = Noise(linear(tmp_path / "m.onnx"), CENTER, SIGMA)
    seen = []
    with patch.object(Noise, "scores", lambda self, ranks: seen.append(tuple(ranks)) or np.array([0.0, 1.0])):
        assert noise.popular(50, seed=3) == 1
    found = smoothed(tmp_path, seed=3, label=0)
    lines = [json.loads(line) for line in (tmp_path / "smoothed.votes.ledger.jsonl").read_text().splitlines()]
    asked = {tuple(map(float.fromhex, line["arguments"][0])) for line in lines if line["kind"] == "ask"}
    assert len(set(seen)) == 50
    assert not asked & set(seen)
    assert found.statement.plan.seed == 3 < CHOICE
    assert smoothed(tmp_path, name="chosen", seed=3).statement.failures == found.statement.failures


def test_without_a_majority_there_is_no_statement(tmp_path):
    with pytest.raises(NoRadius, match="class 1 is not shown to have the majority"):
        smoothed(tmp_path, label=1)
    assert not (tmp_path / "smoothed.nnstat").exists()


def test_a_tie_and_what_is_no_number_are_no_votes(tmp_path):
    noise = Noise(linear(tmp_path / "m.onnx", weights=(0.0, 0.0)), CENTER, SIGMA)
    assert Votes(noise, 0).ask([[0.5, 0.5]], 1.0) == -1.0
    with pytest.raises(OverseerError, match="rank of 0 or 1"):
        Votes(noise, 0).ask([[0.5, 0.0]], 1.0)
    with (
        patch.object(noise.graph.__class__, "evaluate_flat", lambda self, x: np.array([1.0, np.nan])),
        pytest.raises(OverseerError, match="no number"),
    ):
        Votes(noise, 0).ask([[0.5, 0.5]], 1.0)


def test_a_model_is_bound_by_its_votes(tmp_path):
    found = smoothed(tmp_path)
    result = run_checker(found.file, tmp_path / "m.onnx", None, False, {})
    assert result.accepted
    assert "all 400 votes are those of m.onnx" in result.reason
    assert api.check(found.file, tmp_path / "m.onnx")
    other = linear(tmp_path / "other.onnx", weights=(3.0, 4.5))
    with pytest.raises(CertificateError, match="another model"):
        run_checker(found.file, other, None, False, {})
    with (
        patch.object(Noise, "scores", lambda self, ranks: np.array([1.0, 0.0])),
        pytest.raises(CertificateError, match=r"the vote of draw \d+ is not that of"),
    ):
        run_checker(found.file, tmp_path / "m.onnx", None, False, {})


def test_the_page_says_what_happens(tmp_path, monkeypatch, capsys):
    """The script of the page prints what stands below it there."""
    monkeypatch.chdir(tmp_path)
    linear(tmp_path / "model.onnx")
    page = (Path(__file__).parents[4] / "docs" / "observations.md").read_text()
    script, printed = re.search(
        r"## The vote under noise.*?```python\n(.*?)```\n\n```\n(.*?)\.\.\.\n", page, re.S
    ).groups()
    with patch("verifier.statistics.ledger.os.fsync"):
        exec(script, {})
    assert capsys.readouterr().out.startswith(printed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": F(0)}, "sigma has to be positive"),
        ({"sigma": F(1, 3)}, "have to be decimals"),
        ({"center": (F(1),)}, "takes 2 numbers and gives 2"),
        ({"label": 2}, "classes 0 to 1, and no 2"),
    ],
)
def test_faults_are_told(tmp_path, options, message):
    given = {"model": linear(tmp_path / "m.onnx"), "center": CENTER, "sigma": SIGMA, **options}
    with pytest.raises(CertifyError, match=message):
        certify_radius(tmp_path, **given)


def test_a_ledger_of_other_terms_is_not_gone_on_with(tmp_path):
    smoothed(tmp_path, label=0)
    with pytest.raises(LedgerError):
        smoothed(tmp_path, label=1)
