"""The same questions as the float checker, answered in exact rational arithmetic: slow, and short enough to believe.

The bounds follow the default rule of ``bounds`` (forward affine ranges, backward substitution for the neurons these
leave unstable) with two roundings that are sound by themselves:

* bounds l, u of a ReLU's argument are rounded outward to 60 significant bits: an enclosure stays one;
* the slope s = u / (u - l) is rounded down to 60 bits: for any s in [0, 1] and t = max(-s l, (1 - s) u) the line
  s z + t lies above max(0, z) at z = l and z = u, hence, by convexity, on all of [l, u].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import isfinite

import numpy as np

from verifier.checker.ball import ExactBall
from verifier.checker.errors import CheckError
from verifier.checker.exact_lines import ExactLines, drawn, round_down
from verifier.checker.exact_pairs import ExactPairLines, pair_lines, through, tighten, unsure
from verifier.checker.network import Affine, Input, Network, Relu, Sign
from verifier.checker.rational import Exact, zeros
from verifier.checker.rational_maps import ExactLinear, exact_map
from verifier.checker.vnnlib import QueryCase, QueryRow


def evaluate(network: Network, x: Sequence[Fraction]) -> list[Fraction]:
    """The network's real value at the rational point x."""
    if len(x) != network.sizes[0]:
        raise CheckError(f"the point has {len(x)} coordinates, the network {network.sizes[0]} inputs")
    values: list[Exact] = []
    for k, node in enumerate(network.nodes):
        match node:
            case Input():
                values.append(Exact.of(x))
            case Relu(parent):
                values.append(values[parent].positive())
            case Sign(parent):
                values.append(values[parent].sign())
            case Affine():
                total = Exact.of_floats(node.bias)
                for parent, m in node.terms:
                    total += exact_map(m, network.sizes[k], network.sizes[parent]).push(values[parent])
                values.append(total)
    return values[-1].fractions()


def row_value(row: QueryRow, x: Sequence[Fraction], y: Sequence[Fraction]) -> Fraction:
    total = sum((c * x[i] for i, c in row.x.items()), row.constant)
    return sum((c * y[j] for j, c in row.y.items()), total)


def prove_violation(network: Network, case: QueryCase, x: Sequence[float | Fraction]) -> bool:
    """Whether x, taken as exact rationals, is an input of the case and every row fails there, in real arithmetic."""
    if len(x) != len(case.lower) or not all(isfinite(value) for value in x):
        raise CheckError(f"the point is not {len(case.lower)} finite numbers")
    point = [Fraction(value) for value in x]
    if not case.contains(point):
        return False
    y = evaluate(network, point)
    values = [row_value(row, point, y) for row in case.rows]
    return not any(value > 0 or (value == 0 and not row.strict) for value, row in zip(values, case.rows, strict=True))


def lower_bounds(
    network: Network,
    lower: Sequence[Fraction],
    upper: Sequence[Fraction],
    rows: Sequence[QueryRow],
    ball: ExactBall | None = None,
) -> list[Fraction]:
    """For every row a number that its value does not fall below on the box, and in the ball if there is one.

    By the default rule of ``bounds``.
    """
    return ExactRelaxation(network, lower, upper, ball=ball).bounds(rows)


Refine = Callable[["ExactRelaxation", int, "list[Fraction]", "list[Fraction]"], None]


