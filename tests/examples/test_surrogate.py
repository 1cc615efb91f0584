"""The example with a surrogate: 1200 questions to learn from and 800 to audit, two claims kept apart."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from specs.loading import load_model
from verifier import api

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "surrogate"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "surrogate"))


def asked(ledger: Path) -> list[dict]:
    return [line for line in map(json.loads, ledger.read_text().splitlines()) if line["kind"] == "ask"]


@pytest.mark.slow
def test_sound_about_the_surrogate_and_statistical_about_the_panel(example: Path) -> None:
    target, spec, out = example / "target.onnx", example / "panel.yaml", example / "out"
    report = api.certify(target, spec, out=out, timeout=240)
    sound, audit = report["surrogate-ok"], report["panel-ok"]
    assert report.exit_code == 0, report.sentence
    assert (sound.claim_class, audit.claim_class) == ("sound", "statistical(0.999)")
    assert audit.rate.failures == 0
    assert float(audit.rate.upper) == pytest.approx(1 - 0.001 ** (1 / 800), rel=1e-7)
    assert float(audit.rate.upper) < 0.0086
    ledger = asked(out / "panel.panel.ledger.jsonl")
    purposes = [line["purpose"].partition(": ")[2] or line["purpose"] for line in ledger]
    assert {one: purposes.count(one) for one in purposes} == {
        "random": 400, "disagreement": 400, "attack-guided": 400, "panel-ok": 800
    }  # fmt: skip

    judge = runpy.run_path(str(FOLDER / "panel.py"))["judge"]
    network, surrogate = load_model(target), load_model(report.learned[0].file)
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.uniform(-1, 1, (8000, 10)), np.sign(rng.uniform(-1, 1, (2000, 10)))])
    found = []
    for x in points:
        y = network.evaluate_flat(x)
        found.append((judge(x, y), float(surrogate.evaluate_flat([*x, *y])[0])))
    answers, learned = np.array(found).T
    assert sound.solution.proved > 0
    assert float(sound.solution.proved) <= learned.min()
    assert np.sqrt(np.mean((answers - learned)[:8000] ** 2)) < 0.1 * answers[:8000].std()
    assert api.check(sound.certificate.path, target, spec)
    assert api.check(audit.rate.file)


@pytest.mark.slow
def test_what_follows_from_both(example: Path) -> None:
    report = api.certify(example / "target.onnx", example / "gap.yaml", out=example / "out", timeout=120)
    assert [one.verdict for one in report.requirements] == ["certified"] * 2, report.sentence
    assert report["panel-near"].lifted.claim == "Pr[panel(x, y) < 0] <= 0.008598"
    assert len(asked(example / "out" / "gap.panel.ledger.jsonl")) == 1200


def test_the_model_is_what_the_script_makes(tmp_path: Path) -> None:
    runpy.run_path(str(FOLDER / "make.py"))["make"](tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (FOLDER / "target.onnx").read_bytes()
