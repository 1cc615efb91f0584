"""The example with a slow overseer: a rate bounded with 2000 questions, beside a proof for all inputs."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from specs.loading import load_model
from verifier import api

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "slow-overseer"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "slow-overseer"))


def failures(function: str, draws: int) -> int:
    """How often the panel objects, counted without anything of the statistics."""
    judge = runpy.run_path(str(FOLDER / "panel.py"))[function]
    graph = load_model(FOLDER / "target.onnx")
    x = -1 + 2 * np.random.Generator(np.random.PCG64(0)).random((draws, 10))
    return sum(judge(one, graph.evaluate_flat(one)) < 0 for one in x)


def test_the_panel_seldom_objects(example: Path) -> None:
    report = api.certify(example / "target.onnx", example / "panel.yaml", out=example / "out", workers=1)
    assert [one.verdict for one in report.requirements] == ["certified"] * 3, report.sentence
    assert report.exit_code == 0
    panel = report["panel-ok"]
    assert failures("judge", 800) == panel.rate.failures == 0
    assert float(panel.rate.upper) == pytest.approx(1 - 0.001 ** (1 / 800), rel=1e-7)
    assert panel.claim_class == "statistical(0.999)"
    corner = np.full(10, 0.9375)
    judge = runpy.run_path(str(FOLDER / "panel.py"))["judge"]
    assert judge(corner, load_model(FOLDER / "target.onnx").evaluate_flat(corner)) < 0  # a rate is not every input
    assert report["panel-steady"].spent.queries <= 2000
    for one in (panel, report["panel-steady"]):
        assert api.check(one.rate.file)
    again = api.certify(example / "target.onnx", example / "panel.yaml", out=example / "out", workers=1)
    assert [one.asked for one in again.requirements[1:]] == [0, 0]


def test_a_stricter_panel_objects_too_often(example: Path) -> None:
    report = api.certify(example / "target.onnx", example / "strict.yaml", out=example / "out")
    (answer,) = report.requirements
    assert (answer.verdict, report.exit_code) == ("violated", 1), answer.sentence
    count = failures("strict", 800)
    assert answer.rate.failures == count
    assert float(answer.rate.lower) == pytest.approx(beta.ppf(0.0005, count, 801 - count), rel=1e-7)
    point, value = answer.rate.failing
    judge = runpy.run_path(str(FOLDER / "panel.py"))["strict"]
    assert value == judge(np.array(point), load_model(FOLDER / "target.onnx").evaluate_flat(point)) < 0


def test_the_model_is_what_the_script_makes(tmp_path: Path) -> None:
    runpy.run_path(str(FOLDER / "make.py"))["make"](tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (FOLDER / "target.onnx").read_bytes()
