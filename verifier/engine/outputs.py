"""The relaxed attack that there always is: outputs of the model moved until every row of a case fails.

The relaxation forgets how outputs are computed and keeps ranges in which they are at some inputs. That is very weak,
and it is all that is known where the time was over before any bound was found, where an operator has no relaxation, and
where numbers overflow. What it tells is the input at which the property came nearest to failing, and how far which
outputs would have to be from what the model computes there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relaxations.bounds.balls import Ball
from relaxations.bounds.boxes import Rows
from relaxations.network import ReluNetwork
from verifier.engine.outcome import Exploit, RelaxedAction, RelaxedAttack
from verifier.engine.relaxed import LISTED, Box, outputs_around
from verifier.relaxed.validate import Unlowered

NOTE = "nothing is used of the model but its outputs at some inputs"
SWEEPS = 200  # of projections on all rows
BEYOND = 1e-9  # of a row's size, by which it fails


def relaxed_attack_on_outputs(
    network: ReluNetwork | Unlowered, rows: Rows, box: Box, ball: Ball | None, case: int, points: Sequence[np.ndarray]
) -> RelaxedAttack | None:
    """Outputs at one of the ``points`` (n,) of box and ball, or of a few others, at which all rows of a case fail.

    Where no outputs do that, one row fails, and the action has weights. None where no row reads outputs, and where the
    network has no finite output at any of these inputs.
    """
    lower, upper = box
    x = np.stack([*points, (lower + upper) / 2, lower, upper])
    x = np.clip(x, lower, upper) if ball is None else ball.moved_inside(x, lower, upper)
    with np.errstate(all="ignore"):
        y = network.evaluate(x)
    at = np.flatnonzero(np.isfinite(y).all(axis=1))
    if not len(at) or not len(rows.constant):
        return None
    values = x[at] @ rows.x.T + y[at] @ rows.y.T + rows.constant
    best = int(values.max(axis=1).argmin())
    x, y, constants = x[at[best]], y[at[best]], rows.x @ x[at[best]] + rows.constant
    moved, weights = _failing(rows.y, constants, y)
    if moved is None:
        return None
    told = rows.y @ moved + constants
    counted = np.eye(len(told))[int(told.argmax())] if weights is None else weights
    bound = float(told.max() if weights is None else weights @ told)
    action = RelaxedAction("outputs", outputs_around(network, x, moved, box), NOTE, *box, told, weights, -bound)
    costs = (counted @ rows.y) * (y - moved)
    layer = len(network.layers)
    exploits = [
        Exploit(layer, int(j), float(moved[j] - y[j]), float(costs[j]))
        for j in np.argsort(-costs, kind="stable")[:LISTED]
        if costs[j] > 0
    ]
    return RelaxedAttack(case, x.tolist(), bound, float(values[best].max()), exploits, action)


def _failing(coefs: np.ndarray, constants: np.ndarray, y: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Outputs near y (m,) at which all rows ``coefs @ y + constants`` fail, by projections on one row after another.

    If these do not end, outputs at which the row fails that is nearest to it, and its weights (R,).
    """
    squares = (coefs**2).sum(axis=1)
    moved = y.astype(float)
    for _ in range(SWEEPS):
        if (coefs @ moved + constants <= 0).all():
            return moved, None
        for row in np.flatnonzero(squares):
            moved = _projected(coefs[row], float(constants[row]), moved)
    readers = np.flatnonzero(squares)
    if not len(readers):
        return None, None
    distances = (coefs[readers] @ y + constants[readers]) / np.sqrt(squares[readers])
    row = int(readers[distances.argmin()])
    return _projected(coefs[row], float(constants[row]), y.astype(float)), np.eye(len(constants))[row]


def _projected(coefs: np.ndarray, constant: float, y: np.ndarray) -> np.ndarray:
    """The nearest outputs at which one row fails, a little beyond."""
    value = float(coefs @ y) + constant
    if value <= 0:
        return y
    beyond = BEYOND * (1 + abs(constant) + float(np.abs(coefs) @ np.abs(y)))
    return y - (value + beyond) * coefs / float(coefs @ coefs)
