"""From the duals of a relaxation to the words of a certificate, for those kinds of duals that one has a rule for.

ibp                   a leaf of the box: the checker bounds it by itself (rule R0)
crown, alpha-crown    slopes of the lower lines (PROOF, rule R1)
lp, sdp               multipliers of the root's neurons (MULTIPLIERS, rule R4)
milp                  a tree over phases with multipliers at its leaves
smt                   a tree over phases with slopes and multipliers of the splits at its leaves (rule R1)
others                as sdp, if their duals are multipliers, too
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from relaxations.base import Relaxation
from relaxations.bounds.relaxed import Slopes
from relaxations.lifting import Lifting
from relaxations.milp.tree import PhaseLeaf
from relaxations.milp.tree import PhaseTree as Leaves
from relaxations.multipliers import Multipliers
from verifier.certificate.refutation import phase_words
from verifier.certificate.write import Chunk
from verifier.engine.frontier.roots import Root
from verifier.engine.phases.moments import stored
from verifier.engine.phases.node import FINE, FinalDuals, Node
from verifier.engine.phases.tree import PhaseTree

Trees = list[tuple[tuple[int, ...], Chunk | np.ndarray]]  # for each the cases it proves
Numbers = Callable[[Sequence[int]], list[int]]  # the checker's numbers of cases
Record = Callable[[PhaseTree, Root, int, Any, np.ndarray], bool]  # whether a dual could be recorded for a case
Found = Sequence[tuple[Relaxation[Any, Any], Any]]  # a relaxation of each case, and a dual that proves it


def trees_of(name: str, roots: Sequence[Root], found: Sequence[Found], numbers: Numbers) -> Trees | None:
    """What proves all cases of the roots; None where there is no way to write it."""
    if name == "ibp":
        return _by_intervals(roots, found, numbers)
    if name == "milp":
        pairs = [(root.only([p]), dual) for root, own in zip(roots, found) for p, (_, dual) in enumerate(own)]
        return [_branched(root, dual, numbers) for root, dual in pairs]
    if name == "smt":
        return [one for root, own in zip(roots, found) for one in _refuted(root, own, numbers)]
    if name in ("crown", "alpha-crown"):
        return _sloped(roots, found, numbers)
    duals = [[dual for _, dual in own] for own in found]
    if all(isinstance(dual, Multipliers) for own in duals for dual in own):
        return _recorded(_multipliers, roots, duals, numbers)
    return None


def _recorded(record: Record, roots: Sequence[Root], duals: Sequence[Sequence[Any]], numbers: Numbers) -> Trees | None:
    trees: Trees = []
    for root, own in zip(roots, duals):
        tree, columns = root.tree()
        if not all(record(tree, root, place, dual, columns) for place, dual in enumerate(own)):
            return None
        tree.close(root.node)
        trees.append((root.cases, tree.words(numbers(root.cases))))
    return trees


def _sloped(roots: Sequence[Root], found: Sequence[Found], numbers: Numbers) -> Trees | None:
    """Slopes for what lines prove, plain intervals for the rest."""
    trees: Trees = []
    for root, own in zip(roots, found):
        by_lines = [relaxation.substituted(dual) < 0 for relaxation, dual in own]
        for proved in (True, False):
            places = [place for place, lines in enumerate(by_lines) if lines == proved]
            if not places:
                continue
            part, pairs = root.only(places), [own[place] for place in places]
            if proved:
                more = _recorded(_slopes, [part], [[dual for _, dual in pairs]], numbers)
            else:
                more = _by_intervals([part], [[(r.interval, dual.weights) for r, dual in pairs]], numbers)
            trees += more or []
    return trees


def _by_intervals(roots: Sequence[Root], found: Sequence[Found], numbers: Numbers) -> Trees | None:
    plain = []
    for root, own in zip(roots, found):
        low, up = map(list, zip(*own[0][0].intervals)) if root.node.lower else ([], [])
        plain.append(replace(root, node=replace(root.node, lower=low, upper=up, rows={}, refreshed={})))
    return _recorded(_weights, plain, [[weights for _, weights in own] for own in found], numbers)


def _weights(tree: PhaseTree, root: Root, place: int, weights: np.ndarray, columns: np.ndarray) -> bool:
    """No relation of an output to its argument is used: what is left is at its least over the outputs' intervals."""
    zero = tuple(np.zeros(len(root.node.free(k))) for k in range(len(root.node.lower)))
    tree.multiplied(root.node, place, Multipliers(weights, zero, zero, zero), np.zeros(0), columns)
    return True


def _slopes(tree: PhaseTree, root: Root, place: int, dual: Slopes, columns: np.ndarray) -> bool:
    query, first = root.queries[place], int(root.bounding.target.first[place])
    steps = []
    for k, (l, _) in enumerate(query.ranges):
        layer = np.zeros(len(l), dtype=np.uint8)
        layer[query.unstable(k)] = np.rint(FINE * np.clip(dual.slopes[k], 0, 1))
        steps.append(layer)
    weights = np.zeros(root.bounding.target.first[-1])
    weights[first : first + len(dual.weights)] = dual.weights
    tree.proof(root.node, place, FinalDuals(tuple(steps), np.zeros(0), weights), first, columns)
    return True


def _multipliers(tree: PhaseTree, root: Root, place: int, dual: Multipliers, columns: np.ndarray) -> bool:
    kept = stored(Lifting.of(root.queries[place]), dual) if dual.squares is not None else dual
    if kept is not None:
        tree.multiplied(root.node, place, kept, np.zeros(0), columns)
    return kept is not None


def _branched(root: Root, dual: Leaves, numbers: Numbers) -> tuple[tuple[int, ...], Chunk]:
    """The tree of one case over phases. Of a neuron that was split only the multiplier of its sign is kept."""
    tree, columns = root.tree()
    [query] = root.queries
    unstable = [query.unstable(k) for k in range(len(query.ranges))]
    last = 0

    def below(node: Node, leaves: Sequence[PhaseLeaf]) -> None:
        nonlocal last
        depth = len(node.splits)
        if len(leaves[0].splits) == depth:
            [leaf] = leaves
            tree.multiplied(node, 0, _left(leaf, node, unstable), np.array(leaf.signs(query)), columns)
            tree.close(node)
            return
        layer, neuron, _ = leaves[0].splits[depth]
        first, last = last + 1, last + 2
        tree.branch(node, (layer, neuron), first)
        for number, sign in ((first, -1), (first + 1, 1)):
            side = [leaf for leaf in leaves if leaf.splits[depth][2] == sign]
            below(node.child(number, [(layer, neuron, sign)]), side)

    below(root.node, dual.leaves)
    return root.cases, tree.words(numbers(root.cases))


def _refuted(root: Root, own: Found, numbers: Numbers) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """The refutations of a root's cases: each has a frame of its own, as its ranges are found in rationals."""
    for case, (relaxation, tree) in zip(root.cases, own, strict=True):
        [number] = numbers([case])
        yield (case,), phase_words(relaxation.question, relaxation.ranges, tree, number)


def _left(leaf: PhaseLeaf, node: Node, unstable: Sequence[np.ndarray]) -> Multipliers:
    """The leaf's multipliers of the neurons that its splits have left."""
    kept = [np.isin(free, node.free(k)) for k, free in enumerate(unstable)]

    def of(parts: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        return tuple(part[keep] for part, keep in zip(parts, kept))

    dual = leaf.dual
    return replace(dual, positive=of(dual.positive), above=of(dual.above), chord=of(dual.chord))
