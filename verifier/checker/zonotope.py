"""Rule R3: one zonotope that encloses a region, and a tree of splits in it, each node of which costs one row.

The zonotope gives every value an affine form in symbols that lie in [-1, 1]: one for each input, and a fresh one for
each ReLU that has a slope, ``relu(z) = s z + c + h e``, where ``c -+ h`` enclose ``relu(z) - s z`` on the range of z.

Lemma R3. Where ``z >= 0`` (``<= 0``) such a ReLU is ``p z`` with p = 1 (0), so there ``h e = (p - s) z - c``: its
symbol may be replaced wherever it stands, and ``beta z`` (``-beta z``) with beta >= 0 may be taken off. What is left,
minus the absolute values of its coefficients, bounds the row from below on that side, whatever beta is.

How rounding is paid for: in forms as in L1 to L3, by an error; in every step down the tree by 16 U times the absolute
values that take part in it (docs/reference/soundness.md has the proof).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verifier.checker.bounds import Bounder
from verifier.checker.boxes import MAX_MAGNITUDE, Boxes, Rows
from verifier.checker.errors import CheckError
from verifier.checker.linear import pull
from verifier.checker.lines import TINY, U, lines_on
from verifier.checker.network import Affine, Relu
from verifier.checker.phase_tree import LEAF, Cuts, Split

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CELLS_AT_ONCE = 1 << 22  # of one coefficient matrix; bounds memory, not results
NODES_AT_ONCE, COEFFICIENTS_AT_ONCE = 256, 1 << 23  # of a tree; bounds memory, not results
LARGEST = 1 << 26  # coefficients kept of one zonotope; bounds memory

Ranges = dict[int, tuple[Floats, Floats]]  # by ReLU node: lower and upper (1, n) of its argument


@dataclass(frozen=True)
class Forms:
    """``|value - (rows . e + constant)| <= error`` for some e in [-1, 1]^N, the same for all: (m, N), then (m,) each.

    ``size`` bounds the absolute values of a form's coefficients and constant, added up.
    """

    rows: Floats
    constant: Floats
    error: Floats
    size: Floats


@dataclass(frozen=True)
class _Band:
    """``relu(z) = slope z + center + half e`` elementwise, (n,) each, for some e in [-1, 1].

    ``symbols`` are those of ``neurons``; where a neuron has none its e may be any. ``size`` bounds |z|.
    """

    slope: Floats
    center: Floats
    half: Floats
    neurons: Ints
    symbols: Ints
    size: Floats

    @property
    def unnamed(self) -> Floats:
        """``half`` (n,) where there is no symbol, 0 elsewhere."""
        out = self.half.copy()
        out[self.neurons] = 0.0
        return out


class Zonotope:
    """The zonotope of a region with these ranges, and ``sizes`` that bound the values of nodes on it.

    ``columns`` (P, 2) name the ReLU, by its ordinal, and the neuron that each slope is for.
    """

    def __init__(
        self,
        bounder: Bounder,
        box: Boxes,
        ranges: Ranges,
        sizes: dict[int, Floats],
        columns: Ints,
        slopes: Floats,
    ) -> None:
        self.bounder, self.box, self.sizes, self.columns = bounder, box, sizes, columns
        if bounder.network.signs:
            raise CheckError("splits in a zonotope are for networks of ReLUs, without signs")
        self.relus = bounder.network.layers
        self.inputs = bounder.network.sizes[0]
        self.symbols = self.inputs + len(columns)
        self.gamma = (2 * self.symbols + 64) * U  # L1 for sums over all symbols
        self.ball = None if box.ball is None else box.ball.in_symbols(box.mid[0], box.rad[0])
        self.slope = slopes
        self.center, self.half = np.zeros(len(columns)), np.zeros(len(columns))
        self.bands: dict[int, _Band] = {}
        for ordinal, relu in enumerate(self.relus):
            l, u = (part[0] for part in ranges[relu])
            on = np.flatnonzero(columns[:, 0] == ordinal)
            neurons, lines = columns[on, 1], lines_on(*ranges[relu])
            slope = lines.slope[0].copy()
            slope[neurons] = slopes[on]
            center, half = _between(slope, l, u)
            exact = (l >= 0) | (u <= 0)  # by the slope 1 or 0, where no other is given
            exact[neurons] = False
            center[exact] = half[exact] = 0.0
            self.bands[relu] = _Band(slope, center, half, neurons, self.inputs + on, lines.size[0])
            self.center[on], self.half[on] = center[neurons], half[neurons]

    def argument(self, ordinal: int) -> int:
        """The node whose values a ReLU reads."""
        return self.bounder.network.nodes[self.relus[ordinal]].parent  # type: ignore[union-attr]

    def forms(self, nodes: Ints, places: Ints) -> Forms:
        """The forms of values ``places[i]`` of nodes ``nodes[i]``."""
        rows = np.zeros((len(nodes), self.symbols))
        constant, error, size = np.zeros(len(nodes)), np.zeros(len(nodes)), np.zeros(len(nodes))
        step = max(1, CELLS_AT_ONCE // max(self.symbols, *self.bounder.network.sizes))
        for node in np.unique(nodes).tolist():
            here = np.flatnonzero(nodes == node)
            for at in range(0, len(here), step):
                some = here[at : at + step]
                unit = np.zeros((len(some), self.bounder.network.sizes[node]))
                unit[np.arange(len(some)), places[some]] = 1.0
                found, constant[some], error[some] = self.backward({node: unit}, np.zeros(len(some)))
                size[some] = np.abs(found).sum(axis=1)
                rows[some] = found
        return Forms(rows, constant, error, (size + np.abs(constant)) * (1 + 4 * self.gamma))

    def combined(
        self, rows: Rows, weights: Floats, splits: tuple[Split, ...], multipliers: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Coefficients (1, N), constant and error of the weighted rows, less each multiplier times its split's sign and
        argument."""
        sizes, last = self.bounder.network.sizes, len(self.bounder.network.nodes) - 1
        coefs = {last: (weights @ rows.y)[None]}
        coefs[0] = coefs.get(0, 0.0) + (weights @ rows.x)[None]
        # Combining rounds; cancellation, also with multipliers, must not hide that: it is charged to the magnitudes.
        of_x, of_y = self.sizes[0].max(axis=0), self.sizes[last].max(axis=0)
        magnitude = weights @ (np.abs(rows.constant) + np.abs(rows.y) @ of_y + np.abs(rows.x) @ of_x)
        for (ordinal, neuron, sign), multiplier in zip(splits, multipliers.tolist(), strict=True):
            node = self.argument(ordinal)
            part = coefs.setdefault(node, np.zeros((1, sizes[node])))
            part[0, neuron] -= sign * multiplier
            magnitude = magnitude + multiplier * self.sizes[node].max(axis=0)[neuron]
        gamma = self.bounder.gamma + (2 * (len(splits) + len(weights)) + 64) * U
        form, constant, error = self.backward(coefs, (weights @ rows.constant)[None])
        error = (error + 8 * gamma * magnitude) * (1 + 8 * gamma) + TINY
        return form, constant, error

    def positive(self, form: Floats, constant: Floats, error: Floats) -> Flags:
        """Whether ``form . e + constant - error`` (m,) is > 0 for all symbols; inputs are in the box and the ball."""
        total = np.abs(form).sum(axis=1)
        found = _positive(constant, total, error, self.gamma)
        if self.ball is None or found.all():
            return found
        own, others = form[:, : self.inputs], np.abs(form[:, self.inputs :]).sum(axis=1)
        moved, fall, _ = self.ball.over(own[:, :, None], np.zeros_like(own), np.ones_like(own), self.gamma)
        return found | _positive(constant + moved[:, 0], fall[:, 0] + others, error, self.gamma)

    def backward(self, coefs: dict[int, Floats], constant: Floats) -> tuple[Floats, Floats, Floats]:
        """Coefficients on the symbols (m, N), constants and errors of rows ``sum of coefs[node] . value + constant``.

        Invariant: row = sum over nodes of coefs[node] . value(node) + rows . e + constant, up to ``error``.
        """
        network, gamma = self.bounder.network, self.bounder.gamma
        rows, error = np.zeros((len(constant), self.symbols)), 4 * U * np.abs(constant)
        for k in range(max(coefs), 0, -1):
            if k not in coefs:
                continue
            a = coefs.pop(k)
            error = error + 4 * gamma * (np.abs(a) @ self.sizes[k].max(axis=0))
            match network.nodes[k]:
                case Affine(terms, bias):
                    constant = constant + a @ bias
                    parts = [(parent, pull(m, a, network.sizes[parent])) for parent, m in terms]
                case Relu(parent):
                    band = self.bands[k]
                    error = error + 4 * gamma * (np.abs(a) @ band.size) + (np.abs(a) @ band.unnamed) * (1 + 4 * gamma)
                    constant = constant + a @ band.center
                    rows[:, band.symbols] = a[:, band.neurons] * band.half[band.neurons]
                    parts = [(parent, a * band.slope)]
                case _:
                    raise CheckError("the input is node 0 and only node 0")
            for parent, part in parts:
                coefs[parent] = coefs[parent] + part if parent in coefs else part
            error = error + 4 * U * np.abs(constant)
        if 0 in coefs:
            rows[:, : self.inputs] = coefs[0] * self.box.rad[0]
            constant = constant + coefs[0] @ self.box.mid[0]
            error = error + 4 * gamma * (np.abs(coefs[0]) @ self.sizes[0].max(axis=0))
        error = (error + 4 * U * np.abs(constant)) * (1 + 64 * gamma) + TINY
        return rows, constant, error


