"""What is said of polynomial questions: nothing without the checker's word, and no more than what was found."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

pytest.importorskip("cvxpy")

from specs.errors import CertificateError
from verifier.checking import run_checker
from verifier.polynomials import answer as answering
from verifier.polynomials.answer import answer_polynomials

SIMPLE = 'certify: "1.0"\nname: t\ninputs:\n  x: {shape: [1], box: {lo: -2, hi: 2}}\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "spec.yaml"
    file.write_text(SIMPLE + text)
    return file


def solving(assertion: str, direction: str = "maximize", ends: str = "[0, 1]") -> str:
    return f'require:\n  - {{id: r, assert: "{assertion}", solve_for: {{c: {{{direction}: true, range: {ends}}}}}}}\n'


def answered(file: Path, **more):
    (found,) = answer_polynomials(file, time.monotonic() + 30, more.pop("parameters", {}), **more).requirements
    return found


@pytest.mark.parametrize("assertion", ["x[0]**2 >= -1", "x[0] > 1"])
def test_nothing_is_said_or_kept_that_the_checker_refuses(tmp_path, monkeypatch, assertion):
    file = written(tmp_path, f'require:\n  - {{id: r, assert: "{assertion}"}}\n')
    real = answering.run_checker

    def refusing(*arguments):
        return replace(real(*arguments), accepted=False, reason="no")

    monkeypatch.setattr(answering, "run_checker", refusing)
    found = answered(file, out=tmp_path / "out")
    assert found.verdict == "unknown"
    assert found.certificate is None
    assert found.attack is None
    assert "the checker refused it: no" in found.reason
    assert not [kept for kept in (tmp_path / "out").rglob("*") if kept.is_file()]


def test_a_parameter_is_refuted_only_if_every_value_is(tmp_path):
    found = answered(written(tmp_path, solving("(c - 1/2)**2 <= 0.01 + 0*x[0]")))
    assert found.verdict == "unknown", "it holds for c = 1/2"
    found = answered(written(tmp_path, solving("x[0]**2 - 1 >= c")))
    assert found.verdict == "violated", "at x = 0 it fails for every c in [0, 1]"
    x = found.attack.point[0]
    assert "it fails at the input given, there for every c in [0, 1]" in found.sentence
    assert all(x**2 - 1 < c for c in (Fraction(0), found.refuted, Fraction(1)))


def test_a_refutation_at_the_far_end_alone_is_no_verdict(tmp_path):
    found = answered(written(tmp_path, solving("x[0]**2 + 1/2 >= c")), methods=["sample"])
    assert found.verdict == "unknown"
    assert found.refuted is not None


def test_the_witness_is_about_the_value_that_is_printed(tmp_path):
    file = written(tmp_path, solving("x[0]**2 - 1 >= c"))
    found = answered(file, out=tmp_path / "out")
    result = run_checker(found.attack.path, None, file, True, {})
    assert result.accepted
    assert result.kind == "witness"
    assert f"with c = {found.refuted}" in result.reason


def test_what_was_given_on_the_command_line_is_part_of_the_claim(tmp_path):
    file = written(tmp_path, 'let: {p: "x[0] - $c"}\nrequire:\n  - {id: r, assert: "p <= 0"}\n')
    found = answered(file, parameters={"c": "3"}, out=tmp_path / "out")
    assert "p <= 0 GIVEN $c = 3" in found.sentence
    assert found.to_json()["parameters"] == {"c": "3"}
    assert "GIVEN $c = 3" in run_checker(found.certificate.path, None, file, True, {"c": "3"}).claim
    with pytest.raises(CertificateError, match="not the specification"):
        run_checker(found.certificate.path, None, file, True, {"c": "4"})


def test_points_are_printed_exactly(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text(SIMPLE.replace("lo: -2, hi: 2", "lo: 1/3, hi: 1/3") + 'require: [{id: r, assert: "x[0] > 1/3"}]\n')
    assert ("fails at", "x[0] = 1/3") in answered(file).lines()


@pytest.mark.parametrize(("given", "used"), [(0, 0), (None, 7), (3, 3)])
def test_a_seed_that_is_given_wins(tmp_path, monkeypatch, given, used):
    file = written(tmp_path, 'require:\n  - {id: r, assert: "x[0]**2 >= -1"}\nengine: {seed: 7}\n')
    seen = []
    real = answering.decide

    def watched(question, spec, deadline, seed):
        seen.append(seed)
        return real(question, spec, deadline, seed)

    monkeypatch.setattr(answering, "decide", watched)
    answered(file, seed=given)
    assert seen == [used]


def test_a_value_outside_the_range_is_no_answer_to_the_question(tmp_path):
    wide = written(tmp_path, solving("x[0]**2 + 5 >= c", ends="[0, 3]"))
    kept = answered(wide, out=tmp_path / "out").certificate.path
    result = run_checker(kept, None, wide, True, {})
    assert result.accepted
    assert result.kind == "proof"
    assert "gates" not in result.reason
    narrow = written(tmp_path, solving("x[0]**2 + 5 >= c", ends="[0, 2]"))
    with pytest.raises(CertificateError, match="outside the range"):
        run_checker(kept, None, narrow, True, {})
    gated = written(tmp_path, solving("x[0]**2 + 5 >= c", ends="[0, 3]") + "gate: {min: {r.c: 4}}\n")
    assert "gates are not checked" in run_checker(kept, None, gated, True, {}).reason


def test_the_question_is_the_one_that_the_checker_read(tmp_path, monkeypatch):
    from verifier import checking

    file = written(tmp_path, 'require:\n  - {id: r, assert: "x[0]**2 >= -1"}\n')
    kept = answered(file, out=tmp_path / "out").certificate.path
    other = tmp_path / "other.yaml"
    other.write_text(SIMPLE + 'require:\n  - {id: r, assert: "x[0]**2 >= -2"}\n')
    second = answered(other, certificate=tmp_path / "second.nncert").certificate.path
    real = checking._asked

    def swapped(command):
        kept.write_bytes(second.read_bytes())
        return real(command)

    monkeypatch.setattr(checking, "_asked", swapped)
    with pytest.raises(CertificateError, match="not the specification"):
        run_checker(kept, None, file, True, {})


def test_honest_evidence_takes_a_small_part_of_the_work_allowed(tmp_path):
    from verifier.checker.sos import verdict_on_polynomials
    from verifier.checker.sos_format import read_evidence
    from verifier.checker.sos_polynomial import WORK, Work

    file = written(tmp_path, 'require:\n  - {id: r, assert: "x[0]**4 - 3*x[0]**2 + x[0] >= -6"}\n')
    evidence = read_evidence(answered(file, out=tmp_path / "out").certificate.path.read_bytes())
    work = Work()
    assert verdict_on_polynomials(evidence, work).accepted
    assert WORK - work.left < WORK / 10


def test_json_of_an_answer_can_be_written(tmp_path):
    assert json.dumps(answered(written(tmp_path, solving("x[0]**2 - 1 >= c"))).to_json())
