"""Bounds of the search and of the checker: nothing real lies outside, and they are tight where theory says so.

The checker's bounds are compared without tolerance. Those of the search are plain floating point; the tolerance is the
a-priori error of its sums, (terms + 8) * layers * 16 roundings of the largest magnitude that any sum can have.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from relaxations.bounds import forward
from relaxations.bounds.boxes import BoxBounder, Rows
from relaxations.bounds.interval import interval_bounds
from relaxations.functions.relu import lines
from relaxations.lowering import lower
from relaxations.network import Layer, ReluNetwork
from specs.loading import load_model
from tests.oracle import Network, Row, minimum, number_of_regions
from tests.oracle.files import TinyNet
from tests.soundness.deciding import checker_of
from tests.soundness.seeds import seeds
from tests.strategies import Question, question
from verifier.checker.boxes import Boxes
from verifier.checker.check import Checker
from verifier.engine.floats import float_rows

pytest.importorskip("onnx")
remembered = cache(question)
SEEDS = seeds(30, stream=6)
KINDS = ("whole", "part", "thin", "point")
PRECISIONS = [np.float64, np.float32]


@dataclass(frozen=True)
class Case:
    question: Question
    network: ReluNetwork
    rows: Rows
    checker: Checker

    def box(self, kind: str, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
        """A box of float32 numbers inside the question's, whole (to rounding) or degenerate in some inputs."""
        low = np.array([float(v) for v in self.question.lower], dtype=np.float32)
        up = np.array([float(v) for v in self.question.upper], dtype=np.float32)
        ends = np.sort([[rng.uniform(a, b) for a, b in zip(low, up)] for _ in range(2)], axis=0).astype(np.float32)
        if kind == "thin":
            flat = np.array([rng.random() < 0.6 for _ in low])
            ends[1] = np.where(flat, ends[0], ends[1])
        elif kind == "point":
            ends[1] = ends[0]
        low, up = (low, up) if kind == "whole" else (ends[0], ends[1])
        return low.astype(np.float64), np.maximum(low, up).astype(np.float64)


@pytest.fixture(params=SEEDS, ids=str)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    q = remembered(request.param, "far")
    model, query = q.write(tmp_path)
    network = lower(load_model(model))
    rows = float_rows(q.case, network.input_size, len(network.output.bias))
    return Case(q, network, rows, checker_of(model, query))


def tolerance(case: Case, low: np.ndarray, up: np.ndarray, dtype: type) -> tuple[list[np.ndarray], np.ndarray]:
    """Rounding error of the pre-activations of each layer, of the outputs (last), and of the rows."""
    sizes, found = [np.maximum(abs(low), abs(up))], []
    layers = (*case.network.layers, case.network.output)
    unit = 16 * float(np.finfo(dtype).eps) * len(layers) * (max(case.network.widths) + 8)
    for layer in layers:
        size = sum((abs(w) @ sizes[s] for s, w in layer.terms), start=abs(layer.bias)) * 3  # lines may overshoot
        sizes.append(size)
        found.append(unit * size)
    size = abs(case.rows.x) @ sizes[0] + abs(case.rows.y) @ sizes[-1] + abs(case.rows.constant)
    return found, unit * size


def preactivation(net: TinyNet, layer: int, neuron: int) -> Network:
    """The exact network whose only output is the argument of one ReLU."""
    network = net.network()
    relus = [i for i, unit in enumerate(network.units) if unit.relu]
    start = sum(len(net.layers[k].bias) for k in range(layer))
    unit = network.units[relus[start + neuron]]
    whole = Network(network.inputs, network.units[: relus[start + neuron]], ())
    whole = whole.extended(replace(unit, relu=False))
    return Network(whole.inputs, whole.units, (whole.inputs + len(whole.units) - 1,))


def exact_range(network: Network, output: int, low: Sequence[float], up: Sequence[float]) -> tuple[float, float]:
    one = Fraction(1)
    least = minimum(network, low, up, Row((), ((output, one),)))
    return float(least), -float(minimum(network, low, up, Row((), ((output, -one),))))


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_rows_and_ranges_contain_what_is_exact(case: Case, dtype: type) -> None:
    rng = random.Random(case.question.seed)
    for kind in KINDS:
        low, up = case.box(kind, rng)
        bounds = BoxBounder(case.network.astype(dtype), case.rows).bounds(low[None], up[None])
        on_layers, on_rows = tolerance(case, low, up, dtype)
        for r, row in enumerate(case.question.rows):
            exact = float(minimum(case.question.network, low, up, row))
            assert bounds.lower[0, r] <= exact + on_rows[r]
            if kind == "point":
                assert bounds.lower[0, r] >= exact - on_rows[r], "a point has one value"
        for layer, (l, u) in enumerate(bounds.ranges):
            for neuron in rng.sample(range(l.shape[1]), min(2, l.shape[1])):
                least, most = exact_range(preactivation(case.question.net, layer, neuron), 0, low, up)
                assert l[0, neuron] <= least + on_layers[layer][neuron]
                assert u[0, neuron] >= most - on_layers[layer][neuron]


