"""The exact encoding of ReLUs as a mixed-integer program, the ranges of the query as its big-M constants.

With ``z = a - b`` as in ``relaxations.lp.encoding`` a binary ``d`` says whether a neuron is active: ``a <= u d`` and
``b <= L (1 - d)``. The chord follows from the two, so that the program without its integrality is the triangle's.
Source: Tjeng, Xiao and Tedrake 2019, arXiv:1711.07356.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np

from relaxations.actions import Point
from relaxations.base import Branch, Query, Relaxation, Solution
from relaxations.executions import affine_excess, box_excess, score
from relaxations.lp.encoding import Encoded
from relaxations.lp.highs import Program, Solver
from relaxations.lp.safe_dual import Splits, phases_of, random_multipliers, safe_dual
from relaxations.milp.tree import PhaseLeaf, PhaseTree, cover, search


class BigM(Relaxation[Point, PhaseTree]):
    """A: the real executions; the relaxation that gives nothing away.

    ``solve`` returns HiGHS's own bound as the value and no dual: it is the solver's word, no more. A bound that can be
    checked is that of a tree of linear programs (``prove``, ``relaxations.milp.tree``), which is the dual here.
    """

    name: ClassVar[str] = "milp"

    @classmethod
    def declines(cls, query: Query) -> str:
        ball = "its optimum would be that of the box, and the inputs are those of a ball"
        return super().declines(query) or (ball if query.ball is not None else "")

    def embed(self, x: np.ndarray) -> Point:
        return Point.real(self.query, x)

    def outside(self, action: Point) -> float:
        query = self.query
        untrue = max((float(np.abs(gap).max(initial=0.0)) for gap in action.gaps()), default=0.0)
        return max(box_excess(query, action), affine_excess(query, action), untrue)

    def score(self, action: Point) -> float:
        return score(self.query, action)

    def solve(self, seconds: float = np.inf, attack: np.ndarray | None = None) -> Solution[Point, PhaseTree]:
        """HiGHS's bound and its best input, as the network itself executes it; begins with ``attack`` (n,) if given."""
        started = time.monotonic()
        query = self.query
        begin = (query.lower + query.upper) / 2 if attack is None else np.clip(attack, query.lower, query.upper)
        encoded = Encoded.of(query)
        solver = Solver(_with_binaries(encoded))
        solver.start_from(_start(encoded, self.embed(begin)))
        answer = solver.solve(seconds - (time.monotonic() - started))
        points = [begin] if answer.values is None else [begin, encoded.action(answer.values).x]
        action = max((self.embed(x) for x in points), key=self.score)
        spent = time.monotonic() - started
        return Solution(-answer.bound, None, action, self.score(action), answer.finished, spent)

    def prove(self, seconds: float = np.inf, enough: float = -np.inf) -> Solution[Point, PhaseTree]:
        """Branch and bound of our own: the value is what its leaves prove, whatever HiGHS said to get there."""
        started = time.monotonic()
        tree = search(self.query, seconds, enough)
        action = self.embed(tree.attack)
        spent = time.monotonic() - started
        return Solution(tree.value, tree, action, self.score(action), tree.open == 0, spent)

    def bound(self, dual: PhaseTree) -> float:
        """The largest bound of a leaf, each found anew; raises ValueError if the leaves leave some phases out."""
        if not cover(dual.leaves):
            raise ValueError("the leaves do not cover all phases")
        return max(safe_dual(self.query, leaf.dual, phases_of(self.query, leaf.splits)).value for leaf in dual.leaves)

    def some_dual(self, rng: np.random.Generator) -> PhaseTree:
        free = [(k, int(i)) for k in range(len(self.query.ranges)) for i in self.query.unstable(k)]

        def below(splits: Splits) -> list[PhaseLeaf]:
            left = [neuron for neuron in free if neuron not in {split[:2] for split in splits}]
            if not left or len(splits) == 3 or rng.random() < 0.2:
                return [PhaseLeaf(splits, random_multipliers(self.query, rng), np.inf)]
            layer, neuron = left[rng.integers(len(left))]
            return [leaf for sign in (1, -1) for leaf in below((*splits, (layer, neuron, sign)))]

        return PhaseTree(tuple(below(())), self.query.lower, -np.inf)

    def input_of(self, action: Point) -> np.ndarray:
        return action.x

    def tighten(self, action: Point) -> list[Branch]:
        """Nothing: every action is real."""
        return []


def _with_binaries(encoded: Encoded) -> Program:
    """The triangle's program with a binary for every unstable neuron, and two rows in place of each chord."""
    from scipy import sparse

    program, columns = encoded.program, encoded.columns
    outputs, parts, reach, drop = _unstable(encoded)
    count, whole = len(outputs), program.matrix.shape[1] + len(outputs)
    kept = np.setdiff1d(np.arange(program.matrix.shape[0]), np.concatenate([*columns.chords, []]).astype(int))

    def rows(part: np.ndarray, factor: np.ndarray) -> Any:
        here = np.arange(count)
        at = (np.concatenate([here, here]), np.concatenate([part, program.matrix.shape[1] + here]))
        return sparse.csr_matrix((np.concatenate([np.ones(count), factor]), at), shape=(count, whole))

    before = sparse.hstack([program.matrix[kept], sparse.csr_matrix((len(kept), count))])
    matrix = sparse.vstack([before, rows(outputs, -reach), rows(parts, drop)], format="csr")
    return Program(
        matrix,
        np.concatenate([program.row_lower[kept], np.full(2 * count, -np.inf)]),
        np.concatenate([program.row_upper[kept], np.zeros(count), drop]),
        np.concatenate([program.lower, np.zeros(count)]),
        np.concatenate([program.upper, np.ones(count)]),
        np.concatenate([program.cost, np.zeros(count)]),
        program.offset,
        np.arange(whole) >= program.matrix.shape[1],
    )


def _start(encoded: Encoded, action: Point) -> np.ndarray:
    """The columns' values at a real execution."""
    columns, query = encoded.columns, encoded.query
    values, active = np.zeros(columns.count), []
    values[: query.network.input_size] = action.x
    for out, part, free, z, a in zip(columns.outputs, columns.parts, columns.unstable, action.z, action.a):
        values[out[out >= 0]] = a[out >= 0]
        values[part] = np.maximum(-z[free], 0)
        active.append(z[free] > 0)
    if columns.largest >= 0:
        values[columns.largest] = action.margins(query).max()
    return np.concatenate([values, *active])


def _unstable(encoded: Encoded) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of all unstable neurons, layer by layer: columns of ``a`` and of ``b``, the ranges' ends ``u`` and ``-l``."""
    columns, ranges = encoded.columns, encoded.query.ranges
    outputs = [out[free] for out, free in zip(columns.outputs, columns.unstable)]
    ends = [(l[free], u[free]) for (l, u), free in zip(ranges, columns.unstable)]
    none = np.zeros(0, dtype=int)
    return (
        np.concatenate([*outputs, none]),
        np.concatenate([*columns.parts, none]),
        np.concatenate([*(u for _, u in ends), np.zeros(0)]),
        -np.concatenate([*(l for l, _ in ends), np.zeros(0)]),
    )
