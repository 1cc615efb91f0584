"""Requirements about rates beside requirements about all inputs: verdicts, budgets, ledgers, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from specs.errors import CertifyError, SpecError
from tests.cli.conftest import Cli, write_network
from verifier.api import certify, check

HEAD = """certify: "1.0"
name: rates
models: {f: {path: "$MODEL"}}
"""
PROGRAM = """overseers:
  judge: {python: "judge.py:judge", budget: {queries: 200}}
"""
INPUTS = """inputs:
  x: {shape: [1], box: {lo: -1, hi: 1}}
  P: {distribution: {of: x, sampler: {uniform: true}}}
"""


@pytest.fixture
def absolute(tmp_path: Path) -> Path:
    """|x|, which is below t on a share t of [-1, 1]."""
    return write_network(tmp_path / "absolute.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))


def written(folder: Path, *parts: str, judge: str = "") -> Path:
    (folder / "judge.py").write_text(judge or "def judge(x, y):\n    return float(y[0])\n")
    path = folder / "rates.yaml"
    path.write_text("".join(parts))
    return path


def rare(event: str, queries: int = 200, id: str = "rare", severity: str = "benign", **terms: Any) -> str:
    told = "".join(f", {key}: {value}" for key, value in {"distribution": "P", "queries": queries, **terms}.items())
    return f'  - {{id: {id}, severity: {severity}, statistical: {{event: "{event}"{told}}}}}\n'


def limits(failures: int, count: int, level: float) -> tuple[float, float]:
    """Clopper and Pearson's limits, by the quantiles of beta distributions."""
    low = beta.ppf(level, failures, count - failures + 1) if failures else 0.0
    return float(low), float(beta.isf(level, failures + 1, count - failures))


@pytest.mark.parametrize(
    ("most", "verdict", "code"), [(0.4, "certified", 0), (0.25, "unknown", 3), (0.1, "violated", 1)]
)
def test_what_networks_do_is_counted_and_bounded(
    tmp_path: Path, absolute: Path, most: float, verdict: str, code: int
) -> None:
    spec = written(tmp_path, HEAD, INPUTS, "require:\n", rare("f(x)[0] < 0.25", 300, max_rate=most, sides="both"))
    report = certify(absolute, spec, out=tmp_path / "out")
    (answer,) = report.requirements
    assert (answer.verdict, report.exit_code) == (verdict, code), answer.reason
    x = -1 + 2 * np.random.Generator(np.random.PCG64(0)).random(300)
    failures = int((np.maximum(x, 0) + np.maximum(-x, 0) < 0.25).sum())
    low, up = limits(failures, 300, 0.0005)
    assert answer.rate.failures == failures
    assert float(answer.rate.upper) == pytest.approx(up, rel=1e-7)
    assert float(answer.rate.lower) == pytest.approx(low, rel=1e-7)
    assert answer.claim_class == "statistical(0.999)"
    assert "what the networks compute in float64" in answer.sentence
    assert check(answer.rate.file).kind == "statistical"
    json.loads(report.json_text())


def test_examples_of_a_data_file_are_a_law_and_a_proof_for_all_inputs_stands_beside(
    tmp_path: Path, absolute: Path
) -> None:
    np.savez(tmp_path / "rows.npz", inputs=np.array([[0.5], [-0.75], [1.0], [0.125]]))
    event = rare("f(x)[0] <= 0.25", 200, max_rate=0.5, distribution="rows.npz").replace("<=", "<")
    spec = written(tmp_path, HEAD, INPUTS, "require:\n", event, '  - {id: all, assert: "f(x)[0] <= 2"}\n')
    report = certify(absolute, spec, out=tmp_path / "out", workers=1)
    assert [(one.id, one.verdict) for one in report.requirements] == [("all", "certified"), ("rare", "certified")]
    assert "4 examples of rows.npz" in report["rare"].sentence
    assert 0 < report["rare"].rate.failures < 200 * 0.45
    assert check(tmp_path / "out" / "rates.nncert", absolute, spec)  # the same file is what the proof is about
    assert check(report["rare"].rate.file)


def test_draws_are_in_raw_units_and_networks_get_what_they_consume(tmp_path: Path, absolute: Path) -> None:
    inputs = INPUTS.replace("box: {lo: -1, hi: 1}", "normalize: {mean: 5, range: 5}, box: {lo: 0, hi: 10}")
    event = rare("0.5 * x[0] + 2.5 > 10 * f(x)[0]", 100, max_rate=0.9)
    spec = written(tmp_path, HEAD, inputs, "require:\n", event)
    answer = certify(absolute, spec)["rare"]
    x = 10 * np.random.Generator(np.random.PCG64(0)).random(100)
    assert answer.rate.failures == int((0.5 * x + 2.5 > 10 * abs(x - 5) / 5).sum()) > 0
    assert answer.verdict == "certified"


def test_faults_behind_a_rate_are_told_in_their_own_line(tmp_path: Path, absolute: Path) -> None:
    wrong = '  - {id: all, assert: "f(x)[3] <= 2"}\n'
    spec = written(tmp_path, HEAD, INPUTS, "require:\n", rare("f(x)[0] < 0.25", max_rate=0.5), wrong)
    with pytest.raises(SpecError, match=r"rates\.yaml:9:\d+: .*out of range"):
        certify(absolute, spec)


