"""What a specification asks of its answer tables: found by compiling it once, before its inputs are known in full."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import prod

from specs.language.compile_spec import Expressions, scope_of
from specs.language.composition import Composition
from specs.language.expressions.compile import compile_formula
from specs.language.expressions.dnf import MAX_DISJUNCTS
from specs.language.expressions.expression import ExpressionFault
from specs.language.expressions.scope import Argument
from specs.language.expressions.tensor import Tensor
from specs.language.expressions.terms import Linear, slots_read, value_of, variables_read
from specs.language.inputs.coupling import Coupling
from specs.language.networks import Module
from specs.language.tables.answers import AnswerSet, answer_set
from specs.language.tables.overseer import AnswerTable
from specs.language.text.decimals import exact
from specs.language.text.source import Source
from specs.sets import InputSet

Numbers = tuple[Fraction, ...]


class TableFault(ExpressionFault):
    """Something is asked of a table that it does not answer."""


class _Asking(Composition):
    """A composition that answers questions to tables by numbers of no meaning, and keeps what was asked."""

    def __init__(self, modules: Sequence[Module], inputs: tuple[InputSet, ...], coupling: Coupling) -> None:
        super().__init__(modules, inputs, coupling)
        self.sets: list[AnswerSet] = []
        self.answered: dict[ast.Call, int] = {}

    def call(self, node: ast.Call, name: str, tap: str, arguments: Sequence[Argument]) -> Tensor:
        module = self.modules[name]
        if not isinstance(module, AnswerTable) or module.interpolated:
            return super().call(node, name, tap, arguments)
        try:
            module.check_call(arguments, tap, node.col_offset)
            found = self._answers(module, arguments, node)
        except ExpressionFault as fault:
            raise TableFault(fault.message, fault.column) from None
        known = [
            k for k, one in enumerate(self.sets) if (one.table, one.of, one.pairs) == (name, found.of, found.pairs)
        ]
        if not known:
            self.sets.append(found)
        self.answered[node] = number = known[0] if known else len(self.sets) - 1
        placeholder = self._placeholder(f"{name} {number}", found.size)
        return Tensor.of(
            [Linear({}, {slot: Fraction(1)}, Fraction(0)) for slot in placeholder], (found.size,), found.names
        )

    def _placeholder(self, name: str, size: int) -> range:
        if name not in self._starts:
            self._composer.input(name, (size,))
        return self._slots_of(name, name)

    def _answers(self, module: AnswerTable, arguments: Sequence[Argument], node: ast.Call) -> AnswerSet:
        """What the table says at every point that can be asked about. Raises ``ExpressionFault``."""
        table, terms = module.known, [term for one in arguments for term in one.terms]
        for one in arguments:
            if any(True for term in one.terms for _ in slots_read(term)):
                raise ExpressionFault(
                    f"{module.name} is an answer table: it can be asked only about inputs with `points`, and "
                    f"{one.text} is what a network computes. A table of one number with `interpolate: linear` can be, "
                    f"within its range, as in {module.name}(clip(...))",
                    one.column,
                )
        if not any(True for term in terms for _ in variables_read(term)):
            raise ExpressionFault(f"{module.name} is called on constants only", node.col_offset)
        members = self._members({v for term in terms for v in variables_read(term)}, module, node.col_offset)
        sets = [self.inputs[k] for k in members]
        if prod(len(one.points) for one in sets) > MAX_DISJUNCTS:
            raise ExpressionFault(
                f"{module.name} would be asked about more than {MAX_DISJUNCTS:,} points", node.col_offset
            )
        pairs: dict[Numbers, Numbers] = {}
        for points in product(*(one.points for one in sets)):
            at = self._assigned(members, points)
            if at is None:
                continue  # equal elements would differ
            asked = tuple(value_of(term, at) for term in terms)
            answer = table.answers.get(asked)
            if answer is None:
                told = "; ".join(_told(one, point) for one, point in zip(sets, points))
                raise ExpressionFault(
                    f"{table.file.name} has no answer at {table.told(asked)}, which is asked about at the point "
                    f"{told}; it has {len(table.answers)} points, and says nothing elsewhere",
                    node.col_offset,
                )
            pairs[tuple(value for point in points for value in point)] = answer
        if not pairs:
            raise ExpressionFault(f"there is no point at which {module.name} is asked", node.col_offset)
        names = [one.name for one in sets]
        return answer_set(module.name, ast.unparse(node), table.file.name, module.outputs, names, pairs)

    def _members(self, variables: set[int], module: AnswerTable, column: int) -> list[int]:
        """The finite inputs that these variables belong to."""
        found = set()
        for variable in variables:
            owners = [k for k, places in enumerate(self.coupling.places) if variable in places]
            finite = [k for k in owners if self.inputs[k].points]
            if not finite:
                name = self.inputs[owners[0]].name
                more = "" if len(module.known.columns) > 1 else ", or say `interpolate: linear`"
                raise ExpressionFault(
                    f"{module.name} is an answer table and says nothing between its points, but {name} is no finite "
                    f"set: give {name} `points`{more}",
                    column,
                )
            found.add(finite[0])
        return sorted(found)

    def _assigned(self, members: Sequence[int], points: Sequence[Numbers]) -> dict[int, Fraction] | None:
        """The variables at points of inputs; None where one would have two values."""
        at: dict[int, Fraction] = {}
        for k, point in zip(members, points):
            for place, value in zip(self.coupling.places[k], self.inputs[k].to_model(point)):
                if at.setdefault(place, value) != value:
                    return None
        return at


def table_answers(
    source: Source,
    expressions: Expressions,
    modules: Sequence[Module],
    inputs: tuple[InputSet, ...],
    coupling: Coupling,
) -> tuple[tuple[AnswerSet, ...], Mapping[ast.Call, int]]:
    """The answers to all that is asked of tables, and which call asks for which; faults about tables go to ``source``.

    Each call is answered at each point of the inputs that it depends on, by looking up exactly what is asked there.
    """
    if not any(isinstance(one, AnswerTable) and not one.interpolated for one in modules):
        return (), {}
    asking = _Asking(modules, inputs, coupling)
    raw = [asking.raw(k) for k in range(len(inputs))]
    labels = {one.name: one.labels[0] for one in inputs if one.labels}
    scope, faults = scope_of(inputs, raw, expressions.known_lets, asking, labels)
    for name, fault in faults:
        if isinstance(fault, TableFault):
            source.expression_fault(fault, "let", name)
    asserts = [(one, ("require", i, "assert")) for i, one in enumerate(expressions.asserts) if one is not None]
    for expression, path in (*asserts, *(part for located in expressions.where for part in located)):
        try:
            compile_formula(expression, scope)
        except TableFault as fault:
            source.expression_fault(fault, *path)
        except (ExpressionFault, OverflowError):
            continue  # compiled again, and told of then
    source.faults.raise_if_any()
    return tuple(asking.sets), {node: len(inputs) + k for node, k in asking.answered.items()}


def _told(one: InputSet, point: Numbers) -> str:
    return ", ".join(f"{one.element(i)} = {exact(value)}" for i, value in enumerate(point))
