"""The example with an overseer known by axioms: proved with a few queries, and the stricter one attacked."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from specs.errors import CertificateError, SpecError
from specs.loading import load_model
from verifier import api
from verifier.checking import run_checker

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "axioms"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "axioms"))


def outputs(model: Path) -> np.ndarray:
    graph = load_model(model)
    return np.array([graph.evaluate_flat(x) for x in np.random.default_rng(0).uniform(0, 1, (2000, 2))])


def test_every_overseer_that_fits_accepts_the_target(example: Path) -> None:
    model = example / "target.onnx"
    report = api.certify(model, example / "axioms.yaml", out=example / "out", timeout=50)
    (answer,) = report.requirements
    assert answer.verdict == "certified", answer.reason
    assert answer.answers <= 20
    assert "UNDER THE AXIOMS" in answer.sentence
    y = outputs(model)
    assert (0.125 + 0.5 * y[:, 0] - 0.25 * abs(y[:, 1] - 0.25)).min() >= 0  # what lab.py computes
    file = answer.certificate.path
    assert run_checker(file, model, None, False, {}).accepted
    assert run_checker(file, model, example / "axioms.yaml", False, {}).accepted
    other = example / "other.onnx"
    other.write_bytes(model.read_bytes().replace(np.float32(0.25).tobytes(), np.float32(0.5).tobytes(), 1))
    with pytest.raises(CertificateError, match="not the model"):
        run_checker(file, other, None, False, {})
    assert answer.hashes["overseer"]


def test_the_stricter_overseer_is_attacked_at_an_output_of_the_target(example: Path) -> None:
    model = example / "target.onnx"
    report = api.certify(model, example / "strict.yaml", out=example / "out", timeout=50)
    (answer,) = report.requirements
    assert answer.verdict == "violated", answer.reason
    assert answer.value < 0
    assert load_model(model).evaluate_flat(answer.model_input).tolist() == list(answer.point)
    assert all(0 <= x <= 1 for x in answer.model_input)


def test_a_proof_through_a_network_misses_a_gate_on_exact_ones(example: Path) -> None:
    spec = example / "gated.yaml"
    spec.write_text((example / "axioms.yaml").read_text() + "gate: {require_class: {malign: exact}}\n")
    report = api.certify(example / "target.onnx", spec, out=example / "out", timeout=50)
    assert (report.verdict, report.exit_code) == ("certified", 3)
    assert report.missed == ("accepted: a malign requirement has to be proved exact, it is sound",)
    spec.write_text(spec.read_text().replace("require_class: {malign: exact}", "max: {accepted.K: 1}"))
    with pytest.raises(SpecError, match=r"gated.yaml:21:\d+: gate.max: 'accepted.K' is not solved for"):
        api.certify(example / "target.onnx", spec, timeout=50)


def test_the_model_is_what_the_script_makes(tmp_path: Path) -> None:
    import runpy

    runpy.run_path(str(FOLDER / "make.py"))["make"](tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (FOLDER / "target.onnx").read_bytes()
