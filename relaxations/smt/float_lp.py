"""The linear relaxation of a node in floating point, by HiGHS: where to look, and multipliers that are likely to do.

All nodes share one program, of which a phase changes a few bounds, so that each solve starts from the last basis.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from relaxations.lp.highs import quiet
from relaxations.smt.bounds import Ranges
from relaxations.smt.encode import Neuron, Phases, Question, exact, vector
from relaxations.smt.limits import Deadline
from relaxations.smt.node import Node
from relaxations.smt.tree import Leaf, Path
from relaxations.solvers import required

TINY = 1e-12  # multipliers below it say nothing about the slope


@dataclass(frozen=True)
class Relaxed:
    """``value``: how far the rows and signs have to give way; above 0 there is no violation, up to rounding.

    ``x`` (n,) and ``gaps`` are where that is, ``costs`` what a free neuron's triangle costs there; ``leaf`` the duals.
    """

    value: float
    x: np.ndarray
    gaps: dict[Neuron, float]
    costs: dict[Neuron, float]
    leaf: Leaf


class Constants(NamedTuple):
    """Constants of the program's forms: of scaled rows, and by free neuron of ``z``, of scaled ``z``, of its chord."""

    rows: np.ndarray
    z: np.ndarray
    scaled: np.ndarray
    chord: np.ndarray


