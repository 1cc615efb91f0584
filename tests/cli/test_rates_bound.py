"""Statements of probability checked against the specification: about this requirement, these files, this program."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specs.errors import CertificateError, CertifyError
from tests.cli.conftest import Cli, write_network
from verifier.api import certify, check

SPEC = """certify: "1.0"
name: rates
models: {f: {path: "$MODEL"}}
overseers: {judge: {python: "judge.py:judge", budget: {queries: 500}}}
inputs:
  x: {shape: [1], box: {lo: -1, hi: 1}}
  P: {distribution: {of: x, sampler: {uniform: true}}}
let: {y: "f(x)"}
require:
  - {id: first, severity: benign, statistical: {event: "judge(x, y) < 0", distribution: P, queries: 150, max_rate: 0.1}}
  - {id: second, severity: benign, statistical: {event: "y[0] < 0.25", distribution: P, queries: 200, max_rate: 0.5}}
"""
JUDGE = "def judge(x, y):\n    return float(y[0])\n"


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rates")
    model = write_network(folder / "absolute.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))
    (folder / "rates.yaml").write_text(SPEC)
    (folder / "judge.py").write_text(JUDGE)
    report = certify(model, folder / "rates.yaml", out=folder / "out")
    assert report.exit_code == 0, report.sentence
    return folder


@pytest.fixture
def run(answered: Path, tmp_path: Path) -> tuple[Path, Path, dict[str, Path]]:
    """Model, specification and statements, in a folder where they may be changed."""
    shutil.copytree(answered, tmp_path, dirs_exist_ok=True)
    files = {id: tmp_path / "out" / f"rates.{id}.nnstat" for id in ("first", "second")}
    return tmp_path / "absolute.onnx", tmp_path / "rates.yaml", files


def test_a_statement_is_about_its_requirement(run: Any, cli: Cli) -> None:
    model, spec, files = run
    for id, most in (("first", "0.1"), ("second", "0.5")):
        result = check(files[id], model, spec)
        assert result.accepted
        assert result.reason.endswith(f"requirement {id}: its rate is at most {most}")
    done = cli("check", files["first"], "--model", model, "--spec", spec)
    assert (done.returncode, "requirement first" in done.stdout) == (0, True), done.stderr
    with pytest.raises(CertificateError, match=r"Give --spec, too"):
        check(files["first"], model)
    spec.write_text(SPEC.replace("max_rate: 0.1", "max_rate: 0.05"))
    assert check(files["first"], model, spec).reason.endswith("its rate is at most 0.05"), "what is bounded is the same"
    spec.write_text(SPEC.replace("max_rate: 0.5", "max_rate: 0.3"))
    assert check(files["second"], model, spec).reason.endswith("its rate is not shown to be at most 0.3")


@pytest.mark.parametrize(
    ("id", "old", "new", "told"),
    [
        ("first", "id: first", "id: other", "no statistical requirement 'first'; there are other, second"),
        ("first", "judge(x, y) < 0", "judge(x, y) < 0.5", "the number that the event compares with"),
        ("first", "judge(x, y) < 0", "judge(x, 2 * y) < 0", "what draw 0 shows"),
        ("first", "queries: 150", "queries: 151", "the number of draws"),
        ("first", "lo: -1, hi: 1", "lo: -1, hi: 2", "the law"),
        ("first", "max_rate: 0.1", "max_rate: 0.1, confidence: 0.99", "the confidence"),
        ("first", "max_rate: 0.1", "max_rate: 0.1, method: betting", "the method"),
        ("first", "max_rate: 0.1", "max_rate: 0.1, sides: both", "the sides"),
        ("first", "budget: {queries: 500}", "budget: {queries: 500}, deterministic: false", "in one way only"),
        ("first", "budget: {queries: 500}", "budget: {queries: 200}", "the budget"),
        ("first", "budget: {queries: 500}", "budget: {queries: 500, seconds: 9}", "the budget"),
        ("first", "let:", "engine: {seed: 4}\nlet:", "the seed"),
        ("second", "y[0] < 0.25", "2 * y[0] - y[0] < 0.25", "the event or the networks"),
        ("second", "y[0] < 0.25", "y[0] < 0.5", "the number that the event compares with"),
    ],
)
def test_one_thing_that_differs_makes_it_another_requirement(run: Any, id: str, old: str, new: str, told: str) -> None:
    model, spec, files = run
    spec.write_text(SPEC.replace(old, new, 1))
    with pytest.raises(CertificateError) as caught:
        check(files[id], model, spec)
    assert told in str(caught.value)


def test_another_model_or_program_is_another_statement(run: Any, tmp_path: Path) -> None:
    model, spec, files = run
    other = write_network(tmp_path / "other.onnx", ([[1, -1]], [0, 0]), ([[2], [1]], [0]))
    for id in files:
        with pytest.raises(CertificateError, match="the files of the models"):
            check(files[id], other, spec)
    (tmp_path / "judge.py").write_text(JUDGE + "# changed\n")
    with pytest.raises(CertificateError, match=r"the program judge\.py:judge differ"):
        check(files["first"], model, spec)
    assert check(files["second"], model, spec).accepted, "nobody asked the program there"


def test_a_law_of_rows_is_bound_to_its_file(run: Any, tmp_path: Path) -> None:
    model, spec, _ = run
    np.savez(tmp_path / "rows.npz", inputs=np.array([[0.5], [-0.75], [1.0], [0.125]]))
    spec.write_text(SPEC.replace("distribution: P", "distribution: rows.npz"))
    report = certify(model, spec, out=tmp_path / "rows")
    assert check(report["first"].rate.file, model, spec).accepted
    assert check(report["second"].rate.file, model, spec).accepted
    np.savez(tmp_path / "rows.npz", inputs=np.array([[0.5], [-0.75], [1.0], [0.25]]))
    with pytest.raises(CertificateError, match="the law differ"):
        check(report["first"].rate.file, model, spec)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('let: {y: "f(x)"}', 'let: {y: "2 * f(x)"}'),
        ("hi: 1}}", "hi: 1}, normalize: {mean: 0, std: 4}}"),
        ("judge(x, y) < 0", "judge(x, 2 * y) < 0"),
    ],
)
def test_answers_about_something_else_are_not_gone_on_with(run: Any, old: str, new: str) -> None:
    """The plan is the same, but a name stands for something else, or networks get something else."""
    model, spec, _ = run
    spec.write_text(SPEC.replace(old, new))
    with pytest.raises(CertifyError, match="it is of another specification"):
        certify(model, spec, out=spec.parent / "out")
