"""Cliques: every condition in one, in an order with the running intersection property."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaxations.sos.sparsity import cliques, containing, has_running_intersection
from specs.polynomial import Polynomial

GROUPS = st.lists(st.sets(st.integers(0, 7), min_size=1, max_size=3), max_size=10)


def on(variables) -> Polynomial:
    return Polynomial.affine({k: Fraction(1) for k in variables}, Fraction(0))


@given(GROUPS)
def test_every_condition_has_a_clique_and_intersections_run(groups):
    found = cliques(8, [], [on(group) for group in groups])
    assert all(containing(found, group) for group in groups)
    assert set().union(*map(set, found)) == set(range(8))
    assert has_running_intersection(found)
    assert not any(set(a) < set(b) for a in found for b in found)


def test_a_chain_has_pairs_and_a_ring_is_filled_in():
    chain = cliques(4, [], [on((0, 1)), on((1, 2)), on((2, 3))])
    assert sorted(chain) == [(0, 1), (1, 2), (2, 3)]
    ring = cliques(4, [], [on((0, 1)), on((1, 2)), on((2, 3)), on((3, 0))])
    assert sorted(map(len, ring)) == [3, 3]


def test_a_linear_objective_joins_nothing():
    assert cliques(3, [on((0, 1, 2))], []) == ((0,), (1,), (2,))


def test_the_property_is_told_from_its_absence():
    assert has_running_intersection(((0, 1), (1, 2)))
    assert not has_running_intersection(((0, 1), (2, 3), (1, 2), (0, 3)))


@pytest.mark.peer
def test_sparse_and_dense_agree_on_a_chain():
    pytest.importorskip("cvxpy")
    from relaxations.sos.lasserre import Bounded
    from relaxations.sos.proving import prove_least

    variables = [Polynomial.variable(k) for k in range(4)]
    p = Polynomial.total([(a * b - a).scaled(Fraction(k + 1)) for k, (a, b) in enumerate(pairwise(variables))])
    question = Bounded((p,), (Fraction(-1),) * 4, (Fraction(1),) * 4)
    sparse = prove_least(question, 2, question.cliques())
    dense = prove_least(question, 2)
    corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1)  # multilinear: least at a corner
    truth = min(float(p.at([Fraction(v) for v in corner])) for corner in corners.T)
    assert len(question.cliques()) == 3
    assert truth - 1e-4 <= float(sparse.level) <= truth
    assert truth - 1e-4 <= float(dense.level) <= truth
