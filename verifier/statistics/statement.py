"""The statement that a ledger supports, recomputed from the ledger alone, and the file that carries both."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from specs.errors import CertifyError
from verifier.archives import save_archive
from verifier.statistics import betting, clopper_pearson
from verifier.statistics.clopper_pearson import Interval
from verifier.statistics.importance import domination, renyi
from verifier.statistics.ledger import Ledger, read_lines
from verifier.statistics.plan import Plan, plan_from_json
from verifier.statistics.sampling import Mixture, Sample, Seeds
from verifier.statistics.strata import total_bound

FORMAT, VERSION, SUFFIX = "nnstat", 1, ".nnstat"
STATEMENT, LEDGER, ROWS = "statement.json", "ledger.jsonl", "rows.bin"


class StatementError(CertifyError):
    """A ledger from which nothing can be stated."""


@dataclass(frozen=True)
class Statement:
    """``lower <= Pr[event] <= upper``, of class ``statistical(confidence)``, resting on ``assumptions``."""

    plan: Plan
    bounds: Interval
    answered: int
    failures: int
    assumptions: tuple[str, ...]

    @property
    def claim_class(self) -> str:
        return f"statistical({self.plan.confidence})"

    @property
    def claim(self) -> str:
        """The statement as a sentence, with what it rests on and what it does not say."""
        low = f"{_shown(self.bounds.lower, up=False)} <= " if self.bounds.lower > 0 else ""
        rests = ", ".join(f"A{k} {text}" for k, text in enumerate(self.assumptions, 1))
        return (
            f"{low}Pr[answer < {self.plan.below}] <= {_shown(self.bounds.upper, up=True)}, CLASS {self.claim_class} "
            f"({self.plan.method}, {self.answered} queries, {self.failures} failures). RESTS ON: {rests}. "
            "DOES NOT SAY: which inputs fail; anything about another law of inputs, another model or overseer."
        )


@dataclass(frozen=True)
class Draw:
    """One draw of a plan and whether it failed.

    A draw whose query got no answer failed, but not ``surely``: upper bounds count it, lower bounds do not.
    """

    arguments: tuple[tuple[float, ...], ...]
    failed: bool
    surely: bool


def replay(lines: list[dict[str, Any]], name: str) -> Statement:
    """The statement of the plan of this name; raises ``StatementError`` where draws are missing."""
    plans = [line for line in lines if line["kind"] == "plan" and line["name"] == name]
    if not plans:
        raise StatementError(f"the ledger holds no plan {name!r}")
    plan = plan_from_json(name, plans[0]["plan"])
    found = _draws(lines, plan)
    if len(found) < plan.queries and plan.method not in ("betting", "importance"):
        raise StatementError(
            f"plan {name!r}: {len(found)} of {plan.queries} draws are answered; {plan.method} needs all"
        )
    failures = sum(draw.failed for draw in found)
    return Statement(plan, _bounds(plan, found), len(found), failures, _assumptions(plan, lines, found))


def _draws(lines: list[dict[str, Any]], plan: Plan) -> list[Draw]:
    """Draws 0, 1, ... as far as they are answered without a gap; of several answers to one draw the first counts.

    Where an overseer may answer in two ways, an answer to a question that was cut off before counts as none.
    """
    answers = {line["to"]: line for line in lines if line["kind"] == "answer"}
    deterministic = lines[0]["deterministic"]
    found: dict[int, Draw] = {}
    cut: set[int] = set()
    for line in lines:
        if line["kind"] not in ("ask", "hit") or line["purpose"] != plan.name or line["draw"] in found:
            continue
        answer = lines[line["to"]] if line["kind"] == "hit" else answers.get(line["n"])
        if answer is None:
            cut.add(line["draw"])
            continue
        counts = answer["answer"] is not None and (deterministic or line["draw"] not in cut)
        value = Fraction(float.fromhex(answer["answer"])) if counts else None
        arguments = tuple(tuple(map(float.fromhex, values)) for values in line["arguments"])
        below = value is not None and value < plan.below
        found[line["draw"]] = Draw(arguments, value is None or below, below)
    ordered = []
    while len(ordered) in found:
        ordered.append(found[len(ordered)])
    return ordered


def _bounds(plan: Plan, found: list[Draw]) -> Interval:
    level, count, failures = 1 - plan.confidence, len(found), sum(draw.failed for draw in found)
    if plan.method == "stratified":
        return Interval(Fraction(0), total_bound(plan.cells, _by_cell(plan, found), level))
    if plan.method == "importance":
        values, kappa = _weighted(plan, found)
        return Interval(Fraction(0), min(Fraction(1), kappa * betting.upper_bound(values, level, plan.bets)))
    if plan.method == "betting":
        values = [Fraction(int(draw.failed)) for draw in found]
        if plan.sides == "both":
            surely = [Fraction(int(draw.surely)) for draw in found]
            lower = betting.lower_bound(surely, level / 2, plan.bets)
            return Interval(lower, betting.upper_bound(values, level / 2, plan.bets))
        return Interval(Fraction(0), betting.upper_bound(values, level, plan.bets))
    if plan.sides == "both":
        lower = clopper_pearson.lower_bound(sum(draw.surely for draw in found), count, level / 2)
        return Interval(lower, clopper_pearson.upper_bound(failures, count, level / 2))
    upper = clopper_pearson.upper_bound(failures, count, level)
    if plan.method == "domination" and plan.kappa is not None:
        upper = domination(upper, plan.kappa)
    elif plan.method == "renyi" and plan.divergence is not None and plan.order is not None:
        upper = renyi(upper, plan.divergence, plan.order)
    return Interval(Fraction(0), upper)


def _by_cell(plan: Plan, found: list[Draw]) -> list[int]:
    failures, at = [], 0
    for cell in plan.cells:
        count = cell.queries if cell.status == "sampled" else 0
        failures.append(sum(draw.failed for draw in found[at : at + count]))
        at += count
    return failures


def _weighted(plan: Plan, found: list[Draw]) -> tuple[list[Fraction], Fraction]:
    """Likelihood ratios dP/dQ over kappa, where the draw failed; P is the first part of the mixture Q."""
    mixture = plan.sampler
    assert isinstance(mixture, Mixture)
    kappa = 1 / mixture.weights[0]
    sides = [[Fraction(u) - Fraction(l) for l, u in zip(part.lower, part.upper)] for part in mixture.parts]
    values = []
    for draw in found:
        x, relative = draw.arguments[0], Fraction(0)
        inside = [all(l <= v <= u for l, v, u in zip(p.lower, x, p.upper)) for p in mixture.parts]
        if not draw.failed or not inside[0]:
            values.append(Fraction(0))
            continue
        for weight, side, here in zip(mixture.weights, sides, inside):
            if here:
                share = weight
                for own, first in zip(side, sides[0]):
                    share *= first / own
                relative += share
        values.append(1 / relative / kappa)
    return values, kappa


def _assumptions(plan: Plan, lines: list[dict[str, Any]], found: list[Draw]) -> tuple[str, ...]:
    header, before = lines[0], _answers_before(plan, lines)
    when = f"without regard to the {before} answers before it" if before else "before the first answer"
    told = [
        f"(declared) the overseer {header['overseer']} sha256:{header['source']} answered as the ledger says",
        f"(declared) the plan, its seed {plan.seed} included, was fixed {when}",
        _drawn(plan),
    ]
    if not header["deterministic"]:
        told.append("(declared) the overseer's answers do not depend on each other")
    if any(len(draw.arguments) > 1 for draw in found):
        told.append(f"(declared) further arguments are what the model sha256:{plan.model or 'unstated'} gave")
    if plan.method == "domination":
        told.append(f"(declared) dP/dQ <= {plan.kappa} for P = {plan.nature}")
    if plan.method == "renyi":
        told.append(f"(declared) D_{plan.order}(P || Q) <= {plan.divergence} for P = {plan.nature}")
    if plan.cells:
        proofs = [cell.evidence for cell in plan.cells if cell.status == "certified"]
        told.append("(declared) the cells have the stated masses")
        told += [f"(declared) no input of its cell fails, by {proof}" for proof in proofs]
    return tuple(told)


def _drawn(plan: Plan) -> str:
    """What has to hold for the draws to be draws of the law."""
    if isinstance(plan.sampler, Seeds):
        return "(declared) runs with the seeds 0, 1, ... stand for independent runs with a random seed"
    if isinstance(plan.sampler, Sample):
        return f"(declared) the rows are independent draws of P = {plan.nature}, by which nothing before was chosen"
    return "(declared) float64 draws of PCG64 stand for independent draws of the stated law"


def _answers_before(plan: Plan, lines: list[dict[str, Any]]) -> int:
    found = 0
    for line in lines:
        if line["kind"] == "plan" and line["name"] == plan.name:
            break
        found += line["kind"] == "answer"
    return found


def state(ledger: Ledger, name: str) -> Statement:
    """The statement of a plan, from what the ledger holds now."""
    return replay(ledger.lines, name)


def write_statement(path: Path, ledger: Path, name: str, data: np.ndarray | None = None) -> Statement:
    """Write a ``.nnstat`` file of the statement and the ledger as it is; ``data`` are the rows of a sampler of rows."""
    content = ledger.read_bytes()
    content = content[: content.rfind(b"\n") + 1]
    lines, head = read_lines(content, str(ledger))
    statement = replay(lines, name)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "plan": name,
        "lower": clopper_pearson.decimal_text(_decimal(statement.bounds.lower, up=False)),
        "upper": clopper_pearson.decimal_text(_decimal(statement.bounds.upper, up=True)),
        "ledger": {"sha256": head, "lines": len(lines)},
        "claim": statement.claim,
    }
    rows = {} if data is None else {ROWS: rows_bytes(data)}
    save_archive(path, {STATEMENT: json.dumps(manifest, indent=1).encode(), LEDGER: content, **rows})
    return statement


def rows_bytes(data: np.ndarray) -> bytes:
    """Rows (count, size) as little-endian float64, which is what their hash is of."""
    return np.ascontiguousarray(data, dtype="<f8").tobytes()


def rows_hash(data: np.ndarray) -> str:
    return hashlib.sha256(rows_bytes(data)).hexdigest()


def _decimal(value: Fraction, up: bool) -> Fraction:
    """The value rounded outward to sixteen decimal places."""
    scaled = value * 10**16
    whole = -(-scaled.numerator // scaled.denominator) if up else scaled.numerator // scaled.denominator
    return Fraction(whole, 10**16)


def rounded_up(value: Fraction) -> str:
    """Six decimal places, not below the value."""
    return _shown(value, up=True)


def _shown(value: Fraction, up: bool) -> str:
    """Six decimal places, rounded outward."""
    scaled = value * 10**6
    whole = -(-scaled.numerator // scaled.denominator) if up else scaled.numerator // scaled.denominator
    return format(Decimal(whole).scaleb(-6), "f")
