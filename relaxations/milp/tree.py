"""Branch and bound over the phases of ReLUs, every leaf with multipliers that bound it.

A phase makes one neuron exactly ``z`` or exactly 0, so that a leaf is the triangle relaxation of what is left unstable
and, once nothing is, the network's own linear piece. Leaves that cover, each with a dual of its own, are a dual of the
exact problem: the largest of their bounds is one of it, however they were found. Sources: Bunel et al. 2018,
arXiv:1711.00455 (branch and bound); Isac et al. 2022, arXiv:2206.00512 (proofs made of splits and leaves).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from relaxations.base import Query
from relaxations.executions import invented
from relaxations.lp.phase_program import PhaseProgram, Solved
from relaxations.lp.safe_dual import Splits, no_multipliers, phases_of, safe_dual
from relaxations.multipliers import Multipliers

SLACK = 1e-7  # a leaf this much above the best attack, of the size of the values, is not split: a solver's tolerance


@dataclass(frozen=True)
class PhaseLeaf:
    """``bound`` is what ``dual`` proves where the ``splits`` (layer, neuron, sign) hold; -inf where nothing does.

    The dual's parts are those of all neurons that are unstable in the query, the split ones too, see ``safe_dual``.
    """

    splits: Splits
    dual: Multipliers
    bound: float

    def signs(self, query: Query) -> tuple[float, ...]:
        """For each split the multiplier (>= 0) of its sign constraint, ``z >= 0`` or ``z <= 0``."""
        found = []
        for layer, neuron, sign in self.splits:
            part = self.dual.positive if sign > 0 else self.dual.above
            found.append(float(part[layer][np.searchsorted(query.unstable(layer), neuron)]))
        return tuple(found)


@dataclass(frozen=True)
class PhaseTree:
    """Leaves that cover all phases, in depth-first order, and the input (n,) of the best score that was seen.

    ``value`` is the largest bound of a leaf, ``score`` the network's own at ``attack``. ``open`` counts the leaves that
    would have been split, had there been time.
    """

    leaves: tuple[PhaseLeaf, ...]
    attack: np.ndarray
    score: float
    open: int = 0
    solved: int = 0

    @property
    def value(self) -> float:
        return max(leaf.bound for leaf in self.leaves)


@dataclass
class _Search:
    query: Query
    enough: float
    end: float
    attack: np.ndarray
    score: float
    leaves: list[PhaseLeaf] = field(default_factory=list)
    open: int = 0
    solved: int = 0


def search(
    query: Query, seconds: float = np.inf, enough: float = -np.inf, attack: np.ndarray | None = None
) -> PhaseTree:
    """The tree for a query. A leaf is not split once its bound is at most ``enough`` or the best score seen.

    With ``enough = -inf`` the value and the best score meet, up to the solver's tolerance: the exact optimum. For a
    proof alone any ``enough < 0`` will do; once an input scores more than that, there is none, and the search ends.
    ``attack`` is an input (n,) to begin with. What is left open, then or out of time, keeps the bound of the node
    above it.
    """
    program = PhaseProgram(query)
    begin = (query.lower + query.upper) / 2 if attack is None else np.clip(attack, query.lower, query.upper)
    state = _Search(query, enough, time.monotonic() + seconds, begin, float(query.score(begin[None])[0]))
    stack: list[tuple[Splits, Multipliers]] = [((), no_multipliers(query))]
    while stack:
        splits, inherited = stack.pop()
        stack.extend(reversed(_visit(state, program, splits, inherited)))
    return PhaseTree(tuple(state.leaves), state.attack, state.score, state.open, state.solved)


def _visit(
    state: _Search, program: PhaseProgram, splits: Splits, inherited: Multipliers
) -> list[tuple[Splits, Multipliers]]:
    """Solve one node; its two children, the more promising first, or none where it became a leaf."""
    query, phases = state.query, phases_of(state.query, splits)
    left = state.end - time.monotonic()
    refuted = -np.inf < state.enough < state.score
    solved = program.solve(phases, left) if left > 0 and not refuted else None
    dual, bound = inherited, safe_dual(query, inherited, phases).value
    if solved is not None and solved.dual is not None and solved.safe.value < bound:
        dual, bound = solved.dual, solved.safe.value
    if solved is not None:
        state.solved += 1
        _remember(state, solved)
    closed = bound <= max(state.enough, state.score + SLACK * (1 + abs(state.score)))
    chosen = None if closed or solved is None else _branch(query, solved, splits)
    if chosen is None:
        state.open += not closed and (solved is None or not solved.finished)
        state.leaves.append(PhaseLeaf(splits, dual, bound))
        return []
    layer, neuron, first = chosen
    return [((*splits, (layer, neuron, sign)), dual) for sign in (first, -first)]


def _remember(state: _Search, solved: Solved) -> None:
    if solved.action is not None:
        score = float(state.query.score(solved.action.x[None])[0])
        if score > state.score:
            state.attack, state.score = solved.action.x, score


def _branch(query: Query, solved: Solved, splits: Splits) -> tuple[int, int, int] | None:
    """The neuron to split and the phase to try first: that of the real execution. None if there is nothing to split."""
    if solved.action is None:
        return None
    taken = {(layer, neuron) for layer, neuron, _ in splits}
    for branch in invented(solved.action, solved.safe.coefs):
        if (branch.layer, branch.neuron) not in taken:
            return branch.layer, branch.neuron, 1 if solved.action.z[branch.layer][branch.neuron] >= 0 else -1
    return None


def cover(leaves: Sequence[PhaseLeaf]) -> bool:
    """Whether the leaves' splits are those of a tree: whatever the phases are, some leaf allows them."""

    def whole(below: list[Splits], depth: int) -> bool:
        if any(len(splits) == depth for splits in below):
            return True
        if not below:
            return False
        layer, neuron, _ = below[0][depth]
        sides = [[s for s in below if s[depth] == (layer, neuron, sign)] for sign in (1, -1)]
        return all(whole(side, depth + 1) for side in sides)

    return whole([leaf.splits for leaf in leaves], 0)
