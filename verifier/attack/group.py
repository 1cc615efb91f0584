"""An attack on many cases at once: every network pass serves all of them, and the nearest to failing gets the most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from relaxations.network import ReluNetwork
from verifier.attack.best import Best
from verifier.attack.pgd import FIRST_STEP, Attempt, Descents, descend
from verifier.attack.targets import Targets
from verifier.engine.deadline import Deadline

FIRST_POINTS, FIRST_STEPS = 16, 12
STEPS = 30
NEAR = 0.1  # of the box width, the first step from a point that is known to be good
VALUES_AT_ONCE = 1 << 20  # of one batch
MOST_AT_ONCE = 64  # points
TEMPERATURES = (0.0, 0.3, 0.0, 0.1)  # of descents, in turn
SCALED = 2  # which of them follows the scaled gradient instead of its sign
FLOAT32_UP_TO = 1e12  # coefficients; what has larger ones is searched and attacked in float64
FLOAT32_STEPS = 1000.0  # float32 numbers that have to fit into the width of an input that varies
DEPTH = 1e-4  # below zero, of the values in the middle: rounding in another runtime then changes nothing


@dataclass(frozen=True, eq=False)
class GroupAttack:
    """Descent from about ``count`` points in all; ``seed`` chooses the random ones.

    Case k is worth reporting from ``stop_at[k]`` down, and the attack ends soon after one is. Without ``attained``
    (C,), the least values known of the cases, the attack is a first one: it begins in the middle of the boxes, with few
    steps on the cases nearest to failing there. ``begin`` lists cases with points that are descended from first.
    Self-contained, so that any process can run it.
    """

    network: ReluNetwork
    targets: Targets
    count: int
    seed: int
    stop_at: np.ndarray
    deadline: Deadline
    attained: np.ndarray | None = None
    begin: Sequence[tuple[int, np.ndarray]] = ()

    def run(self) -> list[tuple[int, Attempt]]:
        """The best point of every case that was seen, in its box, its value in float64; nearest to failing first."""
        dtype = self._dtype()
        network, targets = self.network.astype(dtype), self.targets.astype(dtype)
        best = Best(targets, self.stop_at, self._exact, self.deadline)
        with np.errstate(all="ignore"):  # what overflows is no number, and no candidate
            self._search(network, targets, best)
            attempts = [(k, self._attempt(k, point)) for k, point in best.points.items()]
        return sorted(attempts, key=lambda found: found[1].value - self.stop_at[found[0]])

    def _search(self, network: ReluNetwork, targets: Targets, best: Best) -> None:
        random = np.random.default_rng(self.seed)
        at_once = int(np.clip(VALUES_AT_ONCE // sum(network.widths), 8, MOST_AT_ONCE))
        if self._middle(network, targets, best, at_once):
            return
        for starts, steps in self._waves(targets, best, at_once, random):
            descend(network, targets, starts, steps, best.see)
            if best.enough:
                return

    def _middle(self, network: ReluNetwork, targets: Targets, best: Best, at_once: int) -> bool:
        """See the middle of every box; whether that is enough."""
        cases = np.unique(targets.box, return_index=True)[1]
        middle = targets.middle
        for at in range(0, len(middle), at_once):
            points = middle[at : at + at_once]
            rows = targets.rows(points, network.evaluate(points))
            numbers = np.abs(rows[np.isfinite(rows)])
            best.depth = DEPTH * float(np.median(numbers)) if numbers.size else 0.0
            if best.see(points, cases[at : at + at_once], targets.values(rows)):
                return True
        return False

    def _waves(
        self, targets: Targets, best: Best, at_once: int, random: np.random.Generator
    ) -> Iterator[tuple[Descents, int]]:
        """Batches of descents, chosen by what has been seen by then, and the number of their steps."""
        for at in range(0, len(self.begin), at_once):
            cases, points = zip(*self.begin[at : at + at_once], strict=True)
            yield _descents(np.stack(points).astype(targets.y.dtype), np.array(cases), NEAR), STEPS
        left = self.count - len(self.begin)
        if self.attained is None:
            order = np.argsort(best.values - self.stop_at)
            cases = order[np.arange(min(FIRST_POINTS, at_once, left)) % len(order)]
            points = _random_points(targets, cases, random)
            middle = targets.middle[targets.box[cases]]
            points[: len(order)] = middle[: len(order)]
            yield _descents(points, cases, FIRST_STEP), FIRST_STEPS
            left -= len(cases)
        while left > 0:
            known = best.values if self.attained is None else np.minimum(best.values, self.attained)
            share = 1 / np.arange(1, len(known) + 1)
            rank = random.choice(len(known), size=min(at_once, left), p=share / share.sum())
            cases = np.argsort(known - self.stop_at)[rank]
            yield _descents(_random_points(targets, cases, random), cases, FIRST_STEP), STEPS
            left -= len(cases)

    def _exact(self, case: int, point: np.ndarray) -> float:
        return self._attempt(case, point).value

    def _attempt(self, case: int, point: np.ndarray) -> Attempt:
        """The point moved into box and ball, and its value in float64."""
        moved = self.targets.moved_inside(point.astype(np.float64)[None], self.targets.box[[case]])
        rows = self.targets.rows(moved, self.network.evaluate(moved))
        return Attempt(moved[0], float(self.targets.values(rows)[0, case]))

    def _dtype(self) -> type[np.floating]:
        """Half the precision is half the time; not where numbers or widths of inputs are beyond it."""
        targets = self.targets
        width = targets.upper - targets.lower
        magnitude = np.maximum(np.abs(targets.lower), np.abs(targets.upper))
        fine = (width > 0) & (width < FLOAT32_STEPS * np.finfo(np.float32).eps * magnitude)
        numbers = (targets.x, targets.y, targets.constant, magnitude)
        largest = max(float(np.abs(a).max(initial=0.0)) for a in numbers if a is not None)
        beyond = max(self.network.largest, largest) > FLOAT32_UP_TO
        return np.float64 if fine.any() or beyond else np.float32


def _descents(points: np.ndarray, cases: np.ndarray, first_step: float) -> Descents:
    kind = np.arange(len(points)) % len(TEMPERATURES)
    return Descents(points, cases, np.take(TEMPERATURES, kind), kind != SCALED, first_step)


def _random_points(targets: Targets, cases: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Corners and points inside the cases' boxes, in turn; of balls points of the surface and points inside."""
    share = random.random((len(cases), targets.lower.shape[1])).astype(targets.lower.dtype)
    share[::2] = share[::2].round()
    box = targets.box[cases]
    inside: np.ndarray = targets.lower[box] + share * (targets.upper - targets.lower)[box]
    for ball in targets.balls:
        center, radii = ball.center[box], ball.radii[box]
        way = random.normal(size=inside.shape).astype(inside.dtype)
        way *= np.where(np.arange(len(way)) % 2, random.random(len(way)), 1)[:, None]
        way /= np.linalg.norm(way, ord=ball.norm, axis=1)[:, None]
        limited = np.isfinite(radii)
        inside = np.where(limited, center + np.where(limited, radii, 0) * way, inside)
    return targets.moved_inside(inside, box) if targets.balls else inside
