"""Shor's relaxation of a query solved by a primal-dual interior point method that knows the structure.

Over the moment matrices ``X`` of (1, e), positive semidefinite with ``X_00 = 1``, the adversary has

    minimise tau   subject to   <row_r, X> <= tau,     X_jj <= 1,     E[a b] = 0,     E[b (L - b)] >= 0

for all unstable ReLUs, with a and b the parts of ``z = a - b``, and ``E[|t|^2] <= 1`` where there is a ball. All linear
constraints of the triangle follow from these: E[a/u]^2 + ... <= E[a/u + b/L] gives the chord, and E[b^2] <= L E[b]
gives E[b] >= 0 (see docs/relaxations/sdp).

Every constraint but the ball's is ``<(p q' + q p')/2, X>`` for two vectors p and q. The matrix of the HKM direction
(Helmberg, Rendl, Vanderbei and Wolkowicz 1996; Kojima, Shindoh and Hara 1997; Monteiro 1997), tr(T_c X T_d S^-1), is
therefore made of products of entries of ``V X V'`` and ``V S^-1 V'`` where V stacks these vectors: an iteration costs a
few products of matrices of the order of the lifting and one Cholesky factorisation in the number of multipliers, where
a general solver treats (1 + N)^2 / 2 unknowns. The row of the ball's T is ``<T_c, X T S^-1>``, one product more. Steps
follow Mehrotra's predictor and corrector (1992).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from relaxations.lifting import Lifting
from relaxations.multipliers import Multipliers

TOLERANCE = 1e-4  # of the gap between dual and primal, relative to the value
FEASIBLE = 1e-4  # largest residual of a primal point whose value counts
MOST_STEPS = 40
TO_BOUNDARY = 0.95  # of the way
SAMPLES = 4  # executions per symbol, of which the first moment matrix is made
FIRST = 1e-3  # multipliers to begin with
SMALLER, MOST_SMALLER = 0.7, 40  # by which the first diagonal shrinks, and how often


@dataclass(frozen=True)
class Optimum:
    """The last iterate: multipliers whose matrix is positive definite, the margin they prove, and moments (1+N, 1+N).

    ``primal`` is what the moments attain, ``residual`` by how much they miss their constraints at most.
    """

    dual: Multipliers
    proved: float
    moments: np.ndarray
    primal: float
    residual: float
    steps: int
    finished: bool


def solve(
    lifting: Lifting, over: Callable[[], bool] = lambda: False, enough: float = np.inf, hopeless: float = -np.inf
) -> Optimum:
    """Optimal multipliers and moments; ends early once more than ``enough`` is proved, or where no dual can prove more
    than ``hopeless``, or when ``over()``."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _Path(lifting).follow(over, enough, hopeless)


