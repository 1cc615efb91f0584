"""The triangle relaxation of a query as a linear program, and the way back from its solutions.

Every unstable pre-activation is written in its two parts, ``z = a - b``: two columns ``a >= 0`` and ``b >= 0``,
joined by one row for the layer's values and one for the chord, ``L a + u b <= u L`` with ``L = -l``. This is the
triangle of Ehlers 2017 (arXiv:1705.01320); it has no free columns but those of active neurons, and a phase is one
bound: ``b <= 0`` makes a neuron active and ``a <= 0`` inactive. Its dual values are those of
``relaxations.multipliers``. A ball of the norm 1 is linear, with a column for every distance ``|x_i - c_i|``; a
Euclidean one is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.bounds.boxes import CELLS_AT_ONCE, composed
from relaxations.executions import forward
from relaxations.lp.highs import Program
from relaxations.maps.linear import is_sparse, rows_of
from relaxations.multipliers import Multipliers


@dataclass(frozen=True)
class Columns:
    """Where the variables and constraints of a query stand; by layer.

    ``unstable[k]`` (m_k,) are neurons, ``outputs[k]`` (n_k,) the column of each neuron's output (-1 for an inactive
    one), ``parts[k]`` (m_k,) the column of ``b`` of each unstable one and ``chords[k]`` (m_k,) the row of its chord.
    ``largest`` is the column of the largest row of the query, bounded below by the rows ``worst`` (R,) of the program;
    where the query has one row there is no such column (-1) and that row is the objective. ``distances`` (n or 0,) are
    those of the inputs from the center of a ball of the norm 1.
    """

    unstable: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    parts: tuple[np.ndarray, ...]
    chords: tuple[np.ndarray, ...]
    largest: int
    worst: np.ndarray
    distances: np.ndarray
    count: int

    @staticmethod
    def of(query: Query) -> Columns:
        column, row = query.network.input_size, 0
        unstable, outputs, parts, chords = [], [], [], []
        for k, (l, u) in enumerate(query.ranges):
            free = query.unstable(k)
            out = np.full(len(l), -1)
            kept = (l >= 0) | (u > 0)
            out[kept] = column + np.arange(kept.sum())
            column, row = column + int(kept.sum()), row + int(kept.sum())
            unstable.append(free), outputs.append(out)
            parts.append(column + np.arange(len(free))), chords.append(row + np.arange(len(free)))
            column, row = column + len(free), row + len(free)
        several = len(query.rows.constant) > 1
        worst = row + np.arange(len(query.rows.constant) if several else 0)
        largest = column if several else -1
        column += several
        distances = column + np.arange(
            query.network.input_size if query.ball is not None and query.ball.is_linear else 0
        )
        return Columns(
            *map(tuple, (unstable, outputs, parts, chords)), largest, worst, distances, column + len(distances)
        )


@dataclass(frozen=True)
class Encoded:
    """A query as a linear program: the least value, over the relaxation, of the largest of its rows."""

    query: Query
    program: Program
    columns: Columns

    @staticmethod
    def of(query: Query) -> Encoded:
        """As sparse as the query's weights are."""
        from scipy import sparse

        columns = Columns.of(query)
        blocks, lower, upper = [sparse.csr_matrix((0, columns.count))], [np.zeros(0)], [np.zeros(0)]
        for k, layer in enumerate(query.network.layers):
            blocks.append(_values(query, columns, k))
            kept = columns.outputs[k] >= 0
            lower.append(layer.bias[kept]), upper.append(layer.bias[kept])
            blocks.append(_chords(query, columns, k))
            l, u = (side[columns.unstable[k]] for side in query.ranges[k])
            lower.append(np.full(len(l), -np.inf)), upper.append(-u * l)
        coefs, constant = composed(query.rows, query.network.output)
        if columns.largest >= 0:
            rows = -_placed(columns, coefs, len(constant))
            blocks.append((rows + _entries(np.arange(len(constant)), columns.largest, 1.0, rows.shape)).tocsr())
            lower.append(constant), upper.append(np.full(len(constant), np.inf))
            cost, offset = np.zeros(columns.count), 0.0
            cost[columns.largest] = 1.0
        else:
            cost, offset = _placed(columns, coefs, 1).toarray()[0], float(constant[0])
        if len(columns.distances):
            block, bound = _ball(query, columns)
            blocks.append(block)
            lower.append(np.full(len(bound), -np.inf)), upper.append(bound)
        limits = _limits(query, columns)
        matrix = sparse.vstack(blocks, format="csr")
        return Encoded(
            query, Program(matrix, np.concatenate(lower), np.concatenate(upper), *limits, cost, offset), columns
        )

    def objective(self, row: int) -> tuple[np.ndarray, float]:
        """Cost (n,) and offset that stand for one row of the query."""
        coefs, constant = composed(self.query.rows, self.query.network.output)
        chosen = {source: a[row : row + 1] for source, a in coefs.items()}
        return _placed(self.columns, chosen, 1).toarray()[0], float(constant[row])

    def action(self, values: np.ndarray) -> Point:
        """The relaxed execution that a point (n,) of the program is.

        Pre-activations are computed from the outputs before them, and outputs moved into their triangles: what is left
        of the solver's tolerance is less than rounding.
        """
        query = self.query
        x = np.clip(values[: query.network.input_size], query.lower, query.upper)

        def outputs(k: int, z: np.ndarray) -> np.ndarray:
            free = self.columns.unstable[k]
            l, u = (side[free] for side in query.ranges[k])
            a = np.where(query.ranges[k][0] >= 0, z, 0.0)
            below = np.minimum(values[self.columns.outputs[k][free]], u * (z[free] - l) / (u - l))
            a[free] = np.maximum(below, np.maximum(z[free], 0))
            return a

        return forward(query, x, outputs)

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """How much each row (R,) of the query weighs in dual values (m,) of the program."""
        return np.maximum(rows[self.columns.worst], 0) if self.columns.largest >= 0 else np.ones(1)

    def multipliers(self, rows: np.ndarray, cost: np.ndarray, weights: np.ndarray) -> Multipliers:
        """Multipliers from dual values (m,) of the program's rows, made feasible by clipping.

        ``cost`` (n,) is the objective they belong to and ``weights`` (R,) say which rows of the query it is; both are
        zero for a ray, which shows that there is no action at all.
        """
        columns = self.columns
        reduced = cost - self.program.matrix.T @ rows
        return Multipliers(
            weights,
            tuple(np.maximum(reduced[out[free]], 0) for out, free in zip(columns.outputs, columns.unstable)),
            tuple(np.maximum(reduced[part], 0) for part in columns.parts),
            tuple(np.maximum(-rows[chord], 0) for chord in columns.chords),
        )


