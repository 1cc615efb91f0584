"""What is fixed before the first answer: the law, the draws, the event, the method and the confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from verifier.statistics.betting import PLUG_IN, Bets
from verifier.statistics.sampling import Blocks, Box, Mixture, Sample, Sampler, Seeds, sampler_from_json
from verifier.statistics.strata import Cell

METHODS = ("clopper-pearson", "betting", "domination", "renyi", "importance", "stratified")
Sides = Literal["upper", "both"]


@dataclass(frozen=True)
class Plan:
    """Pr[answer < below] is bounded with this ``confidence``, from ``queries`` draws of ``sampler``.

    ``clopper-pearson`` needs all of the draws, ``betting`` any number from the first on. ``domination`` rests on
    dP/dQ <= ``kappa`` for a law P that ``nature`` names in words, ``renyi`` on D_order(P || Q) <= ``divergence``.
    ``importance`` bounds the event under the first part of a mixture. ``stratified`` has cells; the sampler draws
    the sampled ones in turn. ``Seeds`` and a ``Sample`` go with the first two methods only; ``nature`` names the law
    that a sample is of. Raises ``ValueError`` for what does not fit together.
    """

    name: str
    sampler: Sampler
    seed: int
    queries: int
    confidence: Fraction
    below: Fraction = Fraction(0)
    method: str = "clopper-pearson"
    sides: Sides = "upper"
    bets: Bets = PLUG_IN
    kappa: Fraction | None = None
    divergence: Fraction | None = None
    order: Fraction | None = None
    nature: str = ""
    cells: tuple[Cell, ...] = ()
    model: str = ""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"unknown method {self.method!r}; there are {', '.join(METHODS)}")
        if not 0 < self.confidence < 1 or self.queries < 1 or self.seed < 0:
            raise ValueError("a plan needs a confidence between 0 and 1, queries, and a seed of at least 0")
        if self.sides not in ("upper", "both") or (
            self.sides == "both" and self.method not in ("clopper-pearson", "betting")
        ):
            raise ValueError(f"the method {self.method} bounds one side only")
        needs = {
            "domination": self.kappa is not None and self.kappa >= 1 and bool(self.nature),
            "renyi": self.divergence is not None and self.order is not None and bool(self.nature),
            "importance": isinstance(self.sampler, Mixture),
            "stratified": self._fits_cells(),
        }
        if not needs.get(self.method, True):
            raise ValueError(f"the plan lacks what the method {self.method} rests on")
        if (self.method == "stratified") != isinstance(self.sampler, Blocks):
            raise ValueError("cells are for the stratified method, and blocks for its draws")
        if isinstance(self.sampler, Seeds | Sample) and self.method not in ("clopper-pearson", "betting"):
            raise ValueError(f"seeds and samples are not drawn for the method {self.method}")
        if isinstance(self.sampler, Sample) and (self.sampler.count != self.queries or not self.nature):
            raise ValueError("each row of a sample is drawn once, and nature names the law that it is of")

    def _fits_cells(self) -> bool:
        if any(cell.status == "certified" and not cell.evidence for cell in self.cells):
            return False
        sampled = [cell for cell in self.cells if cell.status == "sampled"]
        if not isinstance(self.sampler, Blocks) or sum(cell.share for cell in sampled) > 1:
            return False
        boxes = tuple(Box(cell.lower, cell.upper) for cell in sampled)
        counts = tuple(cell.queries for cell in sampled)
        return boxes == self.sampler.parts and counts == self.sampler.counts and sum(counts) == self.queries

    def to_json(self) -> dict[str, Any]:
        """Everything but the name; numbers that are not whole as exact texts."""
        texts = ("confidence", "below", "kappa", "divergence", "order")
        exact = {key: None if getattr(self, key) is None else str(getattr(self, key)) for key in texts}
        cells = [
            {
                "mass": str(cell.mass),
                "status": cell.status,
                "lower": [v.hex() for v in cell.lower],
                "upper": [v.hex() for v in cell.upper],
                "queries": cell.queries,
                "share": str(cell.share),
                "evidence": cell.evidence,
            }
            for cell in self.cells
        ]
        plain = {key: getattr(self, key) for key in ("seed", "queries", "method", "sides", "nature", "model")}
        bets = {"truncation": str(self.bets.truncation), "horizon": self.bets.horizon}
        return {**plain, **exact, "sampler": self.sampler.to_json(), "bets": bets, "cells": cells}


def plan_from_json(name: str, value: Mapping[str, Any]) -> Plan:
    """The plan; raises ``ValueError``, ``KeyError`` or ``TypeError`` for anything else."""
    optional = {k: None if value[k] is None else Fraction(value[k]) for k in ("kappa", "divergence", "order")}
    bets = Bets(Fraction(value["bets"]["truncation"]), value["bets"]["horizon"])
    cells = tuple(
        Cell(
            mass=Fraction(cell["mass"]),
            status=cell["status"],
            lower=tuple(map(float.fromhex, cell["lower"])),
            upper=tuple(map(float.fromhex, cell["upper"])),
            queries=cell["queries"],
            share=Fraction(cell["share"]),
            evidence=cell["evidence"],
        )
        for cell in value["cells"]
    )
    exact = {key: Fraction(value[key]) for key in ("confidence", "below")}
    plain = {key: value[key] for key in ("seed", "queries", "method", "sides", "nature", "model")}
    return Plan(name, sampler_from_json(value["sampler"]), bets=bets, cells=cells, **plain, **exact, **optional)
