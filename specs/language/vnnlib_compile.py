"""VNN-LIB query and network, negated into the property that has to hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import prod

from specs.errors import SpecError
from specs.graph import Graph
from specs.language.decimals import show
from specs.language.dnf import MAX_DISJUNCTS, Atom
from specs.language.vnnlib import VnnlibQuery
from specs.problem import Box, Case, Problem, Row

_MAX_BOUNDS = 50_000_000


def compile_vnnlib(query: VnnlibQuery, graph: Graph) -> Problem:
    """The property "no point of the network satisfies ``query``": it fails exactly where the query is satisfiable.

    One case per alternative of the query: its bounds on single inputs are the box, and at least one of the other
    constraints has to be false there. ``e <= 0`` in the file becomes the strict row ``e > 0``, ``e < 0`` the row
    ``e >= 0``. Alternatives that contradict themselves are dropped.

    Raises ``SpecError`` when declared and actual sizes differ, when an input is not bounded on both sides, and when
    every alternative contradicts itself.
    """
    _check_sizes(query, graph)
    shared = _Region(query, [None] * query.n_inputs, [None] * query.n_inputs)
    for assertion in query.assertions:
        if len(assertion) == 1:
            shared.restrict(assertion[0])
    choices = [assertion for assertion in query.assertions if len(assertion) != 1]
    alternatives = prod(map(len, choices))
    if alternatives > MAX_DISJUNCTS or alternatives * query.n_inputs > _MAX_BOUNDS:
        raise SpecError(
            f"multiplies out to {alternatives:,} alternatives over {query.n_inputs:,} inputs, more than is read. "
            "Split the query",
            query.file,
        )
    cases, contradictions = [], []
    for cubes in product(*choices):
        try:
            cases.append(shared.restricted([atom for cube in cubes for atom in cube]).case())
        except _Contradiction as contradiction:
            contradictions.append(contradiction)
    if not cases:
        first = contradictions[0] if contradictions else _Contradiction("an assertion is plainly false")
        where = query.position(first.token) if first.token >= 0 else (0, 0)
        raise SpecError(
            f"describes no point at all, so there is nothing to verify: {first.message}. Correct the bounds",
            query.file,
            *where,
        )
    return Problem(graph, tuple(cases))


def _check_sizes(query: VnnlibQuery, graph: Graph) -> None:
    """Compare declared variables with the network's flat inputs and outputs."""
    wrong = []
    for kind, noun, declared, actual, names in (
        ("X", "inputs", query.n_inputs, graph.input_size, graph.inputs),
        ("Y", "outputs", query.n_outputs, graph.output_size, graph.outputs),
    ):
        if declared != actual:
            shapes = ", ".join(f"{name} {list(graph.by_name[name].shape)}" for name in names)
            wrong.append(f"declares {declared} {noun} {kind}_i but the model has {actual} ({shapes})")
    if wrong:
        raise SpecError("; ".join(wrong) + ". Does this query belong to this model?", query.file)


class _Contradiction(Exception):
    """An alternative that no point satisfies; ``token`` is the constraint that says so, -1 when unknown."""

    def __init__(self, message: str, token: int = -1) -> None:
        super().__init__(message)
        self.message, self.token = message, token


@dataclass
class _Region:
    """Unsafe points under the atoms so far: bounds on single inputs, and the rows that negate everything else."""

    query: VnnlibQuery
    lower: list[Fraction | None]
    upper: list[Fraction | None]
    rows: tuple[Row, ...] = ()
    bounds: tuple[Atom, ...] = ()
    false: Atom | None = None
    box: Box | None = None

    def restricted(self, atoms: list[Atom]) -> _Region:
        """A copy under further ``atoms``; it shares the box when these do not bound inputs."""
        if any(_is_bound(atom) for atom in atoms):
            region = replace(self, lower=self.lower.copy(), upper=self.upper.copy(), box=None)
        else:
            region = replace(self, box=self.closed_box())
        region.restrict(tuple(atoms))
        return region

    def restrict(self, atoms: tuple[Atom, ...]) -> None:
        rows, bounds = [], []
        for atom in atoms:
            if _is_bound(atom):
                self._bound(atom)
                bounds.append(atom)
            elif not (atom.x or atom.y):
                if atom.constant > 0 or (atom.strict and atom.constant == 0):
                    self.false = atom
                continue
            if atom.strict or not _is_bound(atom):
                # A strict bound keeps its row besides the closed box: its boundary is not part of the unsafe set.
                rows.append(Row(atom.x, atom.y, atom.constant, strict=not atom.strict))
        self.rows += tuple(rows)
        self.bounds += tuple(bounds)

    def _bound(self, atom: Atom) -> None:
        """Intersect the box with ``coefficient * x + constant <= 0``."""
        ((index, coefficient),) = atom.x
        if coefficient > 0:
            value = -atom.constant if coefficient == 1 else -atom.constant / coefficient
            upper = self.upper[index]
            self.upper[index] = value if upper is None or value < upper else upper
        else:
            value = atom.constant if coefficient == -1 else -atom.constant / coefficient
            lower = self.lower[index]
            self.lower[index] = value if lower is None or value > lower else lower

    def case(self) -> Case:
        """The case of this region. Raises ``_Contradiction`` when no point satisfies it."""
        if self.false is not None:
            raise _Contradiction("a constraint without variables is false", self.false.token)
        return Case(self.closed_box(), self.rows)

    def closed_box(self) -> Box:
        if self.box is None:
            lower = tuple(bound for bound in self.lower if bound is not None)
            upper = tuple(bound for bound in self.upper if bound is not None)
            if not len(lower) == len(upper) == self.query.n_inputs:
                raise self._unbounded()
            try:
                self.box = Box(lower, upper)
            except ValueError:
                raise self._empty(lower, upper) from None
        return self.box

    def _unbounded(self) -> SpecError:
        faults = []
        for side, bounds in (("lower", self.lower), ("upper", self.upper)):
            names = [f"X_{i}" for i, bound in enumerate(bounds) if bound is None]
            if names:
                listed = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
                faults.append(f"no {side} bound on {listed}")
        return SpecError(f"{'; '.join(faults)}. Bound every input on both sides, in every alternative", self.query.file)

    def _empty(self, lower: tuple[Fraction, ...], upper: tuple[Fraction, ...]) -> _Contradiction:
        index = next(i for i, (lo, up) in enumerate(zip(lower, upper)) if lo > up)
        last = max(atom.token for atom in self.bounds if atom.x[0][0] == index)
        return _Contradiction(
            f"X_{index} is at least {show(lower[index])} and at most {show(upper[index])}, by this bound and another",
            last,
        )


def _is_bound(atom: Atom) -> bool:
    return len(atom.x) == 1 and not atom.y
