"""Conditions that speak of several inputs: which of these belong together, and which elements are the same number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from specs.language.expressions.dnf import Atom
from specs.language.expressions.formula import And, Either, Formula
from specs.sets import InputSet


@dataclass(frozen=True)
class Coupling:
    """``places[k][e]`` is the variable for element ``e`` of input ``k``; equal elements share one.

    ``normalization`` is the mean and the divisor of each variable. ``groups[k]`` are the inputs that conditions join
    with input ``k``, itself among them.
    """

    places: tuple[tuple[int, ...], ...]
    normalization: tuple[tuple[Fraction, Fraction], ...]
    groups: tuple[frozenset[int], ...]


def couple(inputs: Sequence[InputSet], conditions: Sequence[tuple[int, Formula]]) -> Coupling:
    """The coupling by ``conditions``, each with the input under which it stands.

    Variables of the conditions are the elements of all inputs, counted through. Two elements are made one where a
    condition says in raw units that they are equal and their normalisation is the same: then what the networks consume
    is equal, too. Every other condition stays a condition.
    """
    owner = [k for k, one in enumerate(inputs) for _ in range(one.size)]
    scales = [pair for one in inputs for pair in zip(one.mean, one.scale)]
    same, joined = _Sets(len(owner)), _Sets(len(inputs))
    for k, formula in conditions:
        atoms = list(_atoms(formula))
        for atom in atoms:
            for variable, _ in atom.x:
                joined.join(k, owner[variable])
        certain = set(_certain(formula))
        for atom in certain:
            if len(atom.x) == 2 and not atom.y and atom.mirrored() in certain:
                (a, factor), (b, other) = atom.x
                if factor == -other and scales[a] == scales[b] and not atom.constant:
                    same.join(a, b)
    first = [same.first(i) for i in range(len(owner))]
    numbers = {variable: i for i, variable in enumerate(dict.fromkeys(first))}
    variables = iter(numbers[variable] for variable in first)
    return Coupling(
        tuple(tuple(next(variables) for _ in range(one.size)) for one in inputs),
        tuple(scales[variable] for variable in numbers),
        tuple(
            frozenset(j for j in range(len(inputs)) if joined.first(j) == joined.first(k)) for k in range(len(inputs))
        ),
    )


def _atoms(formula: Formula) -> Iterable[Atom]:
    if isinstance(formula, Atom):
        return (formula,)
    parts = (formula.conjunctive,) if isinstance(formula, Either) else formula.parts
    return (atom for part in parts for atom in _atoms(part))


def _certain(formula: Formula) -> Iterable[Atom]:
    """Comparisons that hold wherever the formula does: those that no `or` stands above."""
    if isinstance(formula, Atom):
        return () if formula.strict else (formula,)
    return (atom for part in formula.parts for atom in _certain(part)) if isinstance(formula, And) else ()


class _Sets:
    """Disjoint sets of numbers, each known by its smallest."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def first(self, i: int) -> int:
        while self._parent[i] != i:
            i = self._parent[i]
        return i

    def join(self, a: int, b: int) -> None:
        low, high = sorted((self.first(a), self.first(b)))
        self._parent[high] = low
