"""A sorting network judged by the last network of a chain: one claim survives the chain's error, one does not."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from specs.loading import load_model
from verifier import api
from verifier.checking import run_checker

HERE = Path(__file__).parents[2] / "docs" / "examples" / "chain-overseer"


def test_the_target_sorts_exactly() -> None:
    """The 0-1 principle (Knuth): comparators that sort all sequences of zeros and ones sort everything."""
    graph = load_model(HERE / "sort.onnx")
    for number in range(256):
        q = [number >> i & 1 for i in range(8)]
        assert graph.evaluate_flat(q).tolist() == sorted(q)
    rng = np.random.default_rng(0)
    for q in rng.integers(0, 1 << 20, (500, 8)) / (1 << 20):
        assert graph.evaluate_flat(q).tolist() == sorted(q)
    script = runpy.run_path(str(HERE / "make.py"))
    made = script["sorting_network"]()
    assert all((made.evaluate_flat(q) == graph.evaluate_flat(q)).all() for q in rng.uniform(0, 1, (50, 8)))
    assert sum(file.stat().st_size for file in HERE.iterdir() if file.is_file()) < 100_000


def test_the_overseer_is_the_network_of_the_chain_example() -> None:
    from specs.language.load_spec import load_spec

    spec = load_spec(HERE / "judged.yaml")
    (judge,) = (module for module in spec.modules if module.name == "judge")
    model, worst = load_model(HERE.parent / "chain" / "m3.onnx"), 0.0
    for q in np.random.default_rng(1).uniform(0, 1, (500, 8)):
        assert judge.graph.evaluate_flat(q) == model.evaluate_flat(q)
        worst = max(worst, abs(model.evaluate_flat(q)[0] - q.max()))
    (assumption,) = spec.assumptions
    assert worst <= float(assumption.error) == 267 / 512


@pytest.mark.slow
def test_one_claim_survives_and_one_is_withdrawn(tmp_path: Path) -> None:
    report = api.certify(None, HERE / "judged.yaml", timeout=240, out=tmp_path)
    close, too_close = report.requirements
    assert (close.verdict, too_close.verdict) == ("certified", "unknown"), report
    assert too_close.reason.startswith("assumption: judge.chain allows for an error of judge of 0.521484375")
    assert "what its trusted core core.py:pairwise_max says, unrolled" in close.sentence
    assert close.premises[0].status.startswith("holds: the checker accepted its statement")
    result = run_checker(close.certificate.path, None, HERE / "judged.yaml", False, {})
    assert result.accepted
    assert "its chain was accepted again" in result.reason
