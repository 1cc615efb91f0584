"""The verdict on a statement of probability: its ledger read, its draws drawn again, its bound proved again."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from verifier.checker.check import Verdict
from verifier.checker.container import has_member
from verifier.checker.errors import CheckError
from verifier.checker.statement import LEDGER, known_format, read_members
from verifier.checker.statistics_bounds import (
    DOWN,
    UP,
    capital_reaches,
    least_rate,
    renyi_rate,
    shown,
    tail_is_small,
)
from verifier.checker.statistics_draws import (
    Box,
    draw_again,
    read_blocks,
    read_box,
    read_kind,
    read_mixture,
    read_parts,
)
from verifier.checker.statistics_ledger import (
    LedgerContent,
    Plan,
    json_object,
    natural,
    rational,
    read_ledger,
    text,
)

STATEMENT, ROWS = "statement.json", "rows.bin"
KEYS = {"format", "version", "plan", "lower", "upper", "ledger", "claim"}
PLAN = {
    *("seed", "queries", "method", "sides", "nature", "model", "confidence", "below", "kappa", "divergence", "order"),
    *("sampler", "bets", "cells"),
}
CELL = {"mass", "status", "lower", "upper", "queries", "share", "evidence"}
ONE_SIDED = ("domination", "renyi", "importance", "stratified")
ANY_TIME = ("betting", "importance")
NEEDED = {"stratified": "blocks", "importance": "mixture"}  # the sampler that a method draws from
LISTED = ("seeds", "sample")  # kinds whose draws no generator makes
LARGEST_POWER = LARGEST_DIVERGENCE = 1000
LONGEST_SUM = 1 << 14  # bits of the denominator


@dataclass(frozen=True)
class StatisticalEvidence:
    """What the file states: bounds of the event's probability in the plan of this name."""

    name: str
    lower: Fraction
    upper: Fraction
    ledger: LedgerContent
    sha256: str
    rows: bytes
    claim: str


def is_about_statistics(source: bytes | Path) -> bool:
    """Whether this is an archive, or the path of one, with a statement in it."""
    return has_member(source, STATEMENT)


def read_statement(data: bytes) -> StatisticalEvidence:
    """Parse a file; raises CheckError for what is not exactly of the format, and for a ledger that was changed."""
    members = read_members(data, STATEMENT, ROWS)
    manifest = json_object(members[STATEMENT], STATEMENT)
    if set(manifest) != KEYS or not isinstance(manifest["ledger"], dict):
        raise CheckError(f"{STATEMENT} does not have exactly the keys {sorted(KEYS)}")
    known_format(manifest, "nnstat")
    head, count = text(manifest["ledger"].get("sha256")), natural(manifest["ledger"].get("lines"))
    return StatisticalEvidence(
        name=text(manifest["plan"]),
        lower=rational(manifest["lower"]),
        upper=rational(manifest["upper"]),
        ledger=read_ledger(members[LEDGER], head, count),
        sha256=head,
        rows=members.get(ROWS, b""),
        claim=text(manifest["claim"]),
    )


