"""Checking moments: a positive semidefinite matrix that obeys what second moments of real executions obey.

With M = E[(1, v)(1, v)'] over the symbols v, every real execution gives M_00 = 1, M positive semidefinite, and for each
input and each unit with z = W a + b

    E[(x - l)(x - u)] <= 0        E[a] >= 0        E[a] >= E[z]        E[a (a - z)] = 0

and, where the inputs are those of a ball, ``E[sum w_i (x_i - c_i)^2] <= b`` (Raghunathan, Steinhardt and Liang 2018,
arXiv:1811.01057), or ``E[sum ((x_i - c_i) / r_i)^2] <= 1`` with ``r_i = b / w_i`` where its norm is 1. Units without a
symbol are stable; their outputs are affine in the others. Where there are pseudo-moments of higher degree, their whole
moment matrix has to be semidefinite too (Lasserre 2001).
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from relaxations.bounds.greedy import rows_layer
from relaxations.network import Layer
from specs.problem import Ball
from verifier.relaxed.contents import Moments, PseudoMoments, RelaxedFile
from verifier.relaxed.validate import NORMAL, Check, Subject

LARGEST_BASIS = 500  # rows of a moment matrix of higher degree that is checked
Content = Moments | PseudoMoments


def check_moments(
    attack: RelaxedFile, content: Content, subject: Subject
) -> tuple[list[Check], np.ndarray, np.ndarray]:
    """The checks, the expected values of the rows, and the expected input."""
    tolerance, network, checks = attack.tolerance, subject.network, []
    if isinstance(content, PseudoMoments):
        matrix, missing = _second(content)
        checks.append(Check("there is a pseudo-moment for every product of two symbols", float(missing), 0.0))
        checks.append(_higher(content, tolerance))
    else:
        matrix = content.matrix
        asymmetric = float(np.abs(matrix - matrix.T).max()) / max(float(np.abs(matrix).max()), NORMAL)
        checks.append(Check("the moment matrix is symmetric", asymmetric, tolerance))
    place = {symbol: i for i, symbol in enumerate(content.symbols)}
    inputs = np.array([place[f"x{i}"] for i in range(network.input_size)])
    checks += [
        Check("the moment of 1 is 1", abs(float(matrix[0, 0]) - 1), tolerance),
        _semidefinite("the moment matrix is positive semidefinite", matrix, tolerance),
        _inputs(attack, matrix, inputs),
    ]
    if subject.ball is not None:
        checks.append(_ball(attack, subject.ball, matrix, inputs))
    forms = [np.eye(len(matrix))[inputs]]  # every value as a combination of the symbols
    shares: dict[str, list[float]] = {"E[a] is not negative": [], "E[a] is not below E[z]": [], "E[a (a - z)] is 0": []}
    stable: list[float] = []
    for k, layer in enumerate(network.layers):
        z = _applied(layer, forms)
        a = np.zeros_like(z)
        named = np.array([f"a{k}.{i}" in place for i in range(len(z))])
        a[named] = np.eye(len(matrix))[[place[f"a{k}.{i}"] for i in np.flatnonzero(named)]]
        active = ~named & (content.lower[k] >= 0)
        a[active] = z[active]
        unknown = ~named & (content.lower[k] < 0) & (content.upper[k] > 0)
        stable.append(float(unknown.sum()))
        mean_z, mean_a = z @ matrix[0], a @ matrix[0]
        size = np.maximum(np.maximum(np.abs(content.lower[k]), np.abs(content.upper[k])), NORMAL)
        product = np.einsum("ij,ij->i", a @ matrix, a - z)
        ours = (-mean_a / size, (mean_z - mean_a) / size, np.abs(product) / size**2)
        for name, share in zip(shares, ours):
            shares[name].append(float(share[named].max(initial=0.0)))
        forms.append(a)
    checks.append(Check("neurons without a symbol are stable in their ranges", max(stable, default=0.0), 0.0))
    checks += [Check(name, max(found, default=0.0), tolerance) for name, found in shares.items()]
    expected = _applied(rows_layer(subject.rows, network.output), forms) @ matrix[0]
    return checks, expected, matrix[0, inputs]


def _applied(layer: Layer, forms: list[np.ndarray]) -> np.ndarray:
    """A layer's values as combinations (n, s) of the symbols."""
    linear = (layer.apply([form.T for form in forms]) - layer.bias).T
    linear[:, 0] += layer.bias
    return linear


def _inputs(attack: RelaxedFile, matrix: np.ndarray, inputs: np.ndarray) -> Check:
    l, u, mean = attack.lower, attack.upper, matrix[0, inputs]
    size = np.maximum(np.maximum(np.abs(l), np.abs(u)), 1)
    share = (matrix[inputs, inputs] - (l + u) * mean + l * u) / size**2
    return Check("E[(x - l)(x - u)] is not positive", max(0.0, float(share.max())), attack.tolerance)


def _ball(attack: RelaxedFile, ball: Ball, matrix: np.ndarray, inputs: np.ndarray) -> Check:
    """As a share of the squared radius; of a ball of one point as a share of what squares of inputs are."""
    scale = ball.bound if ball.norm == 1 and ball.bound else 1  # (w / b)^2 <= 1 is w^2 / b <= b
    center = np.array([float(v) for v in ball.center])
    weights = np.array([float(weight ** (2 // ball.norm) / scale) for weight in ball.weights])
    squares = matrix[inputs, inputs] - 2 * center * matrix[0, inputs] + center**2
    size = float(ball.bound) or float(weights @ np.maximum(center**2, 1))
    outside = (float(weights @ squares) - float(ball.bound)) / size
    return Check("E[(x - c)^2] is that of the ball at most", max(0.0, outside), attack.tolerance)


def _semidefinite(name: str, matrix: np.ndarray, tolerance: float) -> Check:
    """By the least eigenvalue, as a share of the trace."""
    if not np.isfinite(matrix).all():
        return Check(name, np.inf, tolerance)
    least = float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
    return Check(name, max(0.0, -least / max(float(np.trace(matrix)), NORMAL)), tolerance)


def _second(content: PseudoMoments) -> tuple[np.ndarray, int]:
    """The matrix of second moments, and how many of its entries are not told."""
    order = len(content.symbols)
    known = {tuple(e): float(v) for e, v in zip(content.exponents.tolist(), content.values)}
    matrix, missing = np.zeros((order, order)), 0
    for i, j in combinations_with_replacement(range(order), 2):
        exponent = [0] * order
        exponent[i] += 1
        exponent[j] += 1
        value = known.get(tuple(exponent[1:]))
        missing += value is None
        matrix[i, j] = matrix[j, i] = 0.0 if value is None else value
    return matrix, missing


def _higher(content: PseudoMoments, tolerance: float) -> Check:
    """The moment matrix over all monomials of half the degree whose products are all told."""
    exponents = content.exponents
    degree = int(exponents.sum(axis=1).max(initial=0))
    basis = exponents[2 * exponents.sum(axis=1) <= degree]
    name = f"the moment matrix of degree {degree} is positive semidefinite"
    if len(basis) > LARGEST_BASIS:
        return Check(f"{name}: too large to be checked", np.inf, tolerance)
    known = {tuple(e): float(v) for e, v in zip(exponents.tolist(), content.values)}
    sums = (basis[:, None] + basis[None]).reshape(-1, exponents.shape[1]).tolist()
    values = [known.get(tuple(exponent)) for exponent in sums]
    if any(value is None for value in values):
        return Check(f"{name}: not all of its entries are told", np.inf, tolerance)
    return _semidefinite(name, np.array(values, dtype=float).reshape(len(basis), -1), tolerance)
