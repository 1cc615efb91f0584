"""The executable extrapolation of a relaxed attack: a network on which the relaxed attack is a real one.

Let (x, z, a) be an action of the triangle relaxation of score v. Replace the ReLU of each unit that deviates by a
function through its (z_i, a_i) that stays in its triangle (``pieces``). The new network computes exactly these values
at x, so its score there *is* v: an ordinary, executable network, no less plausible than the original to anyone who
knows of each unit only its triangle. It is not the original, and the attack on it is no attack on the original.

Variants: ``minimal`` moves the action first so that few units deviate, and little; with ``data`` every unit is still
its ReLU at each of its values on the data, so that both networks agree on all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.network import ReluNetwork
from specs.errors import CertifyError
from specs.graph import Graph
from verifier.relaxed.contents import PointAction, RelaxedFile
from verifier.relaxed.pieces import Pieces
from verifier.relaxed.rewriting import with_pieces

TOLERANCE = 1e-6  # of a unit's magnitude, by which an action may miss the relaxation's constraints


@dataclass(frozen=True)
class Deviation:
    """A unit whose output is not its ReLU at the attacked input."""

    layer: int
    neuron: int
    z: float
    a: float
    relu: float

    @property
    def gap(self) -> float:
        return self.a - self.relu


@dataclass(frozen=True)
class Extrapolation:
    """``pieces`` by layer, the ``action`` they realise, and its ``score``: that of ``graph`` at ``action.x``."""

    original: Graph
    query: Query
    action: Point
    pieces: tuple[Pieces, ...]
    score: float

    @property
    def graph(self) -> Graph:
        """The network in float64."""
        return with_pieces(self.original, self.pieces)

    def onnx(self, dtype: Any = np.float32) -> bytes:
        """The network as a file, what was added to it rounded to ``dtype``."""
        from specs.loading.onnx_writer import write_onnx

        return write_onnx(with_pieces(self.original, self.pieces, dtype))

    @property
    def deviations(self) -> list[Deviation]:
        """The units that deviate, the farthest first."""
        found = [
            Deviation(k, int(i), float(z[i]), float(a[i]), float(max(z[i], 0.0)))
            for k, (pieces, z, a) in enumerate(zip(self.pieces, self.action.z, self.action.a))
            for i in np.flatnonzero(pieces.deviates)
        ]
        return sorted(found, key=lambda deviation: -abs(deviation.gap))

    def table(self) -> str:
        """The units that deviate as tab-separated lines under a headline."""
        rows = [(d.layer, d.neuron, d.z, d.a, d.relu, d.gap) for d in self.deviations]
        lines = ["layer\tneuron\tz\ta\trelu(z)\tgap"]
        return "\n".join([*lines, *("\t".join(map(repr, row)) for row in rows)]) + "\n"

    def difference(self, data: np.ndarray) -> float:
        """Mean absolute difference of the two networks' outputs at inputs (N, n)."""
        graph = self.graph
        return float(np.mean([np.abs(graph.evaluate_flat(x) - self.original.evaluate_flat(x)) for x in data]))


def extrapolate(graph: Graph, query: Query, action: Point, data: np.ndarray | None = None) -> Extrapolation:
    """The network on which an action of the triangle relaxation is a real attack; ``data`` (N, n) where both agree.

    ``query.network`` is the lowered ``graph``. Raises ``CertifyError`` for an action that is none of the triangle
    relaxation and where the data leave no room, and ``UnsupportedOpError`` for operators without a form.
    """
    exact = settled(query, action)
    known = query.network.preactivations(data)[0] if data is not None else [None] * len(exact.z)
    pieces = tuple(
        Pieces.through(z, a, l, u, seen) for z, a, (l, u), seen in zip(exact.z, exact.a, query.ranges, known)
    )
    return Extrapolation(graph, query, exact, pieces, -float(exact.margins(query).max()))


def settled(query: Query, action: Point) -> Point:
    """The action with pre-activations computed anew and outputs moved into their triangles, both by rounding only.

    Raises ``CertifyError`` where they move by more than a solver's tolerance.
    """
    x = np.clip(action.x, query.lower, query.upper)
    values, zs, outputs = [x[None]], [], []
    worst = float(np.abs(x - action.x).max(initial=0.0))
    for layer, z_told, a_told, (l, u) in zip(query.network.layers, action.z, action.a, query.ranges):
        z = layer.apply(values)[0]
        relu = np.maximum(z, 0)
        inside = (l < 0) & (u > 0) & (z > l) & (z < u)
        chord = np.where(inside, u * (z - l) / np.where(inside, u - l, 1), relu)
        a = np.clip(a_told, relu, np.maximum(chord, relu))
        size = 1 + np.maximum(np.abs(l), np.abs(u))
        worst = max(worst, float((np.maximum(np.abs(z - z_told), np.abs(a - a_told)) / size).max(initial=0.0)))
        zs.append(z), outputs.append(a)
        values.append(a[None])
    if not worst <= TOLERANCE:
        raise CertifyError(
            f"the action misses the triangle relaxation by {worst:.3g}, more than {TOLERANCE}; extrapolations are made "
            "from the actions of linear programs"
        )
    return Point(x, tuple(zs), tuple(outputs))


def query_of(attack: RelaxedFile, network: ReluNetwork, rows: Rows) -> Query:
    """The query that the action in a file belongs to: its node's box and its own ranges.

    Raises ``CertifyError`` where the file holds no units.
    """
    content = attack.content
    if not isinstance(content, PointAction) or content.units is None:
        raise CertifyError(f"there are no units in this relaxed attack, which is of kind {content.kind!r}")
    return Query(network, rows, attack.lower, attack.upper, tuple(zip(content.units.lower, content.units.upper)))
