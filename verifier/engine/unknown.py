"""What an unknown verdict hands over: the relaxed attack of the strongest relaxation there was time for, always one.

In this order: the optimum of a linear program or the moments of a semidefinite one, whichever is nearer to a proof; the
minimiser of bounds by lines; that of lines over intervals; and moved outputs, which every model has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from relaxations.bounds.balls import Ball
from relaxations.network import ReluNetwork
from specs.problem import Problem
from verifier.engine.deadline import Deadline
from verifier.engine.floats import float_rows
from verifier.engine.linear import LEAST_SECONDS, Region, linear_attack, open_boxes, open_nodes
from verifier.engine.outcome import RelaxedAttack
from verifier.engine.outputs import relaxed_attack_on_outputs
from verifier.engine.phases.group import Group
from verifier.engine.relaxed import (
    best_of_rows,
    relaxed_attack,
    relaxed_attack_by_beginnings,
    relaxed_attack_by_intervals,
    relaxed_attack_by_phases,
)
from verifier.engine.scheduler import CaseSearch
from verifier.relaxed.validate import Unlowered

if TYPE_CHECKING:
    from verifier.engine.rooted import Rooted

LOOKED_AT = 16  # cases
silently = np.errstate(all="ignore")  # numbers that are not finite are seen in what comes of them


@dataclass
class Left:
    """What a decision has found by its end. ``network`` is None where the model has no form that is searched.

    ``programs``: whether linear programs about it are possible.
    """

    problem: Problem
    network: ReluNetwork | None = None
    cases: list[CaseSearch] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    rooted: Rooted | None = None
    by_phases: bool = False
    programs: bool = False

    @silently
    def best(
        self, until: Deadline, candidate: Callable[[int, np.ndarray], bool] = lambda case, x: False
    ) -> RelaxedAttack | None:
        """The relaxed attack of what is open; ``until`` is when a linear program has to be solved.

        ``candidate(case, x)`` is told of inputs that may be real attacks.
        """
        found = self._best(until, candidate)
        if found is not None:
            candidate(found.case, np.array(found.point))
        return found

    def _best(self, until: Deadline, candidate: Callable[[int, np.ndarray], bool]) -> RelaxedAttack | None:
        candidates = self._by_moments()
        if self.programs and until.remaining >= LEAST_SECONDS:
            candidates.append(linear_attack(self._regions(), until, candidate))
        found = _nearest(candidates)
        if found is None and (self.groups or not self.by_phases):
            found = _nearest([relaxed_attack_by_phases(self.groups) if self.groups else relaxed_attack(self.cases)])
        return found or self._by_roots() or self.quick()

    @silently
    def quick(self) -> RelaxedAttack | None:
        """One that takes no time, and that there is where nothing is open, too."""
        begun = relaxed_attack_by_beginnings(self.cases, self.groups)
        return begun or _nearest([relaxed_attack_by_intervals(self.cases)]) or self.by_outputs()

    @silently
    def by_outputs(self) -> RelaxedAttack | None:
        """Of the first cases in which outputs can be moved so that it fails, the one at whose point least is needed."""
        network = self.network or Unlowered(self.problem.graph)
        found = []
        open_first = sorted(range(len(self.problem.cases)), key=lambda k: bool(self.cases) and self.cases[k].closed)
        for k in open_first[:LOOKED_AT]:
            case = self.problem.cases[k]
            rows = float_rows(case, self.problem.graph.input_size, self.problem.graph.output_size)
            box = (np.array([float(v) for v in case.box.lower]), np.array([float(v) for v in case.box.upper]))
            seen = [self.cases[k].point] if self.cases else []
            points = [point for point in seen if point is not None]
            found.append(relaxed_attack_on_outputs(network, rows, box, Ball.of(case), k, points))
        stands = [one for one in found if one is not None]
        return min(stands, key=lambda one: one.value, default=None)

    def _regions(self) -> Iterator[Region]:
        if self.groups:
            return open_nodes(self.groups)
        if self.by_phases:
            return self.rooted.regions() if self.rooted is not None else iter(())
        return open_boxes(self.cases)

    def _by_roots(self) -> RelaxedAttack | None:
        """By the ranges of whole boxes that methods have bounded."""
        regions = self.rooted.regions() if self.rooted is not None else ()
        return next(filter(None, (best_of_rows(self.cases[r.case], r.case, r.ranges) for r in regions)), None)

    def _by_moments(self) -> list[RelaxedAttack | None]:
        of_roots = self.rooted.moments if self.rooted is not None else []
        return [attack for group in self.groups for attack in group.moment_attacks] + [
            attack for attack in of_roots if not self.cases[attack.case].closed
        ]


def _nearest(candidates: list[RelaxedAttack | None]) -> RelaxedAttack | None:
    """The one with the largest bound that has an action."""
    stands = [found for found in candidates if found is not None and found.action is not None]
    return max(stands, key=lambda found: found.bound, default=None)
