"""Values of cases are those of their best rows, and rounding never leaves a box that holds a number."""

from __future__ import annotations

import numpy as np
import pytest

from relaxations.bounds.boxes import Rows
from tests.unit.verifier.attack.aims import rows
from verifier.attack.targets import Targets

LOW, UP = np.zeros(3), np.ones(3)


def random_rows(seed: int, count: int, reads_inputs: bool) -> Rows:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 3)) * reads_inputs
    return Rows(x, rng.normal(size=(count, 2)), rng.normal(size=count))


@pytest.mark.parametrize("reads_inputs", [True, False])
def test_a_case_is_worth_its_best_row(reads_inputs: bool) -> None:
    cases = [random_rows(seed, count, reads_inputs) for seed, count in enumerate((1, 4, 0, 2))]
    targets = Targets.of(cases, [LOW] * 4, [UP] * 4)
    assert (targets.x is None) != reads_inputs
    rng = np.random.default_rng(9)
    points, outputs = rng.random((6, 3)), rng.random((6, 2))
    values = targets.rows(points, outputs)
    best = targets.values(values)
    for p in range(6):
        for k, case in enumerate(cases):
            each = [x @ points[p] + y @ outputs[p] + c for x, y, c in zip(case.x, case.y, case.constant)]
            assert best[p, k] == pytest.approx(max(each, default=-np.inf))
            if each:
                chosen = targets.best_rows(values[p : p + 1], np.array([k]))[0] - targets.first[k]
                assert chosen == np.argmax(each)


def test_equal_boxes_are_one_box() -> None:
    case = rows([[1, 0]], [0], 3)
    targets = Targets.of([case] * 4, [LOW, LOW - 1, LOW.copy(), LOW], [UP, UP, UP.copy(), UP + 1])
    assert targets.box.tolist() == [0, 1, 0, 2]
    assert targets.lower.shape == (3, 3)
    for k, low in enumerate((0, -1, 0, 0)):
        assert (targets.lower[targets.box[k]] == low).all()


def test_boxes_are_rounded_inward_and_fixed_inputs_to_the_nearest_number() -> None:
    low, up = np.array([0.1, 0.7, 1 / 3]), np.array([0.1, 0.9, 1 / 3 + 1e-12])
    narrow = Targets.of([rows([[1, 0]], [0], 3)], [low], [up]).astype(np.float32)
    assert narrow.lower.dtype == narrow.y.dtype == np.float32
    assert narrow.lower[0, 0] == narrow.upper[0, 0] == np.float32(0.1)
    assert narrow.lower[0, 2] == narrow.upper[0, 2] == np.float32(1 / 3)
    assert 0.7 <= float(narrow.lower[0, 1]) < 0.7 + 1e-7
    assert 0.9 - 1e-7 < float(narrow.upper[0, 1]) <= 0.9
