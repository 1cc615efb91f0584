"""Correlative sparsity: the groups of variables that a moment matrix has to be made for.

Two variables are joined if they meet in a condition, or in one monomial of an objective. The maximal cliques of a
chordal extension of this graph, each condition given to a clique that holds all its variables, make a smaller
hierarchy that is as valid and, with a ball or box in every clique, still converges (Waki, Kim, Kojima and Muramatsu
2006, SIAM J. Optim. 17; Lasserre 2006).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from specs.polynomial import Polynomial

Clique = tuple[int, ...]


def cliques(size: int, objectives: Iterable[Polynomial], conditions: Iterable[Polynomial]) -> tuple[Clique, ...]:
    """The maximal cliques, in an order with the running intersection property; every variable is in one."""
    near: list[set[int]] = [set() for _ in range(size)]
    groups = [{variable for variable, _ in monomial} for p in objectives for monomial in p.terms]
    groups += [set(p.variables) for p in conditions]
    for group in groups:
        for variable in group:
            near[variable] |= group - {variable}
    return _ordered(_maximal(_eliminated(near)))


def containing(found: Sequence[Clique], variables: Iterable[int]) -> list[Clique]:
    """The cliques that hold all of these variables."""
    wanted = set(variables)
    return [clique for clique in found if wanted <= set(clique)]


def has_running_intersection(found: Sequence[Clique]) -> bool:
    """Whether what each clique shares with all before it lies in a single one of them."""
    for k, clique in enumerate(found[1:], start=1):
        before = set().union(*found[:k]) & set(clique)
        if not any(before <= set(other) for other in found[:k]):
            return False
    return True


def _eliminated(near: list[set[int]]) -> list[set[int]]:
    """Candidates for cliques of a chordal extension: variables leave by least degree, their neighbours get joined."""
    near = [set(neighbours) for neighbours in near]
    left = set(range(len(near)))
    found = []
    while left:
        first = min(left, key=lambda v: (len(near[v]), v))
        neighbours = near[first]
        found.append(neighbours | {first})
        for variable in neighbours:
            near[variable] |= neighbours - {variable}
            near[variable].discard(first)
        left.discard(first)
    return found


def _maximal(candidates: list[set[int]]) -> list[set[int]]:
    found: list[set[int]] = []
    for candidate in sorted(candidates, key=len, reverse=True):
        if not any(candidate <= other for other in found):
            found.append(candidate)
    return found


def _ordered(found: list[set[int]]) -> tuple[Clique, ...]:
    """A tree of most shared variables, walked from its first clique (Prim): the running intersection property."""
    left = [tuple(sorted(clique)) for clique in found]
    order: list[Clique] = []
    while left:
        best = max(left, key=lambda c: (max((len(set(c) & set(o)) for o in order), default=0), tuple(-v for v in c)))
        order.append(best)
        left.remove(best)
    return tuple(order)