class ExactRelaxation:
    """The network over one box with a pair of lines for every ReLU."""

    def __init__(
        self,
        network: Network,
        lower: Sequence[Fraction],
        upper: Sequence[Fraction],
        refine: Refine | None = None,
        symbols: bool = False,
        ball: ExactBall | None = None,
        seconds: frozenset[int] = frozenset(),
    ) -> None:
        """``refine(self, relu, lower, upper)`` may tighten a ReLU's ranges in place; by default backward bounds do.

        With ``symbols`` the ranges are also those of a zonotope that has a symbol for every unstable ReLU. The nodes
        ``seconds`` are pairs with the ones before them: without a ``refine``, their differences are bounded.
        """
        if len(lower) != network.sizes[0] or any(low > up for low, up in zip(lower, upper, strict=True)):
            raise CheckError("the box is empty or not of the network's input size")
        self.network, self.ball = network, ball
        self.mid = Exact.of([(low + up) / 2 for low, up in zip(lower, upper, strict=True)])
        self.rad = Exact.of([(up - low) / 2 for low, up in zip(lower, upper, strict=True)])
        self.bias = {k: Exact.of_floats(n.bias) for k, n in enumerate(network.nodes) if isinstance(n, Affine)}
        self.maps: dict[int, list[tuple[int, ExactLinear]]] = {
            k: [(parent, exact_map(m, network.sizes[k], network.sizes[parent])) for parent, m in node.terms]
            for k, node in enumerate(network.nodes)
            if isinstance(node, Affine)
        }
        self.lines: dict[int, ExactLines] = {}
        self.ranges: dict[int, tuple[list[Fraction], list[Fraction]]] = {}  # of the argument, by ReLU node
        self.differences: dict[int, ExactPairLines] = {}  # by the second node of a pair
        self.seconds = seconds if refine is None else frozenset()
        self._relax(refine, _Symbols(self) if symbols else None)

    def bounds(self, rows: Sequence[QueryRow]) -> list[Fraction]:
        return self._concretise(*self._of_rows(rows))

    def forms(self, rows: Sequence[QueryRow]) -> list[tuple[list[Fraction], Fraction]]:
        """For every row ``form, constant`` with ``row >= form . (x - mid) + constant``."""
        form, constant = self._of_rows(rows)
        constants = (constant + form @ self.mid).fractions()
        return [(form[r].fractions(), constants[r]) for r in range(len(rows))]

    def _of_rows(self, rows: Sequence[QueryRow]) -> tuple[Exact, Exact]:
        coefs = {0: _coefficients([row.x for row in rows], self.network.sizes[0])}
        on_y = _coefficients([row.y for row in rows], self.network.sizes[-1])
        last = len(self.network.nodes) - 1
        coefs[last] = coefs[0] + on_y if last == 0 else on_y
        return self._backward(coefs, Exact.of([row.constant for row in rows]))

    def neuron_bounds(self, node: int, neurons: Sequence[int]) -> list[Fraction]:
        """Lower bounds of +v, then of -v, for values v of one node, by the lines as they stand."""
        unit = zeros(2 * len(neurons), self.network.sizes[node]).numerators
        for row, i in enumerate(neurons):
            unit[row, i], unit[len(neurons) + row, i] = 1, -1
        return self._concretise(*self._backward({node: Exact(unit)}, zeros(2 * len(neurons))))

    def _relax(self, refine: Refine | None, zonotope: _Symbols | None) -> None:
        """Lines for every ReLU in turn, from forward forms ``generators . (x - mid) + center +- remainder``.

        With ``refine`` these are intervals, without generators, as in ``bounds``: ranges that it leaves alone have to
        be as tight as the float checker's, which are intervals too.
        """
        size = self.network.sizes[0]
        identity = Exact(np.array([[int(i == j) for j in range(size)] for i in range(size)], dtype=object))
        forms: dict[int, tuple[Exact | None, Exact, Exact]] = {
            0: (identity, self.mid, zeros(size)) if refine is None else (None, self.mid, self.rad)
        }
        for k, node in enumerate(self.network.nodes[1:], start=1):
            if isinstance(node, Relu | Sign):
                generators, center, remainder = forms[node.parent]
                low, up = self._range(generators, center, remainder)
                if zonotope is not None:
                    inner = zonotope.range(node.parent)
                    low, up = list(map(max, low, inner[0])), list(map(min, up, inner[1]))
                if refine is not None:
                    refine(self, k, low, up)
                else:
                    self._refine(k, low, up)
                self.ranges[k] = [round_down(l) for l in low], [-round_down(-u) for u in up]
                if k in self.seconds:
                    difference, where = self._compare(k)
                    self.lines[k - 1] = drawn(self.network.nodes[k - 1], *self.ranges[k - 1])
                    self._step(k - 1, forms)
                self.lines[k] = lines = drawn(node, *self.ranges[k])
                if k in self.seconds:
                    self.differences[k] = pair_lines(difference, self.lines[k - 1], lines, where)
                if isinstance(node, Sign):
                    least, most = (Exact.of(side).sign() for side in self.ranges[k])
                    center, remainder = (most + least).half(), (most + -least).half()
                    forms[k] = (None if refine is not None else zeros(size, self.network.sizes[k]), center, remainder)
                    if zonotope is not None:
                        zonotope.sign(k, center, remainder)
                    continue
                if zonotope is not None:
                    zonotope.relu(k, node.parent, lines)
                self._step(k, forms)
            else:
                width = self.network.sizes[k]
                generators = None if refine is not None else zeros(size, width)
                center, remainder = self.bias[k], zeros(width)
                for parent, m in self.maps[k]:
                    read, middle, rest = forms[parent]
                    if generators is not None and read is not None:
                        generators += m.push(read)
                    center += m.push(middle)
                    remainder += abs(m).push(rest)
                forms[k] = (generators, center, remainder)
                if zonotope is not None:
                    zonotope.affine(k)

    def _step(self, k: int, forms: dict[int, tuple[Exact | None, Exact, Exact]]) -> None:
        """The form of a ReLU from that of its argument, its lines and its range."""
        node = self.network.nodes[k]
        assert isinstance(node, Relu)
        generators, center, remainder = forms[node.parent]
        s, half = self.lines[k].slope, self.lines[k].offset.half()
        if generators is not None:
            forms[k] = (generators * s, center * s + half, remainder * s + half)
        else:
            least, most = (Exact.of(side).positive() for side in self.ranges[k])
            forms[k] = (None, (most + least).half(), (most + -least).half())

    def _compare(self, k: int) -> tuple[tuple[list[Fraction], list[Fraction]], list[int]]:
        """Ranges of the differences of a pair's arguments, and the neurons that want one; tightens their own ranges."""
        one, two = (self.network.nodes[j].parent for j in (k - 1, k))  # type: ignore[union-attr]
        where = unsure(self.ranges[k - 1], self.ranges[k])
        width = self.network.sizes[k]
        low, up = [Fraction(0)] * width, [Fraction(0)] * width
        if where:
            rows = zeros(2 * len(where), width).numerators
            for row, i in enumerate(where):
                rows[row, i], rows[len(where) + row, i] = 1, -1
            unit = Exact(rows)
            coefs = {one: unit + -unit} if one == two else {one: unit, two: -unit}
            found = self._concretise(*self._backward(coefs, zeros(2 * len(where))))
            for row, i in enumerate(where):
                low[i], up[i] = round_down(found[row]), -round_down(found[len(where) + row])
        tighten(self.ranges[k - 1], self.ranges[k], (low, up), where)
        return (low, up), where

    def _range(
        self, generators: Exact | None, center: Exact, remainder: Exact
    ) -> tuple[list[Fraction], list[Fraction]]:
        """Bounds of forms ``generators . (x - mid) + center +- remainder``: over the box and over the ball."""
        radius = remainder if generators is None else self.rad @ abs(generators) + remainder
        low, up = (center + -radius).fractions(), (center + radius).fractions()
        if self.ball is None or generators is None:
            return low, up
        mid, rad = self.mid.fractions(), self.rad.fractions()
        for n, (value, rest) in enumerate(zip(center.fractions(), remainder.fractions(), strict=True)):
            least, most = self.ball.ends(generators[:, n].fractions(), mid, rad)
            low[n], up[n] = max(low[n], value + least - rest), min(up[n], value + most + rest)
        return low, up

    def _refine(self, relu: int, low: list[Fraction], up: list[Fraction]) -> None:
        """Backward bounds of what is unstable; without an earlier ReLU the forward form is already exact."""
        unstable = [i for i, (l, u) in enumerate(zip(low, up, strict=True)) if l < 0 < u]
        if self.lines and unstable:
            refined = self.neuron_bounds(self.network.nodes[relu].parent, unstable)  # type: ignore[union-attr]
            for row, i in enumerate(unstable):
                low[i], up[i] = max(low[i], refined[row]), min(up[i], -refined[len(unstable) + row])

    def _concretise(self, form: Exact, constant: Exact) -> list[Fraction]:
        """Bounds of ``form . x + constant`` from below: over the box or over the ball, whichever is larger."""
        over_box = (constant + form @ self.mid + -(abs(form) @ self.rad)).fractions()
        if self.ball is None:
            return over_box
        at_mid, mid, rad = (constant + form @ self.mid).fractions(), self.mid.fractions(), self.rad.fractions()
        moved = [self.ball.ends(form[row].fractions(), mid, rad)[0] for row in range(len(over_box))]
        return [max(low, value + least) for low, value, least in zip(over_box, at_mid, moved, strict=True)]

    def _backward(self, coefs: dict[int, Exact], constant: Exact) -> tuple[Exact, Exact]:
        """Affine lower bounds ``form . x + constant`` of rows ``sum of coefs[node] . value(node) + constant``."""
        for k in range(max(coefs), 0, -1):
            if k not in coefs:
                continue
            if k in self.differences and k - 1 in coefs:
                coefs[k - 1], coefs[k], on_d, moved = through(self.differences[k], coefs[k - 1], coefs[k])
                constant += moved
                for j, value in ((k - 1, on_d), (k, -on_d)):
                    parent = self.network.nodes[j].parent  # type: ignore[union-attr]
                    coefs[parent] = coefs[parent] + value if parent in coefs else value
            a, node = coefs.pop(k), self.network.nodes[k]
            if isinstance(node, Relu | Sign):
                lines = self.lines[k]
                negative = -(-a).positive()
                constant += negative @ lines.offset
                if lines.base is not None:
                    constant += a.positive() @ lines.base
                on_z = a.positive() * lines.below + negative * lines.slope
                pulled = [(node.parent, on_z if lines.shift is None else on_z + lines.shift)]
            else:
                constant += a @ self.bias[k]
                pulled = [(parent, m.pull(a)) for parent, m in self.maps[k]]
            for parent, value in pulled:
                coefs[parent] = coefs[parent] + value if parent in coefs else value
        return coefs.get(0, zeros(len(constant.numerators), self.network.sizes[0])), constant


