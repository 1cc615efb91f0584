"""Rates under a law of nature from draws of an adversary: ``nature`` and ``adversary: {kappa: K}``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from tests.cli.conftest import Cli, write_network
from tests.cli.test_rates import HEAD, INPUTS, limits, rare, written
from verifier.api import certify, check

NATURE = "adversary: {kappa: 4}\n"
TERMS = {"nature": "the readings of a house", "max_rate": 0.6}


@pytest.fixture
def absolute(tmp_path: Path) -> Path:
    """|x|, which is below t on a share t of [-1, 1]."""
    return write_network(tmp_path / "absolute.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))


def test_the_bound_is_kappa_times_that_of_the_draws(tmp_path: Path, absolute: Path) -> None:
    spec = written(tmp_path, HEAD, INPUTS, NATURE, "require:\n", rare("f(x)[0] < 0.0625", 400, **TERMS))
    (answer,) = certify(absolute, spec, out=tmp_path / "out").requirements
    x = -1 + 2 * np.random.Generator(np.random.PCG64(0)).random(400)
    failures = int((abs(x) < 0.0625).sum())
    assert answer.rate.failures == failures > 0
    assert float(answer.rate.upper) == pytest.approx(4 * limits(failures, 400, 0.001)[1], rel=1e-7)
    assert answer.verdict == "certified"
    for words in ("UNDER P = the readings of a house", "at most 4 with respect to", "BY domination", "dP/dQ <= 4"):
        assert words in answer.sentence
    result = check(answer.rate.file)
    assert result.accepted
    assert "P = 'the readings of a house'" in result.reason
    assert "dP/dQ <= 4" in result.reason


def test_a_law_that_is_dominated_is_covered(tmp_path: Path, absolute: Path) -> None:
    """Nature is uniform on [-1/4, 1/4]: its density is 4 times that of [-1, 1], and the event's rate is known."""
    spec = written(tmp_path, HEAD, INPUTS, NATURE, "require:\n", rare("f(x)[0] < 0.0625", 400, **TERMS))
    assert 0.25 <= float(certify(absolute, spec)["rare"].rate.upper) < 3 * 0.25


def test_beside_a_requirement_about_all_inputs(tmp_path: Path, absolute: Path) -> None:
    both = rare("f(x)[0] < 0.0625", 400, **TERMS) + '  - {id: all, assert: "f(x)[0] <= 2"}\n'
    spec = written(tmp_path, HEAD, INPUTS, "adversary: {kappa: 4, moves: [input]}\n", "require:\n", both)
    report = certify(absolute, spec, out=tmp_path / "out", workers=1)
    assert [one.verdict for one in report.requirements] == ["certified", "certified"]
    assert check(tmp_path / "out" / "rates.nncert", absolute, spec)


def test_lint_says_it_in_words(cli: Cli, tmp_path: Path, absolute: Path) -> None:
    spec = written(tmp_path, HEAD, INPUTS, NATURE, "require:\n", rare("f(x)[0] < 0.0625", 400, **TERMS))
    done = cli("lint", spec, absolute)
    assert done.returncode == 0, done.stderr
    assert "P = the readings of a house, of a density of at most 4 with respect to the uniform law" in done.stdout
    assert "bounded by domination" in done.stdout


FAULTS = {
    "no kappa": ("", {}, r":8:\d+: .*add adversary: \{kappa: K\}"),
    "no nature": (NATURE, {"nature": '""'}, r":7:\d+: adversary.kappa: which law"),
    "too few draws for kappa": (NATURE, {"max_rate": 0.05}, "even without any failure"),
    "both sides": (NATURE, {"sides": "both"}, "bounded from above"),
    "betting": (NATURE, {"method": "betting"}, "bounded from above"),
    "rows": (NATURE, {"distribution": "rows.npz"}, "no law has a density"),
    "kappa below 1": ("adversary: {kappa: 0.5}\n", {}, "expected a number from 1"),
    "moves in a layer": ("adversary: {kappa: 4, moves: [latent]}\n", {}, "moves"),
}


@pytest.mark.parametrize("which", FAULTS)
def test_faults_are_told_where_they_are(tmp_path: Path, absolute: Path, which: str) -> None:
    np.savez(tmp_path / "rows.npz", inputs=np.array([[0.5], [1.0]]))
    adversary, changes, words = FAULTS[which]
    event = rare("f(x)[0] < 0.0625", 400, **{**TERMS, **changes})
    spec = written(tmp_path, HEAD, INPUTS, adversary, "require:\n", event)
    with pytest.raises(SpecError, match=words):
        certify(absolute, spec)
