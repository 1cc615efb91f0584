"""The relaxed attack that an unknown verdict hands over: the open box that is farthest from a proof."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relaxations.actions import Point
from relaxations.bounds.boxes import BoxBounder, BoxBounds
from relaxations.bounds.greedy import Greedy, greedy, rows_layer
from relaxations.bounds.interval import interval_bounds, through_layer
from relaxations.network import ReluNetwork
from verifier.engine.deadline import Deadline
from verifier.engine.outcome import Exploit, RelaxedAction, RelaxedAttack
from verifier.engine.phases.bounding import Bounding
from verifier.engine.phases.group import Group
from verifier.engine.phases.node import FINE, Node
from verifier.engine.scheduler import CaseSearch, Place
from verifier.relaxed.contents import Outputs, PointAction, Units
from verifier.relaxed.validate import Unlowered, inputs_to_try

LISTED = 10  # neurons
MOST_ROWS = 16  # of a case that are looked at where there was no time for more
LOOKED_AT = 16  # open boxes
LOOKING_SECONDS = 0.1  # after which no further box is looked at
MOST_NEURONS = 200_000  # whose values are kept
TOO_MANY = f"the network has more than {MOST_NEURONS} neurons, so only input and outputs are stored"
SIGNS = "the network has signs, for which there is no form yet, so only input and outputs are stored"
OVERFLOW = "some of its numbers are not finite, so only input and outputs are stored"

Box = tuple[np.ndarray, np.ndarray]
Ranges = Sequence[tuple[np.ndarray, np.ndarray]]


def relaxed_attack(cases: list[CaseSearch]) -> RelaxedAttack | None:
    """The open box with the least bound, its relaxation's minimiser, and the neurons whose relaxation it exploits."""
    candidates = [(k, place) for k, case in enumerate(cases) for place in case.open]
    if not candidates:
        return None
    candidates.sort(key=lambda entry: entry[1].bound)
    found: list[tuple[BoxBounds, int, Place]] = []
    until = Deadline.after(LOOKING_SECONDS)
    for k, place in candidates[:LOOKED_AT]:
        if found and until.over:
            break
        found.append((bounds_of(cases[k], place), k, place))
    bounds, k, place = min(found, key=lambda entry: entry[0].lower[0].max())
    ranges = [(l[0], u[0]) for l, u in bounds.ranges]
    return _of_box(cases[k], k, place, ranges, int(bounds.lower[0].argmax()))


def relaxed_attack_by_intervals(cases: list[CaseSearch]) -> RelaxedAttack | None:
    """The same of the first open case's box, with ranges by intervals: where there was no time for any bound.

    Where nothing is open, of the first case that intervals do not prove.
    """
    for k, case in sorted(enumerate(cases), key=lambda entry: entry[1].closed)[:LOOKED_AT]:
        root, network = case.root, case.explorer.network
        with np.errstate(all="ignore"):
            ranges = interval_bounds(network, root.lower[None], root.upper[None], case.explorer.ball)[:-1]
            found = best_of_rows(case, k, [(l[0], u[0]) for l, u in ranges])
        if found is not None:
            return found
    return None


def relaxed_attack_by_beginnings(cases: list[CaseSearch], groups: list[Group]) -> RelaxedAttack | None:
    """The same with the ranges of the layers that were bounded before the time was over, and intervals behind them."""
    for group in groups:
        bounding = group.whole.bounding
        if bounding.begun is None:
            continue
        values, ranges = [(bounding.lower, bounding.upper)], []
        for k, layer in enumerate(bounding.exact.layers):
            known = k < len(bounding.begun.upper)
            ends = (bounding.begun.lower[k], bounding.begun.upper[k]) if known else through_layer(layer, values)
            ranges.append((ends[0].astype(float), ends[1].astype(float)))
            values.append((layer.output(ranges[-1][0]), layer.output(ranges[-1][1])))
        found = [best_of_rows(cases[k], k, ranges) for k in group.cases[:LOOKED_AT]]
        stands = [attack for attack in found if attack is not None]
        if stands:
            return min(stands, key=lambda attack: attack.bound)
    return None


