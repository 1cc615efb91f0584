"""Shor's relaxation by first-order steps on its dual, for matrices too large for an interior point.

With the linear multipliers replaced (``linear_start``), what is maximised over weights of the rows, ``product``,
``back >= 0`` and squares kappa is the exact penalty function

    -sum(kappa) + sum(d) min(0, lambda_min(D^-1/2 (M + diag(kappa)) D^-1/2)),         D = diag(d), d > 0,

a bound of the margin whatever they are, as moments have ``X_jj <= 1``. With d = 1 it is that of SDP-FO (Dathathri et
al. 2020, arXiv:2010.11645). Here d are the squares of a linear dual, and no less than their mean; steps are in units of
it. Products with the matrix go through the network's layers, in float32 (``products``, ``block_steps``).

None of that is believed: Ritz values are never less than the least eigenvalue, so that what they promise may be wrong.
What is returned is proved by a Cholesky factor of the dense matrix in float64 once the steps are over.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from relaxations.lifting import Lifting
from relaxations.multipliers import Multipliers
from relaxations.sdp.linear_start import begin_linear
from relaxations.sdp.products import maps_of, neurons, places

STEPS, MORE_STEPS = 1000, 3000  # of a round: as many as the matrix has rows, within these
BETWEEN, REFINING = 25, 300  # steps between two looks at the clock, and of the block alone at the end
BLOCK = 12  # vectors; the space they are refined in is three times as large
RATES, FALLS = (0.1, 0.05), 0.005  # of the first step of each round, and by what it falls to the last
ONE_ROUND = 1600  # rows from which on one round takes all the time
LARGE, POWER = 650, 1.3  # rows from which on rates and units fall with the size, or eigenvalues are lost sight of
SMOOTH, LAST_SMOOTH = 0.02, 0.0001  # mu
FLOOR = 1.0  # of the mean: the least d
UNIT = 4.0  # times its symbol's d: the unit of a neuron's multipliers
UNSEEN = 0.02  # of the rows' weights, so that none begins at 0
LEAST_SHIFT, LARGER = 3e-6, 1.5  # of the diagonal, and by what it grows until there is a Cholesky factor
LARGEST = 4000  # rows of a matrix that is factored
COMPILING = 3.0  # seconds that are not worth beginning with less
LINEAR_SHARE = 0.2  # of the time, at most, for the linear dual
ROUNDING = 2.0**-53
FACTORS = 12  # of Cholesky, about, until one is found


@dataclass(frozen=True)
class Outcome:
    """``dual`` proves the margin ``proved``, which is not less than ``began``, the linear dual's.

    ``estimate`` is what Ritz values promised at the end: no bound. ``steps`` were made. ``finished`` tells that they
    were all that were planned, or enough.
    """

    dual: Multipliers
    proved: float
    began: float
    estimate: float
    steps: int
    finished: bool


def solve(
    lifting: Lifting, seconds: float = np.inf, enough: float = np.inf, least: float = -np.inf, steps: int = 0
) -> Outcome:
    """The best dual found in the time, or in so many ``steps`` of each round (0: as many
    as are worth while); ends early once more than ``enough`` is proved.

    No proof is tried of ``least`` or less: what Ritz values do not promise does not hold either. Where there is next
    to no time, or a matrix is too large, it is the linear dual.
    """
    until = time.monotonic() + seconds
    start = begin_linear(lifting, seconds * LINEAR_SHARE)
    best = Outcome(start.dual, start.proved, start.proved, start.proved, 0, finished=False)
    if start.proved > enough:
        return replace(best, finished=True)
    until -= _proving_seconds(lifting)
    possible = 3 <= lifting.size <= LARGEST and start.diagonal.any()
    if not possible or until - time.monotonic() < COMPILING:
        return best
    dual, diagonal = start.dual, start.diagonal
    steps = steps or int(np.clip(lifting.size, STEPS, MORE_STEPS))
    slower = _slower(lifting)
    rates = RATES if lifting.size <= ONE_ROUND else RATES[:1]
    for number, rate in enumerate(rates):
        ascent = _Ascent.of(lifting, dual, diagonal)
        if ascent is None:
            return best
        now = time.monotonic()
        best = ascent.run(best, Plan(steps, rate * slower, now + (until - now) / (len(rates) - number)), enough, least)
        if best.proved > enough or time.monotonic() > until:
            return best
        dual = ascent.dual()
        diagonal = np.abs(lifting.of_symbols(np.asarray(dual.squares)))
        diagonal[0] = diagonal[1:].sum()
    return best


class Plan(NamedTuple):
    """Of one round: at most so many steps, the rate of the first, and when the last has to be done."""

    steps: int
    rate: float
    until: float


@dataclass
class _Ascent:
    """The steps of one round, between JAX's arrays in scaled units and multipliers."""

    lifting: Lifting
    like: Multipliers
    diagonal: np.ndarray  # d (1 + N,), of sum 1
    total: float  # what margins are divided by
    problem: Any
    state: Any
    done: int = 0
    estimate: float = -np.inf

    @staticmethod
    def of(lifting: Lifting, dual: Multipliers, diagonal: np.ndarray) -> _Ascent | None:
        """From a dual without linear multipliers, the scales in proportion to a diagonal (1 + N,) or to its mean.

        None where a weight is too large for the products.
        """
        import jax.numpy as xp

        from relaxations.sdp.block_steps import Problem, Variables, begin

        maps = maps_of(lifting)
        if maps is None:
            return None
        total = float(diagonal.sum())
        d = np.maximum(diagonal / total, FLOOR / lifting.size)
        d /= d.sum()
        at, own = places(lifting), neurons(lifting)
        everywhere = np.ones(len(maps.symbols))
        everywhere[at] = d
        scale = np.zeros(len(maps.half))
        scale[own] = UNIT * _slower(lifting) * d[lifting.symbols]
        product, back, squares = np.zeros(len(scale)), np.zeros(len(scale)), np.zeros(len(everywhere))
        product[own] = _joined(dual.product) * lifting.up * lifting.low / (total * scale[own])
        back[own] = _joined(dual.back) * lifting.low**2 / (total * scale[own])
        squares[at] = lifting.of_symbols(np.asarray(dual.squares)) / (total * d)
        weights = (1 - UNSEEN) * dual.weights + UNSEEN / len(dual.weights)
        maps = maps._replace(
            of_inputs=maps.of_inputs / total, of_outputs=maps.of_outputs / total, constant=maps.constant / total
        )
        problem = Problem(maps, xp.asarray(everywhere, xp.float32), xp.asarray(scale, xp.float32))
        state = begin(problem, Variables(product, back, squares, weights), max(1, min(BLOCK, lifting.size // 3)))
        return _Ascent(lifting, dual, d, total, problem, state)

    def run(self, best: Outcome, plan: Plan, enough: float, least: float) -> Outcome:
        """Steps of falling rate, then the proof; ``best`` with the steps added where that proves no more."""
        before, began, wanted, way = best.steps, time.monotonic(), enough, 0.0
        while way < 1:
            self._steps(BETWEEN, plan.rate * (FALLS**way), SMOOTH * (LAST_SMOOTH / SMOOTH) ** way)
            if self.estimate > wanted:
                best = self._proved(best)
                if best.proved > enough:
                    return replace(best, steps=before + self.done, finished=True)
                wanted += 2 * (self.estimate - wanted)
            way = max(self.done / plan.steps, (time.monotonic() - began) / max(plan.until - began, 1e-9))
        finished = self.done >= plan.steps
        for _ in range(REFINING // BETWEEN):
            if time.monotonic() < plan.until or np.isinf(plan.until):
                self._steps(BETWEEN, 0.0, LAST_SMOOTH)
        if self.estimate > max(least, best.proved):
            best = self._proved(best)
        return replace(best, estimate=self.estimate, steps=before + self.done, finished=finished)

    def _steps(self, count: int, rate: float, mu: float) -> None:
        import jax

        from relaxations.sdp.block_steps import compiled

        with jax.default_matmul_precision("highest"):  # accelerators multiply float32 with fewer bits otherwise
            for _ in range(count):
                self.done += 1
                sizes = np.float32(rate), np.float32(mu), np.float32(self.done)
                self.state, value = compiled()(self.problem, self.state, *sizes)
        self.estimate = float(value) * self.total

    def _proved(self, best: Outcome) -> Outcome:
        """The present variables, proved, where that is better than ``best``."""
        found = proved(self.lifting, self.dual(), self.diagonal * self.total, best.proved)
        return best if found is None else replace(best, dual=found[0], proved=found[1], estimate=self.estimate)

    def dual(self) -> Multipliers:
        """The present variables."""
        lifting, now = self.lifting, [np.asarray(part, dtype=float) for part in self.state.now]
        at, own = places(lifting), neurons(lifting)
        unit = UNIT * _slower(lifting) * self.diagonal[lifting.symbols] * self.total
        return replace(
            self.like,
            weights=now[3] / now[3].sum(),
            product=lifting.split(now[0][own] * unit / (lifting.up * lifting.low)),
            back=lifting.split(now[1][own] * unit / lifting.low**2),
            squares=lifting.of_inputs(now[2][at] * self.diagonal * self.total),
        )


def proved(
    lifting: Lifting, dual: Multipliers, diagonal: np.ndarray, least: float = -np.inf
) -> tuple[Multipliers, float] | None:
    """The dual with squares large enough for a Cholesky factor, and its margin; None if that is not above ``least``.

    Squares grow in the direction of ``diagonal`` (1 + N,), which is positive. That floating point finds a factor of
    ``S - c I`` shows that S is positive semidefinite for c = 4 gamma_(n + 2) tr(S) (Rump 2006,
    doi:10.1007/s10543-006-0056-1). Only the rounding in S itself is left for the checker to account for.
    """
    assert dual.squares is not None
    squares, matrix = lifting.of_symbols(dual.squares), lifting.quadratic_form(dual)
    on = np.diag_indices(len(matrix))
    before, shift, size = matrix[on].copy(), LEAST_SHIFT, len(matrix) + 2
    if not np.isfinite(matrix).all():
        return None
    while True:
        more = shift * diagonal
        margin = -float((squares + more).sum())
        if not margin > least:
            return None
        spent = 4 * size * ROUNDING / (1 - size * ROUNDING) * float(np.abs(before + more).sum())
        matrix[on] = before + more - spent
        try:
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            shift *= LARGER
            continue
        return replace(dual, squares=lifting.of_inputs(squares + more)), margin


def _slower(lifting: Lifting) -> float:
    """What rates and units are multiplied by."""
    return min(1.0, LARGE / lifting.size) ** POWER


def _proving_seconds(lifting: Lifting) -> float:
    """About what the proof will take, by the speed of one small product."""
    small = np.ones((400, 400))
    small @ small
    began = time.perf_counter()
    small @ small
    speed = 2 * 400**3 / max(time.perf_counter() - began, 1e-6)
    return (4 * len(lifting.up) + FACTORS * lifting.size / 3) * lifting.size**2 / speed


def _joined(parts: tuple[np.ndarray, ...] | None) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(parts or ())])
