"""Exact rational proofs from floating-point ones.

Gram matrices become rational, and positive semidefinite beyond doubt by a shift of their diagonal. What is then left
of the identity is computed exactly, and disposed of in one of three ways:

* ``absorbed``: on [-1, 1]^n a polynomial is at most the sum of the absolute values of its coefficients, so the rest
  costs the bound a little and the proof is never lost;
* ``guessed``: where all numbers are close to simple fractions, these may be an exact proof;
* ``projected``: every coefficient of the rest is subtracted from the Gram entries that make this monomial, so that the
  identity holds exactly. It works if the Gram matrix is positive definite by more than the rest (Peyrl and Parrilo
  2008, Theor. Comput. Sci. 409), and it is what remains where the conditions leave no slack at some point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm

import numpy as np

from relaxations.sos.program import Program, Solved, Square
from specs.polynomial import ONE, Monomial, Polynomial, is_square, multiply

Rows = tuple[tuple[int, ...], ...]

BITS = 44  # of the largest number of a Gram matrix, about
ATTEMPTS = 12
DENOMINATORS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class ExactSquare:
    """``z^T (Q / denominator) z`` times the condition; ``rows`` is the lower triangle of Q."""

    square: Square
    rows: Rows
    denominator: int

    def polynomial(self) -> Polynomial:
        terms: dict[Monomial, int] = {}
        for i, row in enumerate(self.rows):
            for j, value in enumerate(row):
                if value:
                    monomial = multiply(self.square.basis[i], self.square.basis[j])
                    terms[monomial] = terms.get(monomial, 0) + (value if i == j else 2 * value)
        form = Polynomial.of({m: Fraction(value, self.denominator) for m, value in terms.items()})
        return form * self.square.condition


@dataclass(frozen=True)
class Identity:
    """``rest = -sum of weights objective + sum of squares + sum of multipliers equation``, all of it exact.

    Where all squares' conditions are >= 0 and the equations hold, ``rest <= b`` implies that ``sum of weights
    objective`` is at least ``-b``.
    """

    weights: tuple[Fraction, ...]
    squares: tuple[ExactSquare, ...]
    multipliers: tuple[Polynomial, ...]
    rest: Polynomial


def rounded(program: Program, solved: Solved, bits: int = BITS) -> Identity:
    """The proof in rationals, every Gram matrix positive semidefinite; what it does not say exactly is in its rest."""
    squares = [_exact(s, gram, bits) for s, gram in zip(program.squares, solved.grams, strict=True)]
    return _identity(program, solved, squares, bits)


def absorbed(rest: Polynomial) -> Fraction:
    """A number that a polynomial does not exceed on [-1, 1]^n."""
    total = rest.coefficient(ONE)
    for monomial, value in rest.terms.items():
        if monomial != ONE:
            total += max(value, Fraction(0)) if is_square(monomial) else abs(value)
    return total


def projected(program: Program, solved: Solved, bits: int = BITS) -> Identity | None:
    """The proof with a rest of exactly 0, or None if no Gram matrix has room for what rounding left.

    The optimum's multiple of the normaliser, which is to be the sum of the first basis's squares, joins the first
    square: this is the room.
    """
    room = max(solved.value, 0.0)
    grams = [solved.grams[0] + room * np.eye(len(solved.grams[0])), *solved.grams[1:]]
    squares = [_exact(s, gram, bits) for s, gram in zip(program.squares, grams, strict=True)]
    identity = _identity(program, replace(solved, grams=tuple(grams)), squares, bits)
    cells = _cells(program.squares[0].basis)
    first = squares[0]
    values = [[Fraction(value, first.denominator) for value in row] for row in first.rows]
    for monomial, value in identity.rest.terms.items():
        if monomial not in cells:
            return None
        places = cells[monomial]
        share = value / sum(1 if i == j else 2 for i, j in places)
        for i, j in places:
            values[i][j] -= share
    denominator = lcm(*(value.denominator for row in values for value in row))
    rows = tuple(tuple(int(value * denominator) for value in row) for row in values)
    if not is_semidefinite(rows):
        return None
    squares[0] = ExactSquare(first.square, rows, denominator)
    return replace(identity, squares=tuple(squares), rest=Polynomial.of({}))


def guessed(program: Program, solved: Solved) -> Identity | None:
    """The proof with small denominators, if one has a rest of at most 0 on [-1, 1]^n; else None.

    What is tight at many points has no room, but then often a proof in simple fractions.
    """
    for denominator in DENOMINATORS:
        squares = []
        for square, gram in zip(program.squares, solved.grams, strict=True):
            rows = tuple(tuple(round(float(gram[i, j]) * denominator) for j in range(i + 1)) for i in range(len(gram)))
            squares.append(ExactSquare(square, rows, denominator))
        if not all(is_semidefinite(square.rows) for square in squares):
            continue
        coarse = tuple(np.round(values * denominator) / denominator for values in solved.multipliers)
        identity = _identity(program, replace(solved, multipliers=coarse), squares, BITS)
        if absorbed(identity.rest) <= 0:
            return identity
    return None


def is_semidefinite(rows: Rows) -> bool:
    """Whether the symmetric integer matrix with this lower triangle is positive semidefinite, exactly: LDL^T."""
    size = len(rows)
    matrix = np.zeros((size, size), dtype=object)
    for i, row in enumerate(rows):
        matrix[i, : i + 1] = row
        matrix[: i + 1, i] = row
    previous = 1
    for k in range(size):
        pivot = matrix[k, k]
        column = matrix[k + 1 :, k].copy()
        if pivot < 0 or (pivot == 0 and column.any()):
            return False
        if pivot > 0:
            matrix[k + 1 :, k + 1 :] = (matrix[k + 1 :, k + 1 :] * pivot - np.outer(column, column)) // previous
            previous = pivot
    return True


def _exact(square: Square, gram: np.ndarray, bits: int) -> ExactSquare:
    """A rational Gram matrix close to ``gram``, its diagonal raised until it is positive semidefinite."""
    size = len(gram)
    largest = float(np.abs(gram).max(initial=0.0))
    if largest == 0 or not np.isfinite(largest):
        return ExactSquare(square, tuple((0,) * (i + 1) for i in range(size)), 1)
    power = bits - int(np.ceil(np.log2(largest)))
    values, vectors = np.linalg.eigh(gram)
    clipped = (vectors * np.maximum(values, 0)) @ vectors.T
    unit = Fraction(2) ** power
    shift = size
    for _ in range(ATTEMPTS):
        rows = tuple(
            tuple(round(Fraction(float(clipped[i, j])) * unit) + (shift if i == j else 0) for j in range(i + 1))
            for i in range(size)
        )
        if is_semidefinite(rows):
            return _reduced(square, rows, power)
        shift *= 8
    return ExactSquare(square, tuple((0,) * (i + 1) for i in range(size)), 1)


def _reduced(square: Square, rows: Rows, power: int) -> ExactSquare:
    if power >= 0:
        return ExactSquare(square, rows, 2**power)
    return ExactSquare(square, tuple(tuple(value << -power for value in row) for row in rows), 1)


def _identity(program: Program, solved: Solved, squares: Sequence[ExactSquare], bits: int) -> Identity:
    raw = [_rational(max(float(w), 0.0), bits) for w in solved.weights]
    total = sum(raw, Fraction(0))
    weights = [w / total for w in raw] if total else [Fraction(1, len(raw))] * len(raw)
    multipliers = [
        Polynomial.of({m: _rational(float(c), bits) for m, c in zip(equation.basis, values)})
        for equation, values in zip(program.equations, solved.multipliers, strict=True)
    ]
    parts = [p.scaled(-w) for p, w in zip(program.objectives, weights, strict=True)]
    parts += [square.polynomial() for square in squares]
    parts += [q * equation.polynomial for q, equation in zip(multipliers, program.equations)]
    return Identity(tuple(weights), tuple(squares), tuple(multipliers), Polynomial.total(parts))


def _rational(value: float, bits: int) -> Fraction:
    return Fraction(round(Fraction(value) * 2**bits), 2**bits)


def _cells(basis: Sequence[Monomial]) -> dict[Monomial, list[tuple[int, int]]]:
    """For each product of two monomials of the basis, where in the lower triangle it stands."""
    cells: dict[Monomial, list[tuple[int, int]]] = {}
    for i, left in enumerate(basis):
        for j, right in enumerate(basis[: i + 1]):
            cells.setdefault(multiply(left, right), []).append((i, j))
    return cells
