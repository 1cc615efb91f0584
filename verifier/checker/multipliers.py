"""Rule R4: a row less multiples of what holds for single ReLUs, bounded as a quadratic form in symbols of [-1, 1].

For a ReLU with z in [l, u] let U = max(u, 0), L = max(-l, 0), a = max(z, 0) and b = a - z = max(-z, 0). Then

    a >= 0,    b >= 0,    U L - L a - U b >= 0,    a b = 0,    b (L - b) >= 0,

whatever the signs of l and u are. In the ball of a case ``1 - sum ((x_i - c_i) / r_i)^2 >= 0``, also
where its norm is 1, since ``|t|_2 <= |t|_1``.

Lemma R4. Subtract multiples of these from something that is at most a row on a region, by multipliers that are not
negative but for that of ``a b``, which may be anything: the result is at most the row there. With a symbol e in
[-1, 1] for every input and every a it is ``v' M v`` for v = (1, e); and for all numbers k_0, k_j >= 0 and matrices R

    v' M v >= -k_0 - sum of k_j - (sum of the absolute entries of M + diag(k) - R R'),

since ``v' R R' v >= 0``, ``e_j^2 <= 1`` and ``|v_i v_j| <= 1``. With R = 0 and k_0 = -M_00 this bounds a linear form.

So nothing has to be believed about R: where Cholesky's method finds a good one, the last sum is rounding. How rounding
is paid for: forms carry an error as in ``zonotope``; what M lacks is charged to the absolute values of all that is
added up in it (docs/reference/soundness.md has the proof).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from verifier.checker.bounds import Bounder
from verifier.checker.boxes import MAX_MAGNITUDE, Boxes, Rows
from verifier.checker.lines import TINY, U
from verifier.checker.phase_tree import Multiplied, Split
from verifier.checker.zonotope import LARGEST, Ranges, Zonotope

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST_ORDER = 4096  # of M, if it is quadratic; bounds memory


class Lifted:
    """The region with these splits and ranges, in the symbols of the inputs and of the ReLUs that ``item`` lists."""

    def __init__(
        self,
        bounder: Bounder,
        box: Boxes,
        ranges: Ranges,
        sizes: dict[int, Floats],
        columns: Ints,
        splits: tuple[Split, ...],
        item: Multiplied,
    ) -> None:
        self.item, self.splits, self.sizes = item, splits, sizes
        self.listed = columns[item.columns]
        self.zonotope = Zonotope(bounder, box, ranges, sizes, self.listed, np.zeros(len(self.listed)))
        relus = self.zonotope.relus
        ends = [(ranges[relus[k]][0][0, n], ranges[relus[k]][1][0, n]) for k, n in self.listed.tolist()]
        self.low = np.array([max(-l, 0.0) for l, _ in ends])
        self.up = np.array([max(u, 0.0) for _, u in ends])

    def least(self, rows: Rows) -> float:
        """A number that the combination of the rows that ``item`` offers does not fall below on the region.

        It is -inf or NaN where numbers or matrices are too large, and where there is no ball to multiply, or one of a
        single point. Callers silence NumPy's warnings.
        """
        zonotope, item, count = self.zonotope, self.item, len(self.listed)
        order = 1 + zonotope.symbols
        ball = zonotope.box.ball
        if item.ball and (ball is None or ball.point):
            return -np.inf
        if (item.quadratic and order > LARGEST_ORDER) or count * order > LARGEST:
            return -np.inf
        form, constant, error = zonotope.combined(rows, item.weights, self.splits, item.multipliers)
        nodes = np.array([zonotope.argument(k) for k in self.listed[:, 0].tolist()], dtype=np.int64)
        z = zonotope.forms(nodes, self.listed[:, 1])
        a, own = np.zeros((count, order)), np.arange(count)
        a[:, 0], a[own, 1 + zonotope.inputs + own] = zonotope.center, zonotope.half
        b = a - np.concatenate([z.constant[:, None], z.rows], axis=1)
        # What the forms of b lack, and bounds of |a| and |b| that are also those of their forms' absolute values.
        of_a = np.abs(a).sum(axis=1) * (1 + 8 * U)
        unsure = z.error + 8 * U * (of_a + z.size)
        of_b = (of_a + z.size) * (1 + 8 * U) + unsure

        plus, minus = item.positive, item.above + item.back * self.low  # multipliers of a and b by themselves
        linear = np.concatenate([constant, form[0]]) - (plus - item.chord * self.low) @ a
        linear -= (minus - item.chord * self.up) @ b
        linear[0] -= (item.chord * self.up) @ self.low
        on_b = minus + item.chord * self.up
        product, back = np.abs(item.product), item.back
        total = float(np.abs(form[0]).sum() + np.abs(constant[0]) + (plus + item.chord * self.low) @ of_a + on_b @ of_b)
        total += float(item.chord @ (self.up * self.low) + (product * of_b) @ of_a + (back * of_b) @ of_b)
        u, v = self._scaled()
        total += item.ball * float(((np.abs(u) + v) ** 2).sum() + 1.0)
        lacking = float(error[0] + on_b @ unsure + (product * of_a + 4 * back * of_b) @ unsure)
        gamma = 8 * (2 * (count + order) + 64) * U
        lost = (lacking + gamma * total) * (1 + 64 * gamma) + TINY
        if item.quadratic:
            half = 0.5 * (b.T @ (back[:, None] * b) - a.T @ (item.product[:, None] * b))
            half[0] += 0.5 * linear
            inputs = 1 + np.arange(len(u))
            half[0, 0] += 0.5 * item.ball * (u @ u - 1.0)
            half[0, inputs] += item.ball * u * v
            half[inputs, inputs] += 0.5 * item.ball * v * v
            bound = _least(half + half.T, item.squares, gamma)
        else:
            bound = float(linear[0] - np.abs(linear[1:]).sum() * (1 + gamma) - gamma * np.abs(linear[0]))
        return bound - lost - 8 * U * (abs(bound) + lost) if total < MAX_MAGNITUDE**2 else -np.inf

    def _scaled(self) -> tuple[Floats, Floats]:
        """u and v (inputs,) for which ``(x_i - center_i) / radius_i`` is ``u_i + v_i e_i``; 0 where no ball is used."""
        box, inputs = self.zonotope.box, self.zonotope.inputs
        if not self.item.ball or box.ball is None:
            return np.zeros(inputs), np.zeros(inputs)
        return (box.mid[0] - box.ball.center) / box.ball.radii, box.rad[0] / box.ball.radii


def _least(matrix: Floats, squares: Floats, gamma: float) -> float:
    """A number that ``v' M v`` does not fall below for v = (1, e), e in [-1, 1]^N; -inf or NaN where it overflows.

    ``squares`` are k_0 and the k_j. Where k_j = 0, R has no part in that row and column.
    """
    used = np.union1d(np.zeros(1, dtype=np.int64), np.flatnonzero(squares))
    inner = matrix[np.ix_(used, used)] + np.diag(squares[used])
    try:
        root = np.linalg.cholesky(inner)
    except np.linalg.LinAlgError:
        return -np.inf
    column = np.abs(root).sum(axis=0)
    diagonal = np.abs(np.diag(matrix)).sum() + np.abs(squares).sum()
    rest = matrix.copy()
    rest[np.ix_(used, used)] = inner - root @ root.T
    spent = float(squares.sum() + np.abs(rest).sum(axis=1).sum() * (1 + gamma) + gamma * (column @ column + diagonal))
    return -spent - gamma * abs(spent)
