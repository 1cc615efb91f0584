"""Checking a relaxed attack against the user's own model: every constraint of its relaxation, in float64.

What passes is a point of the relaxation up to the stated tolerance, and no proof by this relaxation with these ranges
(or looser ones) exists whose margin is larger than that. It is never a counterexample.

Violations are told as a share of what they are about: of a unit's magnitude, which is the largest of |W||a| + |b| and
the ends of its range but no more than interval arithmetic allows, and of the box's magnitude for an input. Each may be
as large as the file's tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from relaxations.bounds import balls
from relaxations.bounds.boxes import Rows
from relaxations.bounds.greedy import rows_layer
from relaxations.bounds.interval import interval_bounds
from relaxations.network import Layer, ReluNetwork
from specs.graph import Graph
from specs.problem import Ball, Box
from verifier.relaxed.contents import Assignment, Moments, Outputs, PointAction, PseudoMoments, RelaxedFile, Units

SAMPLES = 64
SEED = 0
NORMAL = 1e-300  # keeps a share of nothing from being undefined

Ranges = tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]  # lower and upper ends, by layer
NOT_CHECKED = (
    "that the ranges hold at every input: they are tried at some, and ranges that are too narrow only make the attack "
    "harder to find",
    "that the node's box and phases are what a search had left",
)

SOME_ROWS = "not all rows fail for this action: it stands in the way of proofs by rows with these weights"


@dataclass(frozen=True)
class Check:
    """One kind of constraint: the worst violation found, how large it may be, and where it is."""

    name: str
    worst: float
    allowed: float
    where: str = ""

    @property
    def ok(self) -> bool:
        return self.worst <= self.allowed  # NaN is not

    def __str__(self) -> str:
        place = f", {self.where}" if self.where and self.worst > 0 else ""
        word = "ok" if self.ok else "WRONG"
        return f"{word:<6}{self.name}: off by {self.worst:.3g}, allowed {self.allowed:.3g}{place}"


@dataclass(frozen=True)
class Validation:
    """What was checked of a relaxed attack. ``score`` is recomputed, ``real`` what the network gives at its input.

    ``remarks`` are what a reader should know that is not wrong.
    """

    checks: tuple[Check, ...]
    score: float
    real: float
    remarks: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = NOT_CHECKED

    @property
    def valid(self) -> bool:
        return all(check.ok for check in self.checks)

    def __bool__(self) -> bool:
        return self.valid


@dataclass(frozen=True)
class Unlowered:
    """A model of which only the outputs are known to the search, in place of its network."""

    graph: Graph
    layers: tuple[Any, ...] = ()
    signs: frozenset[int] = frozenset()

    @property
    def input_size(self) -> int:
        return self.graph.input_size

    @cached_property
    def widths(self) -> tuple[int, ...]:
        return tuple(prod(node.shape) for node in self.graph.nodes)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """Outputs (B, outputs) in float64 at inputs (B, inputs)."""
        return np.stack([self.graph.evaluate_flat(point) for point in x])


@dataclass(frozen=True)
class Subject:
    """What an attack is about: the network as the search sees it, and the rows, the box and the ball of the case."""

    network: ReluNetwork | Unlowered
    rows: Rows
    box: Box
    ball: Ball | None = None


def validate(attack: RelaxedFile, subject: Subject) -> Validation:
    """Recompute everything from the model. Never raises for what a file may hold."""
    fits = _fits(attack, subject)
    if not fits.ok:
        return Validation((fits,), np.nan, np.nan)
    with np.errstate(all="ignore"):
        checks, rows, x = _constraints(attack, subject)
        values = subject.rows.x @ x + subject.rows.y @ subject.network.evaluate(x[None])[0] + subject.rows.constant
        real = -float(values.max())
        checks.append(_box(attack, subject))
        if subject.ball is not None:
            checks.append(_in_ball(attack, subject.ball, x))
        if rows is None:
            return Validation(tuple(checks), np.nan, real)
        score = -float(rows.max() if attack.weights is None else attack.weights @ rows)
        size = _size(subject, x) + float(np.abs(rows).max(initial=0.0))
        told = [*attack.rows - rows, attack.score - score]
        checks += [
            Check("rows and score are what the action gives", _largest(np.abs(told)) / size, attack.tolerance),
            Check("the score is not negative", max(0.0, -score / size), attack.tolerance),
        ]
        if attack.weights is not None:
            checks.append(Check("the rows' weights sum to 1", abs(float(attack.weights.sum()) - 1), attack.tolerance))
        told = attack.content.units if isinstance(attack.content, PointAction) else attack.content
        remarks = [] if isinstance(told, (Assignment, Outputs)) else [_wider(attack, subject, (told.lower, told.upper))]
        if attack.weights is not None and rows.max() > attack.tolerance * size:
            remarks.append(SOME_ROWS)
    return Validation(tuple(checks), score, real, tuple(filter(None, remarks)))


def _constraints(attack: RelaxedFile, subject: Subject) -> tuple[list[Check], np.ndarray | None, np.ndarray]:
    """The checks of the content, the rows' values (None where nothing tells them), and the input."""
    content = attack.content
    if isinstance(content, (Moments, PseudoMoments)):
        from verifier.relaxed.moments import check_moments

        return check_moments(attack, content, subject)
    if isinstance(content, Outputs):
        rows = subject.rows.x @ content.x + subject.rows.y @ content.y + subject.rows.constant
        return list(_output_checks(attack, content, subject.network)), rows, content.x
    told = not isinstance(content, Assignment)
    if isinstance(content, Assignment):
        content = _executed(content, subject.network)
    checks = [_inside(attack, content.x)]
    units = content.units
    if units is None:
        checks.append(Check("there are units to check: they were left out of the file", np.inf, 0.0))
        return checks, None, content.x
    sizes, affine = _affine(attack, subject.network, content.x, units)
    checks += [affine, *unit_checks(attack, units, sizes), _splits(attack, units)]
    if told:
        checks.append(_sampled(attack, subject, units, content.x, sizes))
    values = [part[None] for part in (content.x, *units.a)]
    return checks, rows_layer(subject.rows, subject.network.output).apply(values)[0], content.x


