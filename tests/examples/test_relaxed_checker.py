"""The example with a relaxed checker: a search, a rate by way of flags, a cover, and a certificate."""

from __future__ import annotations

import runpy
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from specs.loading import load_model
from verifier import api

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "relaxed-checker"


@pytest.fixture(scope="module")
def stated(tmp_path_factory):
    """All statements of the example, and their folder; ledgers are not forced to the disk line by line."""
    out = tmp_path_factory.mktemp("out")
    with patch("verifier.statistics.ledger.os.fsync"):
        return runpy.run_path(str(FOLDER / "statements.py"))["states"](out), out


@pytest.fixture(scope="module")
def made():
    return runpy.run_path(str(FOLDER / "make.py"))


def test_each_statement_is_accepted_and_says_what_it_is_about(stated):
    found, out = stated
    for name in ("search.nnstat", "flagged.nnstat", "missed.nnstat", "natural.nnstat", "calm.nncover"):
        assert api.check(out / name), name
    assert (found.search.statement.failures, found.search.statement.answered) == (0, 300)
    assert (1 - found.search.statement.bounds.upper) ** 300 <= Fraction(1, 100)
    assert "DOES NOT SAY: that there is no such state" in found.search.claim
    assert "anything about natural inputs" in found.search.claim
    natural = found.natural
    assert natural.missed.failures == 0
    assert natural.upper == pytest.approx(float(natural.flagged.bounds.upper + natural.missed.bounds.upper), abs=1e-12)
    assert "dP/dQ <= 4" in natural.claim
    assert "CLASS statistical(49/50)" in natural.claim
    assert "CLASS sound" in found.cover.claim
    assert "about what the overseer says" in found.cover.claim


def test_the_bound_covers_the_rate_of_objections(stated, made):
    """New readings, judged without anything of the statistics."""
    judge = runpy.run_path(str(FOLDER / "panel.py"))["judge"]
    graph = load_model(FOLDER / "target.onnx")
    readings = made["natural"](np.random.default_rng(77), 20_000)
    rate = np.mean([judge(x, graph.evaluate_flat(x)) < 0 for x in readings])
    assert rate < 0.001 < float(stated[0].natural.upper) < 0.25


def test_nature_has_no_more_than_four_times_the_density_of_the_proposal(made):
    """Shares of cells of a grid that fits the stairs, five standard deviations allowed for."""
    told = runpy.run_path(str(FOLDER / "statements.py"))
    states = made["natural"](np.random.default_rng(5), 50_000) @ made["ENCODER"].T
    boxes = told["PROPOSAL"].parts
    inside = np.any([((states >= b.lower) & (states <= b.upper)).all(axis=1) for b in boxes], axis=0)
    assert inside.all()
    assert sum(float(v) for v in told["PROPOSAL"].weights) == pytest.approx(1)
    densities = {
        float(w) / np.prod(np.subtract(b.upper, b.lower)) for w, b in zip(told["PROPOSAL"].weights, boxes, strict=True)
    }
    assert max(densities) == pytest.approx(min(densities)) == pytest.approx(1.28)
    counts = np.histogram2d(*states.T, bins=(28, 32), range=[[-0.375, 0.5], [0, 1]])[0]
    share = counts / len(states)
    assert (share - 5 * np.sqrt(share / len(states)) <= float(told["KAPPA"]) * 1.28 / 32**2).all()


def test_the_relaxed_checker_is_proved_calm(tmp_path):
    report = api.certify(FOLDER / "target.onnx", FOLDER / "calm.yaml", out=tmp_path, workers=1)
    assert report["not-flagged"].verdict == "certified", report.sentence
    assert api.check(tmp_path / "calm.nncert", FOLDER / "target.onnx", FOLDER / "calm.yaml")


def test_the_specification_states_the_same_kind_of_bound(tmp_path):
    with patch("verifier.statistics.ledger.os.fsync"):
        report = api.certify(FOLDER / "target.onnx", FOLDER / "natural.yaml", out=tmp_path)
    answer = report["panel-ok"]
    assert answer.verdict == "certified", answer.sentence
    assert 0.001 < float(answer.rate.upper) < 0.4
    assert answer.spent.queries == 1500
    assert api.check(tmp_path / "natural.panel-ok.nnstat")


def test_the_target_is_what_the_script_makes(tmp_path, made):
    made["make_target"](tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (FOLDER / "target.onnx").read_bytes()
