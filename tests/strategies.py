"""Seeded random questions about tiny networks that are hard to decide and whose exact answer is known.

``question(seed)`` is a network, a box and rows whose exact optimum lies far from, near, just above, just below or
exactly at the threshold. Everything can be written to files (``question.write(folder)``) or taken as values.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from specs.problem import Box, Case
from specs.problem import Row as ProblemRow
from tests.oracle import Network, Row, minimum_of_max
from tests.oracle.files import Layer, TinyNet, Weights, decimal, terms_of, vnnlib_text, write_onnx
from tests.oracle.regions import regions

MAX_REGIONS = 400  # keeps the exact answer to a fraction of a second
PLACEMENTS = ("far", "near", "just above", "just below", "at")


@dataclass(frozen=True)
class Question:
    """Is at least one row true everywhere in the box? ``holds`` is the exact answer.

    ``optimum`` is the exact least value over the box of the largest left-hand side, taken at ``worst``.
    """

    seed: int
    kind: str
    placement: str
    net: TinyNet
    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    rows: tuple[Row, ...]
    optimum: Fraction
    worst: tuple[Fraction, ...]

    @property
    def holds(self) -> bool:
        return self.optimum > 0 or (self.optimum == 0 and not self.rows[0].strict)

    @property
    def network(self) -> Network:
        return self.net.network()

    @property
    def vnnlib(self) -> str:
        return vnnlib_text(self.lower, self.upper, self.net.outputs, self.rows)

    @property
    def case(self) -> Case:
        """The question in the product's normal form."""
        rows = tuple(ProblemRow(row.x, row.y, row.constant, row.strict) for row in self.rows)
        return Case(Box(self.lower, self.upper), rows)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """``net.onnx`` and ``property.vnnlib`` in the folder; odd seeds use MatMul and Add in place of Gemm."""
        model = write_onnx(self.net, folder / "net.onnx", gemm=self.seed % 2 == 0)
        spec = folder / "property.vnnlib"
        spec.write_text(self.vnnlib, encoding="utf-8")
        return model, spec


def question(seed: int, placement: str | None = None, strict: bool | None = None) -> Question:
    """The question of this seed; ``placement`` (one of ``PLACEMENTS``) and strictness are drawn when not given.

    All rows of a question are equally strict; drawn ones are strict three times in four.
    """
    rng = random.Random(seed)
    kind = rng.choice(list(WEIGHTS))
    net = random_net(rng, kind)
    network = net.network()
    lower, upper = random_box(rng, net.inputs)
    while sum(1 for _ in islice(regions(network, lower, upper), MAX_REGIONS + 1)) > MAX_REGIONS:
        upper = tuple(low + (up - low) / 2 for low, up in zip(lower, upper))
    drawn_placement, drawn_strict = rng.choice(PLACEMENTS), rng.random() < 0.75
    placement = drawn_placement if placement is None else placement
    rows = random_rows(rng, net, drawn_strict if strict is None else strict)
    base, worst = minimum_of_max(network, lower, upper, rows)
    rows, optimum = place(rng, rows, base, placement)
    return Question(seed, kind, placement, net, lower, upper, rows, optimum, worst)