def best_of_rows(case: CaseSearch, k: int, ranges: Ranges) -> RelaxedAttack | None:
    """The minimiser on a case's whole box of the row with the best bound for these ranges, among the first.

    None where one of them is proved.
    """
    made = [_of_box(case, k, case.root, ranges, row) for row in range(len(case.explorer.rows.constant))[:MOST_ROWS]]
    stands = [found for found in made if found.action is not None]
    return max(stands, key=lambda found: found.bound) if len(stands) == len(made) else None


def _of_box(case: CaseSearch, k: int, place: Place, ranges: Ranges, row: int) -> RelaxedAttack:
    """The minimiser of one row's relaxation on a box of case k, for these ranges."""
    network, rows = case.explorer.network, case.explorer.rows
    weights, target = np.eye(len(rows.constant))[row], rows_layer(rows, network.output)
    made = greedy(network, target, weights, (place.lower, place.upper), ranges, ball=case.explorer.ball)
    names = [np.arange(len(l)) for l, _ in ranges]
    return RelaxedAttack(
        k,
        made.action.x.tolist(),
        made.bound,
        float(case.explorer.values(made.action.x[None])[0]),
        _exploits(made, made.costs(network), names),
        _action(
            "crown",
            content_of(network, made.action, (ranges, (place.lower, place.upper)), names, made.below),
            (place.lower, place.upper),
            (made.rows(target), weights),
        ),
    )


def relaxed_attack_by_phases(groups: list[Group]) -> RelaxedAttack | None:
    """The open node of a tree over phases with the least bound, in the same terms.

    Its bound may have multipliers of the node's phases, which no single action attains. The action is the best one
    without them: split neurons are on their line, wherever their pre-activation is.
    """
    candidates = [(group, search, node) for group in groups for search, node in group.unproved]
    if not candidates:
        return None
    group, search, node = min(candidates, key=lambda entry: entry[2].bound)
    case = node.worst if node.worst in node.pending else int(node.pending[0])
    bounding, names = search.bounding, search.tree.names
    weights = node.final.weights[int(np.flatnonzero(node.pending == case)[0])].astype(float)
    weights /= weights.sum()
    made = _of_node(bounding, node, case, weights)
    box = bounding.lower, bounding.upper
    of_case = slice(*bounding.target.first[case : case + 2])
    rows = made.rows(bounding.target.layer)[of_case], weights[of_case]
    ranges = all_ranges(search.original.network, box, node, names)
    splits = tuple((k, int(names[k][i]), sign) for k, i, sign in node.splits)
    stands = made.bound <= 0
    content = content_of(search.original.network, made.action, (ranges, box), names, made.below)
    return RelaxedAttack(
        group.cases[case],
        made.action.x.tolist(),
        made.bound if stands else node.bound,
        search.values(made.action.x[None], [case])[0],
        _exploits(made, made.costs(bounding.exact), names),
        _action("alpha-crown", content, box, rows, splits) if stands else None,
    )


def bounds_of(case: CaseSearch, place: Place) -> BoxBounds:
    bounder = BoxBounder(case.explorer.network, case.explorer.rows, case.explorer.refine, case.explorer.ball)
    return bounder.bounds(place.lower[None], place.upper[None])


def _of_node(bounding: Bounding, node: Node, case: int, weights: np.ndarray) -> Greedy:
    """The action by the slopes that the node keeps for a case, in float64."""
    at = int(np.flatnonzero(node.pending == case)[0])
    ranges = [(l.astype(float), u.astype(float)) for l, u in zip(node.lower, node.upper)]
    below = [s[at] / FINE for s in node.final.slopes] or None
    box = bounding.lower, bounding.upper
    return greedy(bounding.exact, bounding.target.layer, weights, box, ranges, below, bounding.ball)


