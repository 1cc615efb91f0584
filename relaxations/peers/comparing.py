"""Our bounds and auto_LiRPA's of the same rows on the same box, method by method, beside values that are attained.

Our side is the textbook form of each method, so that equality can be asked for: no method borrows ranges from another.
The search's own bounds (``relaxations.bounds.boxes``) intersect CROWN with a forward form and are at least as good in
the ranges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from relaxations.bounds.ascent import Rates, ascend
from relaxations.bounds.boxes import Rows, composed
from relaxations.bounds.crown import backward, concretise
from relaxations.bounds.dual import Duals, Frame, evaluate
from relaxations.bounds.dual import lines as free_lines
from relaxations.bounds.interval import Range, interval_bounds, through_layer
from relaxations.functions.relu import lines
from relaxations.lowering import lower as lowered
from relaxations.maps.linear import dense
from relaxations.network import Layer, ReluNetwork
from relaxations.peers.auto_lirpa import ITERATIONS, METHODS, bounds_by_method
from specs.errors import UnsupportedOpError
from specs.graph import Graph


@dataclass(frozen=True)
class Comparison:
    """Lower bounds (R,) by method, ``ours`` and ``theirs``; ``failures`` says why theirs lacks one.

    ``ours`` is empty for a network that our bounds do not cover. ``attained`` (R,) are the least values met at points
    of the box, and ``rounding`` bounds what float arithmetic may add to a difference.
    """

    ours: Mapping[str, np.ndarray]
    theirs: Mapping[str, np.ndarray]
    failures: Mapping[str, str]
    attained: np.ndarray
    rounding: float

    def difference(self, method: str) -> float:
        """The largest difference of the two sides' bounds, relative to the larger of 1 and the bound."""
        ours, theirs = self.ours[method], self.theirs[method]
        return float((np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))).max(initial=0.0))

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Every bound that an attained value refutes, in words: whose it is has an error."""
        found = []
        for who, bounds in (("ours", self.ours), ("auto_LiRPA", self.theirs)):
            for method, values in bounds.items():
                for row in np.flatnonzero(~(values <= self.attained + self.rounding)):
                    found.append(f"{who}, {method}, row {row}: {values[row]:.9g} > {self.attained[row]:.9g}")
        return tuple(found)


def compare(
    network: Graph | ReluNetwork,
    rows: Rows,
    lower: np.ndarray,
    upper: np.ndarray,
    methods: Sequence[str] = METHODS,
    iterations: int = ITERATIONS,
    dtype: str = "float64",
    samples: int = 256,
) -> Comparison:
    """Both sides' bounds on the box [``lower``, ``upper``] (inputs,). Raises PeerError where auto_LiRPA is missing."""
    theirs, errors = bounds_by_method(network, rows, lower, upper, methods, iterations, dtype)
    failures = {method: str(error) for method, error in errors.items()}
    search = _searched(network)
    ours = {} if search is None else own_bounds(search, rows, lower, upper, methods, iterations)
    attained = _attained(network, rows, lower, upper, samples)
    unit = float(np.finfo(dtype).eps) / 2
    slack = rounding(search, rows, lower, upper, unit) if search else UNCOVERED * float(np.abs(attained).max(initial=1))
    return Comparison(ours, theirs, failures, attained, slack)


UNCOVERED = 1e-6
"""Relative slack for networks without a derived one; smaller contradictions there go unnoticed."""


def own_bounds(
    network: ReluNetwork,
    rows: Rows,
    lower: np.ndarray,
    upper: np.ndarray,
    methods: Sequence[str] = METHODS,
    iterations: int = ITERATIONS,
) -> dict[str, np.ndarray]:
    """Our lower bounds (R,) in float64 by auto_LiRPA's names of the methods.

    CROWN-IBP has the ranges of interval arithmetic, CROWN those of CROWN for every neuron, and CROWN-Optimized the
    same with slopes of its own for each row, by ``iterations`` steps of ascent. auto_LiRPA moves the slopes behind the
    ranges as well, so that its last bound may be much the tighter one.
    """
    coefs, constant = composed(rows, network.output)
    target = Layer(tuple(sorted(coefs.items())), constant)
    low, up = lower[None].astype(np.float64), upper[None].astype(np.float64)
    mid, rad = (low + up) / 2, (up - low) / 2
    found: dict[str, np.ndarray] = {}
    boxes = interval_bounds(network, low, up)[:-1]
    if "IBP" in methods:
        values = [(low, up), *((layer.output(l), layer.output(u)) for layer, (l, u) in zip(network.layers, boxes))]
        found["IBP"] = through_layer(target, values)[0][0]
    if "CROWN-IBP" in methods:
        found["CROWN-IBP"] = _substituted(network, target, boxes, mid, rad)
    if "CROWN" in methods or "CROWN-Optimized" in methods:
        ranges: list[Range] = []
        for layer in network.layers:
            both = _both_signs(layer)
            ends = _substituted(network, both, ranges, mid, rad)
            ranges.append((ends[None, : len(layer.bias)], -ends[None, len(layer.bias) :]))
        if "CROWN" in methods:
            found["CROWN"] = _substituted(network, target, ranges, mid, rad)
        if "CROWN-Optimized" in methods:
            found["CROWN-Optimized"] = _ascended(network, target, ranges, mid[0], rad[0], iterations)
    return found


