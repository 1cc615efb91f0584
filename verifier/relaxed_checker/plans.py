"""The plans behind statements about a relaxed checker, all of events "the answer is below a number"."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from verifier.statistics.plan import Plan
from verifier.statistics.sampling import Box, Mixture, Sample, Seeds
from verifier.statistics.statement import rows_hash

Proposal = Box | Mixture


def search_plan(name: str, runs: int, tau: Fraction, confidence: Fraction) -> Plan:
    """D1: how often a run of the adversary, with the seeds 0 to ``runs`` - 1, finds a state that is flagged at tau."""
    return Plan(name, Seeds(), 0, runs, confidence, -_level(tau))


def domination_plan(
    name: str, proposal: Proposal, seed: int, draws: int, tau: Fraction, confidence: Fraction, nature: str,
    kappa: Fraction,
) -> Plan:  # fmt: skip
    """D2: how often a natural state is flagged at tau, where nature's law of states has a density of at most kappa
    with respect to the proposal."""
    return Plan(name, proposal, seed, draws, confidence, -_level(tau), "domination", kappa=kappa, nature=nature)


def renyi_plan(
    name: str, proposal: Proposal, seed: int, draws: int, tau: Fraction, confidence: Fraction, nature: str,
    order: Fraction, divergence: Fraction,
) -> Plan:  # fmt: skip
    """D2, where the Renyi divergence of this order of nature's law of states from the proposal is bounded."""
    known = {"order": order, "divergence": divergence, "nature": nature}
    return Plan(name, proposal, seed, draws, confidence, -_level(tau), "renyi", **known)  # type: ignore[arg-type]


def calibration_plan(name: str, natural: np.ndarray, nature: str, confidence: Fraction, model: str = "") -> Plan:
    """How often the relaxed checker is blind: natural inputs (N, d) that were held out, each asked about once."""
    rows = Sample(len(natural), natural.shape[1], rows_hash(natural))
    return Plan(name, rows, 0, len(natural), confidence, nature=nature, model=model)


def _level(tau: Fraction) -> Fraction:
    if not 0 <= tau < 1:
        raise ValueError(f"a level is a number from 0 and below 1, not {tau}")
    return tau
