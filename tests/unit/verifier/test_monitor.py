"""Monitors as files, and how much they accept."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pytest

from specs.language.load_spec import load_spec
from specs.language.monitors import MonitorPlan
from specs.loading.onnx_writer import write_onnx
from tests.unit.specs.compose.modules import random_dense
from verifier.certificate.monitor import LEVEL, acceptance_of, export_monitor
from verifier.question import Requirement, read_question

GRAPH = random_dense(np.random.default_rng(1), 3, 5, 4, 2)


@pytest.fixture
def asked(tmp_path: Path) -> tuple[MonitorPlan, Requirement]:
    rng = np.random.default_rng(2)
    np.savez(tmp_path / "train.npz", inputs=rng.integers(0, 9, (30, 3)) / 8)
    np.savez(tmp_path / "held.npz", inputs=rng.integers(-4, 13, (200, 3)) / 8)
    (tmp_path / "given.onnx").write_bytes(write_onnx(GRAPH))
    (tmp_path / "spec.yaml").write_text(
        """certify: "1.0"
name: restricted
models: {target: {path: "$MODEL"}}
inputs: {x: {shape: [3], box: {lo: -1, hi: 2}}}
require:
  - id: restricted
    where: ["x[0] <= 1", {activation_hull: {model: target, taps: [pre1], data: train.npz}}]
    assert: "target(x)[0] <= 100"
monitor: {from: restricted, export: m.onnx, held_out: held.npz}
"""
    )
    question = read_question(tmp_path / "given.onnx", tmp_path / "spec.yaml", {})
    assert question.monitor is not None
    return question.monitor, question.requirements[0]


def test_the_rate_is_counted_and_bounded(asked: tuple[MonitorPlan, Requirement], tmp_path: Path) -> None:
    """Counted again by the graph, whose numbers float32 holds; the bounds by binomial sums in rationals."""
    plan, requirement = asked
    exported = export_monitor(plan, requirement, True, tmp_path)
    assert (tmp_path / "m.onnx").read_bytes() == write_onnx(plan.graph)
    with np.load(tmp_path / "held.npz") as file:
        count = sum(bool(plan.graph.evaluate_flat(x)[-1]) for x in file["inputs"])
    found = exported.acceptance
    assert found is not None
    assert 0 < count < 200
    assert (found.accepted, found.examples, found.built_on) == (count, 200, False)

    def at_most(k: int, rate: Fraction) -> Fraction:
        return sum((comb(200, i) * rate**i * (1 - rate) ** (200 - i) for i in range(k + 1)), Fraction(0))

    assert at_most(count, found.upper) <= LEVEL / 2
    assert 1 - at_most(count - 1, found.lower) <= LEVEL / 2
    assert at_most(count, found.upper - Fraction(1, 1000)) > LEVEL / 2  # no wider than it has to be
    assert 1 - at_most(count - 1, found.lower + Fraction(1, 1000)) > LEVEL / 2


def test_the_theorem_keeps_conditions_that_nobody_monitors(asked: tuple[MonitorPlan, Requirement]) -> None:
    plan, requirement = asked
    sentence = export_monitor(plan, requirement, True, None).sentence
    assert "and (x[0] <= 1)}: the monitored system" in sentence
    assert "activations" not in sentence.partition(":")[0]
    assert "abstains or satisfies: target(x)[0] <= 100" in sentence


def test_without_a_runtime_the_reference_counts(
    asked: tuple[MonitorPlan, Requirement], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, _ = asked
    model = write_onnx(plan.graph)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert acceptance_of(plan, model).by == "reference evaluation in float64"


def test_bad_data_does_not_cost_the_monitor(asked: tuple[MonitorPlan, Requirement], tmp_path: Path) -> None:
    plan, requirement = asked
    np.save(tmp_path / "wide.npy", np.zeros((3, 4)))
    exported = export_monitor(replace(plan, held_out=tmp_path / "wide.npy"), requirement, True, tmp_path)
    assert exported.acceptance is None
    assert "has examples of 4 values, not of 3" in dict(exported.lines())["accepts"]
    assert exported.path == tmp_path / "m.onnx"


def test_what_is_not_certified_is_not_exported(asked: tuple[MonitorPlan, Requirement], tmp_path: Path) -> None:
    plan, requirement = asked
    exported = export_monitor(plan, requirement, False, tmp_path)
    assert "is not certified" in exported.why
    assert not (tmp_path / "m.onnx").exists()
    assert load_spec(tmp_path / "spec.yaml", tmp_path / "given.onnx").monitor is not None
