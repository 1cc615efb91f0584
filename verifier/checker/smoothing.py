"""The verdict on a statement about a smoothed classifier: one about votes, and a radius that follows from it.

With g(x) the class that argmax f(x + N(0, sigma^2 I)) returns most often: if that is c at x0 with a probability of at
least p > 1/2, g is c wherever |x - x0| < sigma Phi^-1(p) (Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918). The
probability is bounded by draws of ranks of the noise, uniform on a cube. Here it is judged that the statement about
votes is accepted, that it is about this network, centre, sigma and class, and that Phi(radius / sigma) <= p.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from verifier.checker.check import Verdict
from verifier.checker.container import has_member
from verifier.checker.errors import CheckError
from verifier.checker.normal import normal_cdf_up
from verifier.checker.relaxed_checker import identity
from verifier.checker.statement import known_format, read_exactly
from verifier.checker.statistics import StatisticalEvidence, read_statement, verdict_on_statement
from verifier.checker.statistics_bounds import DOWN, shown
from verifier.checker.statistics_draws import read_box, read_kind
from verifier.checker.statistics_ledger import HASH, json_object, natural, rational, text

SMOOTHING, VOTES = "smoothing.json", "votes.nnstat"
KEYS = {"format", "version", "model", "sigma", "center", "class", "radius", "claim"}


@dataclass(frozen=True)
class SmoothingEvidence:
    """g is ``label`` within ``radius`` of ``center``, for noise of deviation ``sigma``; all numbers are exact.

    ``model`` is the SHA-256 of the network's file.
    """

    model: str
    sigma: Fraction
    center: tuple[Fraction, ...]
    label: int
    radius: Fraction
    votes: StatisticalEvidence
    sha256: str
    claim: str


def is_about_smoothing(source: bytes | Path) -> bool:
    """Whether this is an archive, or the path of one, with a statement about a smoothed classifier in it."""
    return has_member(source, SMOOTHING)


def read_smoothing(data: bytes) -> SmoothingEvidence:
    """Parse a file; raises CheckError for what is not exactly of the format."""
    members = read_exactly(data, {SMOOTHING, VOTES})
    manifest = json_object(members[SMOOTHING], SMOOTHING)
    if set(manifest) != KEYS or not isinstance(manifest["center"], list):
        raise CheckError(f"{SMOOTHING} does not have exactly the keys {sorted(KEYS)}, with a list as the centre")
    known_format(manifest, "nnsmooth")
    model = text(manifest["model"])
    if not HASH.fullmatch(model):
        raise CheckError("the network is not named by its hash")
    return SmoothingEvidence(
        model,
        rational(manifest["sigma"]),
        tuple(rational(value) for value in manifest["center"]),
        natural(manifest["class"]),
        rational(manifest["radius"]),
        read_statement(members[VOTES]),
        hashlib.sha256(members[SMOOTHING]).hexdigest(),
        text(manifest["claim"]),
    )


def verdict_on_smoothing(evidence: SmoothingEvidence) -> Verdict:
    """Accepted only if the statement about votes is, is about what is stated, and is strong enough for the radius."""
    votes = verdict_on_statement(evidence.votes)
    wrong = "" if votes.accepted else f"the statement about votes is refused: {votes.reason}"
    wrong = wrong or _apart(evidence) or _too_far(evidence)
    if wrong:
        return Verdict(False, wrong, (), votes.leaves, math.nan)
    content = evidence.votes.ledger.plans[evidence.votes.name].content
    least = shown(1 - evidence.votes.upper, DOWN)
    reason = (
        f"the smoothed classifier g, the majority vote of argmax f(x + N(0, ({evidence.sigma})^2 I)), and not the "
        f"network f itself, is class {evidence.label} at all x with |x - x0| < {shown(evidence.radius, DOWN)} for "
        f"x0 = {_point(evidence.center)} at confidence {rational(content['confidence'])}: at x0 class "
        f"{evidence.label} has at least {least} of the votes; f is the network sha256:{evidence.model}; rests on: "
        "quantiles of the ranks, and sums with x0, in float64 stand for normal noise; network, x0, sigma and class, "
        "which the overseer is named by, were fixed before the first answer; "
        f"{votes.reason.partition('; rests on: ')[2]}"
    )
    return Verdict(True, reason, (), votes.leaves, math.inf)


def _apart(evidence: SmoothingEvidence) -> str:
    """Why the statement about votes is not one about this classifier, or nothing."""
    ledger, center = evidence.votes.ledger, evidence.center
    plan = ledger.plans[evidence.votes.name]
    content = plan.content
    parts = (evidence.model, str(evidence.sigma), str(evidence.label), *map(str, center))
    if ledger.source != identity("smoothed", *parts):
        return "the votes are not about this network, centre, sigma and class"
    if not ledger.deterministic or plan.further:
        return "the votes are not of a network that answers about the noise alone"
    if content["method"] not in ("clopper-pearson", "betting") or content["nature"] != "":
        return "the votes are counted under another law than that of the draws"
    if read_kind(content["sampler"]) != "box" or read_box(content["sampler"]) != _cube(len(center)):
        return "the ranks of the noise are not drawn from the unit cube"
    if rational(content["below"]) != 0:
        return "the votes are about another event"
    return ""


def _too_far(evidence: SmoothingEvidence) -> str:
    """Why the radius does not follow from the votes, or nothing."""
    least = 1 - evidence.votes.upper
    if evidence.sigma <= 0 or evidence.radius <= 0:
        return "sigma or the radius is not positive"
    if least <= Fraction(1, 2):
        return "the class is not shown to have more than half of the votes"
    if normal_cdf_up(evidence.radius / evidence.sigma) > least:
        return "the radius exceeds sigma times the quantile of the share of votes"
    return ""


def _cube(size: int) -> tuple[list[float], list[float]]:
    return [0.0] * size, [1.0] * size


def _point(center: tuple[Fraction, ...]) -> str:
    """The centre, or where it is long what it hashes to: its coordinates in lowest terms, one a line."""
    if len(center) <= 4:
        return f"({', '.join(map(str, center))})"
    return f"{len(center)} numbers (sha256:{hashlib.sha256(chr(10).join(map(str, center)).encode()).hexdigest()})"
