"""Random tiny ReLU networks with skips and splits: the sub-problem of one node of a search by phases, three ways."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from relaxations.bounds.boxes import BoxBounder, Rows
from relaxations.bounds.dual import Duals, Frame, Pass, evaluate, lines
from relaxations.network import Layer, ReluNetwork
from tests.oracle import Network
from tests.oracle.network import Unit
from tests.oracle.regions import regions


class Node:
    """A network with skip connections, a box, a target of several rows, and random duals under phases of some input."""

    def __init__(self, seed: int, split: float = 0.4, rows: int = 2) -> None:
        rng = np.random.default_rng(seed)
        self.sizes = (2, 5, 4)
        first = Layer(((0, rng.normal(size=(5, 2))),), rng.normal(size=5) / 4)
        second = Layer(((0, rng.normal(size=(4, 2)) / 2), (1, rng.normal(size=(4, 5)))), rng.normal(size=4) / 4)
        self.target = Layer(
            tuple((s, rng.normal(size=(rows, n))) for s, n in enumerate(self.sizes)), rng.normal(size=rows)
        )
        self.network = ReluNetwork(2, (first, second), self.target)
        self.lower = rng.normal(size=2) / 2 - 0.6
        self.upper = self.lower + 1.2
        rows_of_outputs = Rows(np.zeros((rows, 2)), np.eye(rows), np.zeros(rows))
        self.crown = BoxBounder(self.network, rows_of_outputs).bounds(self.lower[None], self.upper[None])
        low, up = (tuple(side) for side in zip(*self.crown.ranges, strict=True))
        self.frame = Frame((self.lower + self.upper) / 2, (self.upper - self.lower) / 2, low, up)
        unstable = [(l < 0) & (u > 0) for l, u in zip(low, up)]
        self.seen, _ = self.network.preactivations(rng.uniform(self.lower, self.upper)[None])
        self.phases = tuple(
            np.where(where & (rng.random(z.shape) < split), np.sign(z), 0) for where, z in zip(unstable, self.seen)
        )
        self.duals = Duals(
            tuple(rng.uniform(0.05, 0.95, size=(1, n)) for n in self.sizes[1:]),
            tuple(np.abs(p) * rng.uniform(0.05, 0.5, size=p.shape) for p in self.phases),
            rng.uniform(0.1, 1, size=(1, rows)),
        )

    def crown_duals(self, weights: np.ndarray) -> Duals:
        """The default slopes and no multipliers, for rows of weights (N, R)."""
        slopes = [(u > -l).astype(float) for l, u in zip(self.frame.lower, self.frame.upper)]
        count = len(weights)
        return Duals(
            tuple(np.repeat(s, count, axis=0) for s in slopes),
            tuple(np.zeros((count, n)) for n in self.sizes[1:]),
            weights,
        )

    def evaluate(
        self, duals: Duals, phases: Sequence[np.ndarray | None] | None = None, with_cost: bool = False
    ) -> Pass:
        drawn = lines(self.frame, self.phases if phases is None else tuple(phases), np)
        return evaluate(self.network, self.target, self.frame, drawn, duals, np, with_cost, with_values=True)

    def sampled(self, count: int) -> np.ndarray:
        """Values (M, R) of the target at those of ``count`` random inputs that have the phases."""
        points = np.random.default_rng(0).uniform(self.lower, self.upper, size=(count, 2))
        seen, outputs = self.network.preactivations(points)
        here = np.all([(z * phase >= 0).all(axis=1) for z, phase in zip(seen, self.phases)], axis=0)
        return outputs[here]

    def minimum(self, weights: np.ndarray) -> Fraction:
        """Exact least value of ``weights @ target`` over the inputs that have the phases, region by region."""
        starts, units, arguments = [0], [], []
        for layer in (*self.network.layers, self.target):
            first = 2 + len(units)
            for i, constant in enumerate(layer.bias):
                read = tuple((starts[s] + j, Fraction(float(w))) for s, m in layer.terms for j, w in enumerate(m[i]))
                units.append(Unit(read, Fraction(float(constant))))
            starts.append(first)
            if layer is not self.target:
                arguments.append(range(first, first + len(layer.bias)))
                starts[-1] = first + len(layer.bias)
                units += [Unit(((v, Fraction(1)),), relu=True) for v in arguments[-1]]
        combined = tuple((starts[-1] + r, Fraction(float(w))) for r, w in enumerate(weights))
        network = Network(2, (*units, Unit(combined)), (2 + len(units),))
        low, up = ([Fraction(float(v)) for v in side] for side in (self.lower, self.upper))
        best: Fraction | None = None
        for region in regions(network, low, up):
            cell = region.cell
            for values, phase in zip(arguments, self.phases, strict=True):
                for v, sign in zip(values, phase[0], strict=True):
                    if sign and cell is not None:
                        cell = cell.cut([int(sign) * c for c in region.values[v]])
            if cell is not None:
                least = cell.minimise(region.values[-1])[0] / region.scales[-1]
                best = least if best is None else min(best, least)
        assert best is not None, "the phases are those of an input"
        return best

    def triangle_optimum(self, weights: np.ndarray) -> float:
        """The least value of ``weights @ target`` in the triangle relaxation under the phases, by SciPy."""
        from scipy.optimize import linprog

        starts = np.cumsum([0, *self.sizes])  # variables: the input, then every layer's relaxed output
        total = int(starts[-1])
        upper_rows, limits, equal_rows, values = [], [], [], []

        def argument(k: int, i: int) -> tuple[np.ndarray, float]:
            row = np.zeros(total)
            for source, m in self.network.layers[k].terms:
                row[starts[source] : starts[source] + self.sizes[source]] += m[i]
            return row, float(self.network.layers[k].bias[i])

        for k, phase in enumerate(self.phases):
            for i in range(self.sizes[k + 1]):
                z, constant = argument(k, i)
                a = np.eye(total)[starts[k + 1] + i]
                l, u = self.frame.lower[k][0, i], self.frame.upper[k][0, i]
                if phase[0, i] or not l < 0 < u:
                    active = phase[0, i] > 0 if phase[0, i] else l >= 0
                    equal_rows.append(a - z if active else a)
                    values.append(constant if active else 0.0)
                    if phase[0, i]:
                        upper_rows.append(-phase[0, i] * z)
                        limits.append(phase[0, i] * constant)
                    continue
                slope = u / (u - l)
                upper_rows += [z - a, -a, a - slope * z]
                limits += [-constant, 0.0, slope * (constant - l)]
        cost = np.zeros(total)
        for source, m in self.target.terms:
            cost[starts[source] : starts[source] + self.sizes[source]] += weights @ m
        bounds = [*zip(self.lower, self.upper, strict=True), *[(None, None)] * (total - 2)]
        found = linprog(cost, upper_rows, limits, equal_rows or None, values or None, bounds)
        assert found.status == 0, found.message
        return float(found.fun + weights @ self.target.bias)
