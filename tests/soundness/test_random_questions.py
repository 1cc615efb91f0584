"""Tiny random questions decided end to end: no verdict contradicts the exact answer, and all evidence is accepted."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from tests.soundness.deciding import WAYS, checker_of, decide_files, exact_verdict, float_verdict
from tests.soundness.seeds import groups, name
from tests.strategies import Question, question
from verifier.engine.outcome import Outcome

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SECONDS, PATIENT_SECONDS = 0.8, 8.0  # the second for a clear question that was not decided at first
AUDITED_LEAVES = 150  # rational arithmetic takes about 5 ms a leaf
# Coefficients of a question placed exactly "at" may exceed float32: the search then says nothing useful.
pytestmark = [
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),
]


@pytest.mark.parametrize("group", groups(320, 16), ids=name)
def test_no_verdict_is_wrong(group: range, tmp_path: Path) -> None:
    """A third of the groups is decided by input splits, one by ReLU phases, one by both in one tree.

    At most one question in four is both clear and left open: input splits do not close every corner of a box.
    """
    way = list(WAYS)[group.start // len(group) % 3]
    seen: Counter[str] = Counter()
    for seed in group:
        q = question(seed)
        model, query = q.write(tmp_path)
        certificate = tmp_path / f"{seed}.nncert"
        outcome = decide_files(model, query, certificate, SECONDS, way)
        if outcome.verdict == "unknown" and is_clear(q):
            outcome = decide_files(model, query, certificate, PATIENT_SECONDS, way)
        seen[outcome.verdict] += 1
        if outcome.verdict == "certified":
            certified_rightly(q, outcome, model, query, certificate)
        elif outcome.verdict == "violated":
            violated_rightly(q, outcome, model, query, certificate)
        else:
            assert not certificate.exists(), "an unknown verdict left a certificate behind"
            seen["clear, open"] += is_clear(q)
        assert outcome.verdict == "unknown" or float(q.optimum) <= outcome.attained + 1e-6 * size(q) + 1e-12
    assert seen["clear, open"] <= len(group) // 4
    assert seen["certified"] + seen["violated"]


def certified_rightly(q: Question, outcome: Outcome, model: Path, query: Path, certificate: Path) -> None:
    assert q.holds, f"seed {q.seed}: certified, but the optimum is {q.optimum} at {q.worst}"
    assert Fraction(outcome.proved) <= q.optimum, "the stated margin exceeds the exact optimum"
    checker = checker_of(model, query)
    verdict = float_verdict(checker, certificate)
    assert verdict.accepted, f"seed {q.seed}: {verdict.reason}"
    if verdict.leaves <= AUDITED_LEAVES:
        exact = exact_verdict(checker, certificate)
        assert exact.accepted, f"seed {q.seed}: {exact.reason}"


def violated_rightly(q: Question, outcome: Outcome, model: Path, query: Path, certificate: Path) -> None:
    assert not q.holds, f"seed {q.seed}: violated, but the optimum is {q.optimum}"
    assert not certificate.exists()
    attack = outcome.attack
    assert attack is not None
    assert attack.proved
    assert attack.path is not None
    assert all(low <= x <= up for low, x, up in zip(q.lower, attack.point, q.upper, strict=True))
    margins = [(q.network.margin(row, attack.point), row.strict) for row in q.rows]
    assert all(value < 0 or (value == 0 and strict) for value, strict in margins)
    assert float_verdict(checker_of(model, query), attack.path).accepted


def size(q: Question) -> float:
    """How large the best row gets: the scale against which an optimum is near the threshold or far from it."""
    middle = [(low + up) / 2 for low, up in zip(q.lower, q.upper)]
    points = (q.lower, q.upper, tuple(middle))
    return float(max(abs(q.network.margin(row, x)) for row in q.rows for x in points))


def is_clear(q: Question) -> bool:
    """The optimum is more than a hundredth of the row's size away from the threshold."""
    return abs(float(q.optimum)) > 0.01 * size(q)
