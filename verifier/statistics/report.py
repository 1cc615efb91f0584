"""What is said about a rate: the verdict, what was asked, the sentence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specs.language.rates.question import StatisticalQuestion
from specs.language.text.decimals import exact
from verifier.engine.outcome import Verdict
from verifier.statistics.queries import Spent

if TYPE_CHECKING:
    from verifier.statistics.lifting import Lifted


@dataclass(frozen=True)
class Rate:
    """``lower <= Pr[event] <= upper`` as the checker has accepted it, resting on ``assumptions``.

    ``failing`` is the first draw that failed, with its answer.
    """

    lower: Fraction
    upper: Fraction
    answered: int
    failures: int
    assumptions: tuple[str, ...]
    file: Path
    bytes: int
    check_seconds: float
    ledger_sha256: str
    failing: tuple[tuple[float, ...], float] | None


@dataclass(frozen=True, repr=False)
class StatisticalAnswer:
    """What became of one requirement about a rate; ``rate`` is None where nothing is proved of it.

    ``lifted`` is what it is together with a proof about a surrogate, where that was asked for.
    """

    requirement: StatisticalQuestion
    rate: Rate | None
    reason: str
    asked: int
    spent: Spent
    ledger: Path
    seconds: float
    hashes: dict[str, str]
    version: str
    stats: dict[str, float] = field(default_factory=dict)
    lifted: Lifted | None = None

    @property
    def id(self) -> str:
        return self.requirement.id

    @property
    def verdict(self) -> Verdict:
        """By the bounds alone: certified at or below the rate, violated above it."""
        if self.rate is None:
            return "unknown"
        most = Fraction(self.requirement.terms.max_rate)
        return "certified" if self.rate.upper <= most else "violated" if self.rate.lower > most else "unknown"

    @property
    def parameter(self) -> None:
        """Nothing is solved for."""
        return None

    @property
    def claim_class(self) -> str:
        return (
            "heuristic" if self.rate is None else f"statistical({exact(Fraction(self.requirement.terms.confidence))})"
        )

    @property
    def claim(self) -> str:
        """What has to hold, in words."""
        question = self.requirement
        return f"UNDER {question.law}: Pr[{question.text}] <= {exact(Fraction(question.terms.max_rate))}"

    @property
    def question(self) -> str:
        """The claim: nothing in it is found in a run."""
        return self.claim

    @property
    def sentence(self) -> str:
        question, rate = self.requirement, self.rate
        severity = f"SEVERITY {question.severity}"
        if rate is None:
            return f"UNDECIDED WHETHER {self.claim}, {severity}, CLASS heuristic: {self.reason.partition(':')[0]}."
        start = {"certified": "", "violated": "NOT ", "unknown": "UNDECIDED WHETHER "}[self.verdict]
        files = ", ".join(f"{what} = sha256:{value}" for what, value in self.hashes.items())
        told = (*rate.assumptions, *self._of_networks, f"(declared) {files}")
        rests = ", ".join(f"A{k} {text}" for k, text in enumerate(told, 1))
        return (
            f"{start}{self.claim}, {severity}, CLASS {self.claim_class}: {self._bounds} BY {question.terms.method} "
            f"FROM {rate.answered} DRAWS, {rate.failures} OF THEM FAILURES, CHECKED BY certify-check {self.version} "
            f"IN {rate.check_seconds:.2f} s. RESTS ON: {rests}. DOES NOT SAY: which inputs fail, or that none does; "
            f"anything about another law of inputs, other networks or another overseer.{self._lifted}"
        )

    @property
    def _lifted(self) -> str:
        return "" if self.lifted is None else f" {self.lifted.sentence}"

    @property
    def _of_networks(self) -> tuple[str, ...]:
        question = self.requirement
        if (question.program is not None and question.against is None) or not question.models:
            return ()
        told = "(declared) the event is of what the networks compute in float64, and not in any other runtime"
        if question.against is None or question.rows is None:
            return (told,)
        return told, "(declared) the networks were not chosen by answers about the examples that are drawn"

    @property
    def _bounds(self) -> str:
        assert self.rate is not None
        low = f"{rate_text(self.rate.lower, up=False)} <= " if self.rate.lower > 0 else ""
        return f"{low}RATE <= {rate_text(self.rate.upper)}"

    def without_files(self) -> StatisticalAnswer:
        """Evidence was in a folder that is gone."""
        rate = None if self.rate is None else replace(self.rate, file=Path())
        return replace(self, rate=rate, ledger=Path())

    def __repr__(self) -> str:
        return f"<{self.id}: {self.verdict}{f' ({self.reason})' if self.reason else ''}>"

    def lines(self) -> list[tuple[str, str]]:
        """Names and values for people."""
        rate, cost = self.rate, self.spent.cost
        money = f", cost {exact(cost)}" if cost else ""
        found = [("class", f"{self.claim_class}: a rate, not every input")] if rate is not None else []
        if rate is not None:
            found.append(("rate", f"{self._bounds}, {rate.failures} failures in {rate.answered} draws"))
        found.append(("queries", f"{self.asked} now, {self.spent.queries} in all, {self.spent.seconds:.1f} s{money}"))
        if self.lifted is not None:
            found.append(("composed", self.lifted.claim or self.lifted.why))
        if rate is not None and rate.failing is not None:
            point, value = rate.failing
            shown = ", ".join(map(repr, point[:10])) + (", ..." if len(point) > 10 else "")
            found.append(("fails at", f"{shown}: {value!r}"))
        if rate is not None:
            found.append(("checked", f"{rate.bytes} bytes in {rate.check_seconds:.2f} s"))
            found.append(("statement", str(rate.file) if rate.file.name else "not kept"))
        if self.reason:
            kind, _, detail = self.reason.partition(": ")
            found.append(("reason", detail or kind))
        return [*found, ("ledger", str(self.ledger) if self.ledger.name else "not kept")]

    def to_json(self) -> dict[str, Any]:
        question, rate = self.requirement, self.rate
        return {
            "id": self.id,
            "severity": question.severity,
            "line": question.line or None,
            "verdict": self.verdict,
            "class": self.claim_class,
            "reason": self.reason,
            "claim": self.claim,
            "question": self.question,
            "sentence": self.sentence,
            "rate": None
            if rate is None
            else {
                "lower": float(rate.lower),
                "upper": float(rate.upper),
                "draws": rate.answered,
                "failures": rate.failures,
                "max_rate": float(question.terms.max_rate),
                "confidence": float(question.terms.confidence),
                "method": question.terms.method,
                "assumptions": [*rate.assumptions, *self._of_networks],
            },
            "queries": {"asked": self.asked, "charged": self.spent.queries, "cost": float(self.spent.cost)},
            "ledger": {
                "path": str(self.ledger) if self.ledger.name else None,
                "sha256": None if rate is None else rate.ledger_sha256,
            },
            "certificate": None
            if rate is None
            else {
                "path": str(rate.file) if rate.file.name else None,
                "checked": True,
                "bytes": rate.bytes,
                "check_seconds": rate.check_seconds,
            },
            "attack": self._attack(),
            **({} if self.lifted is None else {"composed": self.lifted.to_json()}),
            "stats": self.stats,
            "seconds": self.seconds,
        }

    def _attack(self) -> dict[str, Any] | None:
        if self.verdict != "violated" or self.rate is None or self.rate.failing is None:
            return None
        point, value = self.rate.failing
        return {"input": list(point), "value": value}


def rate_text(value: Fraction, up: bool = True) -> str:
    """Six decimal places, rounded outward."""
    scaled = value * 10**6
    whole = -(-scaled.numerator // scaled.denominator) if up else scaled.numerator // scaled.denominator
    return format(Decimal(whole).scaleb(-6), "f")