def random_net(rng: random.Random, kind: str) -> TinyNet:
    """1 to 4 inputs, 1 to 3 hidden layers with 24 ReLUs at most, 1 to 3 outputs; at times with skip connections."""
    draw = WEIGHTS[kind]
    depth = rng.randint(1, 3)
    sizes = [rng.randint(1, 4), *(rng.randint(1, 24 // depth) for _ in range(depth)), rng.randint(1, 3)]
    if rng.random() < 0.3:
        sizes[1:-1] = [sizes[1]] * depth  # equal widths leave room for residual additions
    layers = []
    for i, (width, height) in enumerate(pairwise(sizes)):
        concat = i > 0 and rng.random() < 0.15
        add = 0 < i < depth and width == height and rng.random() < 0.5
        weight, bias = draw(np.random.default_rng(rng.getrandbits(64)), height, width + concat * sizes[0])
        layers.append(Layer(weight, bias, concat, add))
    return TinyNet(sizes[0], tuple(layers))


def random_box(rng: random.Random, inputs: int) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """Boxes of many sizes whose bounds are finite decimals: dyadic, decimal, or any float32; some sides are points."""
    radius = rng.choice((0.02, 0.1, 0.5, 1.0, 2.0))
    grain = rng.choice((Fraction(1, 8), Fraction(1, 10), Fraction(1, 1000), None))
    lower, upper = [], []
    for _ in range(inputs):
        centre = rng.choice((0.0, rng.uniform(-1, 1)))
        side = 0.0 if rng.random() < 0.1 else radius * rng.uniform(0.5, 1)
        ends = [centre - side, centre + side]
        low, up = (round(e / grain) * grain if grain else Fraction(float(np.float32(e))) for e in ends)
        lower.append(Fraction(low))
        upper.append(Fraction(up))
    return tuple(lower), tuple(upper)


def random_rows(rng: random.Random, net: TinyNet, strict: bool) -> tuple[Row, ...]:
    """1 to 3 different rows over one output, a difference of outputs, a combination, or inputs and outputs."""
    return tuple(dict.fromkeys(_random_row(rng, net, strict) for _ in range(rng.choice((1, 1, 1, 2, 2, 3)))))


def _random_row(rng: random.Random, net: TinyNet, strict: bool) -> Row:
    x, y = [Fraction(0)] * net.inputs, [Fraction(0)] * net.outputs
    shape = rng.choice(("output", "difference", "combination", "joint"))
    if shape == "output" or net.outputs == 1:
        y[rng.randrange(net.outputs)] = Fraction(rng.choice((-1, 1)))
    elif shape == "difference":
        i, j = rng.sample(range(net.outputs), 2)
        y[i], y[j] = Fraction(1), Fraction(-1)
    else:
        y = [Fraction(rng.randint(-20, 20), 10) for _ in y]
    if shape == "joint":
        x = [Fraction(rng.randint(-20, 20), 10) for _ in x]
    return Row(terms_of(x), terms_of(y), Fraction(0), strict)


def place(rng: random.Random, rows: Sequence[Row], base: Fraction, placement: str) -> tuple[tuple[Row, ...], Fraction]:
    """The rows shifted (and, for ``at``, multiplied) by one finite decimal, and where that puts their optimum.

    ``base`` is the optimum before. ``far`` and ``near`` fall on either side at the scale of 1 and 1/1000 of it.
    """
    scale, size = Fraction(1), max(abs(base), Fraction(1, 1000))
    if placement == "at":
        if not _is_decimal(base):
            scale = Fraction(base.denominator)
        shift = -base * scale
    elif placement in ("just above", "just below"):
        grain = Fraction(1, 10 ** rng.choice((7, 9, 12, 16, 20, 30)))
        steps = -base // grain  # -base - grain < steps * grain <= -base
        shift = (steps + 1 if placement == "just above" else steps - 1) * grain
    else:
        reach = size if placement == "far" else size / 1000
        shift = round((-base + reach * Fraction(rng.uniform(-1, 1))) * 10**12) / Fraction(10**12)
    moved = tuple(Row(_times(r.x, scale), _times(r.y, scale), r.constant * scale + shift, r.strict) for r in rows)
    return moved, base * scale + shift


def _times(terms: Sequence[tuple[int, Fraction]], factor: Fraction) -> tuple[tuple[int, Fraction], ...]:
    return tuple((i, c * factor) for i, c in terms)


def _is_decimal(value: Fraction) -> bool:
    try:
        decimal(value)
    except ValueError:
        return False
    return True


Draw = Callable[[np.random.Generator, int, int], tuple[Weights, Weights]]


def _normal(rng: np.random.Generator, rows: int, columns: int) -> tuple[Weights, Weights]:
    return _float32(rng.normal(size=(rows, columns)) * np.sqrt(2 / columns), rng.normal(size=rows) / 4)


def _dyadic(rng: np.random.Generator, rows: int, columns: int) -> tuple[Weights, Weights]:
    return _float32(rng.integers(-12, 13, size=(rows, columns)) / 8, rng.integers(-8, 9, size=rows) / 8)


def _ties(rng: np.random.Generator, rows: int, columns: int) -> tuple[Weights, Weights]:
    """Signs and zeros without bias: many neurons are zero at the same points, and repeat each other."""
    return _float32(rng.integers(-1, 2, size=(rows, columns)), np.zeros(rows))


def _sparse(rng: np.random.Generator, rows: int, columns: int) -> tuple[Weights, Weights]:
    weight, bias = _normal(rng, rows, columns)
    return _float32(weight * (rng.random((rows, columns)) < 0.4), bias)


def _dead(rng: np.random.Generator, rows: int, columns: int) -> tuple[Weights, Weights]:
    """Some neurons are constant: switched off, exactly at zero, or on."""
    weight, bias = _normal(rng, rows, columns)
    constant = rng.random(rows) < 0.5
    return _float32(np.where(constant[:, None], 0, weight), np.where(constant, rng.choice([-1, 0, 1], size=rows), bias))


def _paired(rng: np.random.Generator, rows: int, columns: int) -> tuple[Weights, Weights]:
    """Neurons come with their negative, so that relu(z) - relu(-z) can cancel behind them."""
    weight, bias = _normal(rng, rows, columns)
    half = rows // 2
    weight[half : 2 * half], bias[half : 2 * half] = -weight[:half], -bias[:half]
    return weight, bias


def _large(rng: np.random.Generator, rows: int, columns: int) -> tuple[Weights, Weights]:
    weight, bias = _normal(rng, rows, columns)
    return _float32(weight * 2.0**9, bias * 2.0**9)


def _small(rng: np.random.Generator, rows: int, columns: int) -> tuple[Weights, Weights]:
    weight, bias = _normal(rng, rows, columns)
    return _float32(weight * 1e-4, bias * 1e-4)


def _mixed(rng: np.random.Generator, rows: int, columns: int) -> tuple[Weights, Weights]:
    """Magnitudes from 2^-12 to 2^12 in one layer: sums lose digits in floating point."""
    weight, bias = _normal(rng, rows, columns)
    return _float32(
        weight * 2.0 ** rng.integers(-12, 13, size=weight.shape), bias * 2.0 ** rng.integers(-12, 13, size=rows)
    )


def _float32(weight: np.ndarray, bias: np.ndarray) -> tuple[Weights, Weights]:
    return np.asarray(weight, dtype=np.float32), np.asarray(bias, dtype=np.float32)


WEIGHTS: dict[str, Draw] = {
    "normal": _normal,
    "dyadic": _dyadic,
    "ties": _ties,
    "sparse": _sparse,
    "dead": _dead,
    "paired": _paired,
    "large": _large,
    "small": _small,
    "mixed": _mixed,
}
