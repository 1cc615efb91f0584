"""Searches over random tiny questions whose exact answer is known, and the checker of the same files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relaxations.lowering import lower
from specs.loading import load_model
from tests.soundness.deciding import checker_of
from tests.strategies import Question, question
from verifier.checker.check import Checker
from verifier.checker.tree import Outcome, prove
from verifier.engine.explore import Explorer
from verifier.engine.floats import float_rows
from verifier.engine.scheduler import CaseSearch, Place


@dataclass(frozen=True)
class Made:
    question: Question
    explorer: Explorer
    checker: Checker
    lower: np.ndarray
    upper: np.ndarray

    def case(self) -> CaseSearch:
        return CaseSearch(self.explorer, Place(None, self.lower, self.upper))

    def proved(self, words: np.ndarray) -> Outcome:
        """What the independent checker says about a tree over the whole box."""
        return prove(self.checker.bounder, self.checker.questions[0], words, self.lower, self.upper)


def made(seed: int, folder: Path, placement: str = "far", **options: Any) -> Made:
    """The search of one random question; ``options`` are those of ``Explorer``."""
    asked = question(seed, placement)
    model, query = asked.write(folder)
    network = lower(load_model(model))
    low, up = (np.array([float(v) for v in side]) for side in (asked.lower, asked.upper))
    rows = float_rows(asked.case, network.input_size, len(network.output.bias))
    width = np.where(up > low, up - low, 1.0)
    return Made(asked, Explorer(network, rows, width, **options), checker_of(model, query), low, up)
