"""The triangle relaxation: the adversary chooses every unstable ReLU's output in the triangle around its graph.

Source: Ehlers 2017, arXiv:1705.01320; as the best that any bounds by two lines can do, Salman et al. 2019,
arXiv:1902.08722.
"""

from __future__ import annotations

import time
from typing import ClassVar

import numpy as np

from relaxations.actions import Point
from relaxations.base import Branch, Query, Relaxation, Solution
from relaxations.executions import affine_excess, box_excess, input_excess, invented, lines_excess, score
from relaxations.lp.phase_program import PhaseProgram
from relaxations.lp.safe_dual import no_multipliers, random_multipliers, safe_dual
from relaxations.multipliers import Multipliers


class Triangle(Relaxation[Point, Multipliers]):
    """A: inputs of box and ball, pre-activations that follow from the outputs before them, outputs in their triangles.

    Not so a Euclidean ball, which is no linear condition: the inputs are then those of the box.

    A neuron that the query's ranges show to be active or inactive is exactly that. The dual are linear multipliers, and
    any of them give a bound (``relaxations.lp.safe_dual``); those of an optimal basis lose nothing but rounding.
    """

    name: ClassVar[str] = "lp"

    def __init__(self, query: Query) -> None:
        super().__init__(query)
        self._coefs: tuple[np.ndarray, ...] | None = None  # of the last dual that was solved for

    def embed(self, x: np.ndarray) -> Point:
        return Point.real(self.query, x)

    def outside(self, action: Point) -> float:
        query = self.query
        of_input = input_excess if query.ball is not None and query.ball.is_linear else box_excess
        return max(of_input(query, action), affine_excess(query, action), lines_excess(query, action))

    def score(self, action: Point) -> float:
        return score(self.query, action)

    def solve(self, seconds: float = np.inf) -> Solution[Point, Multipliers]:
        """The optimum by HiGHS; out of time, the value is inf and there is neither dual nor action."""
        started = time.monotonic()
        solved = PhaseProgram(self.query).solve(seconds=seconds)
        self._coefs = solved.safe.coefs
        attained = -np.inf if solved.action is None else self.score(solved.action)
        return Solution(
            solved.safe.value, solved.dual, solved.action, attained, solved.finished, time.monotonic() - started
        )

    def bound(self, dual: Multipliers) -> float:
        return safe_dual(self.query, dual).value

    def some_dual(self, rng: np.random.Generator) -> Multipliers:
        return random_multipliers(self.query, rng)

    def input_of(self, action: Point) -> np.ndarray:
        return action.x

    def tighten(self, action: Point) -> list[Branch]:
        """Neurons whose output was invented, by how much times what it counts for in the dual solved for last."""
        coefs = self._coefs or safe_dual(self.query, no_multipliers(self.query)).coefs
        return invented(action, coefs)
