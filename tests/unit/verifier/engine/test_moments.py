"""Cases of a root proved by Shor's relaxation: what closes is true, and checked in float64 and in rationals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from relaxations.sdp.shor import Shor
from tests.oracle import Row
from tests.unit.verifier.engine.made_phases import Asked, asked, never, started
from tests.unit.verifier.engine.test_phases import judge
from verifier.engine.deadline import Deadline
from verifier.engine.phases import cutting, moments
from verifier.engine.phases.cutting import CutSearch
from verifier.engine.phases.moments import query_of, try_moments
from verifier.engine.phases.search import PhaseSearch

pytest.importorskip("onnx")
SEEDS = range(700, 750)


def lifted(search: PhaseSearch) -> list[int]:
    """Have Shor's relaxation try all cases of the root; those that it proved."""
    [root] = search.open
    until, pending = Deadline.after(60), root.pending.tolist()
    found = {case: try_moments(query_of(search.bounding, root, case), until).dual for case in pending}
    proved = {case: dual for case, dual in found.items() if dual is not None}
    search.lifted(proved)
    return sorted(proved)


def outcomes(seeds: Sequence[int], folder: Path) -> Counter[str]:
    """What moments prove of random questions, each proof held against the exact answer and against the checker."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        one = asked(seed, folder, placement="far", cases=3)
        search = started(one)
        if not search.open:
            continue
        proved, optima = lifted(search), one.optima()
        assert all(optima[case] > 0 for case in proved)
        seen["proved"] += len(proved)
        seen[judge(one, search)] += 1
    return seen


def test_what_moments_prove_is_true_and_the_checker_accepts_it(tmp_path: Path) -> None:
    seen = outcomes(SEEDS, tmp_path)
    assert seen["proved"] >= 3
    assert seen["open, false"] >= 3


def test_what_first_order_steps_prove_is_true_and_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax")
    monkeypatch.setattr(moments, "QUICK", 2)
    monkeypatch.setattr(moments, "INTERIOR", 2)
    assert outcomes(SEEDS[:20], tmp_path)["proved"] >= 1


@pytest.mark.parametrize("parts", [1, 3])
def test_moments_also_rid_open_leaves_in_zonotopes_of_what_they_prove(
    parts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Splits in the root's zonotope come first and are left in parts; the proof by moments is written before them."""
    for name, value in {"EARLY": 2, "AT_LEAST_EARLY": 0.0, "AT_FIRST": 2, "WORTHWHILE": 0.0, "FEW": 2}.items():
        monkeypatch.setattr(cutting, name, value)
    monkeypatch.setattr(cutting, "UNIT_DEPTH", 2)
    close = CutSearch.close
    monkeypatch.setattr(CutSearch, "close", lambda self, over, in_parts: close(self, over, True))
    rid = 0
    for seed in SEEDS:
        one = asked(seed, tmp_path, placement="near")
        search = started(one)
        if not search.open or not search.open[0].candidates:
            continue
        one = sharpened(one, search)
        search = started(one)
        if not search.open:  # other bounds show it as well
            continue
        [root] = search.open
        dual = try_moments(query_of(search.bounding, root, 0), Deadline.after(60)).dual
        assert dual is not None
        search.open = []
        if not search._cut(root) or not any(node.begun for node in search.open):
            continue
        search.lifted({0: dual})
        assert search.closed
        assert one.optima()[0] > 0
        assert one.float_verdict(search, parts).accepted
        assert one.exact_verdict(search).accepted
        rid += 1
    assert rid >= 1


def test_proofs_by_moments_outlive_one_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after one refusal: with no split made, the search from the root has the proofs, but not a second time."""
    monkeypatch.setattr(PhaseSearch, "run", lambda self, over, out_of_time: None)
    kept = 0
    for seed in SEEDS:
        one = asked(seed, tmp_path, placement="far", cases=3)
        search = started(one)
        if not search.open or not (proved := lifted(search)):
            continue
        again = search.again(100.0, never)
        left = set(again.cases_left)
        assert not left & set(proved), "a proof by moments was lost"
        assert all(one.optima()[case] > 0 for case in proved)
        assert again.duals == {}
        if again.closed:
            assert one.float_verdict(again).accepted
            assert one.exact_verdict(again).accepted
            kept += 1
    assert kept >= 1


def moved(one: Asked, by: Fraction) -> Asked:
    rows = tuple(Row(row.x, row.y, row.constant + by, row.strict) for row in one.cases[0])
    return replace(one, cases=(rows,))


def sharpened(one: Asked, search: PhaseSearch) -> Asked:
    """The question moved to a thousandth of its size above what the relaxation shows at the open root."""
    relaxed = Shor(query_of(search.bounding, search.open[0], 0))
    by = relaxed.solve().value + 2e-3 * float(np.abs(relaxed.lifting.rows).sum(axis=1).max())
    return moved(one, Fraction(by).limit_denominator(10**12))


def test_the_checker_accepts_nearly_all_that_the_relaxation_shows(tmp_path: Path) -> None:
    """A question moved to a thousandth of its size above what the relaxation shows is proved, and accepted."""
    tried = 0
    for seed in SEEDS:
        one = asked(seed, tmp_path, placement="near")
        search = started(one)
        if not search.open or not search.open[0].candidates:
            continue
        sharp = sharpened(one, search)
        again = started(sharp)
        if not again.open:  # other bounds show it as well
            continue
        assert lifted(again) == [0]
        assert sharp.float_verdict(again).accepted
        assert sharp.exact_verdict(again).accepted
        assert sharp.optima()[0] > 0
        tried += 1
    assert tried >= 5


def test_there_is_no_proof_without_time(tmp_path: Path) -> None:
    for seed in SEEDS:
        search = started(asked(seed, tmp_path, placement="near"))
        if search.open and search.open[0].pending.size and query_of(search.bounding, search.open[0], 0).count_unstable:
            assert try_moments(query_of(search.bounding, search.open[0], 0), Deadline.after(-1)).dual is None
            return
    raise AssertionError("no question was left open")
