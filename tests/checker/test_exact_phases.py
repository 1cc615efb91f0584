"""The rational audit proves the leaves of phase trees itself."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from verifier.checker.check import Checker
from verifier.checker.container import Certificate, Source
from verifier.checker.exact_tree import audit
from verifier.checker.network import Affine, Dense, Input, Network, Relu
from verifier.checker.phases import HINTED
from verifier.checker.tree import FRAME, LEAF
from verifier.checker.vnnlib import QueryCase, QueryRow


def certificate(words: list[int]) -> Certificate:
    nowhere = Source("", "", None)
    return Certificate(nowhere, nowhere, 1, (np.array(words, dtype=np.int64),), "")


@pytest.fixture
def checker() -> Checker:
    """relu(x) + 1 > 0 on [-1, 1]."""
    one = np.ones((1, 1))
    nodes = (
        Input(1),
        Affine(((0, Dense(one)),), np.zeros(1)),
        Relu(1),
        Affine(((2, Dense(one)),), np.ones(1)),
    )
    row = QueryRow({}, {0: Fraction(1)}, Fraction(0), True)
    case = QueryCase(lower=(Fraction(-1),), upper=(Fraction(1),), rows=(row,), empty=False)
    return Checker(Network(nodes, (1, 1, 1, 1)), (case,))


def test_a_leaf_is_proved(checker: Checker) -> None:
    assert audit(checker, certificate([LEAF])).accepted


def test_a_phase_tree_is_not_passed_over(checker: Checker) -> None:
    one_as_float32 = np.array([1.0], dtype="<f4").view("<u2").astype(np.int64).tolist()
    proof = certificate([FRAME, 0, HINTED, *one_as_float32])
    assert checker.check(proof, None).accepted
    assert audit(checker, proof).accepted
    without_weight = audit(checker, certificate([FRAME, 0, HINTED, 0, 0]))
    assert [failure.position for _, _, failure in without_weight.failures] == [2]