def _output_checks(attack: RelaxedFile, content: Outputs, network: ReluNetwork | Unlowered) -> Iterator[Check]:
    """Outputs in their ranges, and ranges in which the outputs at some real inputs are, as far as these are finite."""
    yield _inside(attack, content.x)
    l, u, y = content.lower, content.upper, content.y
    size = np.maximum(np.maximum(np.abs(l), np.abs(u)), NORMAL)
    yield _worst("outputs are inside their ranges", [np.maximum(l - y, y - u) / size], attack.tolerance)
    yield _worst("every range has its ends in order", [l - u], 0.0)
    seen = network.evaluate(inputs_to_try(content.x, attack.lower, attack.upper, network))
    seen = seen[np.isfinite(seen).all(axis=1)]
    outside = (np.maximum(l - seen, seen - u) / size).max(axis=0, initial=0.0)
    yield _worst(f"the ranges hold at {len(seen)} real inputs", [outside], attack.tolerance)


def inputs_to_try(x: np.ndarray, lower: np.ndarray, upper: np.ndarray, network: ReluNetwork | Unlowered) -> np.ndarray:
    """Inputs (B, n) of the box at which ranges are tried: the nearest to x, and others, always the same ones."""
    count = int(np.clip(1e7 // (sum(network.widths) + 1), 4, SAMPLES))
    drawn = np.random.default_rng(SEED).uniform(lower, upper, (count, len(x)))
    return np.vstack([np.clip(x, lower, upper), drawn])


def unit_checks(attack: RelaxedFile, units: Units, sizes: list[np.ndarray]) -> Iterator[Check]:
    """Every output where the relaxation lets it be: in its triangle, or between its two lines.

    Outside the range the lines cross, and between them still means between them: that, with pre-activations that are
    not held inside their ranges, is what the CROWN bound of these lines is attained on.
    """
    parts: dict[str, list[np.ndarray]] = {"below": [], "above": [], "range": [], "slope": []}
    for k, (z, a, l, u, size) in enumerate(zip(units.z, units.a, units.lower, units.upper, sizes)):
        unstable, width = (l < 0) & (u > 0), np.where(u > l, u - l, 1)
        chord = np.where(unstable, u * (z - l) / width, np.where(l >= 0, z, 0))
        if units.below is None:
            lowest = np.where(unstable, np.maximum(z, 0), chord)
            parts["range"].append(np.maximum(l - z, z - u) / size)
        else:
            slope = units.below[k]
            other = np.where(unstable, slope * z, chord)
            lowest, chord = np.minimum(other, chord), np.maximum(other, chord)
            parts["slope"].append(np.maximum(-slope, slope - 1))
        parts["below"].append((lowest - a) / size)
        parts["above"].append((a - chord) / size)
    lines = units.below is not None
    for name, shares in parts.items():
        if shares:
            yield _worst(UNIT_WORDS[name, lines], shares, attack.tolerance)
    yield _worst("every range has its ends in order", [l - u for l, u in zip(units.lower, units.upper)], 0.0)


UNIT_WORDS = {
    ("below", False): "outputs are not below the triangle of their range",
    ("above", False): "outputs are not above the triangle of their range",
    ("range", False): "pre-activations are inside their ranges",
    ("below", True): "outputs are not below both of their lines",
    ("above", True): "outputs are not above both of their lines",
    ("slope", True): "lower lines have slopes from 0 to 1",
}


def _fits(attack: RelaxedFile, subject: Subject) -> Check:
    """Whether the sizes in the file are those of the model."""
    network, content = subject.network, attack.content
    widths = tuple(len(layer.bias) for layer in network.layers)
    stored: tuple[int, ...] | None = None
    if isinstance(content, Outputs):
        wrong = [
            len(attack.lower) != network.input_size,
            len(attack.rows) != len(subject.rows.constant),
            len(content.y) != subject.rows.y.shape[1],
            bool(attack.splits),
        ]
        return Check("inputs, rows and outputs are those of the model", float(sum(wrong)), 0.0)
    if isinstance(content, PointAction):
        stored = content.units.widths if content.units else None
    elif not isinstance(content, Assignment):
        stored = tuple(map(len, content.lower))
    wrong = [
        len(attack.lower) != network.input_size,
        len(attack.rows) != len(subject.rows.constant),
        stored is not None and stored != widths,
        any(k >= len(widths) or i >= widths[k] for k, i, _ in attack.splits),
        bool(network.signs),
    ]
    return Check("inputs, rows and layers are those of the model, and all layers are ReLUs", float(sum(wrong)), 0.0)


def _box(attack: RelaxedFile, subject: Subject) -> Check:
    low, up = (np.array([float(v) for v in side]) for side in (subject.box.lower, subject.box.upper))
    size = np.maximum(np.maximum(np.abs(low), np.abs(up)), 1)
    share = np.maximum(low - attack.lower, attack.upper - up) / size
    return Check("the node's box is inside the case's", max(0.0, _largest(share)), attack.tolerance)


def _in_ball(attack: RelaxedFile, ball: Ball, x: np.ndarray) -> Check:
    """How far the input is beyond the ball's surface: as a share of the radius, for the norm the radius is 1 in."""
    finite = bool(np.isfinite(x).all())
    distance = ball.spent(list(map(Fraction, x.tolist()))) if finite else Fraction(0)
    outside = float(distance / ball.bound) ** (1 / ball.norm) - 1 if ball.bound else float(distance > 0)
    return Check("the input is in the ball", max(0.0, outside) if finite else np.inf, attack.tolerance)


def _inside(attack: RelaxedFile, x: np.ndarray) -> Check:
    size = np.maximum(np.maximum(np.abs(attack.lower), np.abs(attack.upper)), 1)
    share = np.maximum(attack.lower - x, x - attack.upper) / size
    return Check("the input is inside the box", max(0.0, _largest(share)), attack.tolerance, f"input {share.argmax()}")


def _affine(attack: RelaxedFile, network: ReluNetwork, x: np.ndarray, units: Units) -> tuple[list[np.ndarray], Check]:
    """The units' magnitudes by layer (n_k,), and |z - (W a + b)| as a share of them."""
    values = [part[None] for part in (x, *units.a)]
    absolute = [np.abs(part) for part in values]
    most = [np.maximum(np.abs(attack.lower), np.abs(attack.upper))[None]]  # of any real execution, by source
    sizes, shares = [], []
    for layer, z, l, u in zip(network.layers, units.z, units.lower, units.upper):
        at_action, at_most = (_magnitude(layer, parts) for parts in (absolute, most))
        size = np.minimum(np.maximum.reduce([at_action, np.abs(l), np.abs(u)]), at_most)
        sizes.append(np.maximum(size, NORMAL))
        shares.append(np.abs(z - layer.apply(values)[0]) / sizes[-1])
        most.append(at_most[None])
    name = "pre-activations are the affine maps of the outputs before them"
    return sizes, _worst(name, shares, attack.tolerance)


def _magnitude(layer: Layer, absolute: list[np.ndarray]) -> np.ndarray:
    """|W||a| + |b| (n,) for absolute values (1, n_j) of the sources."""
    return np.asarray(abs(layer).apply(absolute)[0] + np.abs(layer.bias) - layer.bias)


def _wider(attack: RelaxedFile, subject: Subject, ranges: Ranges) -> str:
    """How many ranges are wider than those of interval arithmetic, in words; "" for none."""
    assert isinstance(subject.network, ReluNetwork)
    bounds = interval_bounds(subject.network, attack.lower[None], attack.upper[None])[:-1]
    count = 0
    for (low, up), l, u in zip(bounds, *ranges):
        slack = attack.tolerance * np.maximum(np.abs(low[0]), np.abs(up[0]))
        count += int(((l < low[0] - slack) | (u > up[0] + slack)).sum())
    return (
        f"{count} units have ranges wider than interval arithmetic gives: the relaxation is weak there" if count else ""
    )


def _splits(attack: RelaxedFile, units: Units) -> Check:
    """A split neuron's range is on the split's side."""
    wrong = [-units.lower[k][i] if sign > 0 else units.upper[k][i] for k, i, sign in attack.splits]
    return Check("the ranges of split neurons are on their side", max(0.0, _largest(np.array(wrong))), 0.0)


def _sampled(attack: RelaxedFile, subject: Subject, units: Units, x: np.ndarray, sizes: list[np.ndarray]) -> Check:
    """Real pre-activations at some inputs of box and ball that obey the splits are inside the ranges."""
    network = subject.network
    ball = None if subject.ball is None else balls.Ball.rounded(subject.ball)
    points = balls.moved_inside(inputs_to_try(x, attack.lower, attack.upper, network), attack.lower, attack.upper, ball)
    obeys = np.ones(len(points), dtype=bool) if ball is None else ball.lengths(points) <= 1
    seen, _ = network.preactivations(points)
    for k, i, sign in attack.splits:
        obeys &= sign * seen[k][:, i] >= 0
    shares = []
    for z, l, u, size in zip(seen, units.lower, units.upper, sizes):
        outside = np.maximum(l - z[obeys], z[obeys] - u) / size
        shares.append(outside.max(axis=0, initial=0.0))
    return _worst(f"the ranges hold at {int(obeys.sum())} real inputs", shares, attack.tolerance)


def _executed(content: Assignment, network: ReluNetwork) -> PointAction:
    """The symbols' values as a point; what the model does not say of a unit is what the network makes of the rest.

    A unit without a range may be anything that is a ReLU, so its range is a point at its pre-activation.
    """

    def told(kind: str, k: int, otherwise: np.ndarray) -> np.ndarray:
        names = [f"{kind}{k}.{i}" for i in range(len(otherwise))]
        return np.array([float(content.values[n]) if n in content.values else v for n, v in zip(names, otherwise)])

    x = np.array([float(content.values[f"x{i}"]) for i in range(network.input_size)])
    values, zs, outputs = [x[None]], [], []
    for k, layer in enumerate(network.layers):
        zs.append(told("z", k, layer.apply(values)[0]))
        outputs.append(told("a", k, np.maximum(zs[-1], 0)))
        values.append(outputs[-1][None])
    ranges = tuple(zs)
    return PointAction(x, Units(ranges, tuple(outputs), ranges, ranges))


def _size(subject: Subject, x: np.ndarray) -> float:
    """Magnitude of the terms that the rows add up at a real input; what rounding is measured against."""
    y = np.nan_to_num(subject.network.evaluate(x[None])[0], nan=0.0, posinf=0.0, neginf=0.0)
    rows = subject.rows
    return 1.0 + _largest(np.abs(rows.x) @ np.abs(x) + np.abs(rows.y) @ np.abs(y) + np.abs(rows.constant))


def _largest(values: np.ndarray) -> float:
    return float(np.max(values, initial=-np.inf)) if len(values) else 0.0


def _worst(name: str, shares: list[np.ndarray], allowed: float) -> Check:
    """The largest share of all layers, and whose it is."""
    peaks = [(_largest(share), k) for k, share in enumerate(shares) if len(share)]
    worst, k = max(peaks, default=(0.0, 0), key=lambda peak: np.inf if np.isnan(peak[0]) else peak[0])
    where = f"layer {k} neuron {int(np.argmax(shares[k]))}" if peaks else ""
    return Check(name, max(0.0, worst) if worst == worst else np.nan, allowed, where)
