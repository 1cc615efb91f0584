"""Shor's relaxation by first-order steps on its dual, for matrices too large for an interior point.

With the linear multipliers replaced (``linear_start``), what is maximised over weights of the rows, ``product``,
``back >= 0`` and squares kappa is the exact penalty function

    -sum(kappa) + sum(d) min(0, lambda_min(D^-1/2 (M + diag(kappa)) D^-1/2)),         D = diag(d), d > 0,

a bound of the margin whatever they are, as moments have ``X_jj <= 1``. Where a ball limits the inputs they are told by
their places t in it, ``E[|t|^2] <= 1``, and all of them together count as one symbol in the sums. With d = 1 it is that
of SDP-FO (Dathathri et al. 2020, arXiv:2010.11645). Here d are the squares of a linear dual, and no less than their
mean; steps are in units of it. Products with the matrix go through the network's layers, in float32 (``products``,
``block_steps``).

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
from relaxations.sdp.products import in_ball, maps_of, neurons, places

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
    dual, scales = start.dual, Scales(start.diagonal, start.ball)
    steps = steps or int(np.clip(lifting.size, STEPS, MORE_STEPS))
    slower = _slower(lifting)
    rates = RATES if lifting.size <= ONE_ROUND else RATES[:1]
    for number, rate in enumerate(rates):
        ascent = _Ascent.of(lifting, dual, scales)
        if ascent is None:
            return best
        now = time.monotonic()
        best = ascent.run(best, Plan(steps, rate * slower, now + (until - now) / (len(rates) - number)), enough, least)
        if best.proved > enough or time.monotonic() > until:
            return best
        dual = ascent.dual()
        scales = Scales.of(lifting, dual)
    return best


class Scales(NamedTuple):
    """How large squares (1 + N,) and the lifted ball's multiplier tend to be; the constant's is all others' sum."""

    squares: np.ndarray
    ball: float

    @staticmethod
    def of(lifting: Lifting, dual: Multipliers) -> Scales:
        """Those that a dual has."""
        squares = np.abs(lifting.of_symbols(np.asarray(dual.squares)))
        ball = 0.0 if lifting.ball is None else dual.ball * lifting.ball.share
        squares[0] = squares[1:].sum() + ball
        return Scales(squares, ball)


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
    unit: Scales  # of all multipliers; the constant's square is what it is beside the ball's
    total: float  # what margins are divided by
    problem: Any
    state: Any
    done: int = 0
    estimate: float = -np.inf

    @staticmethod
    def of(lifting: Lifting, dual: Multipliers, scales: Scales) -> _Ascent | None:
        """From a dual without linear multipliers, the units in proportion to its scales or to their mean.

        None where a weight is too large for the products.
        """
        import jax.numpy as xp

        from relaxations.sdp.block_steps import Problem, Variables, begin

        maps = maps_of(lifting)
        if maps is None:
            return None
        total, least, inputs = float(scales.squares.sum() + scales.ball), FLOOR / lifting.size, in_ball(lifting)
        d, of_ball = np.maximum(scales.squares / total, least), max(scales.ball / total, least)
        raised = np.ones(lifting.size)
        raised[1 : 1 + len(lifting.live)] = not inputs
        together = float(raised @ d) + inputs * of_ball
        d, of_ball = d / together, of_ball / together * (lifting.ball is not None)
        at, own = places(lifting), neurons(lifting)

        def everywhere(values: np.ndarray) -> np.ndarray:
            out = np.zeros(len(maps.symbols))
            out[at] = values
            return out

        scale = np.zeros(len(maps.half))
        scale[own] = UNIT * _slower(lifting) * d[lifting.symbols]
        product, back = np.zeros(len(scale)), np.zeros(len(scale))
        product[own] = _joined(dual.product) * lifting.up * lifting.low / (total * scale[own])
        back[own] = _joined(dual.back) * lifting.low**2 / (total * scale[own])
        squares, ball = lifting.of_symbols(np.asarray(dual.squares)), 0.0
        if lifting.ball is not None:
            ball = dual.ball * lifting.ball.share
            squares[0] -= ball
        weights = (1 - UNSEEN) * dual.weights + UNSEEN / len(dual.weights)
        share = ball / (total * of_ball) if of_ball else 0.0
        now = Variables(product, back, everywhere(squares / (total * d)), np.array(share), weights)
        maps = maps._replace(
            of_inputs=maps.of_inputs / total, of_outputs=maps.of_outputs / total, constant=maps.constant / total
        )
        diagonal = everywhere(np.where(raised, d, of_ball)) + (everywhere(np.ones(lifting.size)) == 0)
        sizes = diagonal, scale, everywhere(d), of_ball, everywhere(raised), float(inputs)
        problem = Problem(maps, *(xp.asarray(size, xp.float32) for size in sizes))
        state = begin(problem, now, max(1, min(BLOCK, lifting.size // 3)))
        return _Ascent(lifting, dual, Scales(d, of_ball), total, problem, state)

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
        growing, ball = self.unit.squares * self.total, 0.0
        if in_ball(self.lifting):
            ball = self.unit.ball * self.total
            growing[1 : 1 + len(self.lifting.live)] = 0
            growing[0] += ball
        found = proved(self.lifting, self.dual(), Scales(growing, ball), best.proved)
        return best if found is None else replace(best, dual=found[0], proved=found[1], estimate=self.estimate)

    def dual(self) -> Multipliers:
        """The present variables."""
        lifting, now = self.lifting, [np.asarray(part, dtype=float) for part in self.state.now]
        at, own = places(lifting), neurons(lifting)
        unit = UNIT * _slower(lifting) * self.unit.squares[lifting.symbols] * self.total
        squares, ball = now[2][at] * self.unit.squares * self.total, float(now[3]) * self.unit.ball * self.total
        squares[0] += ball
        return replace(
            self.like,
            weights=now[4] / now[4].sum(),
            product=lifting.split(now[0][own] * unit / (lifting.up * lifting.low)),
            back=lifting.split(now[1][own] * unit / lifting.low**2),
            squares=lifting.of_inputs(squares),
            ball=0.0 if lifting.ball is None else ball / lifting.ball.share,
        )


def proved(
    lifting: Lifting, dual: Multipliers, growing: Scales, least: float = -np.inf
) -> tuple[Multipliers, float] | None:
    """The dual with squares large enough for a Cholesky factor, and its margin; None if that is not above ``least``.

    Squares and the ball's multiplier grow by multiples of ``growing``, which makes the matrix grow by a positive
    definite one. That floating point finds a factor of
    ``S - c I`` shows that S is positive semidefinite for c = 4 gamma_(n + 2) tr(S) (Rump 2006,
    doi:10.1007/s10543-006-0056-1). Only the rounding in S itself is left for the checker to account for.
    """
    assert dual.squares is not None
    squares, matrix = lifting.of_symbols(dual.squares), lifting.quadratic_form(dual)
    direction = np.diag(growing.squares)
    if lifting.ball is not None:
        lifting.ball.add_to(direction, growing.ball)
    shift, size = LEAST_SHIFT, len(matrix) + 2
    if not np.isfinite(matrix).all():
        return None
    while True:
        more = shift * growing.squares
        margin = -float((squares + more).sum())
        if not margin > least:
            return None
        grown = matrix + shift * direction
        spent = 4 * size * ROUNDING / (1 - size * ROUNDING) * float(np.abs(np.diag(grown)).sum())
        try:
            np.linalg.cholesky(grown - spent * np.eye(len(grown)))
        except np.linalg.LinAlgError:
            shift *= LARGER
            continue
        ball = 0.0 if lifting.ball is None else dual.ball + shift * growing.ball / lifting.ball.share
        return replace(dual, squares=lifting.of_inputs(squares + more), ball=ball), margin


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
