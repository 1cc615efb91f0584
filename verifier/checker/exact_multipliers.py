"""Rule R4 in rational arithmetic: the forms of ``multipliers`` with nothing rounded; R is taken as it was found."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from verifier.checker.exact import ExactRelaxation
from verifier.checker.exact_zonotope import Columns, ExactZonotope, Range
from verifier.checker.phase_tree import Multiplied, Split
from verifier.checker.rational import Exact
from verifier.checker.vnnlib import QueryRow


def proves_exactly(
    relaxation: ExactRelaxation,
    ranges: dict[int, Range],
    columns: Columns,
    splits: Sequence[Split],
    item: Multiplied,
    row: QueryRow,
) -> bool:
    """Whether the row is > 0 on the region with these ranges (by ReLU node) and splits."""
    listed = [columns[i] for i in item.columns.tolist()]
    zonotope = ExactZonotope(relaxation, ranges, listed, [0.0] * len(listed))
    form = zonotope.combined(row, splits, item.multipliers.tolist())
    order = 1 + len(form.coefs)
    total = [[Fraction(0)] * order for _ in range(order)]

    def add(factor: Fraction, left: Sequence[Fraction], right: Sequence[Fraction]) -> None:
        """Half of ``factor left right' + factor right left'``."""
        others = [(j, q) for j, q in enumerate(right) if q]  # few for a ball, which has a product for every input
        for i, p in enumerate(left):
            for j, q in others if p else ():
                total[i][j] += factor * p * q / 2
                total[j][i] += factor * p * q / 2

    one = [Fraction(1)] + [Fraction(0)] * (order - 1)
    add(Fraction(1), one, [form.constant, *form.coefs])
    for at, (ordinal, n) in enumerate(listed):
        l, u = (part[n] for part in ranges[zonotope.relus[ordinal]])
        low, up = max(-l, Fraction(0)), max(u, Fraction(0))
        _, center, half = zonotope.bands[ordinal, n]
        z = zonotope.argument(ordinal, n)
        a = [center] + [Fraction(0)] * (order - 1)
        a[1 + zonotope.inputs + at] = half
        b = [p - q for p, q in zip(a, [z.constant, *z.coefs], strict=True)]
        positive, above, chord, product, back = (
            Fraction(float(part[at])) for part in (item.positive, item.above, item.chord, item.product, item.back)
        )
        add(-(positive - chord * low), one, a)
        add(-(above - chord * up + back * low), one, b)
        total[0][0] -= chord * up * low
        add(-product, a, b)
        add(back, b, b)
    if item.ball:
        ball = relaxation.ball
        if ball is None or ball.bound <= 0:
            return False
        kappa = Fraction(item.ball)
        total[0][0] -= kappa
        for i, c in enumerate(ball.center):
            away = [zonotope.mid[i] - c] + [Fraction(0)] * (order - 1)
            away[1 + i] = zonotope.rad[i]
            add(kappa / ball.radius_squared(i), away, away)
    squares = [Fraction(value) for value in item.squares.tolist()]
    return _least(total, squares + [Fraction(0)] * (order - len(squares)), item.quadratic) > 0


def _least(matrix: list[list[Fraction]], squares: list[Fraction], quadratic: bool) -> Fraction:
    """A number that ``v' M v`` does not fall below for v = (1, e), e in [-1, 1]^N."""
    if not quadratic:
        return matrix[0][0] - 2 * sum(map(abs, matrix[0][1:]), Fraction(0))
    used = [i for i, value in enumerate(squares) if value or i == 0]
    for i in used:
        matrix[i][i] += squares[i]
    try:
        root = np.linalg.cholesky(np.array([[float(matrix[i][j]) for j in used] for i in used]))
    except (np.linalg.LinAlgError, OverflowError):
        root = np.zeros((len(used), len(used)))
    exact = Exact.of_floats(root) if np.isfinite(root).all() else Exact.of_floats(np.zeros_like(root))
    product = np.dot(exact.numerators, exact.numerators.T)
    below = exact.denominator**2
    for row, i in enumerate(used):
        for column, j in enumerate(used):
            matrix[i][j] -= Fraction(product[row, column], below)
    return -sum(squares, Fraction(0)) - sum((sum(map(abs, row), Fraction(0)) for row in matrix), Fraction(0))