def _limits(query: Query, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (n,) of the columns. From above only the chord bounds ``a`` and ``b``: no other multiplier is needed."""
    lower, upper = np.full(columns.count, -np.inf), np.full(columns.count, np.inf)
    inputs = query.network.input_size
    lower[:inputs], upper[:inputs] = query.lower, query.upper
    for k, free in enumerate(columns.unstable):
        lower[columns.outputs[k][free]] = 0.0
        lower[columns.parts[k]] = 0.0
    return lower, upper


def _ball(query: Query, columns: Columns) -> tuple[Any, np.ndarray]:
    """Rows ``x_i - d_i <= c_i`` and ``-x_i - d_i <= -c_i``, and ``sum of d_i / r_i <= 1``: matrix and upper ends."""
    from scipy import sparse

    assert query.ball is not None
    center, radii, count = query.ball.center, query.ball.radii, query.network.input_size
    here, shape = np.arange(count), (count, columns.count)
    x, distance = _entries(here, here, 1.0, shape), _entries(here, columns.distances, 1.0, shape)
    spent = _entries(np.zeros(count, dtype=np.int64), columns.distances, 1 / radii, (1, columns.count))
    return sparse.vstack([x - distance, -x - distance, spent], format="csr"), np.concatenate([center, -center, [1.0]])


def _values(query: Query, columns: Columns, k: int) -> Any:
    """Rows ``a - b - weights @ sources`` of layer k's neurons but the inactive ones; they equal its bias."""
    kept = np.flatnonzero(columns.outputs[k] >= 0)
    shape = (len(kept), columns.count)
    block = _entries(np.arange(len(kept)), columns.outputs[k][kept], 1.0, shape)
    place = np.searchsorted(kept, columns.unstable[k])
    block = block - _entries(place, columns.parts[k], 1.0, shape)
    for source, weight in query.network.layers[k].terms:
        block = block - _spread(columns, query.network.input_size, source, _rows(weight, kept))
    return block.tocsr()


def _chords(query: Query, columns: Columns, k: int) -> Any:
    """Rows ``L a + u b`` of layer k's unstable neurons; they are at most ``u L``."""
    free = columns.unstable[k]
    l, u = (side[free] for side in query.ranges[k])
    here, shape = np.arange(len(free)), (len(free), columns.count)
    return _entries(here, columns.outputs[k][free], -l, shape) + _entries(here, columns.parts[k], u, shape)


def _placed(columns: Columns, coefs: dict[int, np.ndarray], count: int) -> Any:
    """Rows over the sources as rows (``count``, n) over the columns."""
    from scipy import sparse

    placed = sparse.csr_matrix((count, columns.count))
    for source, a in coefs.items():
        placed = placed + _spread(columns, a.shape[1], source, sparse.csr_matrix(a))
    return placed


def _spread(columns: Columns, inputs: int, source: int, block: Any) -> Any:
    """A CSR block over one source's neurons as one over all columns; inactive neurons are 0."""
    from scipy import sparse

    where = np.arange(inputs) if source == 0 else columns.outputs[source - 1]
    entries = block.tocoo()
    kept = where[entries.col] >= 0
    at = (entries.row[kept], where[entries.col[kept]])
    return sparse.csr_matrix((entries.data[kept], at), shape=(block.shape[0], columns.count))


def _rows(weight: Any, index: np.ndarray) -> Any:
    """The chosen rows of a linear map, as CSR; a few at a time, so that none of it is dense all at once."""
    from scipy import sparse

    if is_sparse(weight):
        return weight.tocsr()[index]
    at_once = max(1, CELLS_AT_ONCE // weight.shape[1])
    some = [sparse.csr_matrix(rows_of(weight, index[i : i + at_once])) for i in range(0, len(index), at_once)]
    return sparse.vstack([sparse.csr_matrix((0, weight.shape[1])), *some], format="csr")


def _entries(row: np.ndarray, column: Any, value: Any, shape: tuple[int, int]) -> Any:
    """A sparse matrix of one entry for each ``row``."""
    from scipy import sparse

    column, value = np.broadcast_to(column, row.shape), np.broadcast_to(value, row.shape)
    return sparse.csr_matrix((value, (row, column)), shape=shape)
