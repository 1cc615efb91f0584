"""Bounds of rows on a batch of boxes: forward form first, CROWN rows only for neurons it leaves unstable (ragged).

Where the network holds two copies of a network, differences of their neurons are bounded by CROWN rows as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from relaxations.bounds import forward
from relaxations.bounds.balls import Ball
from relaxations.bounds.crown import backward, concretise
from relaxations.bounds.differences import PairLines, pair_lines, tightened
from relaxations.functions.relu import Lines, lines
from relaxations.network import Layer, ReluNetwork, pull, rows_of
from relaxations.pairing import Pair, side_by_side

CELLS_AT_ONCE = 1 << 22  # size of one coefficient matrix; bounds memory, not results
VALUES_AT_ONCE = 1 << 15  # of one batch


@dataclass(frozen=True)
class Rows:
    """Rows ``x . input + y . output + constant``: shapes (R, inputs), (R, outputs), (R,)."""

    x: np.ndarray
    y: np.ndarray
    constant: np.ndarray

    @property
    def largest(self) -> float:
        """The largest coefficient."""
        return max(float(np.abs(part).max(initial=0.0)) for part in (self.x, self.y, self.constant))


@dataclass(frozen=True)
class BoxBounds:
    """``row >= form . (x - mid) + at_mid >= lower`` on each box; shapes (B, R, inputs), (B, R), (B, R).

    ``ranges`` holds the pre-activation bounds (B, n) of every ReLU layer. ``gap`` (B, inputs) shares out what the
    relaxation of the ReLUs costs the rows among the inputs, by what each adds to the width of the neurons' ranges.
    """

    form: np.ndarray
    at_mid: np.ndarray
    lower: np.ndarray
    ranges: list[tuple[np.ndarray, np.ndarray]]
    gap: np.ndarray


@dataclass
class _Known:
    """What is known of a batch of boxes so far, layer by layer; ``differences`` are by the second source of a pair."""

    mid: np.ndarray
    rad: np.ndarray
    lines: list[Lines] = field(default_factory=list)
    ranges: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    differences: dict[int, PairLines] = field(default_factory=dict)
    arguments: list[forward.Form] = field(default_factory=list)  # forward forms of the ReLUs' arguments

    def add(self, argument: forward.Form, l: np.ndarray, u: np.ndarray) -> None:
        self.arguments.append(argument)
        self.ranges.append((l, u))
        self.lines.append(lines(l, u, np))


class BoxBounder:
    """Bounds one set of rows over boxes of one network, in the dtype of the network.

    Without ``refine`` the intermediate bounds are the forward form's alone: looser, but a box then costs what the
    weights have of nonzeros instead of a dense row per unstable neuron. With a ``ball`` bounds hold on
    the part of a box that is in it. ``pairs`` are layers, by number, whose neurons' differences are bounded, too.
    """

    def __init__(
        self,
        network: ReluNetwork,
        rows: Rows,
        refine: bool = True,
        ball: Ball | None = None,
        pairs: Sequence[Pair] = (),
    ) -> None:
        dtype = network.output.bias.dtype
        self.whole_ball, self.ball = ball, None if ball is None else ball.astype(dtype)
        paired = side_by_side(network, pairs)
        self.network, self.order, self.seconds, self.dtype = paired.network, paired.order, paired.seconds, dtype
        self.rows = Rows(rows.x.astype(dtype), rows.y.astype(dtype), rows.constant.astype(dtype))
        self.magnitudes = [abs(layer) for layer in self.network.layers]
        widest = max(network.widths)
        self.rows_at_once = max(1, CELLS_AT_ONCE // widest)
        # Batches that fit a cache, and forward forms that fit the machine.
        few = int(np.clip(VALUES_AT_ONCE // sum(network.widths), 32, 256))
        self.boxes_at_once = max(1, min(few, 4 * CELLS_AT_ONCE // (widest * network.input_size)))
        sources = [{s for s, _ in z.terms} for z in self.network.layers]
        self._read_later = [any(k + 1 in later for later in sources[k + 1 :]) for k in range(len(sources))]
        self._refines = [refine and any(s > 0 for s, _ in z.terms) for z in self.network.layers]

    def bounds(self, lower: np.ndarray, upper: np.ndarray) -> BoxBounds:
        """Sound up to float rounding (the checker redoes what matters rigorously); boxes (B, inputs)."""
        # Middle and radius in the boxes' own float64 first, or a narrow box would be lost to rounding.
        mid, rad = ((lower + upper) / 2).astype(self.dtype), ((upper - lower) / 2).astype(self.dtype)
        beside = None if self.whole_ball is None else self.whole_ball.around(lower, upper).astype(self.dtype)
        known = _Known(mid, rad)
        forms: list[forward.Form | None] = [forward.of_input(mid, np)]
        for k, layer in enumerate(self.network.layers):
            form = forward.through_affine(layer, self.magnitudes[k], forms)
            l, u = forward.interval(form, rad, np, beside)
            if self._refines[k]:
                self._refine(layer, l, u, known)
            known.add(form, l, u)
            if k + 1 in self.seconds:
                self._compare(k + 1, known)
                forms[k] = self._behind(k - 1, known)
            forms.append(self._behind(k, known))
        count, width = len(mid), len(self.rows.constant)
        coefs, constant = composed(self.rows, self.network.output)
        index = np.repeat(np.arange(count), width)
        tiled = {s: np.tile(a, (count, 1)) for s, a in coefs.items()}
        seen: dict[int, np.ndarray] = {}
        constant = np.tile(constant, count)
        form, constant = backward(self.network, tiled, constant, index, known.lines, np, seen, known.differences)
        at_mid, low = concretise(form, constant, mid[index], rad[index], np, self.ball)
        shape = (count, width)
        gap = self._gap(seen, known, width)
        ranges = [known.ranges[place] for place in np.argsort(self.order)]
        return BoxBounds(form.reshape(*shape, -1), at_mid.reshape(shape), low.reshape(shape), ranges, gap)

    def _behind(self, k: int, known: _Known) -> forward.Form | None:
        """The forward form of what layer k puts out, where a later one reads it."""
        return forward.through_relu(known.arguments[k], known.lines[k]) if self._read_later[k] else None

    def _gap(self, seen: dict[int, np.ndarray], known: _Known, rows: int) -> np.ndarray:
        """Per box and input: the sum over unstable neurons of |coefficient| * what is lost * share of the range.

        Lost is the height of a triangle, or what a difference may be where that is less.
        """
        total = np.zeros_like(known.rad)
        for source, a in seen.items():
            l, u = known.ranges[source - 1]
            unstable = (l < 0) & (u > 0)
            height = np.where(unstable, -u * l / np.where(unstable, u - l, 1), 0)
            pair = known.differences.get(source if source in self.seconds else source + 1)
            if pair is not None:
                height = np.where(pair.used, np.minimum(height, pair.loss), height)
            weight = np.abs(a).reshape(len(known.rad), rows, -1).sum(axis=1) * height
            weight = np.where(unstable, weight / np.where(unstable, u - l, 1), 0)
            widths = np.abs(known.arguments[source - 1].generators)
            shared = len(widths) == 1
            swing = weight @ widths[0].T if shared else np.matmul(widths, weight[:, :, None])[:, :, 0]
            total += swing * known.rad
        return total

    def _refine(self, layer: Layer, l: np.ndarray, u: np.ndarray, known: _Known) -> None:
        """Intersect l and u (in place) with CROWN bounds of the neurons that are still unstable."""
        for b, n in self._groups((l < 0) & (u > 0)):
            low, up = self._bounded({s: rows_of(w, n) for s, w in layer.terms}, layer.bias[n], b, known)
            l[b, n], u[b, n] = np.maximum(l[b, n], low), np.minimum(u[b, n], up)

    def _compare(self, source: int, known: _Known) -> None:
        """Differences of the neurons of the source before and of this one, the last; ranges of both are tightened.

        Where both neurons are stable they are exact alone.
        """
        first, second = self.network.layers[source - 2], self.network.layers[source - 1]
        a, b = known.ranges[-2:]
        unstable = ((a[0] < 0) & (a[1] > 0)) | ((b[0] < 0) & (b[1] > 0))
        d_l, d_u = np.zeros_like(a[0]), np.zeros_like(a[0])
        for box, n in self._groups(unstable):
            coefs = {s: rows_of(w, n) for s, w in first.terms}
            for s, w in second.terms:
                coefs[s] = coefs[s] - rows_of(w, n) if s in coefs else -rows_of(w, n)
            d_l[box, n], d_u[box, n] = self._bounded(coefs, first.bias[n] - second.bias[n], box, known)
        both = tightened(a, b, (d_l, d_u), np)
        known.ranges[-2:] = [
            (np.where(unstable, low, l), np.where(unstable, up, u)) for (low, up), (l, u) in zip(both, (a, b))
        ]
        known.lines[-2:] = [lines(l, u, np) for l, u in known.ranges[-2:]]
        known.differences[source] = pair_lines(d_l, d_u, *known.lines[-2:], unstable, np)

    def _groups(self, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The boxes and neurons of a mask (B, n), in parts that fit into memory."""
        boxes, neurons = np.nonzero(chosen)
        for at in range(0, len(boxes), self.rows_at_once):
            yield boxes[at : at + self.rows_at_once], neurons[at : at + self.rows_at_once]

    def _bounded(
        self, coefs: dict[int, np.ndarray], constant: np.ndarray, boxes: np.ndarray, known: _Known
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper CROWN bounds (N,) of rows over sources, row i on box ``boxes[i]``."""
        both = {s: a.astype(self.dtype, copy=False) for s, a in coefs.items()}
        both = {s: np.concatenate([a, -a]) for s, a in both.items()}
        index, constants = np.concatenate([boxes, boxes]), np.concatenate([constant, -constant])
        form, constants = backward(self.network, both, constants, index, known.lines, np, None, known.differences)
        _, low = concretise(form, constants, known.mid[index], known.rad[index], np, self.ball)
        return low[: len(boxes)], -low[len(boxes) :]


def composed(rows: Rows, output: Layer) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Rows over inputs and outputs as rows over the sources the output layer reads."""
    coefs = {s: pull(w, rows.y) for s, w in output.terms}
    if rows.x.any():
        coefs[0] = coefs[0] + rows.x if 0 in coefs else rows.x
    if not coefs:
        coefs[0] = np.zeros_like(rows.x)
    return coefs, rows.constant + rows.y @ output.bias
