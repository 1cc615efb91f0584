"""A search that believes too much is corrected by the checker: leaves it refuses are mended, or there is no verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from tests.soundness.deciding import checker_of, decide_files, float_verdict
from tests.strategies import Question, question
from verifier.engine import decide as decide_module
from verifier.engine import evidence as evidence_module
from verifier.engine.explore import Explorer
from verifier.engine.outcome import Outcome
from verifier.engine.phases import PhaseExplorer

SEEDS = range(300, 318)


@dataclass(frozen=True)
class OptimisticExplorer(Explorer):
    """Takes a bound far below zero for a proof."""

    margin: float = -0.5


@dataclass(frozen=True)
class OptimisticPhaseExplorer(PhaseExplorer):
    """The same by phases."""

    margin: float = -0.02


def decided(asked: Question, folder: Path, by_phases: bool) -> tuple[Outcome, mock.Mock]:
    """What comes out of an optimistic search without attacks; and the mending, as it was called."""
    model, query = asked.write(folder)
    with (
        mock.patch.object(decide_module, "Explorer", OptimisticExplorer),
        mock.patch.object(decide_module, "PhaseExplorer", OptimisticPhaseExplorer),
        mock.patch.object(evidence_module, "_mend", wraps=evidence_module._mend) as mending,
    ):
        return decide_files(model, query, folder / "p.nncert", 0.7, by_phases, attack=False), mending


@pytest.mark.parametrize("by_phases", [False, True])
def test_refused_leaves_are_mended_until_the_checker_accepts(by_phases: bool, tmp_path: Path) -> None:
    """Near the threshold some proofs take longer than this test gives them; none of those found may be wrong."""
    mended = 0
    for seed in SEEDS:
        asked = question(seed, "near")
        if not asked.holds:
            continue
        outcome, mending = decided(asked, tmp_path, by_phases)
        assert outcome.verdict in ("certified", "unknown")
        assert (tmp_path / "p.nncert").exists() == (outcome.verdict == "certified")
        if outcome.verdict == "certified":
            checker = checker_of(tmp_path / "net.onnx", tmp_path / "property.vnnlib")
            assert float_verdict(checker, tmp_path / "p.nncert").accepted
            (tmp_path / "p.nncert").unlink()
            mended += mending.called
    assert mended >= 2


@pytest.mark.parametrize("by_phases", [False, True])
def test_what_fails_is_never_certified(by_phases: bool, tmp_path: Path) -> None:
    refused = 0
    for seed in SEEDS:
        asked = question(seed, "near")
        if asked.holds:
            continue
        outcome, mending = decided(asked, tmp_path, by_phases)
        assert outcome.verdict != "certified"
        assert not (tmp_path / "p.nncert").exists()
        refused += mending.called
    assert refused >= 2
