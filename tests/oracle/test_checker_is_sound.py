"""The checker against exact truth, with no tolerance: its readers, its bounds, its clips and its verdicts.

Random trees stand for whatever a prover may write: most are rejected, and none may be accepted for a false claim.
"""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.oracle import Row, counterexample, minimum
from tests.strategies import Question, question
from verifier.checker.boxes import Boxes
from verifier.checker.check import Checker
from verifier.checker.clip import clip
from verifier.checker.container import Certificate, Source
from verifier.checker.exact import evaluate
from verifier.checker.onnx import read_network
from verifier.checker.tree import CLIP, LEAF, SPLIT
from verifier.checker.vnnlib import read_query

pytest.importorskip("onnx")
remembered = cache(question)
SEEDS = [(seed,) for seed in range(25)]
FALSE = [(seed, *how) for seed in range(20) for how in (("just below",), ("at", True))]


@pytest.fixture
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Question, Checker]:
    q = remembered(*request.param)
    model, spec = q.write(tmp_path)
    network = read_network(model.read_bytes())
    return q, Checker(network, read_query(spec.read_text(encoding="utf-8"), q.net.inputs, q.net.outputs))


def every(*questions: tuple[object, ...]) -> pytest.MarkDecorator:
    """One run for each question, given by the arguments of ``question``."""
    return pytest.mark.parametrize("asked", questions, indirect=True, ids=str)


def boxes_inside(rng: random.Random, checker: Checker, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The whole box (to the nearest numbers outside it) and random parts of it, thin ones included."""
    (case,) = checker.cases
    lower = np.array([np.nextafter(float(value), -np.inf) for value in case.lower])
    upper = np.array([np.nextafter(float(value), np.inf) for value in case.upper])
    parts = [(lower, upper)]
    for _ in range(count):
        ends = np.sort([[rng.uniform(lo, up) for lo, up in zip(lower, upper)] for _ in range(2)], axis=0)
        keep = np.array([rng.random() < 0.3 for _ in lower])
        parts.append((np.where(keep, lower, ends[0]), np.where(keep, upper, ends[1])))
    return parts


@every(*SEEDS)
def test_reads_exactly_the_question(asked: tuple[Question, Checker]) -> None:
    q, checker = asked
    (case,) = checker.cases
    assert (case.lower, case.upper, case.empty) == (q.lower, q.upper, False)
    assert [(tuple(sorted(r.x.items())), tuple(sorted(r.y.items())), r.constant, r.strict) for r in case.rows] == [
        (row.x, row.y, row.constant, row.strict) for row in q.rows
    ]
    for x in (q.worst, q.lower, q.upper):
        assert tuple(evaluate(checker.bounder.network, list(x))) == q.network.evaluate(x)


@every(*SEEDS)
def test_no_bound_exceeds_the_exact_minimum(asked: tuple[Question, Checker]) -> None:
    q, checker = asked
    rng = random.Random(q.seed)
    for lower, upper in boxes_inside(rng, checker, 4):
        bound = checker.bounder.lower(Boxes.of(lower[None], upper[None]), checker.questions[0].rows)
        assert np.all(np.isfinite(bound.lower))
        for claimed, row in zip(bound.lower[0], q.rows, strict=True):
            assert Fraction(float(claimed)) <= minimum(q.network, lower, upper, row)


@every(*SEEDS)
def test_no_clip_removes_a_counterexample(asked: tuple[Question, Checker]) -> None:
    q, checker = asked
    rng = random.Random(q.seed + 1)
    for lower, upper in boxes_inside(rng, checker, 3):
        boxes = Boxes.of(lower[None], upper[None])
        kept_low, kept_up, empty = clip(boxes, checker.bounder.lower(boxes, checker.questions[0].rows))
        if empty[0]:
            assert counterexample(q.network, lower, upper, q.rows) is None
            continue
        for d in range(len(lower)):
            for start, end, sign in ((lower[d], kept_low[0, d], 1), (kept_up[0, d], upper[d], -1)):
                if start < end:
                    slab = lower.copy(), upper.copy()
                    slab[0][d], slab[1][d] = start, end
                    edge = Fraction(float(end if sign > 0 else start))
                    kept = Row(((d, Fraction(sign)),), (), -sign * edge, strict=False)  # true on the edge alone
                    assert counterexample(q.network, *slab, (*q.rows, kept)) is None


@every(*FALSE)
def test_no_tree_proves_a_false_claim(asked: tuple[Question, Checker]) -> None:
    q, checker = asked
    assert not q.holds
    rng = random.Random(q.seed + 2)
    nothing = Source("", "", None)
    for depth in (0, 2, 6):
        words = np.array(random_tree(rng, q.net.inputs, depth), dtype=np.int64)
        assert not checker.check(Certificate(nothing, nothing, 1, (words,), ""), None).accepted


def test_true_claims_are_proved_often_enough_for_the_rest_to_mean_something(tmp_path: Path) -> None:
    proved = 0
    for seed in range(40):
        q = question(seed, placement="far")
        model, _ = q.write(tmp_path)
        checker = Checker(read_network(model.read_bytes()), read_query(q.vnnlib, q.net.inputs, q.net.outputs))
        words = np.array(random_tree(random.Random(seed), q.net.inputs, 6), dtype=np.int64)
        nothing = Source("", "", None)
        accepted = checker.check(Certificate(nothing, nothing, 1, (words,), ""), None).accepted
        assert q.holds or not accepted
        proved += accepted
    assert proved >= 10


def random_tree(rng: random.Random, inputs: int, depth: int) -> list[int]:
    if depth == 0:
        return [LEAF]
    here = [CLIP] * (rng.random() < 0.5) + [SPLIT + rng.randrange(inputs)]
    return here + random_tree(rng, inputs, depth - 1) + random_tree(rng, inputs, depth - 1)
