"""A program's conditions as linear maps of one vector of moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relaxations.sos.program import Equation, Program, Square
from specs.polynomial import ONE, Monomial, Polynomial, is_square, multiply


@dataclass(frozen=True)
class Cells:
    """Entries ``values`` of a matrix at ``rows`` and ``columns`` (moments), of ``height`` rows."""

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    height: int

    def apply(self, moments: np.ndarray) -> np.ndarray:
        """The map's values (height,) at a vector of moments."""
        return np.bincount(self.rows, self.values * moments[self.columns], minlength=self.height)

    def pull(self, dual: np.ndarray, size: int) -> np.ndarray:
        """Coefficients (size,) of the moments in ``dual . values``."""
        return np.bincount(self.columns, self.values * dual[self.rows], minlength=size)

    def sparse(self, size: int) -> Any:
        from scipy.sparse import csr_matrix

        return csr_matrix((self.values, (self.rows, self.columns)), shape=(self.height, size))


class Matrices:
    """``squares[k]`` maps moments to a localising matrix, flattened; ``equations[k]`` to what has to be 0.

    Conditions are divided by their largest coefficient, which ``units`` and ``equation_units`` keep.
    """

    def __init__(self, program: Program) -> None:
        self.index: dict[Monomial, int] = {ONE: 0}
        self.units = [_unit(square.condition) for square in program.squares]
        self.equation_units = [_unit(equation.polynomial) for equation in program.equations]
        self.squares = [self._square(s, unit) for s, unit in zip(program.squares, self.units)]
        self.sides = [len(square.basis) for square in program.squares]
        self.equations = [self._equation(e, unit) for e, unit in zip(program.equations, self.equation_units)]
        objectives = [self._polynomial(p) for p in program.objectives]
        normaliser = self._polynomial(program.normaliser)
        self.size = len(self.index)
        self.objectives = np.array([self._vector(p) for p in objectives]).reshape(-1, self.size)
        self.normaliser = self._vector(normaliser)

    @property
    def monomials(self) -> tuple[Monomial, ...]:
        """Of which the vector holds the moments."""
        return tuple(self.index)

    @property
    def even(self) -> np.ndarray:
        """Which moments (size,) are those of squares, so that they are nowhere negative."""
        return np.array([is_square(monomial) for monomial in self.index])

    def matrix(self, number: int, moments: np.ndarray) -> np.ndarray:
        """The localising matrix of a square."""
        side = self.sides[number]
        return self.squares[number].apply(moments).reshape(side, side)

    def _number(self, monomial: Monomial) -> int:
        return self.index.setdefault(monomial, len(self.index))

    def _polynomial(self, p: Polynomial) -> dict[int, float]:
        return {self._number(m): float(c) for m, c in p.terms.items()}

    def _vector(self, terms: dict[int, float]) -> np.ndarray:
        vector = np.zeros(self.size)
        vector[list(terms)] = list(terms.values())
        return vector

    def _square(self, square: Square, unit: float) -> Cells:
        size = len(square.basis)
        terms = [(m, float(c) / unit) for m, c in square.condition.terms.items()]
        cells = []
        for i, left in enumerate(square.basis):
            for j, right in enumerate(square.basis[: i + 1]):
                both = multiply(left, right)
                for monomial, value in terms:
                    number = self._number(multiply(both, monomial))
                    cells.append((i * size + j, number, value))
                    if i != j:
                        cells.append((j * size + i, number, value))
        return _cells(cells, size * size)

    def _equation(self, equation: Equation, unit: float) -> Cells:
        cells = [
            (i, self._number(multiply(m, monomial)), float(value) / unit)
            for i, m in enumerate(equation.basis)
            for monomial, value in equation.polynomial.terms.items()
        ]
        return _cells(cells, len(equation.basis))


def _unit(p: Polynomial) -> float:
    return max((abs(float(c)) for c in p.terms.values()), default=1.0) or 1.0


def _cells(cells: list[tuple[int, int, float]], height: int) -> Cells:
    rows, columns, values = zip(*cells) if cells else ((), (), ())
    return Cells(np.array(rows, dtype=int), np.array(columns, dtype=int), np.array(values, dtype=float), height)
