"""The plans behind statements about a relaxed checker, all of events "the answer is below a number"."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from verifier.statistics.plan import Plan
from verifier.statistics.sampling import Box, Mixture, Sample, Seeds
from verifier.statistics.statement import rows_hash


def search_plan(name: str, runs: int, tau: Fraction, confidence: Fraction) -> Plan:
    """D1: how often a run of the adversary, with the seeds 0 to ``runs`` - 1, finds a state that is flagged at tau."""
    return Plan(name, Seeds(), 0, runs, confidence, -_level(tau))


def domination_plan(
    name: str,
    proposal: Box | Mixture,
    seed: int,
    draws: int,
    tau: Fraction,
    kappa: Fraction,
    nature: str,
    confidence: Fraction,
) -> Plan:
    """D2: how often a natural state is flagged at tau, where nature's law of states has a density of at most kappa
    with respect to the proposal."""
    return Plan(name, proposal, seed, draws, confidence, -_level(tau), "domination", kappa=kappa, nature=nature)


def renyi_plan(
    name: str,
    proposal: Box | Mixture,
    seed: int,
    draws: int,
    tau: Fraction,
    order: Fraction,
    divergence: Fraction,
    nature: str,
    confidence: Fraction,
) -> Plan:
    """D2, where only a Renyi divergence of nature's law from the proposal is bounded."""
    return Plan(
        name,
        proposal,
        seed,
        draws,
        confidence,
        -_level(tau),
        "renyi",
        order=order,
        divergence=divergence,
        nature=nature,
    )


def calibration_plan(name: str, natural: np.ndarray, nature: str, confidence: Fraction, model: str = "") -> Plan:
    """How often the relaxed checker is blind: natural inputs (N, d) that were held out, each asked about once."""
    rows = Sample(*natural.shape, rows_hash(natural))
    return Plan(name, rows, 0, len(natural), confidence, nature=nature, model=model)


def _level(tau: Fraction) -> Fraction:
    if not 0 <= tau < 1:
        raise ValueError(f"a level is a number from 0 and below 1, not {tau}")
    return tau
