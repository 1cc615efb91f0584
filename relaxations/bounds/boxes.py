"""Bounds of rows on a batch of boxes: forward form first, CROWN rows only for neurons it leaves unstable (ragged)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relaxations.bounds import forward
from relaxations.bounds.balls import Ball
from relaxations.bounds.crown import backward, concretise
from relaxations.functions.relu import Lines, lines
from relaxations.network import Layer, ReluNetwork, pull, rows_of

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


class BoxBounder:
    """Bounds one set of rows over boxes of one network, in the dtype of the network.

    Without ``refine`` the intermediate bounds are the forward form's alone: looser, but a box then costs what the
    weights have of nonzeros instead of a dense row per unstable neuron. With a ``ball`` bounds hold on
    the part of a box that is in it.
    """

    def __init__(self, network: ReluNetwork, rows: Rows, refine: bool = True, ball: Ball | None = None) -> None:
        dtype = network.output.bias.dtype
        self.whole_ball, self.ball = ball, None if ball is None else ball.astype(dtype)
        self.network, self.dtype = network, dtype
        self.rows = Rows(rows.x.astype(dtype), rows.y.astype(dtype), rows.constant.astype(dtype))
        self.magnitudes = [abs(layer) for layer in network.layers]
        widest = max(network.widths)
        self.rows_at_once = max(1, CELLS_AT_ONCE // widest)
        # Batches that fit a cache, and forward forms that fit the machine.
        few = int(np.clip(VALUES_AT_ONCE // sum(network.widths), 32, 256))
        self.boxes_at_once = max(1, min(few, 4 * CELLS_AT_ONCE // (widest * network.input_size)))
        sources = [{s for s, _ in z.terms} for z in network.layers]
        self._read_later = [any(k + 1 in later for later in sources[k + 1 :]) for k in range(len(sources))]
        self._refines = [refine and any(s > 0 for s, _ in z.terms) for z in network.layers]

    def bounds(self, lower: np.ndarray, upper: np.ndarray) -> BoxBounds:
        """Sound up to float rounding (the checker redoes what matters rigorously); boxes (B, inputs)."""
        # Middle and radius in the boxes' own float64 first, or a narrow box would be lost to rounding.
        mid, rad = ((lower + upper) / 2).astype(self.dtype), ((upper - lower) / 2).astype(self.dtype)
        beside = None if self.whole_ball is None else self.whole_ball.around(lower, upper).astype(self.dtype)
        relaxed: list[Lines] = []
        ranges: list[tuple[np.ndarray, np.ndarray]] = []
        forms: list[forward.Form | None] = [forward.of_input(mid, np)]
        arguments: list[np.ndarray] = []  # generators of the ReLUs' arguments
        for k, layer in enumerate(self.network.layers):
            form = forward.through_affine(layer, self.magnitudes[k], forms)
            arguments.append(form.generators)
            l, u = forward.interval(form, rad, np, beside)
            if self._refines[k]:
                self._refine(layer, l, u, relaxed, mid, rad)
            relaxed.append(lines(l, u, np))
            ranges.append((l, u))
            forms.append(forward.through_relu(form, relaxed[-1]) if self._read_later[k] else None)
        count, width = len(mid), len(self.rows.constant)
        coefs, constant = composed(self.rows, self.network.output)
        index = np.repeat(np.arange(count), width)
        tiled = {s: np.tile(a, (count, 1)) for s, a in coefs.items()}
        seen: dict[int, np.ndarray] = {}
        form, constant = backward(self.network, tiled, np.tile(constant, count), index, relaxed, np, seen)
        at_mid, low = concretise(form, constant, mid[index], rad[index], np, self.ball)
        shape = (count, width)
        gap = self._gap(seen, ranges, arguments, rad, width)
        return BoxBounds(form.reshape(*shape, -1), at_mid.reshape(shape), low.reshape(shape), ranges, gap)

    def _gap(
        self,
        seen: dict[int, np.ndarray],
        ranges: list[tuple[np.ndarray, np.ndarray]],
        arguments: list[np.ndarray],
        rad: np.ndarray,
        rows: int,
    ) -> np.ndarray:
        """Per box and input: the sum over unstable neurons of |coefficient| * triangle height * share of the range."""
        total = np.zeros_like(rad)
        for source, a in seen.items():
            l, u = ranges[source - 1]
            unstable = (l < 0) & (u > 0)
            height = np.where(unstable, -u * l / np.where(unstable, u - l, 1), 0)
            weight = np.abs(a).reshape(len(rad), rows, -1).sum(axis=1) * height
            weight = np.where(unstable, weight / np.where(unstable, u - l, 1), 0)
            widths = np.abs(arguments[source - 1])
            shared = len(widths) == 1
            total += (weight @ widths[0].T if shared else np.matmul(widths, weight[:, :, None])[:, :, 0]) * rad
        return total

    def _refine(
        self, layer: Layer, l: np.ndarray, u: np.ndarray, relaxed: list[Lines], mid: np.ndarray, rad: np.ndarray
    ) -> None:
        """Intersect l and u (in place) with CROWN bounds of the neurons that are still unstable."""
        boxes, neurons = np.nonzero((l < 0) & (u > 0))
        for at in range(0, len(boxes), self.rows_at_once):
            b, n = boxes[at : at + self.rows_at_once], neurons[at : at + self.rows_at_once]
            index = np.concatenate([b, b])
            coefs = {}
            for source, weight in layer.terms:
                chosen = rows_of(weight, n).astype(self.dtype, copy=False)
                coefs[source] = np.concatenate([chosen, -chosen])
            bias = layer.bias[n]
            form, constant = backward(self.network, coefs, np.concatenate([bias, -bias]), index, relaxed, np)
            _, low = concretise(form, constant, mid[index], rad[index], np, self.ball)
            l[b, n] = np.maximum(l[b, n], low[: len(b)])
            u[b, n] = np.minimum(u[b, n], -low[len(b) :])


def composed(rows: Rows, output: Layer) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Rows over inputs and outputs as rows over the sources the output layer reads."""
    coefs = {s: pull(w, rows.y) for s, w in output.terms}
    if rows.x.any():
        coefs[0] = coefs[0] + rows.x if 0 in coefs else rows.x
    if not coefs:
        coefs[0] = np.zeros_like(rows.x)
    return coefs, rows.constant + rows.y @ output.bias
