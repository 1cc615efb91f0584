"""From votes to a radius: the certificate of Cohen, Rosenfeld and Kolter (2019, arXiv:1902.02918) as a statement.

The class is given, or chosen by draws of its own; then the plan is written down and all of its draws are asked about.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from specs.errors import CertifyError
from verifier.archives import save_archive
from verifier.checking import run_checker
from verifier.places import make_folder
from verifier.relaxed_checker.quantiles import cube
from verifier.relaxed_checker.statements import ask
from verifier.smoothing.votes import Noise, Votes, quantile_below
from verifier.statistics.clopper_pearson import decimal_text
from verifier.statistics.plan import Plan
from verifier.statistics.statement import STATEMENT, SUFFIX, Statement

FORMAT, VERSION = "nnsmooth", 1
SMOOTHING, VOTES = "smoothing.json", "votes.nnstat"
DIGITS = 12  # significant digits of a radius
SHOWN = 4  # coordinates of a centre that a sentence names


class NoRadius(CertifyError):
    """The class is not shown to have the majority: the paper's ABSTAIN. The ledger is whole."""


@dataclass(frozen=True)
class Smoothed:
    """g is ``label`` at all x with |x - center| < ``radius``, of class ``statistical(confidence)``.

    g(x) is the class that argmax f(x + N(0, sigma^2 I)) returns most often: not the network f.
    """

    file: Path
    votes: Votes
    radius: Fraction
    share: Fraction
    statement: Statement

    @property
    def label(self) -> int:
        return self.votes.label

    @property
    def claim_class(self) -> str:
        return self.statement.claim_class

    @property
    def claim(self) -> str:
        """The statement as a sentence, with what it rests on and what it does not say."""
        found, noise = self.statement, self.votes.noise
        rests = (
            "(declared) network, centre, sigma and class were fixed before the first answer",
            "(declared) quantiles of the draws, and sums with the centre, in float64 stand for normal noise",
            *found.assumptions,
        )
        told = ", ".join(f"A{k} {text}" for k, text in enumerate(rests, 1))
        return (
            f"g(x) = {self.label} FOR ALL x WITH |x - x0| < {decimal_text(self.radius)} (Euclidean), CLASS "
            f"{self.claim_class}, where g is the smoothed classifier: g(x) is the class that argmax f(x + noise) "
            f"returns most often, noise ~ N(0, {decimal_text(noise.sigma)}^2 I), f = {noise.file.name}, "
            f"x0 = {_point(noise.center)}; at x0 class {self.label} has at least {decimal_text(self.share)} of the "
            f"votes ({found.plan.method}, {found.answered} draws, {found.failures} of them not {self.label}). "
            f"RESTS ON: {told}. DOES NOT SAY: anything about the network f itself, at x0 or elsewhere; that a "
            "vote of finitely many draws returns g."
        )


def certify_radius(
    folder: Path, model: Path, center: Sequence[Fraction], sigma: Fraction, label: int | None = None, *,
    queries: int = 1000, confidence: Fraction = Fraction(999, 1000), seed: int = 0, choice: int = 100,
    name: str = "smoothed",
) -> Smoothed:  # fmt: skip
    """Write ``NAME.nnstat`` into ``folder``, about the smoothed classifier of a network within a radius of ``center``.

    Centre and sigma are decimals, in the units of the network's input. Without a ``label`` it is the class that comes
    out most often in ``choice`` draws, none of them among the ``queries`` that count. A ledger in ``folder`` is gone on
    with. Raises ``NoRadius`` where no radius follows, ``LedgerError`` where the ledger is of other terms than these,
    and ``CertifyError`` where the network does not fit or the checker refuses the file.
    """
    noise = Noise(model, tuple(map(Fraction, center)), Fraction(sigma))
    try:
        decimals = [decimal_text(value) for value in (noise.sigma, *noise.center)]
    except ValueError as error:
        raise CertifyError(f"centre and sigma have to be decimals: {error}") from None
    chosen = noise.popular(choice, seed) if label is None else label
    if not 0 <= chosen < noise.graph.output_size:
        raise CertifyError(f"{model} has the classes 0 to {noise.graph.output_size - 1}, and no {chosen}")
    votes = Votes(noise, chosen)
    plan = Plan(f"{name}.votes", cube(len(noise.center)), seed, queries, confidence)
    found = ask(make_folder(folder), votes, plan, lambda ranks: [ranks.tolist()])
    inner = found.file.read_bytes()
    with zipfile.ZipFile(found.file) as archive:
        upper = Fraction(json.loads(archive.read(STATEMENT))["upper"])
    radius = radius_from(noise.sigma, upper)
    if radius == 0:
        raise NoRadius(
            f"class {chosen} is not shown to have the majority of votes: of {found.statement.answered} draws "
            f"{found.statement.failures} are not {chosen}"
        )
    smoothed = Smoothed(folder / f"{name}{SUFFIX}", votes, radius, 1 - upper, found.statement)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "model": noise.model,
        "sigma": decimals[0],
        "center": decimals[1:],
        "class": chosen,
        "radius": decimal_text(radius),
        "claim": smoothed.claim,
    }
    save_archive(smoothed.file, {SMOOTHING: json.dumps(manifest, indent=1).encode(), VOTES: inner})
    result = run_checker(smoothed.file, None, None, False, {})
    if not result.accepted:
        raise CertifyError(f"{smoothed.file}: the checker refused it: {result.reason}")
    return smoothed


def _point(center: tuple[Fraction, ...]) -> str:
    if len(center) > SHOWN:
        return f"the {len(center)} numbers of the file"
    return f"({', '.join(map(decimal_text, center))})"


def radius_from(sigma: Fraction, upper: Fraction) -> Fraction:
    """A decimal a little below sigma Phi^-1(1 - ``upper``), where ``upper`` bounds the share of other classes; or 0."""
    value = sigma * Fraction(quantile_below(upper))
    if value <= 0:
        return Fraction(0)
    places = DIGITS - 1 - math.floor(math.log10(value))
    return Fraction(math.floor(value * Fraction(10) ** places), 1) / Fraction(10) ** places
