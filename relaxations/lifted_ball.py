"""The ball of a query as a quadratic form in the symbols of a lifting, which a multiplier of it adds to a matrix.

With ``x_i = m_i + rho_i e_i`` and ``t_i = (x_i - c_i) / r_i`` the ball says ``|t|^2 <= 1``. Inputs that are fixed have
a t of their own: the others obey ``|t|^2 <= 1 - sum of the fixed ones' squares``, again a ball, with radii that are
shorter by the root of this share. In (1, e) the form ``|t|^2 - 1`` has a corner, a first row and a diagonal.

A ball of the norm 1 lies in the Euclidean one of the same radii, and that is what is meant here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relaxations.bounds.balls import Ball

LEAST_SHARE = 1e-9  # of the ball's square that has to be left for the inputs that are not fixed


@dataclass(frozen=True)
class LiftedBall:
    """``|t|^2 - 1`` for ``t = u + v e`` over k live inputs, whose symbols stand first; ``u``, ``v`` (k,).

    ``center`` and ``radii`` (k,) are those of the ball that the fixed inputs leave. A multiplier kappa of the query's
    ball is one of ``kappa share`` of this one.
    """

    center: np.ndarray
    radii: np.ndarray
    share: float
    u: np.ndarray
    v: np.ndarray

    @staticmethod
    def of(ball: Ball | None, lower: np.ndarray, upper: np.ndarray, live: np.ndarray) -> LiftedBall | None:
        """None where there is no ball, or one of a single point, or one that the fixed inputs leave nothing of."""
        if ball is None or not (ball.radii > 0).all():
            return None
        middle, radius = (lower + upper) / 2, (upper - lower) / 2
        fixed = np.ones(len(lower), dtype=bool)
        fixed[live] = False
        with np.errstate(all="ignore"):
            share = 1 - float((((middle - ball.center) / ball.radii)[fixed] ** 2).sum())
            if not share > LEAST_SHARE:
                return None
            center, radii = ball.center[live], ball.radii[live] * np.sqrt(share)
            found = LiftedBall(center, radii, share, (middle[live] - center) / radii, radius[live] / radii)
            usable = bool(np.isfinite(found.corner) and np.isfinite(found.v @ found.v))
        return found if usable else None

    @property
    def corner(self) -> float:
        """What the form is at e = 0."""
        return float(self.u @ self.u) - 1

    def mean(self, moments: np.ndarray) -> float:
        """The form's mean by second moments (1 + N, 1 + N) of (1, e)."""
        here = slice(1, 1 + len(self.u))
        mixed = 2 * (self.u * self.v) @ moments[0, here] + (self.v**2) @ np.diag(moments)[here]
        return float(self.corner * moments[0, 0] + mixed)

    def add_to(self, matrix: np.ndarray, factor: float) -> None:
        """Add a multiple of the form to a symmetric matrix (1 + N, 1 + N), in place."""
        here = 1 + np.arange(len(self.u))
        side = factor * self.u * self.v
        matrix[0, 0] += factor * self.corner
        matrix[0, here] += side
        matrix[here, 0] += side
        matrix[here, here] += factor * self.v**2

    def times(self, w: np.ndarray) -> np.ndarray:
        """The product of a matrix (n, 1 + N) and the form's."""
        here, side = slice(1, 1 + len(self.u)), self.u * self.v
        out = np.zeros_like(w)
        out[:, 0] = w[:, 0] * self.corner + w[:, here] @ side
        out[:, here] = np.multiply.outer(w[:, 0], side) + w[:, here] * self.v**2
        return out
