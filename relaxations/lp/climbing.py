"""From an input to better ones by linear programming: in a region where all phases are fixed, the score is concave.

Where every unstable neuron keeps the phase that it has at x, the network is affine, and the input of the region that
scores most is the optimum of a linear program, whatever the number of rows that have to fail together. From there the
climb goes on into neighbouring regions: those on the other side of one neuron that the optimum makes 0. Source: Croce
and Hein, *A randomized gradient-free attack on ReLU networks*, GCPR 2018.
"""

from __future__ import annotations

import time

import numpy as np

from relaxations.lp.phase_program import PhaseProgram
from relaxations.lp.safe_dual import phases_of

Splits = tuple[tuple[int, int, int], ...]

NEIGHBOURS = 8  # regions looked at before one is chosen
BORDER = 1e-7  # of its range: how far from 0 a neuron may be for its other phase to be a neighbour's
WORTH = 1e-9  # of the score: what a step has to gain


def climb(program: PhaseProgram, x: np.ndarray, seconds: float) -> np.ndarray:
    """An input (n,) of the query that scores at least what ``x`` does, in the network itself.

    Nothing is promised but that: where the time is over or a program fails, what has been reached is returned.
    """
    until = time.monotonic() + seconds
    climbing = _Climb(program, x)
    region = climbing.region_of(x)
    while region is not None and time.monotonic() < until:
        region = climbing.step(region, until)
    return climbing.best


class _Climb:
    def __init__(self, program: PhaseProgram, x: np.ndarray) -> None:
        self.program, self.query = program, program.query
        self.best, self.value = x, float(self.query.score(x[None])[0])
        self.seen: set[Splits] = set()

    def region_of(self, x: np.ndarray) -> Splits:
        """The phases of all unstable neurons at x."""
        z = self._preactivations(x)
        return tuple((k, int(i), 1 if z[k][i] > 0 else -1) for k in range(len(z)) for i in self.query.unstable(k))

    def step(self, region: Splits, until: float) -> Splits | None:
        """Look at a region and at its neighbours; the one of these that improves on it most, None if none does."""
        optimum = self._look(region, until)
        if optimum is None:
            return None
        reached, best = self.value, None
        for neighbour in self._neighbours(region, optimum):
            if time.monotonic() >= until:
                break
            self._look(neighbour, until)
            if self.value > reached + WORTH * (1 + abs(reached)):
                reached, best = self.value, neighbour
        return best

    def _look(self, region: Splits, until: float) -> np.ndarray | None:
        """The optimum of a region, remembered if it is the best so far."""
        self.seen.add(region)
        solved = self.program.solve(phases_of(self.query, region), until - time.monotonic())
        if solved.action is None:
            return None
        x = np.clip(solved.action.x, self.query.lower, self.query.upper)
        value = float(self.query.score(x[None])[0])
        if value > self.value:
            self.best, self.value = x, value
        return x

    def _neighbours(self, region: Splits, x: np.ndarray) -> list[Splits]:
        z = self._preactivations(x)
        found: list[Splits] = []
        for at, (k, i, sign) in enumerate(region):
            l, u = (bound[i] for bound in self.query.ranges[k])
            if abs(z[k][i]) <= BORDER * (u - l):
                other = (*region[:at], (k, i, -sign), *region[at + 1 :])
                if other not in self.seen:
                    found.append(other)
        return found[:NEIGHBOURS]

    def _preactivations(self, x: np.ndarray) -> list[np.ndarray]:
        return [z[0] for z in self.query.network.preactivations(x[None])[0]]
