"""Seeded random questions (tests.strategies) and tiny networks in the form that the exact search reads."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np

from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.network import Layer, ReluNetwork
from relaxations.smt.encode import Affine, Question, exact, vector
from tests.oracle import Row
from tests.oracle import exact as exact_number
from tests.strategies import Question as Asked


def exact_question(asked: Asked) -> Question:
    """The same question, without any rounding: layers that read others, sums and the rows' own rationals."""
    inputs = asked.net.inputs
    read = {0: _eye(inputs)}
    layers: list[Affine] = []
    for depth, layer in enumerate(asked.net.layers, start=1):
        seen = _stacked(read, inputs) if layer.concat else read
        weight, bias = exact(layer.weight.astype(float)), exact(layer.bias.astype(float))
        affine = Affine(tuple((source, weight @ matrix) for source, matrix in seen.items()), bias)
        if depth == len(asked.net.layers):
            return _with_rows(asked, layers, affine)
        layers.append(affine)
        written = {depth: _eye(len(bias))}
        if layer.add:
            for source, matrix in read.items():
                written[source] = written[source] + matrix if source in written else matrix
        read = written
    raise AssertionError("a network has a last layer")


def random_network(sizes: list[int], seed: int) -> ReluNetwork:
    rng = np.random.default_rng(seed)
    layers = [
        Layer(((k, rng.normal(size=(b, a)) * np.sqrt(2 / a)),), rng.normal(size=b) / 4)
        for k, (a, b) in enumerate(pairwise(sizes))
    ]
    return ReluNetwork(sizes[0], tuple(layers[:-1]), layers[-1])


def random_query(sizes: list[int], seed: int, rows: int = 1) -> Query:
    """A query on [-1, 1]^n with rows over inputs and outputs."""
    rng = np.random.default_rng([seed, 1])
    on_x, on_y = rng.normal(size=(rows, sizes[0])), rng.normal(size=(rows, sizes[-1]))
    box = np.ones(sizes[0])
    return Query.over_box(random_network(sizes, seed), Rows(on_x, on_y, rng.normal(size=rows)), -box, box)


def oracle_rows(query: Query) -> list[Row]:
    rows = zip(query.rows.x, query.rows.y, query.rows.constant)
    return [Row(_terms(x), _terms(y), exact_number(constant)) for x, y, constant in rows]


def oracle_layers(query: Query) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(layer.terms[0][1], layer.bias) for layer in (*query.network.layers, query.network.output)]


def _terms(coefs: np.ndarray) -> tuple[tuple[int, Fraction], ...]:
    return tuple((i, exact_number(c)) for i, c in enumerate(coefs))


def _eye(size: int) -> np.ndarray:
    return exact(np.eye(size))


def _stacked(read: dict[int, np.ndarray], inputs: int) -> dict[int, np.ndarray]:
    """What is read, and the input below it."""
    above = len(next(iter(read.values())))
    found = {source: np.concatenate([m, exact(np.zeros((inputs, m.shape[1])))]) for source, m in read.items()}
    skip = np.concatenate([exact(np.zeros((above, inputs))), _eye(inputs)])
    found[0] = found[0] + skip if 0 in found else skip
    return found


def _with_rows(asked: Asked, layers: list[Affine], output: Affine) -> Question:
    on_x = exact(np.zeros((len(asked.rows), asked.net.inputs)))
    on_y = exact(np.zeros((len(asked.rows), asked.net.outputs)))
    for r, row in enumerate(asked.rows):
        for matrix, terms in ((on_x, row.x), (on_y, row.y)):
            for i, c in terms:
                matrix[r, i] += c
    terms = {0: on_x}
    for source, matrix in output.terms:
        terms[source] = terms[source] + on_y @ matrix if source in terms else on_y @ matrix
    bias = vector([row.constant for row in asked.rows]) + on_y @ output.bias
    rows = Affine(tuple(terms.items()), bias)
    # A row that is not strict fails only below 0.
    strict = tuple(not row.strict for row in asked.rows)
    return Question(tuple(layers), rows, vector(asked.lower), vector(asked.upper), strict)