class FloatLp:
    """The relaxations of all nodes below one root."""

    def __init__(self, question: Question, root: Ranges) -> None:
        highspy = required("highspy", "the search over ReLU phases needs HiGHS")
        self.question, self.node = question, Node.of(question, root, {})
        self.root = root
        self.phases: dict[Neuron, int] = {}
        self.inputs = len(question.lower)
        self._place = {neuron: j for j, neuron in enumerate(self.node.free)}
        self._row_scale, self._sign_scale = self._scales()
        self._matrix, self._constants = self._rows()
        self._highspy, self._infinity = highspy, highspy.kHighsInf
        self._solver = self._build()

    def solve(self, path: Path, deadline: Deadline) -> Relaxed | None:
        """The relaxation with the path's phases; None if the solver has no answer."""
        self._move(dict(path))
        solver = self._solver
        solver.setOptionValue("time_limit", solver.getRunTime() + min(deadline.left, 1e6))
        solver.run()
        if solver.getModelStatus() != self._highspy.HighsModelStatus.kOptimal:
            solver.clearSolver()
            deadline.check()
            return None
        solution = solver.getSolution()
        return self._read(np.array(solution.col_value), np.array(solution.row_dual), np.array(solution.col_dual), path)

    def _read(self, v: np.ndarray, row_dual: np.ndarray, col_dual: np.ndarray, path: Path) -> Relaxed:
        count, rows = len(self.node.free), len(self.question.strict)
        above, chord, active, inactive = row_dual[rows:].reshape(4, count)
        positive = col_dual[self.inputs : self.inputs + count]
        scaled = self._matrix[rows + 2 * count : rows + 3 * count, :-1] @ v[:-1] + self._constants.scaled
        z = scaled * self._sign_scale
        gap = v[self.inputs : -1] - np.maximum(z, 0)
        slopes, gaps, costs = {}, {}, {}
        for neuron, j in self._place.items():
            if neuron in self.phases:
                continue
            up, flat = max(float(above[j]), 0.0), max(float(positive[j]), 0.0)
            if up + flat > TINY:
                slopes[neuron] = Fraction(up) / (Fraction(up) + Fraction(flat))
            gaps[neuron], costs[neuron] = float(gap[j]), float(gap[j]) * (up + flat + abs(float(chord[j])))
        both = {1: active / self._sign_scale, -1: -inactive / self._sign_scale}
        multipliers = np.maximum([both[sign][self._place[neuron]] for neuron, sign in path], 0)
        weights = np.maximum(-row_dual[:rows] / self._row_scale, 0)
        # A leaf proves the same when all of it is multiplied; this keeps it in the range of float32.
        unit = max(weights.max(), multipliers.max(initial=0)) or 1.0
        leaf = Leaf(exact(weights / unit), slopes, tuple(exact(multipliers / unit)))
        return Relaxed(float(v[-1]), v[: self.inputs], gaps, costs, leaf)

    def _scales(self) -> tuple[np.ndarray, np.ndarray]:
        """Powers of two by which rows and pre-activations are divided, so that the program's t is of one unit."""
        rows = [max([*abs(f.coefs), abs(f.constant)]) for f in self.node.forms if f.kind == "row"]
        signs = [max(-self.root[k][0][i], self.root[k][1][i]) for k, i in self.node.free]
        scaled, signed = (np.array([2.0 ** np.ceil(np.log2(float(v or 1))) for v in part]) for part in (rows, signs))
        return scaled, signed

    def _rows(self) -> tuple[np.ndarray, Constants]:
        """Rows over (x, a, t), t last: rows - t; then by neuron a - z, chord, z + t and z - t; and their constants."""
        row, above, chord = ([f for f in self.node.forms if f.kind == kind] for kind in ("row", "above", "chord"))
        count, width = len(self.node.free), self.inputs + len(self.node.free)
        row_scale, sign_scale = exact(self._row_scale), exact(self._sign_scale)
        z = vector([self.node.z[k][1][i] for k, i in self.node.free])
        signs = [self.node.z[k][0][i] / scale for (k, i), scale in zip(self.node.free, sign_scale)]
        coefs = [*(f.coefs / s for f, s in zip(row, row_scale)), *(f.coefs for f in above), *(f.coefs for f in chord)]
        matrix = np.array([*coefs, *signs, *signs], dtype=float).reshape(-1, width)
        t = np.concatenate([-np.ones(len(row)), np.zeros(2 * count), np.ones(count), -np.ones(count)])
        rows, chords = vector([f.constant for f in row]) / row_scale, vector([f.constant for f in chord])
        constants = Constants(*(part.astype(float) for part in (rows, z, z / sign_scale, chords)))
        return np.column_stack([matrix, t]), constants

    def _build(self) -> Any:
        highs = self._highspy
        solver = quiet(highs)
        solver.setOptionValue("threads", 1)
        infinity, count = self._infinity, len(self.node.free)
        upper = [float(self.root[k][1][i]) for k, i in self.node.free]
        lp = highs.HighsLp()
        lp.num_col_, lp.num_row_ = self._matrix.shape[1], self._matrix.shape[0]
        lp.col_cost_ = np.append(np.zeros(self.inputs + count), 1.0)
        lp.col_lower_ = np.concatenate([self.question.lower.astype(float), np.zeros(count), [-infinity]])
        lp.col_upper_ = np.concatenate([self.question.upper.astype(float), upper, [infinity]])
        known, free = self._constants, np.full(count, infinity)
        lp.row_lower_ = np.concatenate([np.full(len(known.rows), -infinity), known.z, -known.chord, -free, -free])
        lp.row_upper_ = np.concatenate([-known.rows, free, free, free, free])
        places = [np.flatnonzero(row) for row in self._matrix]
        lp.a_matrix_.format_ = highs.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum([len(p) for p in places])])
        lp.a_matrix_.index_ = np.concatenate(places) if places else np.zeros(0, dtype=int)
        lp.a_matrix_.value_ = self._matrix[self._matrix != 0]
        solver.passModel(lp)
        return solver

    def _move(self, phases: Phases) -> None:
        """Change the bounds of every neuron whose phase is another one now."""
        for neuron in [*self.phases, *phases]:
            if self.phases.get(neuron) != phases.get(neuron):
                self._set(self._place[neuron], neuron, phases.get(neuron))
        self.phases = dict(phases)

    def _set(self, j: int, neuron: Neuron, sign: int | None) -> None:
        solver, infinity, count = self._solver, self._infinity, len(self.node.free)
        known, rows = self._constants, len(self._constants.rows)
        z, scaled = known.z[j], known.scaled[j]
        l, u = (float(end[neuron[1]]) for end in self.root[neuron[0]])
        # A neuron with a phase is affine, and its sign may give way as the rows may.
        solver.changeRowBounds(rows + j, -infinity if sign == -1 else z, z if sign == 1 else infinity)
        solver.changeRowBounds(rows + count + j, -known.chord[j] if sign is None else -infinity, infinity)
        solver.changeRowBounds(rows + 2 * count + j, -scaled if sign == 1 else -infinity, infinity)
        solver.changeRowBounds(rows + 3 * count + j, -infinity, -scaled if sign == -1 else infinity)
        solver.changeColBounds(self.inputs + j, l if sign == 1 else 0.0, 0.0 if sign == -1 else u)
