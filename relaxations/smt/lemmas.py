"""Safety of every network that satisfies some lemmas: the weights are forgotten, what is known of the function is kept.

What is proved so holds for the network at hand and for any other of which the lemmas are true: a fine-tuned one that
is still 2-Lipschitz and still has these outputs at these inputs. A model is a network, as a table of values, that
satisfies all lemmas and fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from relaxations.smt.axioms import Axioms, Linear, Point, Term
from relaxations.smt.formula import Formula, at_most, below_zero, within


@dataclass(frozen=True)
class Row:
    """``x . input + y . output + constant > 0``, or ``>= 0`` if not ``strict``, is required."""

    x: Point
    y: Point
    constant: Fraction
    strict: bool = True


@dataclass(frozen=True)
class Lemmas:
    """``outputs[j]`` are axioms of output j as a function of the input; ``known`` pairs of inputs and outputs."""

    outputs: tuple[Axioms, ...]
    known: tuple[tuple[Point, Point], ...] = ()

    def assertions(self, lower: Point, upper: Point, rows: Sequence[Row]) -> dict[str, Formula]:
        """Satisfiable exactly if some function fits the lemmas and fails every row somewhere in the box.

        Variables: ``x0`` ... the input and ``y0`` ... the outputs there.
        """
        found: dict[str, Formula] = {f"input {i}": within(f"x{i}", l, u) for i, (l, u) in enumerate(zip(lower, upper))}
        x = tuple(Linear.variable(f"x{i}") for i in range(len(lower)))
        for j, axioms in enumerate(self.outputs):
            terms = {f"data {k}": _fixed(point, values[j]) for k, (point, values) in enumerate(self.known)}
            terms["attack"] = Term(x, Linear.variable(f"y{j}"))
            found |= {f"output {j}: {name}": formula for name, formula in axioms.instances(terms).items()}
        for r, row in enumerate(rows):
            total = {f"x{i}": c for i, c in enumerate(row.x)} | {f"y{j}": c for j, c in enumerate(row.y)}
            found[f"row {r}"] = (at_most if row.strict else below_zero)(total, row.constant)
        return found


def _fixed(point: Point, value: Fraction) -> Term:
    return Term(tuple(Linear((), c) for c in point), Linear((), value))
