"""Relaxed attacks of every kind that are true, to be written, read, and spoilt."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO

import numpy as np

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.bounds.greedy import greedy, rows_layer
from specs.problem import Box
from tests.unit.verifier.relaxed.drawn import Drawn, drawn
from verifier.engine.outputs import relaxed_attack_on_outputs
from verifier.relaxed.contents import (
    Assignment,
    Content,
    File,
    Moments,
    PointAction,
    PseudoMoments,
    RelaxedFile,
    Units,
)
from verifier.relaxed.validate import Subject
from verifier.relaxed.write import RelaxedDraft

MODEL, QUERY = File("a" * 64, "net.onnx"), File("b" * 64, "prop.vnnlib")


def obstacle(first: int) -> Drawn:
    """The first drawn question from this seed on that the triangle relaxation has no proof for, with gaps to spoil."""
    return next(
        one
        for one in map(drawn, range(first, first + 50))
        if one.value > 0.1 and max(float(gap.max()) for gap in one.action.gaps()) > 0.05
    )


def subject(query: Query) -> Subject:
    box = Box(tuple(map(Fraction, query.lower.tolist())), tuple(map(Fraction, query.upper.tolist())))
    return Subject(query.network, query.rows, box)


def about(query: Query, relaxation: str, content: Content, rows: np.ndarray, weights=None) -> RelaxedFile:
    score = -float(rows.max() if weights is None else weights @ rows)
    return RelaxedFile(relaxation, 0, query.lower, query.upper, rows, score, content, MODEL, QUERY, weights=weights)


def sides(query: Query) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    return tuple(l for l, _ in query.ranges), tuple(u for _, u in query.ranges)


def of_point(one: Drawn) -> RelaxedFile:
    """The best action of the linear program."""
    action, (l, u) = one.action, sides(one.query)
    return about(one.query, "lp", PointAction(action.x, Units(action.z, action.a, l, u)), action.margins(one.query))


def of_lines(one: Drawn) -> RelaxedFile:
    """The action behind CROWN's bound of the first row."""
    query, weights = one.query, np.eye(len(one.query.rows.constant))[0]
    made = greedy(
        query.network, rows_layer(query.rows, query.network.output), weights, (query.lower, query.upper), query.ranges
    )
    units = Units(made.action.z, made.action.a, *sides(query), made.below)
    return about(query, "crown", PointAction(made.action.x, units), made.action.margins(query), weights)


def executions(query: Query, count: int = 5) -> tuple[tuple[str, ...], np.ndarray]:
    """Symbols, and their values (count, s) in real executions; of the inputs at which the first row is least."""
    points = np.random.default_rng(0).uniform(query.lower, query.upper, (2000, len(query.lower)))
    points = points[np.argsort(query.margins(points).max(axis=1))[:count]]
    seen, _ = query.network.preactivations(points)
    columns = [np.ones((count, 1)), points]
    symbols = ["1", *(f"x{i}" for i in range(points.shape[1]))]
    for k, z in enumerate(seen):
        units = query.unstable(k)
        columns.append(np.maximum(z[:, units], 0))
        symbols += [f"a{k}.{i}" for i in units]
    return tuple(symbols), np.concatenate(columns, axis=1)


def of_moments(query: Query, factor: bool) -> RelaxedFile:
    """The mean second moments of some real executions."""
    symbols, values = executions(query)
    v = (values / np.sqrt(len(values))).T
    content = Moments(symbols, v if factor else v @ v.T, factor, *sides(query))
    return about(query, "sdp", content, mean_rows(query, values))


def of_pseudo_moments(query: Query) -> RelaxedFile:
    """All moments up to the fourth in the inputs and unstable outputs, if these are few."""
    symbols, values = executions(query)
    count = len(symbols) - 1
    basis = np.vstack([np.zeros((1, count), int), np.eye(count, dtype=int)])
    pairs = np.unique((basis[:, None] + basis[None]).reshape(-1, count), axis=0)
    exponents = np.unique((pairs[:, None] + pairs[None]).reshape(-1, count), axis=0)
    moments = np.array([np.prod(values[:, 1:] ** e, axis=1).mean() for e in exponents])
    return about(query, "sos", PseudoMoments(symbols, exponents, moments, *sides(query)), mean_rows(query, values))


def mean_rows(query: Query, values: np.ndarray) -> np.ndarray:
    return query.margins(values[:, 1 : 1 + query.network.input_size]).mean(axis=0)


def of_model(query: Query) -> RelaxedFile:
    """A real execution in exact numbers, as a solver tells it."""
    _, values = executions(query, 1)
    x = values[0, 1 : 1 + query.network.input_size]
    point = Point.real(query, x)
    named = {f"x{i}": v for i, v in enumerate(x)}
    for k, (z, a) in enumerate(zip(point.z, point.a)):
        named |= {f"z{k}.{i}": v for i, v in enumerate(z)} | {f"a{k}.{i}": v for i, v in enumerate(a)}
    content = Assignment({name: Fraction(float(v)) for name, v in named.items()})
    return about(query, "smt", content, point.margins(query))


def of_outputs(query: Query) -> RelaxedFile:
    """Outputs moved against the gradient of the first row until all rows fail, in ranges that hold at real inputs."""
    x = (query.lower + query.upper) / 2
    found = relaxed_attack_on_outputs(query.network, query.rows, (query.lower, query.upper), None, 0, [x])
    assert found is not None
    return about(query, "outputs", found.action.content, found.action.rows, found.action.weights)


def packed(attack: RelaxedFile) -> bytes:
    out = BytesIO()
    RelaxedDraft(attack).write(out)
    return out.getvalue()
