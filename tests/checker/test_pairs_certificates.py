"""Whole certificates that name pairs: trees of every kind of word about two copies, true claims and false ones.

Claims are false by as little as 1e-15: the least value of the row over the box is known exactly, from an oracle.
"""

from __future__ import annotations

import gc
import random
import weakref
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.checker.phase_words import NOWHERE, certificate, random_tree, words
from tests.checker.test_pairs import exact_rows, rows_of, some_pairing, tiny
from tests.checker.test_rounding import exact
from tests.checker.twins import both, differences, layered, perturbed
from tests.oracle import Row, minimum
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes
from verifier.checker.check import Checker
from verifier.checker.container import Certificate
from verifier.checker.exact import ExactRelaxation
from verifier.checker.exact_tree import audit
from verifier.checker.network import Affine, Dense, Input, Network, Relu
from verifier.checker.pairs import Pairs, side_by_side
from verifier.checker.tree import CLIP, LEAF, QUICK_CLIP, QUICK_LEAF, REF, SPLIT
from verifier.checker.vnnlib import QueryCase, QueryRow

SIZES = ((1, 3, 2, 1), (2, 3, 3, 1), (2, 4, 1), (1, 4, 3, 1))
SHORT = (Fraction(1, 10**15), Fraction(1, 10**6), Fraction(0), Fraction(-1, 100), Fraction(-1))  # negative: it holds


def certified(*chunks: list[int], pairs: Pairs) -> Certificate:
    return Certificate(NOWHERE, NOWHERE, 1, tuple(map(words, chunks)), "", pairs)


def some_tree(rng: random.Random, inputs: int, depth: int, others: list[list[int]] | None) -> list[int]:
    """A tree over boxes, parts of which are in chunks of their own."""
    kind = rng.random()
    if not depth or kind < 0.15:
        return [rng.choice((LEAF, LEAF, LEAF, QUICK_LEAF))]
    if kind < 0.35:
        return [rng.choice((CLIP, CLIP, QUICK_CLIP)), *some_tree(rng, inputs, depth - 1, others)]
    if kind < 0.45 and others is not None:
        others.append(some_tree(rng, inputs, depth - 1, None))
        return [REF, 0, len(others)]
    halves = (some_tree(rng, inputs, depth - 1, others) for _ in range(2))
    return [SPLIT + rng.randrange(inputs), *(word for half in halves for word in half)]


def copies(seed: int) -> tuple[Network, Pairs, tuple[Fraction, ...], tuple[Fraction, ...]]:
    """Two copies, any pairing of their layers or the right one, and a box."""
    rng = np.random.default_rng(seed)
    one = layered(rng, SIZES[seed % len(SIZES)], scale=1.5)
    network, pairs = both(one, perturbed(rng, one, float(rng.choice([0.0, 1e-12, 1e-3, 0.3, 2.0]))))
    if seed % 2:
        pairs = some_pairing(random.Random(seed), network)
    lower = np.round(rng.normal(size=network.sizes[0]) * 8) / 8 - 0.5
    upper = lower + rng.choice([0.25, 0.5, 1.0, 2.0], network.sizes[0])
    return network, pairs, tuple(map(Fraction, lower.tolist())), tuple(map(Fraction, upper.tolist()))


@pytest.mark.parametrize("seed", range(48))
def test_no_tree_proves_what_is_false_by_a_hair(seed: int) -> None:
    rng = random.Random(seed)
    network, pairs, lower, upper = copies(seed)
    terms = ((0, Fraction(1)), (1, Fraction(-1) if seed % 3 else Fraction(rng.gauss(0, 1))))
    least = minimum(tiny(network), lower, upper, Row((), terms))
    for short in SHORT:
        strict = rng.random() < 0.5
        row = QueryRow({}, dict(terms), -least - short, strict)
        holds = short < 0 or (short == 0 and not strict)
        checker = Checker(network, (QueryCase(lower, upper, False, (row,)),))
        assert checker.check(certified([LEAF], pairs=pairs), None).accepted <= holds
        for _ in range(2):
            others: list[list[int]] = []
            root = some_tree(rng, len(lower), 5, others)
            claim = certified(root, *others, pairs=pairs)
            assert checker.check(claim, None).accepted <= holds
            assert audit(checker, claim).accepted <= holds


