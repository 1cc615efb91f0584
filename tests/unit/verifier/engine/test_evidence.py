"""A search that believes too much is corrected by the checker: leaves it refuses are mended, or there is no verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from relaxations.network import Layer
from tests.soundness.deciding import checker_of, decide_files, float_verdict
from tests.strategies import Question, question
from verifier.engine import beginning
from verifier.engine import decide as decide_module
from verifier.engine import evidence as evidence_module
from verifier.engine.explore import Explorer
from verifier.engine.outcome import Outcome
from verifier.engine.phases.bounding import Bounding
from verifier.engine.phases.node import Node

SEEDS = range(300, 318)


@dataclass(frozen=True)
class OptimisticExplorer(Explorer):
    """Takes a bound far below zero for a proof."""

    margin: float = -0.5


class OptimisticBounding(Bounding):
    """The same by phases, until it is told to be careful."""

    optimism = 0.5

    def __init__(self, *of: Any, **named: Any) -> None:
        super().__init__(*of, **named)
        if self.caution == 1.0:
            self.layer = Layer(self.layer.terms, self.layer.bias + np.float32(self.optimism))

    def _exactly(self, *of: Any) -> np.ndarray:
        return super()._exactly(*of) + (self.optimism if self.caution == 1.0 else 0.0)


class GullibleBounding(Bounding):
    """Takes intermediate bounds to be tighter than they are, however careful it is told to be."""

    def _intersect(
        self,
        nodes: list[Node],
        k: int,
        neurons: list[np.ndarray],
        owner: np.ndarray,
        sign: np.ndarray,
        bound: np.ndarray,
    ) -> None:
        super()._intersect(nodes, k, neurons, owner, sign, bound + 0.3 * np.abs(bound))


def decided(
    asked: Question, folder: Path, way: str, bounding: type[Bounding] = OptimisticBounding
) -> tuple[Outcome, mock.Mock]:
    """What comes out of an optimistic search without attacks; and the mending, as it was called."""
    model, query = asked.write(folder)
    with (
        mock.patch.object(beginning, "Explorer", OptimisticExplorer),
        mock.patch.object(decide_module, "Bounding", bounding),
        mock.patch.object(evidence_module, "_mend", wraps=evidence_module._mend) as mending,
    ):
        return decide_files(model, query, folder / "p.nncert", 0.7, way, attack=False), mending


@pytest.mark.parametrize("way", ["inputs", "phases"])
def test_refused_leaves_are_mended_until_the_checker_accepts(way: str, tmp_path: Path) -> None:
    """Near the threshold some proofs take longer than this test gives them; none of those found may be wrong."""
    mended = 0
    for seed in SEEDS:
        asked = question(seed, "far" if way == "phases" else "near")  # a whole tree is searched again
        if not asked.holds:
            continue
        outcome, mending = decided(asked, tmp_path, way)
        assert outcome.verdict in ("certified", "unknown")
        assert (tmp_path / "p.nncert").exists() == (outcome.verdict == "certified")
        if outcome.verdict == "certified":
            checker = checker_of(tmp_path / "net.onnx", tmp_path / "property.vnnlib")
            assert float_verdict(checker, tmp_path / "p.nncert").accepted
            (tmp_path / "p.nncert").unlink()
            mended += mending.called
    assert mended >= 2


@pytest.mark.parametrize("way", ["inputs", "phases"])
def test_what_fails_is_never_certified(way: str, tmp_path: Path) -> None:
    refused = 0
    for seed in SEEDS:
        asked = question(seed, "near")
        if asked.holds:
            continue
        outcome, mending = decided(asked, tmp_path, way)
        assert outcome.verdict != "certified"
        assert not (tmp_path / "p.nncert").exists()
        refused += mending.called
    assert refused >= 2


def test_a_tree_that_stays_wrong_is_never_certified(tmp_path: Path) -> None:
    """A search whose every attempt is refused ends without a verdict and without a file."""
    refused = 0
    for seed in SEEDS:
        asked = question(seed, "near")
        outcome, mending = decided(asked, tmp_path, "phases", GullibleBounding)
        assert outcome.verdict != "certified" or asked.holds
        assert (tmp_path / "p.nncert").exists() == (outcome.verdict == "certified")
        (tmp_path / "p.nncert").unlink(missing_ok=True)
        refused += mending.called and outcome.verdict != "certified"
    assert refused >= 1
