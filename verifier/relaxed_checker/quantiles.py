"""States with a normal proposal, on the unit cube: there the proposal is uniform, which is what plans draw from.

The map from a state to its ranks is one to one, so densities and divergences of one law with respect to another are the
same on both sides: ``laws`` of the normal laws may be used in a plan on the cube.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, StatisticsError

from specs.overseer.python_overseer import OverseerError
from verifier.relaxed_checker.asking import Embedding
from verifier.relaxed_checker.checkers import RelaxedChecker, State
from verifier.relaxed_checker.identity import identity
from verifier.relaxed_checker.laws import Normal
from verifier.statistics.sampling import Box


def cube(size: int) -> Box:
    """Where ranks lie; the uniform law on it is the proposal."""
    return Box((0.0,) * size, (1.0,) * size)


@dataclass(frozen=True)
class OfQuantiles:
    """A relaxed checker of ranks: asks another one about the state of these ranks under the proposal.

    A rank of 0 or 1 is that of no state: it gets no answer, which counts as a flag.
    """

    checker: RelaxedChecker
    proposal: Normal

    @property
    def name(self) -> str:
        return f"{self.checker.name} of quantiles"

    @property
    def sha256(self) -> str:
        return identity("quantiles", self.checker.sha256, repr(self.proposal))

    def value(self, state: State) -> float:
        return self.checker.value(self._quantiles(state))

    def guide(self, state: State) -> float:
        return self.checker.guide(self._quantiles(state))

    def _quantiles(self, ranks: State) -> list[float]:
        try:
            return [d.inv_cdf(u) for d, u in zip(normals(self.proposal), ranks, strict=True)]
        except StatisticsError:
            raise OverseerError(f"relaxed checker {self.name}: a rank of 0 or 1 is that of no state") from None


@dataclass(frozen=True)
class Ranks:
    """An embedding followed by the ranks of its state under the proposal."""

    embedding: Embedding
    proposal: Normal

    @property
    def name(self) -> str:
        return f"ranks of {self.embedding.name}"

    @property
    def sha256(self) -> str:
        return identity("ranks", self.embedding.sha256, repr(self.proposal))

    def __call__(self, x: Sequence[float]) -> list[float]:
        return [d.cdf(v) for d, v in zip(normals(self.proposal), self.embedding(x), strict=True)]


def normals(law: Normal) -> list[NormalDist]:
    """The coordinates, in float64."""
    return [NormalDist(float(m), float(d)) for m, d in zip(law.means, law.deviations, strict=True)]
