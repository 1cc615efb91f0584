"""The Python API: the same answers as the command, as frozen values, and nothing left lying about."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest

import verifier
from specs.errors import CertificateError, CertifyError, ModelError, SpecError
from tests.cli.conftest import write_network, write_query
from verifier import SoundnessError, certify, check, load
from verifier.engine.outcome import Outcome, Proof


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = write_network(tmp_path / "absolute.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))
    write_query(tmp_path / "holds.vnnlib", 1, "(>= Y_0 2)")
    write_query(tmp_path / "fails.vnnlib", 1, "(>= Y_0 0.9)")
    return model


def test_certified(files, tmp_path):
    report = certify(files, "holds.vnnlib", timeout=20)
    assert (report.verdict, report.exit_code) == ("certified", 0)
    assert report["holds"].claim_class == "sound"
    assert "FOR ALL x IN [-1, 1]: -Y_0 + 2 > 0 WITH SLACK" in report.sentence
    assert repr(report) == "<Report certified: <holds: certified>>"
    assert sorted(os.listdir(tmp_path)) == ["absolute.onnx", "fails.vnnlib", "holds.vnnlib"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.reason = "other"
    with pytest.raises(KeyError, match="there are holds"):
        report["other"]


EXACT = """\
certify: "1.0"
name: holds-exactly
models: {f: {path: absolute.onnx}}
inputs: {x: {shape: [1, 1], box: {lo: -1.0, hi: 1.0}}}
let: {y: "f(x)"}
require: [{id: below, severity: malign, assert: "y[0] <= 2", accept_class: exact}]
"""


def test_a_requirement_that_accepts_only_exact_proofs_gets_one_or_stays_open(files, tmp_path, monkeypatch):
    (tmp_path / "exact.yaml").write_text(EXACT)
    report = certify(None, "exact.yaml", timeout=20)
    assert (report.verdict, report["below"].claim_class) == ("certified", "exact")
    assert "CLASS exact (rational arithmetic)" in report.sentence
    monkeypatch.setattr("verifier.answer.audit", lambda certificate, seconds: False)
    report = certify(None, "exact.yaml", timeout=20)
    assert report.verdict == "unknown"
    assert report["below"].reason.startswith("class:")


def test_a_gate_on_classes_is_missed_by_a_weaker_proof_which_still_is_one(files, tmp_path, monkeypatch):
    text = EXACT.replace(", accept_class: exact", "") + "gate: {require_class: {malign: exact}}\n"
    (tmp_path / "gated.yaml").write_text(text)
    report = certify(None, "gated.yaml", timeout=20)
    assert (report.exit_code, report.missed, report["below"].claim_class) == (0, (), "exact")
    monkeypatch.setattr("verifier.answer.audit", lambda certificate, seconds: False)
    report = certify(None, "gated.yaml", timeout=20)
    assert (report.verdict, report["below"].claim_class, report.exit_code) == ("certified", "sound", 3)
    assert report.missed == ("below: a malign requirement has to be proved exact, it is sound",)
    assert report.to_json()["gates_missed"] == list(report.missed)
    (tmp_path / "gated.yaml").write_text(text.replace("severity: malign", "severity: benign"))
    assert certify(None, "gated.yaml", timeout=20).exit_code == 0
    (tmp_path / "gated.yaml").write_text(text.replace("<= 2", "<= 0.5"))
    violated = certify(None, "gated.yaml", timeout=20)
    assert (violated.exit_code, violated.missed) == (1, ())


def test_a_gate_on_classes_counts_as_its_severity_does(files, tmp_path, monkeypatch):
    text = EXACT.replace(", accept_class: exact", "").replace("malign", "benign")
    (tmp_path / "gated.yaml").write_text(text + "gate: {require_class: {benign: exact}}\n")
    monkeypatch.setattr("verifier.answer.audit", lambda certificate, seconds: False)
    assert certify(None, "gated.yaml", timeout=20).exit_code == 3
    assert certify(None, "gated.yaml", timeout=20, fail_on="malign").exit_code == 0


def test_violated_evaluates_like_the_graph(files):
    report = certify(str(files), "fails.vnnlib", timeout=20, workers=1)
    assert (report.verdict, report.exit_code) == ("violated", 1)
    x = [float(v) for v in report["fails"].attack.point]
    assert load(files).evaluate_flat(x) == pytest.approx(np.abs(x))
    assert abs(x[0]) >= 0.9


def test_a_kept_certificate_is_accepted_and_about_these_files_only(files, tmp_path):
    report = certify(files, "holds.vnnlib", certificate="p.nncert", timeout=20)
    assert str(report["holds"].certificate.path) == "p.nncert"
    result = check("p.nncert", files, "holds.vnnlib")
    assert result
    assert result.accepted
    assert result.leaves >= 1
    assert 0 < result.margin <= 1
    assert check("p.nncert", exact=True).exact
    with pytest.raises(CertificateError, match="not the query"):
        check("p.nncert", files, "fails.vnnlib")


def test_a_module_in_memory_is_certified_and_its_certificate_stands_alone(files, tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), ([[1], [-1]], [0, 0], [[1, 1]], [0])):
            parameter.copy_(torch.tensor(value))
    report = certify(module, "holds.vnnlib", example_inputs=(torch.zeros(1, 1),), certificate="p.nncert", timeout=20)
    assert report.verdict == "certified"
    assert report["holds"].certificate.binding == "recompiled"
    assert check("p.nncert", spec="holds.vnnlib").accepted
    assert len(report.hashes["model"]) == 64


def test_an_old_certificate_survives_a_run_that_proves_nothing(files, tmp_path):
    certify(files, "holds.vnnlib", certificate="p.nncert", timeout=20)
    before = (tmp_path / "p.nncert").read_bytes()
    assert certify(files, "fails.vnnlib", certificate="p.nncert", timeout=20).verdict == "violated"
    assert (tmp_path / "p.nncert").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (("absent.onnx", "holds.vnnlib"), {}, ModelError),
        (("absolute.onnx", "absent.vnnlib"), {}, SpecError),
        ((None, "holds.vnnlib"), {}, SpecError),
        (("absolute.onnx", "holds.vnnlib"), {"timeout": 0}, CertifyError),
        (("absolute.onnx", "holds.vnnlib"), {"timeout": float("nan")}, CertifyError),
        (("absolute.onnx", "holds.vnnlib"), {"methods": ["nothing"]}, CertifyError),
        (("absolute.onnx", "holds.vnnlib"), {"branching": "nothing"}, CertifyError),
        (("absolute.onnx", "holds.vnnlib"), {"certificate": "no/p.nncert"}, CertifyError),
    ],
)
def test_what_cannot_be_read_raises(files, arguments, options, error):
    with pytest.raises(error):
        certify(*arguments, **options)


def contradictory(tmp_path):
    """An outcome that claims a minimum above a value that was sampled."""

    def decide(question, options, certificate, *rest):
        certificate.write_bytes(b"proof")
        return Outcome("certified", "", 0.25, 0.5, Proof(certificate, 5, 1, 0.0, "independent"))

    return decide


def test_a_sample_below_a_proved_bound_stops_everything(files, tmp_path, monkeypatch):
    monkeypatch.setattr("verifier.engine.decide.decide", contradictory(tmp_path))
    with pytest.raises(SoundnessError, match=r"attains 0\.25, below the proved bound 0\.5") as caught:
        certify(files, "holds.vnnlib", out="o")
    saved = caught.value.reproducer
    assert sorted(file.name for file in saved.iterdir()) == [
        "absolute.onnx",
        "details.json",
        "holds.nncert",
        "holds.vnnlib",
    ]
    assert json.loads((saved / "details.json").read_text())["proved"] == 0.5
    assert not (tmp_path / "o" / "holds.nncert").exists()


def test_the_command_says_so_with_an_exit_code_of_its_own(files, tmp_path, monkeypatch, capsys):
    from verifier.cli import main

    monkeypatch.setattr("verifier.engine.decide.decide", contradictory(tmp_path))
    assert main([str(files), "holds.vnnlib", "--json", "r.json"]) == 70
    assert "CONTRADICTION: requirement holds: a sampled input attains 0.25" in capsys.readouterr().err
    assert json.loads((tmp_path / "r.json").read_text())["verdict"] == "error"


def test_running_out_of_memory_is_a_result(files, monkeypatch):
    def decide(*arguments):
        raise MemoryError

    monkeypatch.setattr("verifier.engine.decide.decide", decide)
    report = certify(files, "holds.vnnlib")
    assert (report.verdict, report["holds"].reason) == ("unknown", "memory")


def test_only_what_is_public_is_there():
    assert all(getattr(verifier, name) is not None for name in verifier.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        verifier.nothing  # noqa: B018
