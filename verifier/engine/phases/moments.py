"""Cases of a node proved by Shor's relaxation: multipliers as the certificate stores them."""

from __future__ import annotations

import multiprocessing
import os
import sys
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.lifting import Lifting
from relaxations.multipliers import Multipliers
from relaxations.network import Layer, ReluNetwork, rows_of
from verifier.engine.deadline import Deadline
from verifier.engine.phases.bounding import Bounding
from verifier.engine.phases.node import Node
from verifier.engine.phases.surroundings import environment

LARGEST = 4000  # of the matrix; the checker's limit is hardly more
QUICK = 600  # from here on first-order steps are tried before an interior point
INTERIOR = 1600  # and from here on nothing else, as one of its steps takes ten products of such matrices
QUICK_SHARE = 0.5  # of the time that is left, at most
ENOUGH = 1e-3  # of a row's size: a margin that rounding does not use up
SPREAD = 0.5  # of the margin is spent on the squares, so that a little is left of every eigenvalue


def order_of(node: Node) -> int:
    """The size of the matrix of a node's moments."""
    return 1 + len(node.point) + sum(len(node.free(k)) for k in range(len(node.lower)))


def possible(node: Node) -> bool:
    """Whether a node's moments can be had at all."""
    return not node.signs and order_of(node) <= LARGEST


def seconds_of(order: int) -> float:
    """What a proof by moments takes, about, where there is one."""
    return 6.0 * (order / 1000) ** 2


def query_of(bounding: Bounding, node: Node, case: int) -> Query:
    """One case on a node's region: its splits as far as they are part of the ranges."""
    first, last = bounding.target.first[case : case + 2]
    count = int(last - first)
    whole = bounding.target.layer
    rows = Layer(
        tuple((source, rows_of(weight, np.arange(first, last))) for source, weight in whole.terms),
        whole.bias[first:last],
    )
    network = ReluNetwork(bounding.exact.input_size, bounding.exact.layers, rows)
    ranges = tuple((l.astype(float), u.astype(float)) for l, u in zip(node.lower, node.upper, strict=True))
    outputs = Rows(np.zeros((count, network.input_size)), np.eye(count), np.zeros(count))
    return Query(network, outputs, bounding.lower, bounding.upper, ranges, bounding.ball)


@dataclass(frozen=True)
class Tried:
    """Multipliers, rounded to float32, that prove a case, if any were found; ``hopeless``: there are none.

    ``moments`` (1 + N, 1 + N) stand in the way of a proof, if they are known.
    """

    dual: Multipliers | None
    hopeless: bool = False
    moments: np.ndarray | None = None


def try_moments(query: Query, until: Deadline, to_the_end: bool = False) -> Tried:
    """Whether Shor's relaxation proves the query's rows.

    First-order steps come first where the matrix is not small: they show most of what holds in a fraction of the time.
    ``to_the_end`` asks for the best moments where there is no proof; else it ends as soon as that is known.
    """
    from relaxations.sdp import first_order, interior_point

    with np.errstate(all="ignore"):
        lifting = Lifting.of(query)
        wanted = ENOUGH * float(np.abs(lifting.rows).sum(axis=1).max())
        if lifting.size > QUICK and _may_use_jax(os.getpid()):
            share = QUICK_SHARE if lifting.size <= INTERIOR else 1.0
            quick = first_order.solve(lifting, share * max(until.remaining, 0.0), enough=wanted, least=0.0)
            kept = stored(lifting, quick.dual) if quick.proved > 0 else None
            if kept is not None:
                return Tried(kept)
        if lifting.size > INTERIOR or until.over:
            return Tried(None)
        hopeless = -np.inf if to_the_end else 0.0
        found = interior_point.solve(lifting, lambda: until.over, enough=wanted, hopeless=hopeless)
        if found.proved > 0:
            return Tried(stored(lifting, found.dual))
        stands = found.residual < interior_point.FEASIBLE and found.primal < 0
        return Tried(None, hopeless=stands, moments=found.moments if stands else None)


def rounded(values: np.ndarray) -> np.ndarray:
    """The nearest float32 numbers."""
    return values.astype(np.float32).astype(float)


@cache
def _may_use_jax(process: int) -> bool:
    """Whether this process may: JAX starts threads, so that one forked from a process with JAX in it must not use it.

    Processes of our own find the programs that earlier ones have compiled.
    """
    assert process == os.getpid()
    if multiprocessing.parent_process() is None:
        return True
    if "jax" in sys.modules:
        return False
    for name, value in environment("cpu").items():
        os.environ.setdefault(name, value)
    return True


def stored(lifting: Lifting, dual: Multipliers) -> Multipliers | None:
    """The dual in float32, with larger squares, if it proves the rows even so."""
    assert dual.product is not None
    assert dual.back is not None
    assert dual.squares is not None

    squares = lifting.of_symbols(dual.squares)
    squares = squares - SPREAD * squares.sum() / len(squares)  # the sum is minus the margin
    squares = np.nextafter(squares.astype(np.float32), np.float32(np.inf)).astype(float)
    kept = replace(
        dual,
        weights=rounded(dual.weights),
        product=tuple(map(rounded, dual.product)),
        back=tuple(map(rounded, dual.back)),
        squares=lifting.of_inputs(squares),
        ball=0.0 if lifting.ball is None else float(rounded(np.array([max(dual.ball, 0.0)]))[0]),
    )
    try:
        np.linalg.cholesky(lifting.quadratic_form(kept))
    except np.linalg.LinAlgError:
        return None
    return kept if squares.sum() < 0 else None
