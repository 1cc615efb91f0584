"""The relaxed attack of an open region by linear programming: the best action that its triangle relaxation has.

From the input of that action real attacks are looked for, region by region (``relaxations.lp.climbing``).

Not where the inputs are in a Euclidean ball, which is no linear condition: the optimum may lie outside of it.

CROWN's minimiser attains the bound of two lines for each neuron and need not be in any triangle. The optimum of the
linear program is: nothing scores more in the triangle relaxation (Ehlers 2017, arXiv:1705.01320), so that it tells
what any proof by that relaxation is missing there, and it can be executed (``verifier.relaxed.extrapolation``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.executions import invented
from relaxations.maps.linear import nonzeros
from relaxations.network import ReluNetwork
from verifier.engine.deadline import Deadline
from verifier.engine.outcome import Exploit, RelaxedAction, RelaxedAttack
from verifier.engine.phases.group import Group
from verifier.engine.phases.leaves import with_splits
from verifier.engine.phases.moments import query_of
from verifier.engine.relaxed import LISTED, Ranges, all_ranges, bounds_of, content_of
from verifier.engine.scheduler import CaseSearch

if TYPE_CHECKING:
    from relaxations.lp.phase_program import PhaseProgram

SHARE = 0.1  # of the time is kept for the program
MOST_SECONDS = 3.0  # that are kept, and may be used
LEAST_SECONDS = 0.5  # below which it is not begun: so long takes loading the solver
MOST_COEFFICIENTS = 2_000_000  # of the network: making the program of so many takes a second
MOST_REGIONS = 16
OUTSIDE = 1e-7  # of its magnitude: what a neuron's value may miss its range by


@dataclass(frozen=True)
class Region:
    """One case on an open box or node, in float64.

    ``query`` is about the neurons ``names``; its ``splits`` are left to phases. ``ranges`` are those of all neurons of
    ``network``, split ones on their side.
    """

    case: int
    query: Query
    splits: tuple[tuple[int, int, int], ...]
    network: ReluNetwork
    names: Sequence[np.ndarray]
    ranges: Ranges


def possible(network: ReluNetwork) -> bool:
    """Whether there are programs about a network: it is not too large, and the solver is installed."""
    layers = (*network.layers, network.output)
    small = sum(nonzeros(weight) for layer in layers for _, weight in layer.terms) <= MOST_COEFFICIENTS
    return small and not network.signs and find_spec("highspy") is not None and find_spec("scipy") is not None


def seconds_kept(seconds: float) -> float:
    """What of a time limit is kept for a program; 0 where it would not even begin in that."""
    kept = min(SHARE * seconds, MOST_SECONDS)
    return kept if kept >= LEAST_SECONDS else 0.0


def linear_attack(
    regions: Iterator[Region], until: Deadline, candidate: Callable[[int, np.ndarray], bool]
) -> RelaxedAttack | None:
    """The optimum of the first region that the triangle relaxation does not prove; None where none is found in time.

    Regions come worst first by a coarser bound, so that some of them may have a proof. What real inputs score near the
    optimum is tried in the time that is left, and passed on to ``candidate(case, x)``.
    """
    for region in islice(regions, MOST_REGIONS):
        if until.over:
            break
        found = _attack(region, until)
        if found is not None:
            relaxed, program = found
            candidate(region.case, _climbed(program, np.array(relaxed.point), until))
            return relaxed
    return None


def climb_from_optimum(
    regions: Iterator[Region], until: Deadline, candidate: Callable[[int, np.ndarray], bool]
) -> bool:
    """Real inputs near the optima of regions whose rows have to fail together; whether ``candidate`` confirms one.

    Gradients point away from one such row when they are those of another; a linear program looks at all rows at once.
    """
    from relaxations.lp.phase_program import PhaseProgram

    for region in islice((one for one in regions if len(one.query.rows.constant) > 1), MOST_REGIONS):
        if until.over:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            program = PhaseProgram(region.query)
            solved = program.solve(seconds=until.remaining)
        if solved.action is not None and candidate(region.case, _climbed(program, solved.action.x, until)):
            return True
    return False


def _climbed(program: PhaseProgram, x: np.ndarray, until: Deadline) -> np.ndarray:
    from relaxations.lp.climbing import climb

    with np.errstate(over="ignore", invalid="ignore"):
        return climb(program, np.clip(x, program.query.lower, program.query.upper), until.remaining)


def open_boxes(cases: Sequence[CaseSearch]) -> Iterator[Region]:
    """Those of a search over boxes, the worst first."""
    boxes = [(k, case) for k, case in enumerate(cases) if case.explorer.ball is None]
    candidates = [(place.bound, k, place) for k, case in boxes for place in case.open]
    for _, k, place in sorted(candidates, key=lambda entry: entry[0]):
        network, rows = cases[k].explorer.network, cases[k].explorer.rows
        bounds = bounds_of(cases[k], place)
        if bounds.lower[0].max() > 0:
            continue
        ranges = tuple((l[0], u[0]) for l, u in bounds.ranges)
        names = [np.arange(len(l)) for l, _ in ranges]
        yield Region(k, Query(network, rows, place.lower, place.upper, ranges), (), network, names, ranges)


def open_nodes(groups: Sequence[Group]) -> Iterator[Region]:
    """Those of searches over phases, the worst first."""
    unproved = [(group, search, node) for group in groups for search, node in group.unproved]
    candidates = [entry for entry in unproved if entry[1].bounding.ball is None]
    for group, search, node in sorted(candidates, key=lambda entry: entry[2].bound):
        case = node.worst if node.worst in node.pending else int(node.pending[0])
        names, network = search.tree.names, search.original.network
        query = with_splits(query_of(search.bounding, node, case), node)
        ranges = all_ranges(network, (query.lower, query.upper), node, names)
        yield Region(group.cases[case], query, node.splits, network, names, ranges)


def _attack(region: Region, until: Deadline) -> tuple[RelaxedAttack, PhaseProgram] | None:
    from relaxations.lp.phase_program import PhaseProgram
    from relaxations.lp.safe_dual import phases_of

    query = region.query
    with np.errstate(over="ignore", invalid="ignore"):
        program = PhaseProgram(query)
        solved = program.solve(phases_of(query, region.splits), until.remaining)
        if solved.action is None or not solved.finished:
            return None
        rows = solved.action.margins(query)
        bound = float(rows.max())
        content, note = content_of(region.network, solved.action, region.ranges, region.names)
    if not -np.inf < bound <= 0 or (content.units is not None and not _inside(content.point, region.ranges)):
        return None
    x = solved.action.x
    exploits = [
        Exploit(
            k,
            int(region.names[k][i]),
            float(solved.action.a[k][i] - max(solved.action.z[k][i], 0.0)),
            weight,
        )
        for k, i, weight in invented(solved.action, solved.safe.coefs)[:LISTED]
        if weight > 0
    ]
    splits = tuple((k, int(region.names[k][i]), sign) for k, i, sign in region.splits)
    action = RelaxedAction("lp", content, note, query.lower, query.upper, rows, None, -bound, splits)
    relaxed = RelaxedAttack(region.case, x.tolist(), bound, -float(query.score(x[None])[0]), exploits, action)
    return relaxed, program


def _inside(action: Point, ranges: Ranges) -> bool:
    """Whether every pre-activation is inside its range: of stable neurons the program does not say so."""
    return all(
        bool((np.maximum(l - z, z - u) <= OUTSIDE * (1 + np.maximum(np.abs(l), np.abs(u)))).all())
        for z, (l, u) in zip(action.z, ranges)
    )
