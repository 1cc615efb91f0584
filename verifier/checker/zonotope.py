"""Rule R3: one zonotope that encloses a region, and a tree of splits in it, each node of which costs one row.

The zonotope gives every value an affine form in symbols that lie in [-1, 1]: one for each input, and a fresh one for
each unstable ReLU that has a slope, ``relu(z) = s z + h + h e`` with ``2 h >= max(-s l, (1 - s) u)``.

Lemma R3. Where ``z >= 0`` (``<= 0``) such a ReLU is ``p z`` with p = 1 (0), so there ``h e = (p - s) z - h``: its
symbol may be replaced wherever it stands, and ``beta z`` (``-beta z``) with beta >= 0 may be taken off. What is left,
minus the absolute values of its coefficients, bounds the row from below on that side, whatever beta is.

How rounding is paid for: in forms as in L1 to L3, by an error; in every step down the tree by 16 U times the absolute
values that take part in it (docs/reference/soundness.md has the proof).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verifier.checker.bounds import MAX_MAGNITUDE, Bounder, Boxes, Rows
from verifier.checker.errors import CheckError
from verifier.checker.linear import pull
from verifier.checker.lines import TINY, U, lines_on
from verifier.checker.network import Affine, Relu
from verifier.checker.phase_tree import LEAF, Cuts, Split

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CELLS_AT_ONCE = 1 << 22  # of one coefficient matrix; bounds memory, not results
NODES_AT_ONCE, COEFFICIENTS_AT_ONCE = 256, 1 << 19  # of a tree; bounds memory, not results
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

    def __getitem__(self, where: slice) -> Forms:
        return Forms(self.rows[where], self.constant[where], self.error[where], self.size[where])


@dataclass(frozen=True)
class _Band:
    """``relu(z) = slope z + half (1 + e)`` elementwise, (n,) each; ``half`` is 0 where the ReLU is stable.

    ``symbols`` are those of ``neurons``; where a neuron has none its e may be any. ``size`` bounds |z|.
    """

    slope: Floats
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
        self.relus = [k for k, node in enumerate(bounder.network.nodes) if isinstance(node, Relu)]
        self.inputs = bounder.network.sizes[0]
        self.symbols = self.inputs + len(columns)
        self.gamma = (2 * self.symbols + 64) * U  # L1 for sums over all symbols
        # Of every column: slope, half height, and whether its ReLU is unstable, so that there is a symbol.
        self.slope, self.half = np.zeros(len(columns)), np.zeros(len(columns))
        self.unstable = np.zeros(len(columns), dtype=np.bool_)
        self.bands: dict[int, _Band] = {}
        for ordinal, relu in enumerate(self.relus):
            l, u = (part[0] for part in ranges[relu])
            on = np.flatnonzero(columns[:, 0] == ordinal)
            on = on[(l[columns[on, 1]] < 0) & (u[columns[on, 1]] > 0)]
            neurons = columns[on, 1]
            lines = lines_on(*ranges[relu])
            slope = lines.slope[0].copy()
            slope[neurons] = slopes[on]
            top = np.maximum(-slope * l, (1.0 - slope) * u) * (1 + 16 * U) + TINY
            half = np.where((l < 0) & (u > 0), 0.5 * top, 0.0)
            self.bands[relu] = _Band(slope, half, neurons, self.inputs + on, lines.size[0])
            self.slope[on], self.half[on], self.unstable[on] = slope[neurons], half[neurons], True

    def argument(self, ordinal: int) -> int:
        """The node whose values a ReLU reads."""
        return self.bounder.network.nodes[self.relus[ordinal]].parent  # type: ignore[union-attr]

    def forms(self, nodes: Ints, places: Ints) -> Forms:
        """The forms of values ``places[i]`` of nodes ``nodes[i]``."""
        rows = np.zeros((len(nodes), self.symbols))
        constant, error = np.zeros(len(nodes)), np.zeros(len(nodes))
        step = max(1, CELLS_AT_ONCE // max(self.bounder.network.sizes))
        for node in np.unique(nodes).tolist():
            here = np.flatnonzero(nodes == node)
            for at in range(0, len(here), step):
                some = here[at : at + step]
                rows[some], constant[some], error[some] = self._backward(node, places[some])
        size = (np.abs(rows).sum(axis=1) + np.abs(constant)) * (1 + 4 * self.gamma)
        return Forms(rows, constant, error, size)

    def _backward(self, node: int, places: Ints) -> tuple[Floats, Floats, Floats]:
        """Coefficients on the symbols (m, N), constants and errors of values of one node.

        Invariant: value = sum over nodes of coefs[node] . value(node) + rows . e + constant, up to ``error``.
        """
        network, gamma, count = self.bounder.network, self.bounder.gamma, len(places)
        unit = np.zeros((count, network.sizes[node]))
        unit[np.arange(count), places] = 1.0
        coefs = {node: unit}
        rows, constant, error = np.zeros((count, self.symbols)), np.zeros(count), np.zeros(count)
        for k in range(node, 0, -1):
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
                    constant = constant + a @ band.half
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
        last = len(zonotope.bounder.network.nodes) - 1
        named = [(k, n) for k, n, _ in self.splits] + [(k, n) for k, n in zonotope.columns[self.used].tolist()]
        x, y = weights @ rows.x, weights @ rows.y
        on_x, on_y = np.flatnonzero(x), np.flatnonzero(y)
        nodes = [0] * len(on_x) + [last] * len(on_y) + [zonotope.argument(k) for k, _ in named]
        places = np.concatenate([on_x, on_y, np.array([n for _, n in named], dtype=np.int64)])
        if not zonotope.unstable[self.used].all() or len(nodes) * zonotope.symbols > LARGEST:
            return False
        forms = zonotope.forms(np.array(nodes, dtype=np.int64), places)
        signs = np.array([sign for _, _, sign in self.splits], dtype=np.float64)
        coefs = np.concatenate([x[on_x], y[on_y], -signs * self.cuts.multipliers])
        top, cut = forms[: len(coefs)], forms[len(coefs) :]
        # Adding up rows rounds, and cancellation between them must not hide it: it is charged to their magnitudes.
        of_x, of_y = zonotope.sizes[0].max(axis=0), zonotope.sizes[last].max(axis=0)
        magnitude = weights @ (np.abs(rows.constant) + np.abs(rows.y) @ of_y + np.abs(rows.x) @ of_x)
        magnitude = magnitude + np.abs(coefs) @ top.size
        gamma = zonotope.bounder.gamma + (2 * (len(coefs) + len(weights)) + 64) * U
        error = (np.abs(coefs) @ top.error + 8 * gamma * magnitude) * (1 + 8 * gamma) + TINY
        constant = weights @ rows.constant + coefs @ top.constant
        return self._descend(cut, coefs @ top.rows, float(constant), float(error))

    def _descend(self, cut: Forms, form: Floats, constant: float, error: float) -> bool:
        """Whether all leaves hold; invariant: row >= form . e + constant - error on the part of the region."""
        cuts, zonotope = self.cuts, self.zonotope
        at_once = max(1, min(NODES_AT_ONCE, COEFFICIENTS_AT_ONCE // max(1, zonotope.symbols)))
        waiting = [(0, form, constant, error)]
        while waiting:
            taken, waiting = waiting[-at_once:], waiting[:-at_once]
            node = np.array([t for t, _, _, _ in taken])
            g = np.stack([form for _, form, _, _ in taken])
            k, e = np.array([k for _, _, k, _ in taken]), np.array([e for _, _, _, e in taken])
            total = np.abs(g).sum(axis=1)
            leaf, inner = cuts.column[node] == LEAF, cuts.column[node] >= 0
            if not _positive(k[leaf], total[leaf], e[leaf], zonotope.gamma).all():
                return False
            node, g, k, e, total = node[inner], g[inner], k[inner], e[inner], total[inner]
            column, rows = cuts.column[node], np.arange(len(node))
            at, symbol = np.searchsorted(self.used, column), zonotope.inputs + column
            slope, half = zonotope.slope[column], zonotope.half[column]
            q = g[rows, symbol] / half
            g[rows, symbol] = 0.0
            for child, beta, sign in ((node + 1, cuts.below[node], -1), (cuts.second[node], cuts.above[node], 1)):
                tau = q * (float(sign > 0) - slope) - sign * beta
                forms = g + tau[:, None] * cut.rows[at]
                constants = k + tau * cut.constant[at] - q * half
                involved = (np.abs(tau) + np.abs(q) + beta) * (cut.size[at] + cut.error[at] + half)
                lost = np.abs(tau) * cut.error[at] + 16 * U * (total + np.abs(k) + involved)
                errors = (e + lost) * (1 + 16 * U) + TINY
                waiting += zip(child.tolist(), forms, constants.tolist(), errors.tolist(), strict=True)
        return True


def _positive(constant: Floats, total: Floats, error: Floats, gamma: float) -> Flags:
    """Whether ``constant - total - error`` is > 0, rounded down."""
    swing = total * (1 + 4 * gamma) + error
    low = constant - swing - 8 * U * (np.abs(constant) + swing)
    return np.isfinite(low) & (np.abs(constant) < MAX_MAGNITUDE) & (low > 0)
