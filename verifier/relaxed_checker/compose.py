"""Flags and misses in one statement: how often nature brings about what the overseer objects to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from specs.errors import CertifyError
from verifier.archives import save_archive
from verifier.relaxed_checker.asking import Misses
from verifier.relaxed_checker.statements import Stated
from verifier.statistics.clopper_pearson import decimal_text
from verifier.statistics.sampling import Sample
from verifier.statistics.statement import Statement, rounded_up

FORMAT, VERSION = "nnrelaxed", 1
COMPOSITION, FLAGGED, MISSED = "composition.json", "flagged.nnstat", "missed.nnstat"


class Inconsistent(CertifyError):
    """A relaxed checker that calibration does not vouch for."""


@dataclass(frozen=True)
class Natural:
    """Pr_P[the overseer objects] <= ``upper``, of class ``statistical(confidence)``; the sum of two bounds."""

    upper: Fraction
    confidence: Fraction
    tau: Fraction
    flagged: Statement
    missed: Statement

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What it rests on: what both halves do, and that they are about one law."""
        flagged, missed = self.flagged, self.missed
        law = "a law of inputs" if isinstance(missed.plan.sampler, Sample) else "the law that inputs are drawn from"
        rests = [f"P is {law}; {flagged.plan.method} is about its image under the embedding"]
        rests += [*flagged.assumptions, *(one for one in missed.assumptions if one not in flagged.assumptions)]
        return tuple(rests)

    @property
    def claim(self) -> str:
        flagged, missed = self.flagged, self.missed
        told = ", ".join(f"A{k} {text}" for k, text in enumerate(self.assumptions, 1))
        return (
            f"Pr[the overseer objects] <= {rounded_up(self.upper)} under P = {flagged.plan.nature}, CLASS "
            f"statistical({self.confidence}) (flagged above {self.tau}: {rounded_up(flagged.bounds.upper)} by "
            f"{flagged.plan.method} from {flagged.answered} draws of the proposal, {flagged.failures} flagged; missed: "
            f"{rounded_up(missed.bounds.upper)} from {missed.answered} natural inputs, {missed.failures} missed). "
            f"RESTS ON: {told}. DOES NOT SAY: which inputs fail, or that none does; anything about another law, "
            "another model, overseer or relaxed checker."
        )


def calibrated(missed: Statement, most: Fraction) -> Fraction:
    """The bound on how often the relaxed checker is blind under nature's law; ``Inconsistent`` if it exceeds ``most``.

    A checker that violates consistency on more than ``most`` of natural inputs passes with a probability of at most
    1 minus the statement's confidence.
    """
    bound = missed.bounds.upper
    if bound > most:
        raise Inconsistent(
            f"the relaxed checker is rejected: {missed.failures} of {missed.answered} natural inputs are objected to "
            f"and not flagged; the bound {rounded_up(bound)} on how often exceeds {rounded_up(most)}"
        )
    return bound


def compose(target: Path, flagged: Stated, missed: Stated, misses: Misses) -> Natural:
    """Write the statement made of two; ``misses`` is who answered the second.

    Raises ``ValueError`` where they do not fit together.
    """
    one, two = flagged.statement, missed.statement
    if one.plan.nature != two.plan.nature or one.plan.below != -misses.tau or two.plan.below != 0:
        raise ValueError("the two statements are of different laws or levels")
    upper = min(Fraction(1), _decimal(one.bounds.upper) + _decimal(two.bounds.upper))
    confidence = one.plan.confidence + two.plan.confidence - 1
    if confidence <= 0:
        raise ValueError("the errors of the two statements add up to 1")
    natural = Natural(upper, confidence, misses.tau, one, two)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "parts": {
            "relaxed_checker": misses.checker.sha256,
            "embedding": misses.embedding.sha256,
            "overseer": misses.overseer.sha256,
        },
        "tau": str(misses.tau),
        "upper": decimal_text(upper),
        "confidence": str(confidence),
        "claim": natural.claim,
    }
    halves = {FLAGGED: flagged.file.read_bytes(), MISSED: missed.file.read_bytes()}
    save_archive(target, {COMPOSITION: json.dumps(manifest, indent=1).encode(), **halves})
    return natural


def _decimal(value: Fraction) -> Fraction:
    """Rounded up to sixteen decimal places, which is what a statement is written with."""
    return Fraction(-(-value * 10**16 // 1), 10**16)
