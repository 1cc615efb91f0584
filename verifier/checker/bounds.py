"""Lower bounds of rows over a network, valid in real arithmetic although computed in float64.

For a batch of boxes of inputs and rows ``a.x + c.y + d`` the result is, per box and row, an affine form
``A.(x - mid) + constant - error`` which never exceeds the row's value at any real x of the box. Intermediate bounds
of every ReLU are recomputed here; nothing is taken from the producer of a certificate.

How rounding is paid for (docs/reference/soundness.md has the proofs; U is 2^-52, twice the unit roundoff, so that
the bounds hold in every IEEE rounding mode):

* L1 Every computed sum of n products differs from the real one by at most gamma * (sum of |products|), with
  gamma = (2 n + 64) U, whatever the order of summation, with or without FMA; n is the largest in the network, plus
  the most terms added up at one node.
* L2 Coefficients are *point* floats. What rounding did to a coefficient is charged to the value it multiplies:
  ``error += gamma * |A|.H`` where H bounds |M||v| + |b| (affine), |z| (ReLU) or slope |z| (sign) over the box.
* L3 Running constants lose at most U |constant| a step.
* L4 Underflow loses at most TINY in all, given the caps on sizes, depth and magnitudes that are enforced.
* L5 ReLU on [l, u]: ``a <= s z + t`` for any s in [0, 1] and t >= max(-s l, (1 - s) u); ``a >= s z``.
* D1 A difference of ReLUs lies between lines in the difference of their arguments: see ``pairs``.
* L6 Sign on [l, u]: ``a <= s z + 1`` for any s in [0, -2 / l] and ``a >= s z - 1`` for any s in [0, 2 / u].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from verifier.checker.ball import Ball
from verifier.checker.boxes import MAX_MAGNITUDE, AffineBound, Boxes, Relaxation, Rows
from verifier.checker.errors import CheckError
from verifier.checker.forward import (
    Forward,
    clipped,
    output_size,
    range_in,
    range_of,
    stepped,
    summed,
    through,
)
from verifier.checker.linear import magnitude, pull, push, weights
from verifier.checker.lines import TINY, Lines, U, lines_of_sign, lines_on, of_rows
from verifier.checker.network import Affine, Input, LinearMap, Network, Node, Relu, Sign
from verifier.checker.pairs import (
    Paired,
    PairLines,
    Pairs,
    difference_rows,
    pair_lines,
    rows_of_values,
    side_by_side,
    tightened,
    unsure,
)
from verifier.checker.pairs import through as through_pair
from verifier.checker.structure import descends_from_relu, feeds_relu, gamma_of, parents
from verifier.checker.symbols import SYMBOL_CELLS, Symbols

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_NODES = 1000
MAX_SIZE = 10**8
ROWS_AT_ONCE = 1 << 22  # cells of one coefficient matrix; bounds memory, not results
CELLS_AT_ONCE, VALUES_AT_ONCE = 1 << 26, 1 << 15  # cells of one forward form, values of a batch
FORWARD_CELLS = 1 << 22  # inputs times values of the widest node, up to which forward forms carry generators


# refine(relu, lower, upper, lines of earlier ReLUs, sizes of earlier nodes): intersects lower and upper in place
Refine = Callable[[int, Floats, Floats, "dict[int, Lines]", "dict[int, Floats]"], None]


class Bounder:
    """The bound computation for one network; holds nothing but the network and what follows from it.

    With ``pairs`` the nodes are put in an order in which these are neighbours, and differences are bounded as well.
    """

    def __init__(self, network: Network, pairs: Pairs = ()) -> None:
        if len(network.nodes) > MAX_NODES or sum(network.sizes) > MAX_SIZE:
            raise CheckError(f"network has more than {MAX_NODES} layers or {MAX_SIZE} values")
        paired = side_by_side(network, pairs) if pairs else Paired(network, frozenset())
        self.network = network = paired.network
        self._seconds = paired.seconds
        self.gamma = gamma_of(network)
        # Speed and memory only: batches that fit a cache, and forward forms that fit the machine.
        fitting = CELLS_AT_ONCE // max(1, network.sizes[0] * max(network.sizes))
        self.boxes_at_once = max(1, min(fitting, max(32, min(256, VALUES_AT_ONCE // sum(network.sizes)))))
        self.weights = sum(weights(m) for node in network.nodes if isinstance(node, Affine) for _, m in node.terms)
        self._magnitudes: dict[int, tuple[LinearMap, ...]] = {
            k: tuple(magnitude(m) for _, m in node.terms)
            for k, node in enumerate(network.nodes)
            if isinstance(node, Affine)
        }
        self._last_reader = {parent: k for k, node in enumerate(network.nodes) for parent in parents(node)}
        for k in self._seconds:  # the first node of a pair is drawn again with the second
            (parent,) = parents(network.nodes[k - 1])
            self._last_reader[parent] = max(self._last_reader[parent], k)
        self._with_generators = network.sizes[0] * max(network.sizes) <= FORWARD_CELLS
        self._below_relu = descends_from_relu(network)
        self._feeds_relu = feeds_relu(network)

    def lower(self, boxes: Boxes, rows: Rows, refine: bool = True) -> AffineBound:
        """Affine lower bounds of all rows on all boxes, by the rule R0 (see docs/reference/certificate-format.md)."""
        with np.errstate(all="ignore"):  # overflow and NaN end in lower = -inf, never in a proof
            relaxation = self.relax(boxes, refine)
            count, width = len(boxes.lower), len(rows.constant)
            index = np.repeat(np.arange(count), width)
            tiled = Rows(np.tile(rows.x, (count, 1)), np.tile(rows.y, (count, 1)), np.tile(rows.constant, count))
            form, constant, error, low = self.combined(tiled, index, relaxation)
            shape = (count, width)
            return AffineBound(
                form.reshape(*shape, form.shape[1]), constant.reshape(shape), error.reshape(shape), low.reshape(shape)
            )

    def combined(
        self, rows: Rows, index: Ints, relaxation: Relaxation, error: Floats | None = None
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Form, constant, error and least value of one row per entry of ``index`` (its box in the relaxation).

        ``error`` is what the rows already lack. Callers silence NumPy's warnings.
        """
        boxes, sizes = relaxation.boxes, relaxation.sizes
        start = {len(self.network.nodes) - 1: rows.y}
        error = np.zeros(len(index)) if error is None else error
        if np.any(rows.x):
            start[0] = start.get(0, 0.0) + rows.x
            # Cancellation may shrink this coefficient later, so its rounding is charged here.
            error = error + 4 * self.gamma * (np.abs(rows.x) @ sizes[0].max(axis=0))
        form, constant, error = self._backward(
            start, rows.constant, error, index, relaxation.lines, sizes, boxes.mid[index], relaxation.differences
        )
        mid, rad = boxes.mid[index], boxes.rad[index]
        low = _concretise(form, constant, error, mid, rad, boxes.ball, self.gamma)
        return form, constant, error, np.where(relaxation.within_caps[index], low, -np.inf)

    def relax(self, boxes: Boxes, refine: bool | Refine = True, symbols: bool = False) -> Relaxation:
        """Lines of every ReLU and bounds ``size`` on |value| of every node, layer by layer.

        The ranges are those of the forward form, intersected with backward bounds where ``refine`` is True, or with
        what the function ``refine(relu, lower, upper, lines, sizes)`` writes into ``lower`` and ``upper`` (B, n); the
        forward forms are then intervals, so that later ranges profit from what it wrote. With ``symbols`` they are also
        intersected with those of a zonotope, in which every unstable ReLU has a symbol of its own; then B is 1. Where
        ``refine`` is True, differences of pairs are bounded.
        """
        with_generators = self._with_generators and not callable(refine)
        relaxed: dict[int, Lines] = {}
        forward: dict[int, Forward] = {}
        zonotope = Symbols(boxes, ended=not symbols or boxes.mid.shape[1] * max(self.network.sizes) > SYMBOL_CELLS)
        sizes: dict[int, Floats] = {}
        ranges: dict[int, tuple[Floats, Floats]] = {}
        differences: dict[int, PairLines] = {}
        for k, node in enumerate(self.network.nodes):
            match node:
                case Input(size):
                    sizes[k] = (np.abs(boxes.mid) + boxes.rad) * (1 + 2 * U)
                    if with_generators:  # up to the first ReLU all boxes share them
                        forward[k] = Forward(np.eye(size)[None], boxes.mid, np.zeros_like(boxes.mid), sizes[k])
                    else:
                        forward[k] = Forward(np.zeros((1, 0, size)), boxes.mid, boxes.rad, sizes[k])
                    zonotope.begin(sizes[k])
                case Affine() if not self._feeds_relu[k]:
                    sizes[k] = self._push_size(k, node, [sizes[parent] for parent, _ in node.terms])
                case Affine():
                    forward[k] = self._push_affine(k, node, forward)
                    sizes[k] = forward[k].size  # refining starts from rows on this very node
                    if zonotope.fits(zonotope.count, self.network.sizes[k]):
                        zonotope.forms[k] = self._push_affine(k, node, zonotope.forms)
                case Relu(parent) | Sign(parent):
                    l, u = self._range(forward[parent], boxes)
                    if not zonotope.ended:
                        low, up = self._range(zonotope.forms[parent], boxes)
                        l, u = np.maximum(l, low), np.minimum(u, up)
                    if callable(refine):
                        refine(k, l, u, relaxed, sizes)
                    elif refine and (self._below_relu[parent] or (boxes.ball is not None and not with_generators)):
                        self._refine(parent, l, u, relaxed, sizes, boxes, differences)
                    ranges[k] = l, u
                    compared = refine is True and k in self._seconds
                    if compared:
                        d, where = self._compare(k, ranges, relaxed, sizes, boxes, differences)
                    for j in (k - 1, k) if compared else (k,):
                        relaxed[j] = drawn(self.network.nodes[j], *ranges[j])
                        self._step(j, ranges[j], relaxed[j], forward, sizes, with_generators)
                    if compared:
                        differences[k] = pair_lines(d, relaxed[k - 1], relaxed[k], where)
                    if isinstance(node, Sign):
                        zonotope.forms[k] = forward[k]
                    elif self._feeds_relu[k]:
                        zonotope.relu(k, parent, relaxed[k], u, self.gamma)
            for forms in (forward, zonotope.forms):  # generators are the large part
                for unread in [j for j in forms if self._last_reader.get(j, k) <= k]:
                    del forms[unread]
        return Relaxation(boxes, relaxed, ranges, sizes, differences)

    def _step(
        self,
        k: int,
        range_: tuple[Floats, Floats],
        lines: Lines,
        forward: dict[int, Forward],
        sizes: dict[int, Floats],
        with_generators: bool,
    ) -> None:
        """Form and size of what a ReLU or sign makes of its argument, whose form is still there."""
        node = self.network.nodes[k]
        if with_generators and isinstance(node, Relu):
            sizes[k] = output_size(forward[node.parent], lines, range_[1])
            if self._feeds_relu[k]:
                forward[k] = through(forward[node.parent], lines, sizes[k])
        else:
            forward[k] = stepped(*range_) if isinstance(node, Sign) else clipped(*range_)
            sizes[k] = forward[k].size

    def _compare(
        self,
        k: int,
        ranges: dict[int, tuple[Floats, Floats]],
        relaxed: dict[int, Lines],
        sizes: dict[int, Floats],
        boxes: Boxes,
        differences: dict[int, PairLines],
    ) -> tuple[tuple[Floats, Floats], NDArray[np.bool_]]:
        """Ranges of the differences of a pair's arguments, the second of which node k reads, and where they are wanted.

        Those of the arguments are tightened by them.
        """
        one, two = (parents(self.network.nodes[j])[0] for j in (k - 1, k))
        where = unsure(ranges[k - 1], ranges[k])
        l, u = np.zeros(where.shape), np.zeros(where.shape)
        box, neuron = np.nonzero(where)
        step = max(1, ROWS_AT_ONCE // (4 * max(self.network.sizes)))
        for at in range(0, len(box), step):
            b, n = box[at : at + step], neuron[at : at + step]
            coefs, constant = difference_rows(self.network, one, two, n)
            both = {node: np.concatenate([a, -a]) for node, a in coefs.items()}
            constants, index = np.concatenate([constant, -constant]), np.concatenate([b, b])
            low = self._least(both, constants, index, relaxed, sizes, boxes, differences)
            l[b, n], u[b, n] = low[: len(b)], -low[len(b) :]
        ranges[k - 1], ranges[k] = tightened(ranges[k - 1], ranges[k], (l, u), where)
        return (l, u), where

    def _range(self, form: Forward, boxes: Boxes) -> tuple[Floats, Floats]:
        """The interval of a form over the boxes, or over what the ball has of them; a NaN stays one."""
        l, u = range_of(form, boxes.rad, self.gamma)
        if boxes.ball is None or not form.generators.shape[1]:
            return l, u
        low, up = range_in(boxes.ball, form, boxes.mid, boxes.rad, self.gamma)
        return np.where(low > l, low, l), np.where(up < u, up, u)

    def _push_size(self, k: int, node: Affine, sizes: list[Floats]) -> Floats:
        """``|M| size + |b|``, rounded up: bounds both |value| and what L1 and L2 charge rounding to."""
        size = _total([push(absolute, of) for absolute, of in zip(self._magnitudes[k], sizes, strict=True)])
        return (size + np.abs(node.bias)) * (1 + 4 * self.gamma) + TINY  # products may underflow, coefficients be huge

    def _push_affine(self, k: int, node: Affine, forward: dict[int, Forward]) -> Forward:
        """L1 for the forward form: the remainder carries the rounding of this node."""
        values = [(forward[parent], m) for parent, m in node.terms]
        first, *others = values  # generators are the large part: one term's at a time
        generators = push(first[1], first[0].generators)
        for value, m in others:
            generators = summed(generators, push(m, value.generators))
        center = _total([push(m, value.center) for value, m in values]) + node.bias
        absolute = self._magnitudes[k]
        carried = _total([push(m, value.remainder) for (value, _), m in zip(values, absolute, strict=True)])
        size = self._push_size(k, node, [value.size for value, _ in values])
        return Forward(generators, center, carried * (1 + 4 * self.gamma) + 4 * self.gamma * size + TINY, size)

    def _refine(
        self,
        parent: int,
        l: Floats,
        u: Floats,
        relaxed: dict[int, Lines],
        sizes: dict[int, Floats],
        boxes: Boxes,
        differences: dict[int, PairLines],
    ) -> None:
        """Backward bounds for the neurons the forward form leaves unstable; intersects l and u in place."""
        box, neuron = np.nonzero((l < 0) & (u > 0))
        step = max(1, ROWS_AT_ONCE // (4 * max(self.network.sizes)))
        for at in range(0, len(box), step):
            b, n = box[at : at + step], neuron[at : at + step]
            low = self.neuron_bounds(parent, n, np.concatenate([b, b]), relaxed, sizes, boxes, differences)
            l[b, n] = np.maximum(l[b, n], low[: len(b)])
            u[b, n] = np.minimum(u[b, n], -low[len(b) :])

    def neuron_bounds(
        self,
        node: int,
        neurons: Ints,
        index: Ints,
        lines: dict[int, Lines],
        sizes: dict[int, Floats],
        boxes: Boxes,
        differences: dict[int, PairLines] | None = None,
    ) -> Floats:
        """Lower bounds of +v, then of -v, for values v of one node: (2 m,); row i uses line ``index[i]`` of ``lines``.

        The boxes are as many as the lines, or one that all rows share.
        """
        coefs, constant = _neuron_rows(self.network, node, neurons)
        return self._least(coefs, constant, index, lines, sizes, boxes, differences)

    def _least(
        self,
        coefs: dict[int, Floats],
        constant: Floats,
        index: Ints,
        lines: dict[int, Lines],
        sizes: dict[int, Floats],
        boxes: Boxes,
        differences: dict[int, PairLines] | None = None,
    ) -> Floats:
        """Lower bounds (N,) of rows over nodes, which are rounded once; row i uses line ``index[i]`` of ``lines``."""
        shape = len(index), boxes.mid.shape[1]
        mid, rad = (np.broadcast_to(of_rows(part, index), shape) for part in (boxes.mid, boxes.rad))
        form, constant, error = self._backward(
            coefs, constant, np.zeros(len(index)), index, lines, sizes, mid, differences
        )
        return _concretise(form, constant, error, mid, rad, boxes.ball, self.gamma)

    def _backward(
        self,
        coefs: dict[int, Floats],
        constant: Floats,
        error: Floats,
        index: Ints,
        relaxed: dict[int, Lines],
        sizes: dict[int, Floats],
        mid: Floats,
        differences: dict[int, PairLines] | None = None,
    ) -> tuple[Floats, Floats, Floats]:
        """Substitute node by node down to the input: returns form, constant, error, one row per entry of ``index``.

        Invariant: real row >= sum over nodes of coefs[node] . value(node) + constant - error on the box of row i, whose
        middle is ``mid[i]`` and whose lines are those at ``index[i]``.
        """
        gamma = self.gamma
        error = error + 4 * U * np.abs(constant)
        for k in range(max(coefs), 0, -1):
            if k not in coefs:
                continue
            if differences and k in differences and k - 1 in coefs:
                constant, error = self._share(k, differences[k], coefs, constant, error, index)
            a = coefs.pop(k)
            node = self.network.nodes[k]
            # H is taken as the largest over the batch: one matrix-vector product, and still an upper bound.
            error = error + 4 * gamma * (np.abs(a) @ sizes[k].max(axis=0))
            match node:
                case Affine():
                    constant = constant + a @ node.bias
                    for parent, m in node.terms:
                        self._add(coefs, parent, pull(m, a, self.network.sizes[parent]))
                case Relu(parent) | Sign(parent):
                    lines = relaxed[k]
                    error = error + 4 * gamma * (np.abs(a) @ lines.size.max(axis=0))
                    negative = np.minimum(a, 0.0)
                    offset = np.broadcast_to(of_rows(lines.offset, index), negative.shape)
                    constant = constant + np.einsum("ij,ij->i", negative, offset)
                    a = a - negative
                    if lines.base is not None:
                        base = np.broadcast_to(of_rows(lines.base, index), a.shape)
                        constant = constant + np.einsum("ij,ij->i", a, base)
                    a = a * of_rows(lines.below, index)
                    negative *= of_rows(lines.slope, index)
                    a += negative
                    if lines.shift is not None:
                        a += of_rows(lines.shift, index)
                    self._add(coefs, parent, a)
                case Input():
                    raise CheckError("the input is node 0 and only node 0")
            error = error + 4 * U * np.abs(constant)
        form = coefs.get(0)
        if form is None:
            form = np.zeros((len(index), self.network.sizes[0]))
        error = error + 4 * gamma * (np.abs(form) @ sizes[0].max(axis=0))
        constant = constant + np.einsum("ij,ij->i", form, mid)
        error = (error + 4 * U * np.abs(constant)) * (1 + 64 * gamma) + TINY
        return form, constant, error

    def _share(
        self, k: int, pair: PairLines, coefs: dict[int, Floats], constant: Floats, error: Floats, index: Ints
    ) -> tuple[Floats, Floats]:
        """Replace what rows have in common on a pair by the difference of its arguments (D1, D2)."""
        coefs[k - 1], coefs[k], on_d, moved, kappa = through_pair(pair, coefs[k - 1], coefs[k], index)
        for j, value in ((k - 1, on_d), (k, -on_d)):
            self._add(coefs, parents(self.network.nodes[j])[0], value)
        constant = constant + moved
        return constant, error + 4 * self.gamma * (kappa @ pair.size.max(axis=0)) + 4 * U * np.abs(constant)

    @staticmethod
    def _add(coefs: dict[int, Floats], node: int, value: Floats) -> None:
        """Accumulate at a fan-in; what the additions round is charged where the parts came from and where they go."""
        coefs[node] = coefs[node] + value if node in coefs else value


def _total(parts: list[Floats]) -> Floats:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def drawn(node: Node, l: Floats, u: Floats) -> Lines:
    """The default lines of a ReLU or a sign whose argument has these ranges."""
    return lines_of_sign(l, u) if isinstance(node, Sign) else lines_on(l, u)


def _neuron_rows(network: Network, k: int, neurons: Ints) -> tuple[dict[int, Floats], Floats]:
    """Rows for ``+v_n`` then ``-v_n`` of node k, as coefficients and constants; exact."""
    at, coefs, constant = rows_of_values(network, k, neurons)
    return {at: np.concatenate([coefs, -coefs])}, np.concatenate([constant, -constant])


def _concretise(
    form: Floats, constant: Floats, error: Floats, mid: Floats, rad: Floats, ball: Ball | None, gamma: float
) -> Floats:
    """``form . (x - mid) + constant - error`` bounded from below, row by row: where |x - mid| <= rad, or over the ball.

    Both bounds are rounded down, and the larger one counts; -inf unless all is finite.
    """
    swing = np.einsum("ij,ij->i", np.abs(form), rad) * (1 + 4 * gamma) + error
    low = _down(constant, swing)
    if ball is None:
        return low
    moved, fall, _ = ball.over(form[:, :, None], mid, rad, gamma)
    return np.where(np.isfinite(low), np.maximum(low, _down(constant + moved[:, 0], fall[:, 0] + error)), low)


def _down(constant: Floats, swing: Floats) -> Floats:
    """``constant - swing``, rounded down; -inf unless all is finite and within the caps."""
    low = constant - swing - 8 * U * (np.abs(constant) + swing)
    sound = np.isfinite(low) & np.isfinite(swing) & (swing < MAX_MAGNITUDE) & (np.abs(constant) < MAX_MAGNITUDE)
    return np.where(sound, low, -np.inf)