def verdict_on_statement(evidence: StatisticalEvidence) -> Verdict:
    """Accepted only if the ledger, by its plan and the draws of its seed, supports both bounds."""
    ledger = evidence.ledger
    plan = ledger.plans.get(evidence.name)
    if plan is None:
        return _no(f"the ledger holds no plan {evidence.name!r}", ledger)
    content = plan.content
    if set(content) != PLAN:
        raise CheckError(f"a plan has exactly the keys {sorted(PLAN)}")
    queries, confidence, method = natural(content["queries"]), rational(content["confidence"]), text(content["method"])
    if not 0 < confidence < 1 or not 0 <= evidence.lower <= evidence.upper <= 1 or queries < 1:
        return _no("a confidence or a bound is not between 0 and 1", ledger)
    count = len(plan.answers)
    if not 1 <= count <= queries or (count < queries and method not in ANY_TIME):
        return _no(f"{count} draws are answered, the plan has {queries}", ledger)
    kind = read_kind(content["sampler"])
    if kind != NEEDED.get(method, kind) or (kind == "blocks" and method != "stratified"):
        return _no(f"the method {method!r} does not go with draws from {kind}", ledger)
    if kind in LISTED and method not in ("clopper-pearson", "betting"):
        return _no(f"the method {method!r} does not go with draws from {kind}", ledger)
    if kind == "sample" and (natural(content["sampler"]["count"]) != queries or not text(content["nature"])):
        return _no("a sample is not drawn whole, or of no law that is named", ledger)
    if plan.foreseen and kind != "rows":
        return _no(f"{plan.foreseen} draws had been asked about before the plan: it was chosen by them", ledger)
    for draw, (stated, x) in enumerate(zip_longest(plan.inputs, islice(draw_again(content, evidence.rows), count))):
        if stated != x:
            return _no(f"draw {draw} is not the one that the seed gives", ledger)
    below = rational(content["below"])
    failed = [answer is None or Fraction(answer) < below for answer in plan.answers]
    wrong = _bounds_fail(evidence, plan, failed, 1 - confidence)
    if wrong:
        return _no(wrong, ledger)
    reason = (
        f"{shown(evidence.lower, DOWN)} <= Pr[answer < {below}] <= {shown(evidence.upper, UP)} under {_law(content)} "
        f"at confidence {confidence}, by {method} from {count} draws with {sum(failed)} failures"
        f"{_without_answer(plan)}; "
        f"rests on: {_rests(plan, ledger)}"
    )
    return Verdict(True, reason, (), ledger.lines, math.inf)


def _without_answer(plan: Plan) -> str:
    count = plan.answers.count(None)
    return f", {count} of them without an answer" if count else ""


def _no(reason: str, ledger: LedgerContent) -> Verdict:
    return Verdict(False, reason, (), ledger.lines, math.nan)


def _bounds_fail(evidence: StatisticalEvidence, plan: Plan, failed: list[bool], level: Fraction) -> str:
    """What is not proved about the bounds, or nothing.

    A draw without an answer failed, as far as the upper bound goes, and did not fail for the lower one.
    """
    content, lower, upper = plan.content, evidence.lower, evidence.upper
    method, sides = content["method"], content["sides"]
    if sides not in ("upper", "both") or (sides == "both" and method in ONE_SIDED):
        return "the plan does not say which sides are bounded"
    if sides == "both":
        level /= 2
    elif lower > 0:
        return "a lower bound is stated that was not planned"
    surely = [fail and answer is not None for fail, answer in zip(failed, plan.answers)]
    if method in ANY_TIME:
        return _betting_fails(plan, failed, surely, level, lower, upper)
    count, failures = len(failed), sum(failed)
    if method == "stratified":
        return "" if upper >= _cells(content, failed, level) else "the cells do not add up to the upper bound"
    rate = upper
    if method in ("domination", "renyi") and not text(content["nature"]):
        return "no law is named"
    if method == "domination":
        if rational(content["kappa"]) < 1:
            return "kappa is below 1"
        rate = upper / rational(content["kappa"])
    elif method == "renyi":
        order, divergence = rational(content["order"]), rational(content["divergence"])
        if order <= 1 or order / (order - 1) > LARGEST_POWER or not 0 <= divergence <= LARGEST_DIVERGENCE:
            return "there is no such Renyi divergence, or it is of no use"
        if upper == 0:
            return "no bound of 0 comes from draws"
        rate = renyi_rate(upper, divergence, order)
    elif method != "clopper-pearson":
        return f"unknown method {method!r}"
    if upper < 1 and not tail_is_small(count, failures, rate, level):
        return "the upper bound is not covered at this confidence"
    if lower > 0 and not tail_is_small(count, count - sum(surely), 1 - lower, level):
        return "the lower bound is not covered at this confidence"
    return ""


