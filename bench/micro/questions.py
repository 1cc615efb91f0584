"""What the micro-benchmarks ask about each network."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bench.micro.networks import NETWORKS
from relaxations.bounds.boxes import Rows
from specs.graph import Graph
from specs.problem import Box, Case, Problem, Row

SAMPLES, SEED = 200, 0
# Radius of the box, and how far down the threshold lies (see ``question``): such that at the time of writing an attack
# of seconds finds nothing, and neither does a search of seconds finish.
SETTINGS = {
    "dense-5-50x6": ("0.3", 1.0),
    "dense-784-256x4": ("0.006", 0.9),
    "conv": ("0.012", 0.9),
    "residual": ("0.006", 0.9),
}


@dataclass(frozen=True)
class Question:
    """Is output 0 always more than ``threshold`` above output 1, within ``radius`` of ``center`` in every input?

    All numbers have three decimals, so that the question's VNN-LIB form says them exactly.
    """

    name: str
    graph: Graph
    center: tuple[Fraction, ...]
    radius: Fraction
    threshold: Fraction

    @property
    def problem(self) -> Problem:
        box = Box(tuple(x - self.radius for x in self.center), tuple(x + self.radius for x in self.center))
        row = Row((), ((0, Fraction(1)), (1, Fraction(-1))), -self.threshold)
        return Problem(self.graph, (Case(box, (row,)),))

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of the inputs, each (inputs,)."""
        center, radius = np.array(self.center, dtype=float), float(self.radius)
        return center - radius, center + radius

    @property
    def rows(self) -> Rows:
        """The one row, ``output 0 - output 1 - threshold``."""
        y = np.zeros((1, self.graph.output_size))
        y[0, :2] = 1.0, -1.0
        return Rows(np.zeros((1, self.graph.input_size)), y, np.array([-float(self.threshold)]))


def question(name: str) -> Question:
    """The question about the network ``name``, a key of ``NETWORKS``.

    The threshold is set from the values at sampled corners of the box. Their standard deviation times the square root
    of the number of inputs is about what the worst corner is away from the mean where the network is nearly affine. So
    the question is about the network and never about how well it is bounded: better bounds meet the same question.
    """
    graph, (radius, depth) = NETWORKS[name](), SETTINGS[name]
    rng = np.random.default_rng(SEED)
    center = tuple(Fraction(int(x), 1000) for x in rng.integers(0, 1001, size=graph.input_size))
    corners = np.array(center, dtype=float) + rng.choice([-1, 1], size=(SAMPLES, graph.input_size)) * float(radius)
    values = [float(y[0] - y[1]) for y in map(graph.evaluate_flat, corners)]
    threshold = np.mean(values) - depth * graph.input_size**0.5 * np.std(values)
    return Question(name, graph, center, Fraction(radius), Fraction(round(1000 * float(threshold)), 1000))