class _Symbols:
    """A zonotope that is found forward: for each node generators (S, n) and a center (n,), all of them exact.

    The first generators are those of ``x - mid``; each ReLU appends those of a symbol in [-1, 1] for every unstable
    neuron.
    """

    def __init__(self, relaxation: ExactRelaxation) -> None:
        self.relaxation = relaxation
        self.inputs = self.count = len(relaxation.rad.numerators)
        generators = zeros(self.count, self.count).numerators
        np.fill_diagonal(generators, 1)
        self.forms = {0: (Exact(generators), relaxation.mid)}

    def range(self, node: int) -> tuple[list[Fraction], list[Fraction]]:
        generators, center = self.forms[node]
        remainder = Exact(abs(generators[self.inputs :]).numerators.sum(axis=0), generators.denominator)
        return self.relaxation._range(generators[: self.inputs], center, remainder)

    def affine(self, k: int) -> None:
        width = self.relaxation.network.sizes[k]
        generators, center = zeros(self.count, width), self.relaxation.bias[k]
        for parent, m in self.relaxation.maps[k]:
            generators += m.push(_padded(self.forms[parent][0], self.count))
            center += m.push(self.forms[parent][1])
        self.forms[k] = generators, center

    def relu(self, k: int, parent: int, lines: ExactLines) -> None:
        generators, center = self.forms[parent]
        half = lines.offset.half()
        new = self._symbols_for(half)
        self.forms[k] = _padded(generators * lines.slope, self.count) + new, center * lines.slope + half

    def sign(self, k: int, center: Exact, half: Exact) -> None:
        """Values between ``center - half`` and ``center + half``, about which nothing else is known."""
        self.forms[k] = self._symbols_for(half), center

    def _symbols_for(self, half: Exact) -> Exact:
        """Generators of new symbols, one for each element that is not 0."""
        some = np.flatnonzero(half.numerators)
        new = zeros(self.count + len(some), len(half.numerators)).numerators
        new[self.count + np.arange(len(some)), some] = half.numerators[some]
        self.count += len(some)
        return Exact(new, half.denominator)


def _padded(generators: Exact, count: int) -> Exact:
    """The same with rows of 0 up to ``count``."""
    have, width = generators.numerators.shape
    return Exact(np.concatenate([generators.numerators, zeros(count - have, width).numerators]), generators.denominator)


def _coefficients(rows: Sequence[dict[int, Fraction]], width: int) -> Exact:
    flat = Exact.of([row.get(i, Fraction(0)) for row in rows for i in range(width)])
    return Exact(flat.numerators.reshape(len(rows), width), flat.denominator)
