"""Rates of events about several inputs, each with a law of its own: one draw of the product of their boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from specs.errors import CertificateError, SpecError
from tests.cli.conftest import Cli, write_network
from verifier.api import certify, check

SPEC = """certify: "1.0"
name: several
models: {f: {path: "$MODEL"}}
overseers: {judge: {python: "judge.py:judge", budget: {queries: 500}}}
inputs:
  x: {shape: [1], box: {lo: -1, hi: 1}}
  z: {shape: [1], box: {lo: 10, hi: 30}, normalize: {mean: 10, range: 10}}
  P: {distribution: {of: x, sampler: {uniform: true}}}
  Q: {distribution: {of: z, sampler: {uniform: true}}}
  R: {distribution: {of: z, sampler: {rows: rows.npz}}}
require:
  - id: rare
    severity: benign
    statistical: {event: "EVENT", distribution: [P, Q], queries: 300, max_rate: 0.9, sides: both}
"""
NETWORKS = "f(x)[0] < f(z)[0]"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "judge.py").write_text("def judge(x, y):\n    return 1.0\n")
    np.savez(tmp_path / "rows.npz", inputs=np.array([[11.0], [12.0]]))
    return write_network(tmp_path / "absolute.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))


def draws(count: int, lower: list[float], upper: list[float]) -> np.ndarray:
    """Of a box, from the definition: 53 bits a side, one side after the other."""
    unit = np.random.Generator(np.random.PCG64(0)).random((count, len(lower)))
    return np.array(lower) + unit * (np.array(upper) - np.array(lower))


@pytest.mark.parametrize(
    ("event", "rate"),
    [(NETWORKS, 0.75), ("f(x)[0] < 0.1 * z[0] - 1", 0.75), ("z[0] < 15", 0.25), ("x[0] > 0.05 * z[0] - 0.5", 0.25)],
)
def test_the_rate_is_that_of_the_product(tmp_path: Path, model: Path, event: str, rate: float) -> None:
    """|x| is uniform on [0, 1], what f consumes of z on [0, 2]: the first is below the second with probability 3/4."""
    spec = tmp_path / "several.yaml"
    spec.write_text(SPEC.replace("EVENT", event))
    report = certify(model, spec, out=tmp_path / "out")
    (answer,) = report.requirements
    assert float(answer.rate.lower) <= rate <= float(answer.rate.upper)  # at confidence 0.999, of a fixed seed
    x, z = draws(300, [-1, 10], [1, 30]).T
    second = (z - 10) / 10
    expected = {
        NETWORKS: abs(x) < second, "f(x)[0] < 0.1 * z[0] - 1": abs(x) < second, "z[0] < 15": z < 15,
    }.get(event, x > 0.05 * z - 0.5)  # fmt: skip
    assert answer.rate.failures == int(expected.sum())
    assert "the uniform law on {x[0] in [-1, 1]} and, independently, the uniform law on {z[0] in" in answer.sentence
    assert check(answer.rate.file, model, spec).accepted
    spec.write_text(spec.read_text().replace("[P, Q]", "[Q, P]"))
    with pytest.raises(CertificateError, match="the law"):
        check(answer.rate.file, model, spec)


def test_lint_says_what_is_drawn(cli: Cli, tmp_path: Path, model: Path) -> None:
    (tmp_path / "several.yaml").write_text(SPEC.replace("EVENT", NETWORKS))
    linted = cli("lint", tmp_path / "several.yaml", model)
    assert "and, independently, the uniform law on {z[0] in [10, 30]}" in linted.stdout


@pytest.mark.parametrize(
    ("event", "laws", "told"),
    [
        (NETWORKS, "[P, R]", "14:61: require[0].statistical.distribution: several inputs are drawn uniformly only"),
        (NETWORKS, "[P, P]", "14:61: require[0].statistical.distribution: two laws of the same input"),
        (NETWORKS, "[P, S]", "'S' is no law under inputs"),
        (NETWORKS, "[]", "expected at least one entry"),
        (NETWORKS, "P", "'z' is not defined; known are x"),
        ("judge(x, f(z)) < 0", "[P, Q]", "judge is a program, which is shown a draw of one input"),
    ],
)
def test_laws_that_do_not_go_together(tmp_path: Path, model: Path, event: str, laws: str, told: str) -> None:
    (tmp_path / "several.yaml").write_text(SPEC.replace("EVENT", event).replace("[P, Q]", laws))
    with pytest.raises(SpecError) as caught:
        certify(model, tmp_path / "several.yaml")
    assert told in str(caught.value)
