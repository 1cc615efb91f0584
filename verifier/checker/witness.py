"""Counterexamples: a point of the input set at which every row of a case fails, proved in rigorous arithmetic."""

from __future__ import annotations

import numpy as np

from verifier.checker.boxes import Boxes, Rows
from verifier.checker.check import Checker, Verdict, outward
from verifier.checker.container import Witness
from verifier.checker.errors import CheckError
from verifier.checker.exact import prove_violation

EXACT_UP_TO = 5_000_000  # values and weights of a network evaluated in rationals when float64 cannot decide


def refute(checker: Checker, witness: Witness, exact: bool = False) -> Verdict:
    """Accepts iff the point is an input of the case and all rows are proved to fail there (``exact``: in rationals)."""
    if witness.case >= len(checker.cases):
        raise CheckError(f"the query has {len(checker.cases)} cases, the witness is of case {witness.case}")
    case = checker.cases[witness.case]
    if len(witness.point) != len(case.lower):
        raise CheckError(f"the witness has {len(witness.point)} coordinates, the query {len(case.lower)} inputs")
    if not case.contains(witness.point):
        return Verdict(False, "the point is outside the input set", (), 0, 0.0)
    if not exact and _fails_in_float64(checker, witness):
        return Verdict(True, "every row fails at the point (outward-rounded float64)", (), 0, 0.0)
    if checker.bounder.weights > EXACT_UP_TO:
        return Verdict(False, "float64 cannot decide the point and the network is too large for rationals", (), 0, 0.0)
    if prove_violation(checker.bounder.network, case, witness.point):
        return Verdict(True, "every row fails at the point (rational arithmetic)", (), 0, 0.0)
    return Verdict(False, "some row holds at the point", (), 0, 0.0)


def _fails_in_float64(checker: Checker, witness: Witness) -> bool:
    """A row fails where its negative is proved >= 0 (strict row) or > 0.

    Without refined ranges first: at a point they gain little more than rounding, and cost a backward pass for every
    value that may be 0, which equal arguments of a maximum make many.
    """
    question = checker.questions[witness.case]
    rows = Rows(-question.rows.x, -question.rows.y, -question.rows.constant)
    lower, upper = outward(witness.point, witness.point)
    point = Boxes.of(lower[None], upper[None])
    bounds = (checker.bounder.lower(point, rows, refine).lower[0] for refine in (False, True))
    return any(np.where(question.strict, bound >= 0, bound > 0).all() for bound in bounds)