def rounding(network: ReluNetwork, rows: Rows, lower: np.ndarray, upper: np.ndarray, unit: float) -> float:
    """A bound on how much two computations of a value or bound of the rows differ by rounding, ``unit`` per operation.

    A sum of k products errs by at most g_k = k unit / (1 - k unit) of the sum of their magnitudes (Higham 2002,
    Accuracy and Stability of Numerical Algorithms, section 3.1). Let M be the largest row of the network of |weights|
    and |biases| at the largest |input|, where each layer's output counts twice: lines of slope at most 1 whose offset
    is at most a bound of their neuron cannot do more. Center plus radius, and every sum of a substitution, are at most
    M. With at most N terms on a path, one pass errs by g_N M; so do the ranges of each of L layers, and a range that
    is off by d moves the rows by no more than d grows to; the weights are rounded once more.
    """
    values, terms = [np.maximum(np.abs(lower), np.abs(upper))[None]], 0
    for layer in network.layers:
        values.append(2 * Layer(abs(layer).terms, np.abs(layer.bias)).apply(values))
        terms += 4 + sum(w.shape[1] for _, w in layer.terms)
    outputs = Layer(abs(network.output).terms, np.abs(network.output.bias)).apply(values)
    last = values[0] @ np.abs(rows.x).T + outputs @ np.abs(rows.y).T + np.abs(rows.constant)
    terms += 4 + sum(w.shape[1] for _, w in network.output.terms) + rows.x.shape[1] + rows.y.shape[1]
    share = 2 * terms * unit
    return float(2 * (len(network.layers) + 1) * share / (1 - share) * last.max(initial=0.0))


def _searched(network: Graph | ReluNetwork) -> ReluNetwork | None:
    """The network our bounds are of; None if they do not cover it."""
    if isinstance(network, ReluNetwork):
        return network
    try:
        return lowered(network)
    except UnsupportedOpError:
        return None


def _both_signs(layer: Layer) -> Layer:
    """The layer's values and their negatives."""
    terms = tuple((source, np.concatenate([w, -w])) for source, w in ((s, dense(m)) for s, m in layer.terms))
    return Layer(terms, np.concatenate([layer.bias, -layer.bias]))


def _substituted(
    network: ReluNetwork, target: Layer, ranges: Sequence[Range], mid: np.ndarray, rad: np.ndarray
) -> np.ndarray:
    """Lower bounds of the target's values by backward substitution under the ranges."""
    index = np.zeros(len(target.bias), dtype=int)
    drawn = [lines(l, u, np) for l, u in ranges]
    form, constant = backward(network, dict(target.terms), target.bias, index, drawn, np)
    return concretise(form, constant, mid[index], rad[index], np)[1]


def _ascended(
    network: ReluNetwork, target: Layer, ranges: Sequence[Range], mid: np.ndarray, rad: np.ndarray, steps: int
) -> np.ndarray:
    """The same with slopes that are ascended on, one set for each row."""
    rows = len(target.bias)
    frame = Frame(mid, rad, *(tuple(side) for side in zip(*ranges))) if ranges else Frame(mid, rad, (), ())
    drawn = free_lines(frame, (None,) * len(ranges), np)
    slopes = tuple(np.repeat(lines(l, u, np).lower_slope, rows, axis=0) for l, u in ranges)
    start = Duals(slopes, (None,) * len(ranges), np.eye(rows))
    best = ascend(network, target, frame, drawn, start, steps, Rates())
    return evaluate(network, target, frame, drawn, best, np).bound


def _attained(network: Graph | ReluNetwork, rows: Rows, lower: np.ndarray, upper: np.ndarray, count: int) -> np.ndarray:
    """The rows' least values (R,) at the middle and at random points and corners of the box."""
    rng = np.random.default_rng(0)
    inside = rng.uniform(lower, upper, size=(count, len(lower)))
    corners = np.where(rng.random((count, len(lower))) < 0.5, lower, upper)
    x = np.concatenate([(lower + upper)[None] / 2, inside, corners])
    y = network.evaluate(x) if isinstance(network, ReluNetwork) else np.stack([network.evaluate_flat(p) for p in x])
    return (x @ rows.x.T + y @ rows.y.T + rows.constant).min(axis=0)
