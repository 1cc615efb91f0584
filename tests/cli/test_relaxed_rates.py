"""Rates by way of a relaxed checker: ``engine.relaxed_checker`` and ``adversary.kappa`` in a specification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specs.errors import CertificateError, CertifyError, SpecError
from tests.cli.conftest import Cli, write_network
from tests.cli.test_rates import limits
from verifier.api import certify, check

SPEC = """certify: "1.0"
name: relaxed
models: {{f: {{path: "$MODEL", taps: {{h: {tap}}}}}}}
overseers:
  judge: {{python: "judge.py:judge", budget: {{queries: {budget}}}{own}}}
{hat}inputs:
  x: {{shape: [1], box: {{lo: -1, hi: 1}}}}
{more}require:
  - id: rare
    statistical:
      {{event: "{event}", distribution: {law}, nature: houses, queries: 300, confidence: 0.98, max_rate: {rate}}}
    severity: benign
{others}{adversary}engine:
  relaxed_checker: {{network: {network}, sees: "{sees}", states: {{lo: 0, hi: {hi}}}, level: {level}}}
"""
GIVEN: dict[str, Any] = {
    "tap": "", "budget": 100, "event": "judge(x, f(x)) < 0", "law": "natural.npz", "rate": 0.5,
    "more": "", "others": "", "own": "", "hat": "", "adversary": "adversary: {kappa: 2}\n", "network": "relaxed.onnx",
    "sees": "tap(f, h)(x)", "hi": 1, "level": 0.5,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """|x| by way of a layer of two, which the state is; the judge objects above 0.9, the relaxed checker flags a sum
    above 0.7. The states of nature lie on the axes of the square."""
    write_network(tmp_path / "f.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))
    write_network(tmp_path / "relaxed.onnx", ([[1], [1]], [-0.2]), ([[1]], [0]))
    (tmp_path / "judge.py").write_text("def judge(x, y):\n    return 0.9 - float(y[0])\n")
    np.savez(tmp_path / "natural.npz", inputs=np.random.default_rng(1).uniform(-1, 1, (80, 1)))
    return tmp_path


def written(folder: Path, **changes: Any) -> Path:
    from specs.loading import load_model

    graph = load_model(folder / "f.onnx")
    tap = next(node.name for node in graph.nodes if type(node.op).__name__ == "Relu")
    path = folder / "relaxed.yaml"
    path.write_text(SPEC.format(**{**GIVEN, "tap": tap, **changes}))
    return path


def test_both_halves_are_bounded_and_added(folder: Path) -> None:
    report = certify(folder / "f.onnx", written(folder, rate=0.99), out=folder / "out")
    (answer,) = report.requirements
    points = np.random.Generator(np.random.PCG64(0)).random((300, 2))
    flagged = int((points.sum(axis=1) - 0.2 > 0.5).sum())
    assert answer.rate.failures == flagged
    expected = min(1.0, 2 * limits(flagged, 300, 0.01)[1] + limits(0, 80, 0.01)[1])
    assert float(answer.rate.upper) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("blind", [False, True])
def test_a_checker_that_flags_less_misses_more(folder: Path, blind: bool) -> None:
    """States of nature add up to |x|: flagged above 0.905, or never, and then all objections are missed."""
    limit = 1.505 if blind else 0.905
    write_network(folder / "relaxed.onnx", ([[1], [1]], [0.005 - limit]), ([[100]], [0]))
    answer = certify(folder / "f.onnx", written(folder, rate=0.2 if blind else 0.95), out=folder / "out")["rare"]
    x = np.load(folder / "natural.npz")["inputs"][:, 0]
    sums = np.random.Generator(np.random.PCG64(0)).random((300, 2)).sum(axis=1)
    missed = int((abs(x) > 0.9).sum()) if blind else 0
    wanted = min(1.0, 2 * limits(int((sums > limit).sum()), 300, 0.01)[1] + limits(missed, 80, 0.01)[1])
    assert float(answer.rate.upper) == pytest.approx(wanted, rel=1e-7)
    if blind:
        assert missed > 0
        assert abs(answer.rate.failing[0][0]) > 0.9
        assert answer.verdict == "unknown"


def test_the_sentence_the_file_and_going_on(folder: Path, cli: Cli) -> None:
    write_network(folder / "relaxed.onnx", ([[1], [1]], [-1.2]), ([[1]], [0]))
    spec = written(folder, rate=0.9)
    first = certify(folder / "f.onnx", spec, out=folder / "out")["rare"]
    for words in ("UNDER P = houses", "BY a relaxed checker", "dP/dQ <= 2", "relaxed checker relaxed.onnx = sha256:"):
        assert words in first.sentence
    assert (first.verdict, first.claim_class) == ("certified", "statistical(0.98)")
    result = check(first.rate.file)
    assert result.accepted
    assert "objections that it misses" in result.reason
    again = certify(folder / "f.onnx", spec, out=folder / "out")["rare"]
    assert (again.asked, again.rate.upper) == (0, first.rate.upper)
    told = cli("lint", spec, folder / "f.onnx")
    assert "states that relaxed.onnx, above 1/2 judges, calibrated on all 80 natural inputs" in told.stdout, told.stderr


def test_another_embedding_behind_the_same_name_is_another_calibration(folder: Path) -> None:
    write_network(folder / "relaxed.onnx", ([[1], [1]], [-1.2]), ([[1]], [0]))
    spec = written(folder, rate=0.9, sees="state", more="let: {state: 'tap(f, h)(x)'}\n")
    assert certify(folder / "f.onnx", spec, out=folder / "out")["rare"].verdict == "certified"
    written(folder, rate=0.9, sees="state", more="let: {state: '2 * tap(f, h)(x)'}\n")
    with pytest.raises(CertifyError, match="started with another source"):
        certify(folder / "f.onnx", spec, out=folder / "out")


def test_a_half_is_no_statement_about_the_requirement(folder: Path) -> None:
    write_network(folder / "relaxed.onnx", ([[1], [1]], [-1.2]), ([[1]], [0]))
    spec = written(folder, rate=0.9)
    spec.write_text(spec.read_text().replace("id: rare", "id: missed"))
    certify(folder / "f.onnx", spec, out=folder / "out")
    half = folder / "out" / "relaxed.missed.missed.nnstat"
    assert check(half).accepted
    with pytest.raises(CertificateError, match="is stated by way of a relaxed checker"):
        check(half, folder / "f.onnx", spec)


def test_a_run_out_of_time_is_gone_on_with(folder: Path) -> None:
    slow = "import time\n\n\ndef judge(x, y):\n    time.sleep(0.05)\n    return 0.9 - float(y[0])\n"
    (folder / "judge.py").write_text(slow)
    write_network(folder / "relaxed.onnx", ([[1], [1]], [-1.2]), ([[1]], [0]))
    spec = written(folder, rate=0.9)
    first = certify(folder / "f.onnx", spec, out=folder / "out", timeout=1.5)["rare"]
    assert (first.verdict, first.reason.partition(":")[0]) == ("unknown", "timeout")
    second = certify(folder / "f.onnx", spec, out=folder / "out")["rare"]
    assert second.verdict == "certified"
    assert second.spent.queries == 80


FAULTS = {
    "no kappa": ({"adversary": ""}, "add adversary"),
    "not of natural inputs": (
        {"law": "Q", "more": "  Q: {distribution: {of: x, sampler: {uniform: true}}}\n"},
        "calibrated on natural inputs",
    ),
    "not of a program": ({"event": "f(x)[0] > 0.9"}, "stands for a program"),
    "of another limit": ({"event": "judge(x, f(x)) < 1"}, "stands for a program"),
    "no network": ({"network": "absent.onnx"}, r"relaxed_checker\.network: there is no file"),
    "no layer": ({"sees": "tap(f, g)(x)"}, "'?g'?"),
    "no box": ({"hi": 0}, "larger upper bound"),
    "a side too many": ({"hi": "[1, 1, 1]"}, "each of 2 elements"),
    "a level of 1": ({"level": 1}, "below 1"),
    "more inputs than may be asked about": ({"budget": 79}, "may be asked 79"),
    "too few states": ({"rate": 0.05}, "even if nothing is flagged or missed"),
    "a second requirement": (
        {"others": '  - {id: second, severity: benign, statistical: {event: "judge(x, f(x)) < 0", distribution: '
                   "natural.npz, queries: 50, max_rate: 0.5}}\n"},
        "one budget for rare and second",
    ),
    "a surrogate": (
        {
            "budget": 500,
            "hat": "  hat: {surrogate: {of: judge, arch: [2, 4, 1], queries: 50}}\n",
            "others": '  - {id: low, severity: benign, assert: "hat(x, f(x)) >= -9"}\n',
        },
        "one budget for rare and hat",
    ),
    "a ledger elsewhere": ({"own": ", cache: judge.jsonl"}, "its ledger is in the folder of --out"),
}  # fmt: skip


@pytest.mark.parametrize("which", FAULTS)
def test_faults_are_told(folder: Path, which: str) -> None:
    changes, words = FAULTS[which]
    with pytest.raises(SpecError, match=words):
        certify(folder / "f.onnx", written(folder, **changes))


def test_a_network_of_other_states_is_refused(folder: Path) -> None:
    write_network(folder / "relaxed.onnx", ([[1]], [0]), ([[1]], [0]))
    with pytest.raises(CertifyError, match="takes 1 numbers, and a state has 2"):
        certify(folder / "f.onnx", written(folder))


def test_beside_a_requirement_about_all_inputs(folder: Path) -> None:
    others = '  - {id: all, assert: "f(x)[0] <= 2"}\n'
    spec = written(folder, rate=0.99, others=others)
    report = certify(folder / "f.onnx", spec, out=folder / "out", workers=1)
    assert report["all"].verdict == "certified"
    assert report["rare"].rate is not None
