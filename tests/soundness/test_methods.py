"""Relaxations of the whole box as methods, on random tiny questions whose exact answer is known."""

from __future__ import annotations

import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from relaxations.lowering import lower
from specs.errors import CertifyError
from specs.loading import load_model
from specs.problem import Problem
from tests.cli.conftest import write_hard
from tests.soundness.deciding import checker_of, decide_files, exact_verdict, float_verdict
from tests.strategies import Question, question
from tests.triangle_program import solve_triangle
from verifier.engine.frontier.roots import roots_of
from verifier.engine.outcome import Outcome

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("highspy")

SECONDS = 20.0
NEAR = range(500, 610)
TOO_NEAR = Fraction(1, 10**6)
CLEARLY = 1e-4  # of a value: what rounding to a certificate's numbers may cost a proof
pytestmark = [
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),
]


@pytest.fixture
def hard(tmp_path: Path) -> tuple[Path, Path]:
    return write_hard(tmp_path)


def decided(q: Question, method: str, folder: Path, seconds: float = SECONDS, way: str = "inputs") -> Outcome:
    model, query = q.write(folder)
    outcome = decide_files(
        model, query, folder / "p.nncert", seconds, way, relaxations=(method,), search=False, attack=False
    )
    if outcome.verdict == "certified":
        assert q.holds
        assert Fraction(outcome.proved) <= q.optimum
        checker = checker_of(model, query)
        assert float_verdict(checker, outcome.proof.path).accepted
        assert exact_verdict(checker, outcome.proof.path).accepted
    elif outcome.verdict == "violated":
        assert not q.holds
        point = list(outcome.attack.point)
        assert all(low <= x <= up for low, x, up in zip(q.lower, point, q.upper))
        margins = [q.network.margin(row, point) for row in q.rows]
        assert all(m <= 0 if row.strict else m < 0 for m, row in zip(margins, q.rows))
        assert float_verdict(checker_of(model, query), outcome.attack.path).accepted
    else:
        assert outcome.reason
        assert outcome.relaxed is not None or q.holds
    return outcome


@pytest.mark.parametrize("method", ["smt", "milp"])
@pytest.mark.parametrize("way", ["inputs", "phases"])
@pytest.mark.parametrize("part", range(5))
def test_what_is_exact_decides_as_the_oracle_does(method: str, way: str, part: int, tmp_path: Path) -> None:
    """The threshold is a thousandth of the optimum away from it, on either side."""
    seen: Counter[str] = Counter()
    for seed in NEAR[part::5]:
        q = question(seed, "near")
        outcome = decided(q, method, tmp_path, way=way)
        truth = "certified" if q.holds else "violated"
        if outcome.verdict != truth:
            # An optimum that was nearly 0 before is now 1e-7 away from it: less than floats of order 1 can tell.
            assert outcome.verdict == "unknown"
            assert abs(q.optimum) < TOO_NEAR, (seed, q.kind, outcome.reason)
            seen["unknown"] += 1
        seen[truth] += 1
    assert seen["certified"] >= 5
    assert seen["violated"] >= 5
    assert seen["unknown"] <= 2


def test_linear_programs_prove_at_the_root_what_the_triangle_relaxation_does(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in NEAR:
        q = question(seed, "far")
        outcome = decided(q, "lp", tmp_path)
        seen[outcome.verdict] += 1
        if q.kind in ("mixed", "small"):  # too much for the tolerance of the solver that is compared with
            continue
        graph = load_model(q.write(tmp_path)[0])
        [root] = roots_of(Problem(graph, (q.case,)), lower(graph), lambda: False)
        best, _ = solve_triangle(root.queries[0])
        if abs(best) > CLEARLY * (1 + abs(float(q.optimum))):
            assert (outcome.verdict == "certified") == (best < 0), (seed, best, outcome.reason)
            seen["compared"] += 1
    assert seen["compared"] >= 60
    assert seen["certified"] >= 20
    assert seen["violated"] >= 20


@pytest.mark.parametrize("method", ["lp", "milp", "smt", "sdp"])
def test_what_a_method_does_not_prove_the_search_does(method: str, tmp_path: Path) -> None:
    """With `bab` beside it; and nothing that the method has proved is searched again."""
    for seed in range(700, 712):
        q = question(seed, "far")
        model, query = q.write(tmp_path)
        outcome = decide_files(model, query, tmp_path / "p.nncert", 8.0, relaxations=(method,), attack=False)
        assert outcome.verdict == ("certified" if q.holds else "violated"), (seed, outcome.reason)


@pytest.mark.parametrize("method", ["lp", "milp", "smt"])
def test_time_is_obeyed(method: str, hard: tuple[Path, Path], tmp_path: Path) -> None:
    started = time.monotonic()
    outcome = decide_files(*hard, tmp_path / "p.nncert", 2.0, relaxations=(method,), search=False, attack=False)
    assert time.monotonic() - started < 4.0
    assert outcome.verdict == "unknown"
    assert outcome.reason == "timeout" or outcome.reason.startswith(f"incomplete: {method}: ")
    assert outcome.relaxed is not None
    assert outcome.relaxed.path is not None
    assert outcome.relaxed.exploits


def test_what_a_method_declines_it_says(hard: tuple[Path, Path], tmp_path: Path) -> None:
    outcome = decide_files(*hard, tmp_path / "p.nncert", 5.0, relaxations=("smt",), search=False, attack=False)
    assert outcome.reason == (
        "incomplete: smt: declines: exact search is for up to 30 unstable ReLUs, and there are 80"
    )


def test_a_missing_solver_is_one_line(hard: tuple[Path, Path], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "highspy", None)
    with pytest.raises(CertifyError, match="pip install"):
        decide_files(*hard, tmp_path / "p.nncert", 5.0, relaxations=("lp",), search=False, attack=False)
