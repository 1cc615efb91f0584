"""Extrapolations as files: what is written is what was made, data are in the user's units, and refusals say why."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.language.spec import Extrapolate
from specs.loading.onnx import load_onnx
from specs.problem import Box, Case, Problem, Row
from specs.sets import InputSet
from tests.unit.verifier.relaxed.drawn import Drawn
from tests.unit.verifier.relaxed.files import obstacle, of_lines, of_point, packed
from verifier.relaxed.emit import emit_extrapolation

ONE = obstacle(3)


def problem(one: Drawn) -> Problem:
    query = one.query
    rows = tuple(
        Row((), tuple((i, Fraction(float(c))) for i, c in enumerate(y) if c), Fraction(float(constant)))
        for y, constant in zip(query.rows.y, query.rows.constant)
    )
    box = Box(*(tuple(map(Fraction, side.tolist())) for side in (query.lower, query.upper)))
    return Problem(one.graph, (Case(box, rows),))


def written(folder: Path, data: bytes) -> Path:
    file = folder / "r.nnrelax"
    file.write_bytes(data)
    return file


def score_of(one: Drawn, x: np.ndarray, y: np.ndarray) -> float:
    return -float((one.query.rows.y @ y + one.query.rows.constant).max())


def test_the_file_computes_the_value_of_the_relaxation(tmp_path: Path) -> None:
    file = written(tmp_path, packed(of_point(ONE)))
    made = emit_extrapolation(problem(ONE), None, file, Extrapolate(), 10.0)
    assert made.path == tmp_path / "r.extrapolation.onnx"
    assert made.score == pytest.approx(ONE.value, rel=1e-9)
    x = ONE.action.x.astype(np.float32).astype(float)
    assert score_of(ONE, x, load_onnx(made.path).evaluate_flat(x)) == pytest.approx(ONE.value, rel=1e-4)
    assert made.replayed == pytest.approx(ONE.value, rel=1e-4)
    assert made.table is not None
    assert len(made.table.read_text().splitlines()) == 1 + made.deviating
    assert 0 < made.deviating <= made.unstable
    assert made.difference is None


def test_fewer_units_for_some_of_the_score(tmp_path: Path) -> None:
    file = written(tmp_path, packed(of_point(ONE)))
    plain = emit_extrapolation(problem(ONE), None, file, Extrapolate(), 10.0)
    made = emit_extrapolation(problem(ONE), None, file, Extrapolate(minimal=True, loss=1e3), 10.0)
    assert plain.deviating > 0
    assert made.deviating == 0  # with any loss allowed a real execution will do
    assert made.score <= plain.score


def test_data_are_in_the_units_of_the_specification(tmp_path: Path) -> None:
    """With the data shifted and scaled back by the normalisation, both networks agree on what the model consumes."""
    size = ONE.query.network.input_size
    inputs = InputSet(
        "x", (size,), (), (), (Fraction(3),) * size, (Fraction(1, 2),) * size, (None,) * size, (None,) * size
    )
    np.savez(tmp_path / "data.npz", inputs=ONE.data / 2 + 3)
    file = written(tmp_path, packed(of_point(ONE)))
    made = emit_extrapolation(problem(ONE), inputs, file, Extrapolate(data=tmp_path / "data.npz"), 10.0)
    assert not made.why
    assert made.difference is not None
    assert made.difference < 1e-9
    assert made.path is not None
    other = load_onnx(made.path)
    for x in ONE.data:
        assert other.evaluate_flat(x) == pytest.approx(ONE.graph.evaluate_flat(x), rel=1e-4, abs=1e-4)


def test_why_there_is_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", inputs=np.zeros((4, 1)))
    file = written(tmp_path, packed(of_point(ONE)))
    made = emit_extrapolation(problem(ONE), None, file, Extrapolate(data=tmp_path / "data.npz"), 10.0)
    assert "4 examples of 1 elements" in made.why
    attack = of_point(ONE)
    bare = written(tmp_path, packed(replace(attack, content=replace(attack.content, units=None))))
    assert "no units" in emit_extrapolation(problem(ONE), None, bare, Extrapolate(), 10.0).why
    lines = written(tmp_path, packed(of_lines(ONE)))
    outside = emit_extrapolation(problem(ONE), None, lines, Extrapolate(), 10.0)
    assert outside.path is not None or "misses the triangle relaxation" in outside.why
    assert list(tmp_path.glob("*.extrapolation.*")) == ([] if outside.path is None else [outside.path, outside.table])
