"""The distillation example does what its README says; the spike is known from the networks themselves."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specs.loading import load_model
from tests.cli.conftest import Cli

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "distillation"
CENTRE, HEIGHT = np.array([0.52, -0.2, 0.92]), 0.5


def gaps(name: str, points: np.ndarray) -> np.ndarray:
    fast, slow = load_model(FOLDER / "fast.onnx"), load_model(FOLDER / f"{name}.onnx")
    return np.array([np.abs(fast.evaluate_flat(x) - slow.evaluate_flat(x)).max() for x in points])


def answered(cli: Cli, folder: Path, name: str, code: int) -> list[dict[str, Any]]:
    done = cli(FOLDER / "fast.onnx", FOLDER / f"{name}.yaml", "--json", "r.json", "--timeout", "100", timeout=200)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads((folder / "r.json").read_text())["requirements"]


def test_the_spike_is_there_and_no_sample_shows_it() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (5000, 3))
    assert gaps("spiked", samples).max() < 0.2
    assert gaps("spiked", CENTRE[None])[0] > HEIGHT - gaps("slow", CENTRE[None])[0] > 0.4
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 100_000


def test_the_gap_is_bracketed(cli: Cli, tmp_path: Path) -> None:
    gap, one_sided = answered(cli, tmp_path, "distilled", 0)
    attained, proved = (Fraction(gap["parameter"][end]) for end in ("refuted", "proved"))
    assert proved - attained <= Fraction(1, 200)
    assert gaps("slow", np.random.default_rng(1).uniform(-1, 1, (5000, 3))).max() < proved
    assert one_sided["verdict"] == "certified"
    assert gaps("slow", np.array([[float(Fraction(v)) for v in gap["attack"]["input_exact"]]]))[0] > attained


@pytest.mark.slow
def test_a_hidden_spike_is_never_certified_below_its_height(cli: Cli, tmp_path: Path) -> None:
    gap, one_sided = answered(cli, tmp_path, "spiked", 1)
    attained, proved = (Fraction(gap["parameter"][end]) for end in ("refuted", "proved"))
    assert attained < gaps("spiked", CENTRE[None])[0] <= proved
    assert one_sided["verdict"] == "violated"
    x = np.array([float(Fraction(v)) for v in one_sided["attack"]["input_exact"]])
    assert np.abs(x - CENTRE).sum() < 0.015, "the plan that is accepted wrongly lies in the cell"
