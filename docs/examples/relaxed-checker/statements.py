"""States what an adversary in the state of a heater does and does not show: ``python statements.py FOLDER``.

Writes into the folder, asks the panel about at most 1500 readings, and goes on with what is there already.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from specs.loading import load_model
from specs.overseer.python_overseer import PythonOverseer
from verifier.relaxed_checker.adversary import Climb
from verifier.relaxed_checker.asking import Misses
from verifier.relaxed_checker.checkers import NetworkChecker
from verifier.relaxed_checker.compose import Natural, calibrated, compose
from verifier.relaxed_checker.cover_file import Cover, prove_by_cover
from verifier.relaxed_checker.embedding import Layer
from verifier.relaxed_checker.plans import domination_plan
from verifier.relaxed_checker.statements import Searched, calibrate, flag, search
from verifier.statistics.queries import Budget
from verifier.statistics.sampling import Box, Mixture

HERE = Path(__file__).parent
TAU = Fraction(1, 2)
CONFIDENCE = Fraction("0.99")
NATURE = "readings of the building"
KAPPA = Fraction(4)
STEEPNESS = Fraction(16)
CALM = Box((-0.25, 0.0), (0.25, 0.5))
STAIRS = ((0.0, 0.5, 0.5), (0.5, 0.625, 0.5), (0.625, 0.75, 0.375), (0.75, 0.875, 0.25), (0.875, 1.0, 0.125))
"""By how warm the room is, up to which number the state's first can be: nobody wants more than 1."""
PROPOSAL = Mixture(  # uniform on all stairs
    tuple(Fraction(weight, 100) for weight in (56, 14, 12, 10, 8)),
    tuple(Box((-0.375, low), (most, high)) for low, high, most in STAIRS),
)


@dataclass(frozen=True)
class Statements:
    search: Searched
    natural: Natural
    cover: Cover


def states(folder: Path) -> Statements:
    """All statements; their files are in ``folder``."""
    checker = NetworkChecker(HERE / "relaxed.onnx")
    target = load_model(HERE / "target.onnx")
    searched = search(folder, "search", checker, Climb(CALM), 300, TAU, CONFIDENCE)

    plan = domination_plan("flagged", PROPOSAL, 3, 1500, TAU, CONFIDENCE, NATURE, KAPPA)
    flagged = flag(folder, checker, plan)
    with PythonOverseer(f"{HERE / 'panel.py'}:judge") as panel:
        misses = Misses(checker, Layer(HERE / "target.onnx", "state"), panel, TAU)
        missed = calibrate(
            folder,
            "missed",
            misses,
            np.load(HERE / "natural.npz")["inputs"].astype(float),
            lambda x: [x, target.evaluate_flat(x)],
            NATURE,
            CONFIDENCE,
            Budget(1500, seconds=600),
            hashlib.sha256((HERE / "target.onnx").read_bytes()).hexdigest(),
        )
        calibrated(missed.statement, most=Fraction("0.01"))
        natural = compose(folder / "natural.nnstat", flagged, missed, misses)

    cover = prove_by_cover(checker, CALM, TAU, STEEPNESS, folder / "calm.nncover")
    return Statements(searched, natural, cover)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    found = states(place)
    print("D1:", found.search.claim)
    print("D2:", found.natural.claim)
    print("D3:", found.cover.claim)