def test_phase_trees_do_without_pairs() -> None:
    """The verdict is the one without pairs: layers keep their numbers, whatever order the pairs ask for."""
    proved = 0
    for seed in range(0, 40, 2):
        rng = random.Random(seed)
        network, pairs, lower, upper = copies(seed)
        least = minimum(tiny(network), lower, upper, Row((), ((0, Fraction(1)), (1, Fraction(-1)))))
        row = QueryRow({}, {0: Fraction(1), 1: Fraction(-1)}, 2 - least if seed % 4 else -least, True)
        checker = Checker(network, (QueryCase(lower, upper, False, (row,)),))
        for depth in (0, 1, 2):
            plain = certificate(1, random_tree(rng, checker, depth))
            verdicts = [checker.check(claim, None).accepted for claim in (plain, replace(plain, pairs=pairs))]
            assert verdicts[0] == verdicts[1] == audit(checker, replace(plain, pairs=pairs)).accepted
            proved += verdicts[0]
            assert seed % 4 or not verdicts[0]
    assert proved


def test_quick_words_do_without_pairs_in_rational_arithmetic_too() -> None:
    """A useless pair makes bounds looser, not those of quick words: what is accepted in float64 is accepted exactly."""
    one = Dense(np.ones((1, 1)))
    nodes = (
        Input(1),
        Affine(((0, one),), np.zeros(1)),
        Affine(((0, one),), np.full(1, -6.0)),
        Relu(1),
        Relu(2),
        Affine(((3, one), (4, Dense(np.array([[-1.0]])))), np.zeros(1)),
    )
    network = Network(nodes, (1,) * 6)  # x clipped to [0, 6]
    limit = QueryRow({}, {0: Fraction(-1)}, Fraction(3, 2), True)  # below 3/2 on [-1, 1]
    checker = Checker(network, (QueryCase((Fraction(-1),), (Fraction(1),), False, (limit,)),))
    for word, pairs, proved in ((LEAF, (), True), (LEAF, ((0, 1),), False), (QUICK_LEAF, ((0, 1),), True)):
        certificate = certified([word], pairs=pairs)
        assert checker.check(certificate, None).accepted == proved
        assert audit(checker, certificate).accepted == proved


def test_bounders_of_many_lists_of_pairs_do_not_pile_up() -> None:
    """One that lives as long as a service: of all certificates it has seen, it holds the pairs of one."""
    weight = Dense(np.ones((1, 1)))
    relus = [Relu(0) for _ in range(6)]
    last = Affine(tuple((k + 1, weight) for k in range(6)), np.zeros(1))
    checker = Checker(Network((Input(1), *relus, last), (1,) * 8), ())
    held = [weakref.ref(checker.comparing(((0, k),))) for k in range(1, 6)]
    gc.collect()
    assert [bounder() is not None for bounder in held] == [False, False, False, False, True]
    assert checker.comparing(()) is checker.bounder


@pytest.mark.parametrize("seed", range(16))
def test_both_arithmetics_bound_by_one_rule(seed: int) -> None:
    """Up to rounding, which magnitudes near 1 make small: neurons compared, lines, ranges are the same."""
    rng = np.random.default_rng(seed)
    one = layered(rng, (2, 5, 5, 4, 2), scale=1.5)
    network, pairs = both(one, perturbed(rng, one, (0.01, 0.3)[seed % 2]))
    lower, upper = np.full(2, -0.5 - seed / 8), np.full(2, 0.5 + seed / 8)
    y = np.concatenate([differences(2), rng.normal(size=(3, 4))])
    paired = side_by_side(network, pairs)
    twin = ExactRelaxation(paired.network, exact(lower), exact(upper), seconds=paired.seconds)
    bounder, boxes = Bounder(network, pairs), Boxes.of(lower[None], upper[None])
    assert bounder.lower(boxes, rows_of(y, 2)).lower[0] == pytest.approx(list(map(float, twin.bounds(exact_rows(y)))))
    relaxation = bounder.relax(boxes)
    for k, ranges in twin.ranges.items():
        for side, exactly in zip(relaxation.ranges[k], ranges, strict=True):
            assert side[0] == pytest.approx(list(map(float, exactly)))
    for k, lines in twin.differences.items():
        assert np.array_equal(relaxation.differences[k].used[0] > 0, lines.used.numerators > 0)
