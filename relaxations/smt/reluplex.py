"""Search over ReLU phases, lazily: a ReLU is split when the linear relaxation makes use of its not being one.

After Katz et al. 2017 (Reluplex, arXiv:1702.01135): a theory of linear arithmetic with triangles in place of ReLUs, and
case splits on demand. Floating point proposes and rationals decide: a model is an exact input at which every row fails,
a refutation is a tree whose leaves hold exactly. Where floats cannot tell, the exact simplex does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from relaxations.smt.bounds import Ranges, root_ranges
from relaxations.smt.encode import ZERO, Neuron, Question, Vector, exact, vector
from relaxations.smt.float_lp import FloatLp, Relaxed
from relaxations.smt.limits import Deadline, OutOfTime
from relaxations.smt.node import Node
from relaxations.smt.simplex import Conflict
from relaxations.smt.tree import Leaf, Path, Split, Tree, holds, leaf_bound

NOTICEABLE = 1e-7  # gaps of a ReLU in floating point that are worth a split


@dataclass(frozen=True)
class Model:
    """An exact input of the box at which every row fails."""

    x: Vector
    nodes: int = 0


@dataclass(frozen=True)
class Refutation:
    """There is no such input: ``tree`` proves it exactly."""

    tree: Tree
    nodes: int = 0


@dataclass(frozen=True)
class Undecided:
    """The time was over. ``tree`` covers the box, but not all of its leaves hold."""

    tree: Tree
    reason: str = "the time is over"
    nodes: int = 0


class _Found(Exception):
    def __init__(self, x: Vector) -> None:
        self.x = x


def decide(
    question: Question, seconds: float = np.inf, ranges: Ranges | None = None, rounded: bool = False
) -> Model | Refutation | Undecided:
    """Whether every row can fail at once. ``ranges`` must hold on the box; they are found if not given.

    Every call is exact and complete: without a limit of time it ends with a model or a refutation. ``rounded`` splits
    on where a leaf holds, but not in the numbers of a certificate; in vain only where the margin is tiny.
    """
    deadline = Deadline.within(seconds)
    search = _Search(question, root_ranges(question) if ranges is None else ranges, deadline, rounded)
    try:
        tree = search.prove((), Leaf(vector([1] * len(question.strict)), {}, ()))
    except _Found as found:
        return Model(found.x, search.nodes)
    return Undecided(tree, nodes=search.nodes) if search.stopped else Refutation(tree, search.nodes)


class _Search:
    def __init__(self, question: Question, root: Ranges, deadline: Deadline, rounded: bool) -> None:
        self.question, self.root, self.deadline, self.rounded = question, root, deadline, rounded
        self.lp = FloatLp(question, root)
        self.nodes = 0
        self.stopped = False

    def prove(self, path: Path, known: Leaf) -> Tree:
        """A tree for what is below the path, depth first; raises ``_Found`` where there is a model.

        ``known`` are the best duals from above: what a leaf has where the time is over.
        """
        relaxed = None
        try:
            self.deadline.check()
            self.nodes += 1
            relaxed = self.lp.solve(path, self.deadline)
            found = self._in_exact(path) if relaxed is None else self._by(relaxed, path)
        except OutOfTime:
            self.stopped = True
            return known if relaxed is None else relaxed.leaf
        if isinstance(found, Leaf):
            return found
        known = known if relaxed is None else relaxed.leaf
        longer = Leaf(known.weights, known.slopes, (*known.multipliers, ZERO))
        below = self.prove((*path, (found, -1)), longer)
        return Split(found, below, self.prove((*path, (found, 1)), longer))

    def _by(self, relaxed: Relaxed, path: Path) -> Leaf | Neuron:
        """What the float relaxation suggests, if it is true."""
        if relaxed.value > 0:
            leaf = relaxed.leaf.rounded()
            if leaf_bound(self.question, self.root, path, leaf) > 0:
                return leaf
        else:
            self._try(np.clip(exact(relaxed.x), self.question.lower, self.question.upper))
        weight = relaxed.costs if any(cost > NOTICEABLE for cost in relaxed.costs.values()) else relaxed.gaps
        if any(value > NOTICEABLE for value in weight.values()):
            return max(weight, key=weight.__getitem__)
        return self._in_exact(path)

    def _in_exact(self, path: Path) -> Leaf | Neuron:
        """A leaf by the exact simplex, or a ReLU that stands in its way; always one or the other, or a model."""
        node = Node.of(self.question, self.root, dict(path))
        answer = node.feasible(self.deadline)
        if isinstance(answer, Conflict):
            leaf = leaf_of(node, answer.multipliers, path)
            enough = not self.rounded or leaf_bound(self.question, self.root, path, leaf.rounded()) > 0
            if not node.free or (enough and holds(self.question, self.root, path, leaf)):
                return leaf
            return max(node.free, key=lambda neuron: _height(self.root, neuron))
        x = answer.point[: len(self.question.lower)]
        self._try(x)
        gaps = node.relu_gaps(answer.point)
        return max(gaps, key=gaps.__getitem__)

    def _try(self, x: Vector) -> None:
        if self.question.violated_by(x):
            raise _Found(x)


def _height(ranges: Ranges, neuron: Neuron) -> Fraction:
    """Of a neuron's triangle."""
    l, u = (end[neuron[1]] for end in ranges[neuron[0]])
    return -l * u / (u - l)


def leaf_of(node: Node, multipliers: Vector, path: Path) -> Leaf:
    """Multipliers of a node's forms as a leaf: what a free neuron's lower lines have together gives its slope."""
    by: dict[str, dict[int | Neuron, Fraction]] = {}
    for form, multiplier in zip(node.forms, multipliers):
        by.setdefault(form.kind, {})[form.owner] = multiplier
    weights = vector([by["row"][r] for r in range(len(node.question.strict))])
    signs: Mapping[int | Neuron, Fraction] = by.get("sign", {})
    slopes = {}
    for neuron in node.free:
        flat, steep = by["positive"][neuron], by["above"][neuron]
        if flat + steep:
            slopes[neuron] = steep / (flat + steep)
    return Leaf(weights, slopes, tuple(signs.get(neuron, ZERO) for neuron, _ in path))
