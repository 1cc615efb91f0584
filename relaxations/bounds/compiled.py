"""The ascent on duals compiled by JAX: the functions of ``dual`` and ``ascent`` as one program for each shape.

A program is one step; the loop stays outside, because XLA runs convolutions several times slower inside its own loops
on a CPU (measured), and stopping early costs nothing there. The number of rows is padded to a power of two. Networks,
frames and step sizes are arguments, so one program serves all nodes of a search. Importing this imports no JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from relaxations.bounds.ascent import Rates, State, begin, remember, step
from relaxations.bounds.balls import Ball
from relaxations.bounds.dual import Duals, Frame, Lines, evaluate
from relaxations.maps.linear import is_sparse
from relaxations.network import Layer, ReluNetwork
from relaxations.pytrees import FIELDS, to_jax

Array = Any
LEAST_ROWS = 8
ONE_THREAD = {"xla_cpu_multi_thread_eigen": False}  # other searches use the other processors


class Arguments(NamedTuple):
    """Padded float32 arguments of an ascent, and how many of the rows are real."""

    mid: np.ndarray
    rad: np.ndarray
    ball: Ball | None
    lines: Lines
    duals: Duals
    rows: int


def padded_rows(rows: int) -> int:
    """The number of rows a batch is padded to."""
    return max(LEAST_ROWS, 1 << (rows - 1).bit_length())


def padded(frame: Frame, lines: Lines, duals: Duals) -> Arguments:
    """Copies of ``padded_rows`` rows, the last one repeated: all of them exceed a bound when the real ones do.

    Where one layer has multipliers all get them, and every row gets lines of its own, so that few programs are needed.
    """
    rows = len(duals.weights)
    index = np.minimum(np.arange(padded_rows(rows)), rows - 1)
    split = any(phase is not None for phase in lines.phase)

    def wide(array: np.ndarray) -> np.ndarray:
        return np.repeat(array, len(index), axis=0) if len(array) == 1 else array[index]

    def filled(array: np.ndarray | None, slopes: np.ndarray, dtype: type) -> np.ndarray | None:
        if not split:
            return None
        return np.zeros((len(index), slopes.shape[1]), dtype) if array is None else wide(array).astype(dtype)

    slopes = duals.slopes

    return Arguments(
        frame.mid,
        frame.rad,
        frame.ball,
        Lines(
            *(tuple(map(wide, parts)) for parts in (lines.free, lines.chord, lines.offset)),
            tuple(filled(phase, s, np.int8) for phase, s in zip(lines.phase, slopes)),
        ),
        Duals(
            tuple(map(wide, slopes)),
            tuple(filled(values, s, np.float32) for values, s in zip(duals.multipliers, slopes)),
            wide(duals.weights),
        ),
        rows,
    )


def shortened(network: ReluNetwork, target: Layer, depth: int) -> ReluNetwork:
    """The first ``depth`` layers, with ``target`` as the output: all that an ascent on the target reads."""
    return ReluNetwork(network.input_size, network.layers[:depth], target)


def outline(value: Any) -> Hashable:
    """Structure, shapes and dtypes of a network or of arrays: equal where one program serves both."""
    if isinstance(value, Layer):
        return tuple((source, outline(weight)) for source, weight in value.terms), outline(value.bias)
    if isinstance(value, tuple):
        return tuple(map(outline, value))
    if type(value) in FIELDS:
        arrays, static = FIELDS[type(value)]
        return type(value), *(outline(getattr(value, n)) for n in arrays), *(getattr(value, n) for n in static)
    return None if value is None else (value.shape, value.dtype.str, is_sparse(value))


@dataclass(frozen=True)
class Program:
    """One compiled step for one outline; ``run`` is called with arguments on ``device``."""

    run: Callable[..., tuple[State, Array]]
    device: Any

    def place(self, network: ReluNetwork) -> ReluNetwork:
        """The network where the program reads it. Raises ``ValueError`` when it has a sparse matrix too large."""
        return placed(network, self.device)

    def ascend(self, network: ReluNetwork, batch: Arguments, steps: int, rates: Rates, enough: float) -> Duals:
        """What ``relaxations.bounds.ascent.ascend`` returns, up to rounding; the arrays cannot be written to.

        ``network`` has been placed. Every layer has multipliers if one has.
        """
        import jax

        mid, rad, ball, lines = jax.device_put(batch[:4], self.device)
        # The program overwrites its state: current and best duals must not share memory.
        state = jax.device_put(begin(batch.duals, np), self.device, may_alias=False)
        sizes, least = _sizes(rates), np.float32(enough)
        for t in range(1, steps + 2):
            state, done = self.run(network, mid, rad, ball, lines, state, np.float32(t), sizes, least)
            if enough < np.inf and bool(done):
                break
        return jax.tree_util.tree_map(lambda array: array[: batch.rows], jax.device_get(state.best))


def compile_step(network: ReluNetwork, batch: Arguments, rates: Rates, device: Any) -> Program:
    """The program for ascents on batches and networks of this outline, at this rate of weights.

    Raises what JAX raises, and ``ValueError`` when the network has a sparse matrix too large to be dense.
    """
    import jax

    where = jax.sharding.SingleDeviceSharding(device)

    def shape(value: Any) -> Any:
        return jax.ShapeDtypeStruct(value.shape, value.dtype, sharding=where)

    state = begin(batch.duals, np)
    scalars = np.float32(1), _sizes(rates), np.float32(0)
    arguments = placed(network, device), *batch[:4], state, *scalars
    once = partial(_once, weight_rate=rates.weights)
    with jax.default_matmul_precision("highest"):  # accelerators multiply float32 with fewer bits otherwise
        lowered = jax.jit(once, donate_argnums=5).lower(*jax.tree_util.tree_map(shape, arguments))
    return Program(lowered.compile(compiler_options=ONE_THREAD), device)


def placed(network: ReluNetwork, device: Any) -> ReluNetwork:
    """The network's arrays on a device. Raises ``ValueError`` when a sparse matrix is too large to be dense."""
    import jax

    with jax.default_device(device):
        converted = to_jax(network)
    if converted is None:
        raise ValueError("a sparse matrix is too large for a dense array")
    return jax.device_put(converted, device)


def _once(
    network: ReluNetwork,
    mid: Array,
    rad: Array,
    ball: Ball | None,
    lines: Lines,
    state: State,
    t: Array,
    sizes: tuple[Array, ...],
    enough: Array,
    *,
    weight_rate: float,
) -> tuple[State, Array]:
    """One evaluation and step, and whether all bounds exceed ``enough``."""
    import jax

    xp = jax.numpy
    frame = Frame(mid, rad, (), (), ball)  # bounds of layers are in the lines
    seen = evaluate(network, network.output, frame, lines, state.duals, xp, with_values=weight_rate > 0)
    state = remember(state, seen, xp)
    done = (state.bound > enough).all()
    return step(state, seen, lines.phase, Rates(*sizes, weight_rate), t, xp), done


def _sizes(rates: Rates) -> tuple[np.float32, ...]:
    """The rates that are arguments; that of the weights is part of the program, which has less to do when it is 0."""
    return np.float32(rates.slopes), np.float32(rates.multipliers), np.float32(rates.decay)
