"""Every unknown verdict hands over a relaxed attack, and validation against the user's own files accepts it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from specs.graph import Graph, ops
from specs.loading.onnx_writer import write_onnx
from tests.soundness.deciding import decide_files
from tests.unit.relaxations.graphs import chain, weight
from verifier.cli import main
from verifier.engine.outcome import Outcome

NO_TIME = 1e-3
FAR = 1e4  # beyond what any of these networks reaches

MADE: dict[str, Graph] = {
    "affine": chain((1, 3), (ops.MatMul(), weight(3, 2)), (ops.Add(), weight(2))),
    "relu": chain((1, 3), (ops.MatMul(), weight(3, 4)), (ops.Relu(),), (ops.MatMul(), weight(4, 2))),
    "leaky": chain((1, 3), (ops.MatMul(), weight(3, 4)), (ops.LeakyRelu(0.1),), (ops.MatMul(), weight(4, 2))),
    "abs": chain((1, 3), (ops.MatMul(), weight(3, 4)), (ops.Abs(),)),
    "clip": chain((1, 3), (ops.MatMul(), weight(3, 4)), (ops.Clip(-0.5, 0.5),)),
    "sign": chain((1, 3), (ops.MatMul(), weight(3, 4)), (ops.Sign(),), (ops.MatMul(), weight(4, 2))),
    "max pool": chain((1, 1, 4, 4), (ops.MaxPool((2, 2), (2, 2), (0, 0, 0, 0), (1, 1)),), (ops.Reshape((1, 4)),)),
    "sigmoid": chain((1, 3), (ops.MatMul(), weight(3, 4)), (ops.Sigmoid(),), (ops.MatMul(), weight(4, 2))),
    "tanh": chain((1, 3), (ops.MatMul(), weight(3, 4)), (ops.Tanh(),)),
    "softmax": chain((1, 3), (ops.MatMul(), weight(3, 4)), (ops.Softmax(-1),)),
    "exp": chain((1, 3), (ops.Exp(),)),
    "sine": chain((1, 3), (ops.Sin(),)),
}


def asked(graph: Graph, folder: Path, unsafe: str) -> tuple[Path, Path]:
    model, query = folder / "m.onnx", folder / "q.vnnlib"
    model.write_bytes(write_onnx(graph))
    inputs, outputs = range(graph.input_size), range(graph.output_size)
    declared = [f"(declare-const X_{i} Real)" for i in inputs] + [f"(declare-const Y_{i} Real)" for i in outputs]
    box = [f"(assert (and (>= X_{i} -1) (<= X_{i} 1)))" for i in inputs]
    query.write_text("\n".join([*declared, *box, f"(assert {unsafe})"]) + "\n")
    return model, query


def judged(outcome: Outcome, model: Path, query: Path, folder: Path) -> dict:
    """What ``certify check`` says about the file that was handed over, which has to be valid."""
    assert outcome.verdict == "unknown"
    assert outcome.relaxed is not None
    file = outcome.relaxed.path
    assert file is not None
    answer = folder / "check.json"
    code = main(["check", str(file), "--model", str(model), "--spec", str(query), "--json", str(answer)])
    told = json.loads(answer.read_text())
    assert code == 0, told
    assert told["valid"]
    assert not told["counterexample"]
    assert told["score"] >= -1e-6 * (1 + FAR)
    assert outcome.relaxed.exploits
    assert len(outcome.relaxed.exploits) <= 10
    return told


@pytest.mark.parametrize("way", ["inputs", "phases"])
@pytest.mark.parametrize("name", MADE)
def test_of_every_kind_of_operator_without_any_time(name: str, way: str, tmp_path: Path) -> None:
    model, query = asked(MADE[name], tmp_path, f"(>= Y_0 {FAR})")
    outcome = decide_files(model, query, tmp_path / "p.nncert", NO_TIME, way)
    told = judged(outcome, model, query, tmp_path)
    lowered = name not in ("sigmoid", "tanh", "softmax", "exp", "sine")
    assert outcome.reason == "timeout" if lowered else outcome.reason.startswith("unsupported")
    real = float(MADE[name].evaluate_flat(np.array(outcome.relaxed.point))[0]) - FAR
    assert told["score_in_the_network"] == pytest.approx(real, abs=1e-6 * FAR)
    assert outcome.relaxed.value == pytest.approx(-real, abs=1e-6 * FAR)


def test_of_several_rows_and_cases(tmp_path: Path) -> None:
    unsafe = f"(or (and (>= Y_0 {FAR}) (<= Y_1 -{FAR})) (and (>= Y_1 {FAR}) (>= Y_0 Y_1)))"
    for name in ("affine", "relu", "sigmoid"):
        model, query = asked(MADE[name], tmp_path, unsafe)
        outcome = decide_files(model, query, tmp_path / "p.nncert", NO_TIME)
        told = judged(outcome, model, query, tmp_path)
        assert told["kind"] in ("point", "outputs")


def test_where_numbers_overflow(tmp_path: Path) -> None:
    """Intervals are infinite here, and so is what lines make of them; the network at a point is not."""
    large = np.full((3, 3), 1e30, dtype=np.float32)
    small = np.full((3, 3), 1e-30, dtype=np.float32)
    steps = [(ops.MatMul(), large), (ops.Relu(),)] * 12 + [(ops.MatMul(), small), (ops.Relu(),)] * 12
    model, query = asked(chain((1, 3), *steps), tmp_path, "(>= Y_0 1e9)")
    query.write_text(query.read_text().replace("-1)", "0)").replace("(<= X_0 1)", "(<= X_0 0)"))
    outcome = decide_files(model, query, tmp_path / "p.nncert", NO_TIME)
    told = judged(outcome, model, query, tmp_path)
    assert told["kind"] == "outputs"


def test_what_is_proved_but_not_checked_in_time_still_has_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("verifier.engine.evidence.Evidence.prove", lambda *arguments: None)
    model, query = asked(MADE["relu"], tmp_path, "(>= Y_0 1e4)")
    for way in ("inputs", "phases"):
        outcome = decide_files(model, query, tmp_path / "p.nncert", 5.0, way)
        judged(outcome, model, query, tmp_path)


def test_a_requirement_that_was_never_begun_has_one(tmp_path: Path, monkeypatch) -> None:
    from verifier.api import certify
    from verifier.interruption import Stopped

    def stopped(*arguments: object) -> Outcome:
        raise Stopped("interrupted")

    monkeypatch.setattr("verifier.engine.decide.decide", stopped)
    model, query = asked(MADE["relu"], tmp_path, f"(>= Y_0 {FAR})")
    report = certify(model, query, out=tmp_path / "o")
    assert report.requirements[0].reason == "interrupted"
    judged(report.requirements[0].outcome, model, query, tmp_path)