def _betting_fails(
    plan: Plan, failed: list[bool], surely: list[bool], level: Fraction, lower: Fraction, upper: Fraction
) -> str:
    content, how = plan.content, plan.content["bets"]
    if not isinstance(how, dict) or set(how) != {"truncation", "horizon"}:
        raise CheckError("a plan does not say how to bet")
    truncation = rational(how["truncation"])
    horizon = None if how["horizon"] is None else natural(how["horizon"])
    if not 0 < truncation < 1 or horizon == 0:
        return "no way to bet is stated"
    values, kappa = [Fraction(int(f)) for f in failed], Fraction(1)
    if content["method"] == "importance":
        values, kappa = _ratios(content, plan.inputs, failed)
    if upper < 1 and not capital_reaches(values, upper / kappa, level, truncation, horizon):
        return "the capital against the upper bound does not reach the inverse of the level"
    if lower > 0 and not capital_reaches([Fraction(int(not f)) for f in surely], 1 - lower, level, truncation, horizon):
        return "the capital against the lower bound does not reach the inverse of the level"
    return ""


def _ratios(content: dict[str, Any], points: list[list[float]], failed: list[bool]) -> tuple[list[Fraction], Fraction]:
    """(dP/dQ)(x) w at each draw that failed, and 1 / w, for P uniform on the first part, which has weight w in Q."""
    weights, parts = read_mixture(content["sampler"])
    densities = []
    for lower, upper in parts:
        volume = math.prod((Fraction(u) - Fraction(l) for l, u in zip(lower, upper)), start=Fraction(1))
        if volume == 0:
            raise CheckError("a part of a mixture has no volume")
        densities.append(1 / volume)
    values = []
    for x, fail in zip(points, failed):
        inside = [fail and all(l <= v <= u for l, v, u in zip(lower, x, upper)) for lower, upper in parts]
        q = sum((w * d for w, d, here in zip(weights, densities, inside) if here), Fraction(0))
        values.append(weights[0] * densities[0] / q if inside[0] else Fraction(0))
    return values, 1 / weights[0]


def _cells(content: dict[str, Any], failed: list[bool], level: Fraction) -> Fraction:
    """The sum over cells of mass times bound; mass that no cell has counts whole."""
    if not isinstance(content["cells"], list):
        raise CheckError("cells are no list")
    parts, counts = read_blocks(content["sampler"])
    at, used, mass, total, sampled = 0, Fraction(0), Fraction(0), Fraction(0), 0
    for cell in content["cells"]:
        if not isinstance(cell, dict) or set(cell) != CELL:
            raise CheckError(f"a cell has exactly the keys {sorted(CELL)}")
        own, share = rational(cell["mass"]), rational(cell["share"])
        if own < 0 or share < 0 or natural(cell["queries"]) > len(failed):
            raise CheckError("a cell has a negative mass or share, or more queries than there are")
        mass += own
        if cell["status"] == "open":
            total += own
        elif cell["status"] == "sampled":
            if sampled >= len(parts) or parts[sampled] != read_box(cell) or counts[sampled] != natural(cell["queries"]):
                raise CheckError("a sampled cell is not the one that was drawn from")
            some = failed[at : at + counts[sampled]]
            if not some or share == 0 or len(some) != counts[sampled]:
                raise CheckError("a sampled cell has no draws, or no share of the error")
            total += own * least_rate(len(some), sum(some), level * share)
            at, used, sampled = at + len(some), used + share, sampled + 1
        elif cell["status"] != "certified" or not text(cell["evidence"]):
            raise CheckError("a cell is neither open nor sampled nor certified by something")
        if max(value.denominator.bit_length() for value in (mass, used, total)) > LONGEST_SUM:
            raise CheckError("the masses or the shares of the cells have no small common denominator")
    if used > 1 or mass > 1 or at != len(failed) or sampled != len(parts):
        raise CheckError("the shares or the masses exceed 1, or draws or parts belong to no cell")
    return min(Fraction(1), total + 1 - mass)


def _law(content: dict[str, Any]) -> str:
    """The law of the statement in words; where these are short of it, with the hash of what the plan says."""
    if content["method"] in ("domination", "renyi"):
        return f"P = {text(content['nature'])!r}"
    if content["method"] == "importance":
        return f"the uniform law on {_sides(read_parts(content['sampler'])[0])}"
    return law_of_draws(content)


