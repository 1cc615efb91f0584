"""Answers are read from evidence; anything inconsistent is an error and never a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.command import Command
from bench.process import Execution
from bench.results import agreement
from specs.errors import SpecError


def ran(exit_code: int = 0, stdout: str = "", stderr: str = "", killed: bool = False) -> Execution:
    return Execution(exit_code, killed, 0.1, 0.1, 10.0, stdout, stderr)


def files(tmp_path: Path, report: object = None) -> dict[str, str]:
    if report is not None:
        (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return {"json": str(tmp_path / "report.json"), "result": str(tmp_path / "result.txt")}


CERTIFY = Command.certify(seed=7, workers=2)
OTHER = Command.template("solver {model} {spec} {timeout}")


def test_reads_a_report(tmp_path: Path) -> None:
    certificate = {"path": "c", "checked": True, "bytes": 1234, "check_seconds": 0.25}
    report = {"verdict": "certified", "reason": "", "certificate": certificate, "versions": {"certify": "1.2"}}
    answer = CERTIFY.answer(ran(0), files(tmp_path, report))
    assert (answer.verdict, answer.check_seconds, answer.certificate_bytes) == ("certified", "0.25", "1234")
    assert answer.certificate_checked == "yes"
    assert answer.versions == {"certify": "1.2"}


@pytest.mark.parametrize("certificate", [None, {}, {"checked": False}, {"checked": "true"}, {"checked": 1}, "yes"])
def test_a_certificate_counts_only_when_the_checker_accepted_it(tmp_path: Path, certificate: object) -> None:
    answer = CERTIFY.answer(ran(0), files(tmp_path, {"verdict": "certified", "certificate": certificate}))
    assert answer.certificate_checked == "no"


@pytest.mark.parametrize(
    ("exit_code", "report"),
    [
        (0, {"verdict": "violated"}),
        (1, {"verdict": "certified"}),
        (3, {"verdict": "certified"}),
        (0, {}),
        (0, []),
        (0, None),
        (2, {"verdict": "certified"}),
        (70, {"verdict": "certified"}),
        (-11, {"verdict": "certified"}),
    ],
)
def test_a_report_at_odds_with_the_exit_code_is_an_error(tmp_path: Path, exit_code: int, report: object) -> None:
    answer = CERTIFY.answer(ran(exit_code, stderr="first\nlast words\n"), files(tmp_path, report))
    assert answer.verdict == "error"
    assert answer.reason


def test_a_killed_run_has_no_verdict_whatever_it_wrote(tmp_path: Path) -> None:
    assert CERTIFY.answer(ran(-9, killed=True), files(tmp_path, {"verdict": "certified"})).verdict == "killed"
    assert OTHER.answer(ran(-9, stdout="unsat", killed=True), files(tmp_path)).verdict == "killed"


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("unsat\n", "certified"),
        ("loading saturation.onnx\nSAT\n((X_0 1))\nunsat", "violated"),
        ("result: unknown", "unknown"),
        ("UNSAT", "certified"),
        ("satisfied unsatisfiable", "error"),
        ("", "error"),
    ],
)
def test_reads_the_first_word_of_another_tool(tmp_path: Path, said: str, verdict: str) -> None:
    assert OTHER.answer(ran(0, stdout=said), files(tmp_path)).verdict == verdict


def test_a_result_file_is_preferred_to_the_output(tmp_path: Path) -> None:
    (tmp_path / "result.txt").write_text("unsat", encoding="utf-8")
    assert OTHER.answer(ran(0, stdout="is it sat?"), files(tmp_path)).verdict == "certified"


def test_fills_placeholders_inside_words_without_splitting_them() -> None:
    command = Command.template("solver --net={model} '{spec} end' {timeout} {")
    assert command.fill({"model": "a b", "spec": "{model}", "timeout": "3"}) == [
        "solver", "--net=a b", "{model} end", "3", "{",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("solver", r"lacks \{model\}, \{spec\}"),
        ("solver {model}", r"lacks \{spec\}"),
        ("solver {model} {spec} {what}", r"unknown \{what\}"),
        ("solver '{model} {spec}", "cannot be split"),
    ],
)
def test_a_template_that_cannot_work_is_an_error(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Command.template(text)


def test_seed_and_workers_reach_certify() -> None:
    filled = CERTIFY.fill({"model": "m", "spec": "s", "timeout": "9", "json": "j", "certificate": "c"})
    assert filled[-4:] == ["--seed", "7", "--workers", "2"]
    assert filled[3:11] == ["m", "s", "--timeout", "9", "--json", "j", "--certificate", "c"]


@pytest.mark.parametrize(
    ("verdict", "expected", "agrees"),
    [
        ("certified", "unsat", "yes"),
        ("certified", "sat", "no"),
        ("violated", "sat", "yes"),
        ("violated", "unsat", "no"),
        ("violated", "unknown", "na"),
        ("unknown", "sat", "na"),
        ("error", "unsat", "na"),
        ("killed", "sat", "na"),
    ],
)
def test_agreement(verdict: str, expected: str, agrees: str) -> None:
    assert agreement(verdict, expected) == agrees
