"""The linear program of a node whose neurons are all fixed: it ends in multipliers or in an input that violates."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from relaxations.base import Branch, Query
from relaxations.bounds.interval import interval_bounds
from relaxations.executions import invented
from relaxations.multipliers import Multipliers
from relaxations.solvers import MissingSolver
from verifier.engine.phases.bounding import Bounding
from verifier.engine.phases.moments import query_of, rounded
from verifier.engine.phases.node import Node

SECONDS = 5.0  # at most, of one program


@dataclass(frozen=True)
class Leaf:
    """``dual`` proves the case if there is one, with multipliers of the splits (S,). ``point`` (n,) is optimal.

    Where the program does not prove it, ``branch`` is the free neuron whose output it invented at the greatest gain.
    """

    dual: Multipliers | None
    of_splits: np.ndarray
    point: np.ndarray | None
    branch: Branch | None = None


def solve_leaf(bounding: Bounding, node: Node, case: int) -> Leaf:
    """The program's answer about one case; nothing where the solver is missing or finds nothing in time."""
    from relaxations.lp.phase_program import PhaseProgram
    from relaxations.lp.safe_dual import phases_of, safe_dual

    query = with_splits(query_of(bounding, node, case), node)
    phases = phases_of(query, node.splits)
    until = time.monotonic() + SECONDS
    try:
        solved = PhaseProgram(query).solve(phases, until - time.monotonic())
    except MissingSolver:
        return Leaf(None, np.zeros(0), None)
    point = None if solved.action is None else solved.action.x
    if solved.dual is None:
        return Leaf(None, np.zeros(0), point)
    dual = _stored(query, node, solved.dual)
    if not safe_dual(query, dual, phases).value < -bounding.least:
        free = [set(node.free(k).tolist()) for k in range(len(node.lower))]
        found = [] if solved.action is None else invented(solved.action, solved.safe.coefs)
        branch = next((one for one in found if one.weight > 0 and one.neuron in free[one.layer]), None)
        return Leaf(None, np.zeros(0), point, branch)
    free = [np.searchsorted(query.unstable(k), node.free(k)) for k in range(len(node.lower))]

    def of_free(parts: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        return tuple(part[at] for part, at in zip(parts, free, strict=True))

    kept = replace(dual, positive=of_free(dual.positive), above=of_free(dual.above), chord=of_free(dual.chord))
    return Leaf(kept, np.array([_of_split(query, dual, *split) for split in node.splits]), point)


def with_splits(query: Query, node: Node) -> Query:
    """The query with the ranges that split neurons have without their split, so that the program states it itself."""
    found = interval_bounds(query.network, query.lower[None], query.upper[None], query.ball)
    whole = [(low[0], up[0]) for low, up in found]
    ranges = [(l.copy(), u.copy()) for l, u in query.ranges]
    for layer, neuron, sign in node.splits:
        end = 0 if sign > 0 else 1
        ranges[layer][end][neuron] = whole[layer][end][neuron]
    return replace(query, ranges=tuple(ranges))


def _stored(query: Query, node: Node, dual: Multipliers) -> Multipliers:
    """The dual in float32 and not negative; a split neuron keeps nothing but the multiplier of its split."""
    positive, above, chord = (
        [np.maximum(rounded(part), 0) for part in parts] for parts in (dual.positive, dual.above, dual.chord)
    )
    for layer, neuron, sign in node.splits:
        at = np.flatnonzero(query.unstable(layer) == neuron)
        chord[layer][at] = 0
        (above if sign > 0 else positive)[layer][at] = 0
    return Multipliers(np.maximum(rounded(dual.weights), 0), tuple(positive), tuple(above), tuple(chord))


def _of_split(query: Query, dual: Multipliers, layer: int, neuron: int, sign: int) -> float:
    at = np.flatnonzero(query.unstable(layer) == neuron)
    part = (dual.positive if sign > 0 else dual.above)[layer]
    return float(part[at[0]]) if len(at) else 0.0