class _Path:
    """The iterates. Multipliers y are ordered squares (1 + N), products (m), backs (m), rows (R), the ball (0 or 1).

    ``T_c`` is what a unit of multiplier c adds to S: ``E_jj``, ``-(A B' + B A')/2``, ``-(B C' + C B')/2`` with
    C = e_0 - B, a row, and ``|t|^2 - 1``. Everything is scaled so that a, b and the rows are of order one.
    """

    def __init__(self, lifting: Lifting) -> None:
        self.lifting = lifting
        self.size, self.count, self.many = lifting.size, len(lifting.up), len(lifting.rows)
        self.scale = max(float(np.abs(lifting.rows).sum(axis=1).max()), 1e-300)
        self.b = lifting.inactive / lifting.low[:, None]
        self.rows = lifting.rows / self.scale
        ends = np.cumsum([self.size, self.count, self.count, self.many, int(lifting.ball is not None)])
        self.squares, self.product, self.back, self.weights, self.ball = (
            slice(first, last) for first, last in zip([0, *ends], ends)
        )
        total = int(ends[-1])
        self.sign = np.ones(total)
        self.sign[self.size : self.weights.start] = -1
        free = np.zeros(total, dtype=bool)
        free[0] = free[self.product] = True
        self.bounded = np.flatnonzero(~free)
        self.target = np.zeros(total)
        self.target[self.squares] = 1
        self.on_rows = np.zeros(total)
        self.on_rows[self.weights] = 1
        self._begin(total)

    def _begin(self, total: int) -> None:
        """Moments of real executions, which meet every constraint, and multipliers with a dominant diagonal."""
        query, rng = self.lifting.query, np.random.default_rng(0)
        x = rng.uniform(query.lower, query.upper, (SAMPLES * self.size, len(query.lower)))
        if query.ball is not None:  # halfway inside, as far as the box lets them
            nearest = float(query.ball.lengths(np.clip(query.ball.center, query.lower, query.upper)))
            x = query.ball.moved_inside(x, query.lower, query.upper, max(1 - nearest, 0.0) / 2)
        seen = self.lifting.vectors(x)
        self.x = seen.T @ seen / len(seen)
        self.x[np.diag_indices(self.size)] = np.maximum(np.diag(self.x) * (1 + 1e-3), 1e-3)
        self.x[0, 0] = 1
        self.y = np.full(total, FIRST)
        self.y[self.product] *= -1
        self.y[self.back] *= 0.1
        self.y[self.weights] = 1 / self.many
        if self.lifting.ball is not None:
            self.y[self.ball] = FIRST / (1 + float(self.lifting.ball.v.max(initial=0.0)) ** 2)
        self.y[self.squares] = 0
        self.y[self.squares] = self._dominant(self._matrix(self.y))
        self.s = np.zeros(total)
        self.s[self.bounded] = np.maximum((self.target - self._of(self.x))[self.bounded], 0.1)
        self.tau = float(self._of(self.x)[self.weights].max()) + 0.1
        self.s[self.weights] = self.tau - self._of(self.x)[self.weights]

    def _dominant(self, matrix: np.ndarray) -> np.ndarray:
        """A diagonal that makes it positive definite, as small a share of a dominant one as will do."""
        diagonal = np.abs(matrix).sum(axis=1) * 1.1 + FIRST
        for _ in range(MOST_SMALLER):
            if _factor(matrix + np.diag(SMALLER * diagonal)) is None:
                break
            diagonal *= SMALLER
        return diagonal

    def follow(self, over: Callable[[], bool], enough: float, hopeless: float) -> Optimum:
        self.z = self._matrix(self.y)
        factor = np.linalg.cholesky(self.z)
        for step in range(1, MOST_STEPS + 1):
            found = self._step(factor)
            if found is None:
                return self._optimum(step, finished=False)
            factor = found
            proved, primal, residual = self._values()
            feasible = residual < FEASIBLE
            done = feasible and primal - proved < TOLERANCE * max(abs(proved), 0.01 * self.scale)
            if done or proved > enough or (feasible and primal < hopeless):
                return self._optimum(step, finished=done)
            if over():
                break
        return self._optimum(step, finished=False)

    def _values(self) -> tuple[float, float, float]:
        """Margins proved by the multipliers and attained by the moments, and the residual of these."""
        residual = self.target + self.on_rows * self.tau - self._of(self.x) - self.s
        return -float(self.y[self.squares].sum()) * self.scale, self.tau * self.scale, float(np.abs(residual).max())

    def _step(self, factor: np.ndarray) -> np.ndarray | None:
        """One predictor and corrector; the factor of the new S, or None where rounding leaves no way on."""
        from scipy.linalg import cho_factor, cho_solve, lapack

        inverse = lapack.dpotri(factor, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        newton = self._newton(inverse)
        of_x = _factor(self.x)
        try:
            solver = cho_factor(newton, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        if of_x is None:
            return None
        on_rows = cho_solve(solver, self.on_rows, check_finite=False)
        mu = self._complementarity(self.x, self.z, self.s, self.y)
        of_inverse = self._of(inverse)

        def direction(centre: float, crossed: np.ndarray | None, both: np.ndarray | None) -> tuple[np.ndarray, ...]:
            right = centre * of_inverse - self.target
            right[self.bounded] += centre / self.y[self.bounded]
            if crossed is not None:
                right -= self._of(crossed)
                right[self.bounded] -= both
            dy = cho_solve(solver, right, check_finite=False)
            tau = float(self.on_rows @ dy) / float(self.on_rows @ on_rows)
            dy -= tau * on_rows
            dz = self._matrix(dy)
            product = self._times(self.x, dy) @ inverse
            dx = centre * inverse - self.x - (product + product.T) / 2
            ds, y, s = np.zeros_like(dy), self.y[self.bounded], self.s[self.bounded]
            ds[self.bounded] = (centre - s * y - s * dy[self.bounded]) / y
            if crossed is not None:
                dx -= crossed
                ds[self.bounded] -= both
            return dy, dz, dx, ds, np.array(tau - self.tau)

        dy, dz, dx, ds, _ = direction(0.0, None, None)
        first = min(1.0, _to_boundary(of_x, dx), _to_zero(self.s[self.bounded], ds[self.bounded]))
        second = min(1.0, _to_boundary(factor, dz), _to_zero(self.y[self.bounded], dy[self.bounded]))
        ahead = self._complementarity(
            self.x + first * dx, self.z + second * dz, self.s + first * ds, self.y + second * dy
        )
        power = 1 if min(first, second) < 0.1 else 2 if min(first, second) < 0.5 else 3
        centre = mu * float(np.clip((ahead / mu) ** power, 1e-6, 1.0))
        crossed = self._times(dx, dy) @ inverse
        both = ds[self.bounded] * dy[self.bounded] / self.y[self.bounded]
        dy, dz, dx, ds, dtau = direction(centre, (crossed + crossed.T) / 2, both)
        first = min(1.0, TO_BOUNDARY * min(_to_boundary(of_x, dx), _to_zero(self.s[self.bounded], ds[self.bounded])))
        second = min(1.0, TO_BOUNDARY * min(_to_boundary(factor, dz), _to_zero(self.y[self.bounded], dy[self.bounded])))
        first = _shortened(self.x, dx, first)[0]
        second, factor_after = _shortened(self.z, dz, second)
        if factor_after is None or max(first, second) < 1e-6:
            return None
        self.x, self.s, self.tau = self.x + first * dx, self.s + first * ds, self.tau + first * float(dtau)
        self.y = self.y + second * dy
        self.z = self.z + second * dz
        return factor_after

    def _complementarity(self, x: np.ndarray, z: np.ndarray, s: np.ndarray, y: np.ndarray) -> float:
        total = float(np.vdot(x, z)) + float(s[self.bounded] @ y[self.bounded])
        return total / (self.size + len(self.bounded))

    def _matrix(self, y: np.ndarray) -> np.ndarray:
        """S (1 + N, 1 + N) of multipliers."""
        product, back = y[self.product], y[self.back]
        # a / u = (e_0 + e_symbol) / 2, so that its part of the matrix is rows of b, added up
        half = (self.b * (0.5 * back)[:, None]).T @ self.b
        scaled = self.b * (-0.25 * product)[:, None]
        half[self.lifting.symbols] += scaled
        half[0] += scaled.sum(axis=0) + 0.5 * (y[self.weights] @ self.rows - back @ self.b)
        matrix = half + half.T
        matrix[np.diag_indices(self.size)] += y[self.squares]
        if self.lifting.ball is not None:
            self.lifting.ball.add_to(matrix, float(y[self.ball][0]))
        return matrix

    def _times(self, w: np.ndarray, y: np.ndarray) -> np.ndarray:
        """``w @ self._matrix(y)``: a diagonal matrix, one of the rank of the neurons, and the ball's."""
        product, back, of = y[self.product], y[self.back], self.lifting.symbols
        b = w @ self.b.T
        a = 0.5 * (w[:, :1] + w[:, of])
        line = y[self.weights] @ self.rows - back @ self.b
        out = (b * back - a * (0.5 * product)) @ self.b + w * y[self.squares]
        out += np.multiply.outer(0.5 * w[:, 0], line)
        with_a = b * (-0.25 * product)
        out[:, of] += with_a
        out[:, 0] += with_a.sum(axis=1) + 0.5 * (w @ line)
        if self.lifting.ball is not None:
            out += self.lifting.ball.times(w) * y[self.ball]
        return out

    def _of(self, w: np.ndarray) -> np.ndarray:
        """<T_c, w> of every c, for a symmetric matrix."""
        bw = self.b @ w
        bwb = np.einsum("ij,ij->i", bw, self.b)
        with_a = 0.5 * (bw[:, 0] + bw[np.arange(self.count), self.lifting.symbols])
        of_ball = [] if self.lifting.ball is None else [self.lifting.ball.mean(w)]
        return np.concatenate([np.diag(w), -with_a, bwb - bw[:, 0], self.rows @ w[0], of_ball])

    def _newton(self, inverse: np.ndarray) -> np.ndarray:
        """tr(T_c X T_d S^-1), made symmetric, plus the diagonal of the bounded multipliers."""
        of_x, of_inverse = self._products(self.x), self._products(inverse)
        newton = of_x[2] * of_inverse[0]
        newton += of_x[0] * of_inverse[2]
        crossed = of_x[1] * of_inverse[1].T
        newton += crossed
        newton += crossed.T
        own = slice(0, self.ball.start)
        newton *= 0.25 * self.sign[own]
        newton *= self.sign[own, None]
        if self.lifting.ball is not None:
            product = self.lifting.ball.times(self.x) @ inverse
            of_ball = self._of((product + product.T) / 2)
            newton = np.block([[newton, of_ball[own, None]], [of_ball]])
        diagonal = np.diag_indices(len(newton))
        newton[diagonal] *= 1 + 1e-12
        extra = np.zeros(len(newton))
        extra[self.bounded] = self.s[self.bounded] / self.y[self.bounded]
        newton[diagonal] += extra
        return newton

    def _products(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """p' w p, q' w p and q' w q for the two vectors of every pair of multipliers.

        p: e_j, A, B, e_0 and q: e_j, B, e_0 - B, row.
        """
        of = self.lifting.symbols
        b, r = self.b @ w, self.rows @ w
        a = 0.5 * (w[0] + w[of])
        ab, aa = 0.5 * (b[:, :1] + b[:, of]).T, 0.5 * (a[:, :1] + a[:, of])
        bb, br, rr, ar = b @ self.b.T, b @ self.rows.T, r @ self.rows.T, a @ self.rows.T
        e0 = np.zeros(self.many, dtype=int)
        p = np.concatenate([w, a, b, w[e0]])  # p' w
        pp = np.concatenate([p, _with(p, a, ab, aa, b, bb, e0, w)], axis=1)
        q_e = np.concatenate([w, b, w[:1] - b, r])  # q' w
        q_a = np.concatenate([a.T, ab.T, a[:, 0] - ab.T, ar.T])
        q_b = np.concatenate([b.T, bb, b[:, 0] - bb, br.T])
        q_r = np.concatenate([r.T, br, r[:, 0] - br, rr])
        qp = np.concatenate([q_e, q_a, q_b, q_e[:, e0]], axis=1)
        qq = np.concatenate([q_e, q_b, q_e[:, :1] - q_b, q_r], axis=1)
        return pp, qp, qq

    def _optimum(self, steps: int, finished: bool) -> Optimum:
        lifting, scale = self.lifting, self.scale
        y = self.y * scale
        y[self.weights] = self.y[self.weights]
        none = lifting.split(np.zeros(self.count))
        dual = Multipliers(
            y[self.weights],
            none,
            none,
            none,
            lifting.split(y[self.product] / (lifting.up * lifting.low)),
            lifting.split(y[self.back] / lifting.low**2),
            lifting.of_inputs(y[self.squares]),
            0.0 if lifting.ball is None else float(y[self.ball][0]) / lifting.ball.share,
        )
        proved, primal, residual = self._values()
        return Optimum(dual, proved, self.x, primal, residual, steps, finished)


def _with(
    p: np.ndarray, a: np.ndarray, ab: np.ndarray, aa: np.ndarray, b: np.ndarray, bb: np.ndarray, e0: np.ndarray,
    w: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The columns of p' w p that belong to A, B and e_0."""
    of_a = np.concatenate([a.T, aa, ab.T, np.repeat(a[:, :1].T, len(e0), axis=0)])
    of_b = np.concatenate([b.T, ab, bb, np.repeat(b[:, :1].T, len(e0), axis=0)])
    return np.concatenate([of_a, of_b, p[:, e0]], axis=1)


def _to_boundary(factor: np.ndarray, direction: np.ndarray) -> float:
    """The step at which ``factor factor' + step direction`` stops being positive definite, about."""
    from scipy.linalg import solve_triangular

    def inner(vector: np.ndarray) -> np.ndarray:
        outer = solve_triangular(factor, vector, lower=True, trans="T", check_finite=False)
        return np.asarray(solve_triangular(factor, direction @ outer, lower=True, check_finite=False))

    least = _least_eigenvalue(inner, len(factor))
    return np.inf if least >= 0 else -1 / least


def _least_eigenvalue(times: Callable[[np.ndarray], np.ndarray], size: int) -> float:
    """Of a symmetric matrix by its products with vectors, about; rather too small."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    if size < 40:
        matrix = np.stack([times(unit) for unit in np.eye(size)])
        return float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
    operator, start = (
        LinearOperator((size, size), matvec=times, dtype=float),
        np.random.default_rng(0).normal(size=size),
    )
    try:
        found = eigsh(operator, k=1, which="SA", tol=3e-2, v0=start, maxiter=100, return_eigenvectors=False)[0]
    except ArpackNoConvergence as partly:
        found = min(partly.eigenvalues, default=-1e3)
    return float(found - 0.03 * abs(found))


def _to_zero(values: np.ndarray, direction: np.ndarray) -> float:
    falling = direction < 0
    return float((-values[falling] / direction[falling]).min()) if falling.any() else np.inf


def _shortened(matrix: np.ndarray, direction: np.ndarray, step: float) -> tuple[float, np.ndarray | None]:
    """A step, not longer, after which the matrix is positive definite, and its factor; (0, None) where none is."""
    for _ in range(30):
        factor = _factor(matrix + step * direction)
        if factor is not None:
            return step, factor
        step *= 0.8
    return 0.0, None


def _factor(matrix: np.ndarray) -> np.ndarray | None:
    """The Cholesky factor, None where the matrix is not positive definite."""
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
