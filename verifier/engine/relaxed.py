"""The relaxed attack that an unknown verdict hands over: the open box that is farthest from a proof."""

from __future__ import annotations

import numpy as np

from relaxations.bounds.boxes import BoxBounder
from verifier.engine.outcome import RelaxedAttack
from verifier.engine.phases.group import Group
from verifier.engine.scheduler import CaseSearch, Place

LISTED = 10  # neurons
LOOKED_AT = 16  # open boxes


def relaxed_attack(cases: list[CaseSearch]) -> RelaxedAttack | None:
    """The open box with the least bound, its relaxation's minimiser, and the neurons whose relaxation it exploits."""
    candidates = [(k, place) for k, case in enumerate(cases) for place in case.open]
    if not candidates:
        return None
    candidates.sort(key=lambda entry: entry[1].bound)
    found = [(_minimise(cases[k], place), k) for k, place in candidates[:LOOKED_AT]]
    (bound, point, exploits), k = min(found, key=lambda entry: entry[0][0])
    value = float(cases[k].explorer.values(point[None])[0])
    return RelaxedAttack(k, point.tolist(), bound, value, exploits)


def relaxed_attack_by_phases(groups: list[Group]) -> RelaxedAttack | None:
    """The open node of a tree over phases with the least bound, in the same terms."""
    candidates = [(group, search, node) for group in groups for search, node in group.unproved]
    if not candidates:
        return None
    group, search, node = min(candidates, key=lambda entry: entry[2].bound)
    names = search.tree.names
    preactivations, _ = search.original.network.preactivations(node.point[None])
    seen = [z[0][kept] for z, kept in zip(preactivations, names, strict=True)]
    ranges = list(zip(node.lower, node.upper, strict=True))
    gaps = _gaps(seen, [(u, u) if k in node.signs else (l, u) for k, (l, u) in enumerate(ranges)])
    exploits = [(layer, int(names[layer][neuron]), gap) for layer, neuron, gap in gaps]
    value = search.values(node.point[None], [node.worst])[0]
    return RelaxedAttack(group.cases[node.worst], node.point.tolist(), node.bound, value, exploits)


def _minimise(case: CaseSearch, place: Place) -> tuple[float, np.ndarray, list[tuple[int, int, float]]]:
    """Bound of the best row on one box, the corner where its relaxation attains it, and the widest relaxed neurons.

    The gap of a neuron is how far the upper line of its relaxation stands above the ReLU at the attacked input.
    """
    network = case.explorer.network
    bounds = BoxBounder(network, case.explorer.rows, case.explorer.refine).bounds(place.lower[None], place.upper[None])
    best = int(bounds.lower[0].argmax())
    point = np.where(bounds.form[0, best] > 0, place.lower, place.upper)
    preactivations, _ = network.preactivations(point[None])
    ranges = [(l[0], u[0]) for l, u in bounds.ranges]
    return float(bounds.lower[0, best]), point, _gaps([z[0] for z in preactivations], ranges)


def _gaps(values: list[np.ndarray], ranges: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[int, int, float]]:
    """Neurons by how far the upper line of their relaxation stands above the ReLU at these pre-activations."""
    gaps = []
    for layer, (z, (l, u)) in enumerate(zip(values, ranges, strict=True)):
        unstable = (l < 0) & (u > 0)
        width = np.where(unstable, u - l, 1)
        gap = np.where(unstable, u / width * (z - l) - np.maximum(z, 0), 0)
        gaps += [(layer, int(i), float(gap[i])) for i in np.flatnonzero(gap > 0)]
    gaps.sort(key=lambda entry: -entry[2])
    return gaps[:LISTED]
