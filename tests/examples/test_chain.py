"""The chain to the largest of eight numbers: composed errors cover what sampling sees."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from specs.loading import load_model
from verifier import api
from verifier.checking import run_checker

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "chain"


@pytest.mark.slow
def test_the_chain_is_certified(tmp_path: Path) -> None:
    report = api.certify(None, FOLDER / "chain.yaml", out=tmp_path, timeout=240)
    *steps, whole = report.requirements
    assert [(one.id, one.verdict) for one in steps] == [(f"M{k}.gap", "certified") for k in (1, 2, 3)]
    assert whole.verdict == "certified", whole.reason
    errors = [float(row.error) for row in whole.rows]
    assert errors == [0.3125, 0.5625, 0.875]
    model = load_model(FOLDER / "m3.onnx")
    seen = max(abs(model.evaluate_flat(q)[0] - q.max()) for q in np.random.default_rng(1).uniform(0, 1, (5000, 8)))
    assert seen <= whole.error <= whole.rows[-1].error
    if whole.joint is not None:
        assert whole.sampled <= whole.joint < whole.rows[-1].error
    result = run_checker(whole.certificate.path, None, FOLDER / "chain.yaml", False, {})
    assert result.accepted, result.reason


def test_the_models_are_small_and_close_to_what_the_script_trains() -> None:
    """Training is seeded; what it ends in depends on the machine's rounding, so its quality is compared, not bits."""
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < 100_000
    script = runpy.run_path(str(FOLDER / "train.py"))
    trained = script["train"](2, 6, lambda q: q.max(1), 1, 6000)
    model = load_model(FOLDER / "m1.onnx")
    for q in np.random.default_rng(2).uniform(0, 1, (200, 2)):
        assert model.evaluate_flat(q)[0] == pytest.approx(script["outputs"](trained, q[None])[0], abs=0.05)
