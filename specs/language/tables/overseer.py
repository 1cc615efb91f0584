"""Overseers that are answer tables: as networks where they are interpolated, as values of their own where they are not.

A table that is not interpolated is a function on finitely many points. What it says there is an input of the composed
question that no one chooses: together with what is asked it takes only the pairs in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from specs.errors import SpecError
from specs.graph import Graph
from specs.language.expressions.expression import ExpressionFault
from specs.language.expressions.scope import Argument
from specs.language.inputs.ranges import Range, outside
from specs.language.networks import Module
from specs.language.tables.tables import Table
from specs.language.text.decimals import show


@dataclass(frozen=True)
class AnswerTable(Module):
    """A table under the name that expressions call it by."""

    table: Table | None = None
    interpolated: bool = False

    @property
    def known(self) -> Table:
        assert self.table is not None
        return self.table

    def called(self, arguments: Sequence[Argument], tap: str, column: int, bounds: Range) -> Module:
        """The interpolated table as a network. Raises ``ExpressionFault`` where it says nothing about the arguments."""
        self.check_call(arguments, tap, column)
        if not self.interpolated:
            return self
        (term,) = (term for one in arguments for term in one.terms)
        points = sorted(self.known.answers)
        (low,), (up,) = points[0], points[-1]
        why = outside(bounds(term), low, up)
        if why:
            raise ExpressionFault(
                f"{self.name} interpolates {self.file.name} on [{show(low)}, {show(up)}] and says nothing beyond, but "
                f"{arguments[0].text} {why}; ask it about clip({arguments[0].text}, {show(low)}, {show(up)}), or "
                "narrow the input",
                column,
            )
        return Module(self.name, self.kind, self.file, self.graph, self.outputs, {}, self.sees)

    def check_call(self, arguments: Sequence[Argument], tap: str, column: int) -> None:
        """Raises ``ExpressionFault`` where the arguments are not as many as its columns."""
        if tap:
            raise ExpressionFault(f"{self.name} is an answer table and has no layers", column)
        found, wanted = [len(one.terms) for one in arguments], list(self.known.sizes)
        if found != wanted:
            raise ExpressionFault(
                f"{self.name} sees {', '.join(self.known.columns)} ({' and '.join(map(str, wanted))} number(s)), but "
                f"is called on {' and '.join(map(str, found))}",
                column,
            )

    @property
    def is_table(self) -> bool:
        return True

    @property
    def silences(self) -> tuple[str, ...]:
        if not self.interpolated:
            return ()
        return (f"that {self.name} is linear between the points of {self.file.name}",)

    def describe(self) -> str:
        """Where it comes from, what it sees, and what it says between its points."""
        n = len(self.known.answers)
        between = "straight lines between them" if self.interpolated else "nothing else"
        return (
            f"{self.name} ({self.file.name}): answers at {n} point{'s' if n > 1 else ''} and {between}; "
            f"sees {', '.join(self.known.columns)}; outputs {', '.join(self.outputs)}"
        )


def answer_table(name: str, table: Table, outputs: dict[str, int], sees: tuple[str, ...], interpolate: bool) -> Module:
    """The overseer. Raises ``SpecError`` where it is to be interpolated and cannot be, exactly."""
    graph = interpolation(table) if interpolate else Graph((), (), ())
    return AnswerTable(name, "overseer", table.file, graph, outputs, sees=sees, table=table, interpolated=interpolate)


def interpolation(table: Table) -> Graph:
    """The piecewise linear function through the points of a table of one number, for arguments between its ends.

    ``f(t) = f_0 + s_0 (t - t_0) + sum over i of (s_i - s_(i-1)) relu(t - t_i)`` with the slope ``s_i`` after ``t_i``.
    Raises ``SpecError`` where float64 does not hold one of these numbers.
    """
    from specs.core.forms import Affine, Tape
    from specs.core.network import network

    if len(table.columns) != 1:
        seen = ", ".join(table.columns)
        raise SpecError(f"lines can be drawn between points of one number, but it is asked about {seen}", table.file)
    if len(table.answers) < 2:
        raise SpecError("there is only one point: no line can be drawn", table.file)
    points = [(point[0], answer) for point, answer in sorted(table.answers.items())]
    tape, t, forms = Tape(1), Affine.atom(0), []
    try:
        for k in range(table.n_answers):
            form, before = Affine.number(points[0][1][k]), Fraction(0)
            for (here, value), (there, then) in pairwise(points):
                slope, moved = (then[k] - value[k]) / (there - here), t.plus(Affine.number(-here))
                form = form.plus(moved if here == points[0][0] else tape.relu(moved, 0), slope - before)
                before = slope
            forms.append(form)
        return network(tape, forms, [_node(table.file)], [1], 0)
    except (SpecError, OverflowError) as error:
        raise SpecError(
            f"cannot be interpolated exactly: {error}. Give points whose slopes are such numbers, as 0.125", table.file
        ) from None


def _node(file: Path) -> str:
    return file.stem or "point"
