"""The search over boxes of one case, before it has begun."""

from __future__ import annotations

import numpy as np

from relaxations.bounds.balls import Ball
from relaxations.bounds.boxes import Rows
from relaxations.network import ReluNetwork
from relaxations.pairing import Pair
from specs.errors import SpecError
from specs.problem import Case
from verifier.attack.group import FLOAT32_UP_TO
from verifier.engine.explore import Explorer
from verifier.engine.floats import float_rows
from verifier.engine.scheduler import CaseSearch, Place

LARGEST = float(np.finfo(np.float64).max)
SMALL_DIFFERENCE = 1e-3  # between copies: below that it is bounded in float64


def search_of(
    network: ReluNetwork, case: Case, branching: str, depth_first: bool, refine: bool, pairs: tuple[Pair, ...] = ()
) -> CaseSearch:
    """The search of one case: ``branching``, ``refine`` and ``pairs`` are those of its ``Explorer``.

    Raises ``SpecError`` where the box reaches beyond float64.
    """
    try:
        low, up = (np.array([float(v) for v in side]) for side in (case.box.lower, case.box.upper))
    except OverflowError:
        raise SpecError(
            f"an input may be larger than all numbers of float64: bound it by less than {LARGEST:.3g}"
        ) from None
    rows = float_rows(case, network.input_size, len(network.output.bias))
    explorer = Explorer(
        network,
        rows,
        np.where(up > low, up - low, 1.0),
        branching,
        depth_first,
        precision="float32" if _fit_float32(network, rows, bool(pairs)) else "float64",
        refine=refine or bool(pairs),
        ball=Ball.of(case),
        pairs=pairs,
    )
    return CaseSearch(explorer, Place(None, low, up))


def _fit_float32(network: ReluNetwork, rows: Rows, differences: bool) -> bool:
    """Whether float32 is good for a search; differences may be smaller than what it rounds in their terms."""
    if differences and np.abs(rows.constant).min(initial=np.inf) < SMALL_DIFFERENCE:
        return False
    return max(network.largest, rows.largest) < FLOAT32_UP_TO