def all_ranges(
    network: ReluNetwork, box: Box, node: Node, names: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The node's ranges of every neuron of the network: of those left out as idle, what intervals make of the rest."""
    ranges, values = [], [box]
    for k, layer in enumerate(network.layers):
        if len(names[k]) == len(layer.bias):
            l, u = node.lower[k].astype(float), node.upper[k].astype(float)
        else:
            l, u = through_layer(layer, values)
            l, u = np.minimum(l, 0), np.zeros_like(u)  # idle
            l[names[k]], u[names[k]] = node.lower[k], node.upper[k]
        ranges.append((l, u))
        values.append((layer.output(l), layer.output(u)))
    return ranges


def _action(
    relaxation: str,
    content: tuple[PointAction | Outputs, str],
    box: Box,
    rows: tuple[np.ndarray, np.ndarray],
    splits: tuple[tuple[int, int, int], ...] = (),
) -> RelaxedAction | None:
    """What goes into a file; ``content`` is from ``content_of``, ``rows`` are their values and weights.

    None where it stands in no proof's way but the search's own margin, and where float64 has overflowed.
    """
    values, weights = rows
    score, told = -float(weights @ values), content[0]
    if not 0 <= score < np.inf or (isinstance(told, Outputs) and not np.isfinite(told.y).all()):
        return None
    return RelaxedAction(relaxation, *content, *box, values, weights, score, splits)


def content_of(
    network: ReluNetwork,
    action: Point,
    region: tuple[Ranges, Box],
    names: Sequence[np.ndarray],
    below: Sequence[np.ndarray] | None = None,
) -> tuple[PointAction | Outputs, str]:
    """An action on the whole network, ``action`` being among the neurons ``names``; and what is missing, in words.

    ``region`` are its neurons' ranges and its box. ``below`` are the slopes of the neurons' lower lines, None where
    outputs are in triangles. Where not all units can be stored, outputs are.
    """
    x, (ranges, box) = action.x, region
    values, zs, outputs, slopes = [x[None]], [], [], []
    for k, layer in enumerate(network.layers):
        a, slope = np.zeros(len(layer.bias)), np.zeros(len(layer.bias))
        a[names[k]] = action.a[k]
        if below is not None:
            slope[names[k]] = below[k]
        zs.append(layer.apply(values)[0]), outputs.append(a), slopes.append(slope)
        values.append(a[None])
    lower, upper = (tuple(side) for side in zip(*ranges)) if ranges else ((), ())
    parts = tuple(zs), tuple(outputs), lower, upper, tuple(slopes)
    finite = all(np.isfinite(layer).all() for part in parts for layer in part)
    if network.signs or sum(network.widths[1:]) > MOST_NEURONS or not finite:
        y = network.output.apply(values)[0]
        return outputs_around(network, x, y, box), SIGNS if network.signs else TOO_MANY if finite else OVERFLOW
    return PointAction(x, Units(*parts[:4], None if below is None else parts[4])), ""


def outputs_around(network: ReluNetwork | Unlowered, x: np.ndarray, y: np.ndarray, box: Box) -> Outputs:
    """An input and outputs, in ranges that hold at some inputs of the box, whatever they are elsewhere."""
    with np.errstate(all="ignore"):
        seen = network.evaluate(inputs_to_try(x, *box, network))
    seen = np.vstack([seen[np.isfinite(seen).all(axis=1)], y])
    return Outputs(x, y, seen.min(axis=0), seen.max(axis=0))


def _exploits(made: Greedy, costs: list[np.ndarray], names: Sequence[np.ndarray]) -> list[Exploit]:
    """The neurons that cost the row most: together, what it is worth in the network less what the bound says."""
    found = [
        Exploit(k, int(names[k][i]), float(made.action.a[k][i] - max(made.action.z[k][i], 0.0)), float(cost[i]))
        for k, cost in enumerate(costs)
        for i in np.argsort(-cost, kind="stable")[:LISTED]
        if cost[i] > 0
    ]
    return sorted(found, key=lambda exploit: -exploit.cost)[:LISTED]
