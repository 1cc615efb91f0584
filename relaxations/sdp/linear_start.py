"""A linear dual as one of squares and products, of the same value: where a first-order method begins.

With a and b the parts of ``z = a - b`` and ``a = u (1 + e) / 2``,

    a         = a^2 / u + u (1 - e^2) / 4
    b         = b^2 / L + b (L - b) / L
    chord     = u L - L a - u b
              = u L (1 - a/u - b/L)^2 + u L (1 - e^2) / 4 + (u / L) b (L - b) - 2 a b,

each a square plus multiples of ``1 - e^2 >= 0``, ``b (L - b) >= 0`` and ``a b = 0``. So all linear constraints of the
triangle follow from those of Shor's relaxation, and their multipliers can be replaced by those of these. What is left,
a linear form ``g_0 + g' e``, is at least ``g_0 - sum |g|``, by squares ``|g| / 2``. In a ball a part of it, ``h' t``,
is at least ``-|h|``, by the multiplier ``|h| / 2``: the form is split where that gives the best sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relaxations.bounds.balls import Ball, share_of
from relaxations.bounds.relaxed import AlphaCrown, Slopes, on_simplex
from relaxations.lifting import Lifting
from relaxations.multipliers import Multipliers


@dataclass(frozen=True)
class Start:
    """Multipliers whose matrix is positive semidefinite, but for rounding, and the margin they prove.

    ``dual`` has no linear ones. ``diagonal`` (1 + N,) says how large the square of each symbol tends to be, and
    ``ball`` the multiplier of the lifted ball; that of the constant is the others' sum.
    """

    dual: Multipliers
    proved: float
    diagonal: np.ndarray
    ball: float = 0.0


def begin_linear(lifting: Lifting, seconds: float = np.inf) -> Start:
    """From the dual of alpha-CROWN, which is that of the triangle's linear program but for what ascent leaves."""
    solution = AlphaCrown(lifting.query).solve(seconds)
    assert solution.dual is not None
    return squared(lifting, as_multipliers(lifting, solution.dual))


def as_multipliers(lifting: Lifting, dual: Slopes) -> Multipliers:
    """What backward substitution with these lower lines subtracts: ``a >= s z`` is (1 - s) a + s b >= 0."""
    found = AlphaCrown(lifting.query).substitution(dual)
    positive, above, chord = [], [], []
    for k, ((l, u), (a, slope)) in enumerate(zip(lifting.query.ranges, found)):
        free = lifting.query.unstable(k)
        rising, falling = np.maximum(a[free], 0), np.maximum(-a[free], 0)
        positive.append(rising * (1 - slope[free]))
        above.append(rising * slope[free])
        chord.append(falling / (u - l)[free])
    return Multipliers(on_simplex(dual.weights), tuple(positive), tuple(above), tuple(chord))


def squared(lifting: Lifting, dual: Multipliers) -> Start:
    """The same dual in products, squares and the ball; its margin is that of the linear one, or a better one."""
    form = lifting.linear_form(dual)
    on_box, on_ball, at_center = _shares(lifting, form)
    none = np.zeros(0)
    positive, above, chord = (np.concatenate([none, *part]) for part in (dual.positive, dual.above, dual.chord))
    up, low = lifting.up, lifting.low
    size = float(np.linalg.norm(on_ball))
    margin = form[0] + at_center - size - np.abs(on_box[1:]).sum()
    squares = np.abs(on_box) / 2
    squares[0] = -margin - squares[1:].sum()
    own = (positive * up + chord * up * low) / 4
    squares[lifting.symbols] += own
    squares[0] -= own.sum()
    zero = lifting.split(np.zeros(len(up)))
    product, back = lifting.split(-2 * chord), lifting.split(above / low + chord * up / low)
    ball = size / 2
    of_query = ball / lifting.ball.share if lifting.ball is not None else 0.0
    shor = Multipliers(dual.weights, zero, zero, zero, product, back, lifting.of_inputs(squares), of_query)
    diagonal = squares.copy()
    diagonal[lifting.symbols] += above * low / 4
    diagonal[0] = diagonal[1:].sum() + ball
    return Start(shor, float(margin), diagonal, ball)


def _shares(lifting: Lifting, form: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """What the box bounds of a form (1 + N,) in e, and what the ball does: ``h`` (k,) in t, and a constant."""
    if lifting.ball is None:
        return form, np.zeros(0), 0.0
    ball, here = lifting.ball, slice(1, 1 + len(lifting.ball.v))
    slopes = form[here] / ball.v  # in t
    inner = share_of(slopes[None], ball.u, ball.v, Ball(np.zeros_like(ball.u), np.ones_like(ball.u)))[0]
    on_box = form.copy()
    on_box[here] -= inner * ball.v
    worth = -float(inner @ ball.u) - float(np.linalg.norm(inner)) - float(np.abs(on_box[here]).sum())
    if not worth > -float(np.abs(form[here]).sum()):
        return form, np.zeros(0), 0.0
    return on_box, inner, -float(inner @ ball.u)
