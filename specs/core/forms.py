"""Continuous piecewise linear numbers: affine forms over inputs and over the positive parts of other such forms.

``max(a, b) = b + relu(a - b)``, so a positive part is all that is needed. Positive parts are kept once: ``relu(d)``,
``relu(2 d)`` and ``relu(-d) = relu(d) - d`` are said by one of them, which is how two ways of computing a number are
found to be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

MAX_ATOMS = 4_000


@dataclass(frozen=True)
class Affine:
    """``sum of coefficient * atom + constant``, exact; ``terms`` in the order of atoms, without zeros."""

    terms: tuple[tuple[int, Fraction], ...]
    constant: Fraction

    @staticmethod
    def number(value: Fraction | int | float) -> Affine:
        return Affine((), Fraction(value))

    @staticmethod
    def atom(index: int) -> Affine:
        return Affine(((index, Fraction(1)),), Fraction(0))

    @property
    def is_constant(self) -> bool:
        return not self.terms

    def plus(self, other: Affine, times: Fraction | int = 1) -> Affine:
        """``self + times * other``."""
        found = dict(self.terms)
        for atom, c in other.terms:
            found[atom] = found.get(atom, Fraction(0)) + times * c
        kept = tuple(sorted((atom, c) for atom, c in found.items() if c))
        return Affine(kept, self.constant + times * other.constant)

    def times(self, factor: Fraction | int) -> Affine:
        if not factor:
            return Affine.number(0)
        return Affine(tuple((atom, factor * c) for atom, c in self.terms), factor * self.constant)

    def ratio(self, other: Affine) -> Fraction | None:
        """The number t with ``self = t * other``; None if there is none, or other is 0."""
        pivot = other.terms[0] if other.terms else None
        if pivot is None:
            return None
        t = dict(self.terms).get(pivot[0], Fraction(0)) / pivot[1]
        return t if self == other.times(t) else None


@dataclass(frozen=True)
class Part:
    """``relu(form)``, first needed in this line of the source."""

    form: Affine
    line: int


class Tape:
    """Atoms: ``n_inputs`` inputs, and then positive parts, each a form over atoms before it."""

    def __init__(self, n_inputs: int) -> None:
        self.n_inputs = n_inputs
        self.parts: list[Part] = []
        self._known: dict[Affine, int] = {}

    def relu(self, form: Affine, line: int) -> Affine:
        """The positive part of a form. Raises ``OverflowError`` beyond 4,000 of them."""
        if form.is_constant:
            return Affine.number(max(form.constant, Fraction(0)))
        size, negative = _scale(form.terms[0][1]), form.terms[0][1] < 0
        unit = form.times(-1 / size if negative else 1 / size)
        if unit not in self._known:
            if len(self.parts) == MAX_ATOMS:
                raise OverflowError(f"more than {MAX_ATOMS:,} maxima")
            self._known[unit] = self.n_inputs + len(self.parts)
            self.parts.append(Part(unit, line))
        found = Affine.atom(self._known[unit])
        return (found.plus(unit, -1) if negative else found).times(size)

    def maximum(self, a: Affine, b: Affine, line: int) -> Affine:
        if len(a.terms) < len(b.terms):
            a, b = b, a
        return b.plus(self.relu(a.plus(b, -1), line))

    def minimum(self, a: Affine, b: Affine, line: int) -> Affine:
        return self.maximum(a.times(-1), b.times(-1), line).times(-1)

    def choose(self, d: Affine, below: Affine, above: Affine, line: int) -> Affine | None:
        """``below`` where ``d <= 0`` and ``above`` elsewhere; None where no proof was found that they meet at d = 0.

        Either ``below - above = t d``, and the answer is ``above + t min(d, 0)``. Or some input v has a power of two
        as its coefficient in d and is in no positive part of d. Then moving v moves the point onto the border: where
        both forms are one and the same there (``meet``), the answer is ``below`` with d held at most 0 by moving v,
        plus ``above`` with d held at least 0, minus ``meet``.
        """
        ratio = below.plus(above, -1).ratio(d)
        if below == above:
            return above
        if ratio is not None:
            return above.plus(d.plus(self.relu(d, line), -1), ratio)
        for v, c in d.terms:
            if (
                v >= self.n_inputs
                or abs(c) != _scale(c)
                or any(self.reads(part, v) for part, _ in d.terms if part != v)
            ):
                continue
            variable, positive = Affine.atom(v), self.relu(d, line)
            meet = self.moved(below, v, variable.plus(d, -1 / c), line)
            if meet == self.moved(above, v, variable.plus(d, -1 / c), line):
                low = self.moved(below, v, variable.plus(positive, -1 / c), line)
                high = self.moved(above, v, variable.plus(d.plus(positive, -1), -1 / c), line)
                return low.plus(high).plus(meet, -1)
        return None

    def reads(self, atom: int, v: int) -> bool:
        """Whether an atom depends on input ``v``."""
        if atom < self.n_inputs:
            return atom == v
        return v in self.support([atom])

    def support(self, atoms: Sequence[int]) -> set[int]:
        """These atoms and all that they depend on."""
        found: set[int] = set()
        stack = list(atoms)
        while stack:
            atom = stack.pop()
            if atom not in found:
                found.add(atom)
                stack += [a for a, _ in self.parts[atom - self.n_inputs].form.terms] if atom >= self.n_inputs else []
        return found

    def moved(self, form: Affine, v: int, instead: Affine, line: int) -> Affine:
        """The form with ``instead`` in place of input ``v``, in positive parts too."""
        return self.put(form, lambda i: instead if i == v else Affine.atom(i), line)

    def put(self, form: Affine, instead: Callable[[int], Affine], line: int) -> Affine:
        """The form with ``instead(i)`` in place of every input i."""
        known: dict[int, Affine] = {}

        def replaced(part: Affine) -> Affine:
            total = Affine.number(part.constant)
            for atom, c in part.terms:
                total = total.plus(known[atom], c)
            return total

        for atom in sorted(self.support([atom for atom, _ in form.terms])):
            known[atom] = (
                instead(atom)
                if atom < self.n_inputs
                else self.relu(replaced(self.parts[atom - self.n_inputs].form), line)
            )
        return replaced(form)

    def value(self, forms: Sequence[Affine], x: Sequence[Fraction]) -> list[Fraction]:
        """What the forms amount to at an input, exactly."""
        values: dict[int, Fraction] = dict(enumerate(x))

        def at(form: Affine) -> Fraction:
            return form.constant + sum((c * values[atom] for atom, c in form.terms), Fraction(0))

        for k, part in enumerate(self.parts):
            values[self.n_inputs + k] = max(at(part.form), Fraction(0))
        return [at(form) for form in forms]

    def change(self, form: Affine, inputs: Mapping[int, Fraction]) -> Fraction:
        """A bound on by how much the form changes where each of ``inputs`` changes by at most its number, the rest not.

        On every linear piece each positive part it depends on is either its form or 0. Up to 12 of them, all such
        choices are gone through (the bound is then exact if every choice occurs); beyond, sizes are added up.
        """
        parts = sorted(atom for atom in self.support([a for a, _ in form.terms]) if atom >= self.n_inputs)
        if len(parts) > MOST_CHOICES:
            return self._size(form, parts, inputs)
        worst = Fraction(0)
        for choice in range(1 << len(parts)):
            gradients: dict[int, Affine] = {}
            for k, atom in enumerate(parts):
                slope = self._linear(self.parts[atom - self.n_inputs].form, gradients)
                gradients[atom] = slope if choice >> k & 1 else Affine.number(0)
            slope = self._linear(form, gradients)
            worst = max(worst, sum((abs(c) * inputs.get(atom, Fraction(0)) for atom, c in slope.terms), Fraction(0)))
        return worst

    def _linear(self, form: Affine, gradients: Mapping[int, Affine]) -> Affine:
        total = Affine.number(0)
        for atom, c in form.terms:
            total = total.plus(gradients.get(atom, Affine.atom(atom)), c)
        return total

    def _size(self, form: Affine, parts: Sequence[int], inputs: Mapping[int, Fraction]) -> Fraction:
        sizes = {i: inputs.get(i, Fraction(0)) for i in range(self.n_inputs)}
        for atom in parts:
            terms = self.parts[atom - self.n_inputs].form.terms
            sizes[atom] = sum((abs(c) * sizes[a] for a, c in terms), Fraction(0))
        return sum((abs(c) * sizes[a] for a, c in form.terms), Fraction(0))


MOST_CHOICES = 12


def _scale(c: Fraction) -> Fraction:
    """The power of two with ``1 <= |c| / it < 2``."""
    power = abs(c).numerator.bit_length() - abs(c).denominator.bit_length()
    size = Fraction(2) ** power
    return size if size <= abs(c) else size / 2
