"""Terms of expressions as nodes of the composed graph: what a network is called on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import TypeVar

import numpy as np

from specs.compose import Composer
from specs.graph import Op, ops
from specs.language.expressions.exact import exactly, narrow
from specs.language.expressions.expression import ExpressionFault
from specs.language.expressions.scope import Argument
from specs.language.expressions.terms import Extreme, Linear, Term
from specs.language.inputs.coupling import Coupling

Value = TypeVar("Value", bound=Hashable)
Element = tuple[str, int]  # of a vector: the node, and the place in it

MAX_ENTRIES = 1 << 24
"""Of the matrix of one argument's arithmetic; elements that are only moved need none."""


@dataclass(frozen=True)
class Vectors:
    """Makes nodes in ``composer``; ``variables`` and ``slots`` say where each variable of a term is."""

    composer: Composer
    coupling: Coupling
    variables: Sequence[Element]
    slots: Sequence[Element]

    def node(self, arguments: Sequence[Argument]) -> str:
        """The elements of all arguments, one after the other. Raises ``ExpressionFault`` at the argument at fault."""
        terms = [term for argument in arguments for term in argument.terms]
        elements = [self._element(term) for term in terms]
        if None not in elements:
            return self.picked([element for element in elements if element is not None])
        for argument in arguments:
            if any(self._is_normalized(term) for term in argument.terms):
                raise ExpressionFault(
                    "arithmetic beside a normalised input is not supported yet in what a network is called on: "
                    f"{argument.text}",
                    argument.column,
                )
        parts = []
        for argument in arguments:
            try:
                parts.append(self._vector(argument.terms))
            except ValueError as error:
                raise ExpressionFault(f"{argument.text}: {error}", argument.column) from None
        return self.composer.joined(parts)

    def _vector(self, terms: Sequence[Term]) -> str:
        """Linear terms by one matrix; elements that are maxima (or minima) of equally many, by one operator."""
        kinds = [(term.kind, len(term.parts)) if isinstance(term, Extreme) else ("linear", 0) for term in terms]
        groups = _distinct(kinds)
        nodes: list[str] = []
        places: dict[int, int] = {}
        for group in groups:
            members = [i for i, kind in enumerate(kinds) if kind == group]
            places |= {i: len(places) + k for k, i in enumerate(members)}
            nodes.append(self._alike([terms[i] for i in members]))
        return self.composer.picked(self.composer.joined(nodes), [places[i] for i in range(len(terms))])

    def _alike(self, terms: Sequence[Term]) -> str:
        linear = [term for term in terms if isinstance(term, Linear)]
        if linear:
            elements = [self._element(term) for term in linear]
            known = [element for element in elements if element is not None]
            return self.picked(known) if len(known) == len(linear) else self._affine(linear)
        extremes = [term for term in terms if isinstance(term, Extreme)]
        op: Callable[[], Op] = ops.Max if extremes[0].kind == "max" else ops.Min
        columns = [self._vector(column) for column in zip(*(term.parts for term in extremes))]
        result = columns[0]
        for column in columns[1:]:
            result = self.composer.add(op(), result, column)
        return result

    def _element(self, term: Term) -> Element | None:
        """The element of an input, as networks consume it, or the slot that the term is, if it is no more than that."""
        if not isinstance(term, Linear):
            return None
        if len(term.x) == 1 and not term.y:
            ((i, factor),) = term.x.items()
            mean, scale = self.coupling.normalization[i]
            return self.variables[i] if (factor, term.constant) == (scale, mean) else None
        if len(term.y) == 1 and not term.x and not term.constant:
            ((slot, factor),) = term.y.items()
            return self.slots[slot] if factor == 1 else None
        return None

    def _is_normalized(self, term: Term) -> bool:
        if isinstance(term, Extreme):
            return any(self._is_normalized(part) for part in term.parts)
        return any(self.coupling.normalization[i] != (Fraction(0), Fraction(1)) for i in term.x)

    def picked(self, elements: Sequence[Element]) -> str:
        """The elements as a vector."""
        nodes = _distinct(node for node, _ in elements)
        starts, _ = self._starts(nodes)
        return self.composer.picked(self.composer.joined(nodes), [starts[node] + i for node, i in elements])

    def _affine(self, terms: Sequence[Linear]) -> str:
        """A matrix times all that the terms read, plus a constant; ``ValueError`` for what float64 cannot say."""
        rows = [
            [*((self.variables[i], v) for i, v in term.x.items()), *((self.slots[s], v) for s, v in term.y.items())]
            for term in terms
        ]
        nodes = _distinct(node for row in rows for (node, _), _ in row)
        starts, width = self._starts(nodes)
        if len(terms) * width > MAX_ENTRIES:
            raise ValueError(f"arithmetic on {width:,} values with {len(terms):,} results is too large")
        matrix, offset = np.zeros((len(terms), width)), np.array([exactly(term.constant) for term in terms])
        for i, row in enumerate(rows):
            for (node, place), factor in row:
                matrix[i, starts[node] + place] = exactly(factor)
        constant = self.composer.constant(narrow(offset), "offset")
        if not nodes:
            return constant
        weight = self.composer.constant(narrow(matrix), "mixing")
        product = self.composer.add(ops.MatMul(), weight, self.composer.joined(nodes))
        return self.composer.add(ops.Add(), product, constant) if offset.any() else product

    def _starts(self, nodes: Sequence[str]) -> tuple[dict[str, int], int]:
        """Where each of the nodes starts in all of them joined, and how long that is."""
        starts, size = {}, 0
        for node in nodes:
            starts[node] = size
            size += prod(self.composer.shape(node))
        return starts, size


def _distinct(values: Iterable[Value]) -> list[Value]:
    return list(dict.fromkeys(values))