class Walk:
    """Down the tree of ``cuts`` in its zonotope, many nodes at a time; ``splits`` are those of the region."""

    def __init__(self, zonotope: Zonotope, splits: tuple[Split, ...], cuts: Cuts) -> None:
        self.zonotope, self.splits, self.cuts = zonotope, splits, cuts
        self.used = np.unique(cuts.column[cuts.column >= 0])

    def proves(self, rows: Rows) -> bool:
        """Whether the combination of the rows that ``cuts`` offers is > 0 on the region, at every leaf but open ones.

        Callers silence NumPy's warnings; overflow and NaN never prove anything.
        """
        zonotope, weights = self.zonotope, self.cuts.weights
        if len(self.used) * zonotope.symbols > LARGEST:
            return False
        form, constant, error = zonotope.combined(rows, weights, self.splits, self.cuts.multipliers)
        columns = zonotope.columns[self.used]
        nodes = np.array([zonotope.argument(k) for k in columns[:, 0].tolist()], dtype=np.int64)
        return self._descend(zonotope.forms(nodes, columns[:, 1]), form, constant, error)

    def _descend(self, cut: Forms, form: Floats, constant: Floats, error: Floats) -> bool:
        """Whether all leaves hold; invariant: row >= form . e + constant - error on the part of the region.

        Arrays are those of one row. Leaves are judged as soon as they are made; what waits is what is to be split.
        """
        cuts, zonotope = self.cuts, self.zonotope
        waiting: list[tuple[int, Floats, float, float]] = []

        def add(node: Ints, form: Floats, constant: Floats, error: Floats) -> bool:
            """Whether no leaf among the nodes fails; the others wait."""
            leaf, inner = cuts.column[node] == LEAF, np.flatnonzero(cuts.column[node] >= 0)
            waiting.extend((int(node[i]), form[i].copy(), float(constant[i]), float(error[i])) for i in inner)
            return bool(zonotope.positive(form[leaf], constant[leaf], error[leaf]).all())

        if not add(np.zeros(1, dtype=np.int64), form, constant, error):
            return False
        while waiting:
            room = COEFFICIENTS_AT_ONCE // max(1, zonotope.symbols) - len(waiting)  # depth first, where there is none
            at_once = max(1, min(NODES_AT_ONCE, room))
            taken = waiting[-at_once:]
            del waiting[-at_once:]
            node = np.array([t for t, _, _, _ in taken])
            g = np.stack([form for _, form, _, _ in taken])
            k, e = np.array([k for _, _, k, _ in taken]), np.array([e for _, _, _, e in taken])
            total = np.abs(g).sum(axis=1)
            column, rows = cuts.column[node], np.arange(len(node))
            at, symbol = np.searchsorted(self.used, column), zonotope.inputs + column
            slope, center, half = zonotope.slope[column], zonotope.center[column], zonotope.half[column]
            q = g[rows, symbol] / half
            g[rows, symbol] = 0.0
            for child, beta, sign in ((node + 1, cuts.below[node], -1), (cuts.second[node], cuts.above[node], 1)):
                tau = q * (float(sign > 0) - slope) - sign * beta
                involved = (np.abs(tau) + np.abs(q) + beta) * (cut.size[at] + cut.error[at] + center + half)
                lost = np.abs(tau) * cut.error[at] + 16 * U * (total + np.abs(k) + involved)
                errors = (e + lost) * (1 + 16 * U) + TINY
                if not add(child, g + tau[:, None] * cut.rows[at], k + tau * cut.constant[at] - q * center, errors):
                    return False
        return True


def _between(slope: Floats, l: Floats, u: Floats) -> tuple[Floats, Floats]:
    """Middle and half width of an interval that holds ``relu(z) - slope z`` for all z in [l, u], rounded outward.

    The function is convex: greatest at an end, least at 0 or at the end nearest to it.
    """
    at_l, at_u = np.where(l > 0, (1.0 - slope) * l, -slope * l), np.where(u > 0, (1.0 - slope) * u, -slope * u)
    least = np.where(l > 0, at_l, np.where(u < 0, at_u, 0.0)) * (1 - 16 * U)
    most = np.maximum(at_l, at_u) * (1 + 16 * U)
    center = 0.5 * (least + most)
    return center, np.maximum(most - center, center - least) * (1 + 16 * U) + TINY


def _positive(constant: Floats, total: Floats, error: Floats, gamma: float) -> Flags:
    """Whether ``constant - total - error`` is > 0, rounded down."""
    swing = total * (1 + 4 * gamma) + error
    low = constant - swing - 8 * U * (np.abs(constant) + swing)
    return np.isfinite(low) & (np.abs(constant) < MAX_MAGNITUDE) & (low > 0)