def law_of_draws(content: dict[str, Any]) -> str:
    """What a plan draws from, in words."""
    sampler = content["sampler"]
    if sampler["kind"] == "rows":
        return f"a row of {sampler['count']} of the file sha256:{sampler['sha256']}"
    if sampler["kind"] == "seeds":
        return "the choice of a seed"
    if sampler["kind"] == "sample":
        return f"P = {text(content['nature'])!r}"
    if sampler["kind"] == "blocks":
        return (
            f"a cell by its mass and uniform in it, {len(content['cells'])} cells (sha256:{_digest(content['cells'])})"
        )
    if sampler["kind"] == "box":
        return f"the uniform law on {_sides(read_box(sampler))}"
    return f"the mixture of {len(read_parts(sampler))} boxes (sha256:{_digest(sampler)})"


def _sides(box: Box) -> str:
    sides = [f"[{l!r}, {u!r}]" for l, u in zip(*box)]
    if len(set(sides)) == 1:
        return f"{sides[0]}^{len(sides)}"
    if len(sides) <= 4:
        return " x ".join(sides)
    return f"{sides[0]} x ... x {sides[-1]} (sha256:{_digest([[v.hex() for v in end] for end in box])})"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":"), sort_keys=True).encode()).hexdigest()


def _rests(plan: Plan, ledger: LedgerContent) -> str:
    """What an accepted statement still rests on, in the checker's own words."""
    content, told = plan.content, answers_rest_on(plan, ledger)
    of_draws = f"for P = {text(content['nature'])!r} and Q = {law_of_draws(content)}"
    if content["method"] == "domination":
        told.append(f"dP/dQ <= {rational(content['kappa'])} {of_draws}")
    if content["method"] == "renyi":
        told.append(f"D_{rational(content['order'])}(P || Q) <= {rational(content['divergence'])} {of_draws}")
    if content["method"] == "stratified":
        told.append("the cells have their masses")
        told += [
            f"no input of its cell fails, by {text(c['evidence'])!r}"
            for c in content["cells"]
            if c["status"] == "certified"
        ]
    return "; ".join([*told, *one_of_several(ledger)])


def answers_rest_on(plan: Plan, ledger: LedgerContent) -> list[str]:
    """What is taken for granted of answers and draws, whatever they are used for."""
    told = [f"the overseer {ledger.overseer} answered as the ledger says"]
    if not ledger.deterministic:
        told.append("the overseer's answers do not depend on each other")
    elif ledger.repeated or ledger.unanswered:
        cut = f", {ledger.unanswered} questions were cut off" if ledger.unanswered else ""
        told.append(f"the overseer is deterministic: {ledger.repeated} answers are repeated{cut}")
    told += [_fixed(plan), _drawn(plan)]
    if plan.further:
        told.append(f"further arguments are what the model sha256:{text(plan.content['model'])!r} gave")
    return told


def one_of_several(ledger: LedgerContent) -> list[str]:
    """That a statement was chosen among several, where it was."""
    plans = len(ledger.plans)
    return (
        [f"the statement is one of {plans} plans of the ledger, each with a confidence of its own"] if plans > 1 else []
    )


def _drawn(plan: Plan) -> str:
    sampler = plan.content["sampler"]
    if sampler["kind"] == "seeds":
        return "runs with the seeds 0, 1, ... stand for independent runs with a random seed; this is not about inputs"
    if sampler["kind"] == "sample":
        different = len({tuple(x) for x in plan.inputs})
        what = f"the {natural(sampler['count'])} rows of the file sha256:{sampler['sha256']}"
        what += f", {different} of them different, are independent draws of P"
        return f"{what}, and nothing that was fixed before was chosen by them"
    return "float64 draws of PCG64 stand for independent draws of the law"


def _fixed(plan: Plan) -> str:
    if not plan.before:
        return "the plan and its seed were fixed before the first answer"
    known = f", which are about {plan.foreseen} of its draws" if plan.foreseen else ""
    return f"the plan and its seed were fixed without regard to the {plan.before} answers before it{known}"
