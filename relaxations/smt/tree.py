"""Refutations of a question: trees over ReLU phases with a Farkas certificate at every leaf, checked in rationals.

A leaf is in the form that the checker's phase trees have (rule R1 in docs/reference/soundness.md): weights of rows, a
slope in [0, 1] below each unstable ReLU, a multiplier of each split on the way. Everything else follows from the
question, so whatever the numbers are, what a leaf says is true; good numbers say enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from relaxations.smt.bounds import Ranges, least, lines, restricted, root_ranges, substituted
from relaxations.smt.encode import ZERO, Neuron, Question, Vector, vector

SLOPE_STEPS = 255  # a slope's unit in a certificate
Path = tuple[tuple[Neuron, int], ...]  # the splits from the root on, with the side's sign


@dataclass(frozen=True)
class Leaf:
    """``weights`` (R,) >= 0 of rows, ``slopes`` in [0, 1] (missing ones are CROWN's), one multiplier >= 0 per split."""

    weights: Vector
    slopes: Mapping[Neuron, Fraction]
    multipliers: tuple[Fraction, ...]

    def rounded(self) -> Leaf:
        """The same in a certificate's numbers: float32 weights and multipliers, slopes in steps of 1/255.

        The greatest number becomes 1: a leaf proves the same when all of it is multiplied.
        """
        unit = max([*self.weights, *self.multipliers]) or Fraction(1)
        slopes = {i: Fraction(round(slope * SLOPE_STEPS), SLOPE_STEPS) for i, slope in self.slopes.items()}
        weights, multipliers = (
            [_float32(number / unit) for number in part] for part in (self.weights, self.multipliers)
        )
        return Leaf(vector(weights), slopes, tuple(multipliers))


@dataclass(frozen=True)
class Split:
    """A neuron's pre-activation is at most 0 in ``below`` and at least 0 in ``above``."""

    neuron: Neuron
    below: Tree
    above: Tree


Tree = Leaf | Split


def leaves(tree: Tree) -> Iterator[tuple[Path, Leaf]]:
    """All leaves with the splits above them, in preorder."""
    stack: list[tuple[Path, Tree]] = [((), tree)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, Leaf):
            yield path, node
        else:
            stack.append(((*path, (node.neuron, 1)), node.above))
            stack.append(((*path, (node.neuron, -1)), node.below))


def size(tree: Tree) -> int:
    """How many leaves."""
    return sum(1 for _ in leaves(tree))


def leaf_bound(question: Question, ranges: Ranges, path: Path, leaf: Leaf) -> Fraction:
    """A lower bound of the rows' sum with the leaf's weights, on the part of the box where the path's signs hold.

    There every ``sign * z`` is at least 0, so subtracting multiples of it lowers the sum.
    """
    if any(w < 0 for w in leaf.weights) or any(m < 0 for m in leaf.multipliers):
        raise ValueError("weights and multipliers are at least 0")
    if not all(0 <= slope <= 1 for slope in leaf.slopes.values()):
        raise ValueError("slopes are between 0 and 1")
    here = restricted(ranges, dict(path))
    relaxed = tuple(
        lines(l, u, {i: slope for (layer, i), slope in leaf.slopes.items() if layer == k})
        for k, (l, u) in enumerate(here)
    )
    shifts: dict[Neuron, Fraction] = {}
    for (neuron, sign), multiplier in zip(path, leaf.multipliers, strict=True):
        shifts[neuron] = shifts.get(neuron, ZERO) - sign * multiplier
    coefs = {source: leaf.weights @ matrix for source, matrix in question.rows.terms}
    form, constant = substituted(question, relaxed, coefs, leaf.weights @ question.rows.bias, shifts)
    return least(form, constant, question.lower, question.upper)


def holds(question: Question, ranges: Ranges, path: Path, leaf: Leaf) -> bool:
    """Whether the leaf proves that on its part of the box not all rows fail."""
    value = leaf_bound(question, ranges, path, leaf)
    return value > 0 or (value == 0 and any(w for w, strict in zip(leaf.weights, question.strict) if strict))


def refutes(question: Question, tree: Tree, ranges: Ranges | None = None) -> bool:
    """Whether the tree proves that there is no input of the box at which every row fails.

    The sides of a split cover its part of the box, so it is enough that every leaf holds.
    """
    found = root_ranges(question) if ranges is None else ranges
    return all(holds(question, found, path, leaf) for path, leaf in leaves(tree))


def convertible(question: Question, tree: Tree, ranges: Ranges | None = None) -> bool:
    """Whether it still proves that, by positive bounds, in the numbers a certificate can hold."""
    found = root_ranges(question) if ranges is None else ranges
    return all(leaf_bound(question, found, path, leaf.rounded()) > 0 for path, leaf in leaves(tree))


def ceiling(question: Question, tree: Tree, ranges: Ranges) -> Fraction | None:
    """A number that the score exceeds nowhere on the box, whatever the tree's numbers are; None: the box is empty.

    A leaf without weights may show that its part is empty; if it does not, all rows count alike.
    """
    found: list[Fraction] = []
    for path, leaf in leaves(tree):
        total = sum(leaf.weights, ZERO)
        value = leaf_bound(question, ranges, path, leaf)
        if not total:
            if value > 0:
                continue
            total = Fraction(len(leaf.weights))
            leaf = Leaf(vector([1] * len(leaf.weights)), leaf.slopes, leaf.multipliers)
            value = leaf_bound(question, ranges, path, leaf)
        found.append(-value / total)
    return max(found, default=None)


def _float32(value: Fraction) -> Fraction:
    return Fraction(float(np.float32(float(value))))
