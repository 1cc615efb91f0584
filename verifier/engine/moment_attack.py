"""The relaxed attack of Shor's relaxation: the moments that the interior point has reached on a whole box."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from relaxations.actions import Point
from relaxations.bounds.boxes import Rows
from relaxations.executions import invented
from relaxations.lifting import Lifting
from relaxations.lp.safe_dual import no_multipliers, safe_dual
from specs.problem import Box
from verifier.engine.linear import Region
from verifier.engine.outcome import Exploit, RelaxedAction, RelaxedAttack
from verifier.engine.relaxed import LISTED
from verifier.relaxed.container import LARGEST_ORDER, LARGEST_TOLERANCE
from verifier.relaxed.contents import File, Moments, RelaxedFile
from verifier.relaxed.moments import check_moments
from verifier.relaxed.validate import Subject

LEAST_TOLERANCE = 1e-6
SPARE = 2.0  # times the worst violation is what the file allows


def relaxed_attack_by_moments(region: Region, matrix: np.ndarray) -> RelaxedAttack | None:
    """Moments (1 + N, 1 + N) of the lifting's symbols as second moments of inputs and outputs; see ``Moments``.

    None where some row is positive in expectation, where they miss their constraints by more than a file may tell, and
    where they are too many to store.
    """
    query = region.query
    lifting = Lifting.of(query)
    rows = lifting.rows @ matrix[0]
    symbols = ["1", *(f"x{i}" for i in range(len(query.lower)))]
    symbols += [f"a{k}.{region.names[k][i]}" for k, i in lifting.neurons()]
    if region.splits or query.ball is not None or not rows.max() <= 0 or len(symbols) > LARGEST_ORDER:
        return None
    forms = _forms(lifting)
    moments = forms @ matrix @ forms.T
    moments = (moments + moments.T) / 2
    lower, upper = (tuple(side) for side in zip(*region.ranges)) if region.ranges else ((), ())
    content = Moments(tuple(symbols), moments, False, lower, upper)
    action = RelaxedAction("sdp", content, "", query.lower, query.upper, rows, None, -float(rows.max()))
    tolerance = SPARE * _violation(region, action)
    if not tolerance <= LARGEST_TOLERANCE:
        return None
    point = _mean(region, moments[0])
    return RelaxedAttack(
        region.case,
        point.x.tolist(),
        float(rows.max()),
        -float(query.score(point.x[None])[0]),
        _exploits(region, point, int(rows.argmax()), max(tolerance, LEAST_TOLERANCE)),
        replace(action, tolerance=max(tolerance, LEAST_TOLERANCE)),
    )


def _forms(lifting: Lifting) -> np.ndarray:
    """1, the inputs and the outputs of unstable neurons (1 + n + m, 1 + N) over the lifting's symbols."""
    query, live = lifting.query, lifting.live
    inputs = np.zeros((len(query.lower), lifting.size))
    inputs[:, 0] = (query.lower + query.upper) / 2
    inputs[live, 1 + np.arange(len(live))] = (query.upper - query.lower)[live] / 2
    return np.vstack([np.eye(lifting.size)[:1], inputs, lifting.active])


def _violation(region: Region, action: RelaxedAction) -> float:
    """The worst violation of a constraint, as validation tells it."""
    nowhere = File("", "")
    told = RelaxedFile(
        "sdp", region.case, action.lower, action.upper, action.rows, action.score, action.content, nowhere, nowhere
    )
    assert isinstance(action.content, Moments)
    network = region.network
    box = Box(*(tuple(map(Fraction, side.tolist())) for side in (action.lower, action.upper)))
    no_rows = Rows(np.zeros((1, network.input_size)), np.zeros((1, len(network.output.bias))), np.zeros(1))
    with np.errstate(all="ignore"):
        checks, _, _ = check_moments(told, action.content, Subject(network, no_rows, box))
    worst = max(check.worst for check in checks)
    return worst if worst == worst else np.inf


def _mean(region: Region, mean: np.ndarray) -> Point:
    """The expected execution: what is affine for every action is so in expectation."""
    query = region.query
    x = np.clip(mean[1 : 1 + len(query.lower)], query.lower, query.upper)
    values, z, a, at = [x[None]], [], [], 1 + len(query.lower)
    for k, (layer, (l, _)) in enumerate(zip(query.network.layers, query.ranges)):
        free = query.unstable(k)
        z.append(layer.apply(values)[0])
        a.append(np.where(l >= 0, z[-1], 0.0))
        a[-1][free] = mean[at : at + len(free)]
        at += len(free)
        values.append(a[-1][None])
    return Point(x, tuple(z), tuple(a))


def _exploits(region: Region, point: Point, row: int, tolerance: float) -> list[Exploit]:
    """Neurons by how far their expected output is from the ReLU of the expected argument, times its coefficient."""
    query, weights = region.query, np.eye(len(region.query.rows.constant))[row]
    coefs = safe_dual(query, no_multipliers(query, weights)).coefs
    found = [
        Exploit(k, int(region.names[k][i]), float(point.a[k][i] - max(point.z[k][i], 0.0)), weight)
        for k, i, weight in invented(point, coefs)
        if weight > 0 and point.gaps()[k][i] > tolerance * (query.ranges[k][1][i] - query.ranges[k][0][i])
    ]
    return found[:LISTED]