@pytest.mark.parametrize("method", ["interval", "forward"])
def test_cheap_bounds_contain_what_is_exact(case: Case, method: str) -> None:
    rng = random.Random(case.question.seed + 1)
    bound = {"interval": interval_output, "forward": forward_output}[method]
    for kind in KINDS:
        low, up = case.box(kind, rng)
        l, u = bound(case.network, low, up)
        slack = tolerance(case, low, up, np.float64)[0][-1]
        for j in range(len(l)):
            least, most = exact_range(case.question.network, j, low, up)
            assert l[j] <= least + slack[j]
            assert u[j] >= most - slack[j]


def interval_output(network: ReluNetwork, low: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    l, u = interval_bounds(network, low[None], up[None])[-1]
    return l[0], u[0]


def forward_output(network: ReluNetwork, low: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rad, forms = (up - low)[None] / 2, [forward.of_input((low + up)[None] / 2, np)]
    for layer in network.layers:
        form = forward.through_affine(layer, magnitudes(layer), forms)
        forms.append(forward.through_relu(form, lines(*forward.interval(form, rad, np), np)))
    l, u = forward.interval(forward.through_affine(network.output, magnitudes(network.output), forms), rad, np)
    return l[0], u[0]


def magnitudes(layer: Layer) -> Layer:
    return Layer(tuple((s, abs(w)) for s, w in layer.terms), layer.bias)


def test_the_checker_is_below_every_exact_value(case: Case) -> None:
    """Not only the bound of a box but the affine form itself, at exact points, without tolerance."""
    rng, q = random.Random(case.question.seed + 2), case.question
    for kind in KINDS:
        low, up = case.box(kind, rng)
        boxes = Boxes.of(low[None], up[None])
        bound = case.checker.bounder.lower(boxes, case.checker.questions[0].rows)
        mid = [Fraction(float(v)) for v in boxes.mid[0]]
        for r, row in enumerate(q.rows):
            assert Fraction(float(bound.lower[0, r])) <= minimum(q.network, low, up, row)
            form = [Fraction(float(a)) for a in bound.form[0, r]]
            free = Fraction(float(bound.constant[0, r])) - Fraction(float(bound.error[0, r]))
            for _ in range(12):
                share = [Fraction(rng.choice((0, 1, rng.randint(0, 997) / Fraction(997)))) for _ in low]
                x = [Fraction(a) + s * (Fraction(b) - Fraction(a)) for a, b, s in zip(low, up, share)]
                line = free + sum(a * (v - m) for a, v, m in zip(form, x, mid))
                assert line <= q.network.margin(row, x)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_affine_networks_are_bounded_exactly(case: Case, dtype: type) -> None:
    """Without a ReLU every affine bound is the minimum; interval bounds are, output by output."""
    net = TinyNet(case.question.net.inputs, (replace(case.question.net.layers[0], concat=False, add=False),))
    layer = net.layers[0]
    network = ReluNetwork(net.inputs, (), Layer(((0, layer.weight.astype(float)),), layer.bias.astype(float)))
    exact = net.network()
    width, rng = len(layer.bias), random.Random(case.question.seed + 3)
    for kind in KINDS:
        low, up = case.box(kind, rng)
        rows = Rows(np.zeros((width, net.inputs)), np.eye(width), np.zeros(width))
        found = BoxBounder(network.astype(dtype), rows).bounds(low[None], up[None]).lower[0]
        size = abs(layer.weight) @ np.maximum(abs(low), abs(up)) + abs(layer.bias)
        slack = 4 * (net.inputs + 4) * float(np.finfo(dtype).eps) * size
        interval_l, _ = interval_output(network, low, up)
        forward_l, _ = forward_output(network, low, up)
        for j in range(width):
            least = float(minimum(exact, low, up, Row((), ((j, Fraction(1)),))))
            assert abs(found[j] - least) <= slack[j]
            assert abs(interval_l[j] - least) <= slack[j]
            assert abs(forward_l[j] - least) <= slack[j]


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_boxes_on_which_every_relu_is_stable_are_bounded_exactly(case: Case, dtype: type) -> None:
    """One activation region means one affine function: shrink the box around a point until it is one."""
    q = case.question
    low, up = case.box("part", random.Random(q.seed + 4))
    while number_of_regions(q.network, low, up) > 1:
        up = ((low + (up - low) / 4).astype(np.float32)).astype(np.float64)
    up = np.maximum(low, up)
    bounds = BoxBounder(case.network.astype(dtype), case.rows).bounds(low[None], up[None])
    slack = tolerance(case, low, up, dtype)[1]
    for r, row in enumerate(q.rows):
        assert abs(bounds.lower[0, r] - float(minimum(q.network, low, up, row))) <= slack[r]


@pytest.mark.parametrize(
    ("low", "up", "x", "y", "by_hand"),
    [
        (-1, 1, 0, 1, 0),  # lower slope 0, since u > -l is false: relu >= 0
        (-1, 1, 0, -1, -1),  # upper line z/2 + 1/2
        (-1, 1, 0.5, -1, -0.5),  # z/2 - (z/2 + 1/2): the minimum itself
        (-1, 1, -0.5, 1, -0.5),  # 0 - z/2 at 1, while the minimum is 0: what the relaxation costs
        (-1, 3, 0, 1, -1),  # lower slope 1: relu >= z
        (-1, 3, -0.5, 1, -0.5),  # z - z/2 at -1
        (-1, 3, 0.75, -1, -0.75),  # upper line 3/4 z + 3/4
        (-3, 1, -0.5, 1, -0.5),  # lower slope 0: -z/2 at 1
        (-3, 1, 0, -1, -1),  # upper line z/4 + 3/4 at 1
        (0, 2, -1, 1, 0),  # stable: relu(z) - z = 0
        (-2, 0, 0, 1, 0),  # stable: relu(z) = 0
    ],
)
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_one_relu_by_hand(low: float, up: float, x: float, y: float, by_hand: float, dtype: type) -> None:
    """Least value of ``x z + y relu(z)`` over [low, up] under the triangle's lines; all numbers are dyadic."""
    one = np.ones((1, 1))
    network = ReluNetwork(1, (Layer(((0, one),), np.zeros(1)),), Layer(((1, one),), np.zeros(1)))
    rows = Rows(np.array([[float(x)]]), np.array([[float(y)]]), np.zeros(1))
    bounds = BoxBounder(network.astype(dtype), rows).bounds(np.array([[float(low)]]), np.array([[float(up)]]))
    assert bounds.lower[0, 0] == by_hand


def test_upper_lines_are_never_looser_than_intervals(case: Case) -> None:
    """One hidden layer and outputs that only fall with it: its chords end at the interval's ends, so CROWN wins.

    No more is true in general: with slope 1 below, CROWN can be looser than intervals.
    """
    rng = np.random.default_rng(case.question.seed)
    weight, bias = rng.normal(size=(8, case.network.input_size)), rng.normal(size=8)
    output = Layer(((1, -rng.random((3, 8))),), rng.normal(size=3))
    network = ReluNetwork(case.network.input_size, (Layer(((0, weight),), bias),), output)
    rows = Rows(np.zeros((3, network.input_size)), np.eye(3), np.zeros(3))
    for kind in KINDS:
        low, up = case.box(kind, random.Random(case.question.seed + 5))
        crown = BoxBounder(network, rows).bounds(low[None], up[None])
        for found, interval in zip(crown.ranges[0], interval_bounds(network, low[None], up[None])[0]):
            assert np.allclose(found, interval, rtol=1e-12, atol=1e-12), "the first layer is affine: all agree"
        assert (crown.lower[0] >= interval_output(network, low, up)[0] - 1e-12).all()


def test_an_interval_can_beat_crown() -> None:
    """relu(z) on [-1, 3] is at least 0 by intervals and at least -1 by the line of slope 1."""
    one = np.ones((1, 1))
    network = ReluNetwork(1, (Layer(((0, one),), np.zeros(1)),), Layer(((1, one),), np.zeros(1)))
    low, up = np.array([-1.0]), np.array([3.0])
    rows = Rows(np.zeros((1, 1)), one, np.zeros(1))
    assert interval_output(network, low, up)[0][0] == 0
    assert BoxBounder(network, rows).bounds(low[None], up[None]).lower[0, 0] == -1
