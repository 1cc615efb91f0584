"""Requirements in which everything cancels, and values of parameters that do not survive an overseer's error."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, write_network
from verifier.api import certify, check

SPEC = """certify: "1.0"
name: cancels
models:
  a: {{path: a.onnx}}
{more}
inputs: {{x: {{shape: [1], box: {{lo: -1, hi: 1}}}}}}
let: {{y: a(x)}}
require:
  - {{id: r, assert: "{condition}"}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_network(tmp_path / "a.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))
    write_network(tmp_path / "b.onnx", ([[1, -1]], [0, 0]), ([[1], [2]], [0]))
    return tmp_path


@pytest.mark.parametrize("more", ["", "  b: {path: b.onnx}"], ids=["one network", "composed"])
@pytest.mark.parametrize("condition", ["y[0] - y[0] <= 1", "0*y[0] < 1", "a(x)[0] <= a(x)[0]", "x[0] <= 2"])
def test_what_nothing_can_violate_is_certified_and_says_so(folder: Path, more: str, condition: str) -> None:
    spec = folder / "s.yaml"
    spec.write_text(SPEC.format(more=more, condition=condition))
    report = certify(None, spec, out=folder / "out", workers=1, timeout=20)
    (answer,) = report.requirements
    assert (answer.verdict, report.exit_code) == ("certified", 0)
    assert "anything about the network by r: it holds whatever the network computes" in answer.sentence
    assert check(answer.certificate.path, spec=spec).accepted
    assert check(answer.certificate.path, spec=spec, exact=True).accepted
    spec.write_text(SPEC.format(more=more, condition="y[0] <= 1.5"))
    assert not _accepted(answer.certificate.path, spec), "the proof is about no other requirement"


def _accepted(certificate: Path, spec: Path) -> bool:
    from specs.errors import CertificateError

    try:
        return check(certificate, spec=spec).accepted
    except CertificateError:
        return False


@pytest.mark.parametrize("condition", ["y[0] - y[0] < 0", "0*y[0] >= 1"])
def test_what_every_input_violates_is_violated(folder: Path, condition: str) -> None:
    (folder / "s.yaml").write_text(SPEC.format(more="", condition=condition))
    assert certify(None, "s.yaml", workers=1, timeout=20).exit_code == 1


def test_lint_gives_the_line(folder: Path, cli: Cli) -> None:
    (folder / "s.yaml").write_text(SPEC.format(more="  b: {path: b.onnx}", condition="y[0] - y[0] <= 1"))
    assert "s.yaml:9: r: it holds whatever the network computes" in cli("lint", "s.yaml").stdout
    measured = cli("frontier", "s.yaml")
    assert measured.returncode == 2
    assert "requirement r: it holds whatever the network computes, so there is nothing to measure" in measured.stderr
    refused = cli("export", "s.yaml", "--out", "queries")
    assert refused.returncode == 2
    assert "requirement r: it holds whatever the network computes: nothing can violate it" in refused.stderr


def test_a_value_that_an_error_withdraws_is_said_to_be_about_the_overseer_as_it_is(folder: Path) -> None:
    """The overseer answers |x| <= 1 and may be wrong by 0.5: K = 1 is proved of it as it is, and of no other."""
    (folder / "s.yaml").write_text("""certify: "1.0"
name: withdrawn
overseers: {judge: {network: {path: a.onnx}, sees: [x]}}
inputs: {x: {shape: [1], box: {lo: -1, hi: 1}}}
require:
  - {id: r, assert: "judge(x)[0] <= K", solve_for: {K: {minimize: true, range: [0, 4], resolution: 0.01}}}
assume: [{id: A, text: it is nearly right, error: {overseer: judge, at_most: 0.5}}]
gate: {max: {r.K: 2}}
""")
    report = certify(None, "s.yaml", workers=1, timeout=30)
    (answer,) = report.requirements
    assert answer.verdict == "unknown"
    assert answer.reason.startswith("assumption: A allows for an error of judge of 0.5")
    assert 1 <= answer.solution.proved <= Fraction(101, 100)
    assert "SOLVED FOR THE SMALLEST K OF THE OVERSEERS AS THEY ARE: K in [" in answer.sentence
    assert "with the errors that are allowed for, the value is not proved" in answer.sentence
    assert answer.to_json()["parameter"]["overseers_as_they_are"] is True
    assert report.missed == ("r.K: at most 2.0 is wanted, nothing is proved",)
