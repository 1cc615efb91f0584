"""Small random queries in short binary fractions, and their exact optimum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from relaxations.base import Query
from relaxations.bounds.balls import Ball
from relaxations.bounds.boxes import Rows
from relaxations.network import Layer, ReluNetwork
from tests.oracle import Network, Row, Unit, minimum_of_max


def eighths(rng: np.random.Generator, shape: int | tuple[int, ...], size: float = 1.0) -> np.ndarray:
    """Normal numbers rounded to multiples of 1/8: exact in every format, and quick for the oracle."""
    return np.round(rng.normal(size=shape) * size * 8) / 8


def random_network(rng: np.random.Generator, widths: Sequence[int], outputs: int, skips: bool = False) -> ReluNetwork:
    """Layers of ``widths[1:]`` ReLUs over ``widths[0]`` inputs; with ``skips`` layers read what is earlier as well."""
    layers = []
    for k, width in enumerate(widths[1:]):
        read = [j for j in range(k) if skips and rng.random() < 0.5]
        terms = [(j, eighths(rng, (width, widths[j]), 1 / np.sqrt(widths[j]))) for j in (*read, k)]
        layers.append(Layer(tuple(terms), eighths(rng, width, 0.5)))
    last = len(widths) - 1
    terms = [(last, eighths(rng, (outputs, widths[last]), 1 / np.sqrt(widths[last])))]
    if skips:
        terms.append((0, eighths(rng, (outputs, widths[0]))))
    return ReluNetwork(widths[0], tuple(layers), Layer(tuple(terms), eighths(rng, outputs)))


def random_query(seed: int, inputs: int = 3, neurons: int = 12, layers: int = 3, rows: int = 3) -> Query:
    """A query of at most these sizes, on a box of any width; every second network has skips."""
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(1, layers + 1))
    widths = [int(rng.integers(1, inputs + 1))]
    widths += [max(1, int(rng.integers(neurons // 2, neurons + 1)) // depth) for _ in range(depth)]
    network = random_network(rng, widths, int(rng.integers(1, 4)), skips=bool(seed % 2))
    count = int(rng.integers(1, rows + 1))
    x = eighths(rng, (count, widths[0])) * (rng.random() < 0.5)
    asked = Rows(x, eighths(rng, (count, len(network.output.bias))), eighths(rng, count))
    middle, radius = eighths(rng, widths[0], 0.5), 2.0 ** rng.integers(-3, 2)
    return Query.over_box(network, asked, middle - radius, middle + radius)


def ball_query(seed: int, kind: type[Ball] = Ball, **sizes: int) -> Query:
    """A query on a box and a ball: it may stick out of the box, lie inside, or have its centre outside the box.

    Every fourth ball is so large that it has no part in the matter.
    """
    query, rng = random_query(seed, **sizes), np.random.default_rng(seed)
    radius = (query.upper - query.lower) / 2
    middle, shift = (query.lower + query.upper) / 2, rng.normal(size=len(radius)) * rng.choice([0, 0.5, 1])
    radii = radius * 2.0 ** rng.integers(-1, 2, len(radius)) * (8 if seed % 4 == 3 else 1)
    center = middle + radii * shift / max(1.0, float(np.linalg.norm(shift, ord=kind.norm)))
    return Query.over_box(query.network, query.rows, query.lower, query.upper, kind(center, radii))


def hard_query(seed: int = 0) -> Query:
    """A query that no exact method decides within seconds: 80 unstable neurons over 8 inputs."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, [8, 40, 40], 3)
    rows = Rows(np.zeros((2, 8)), eighths(rng, (2, 3)), np.zeros(2))
    return Query.over_box(network, rows, np.full(8, -2.0), np.full(8, 2.0))


def degenerate_queries() -> Iterator[Query]:
    """A box of one point; all neurons active, inactive or constant; no ReLU at all."""
    query = random_query(7)
    layers = query.network.layers

    def asked(network: ReluNetwork, upper: np.ndarray = query.upper) -> Query:
        return Query.over_box(network, query.rows, query.lower, upper)

    yield asked(query.network, query.lower)
    for shift in (500.0, -500.0):
        yield asked(replace(query.network, layers=tuple(replace(z, bias=z.bias + shift) for z in layers)))
    constant = (replace(z, terms=tuple((s, 0 * w) for s, w in z.terms)) for z in layers)
    yield asked(replace(query.network, layers=tuple(constant)))
    inputs = query.network.input_size
    output = Layer(
        ((0, eighths(np.random.default_rng(0), (query.rows.y.shape[1], inputs))),), query.network.output.bias
    )
    yield asked(ReluNetwork(inputs, (), output))


def random_queries(count: int, **sizes: int) -> Iterator[Query]:
    return (random_query(seed, **sizes) for seed in range(count))


def inputs_of(query: Query, rng: np.random.Generator, count: int) -> np.ndarray:
    """Inputs (``count``, n) of the query, a fourth of them corners of the box, moved into the ball if it has one."""
    inside = rng.uniform(query.lower, query.upper, size=(count, len(query.lower)))
    corners = np.where(rng.random(inside.shape) < 0.5, query.lower, query.upper)
    points = np.where(rng.random(count)[:, None] < 0.25, corners, inside)
    return points if query.ball is None else query.ball.moved_inside(points, query.lower, query.upper, 0.0)


def exact_network(query: Query) -> Network:
    """The query's network as the oracle knows it."""
    read: list[list[int]] = [list(range(query.network.input_size))]
    units: list[Unit] = []
    for layer in (*query.network.layers, query.network.output):
        first = query.network.input_size + len(units)
        for i, bias in enumerate(layer.bias):
            terms = tuple(
                (read[s][j], Fraction(float(w))) for s, weight in layer.terms for j, w in enumerate(weight[i]) if w
            )
            units.append(Unit(terms, Fraction(float(bias)), relu=layer is not query.network.output))
        read.append(list(range(first, query.network.input_size + len(units))))
    return Network(query.network.input_size, tuple(units), tuple(read[-1]))


def exact_rows(query: Query) -> list[Row]:
    def terms(row: np.ndarray) -> tuple[tuple[int, Fraction], ...]:
        return tuple((i, Fraction(float(c))) for i, c in enumerate(row) if c)

    rows = query.rows
    return [Row(terms(x), terms(y), Fraction(float(c))) for x, y, c in zip(rows.x, rows.y, rows.constant)]


def exact_optimum(query: Query) -> Fraction:
    """The adversary's best score over the box."""
    return -minimum_of_max(exact_network(query), query.lower, query.upper, exact_rows(query))[0]
