"""Runs compared with earlier ones: what was certified has to be certified again, by no less than it may lose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from specs.errors import SpecError
from specs.language.load_spec import load_spec
from tests.cli.conftest import Cli, write_network
from verifier import api
from verifier.report.report import Report

SPEC = """certify: "1.0"
name: release
models: {f: {path: "$MODEL"}}
inputs: {x: {shape: [1], box: {lo: -1, hi: 1}}}
let: {y: "f(x)"}
require:
  - {id: bounded, severity: malign, assert: "y[0] <= 2"}
  - {id: small, severity: benign, assert: "y[0] <= K", solve_for: {K: {minimize: true, resolution: 0.01}}}
emit: [report, baseline]
"""


def release(folder: Path, slope: float) -> Path:
    """The network slope * |x|, whose largest value on [-1, 1] is its slope."""
    return write_network(folder / f"{slope}.onnx", ([[1, -1]], [0, 0]), ([[slope], [slope]], [0]))


def gated(drops: str = "{}", baseline: str = "first/baseline.json") -> str:
    return SPEC + f"gate:\n  regression: {{baseline: {baseline}, max_drop: {drops}}}\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def one(slope: float, text: str, out: str = "later", **options: Any) -> Report:
        (tmp_path / "release.yaml").write_text(text)
        model = release(tmp_path, slope)
        return api.certify(model, "release.yaml", out=tmp_path / out, workers=1, timeout=40, **options)

    return one


def test_the_same_network_loses_nothing_and_a_worse_one_what_it_gave_up(run: Any, tmp_path: Path) -> None:
    first = run(1.0, SPEC, "first")
    assert first.exit_code == 0
    baseline = json.loads((tmp_path / "first" / "baseline.json").read_text())
    assert [(one["id"], one["verdict"]) for one in baseline["requirements"]] == [
        ("bounded", "certified"), ("small", "certified")
    ]  # fmt: skip
    same = run(1.0, gated("{slack: 0.000001}"))
    assert (same.exit_code, same.missed) == (0, ())
    assert (tmp_path / "later" / "baseline.json").exists()
    (tmp_path / "later" / "baseline.json").unlink()
    worse = run(1.5, gated())
    assert (worse.verdict, worse.exit_code) == ("certified", 4)
    (told,) = worse.missed  # bounded still holds, with less slack, of which nothing is said
    assert told.startswith("small: K = 1.0")
    assert told.endswith("now: it may get worse by 0")
    assert not (tmp_path / "later" / "baseline.json").exists(), "what a run lost is no measure for the next one"
    assert run(1.5, gated("{small.K: 0.52}")).exit_code == 0
    assert run(1.5, gated("{small.K: 0.48}")).exit_code == 4
    assert run(0.5, gated()).exit_code == 0, "better is no loss"


def test_slack_may_shrink_by_as_much_as_is_said(run: Any, tmp_path: Path) -> None:
    """The bound of |x| is exact, so the proved slack of y <= 2 is 2 - slope, up to rounding."""
    run(1.0, SPEC, "first")
    assert run(1.25, gated("{slack: 0.26, small.K: 1}")).missed == ()
    (told,) = run(1.25, gated("{slack: 0.24, small.K: 1}")).missed
    assert told.startswith("bounded: slack ")


def test_verdicts_that_fall(run: Any, tmp_path: Path) -> None:
    run(1.0, SPEC, "first")
    fallen = run(3.0, gated("{small.K: 4}"))
    assert fallen.missed == ("bounded: certified in the baseline, violated now",)
    assert fallen.exit_code == 1, "a violation is graver than the regression it is"
    baseline = json.loads((tmp_path / "first" / "baseline.json").read_text())
    for one in baseline["requirements"]:
        one["verdict"] = "unknown"
    (tmp_path / "first" / "baseline.json").write_text(json.dumps(baseline))
    assert run(1.0, gated()).missed == (), "nothing is lost of what was not there"


def test_unknown_where_there_was_a_proof_is_a_gate_missed(run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    text = SPEC.replace('assert: "y[0] <= 2"', 'assert: "y[0] <= 2", accept_class: exact')
    assert run(1.0, text, "first").exit_code == 0
    monkeypatch.setattr("verifier.answer.audit", lambda certificate, seconds: False)
    later = run(1.0, text + "gate: {regression: {baseline: first/baseline.json}}\n")
    assert later.verdict == "unknown"
    assert later.missed == ("bounded: certified in the baseline, unknown now",)
    assert later.exit_code == 4
    assert run(1.0, text).exit_code == 3
    mild = text.replace("severity: malign", "severity: info") + "gate: {regression: {baseline: first/baseline.json}}\n"
    mild = run(1.0, mild)
    assert (mild.exit_code, mild.missed) == (0, ()), "what is milder than --fail-on never counts"


def test_requirements_that_are_gone_or_say_something_else(run: Any, tmp_path: Path) -> None:
    run(1.0, SPEC, "first")
    small = next(line for line in SPEC.splitlines() if "id: small" in line)
    assert run(1.0, gated().replace(small + "\n", "")).missed == (
        "small: certified in the baseline, and not asked any more",
    )
    weaker = run(1.0, gated("{small.K: 1}").replace("lo: -1, hi: 1", "lo: -0.5, hi: 0.5"))
    assert [told.partition(":")[0] for told in weaker.missed] == ["bounded", "small"]
    assert "not what the baseline is about, which is FOR ALL x IN" in weaker.missed[0]
    assert weaker.exit_code == 4


def test_the_command_prints_what_is_lost(cli: Cli, tmp_path: Path) -> None:
    spec = tmp_path / "release.yaml"
    spec.write_text(SPEC)
    assert cli(release(tmp_path, 1.0), spec, "--out", "first", "--workers", 1).returncode == 0
    spec.write_text(gated(baseline="first/report.json"))
    worse = cli(release(tmp_path, 1.5), spec, "--out", "later", "--workers", 1, "-q")
    assert worse.returncode == 4
    assert "gate missed: small: K = 1.0" in worse.stdout
    linted = cli("lint", spec, release(tmp_path, 1.0))
    assert "gate: what was certified earlier has to be certified again: bounded, small" in linted.stdout


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "first/baseline.json cannot be read; a first run without gate.regression"),
        ("]", "is no JSON file"),
        ("[]", "is no report of certify"),
        ('{"requirements": [{"id": "bounded"}]}', "is no report of certify, or one of another version"),
        (
            '{"requirements": [{"id": "other", "severity": "benign", "verdict": "unknown", "question": "?"}]}',
            "is about other requirements: other",
        ),
    ],
)
def test_a_baseline_that_is_none(tmp_path: Path, content: str | None, told: str) -> None:
    (tmp_path / "first").mkdir()
    if content is not None:
        (tmp_path / "first" / "baseline.json").write_text(content)
    (tmp_path / "release.yaml").write_text(gated())
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "release.yaml", release(tmp_path, 1.0))
    assert str(caught.value).count("release.yaml:") == 1
    assert "release.yaml:11:26: gate.regression.baseline:" in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("drops", "told"),
    [
        ("{certified_accuracy: 0.005}", "certified_accuracy: sweeps over data sets are not supported yet"),
        ("{mean_certified_radius: 0.001}", "mean_certified_radius: sweeps over data sets are not supported yet"),
        ("{smal.K: 1}", "'smal.K' is none of slack, small.K. Did you mean 'small.K'?"),
        ("{slack: -1}", "expected a number of at least 0"),
    ],
)
def test_drops_of_what_there_is_not(tmp_path: Path, drops: str, told: str) -> None:
    (tmp_path / "first").mkdir()
    entry = '{"id": "small", "severity": "benign", "verdict": "unknown", "question": "?"}'
    (tmp_path / "first" / "baseline.json").write_text(f'{{"requirements": [{entry}]}}')
    (tmp_path / "release.yaml").write_text(gated(drops))
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "release.yaml", release(tmp_path, 1.0))
    assert told in str(caught.value)


def test_a_gate_on_a_sweep_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "release.yaml").write_text(SPEC + 'gate: {min: {"certified_accuracy@eps=0.02": 0.8}}\n')
    with pytest.raises(SpecError, match="certified_accuracy: sweeps over data sets are not supported yet"):
        load_spec(tmp_path / "release.yaml", release(tmp_path, 1.0))
