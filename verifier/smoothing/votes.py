"""A network's class under Gaussian noise around a point, as an overseer that is asked about the noise's ranks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import NormalDist, StatisticsError

import numpy as np

from specs.errors import CertifyError
from specs.graph import Graph
from specs.hashes import sha256_of
from specs.loading import load_model
from specs.overseer.python_overseer import OverseerError
from verifier.relaxed_checker.identity import identity
from verifier.relaxed_checker.laws import Normal
from verifier.relaxed_checker.quantiles import cube, normals
from verifier.statistics.queries import Arguments
from verifier.statistics.sampling import draws

CHOICE = 1 << 127  # added to a seed for the draws that choose a class: no plan counts on these


@dataclass
class Noise:
    """A network (a file) whose input is N(``center``, ``sigma``^2 I), by its ranks in the unit cube.

    Raises ``CertifyError`` where the network is no classifier of points like the centre, or sigma not positive.
    """

    file: Path
    center: tuple[Fraction, ...]
    sigma: Fraction
    model: str = field(init=False)
    graph: Graph = field(init=False)
    law: list[NormalDist] = field(init=False)

    def __post_init__(self) -> None:
        if self.sigma <= 0:
            raise CertifyError(f"sigma has to be positive, not {self.sigma}")
        self.model = sha256_of(self.file)
        self.graph = load_model(self.file)
        if self.graph.input_size != len(self.center) or self.graph.output_size < 2:
            takes, gives = self.graph.input_size, self.graph.output_size
            raise CertifyError(f"{self.file} takes {takes} numbers and gives {gives}: no class of {len(self.center)}")
        self.law = normals(Normal(self.center, (self.sigma,) * len(self.center)))

    def scores(self, ranks: np.ndarray) -> np.ndarray:
        """The outputs in float64 at the point of these ranks; ``OverseerError`` where there is none, or no number."""
        try:
            point = [law.inv_cdf(u) for law, u in zip(self.law, ranks.tolist(), strict=True)]
        except StatisticsError:
            raise OverseerError("a rank of 0 or 1 is that of no point") from None
        scores = self.graph.evaluate_flat(point)
        if np.isnan(scores).any():
            raise OverseerError(f"{self.file.name}: no number")
        return scores

    def popular(self, count: int, seed: int) -> int:
        """The class that comes out most often in ``count`` draws which no plan with this seed makes."""
        found: Counter[int] = Counter()
        for ranks in islice(draws(cube(len(self.center)), seed + CHOICE), count):
            try:
                found[int(np.argmax(self.scores(ranks)))] += 1
            except OverseerError:
                continue
        if not found:
            raise CertifyError(f"{self.file}: no class comes out in {count} draws")
        return min(found, key=lambda label: (-found[label], label))


@dataclass(frozen=True)
class Votes:
    """Asked about ranks; answers 1 where the class at their point is ``label`` and no other is as high, else -1."""

    noise: Noise
    label: int

    @property
    def name(self) -> str:
        return f"float64 of {self.noise.file.name} under noise"

    @property
    def sha256(self) -> str:
        parts = (str(self.noise.sigma), str(self.label), *map(str, self.noise.center))
        return identity("smoothed", self.noise.model, *parts)

    def ask(self, arguments: Arguments, seconds: float) -> float:
        scores = self.noise.scores(np.array(arguments[0]))
        return 1.0 if scores[self.label] > np.delete(scores, self.label).max() else -1.0


def quantile_below(upper: Fraction) -> float:
    """A little below Phi^-1(1 - ``upper``), as far as float64 can be trusted; 0 where it is not surely positive."""
    if not 0 < upper < Fraction(1, 2):
        return 0.0
    return max(0.0, -NormalDist().inv_cdf(float(upper)) * (1 - 1e-12) - 1e-14)
