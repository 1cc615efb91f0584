"""Overseers that are traced cores: in expressions beside networks, refused with places where they mean nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.language.load_spec import load_spec
from specs.language.spec import Spec
from tests.unit.specs.compose.modules import random_dense

TARGET = random_dense(np.random.default_rng(4), 3, 4, 2)
CORE = """
LIMITS = [0.5, 0.25]


def worst(a, b):
    return max(a, b)


def judge(x, y):
    over = [worst(y[k] - LIMITS[k], 0) for k in range(len(y))]
    if x[0] > 0:
        return max(over) + x[0], sum(over)
    return max(over), sum(over)


def step(v):
    return 1.0 if v > 0 else 0.0
"""


def read(folder: Path, condition: str, overseer: str = '{python: "core.py:judge"}') -> Spec:
    (folder / "core.py").write_text(CORE)
    path = folder / "s.yaml"
    path.write_text(
        'certify: "1.0"\nname: s\nmodels: {target: {path: target.onnx}}\n'
        f"overseers:\n  g: {{symbolic: {overseer}}}\n"
        "inputs: {x: {shape: [3], box: {lo: -1, hi: 1}}}\nlet: {y: target(x)}\n"
        f'require: [{{id: r, assert: "{condition}"}}]\n'
    )
    return load_spec(path, load=lambda file, **options: TARGET)


def judge(x: np.ndarray) -> tuple[float, float]:
    y = TARGET.evaluate_flat(x)
    over = [max(y[0] - 0.5, 0), max(y[1] - 0.25, 0)]
    return max(over) + max(x[0], 0), sum(over)


@pytest.mark.parametrize(("condition", "place"), [("g(x, y)[0] >= 0", 0), ("g(x, target(x))[1] >= 0", 1)])
def test_values_are_those_of_the_function(tmp_path: Path, condition: str, place: int) -> None:
    (requirement,) = read(tmp_path, condition).requirements
    (case,) = requirement.problem.cases
    (row,) = [row for row in case.any_of if row.y]
    for x in np.random.default_rng(5).integers(-16, 17, (2000, 3)) / 16:
        y = requirement.problem.graph.evaluate_flat(x)
        value = row.constant + sum(c * Fraction(y[i]) for i, c in row.y)
        assert value == Fraction(judge(x)[place])


def test_outputs_have_names(tmp_path: Path) -> None:
    (tmp_path / "core.py").write_text(CORE)
    path = tmp_path / "s.yaml"
    path.write_text(
        'certify: "1.0"\nname: s\nmodels: {target: {path: target.onnx}}\noverseers:\n'
        '  g: {symbolic: {python: "core.py:judge"}, sees: [x, y], outputs: {malign: 0, all: 1}}\n'
        "inputs: {x: {shape: [3], box: {lo: -1, hi: 1}}}\nlet: {y: target(x)}\n"
        'require: [{id: r, assert: "g(x, y).all <= 9"}]\n'
    )
    spec = load_spec(path, load=lambda file, **options: TARGET)
    assert spec.requirements[0].output_names == ("g(x, y).all",)
    assert spec.listings == {"g": CORE}
    assert "traced exactly, never executed" in spec.describe()
    assert "over = [worst" in spec.describe()
    assert spec.files["overseer g"] == tmp_path / "core.py"


FAULTS = [
    ("g(x, y)[0] >= 0", '{python: "core.py:jugde"}', "has no function 'jugde'"),
    ("g(x, y)[0] >= 0", '{python: "other.py:judge"}', "other.py: there is no such file"),
    ("g(x, y)[0] >= 0", '{python: "core.judge"}', "expected FILE.py:FUNCTION"),
    ("g(x)[0] >= 0", '{python: "core.py:judge"}', "judge takes 2 arguments, but is given 1"),
    ("g(y[0])[0] >= 0", '{python: "core.py:step"}', "core.py:17:12: if on data: the result is not proved"),
    ("g(x, y)[2] >= 0", '{python: "core.py:judge"}', "out of range"),
    ("tap(g, relu1)(x, y)[0] >= 0", '{python: "core.py:judge"}', "is a traced core and has no layers"),
    ("g(y[0], y[1])[0] >= 0", '{python: "core.py:worst", lipschitz: {value: 0.5}}', "has 1"),
]


@pytest.mark.parametrize(("condition", "overseer", "message"), FAULTS)
def test_faults_name_the_place(tmp_path: Path, condition: str, overseer: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, condition, overseer)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 's.yaml'}:")


def test_a_declared_lipschitz_constant_may_be_larger(tmp_path: Path) -> None:
    assert read(tmp_path, "g(y[0], y[1])[0] >= -9", '{python: "core.py:worst", lipschitz: {norm: inf, value: 1}}')
