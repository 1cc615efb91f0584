"""The rows of a case in floating point."""

from __future__ import annotations

import numpy as np

from relaxations.bounds.boxes import Rows
from specs.problem import Case


def float_rows(case: Case, inputs: int, outputs: int) -> Rows:
    """The rows of a case as float64 arrays, for the search."""
    x, y = np.zeros((len(case.any_of), inputs)), np.zeros((len(case.any_of), outputs))
    for r, row in enumerate(case.any_of):
        for target, terms in ((x, row.x), (y, row.y)):
            for i, value in terms:
                target[r, i] = float(value)
    return Rows(x, y, np.array([float(row.constant) for row in case.any_of]))
