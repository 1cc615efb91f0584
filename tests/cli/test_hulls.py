"""A planted fault, restricted to what data has exercised: from the specification to the monitor that refuses it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from specs.loading.onnx_writer import write_onnx
from tests.cli.conftest import Cli
from tests.planted import THRESHOLD, Planted, planted

SPEC = """certify: "1.0"
name: coverage
models:
  target: {{path: "$MODEL", taps: {{a1: pre1, a2: pre2}}}}
inputs:
  x: {{shape: [20], box: {{lo: 0.0, hi: 1.0}}}}
let: {{y: target(x), score: "y[0] - y[1]"}}
require:
  - id: anywhere
    assert: "score <= {threshold}"
  - id: on-exercised-paths
    where: {{activation_hull: {{model: target, taps: [a1, a2], data: train.npz, kind: {kind}}}}}
    assert: "score <= {threshold}"
monitor: {{from: on-exercised-paths, export: monitor.onnx, held_out: held-out.npz}}
emit: [monitor]
"""


def written(folder: Path, kind: str = "box") -> tuple[Planted, Path, Path]:
    fault = planted(0)
    model, spec = folder / "gate.onnx", folder / "spec.yaml"
    model.write_bytes(write_onnx(fault.graph))
    np.savez(folder / "train.npz", data=fault.data)
    np.savez(folder / "held-out.npz", data=np.random.default_rng(99).uniform(size=(500, 20)))
    spec.write_text(SPEC.format(threshold=THRESHOLD, kind=kind))
    return fault, model, spec


@pytest.mark.parametrize("kind", ["box", "octagon", "polytope"])
def test_the_fault_is_outside_the_hull_and_the_rest_is_proved(cli: Cli, tmp_path: Path, kind: str) -> None:
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip("highspy")
    fault, model, spec = written(tmp_path, kind)
    done = cli(model, spec, "--out", "out", "--json", "r.json", "--timeout", "50")
    report = json.loads((tmp_path / "r.json").read_text())
    anywhere, restricted = report["requirements"]
    assert anywhere["verdict"] == "violated", done.stdout + done.stderr
    assert restricted["verdict"] == "certified", done.stdout
    assert restricted["seconds"] < 20  # on an idle machine a second
    attack = np.array([float(v) for v in anywhere["attack"]["input"]])
    assert fault.difference(attack[None])[0] > THRESHOLD

    session = ort.InferenceSession(tmp_path / "out/monitor.onnx", providers=["CPUExecutionProvider"])

    def run(x: np.ndarray) -> tuple[float, float, bool]:
        y, excess, accept = session.run(None, {"x": x[None].astype(np.float32)})
        return float(y[0, 0] - y[0, 1]), float(excess[0]), bool(accept[0])

    difference, excess, accepted = run(attack)
    assert difference > THRESHOLD
    assert excess > 5  # the gate is at 1/2 there, and at -5 or less on the data
    assert not accepted
    draws = [run(x) for x in np.random.default_rng(99).uniform(size=(500, 20))]
    inside = [difference for difference, _, accepted in draws if accepted]
    assert max(inside) <= THRESHOLD
    found = report["monitor"]["acceptance"]
    assert (found["accepted"], found["examples"]) == (len(inside), 500)
    assert found["interval"][0] <= len(inside) / 500 <= found["interval"][1]
    assert len(inside) > 350
    sentence = report["monitor"]["sentence"]
    assert sentence.startswith("FOR ALL x IN {x: 20 values, each in [0, 1]}: the monitored system")
    assert sentence in done.stdout
    assert "abstains or satisfies: score <= 100" in sentence


def test_the_certificate_is_bound_to_the_data(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("highspy")
    fault, model, spec = written(tmp_path)
    cli(model, spec, "--out", "out", "--json", "r.json", "--timeout", "50")
    certificate = tmp_path / "out/spec.on-exercised-paths.nncert"
    restricted = json.loads((tmp_path / "r.json").read_text())["requirements"][1]
    assert "data train.npz = sha256:" in restricted["sentence"]
    assert "whose activations leave the hull" in restricted["sentence"]
    assert cli("check", certificate).returncode == 0
    again = cli("check", certificate, "--model", model, "--spec", spec)
    assert again.returncode == 0, again.stdout + again.stderr
    changed = fault.data.copy()
    changed[np.argmax(changed[:, 0])] = 1 - fault.corner  # one example, in the opposite corner
    np.savez(tmp_path / "train.npz", data=changed)
    other = cli("check", certificate, "--model", model, "--spec", spec)
    assert other.returncode != 0
    assert "this is not the" in other.stdout + other.stderr


def test_no_monitor_is_written_for_what_is_not_certified(cli: Cli, tmp_path: Path) -> None:
    _, model, spec = written(tmp_path)
    spec.write_text(spec.read_text().replace("score <= 100.0", "score <= 20"))
    done = cli(model, spec, "--out", "out", "--timeout", "30")
    assert done.returncode == 1
    assert "on-exercised-paths is not certified" in done.stdout
    assert not (tmp_path / "out/monitor.onnx").exists()


def test_coverage_says_which_unit_never_was_active(cli: Cli, tmp_path: Path) -> None:
    fault, model, _ = written(tmp_path)
    done = cli("coverage", model, "train.npz", "--json", "c.json", "--out", "c.npz")
    assert done.returncode == 0, done.stderr
    layers = json.loads((tmp_path / "c.json").read_text())["layers"]
    z = fault.data @ fault.weights[0].astype(float) + fault.biases[0]
    assert layers["pre1"]["never_active"] == [0]
    assert layers["pre1"]["positive"] == (z > 0).sum(axis=0).tolist()
    assert 0 in layers["pre2"]["never_active"]  # the relay
    with np.load(tmp_path / "c.npz", allow_pickle=False) as stored:
        assert np.allclose(stored["pre1.highest"], z.max(axis=0), atol=1e-6)
        assert int(stored["examples"]) == len(fault.data)
    assert "never active   1: 0" in done.stdout
    for wrong, said in ((("coverage", model), "which data"), (("coverage", model, "none.npz"), "no file none.npz")):
        refused = cli(*wrong)
        assert refused.returncode == 2
        assert said in refused.stderr