def test_a_ledger_is_gone_on_with_and_nothing_is_asked_twice(tmp_path: Path, absolute: Path) -> None:
    slow = "import time\n\n\ndef judge(x, y):\n    time.sleep(0.02)\n    return float(y[0])\n"
    spec = written(tmp_path, HEAD, PROGRAM, INPUTS, "require:\n", rare("judge(x, f(x)) < 0", max_rate=0.05), judge=slow)
    first = certify(absolute, spec, out=tmp_path / "out", timeout=2)["rare"]
    assert (first.verdict, first.reason.partition(":")[0]) == ("unknown", "timeout")
    second = certify(absolute, spec, out=tmp_path / "out", timeout=60)["rare"]
    assert second.verdict == "certified"
    assert 0 < first.asked < 200
    assert first.asked + second.asked == second.spent.queries == 200
    third = certify(absolute, spec, out=tmp_path / "out")["rare"]
    assert (third.asked, third.rate.upper) == (0, second.rate.upper)
    other = write_network(tmp_path / "other.onnx", ([[1, -1]], [0, 0]), ([[2], [1]], [0]))
    with pytest.raises(CertifyError, match="another plan"):
        certify(other, spec, out=tmp_path / "out")


def test_a_question_that_takes_too_long_ends_with_the_time_of_the_command(
    cli: Cli, tmp_path: Path, absolute: Path
) -> None:
    slow = "import time\n\n\ndef judge(x, y):\n    time.sleep(30)\n    return 1.0\n"
    rates = rare("judge(x, f(x)) < 0", 180, max_rate=0.05) + rare("f(x)[0] < 0", 180, "next", max_rate=0.05)
    spec = written(tmp_path, HEAD, PROGRAM, INPUTS, "require:\n", rates, judge=slow)
    done = cli(absolute, spec, "--out", tmp_path / "out", "--timeout", 4)
    assert done.returncode == 3, done.stderr
    assert done.stdout.count("goes on with the ledger") == 2
    lines = [json.loads(line) for line in (tmp_path / "out" / "rates.judge.ledger.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["open", "plan", "ask"]  # charged, though nothing came of it


def test_the_budget_is_never_exceeded(tmp_path: Path, absolute: Path) -> None:
    both = rare("judge(x, f(x)) < 0", 150, "one", max_rate=0.05) + rare("judge(x, f(x)) < 0", 150, "two", max_rate=0.05)
    spec = written(tmp_path, HEAD, PROGRAM, INPUTS, "require:\n", both)
    for _ in range(2):
        report = certify(absolute, spec, out=tmp_path / "out")
        assert [one.verdict for one in report.requirements] == ["certified", "unknown"]
        assert report["two"].reason == "budget: all 200 queries of the budget are spent"
        assert report["two"].spent.queries == 200
        assert report.exit_code == 3


def test_no_answer_is_a_failure(tmp_path: Path, absolute: Path) -> None:
    broken = "def judge(x, y):\n    if x[0] > 0.9:\n        raise ValueError\n    return 1.0\n"
    spec = written(
        tmp_path, HEAD, PROGRAM, INPUTS, "require:\n", rare("judge(x, f(x)) < 0", 100, max_rate=0.1), judge=broken
    )
    answer = certify(absolute, spec, out=tmp_path / "out")["rare"]
    x = -1 + 2 * np.random.Generator(np.random.PCG64(0)).random(100)
    assert answer.rate.failures == int((x > 0.9).sum()) > 0
    assert float(answer.rate.upper) == pytest.approx(limits(answer.rate.failures, 100, 0.001)[1], rel=1e-7)


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        (rare("judge(x, f(x)) < 0", 201, max_rate=0.1), "queries: more than the 200"),
        (rare("judge(x, f(x)) < 0", 20, max_rate=0.1), "even without any failure 20 draws"),
        (rare("judge(x, f(x)) < 0", severity="malign", max_rate=0.1), "add accept_class: statistical"),
        (rare("judge(x, f(x)) <= 0", max_rate=0.1), "an event is a strict comparison"),
        (rare("judge(x, f(x)) > 0", max_rate=0.1), "can only be compared, as in judge(...) < 0"),
        (rare("judge(f(x), x) < 0", max_rate=0.1), "the first thing that judge is shown has to be x"),
        (rare("judge(x, g(x)) < 0", max_rate=0.1), "g"),
        (rare("f(x)[0] < 0", max_rate=0.1, distribution="Q"), "'Q' is no law"),
        (rare("f(x) < 0", max_rate=1.5), "expected a number between 0 and 1"),
        (rare("f(x)[0] < 0", max_rate=0.1, rate=3), "unknown key 'rate'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(
    tmp_path: Path, absolute: Path, requirement: str, message: str
) -> None:
    spec = written(tmp_path, HEAD, PROGRAM, INPUTS, "require:\n", requirement)
    with pytest.raises(SpecError) as caught:
        certify(absolute, spec, out=tmp_path / "out")
    assert message in str(caught.value)
    assert f"{spec}:10:" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_program_has_no_place_in_what_is_asked_for_all_inputs(tmp_path: Path, absolute: Path) -> None:
    asserted = '  - {id: all, assert: "judge(x, f(x)) >= 0"}\n'
    spec = written(tmp_path, HEAD, PROGRAM, INPUTS.partition("  P:")[0], "require:\n", asserted)
    with pytest.raises(SpecError, match=r"rates\.yaml:5:\d+: overseers\.judge\.python: a program can only be asked"):
        certify(absolute, spec)
