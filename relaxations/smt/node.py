"""The linear constraints of a node: ReLUs with a phase are affine, the other unstable ones lie in their triangles."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np

from relaxations.smt.bounds import Ranges, lines, restricted, unstable
from relaxations.smt.encode import ZERO, Neuron, Phases, Question, Scaled, Vector, zeros
from relaxations.smt.limits import Deadline
from relaxations.smt.simplex import Conflict, Optimum, Problem, minimise, satisfy

Kind = Literal["row", "sign", "positive", "above", "chord"]


@dataclass(frozen=True)
class Form:
    """An affine function of the node's variables; ``owner`` is the number of a row, or a neuron."""

    kind: Kind
    owner: int | Neuron
    coefs: Vector
    constant: Fraction


@dataclass(frozen=True)
class Node:
    """Forms that are at least 0 on every violation with these phases, but for rows: these are at most 0 there.

    Variables are the inputs, then the outputs of the ``free`` neurons: unstable on the node's ranges.
    """

    question: Question
    ranges: Ranges
    free: tuple[Neuron, ...]
    z: tuple[tuple[Vector, Vector], ...]  # by layer: coefficients (n_k, variables) and constants of pre-activations
    forms: tuple[Form, ...]

    @staticmethod
    def of(question: Question, root: Ranges, phases: Phases) -> Node:
        ranges = restricted(root, phases)
        free = tuple((k, i) for k, (l, u) in enumerate(ranges) for i in unstable(l, u))
        inputs = len(question.lower)
        size = inputs + len(free)
        place = {neuron: inputs + j for j, neuron in enumerate(free)}
        values = [(_identity(inputs, size), zeros(inputs))]
        scaled = [Scaled.of(values[0][0])]
        z: list[tuple[Vector, Vector]] = []
        forms: list[Form] = []
        for k, (layer, (l, u)) in enumerate(zip(question.layers, ranges)):
            coefs = sum((matrix @ scaled[source] for source, matrix in layer.scaled), start=_none(len(l), size))
            constants = layer.apply([constant for _, constant in values])
            z.append((coefs, constants))
            out, shift = coefs.copy(), constants.copy()
            line = lines(l, u, {})
            for i in range(len(l)):
                if (k, i) in phases:
                    sign = phases[k, i]
                    forms.append(Form("sign", (k, i), sign * coefs[i], sign * constants[i]))
                if (k, i) in place:
                    out[i], shift[i] = _identity(1, size, place[k, i])[0], ZERO
                    above = line.above[i] * coefs[i] - out[i]
                    forms.append(Form("positive", (k, i), out[i], ZERO))
                    forms.append(Form("above", (k, i), out[i] - coefs[i], -constants[i]))
                    forms.append(Form("chord", (k, i), above, line.above[i] * constants[i] + line.offset[i]))
                elif l[i] < 0:
                    out[i], shift[i] = zeros(size), ZERO
            values.append((out, shift))
            scaled.append(Scaled.of(out))
        rows = sum((m @ scaled[s] for s, m in question.rows.scaled), start=_none(len(question.strict), size))
        constants = question.rows.apply([constant for _, constant in values])
        forms += [Form("row", r, rows[r], constants[r]) for r in range(len(rows))]
        return Node(question, ranges, free, tuple(z), tuple(forms))

    @cached_property
    def box(self) -> tuple[list[Fraction | None], list[Fraction | None]]:
        """Bounds of the variables; the outputs' follow from their triangles."""
        none = [None] * len(self.free)
        return [*self.question.lower, *none], [*self.question.upper, *none]

    def feasible(self, deadline: Deadline) -> Optimum | Conflict:
        """A point that meets all constraints, or multipliers of the forms that prove that there is none.

        Strict rows are kept below 0.
        """
        strict = [form.kind == "row" and self.question.strict[form.owner] for form in self.forms]
        coefs = [-form.coefs if form.kind == "row" else form.coefs for form in self.forms]
        constants = [-form.constant if form.kind == "row" else form.constant for form in self.forms]
        return satisfy(Problem(coefs, constants, *self.box), strict, deadline)

    def least(self, deadline: Deadline) -> Optimum | Conflict:
        """The least value of the largest row on the node, by the signs and triangles alone, at ``point[:-1]``."""
        coefs = [np.append(-f.coefs if f.kind == "row" else f.coefs, Fraction(f.kind == "row")) for f in self.forms]
        constants = [-f.constant if f.kind == "row" else f.constant for f in self.forms]
        lower, upper = self.box
        objective = zeros(len(lower) + 1)
        objective[-1] = Fraction(1)
        return minimise(Problem(coefs, constants, [*lower, None], [*upper, None]), objective, deadline)

    def relu_gaps(self, point: Vector) -> dict[Neuron, Fraction]:
        """By how much each free output stands above the ReLU of its pre-activation, where it does."""
        gaps = {}
        for j, (k, i) in enumerate(self.free):
            coefs, constants = self.z[k]
            gap = point[len(self.question.lower) + j] - max(coefs[i] @ point + constants[i], ZERO)
            if gap:
                gaps[k, i] = gap
        return gaps


def _none(rows: int, columns: int) -> Vector:
    return zeros(rows * columns).reshape(rows, columns)


def _identity(rows: int, columns: int, first: int = 0) -> Vector:
    found = _none(rows, columns)
    for i in range(rows):
        found[i, first + i] = Fraction(1)
    return found
