"""The verdict on combined claims: every member judged by itself, and their sets shown to cover the whole.

A member certificate proves a case of its own query: at every point of a box, and of a ball if there is one, some row
holds. So wherever a cell of the whole lies in that box and that ball, the case of the whole holds in the cell if it has
all these rows, or weaker ones. A member of the statistical kind bounds the rate of failure under the uniform laws on
boxes; a cell that lies in one of these is left to that bound. The cover is a tree of cuts at rational places, both
halves closed, so that its cells are the whole by construction.

The rate under the uniform law on the whole box B is then at most ``sum p_k vol(R_k) / vol(B)``: what may fail lies in
the boxes R_k, and the part of R_k that fails has a volume of at most ``p_k vol(R_k)``. All bounds hold together with
a probability of at least ``1 - sum delta_k``.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import zipfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from verifier.checker.check import Verdict
from verifier.checker.container import Source, has_member
from verifier.checker.errors import CheckError
from verifier.checker.json_object import json_object
from verifier.checker.statement import LARGEST_MEMBER, known_format
from verifier.checker.statistics import (
    StatisticalEvidence,
    answers_rest_on,
    one_of_several,
    read_statement,
    verdict_on_statement,
)
from verifier.checker.statistics_bounds import UP, least_rate, shown
from verifier.checker.statistics_draws import read_blocks, read_box, read_kind
from verifier.checker.statistics_ledger import Plan, natural, rational, text
from verifier.checker.vnnlib import QueryCase, QueryRow

COMBINED, WHOLE = "combined.json", "query.vnnlib"
CERTIFICATE, STATISTICAL, QUERY = ".nncert", ".nnstat", ".vnnlib"
KEYS = {"format", "version", "semantics", "model", "members", "covers", "cases", "claim", "producer"}
NAME = re.compile(r"(0|[1-9][0-9]{0,3})(\.nncert|\.nnstat)")
HASH = re.compile(r"[0-9a-f]{64}")
MOST_MEMBERS, MOST_WORDS = 1000, 1 << 20
MOST_NUMBERS = 1 << 30  # compared along all covers
LARGEST_MANIFEST = 1 << 26
UNIFORM = ("clopper-pearson", "betting")  # methods whose bound is about the law that is drawn from

Side = Sequence[Fraction]
Box = tuple[tuple[Fraction, ...], tuple[Fraction, ...]]
Prove = Callable[[str, bytes, "bytes | None"], tuple[Verdict, tuple[QueryCase, ...]]]
Row = tuple[tuple[tuple[int, Fraction], ...], tuple[tuple[int, Fraction], ...]]


@dataclass(frozen=True)
class Member:
    """``query`` are the bytes of its question, where it does not carry them itself."""

    name: str
    data: bytes
    query: bytes | None


@dataclass(frozen=True)
class CombinedEvidence:
    """What the file states: ``covers``, and which of these each case of the query has."""

    model: Source
    query: bytes
    members: tuple[Member, ...]
    covers: tuple[list[Any], ...]
    cases: tuple[int, ...]
    claim: str

    @property
    def query_source(self) -> Source:
        return Source(hashlib.sha256(self.query).hexdigest(), "", self.query)


def is_about_combined(source: bytes | Path) -> bool:
    """Whether this is an archive, or the path of one, that combines claims."""
    return has_member(source, COMBINED)


def read_combined(data: bytes) -> CombinedEvidence:
    """Parse a file; raises ``CheckError`` for what is not exactly of the format, and for a member that was changed."""
    found = _archive(data)
    manifest = json_object(found[COMBINED], COMBINED)
    if set(manifest) != KEYS:
        raise CheckError(f"{COMBINED} does not have exactly the keys {sorted(KEYS)}")
    known_format(manifest, "nncombined")
    if manifest["semantics"] != "real":
        raise CheckError("this checker knows the semantics 'real'")
    model = manifest["model"]
    if not isinstance(model, dict) or set(model) != {"sha256", "path"}:
        raise CheckError("the model has exactly 'sha256' and 'path'")
    members, expected = _members(manifest["members"], found), {COMBINED, WHOLE}
    expected |= {one.name for one in members} | {_query_of(one.name) for one in members if one.query is not None}
    if set(found) != expected:
        raise CheckError(f"the archive has other members than it lists: {sorted(set(found) ^ expected)[:6]}")
    if not any(one.name.endswith(CERTIFICATE) for one in members):
        raise CheckError("there is no certificate among the members, so that the query is about no network")
    covers, cases = manifest["covers"], manifest["cases"]
    if not isinstance(covers, list) or not all(isinstance(cover, list) for cover in covers):
        raise CheckError("covers are no lists of cells and cuts")
    if not isinstance(cases, list) or sum(map(len, covers)) > MOST_WORDS:
        raise CheckError("the cases have no covers, or these are too long")
    return CombinedEvidence(
        Source(_hash(model["sha256"]), str(model["path"]), None),
        found[WHOLE],
        members,
        tuple(covers),
        tuple(map(natural, cases)),
        text(manifest["claim"]),
    )


def verdict_on_combined(evidence: CombinedEvidence, read: Callable[[], tuple[QueryCase, ...]], prove: Prove) -> Verdict:
    """Accepted only if every member is, and the cells of every case lie in members that prove the case.

    ``prove(name, certificate, query)`` judges a member and tells its cases; after that, ``read`` tells those of the
    whole query.
    """
    return _Judge(evidence, prove).verdict(read)


class _Judge:
    def __init__(self, evidence: CombinedEvidence, prove: Prove) -> None:
        self.evidence, self.prove = evidence, prove
        self.proved: dict[int, tuple[QueryCase, ...]] = {}
        self.sampled: dict[int, Sampled] = {}
        self.cells = self.compared = 0

    def verdict(self, read: Callable[[], tuple[QueryCase, ...]]) -> Verdict:
        for k, member in enumerate(self.evidence.members):
            wrong = self._judge(k, member)
            if wrong:
                return _no(f"{member.name}: {wrong}")
        cases = read()
        if len(self.evidence.cases) != len(cases):
            return _no(f"{len(self.evidence.cases)} cases claimed, the query has {len(cases)}")
        for k, sampled in self.sampled.items():
            if sampled.size != len(cases[0].lower):
                return _no(f"{self.evidence.members[k].name} draws {sampled.size} numbers, the query has others")
        asked = [(k, case) for k, case in enumerate(cases) if not case.empty]
        for k, case in asked:
            wrong = self._not_covered(k, case)
            if wrong:
                return _no(f"case {k}: {wrong}")
        if not self.sampled:
            told = f"{_count(self.proved, 'accepted certificate')} cover the inputs of the query in {self.cells} cells"
            return Verdict(True, told, (), self.cells, math.inf)
        boxes = {(case.lower, case.upper) for _, case in asked}
        if len(boxes) != 1:
            return _no("the cases have several boxes; a rate is about the uniform law on one")
        return self._rate(next(iter(boxes)))

    def _judge(self, k: int, member: Member) -> str:
        """What is wrong with a member, or nothing."""
        if member.name.endswith(CERTIFICATE):
            verdict, self.proved[k] = self.prove(member.name, member.data, member.query)
            return "" if verdict.accepted else verdict.reason
        statement = read_statement(member.data)
        verdict = verdict_on_statement(statement)
        if not verdict.accepted:
            return verdict.reason
        self.sampled[k] = Sampled.of(statement)
        first = next(iter(self.sampled.values()))
        if self.sampled[k].event != first.event:
            return "it is about another event than the first one that is statistical"
        return ""

    def _not_covered(self, number: int, case: QueryCase) -> str:
        """Why the cover does not show the case, or nothing."""
        which = self.evidence.cases[number]
        if which >= len(self.evidence.covers):
            raise CheckError(f"case {number} has no cover")
        rows = weakest_rows(case.rows)
        usable = {k: [own for own in proved if implies(own, rows)] for k, proved in self.proved.items()}
        stack: list[Box] = [(case.lower, case.upper)]
        for word in self.evidence.covers[which]:
            if not stack:
                raise CheckError("a cover goes on after its last cell")
            low, up = stack.pop()
            self.compared += len(low)
            if self.compared > MOST_NUMBERS:
                raise CheckError("there are too many cells, inputs and cases together")
            if isinstance(word, list):
                stack += _halves(word, low, up)
                continue
            self.cells += 1
            if type(word) is not int or not 0 <= word < len(self.evidence.members):
                raise CheckError(f"{str(word)[:40]!r} is neither a cut nor a member")
            sampled = self.sampled.get(word)
            self.compared += len(low) * len(sampled.boxes if sampled is not None else ())
            if sampled is not None and any(within(low, up, *box) for box, _ in sampled.boxes):
                continue
            self.compared += len(low) * len(usable.get(word, ()))
            if not any(holds_cell(own, low, up) for own in usable.get(word, ())):
                return f"a cell is not in {self.evidence.members[word].name}, or is not proved there: {_shown(low, up)}"
        if stack:
            raise CheckError("a cover ends before its last cell")
        return ""

    def _rate(self, whole: Box) -> Verdict:
        volume = _volume(whole)
        if volume == 0:
            return _no("the uniform law is on a box without a volume")
        used = self.sampled.values()
        parts = [upper * _volume(box) / volume for one in used for box, upper in one.boxes]
        rate = min(Fraction(1), sum(parts, Fraction(0)))
        delta = sum((1 - one.confidence for one in used), Fraction(0))
        if delta >= 1:
            return _no("the errors of the statistical members add up to 1")
        first = next(iter(used))
        reason = (
            f"Pr[fails] <= {shown(rate, UP)} under the uniform law on {_shown(*whole)} at confidence {1 - delta}: "
            f"{_count(self.proved, 'accepted certificate')} and {_count(used, 'rate')} cover it in "
            f"{self.cells} cells; rests on: an input fails where {first.event}, and fails nowhere that the "
            f"certificates about sha256:{self.evidence.model.sha256} prove; the numbers drawn are those that this "
            f"network consumes, in its units; {'; '.join(one.rests for one in used)}"
        )
        return Verdict(True, reason, (), self.cells, math.inf)


@dataclass(frozen=True)
class Sampled:
    """Bounds of the rate of an event under the uniform laws on boxes, together at a confidence."""

    boxes: tuple[tuple[Box, Fraction], ...]
    confidence: Fraction
    event: str
    rests: str

    @property
    def size(self) -> int:
        """How many numbers are drawn each time."""
        return len(self.boxes[0][0][0])

    @staticmethod
    def of(statement: StatisticalEvidence) -> Sampled:
        ledger = statement.ledger
        plan = ledger.plans[statement.name]
        content = plan.content
        if content["method"] == "stratified":
            boxes = _strata(plan)
        elif content["method"] in UNIFORM and read_kind(content["sampler"]) == "box":
            boxes = ((_exactly(read_box(content["sampler"])), statement.upper),)
        else:
            raise CheckError("what is combined is a rate under the uniform law on a box, by its own draws")
        event = f"{ledger.overseer}, shown the model sha256:{text(content['model'])!r}, answers below "
        rests = "; ".join([*answers_rest_on(plan, ledger), *one_of_several(ledger)])
        return Sampled(
            boxes,
            rational(content["confidence"]),
            event + str(rational(content["below"])),
            f"by the plan {statement.name!r} of the ledger sha256:{statement.sha256}: {rests}",
        )


def _strata(plan: Plan) -> tuple[tuple[Box, Fraction], ...]:
    """The sampled cells of a stratified statement, each with a bound at its share of the error; they hold together."""
    content = plan.content
    below, level = rational(content["below"]), 1 - rational(content["confidence"])
    failed = [answer is None or Fraction(answer) < below for answer in plan.answers]
    shares = [rational(cell["share"]) for cell in content["cells"] if cell["status"] == "sampled"]
    found, at = [], 0
    for part, count, share in zip(*read_blocks(content["sampler"]), shares, strict=True):
        failures = sum(failed[at : at + count])
        found.append((_exactly(part), least_rate(count, failures, level * share)))
        at += count
    return tuple(found)


def _exactly(box: tuple[Sequence[float], Sequence[float]]) -> Box:
    return tuple(map(Fraction, box[0])), tuple(map(Fraction, box[1]))


def _archive(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if not {COMBINED, WHOLE} <= set(names) or len(set(names)) != len(names):
                raise CheckError(f"not a combined statement: members are {sorted(names)[:6]}")
            if len(names) > 2 * MOST_MEMBERS + 2 or sum(info.file_size for info in infos) > len(data):
                raise CheckError("there are too many members, or they are larger than the file")
            if any(i.file_size > LARGEST_MEMBER or i.compress_type != zipfile.ZIP_STORED for i in infos):
                raise CheckError(f"a member is compressed or larger than {LARGEST_MEMBER >> 20} MiB")
            if next(i.file_size for i in infos if i.filename == COMBINED) > LARGEST_MANIFEST:
                raise CheckError(f"{COMBINED} is larger than {LARGEST_MANIFEST >> 20} MiB")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, OverflowError, RuntimeError, ValueError) as e:
        raise CheckError(f"not a combined statement: {e}") from None


def _members(stated: object, found: dict[str, bytes]) -> tuple[Member, ...]:
    if not isinstance(stated, list) or not 1 <= len(stated) <= MOST_MEMBERS:
        raise CheckError(f"a combined statement has 1 to {MOST_MEMBERS} members")
    members = []
    for k, entry in enumerate(stated):
        if not isinstance(entry, dict) or set(entry) != {"file", "sha256"}:
            raise CheckError("a member has exactly 'file' and 'sha256'")
        name = text(entry["file"])
        if not NAME.fullmatch(name) or name.partition(".")[0] != str(k) or name not in found:
            raise CheckError(f"member {k} is called {name[:40]!r}, or is not in the archive")
        if hashlib.sha256(found[name]).hexdigest() != _hash(entry["sha256"]):
            raise CheckError(f"{name} does not have the hash that is stated")
        members.append(Member(name, found[name], found.get(_query_of(name))))
    if len({entry["sha256"] for entry in stated}) < len(members):
        raise CheckError("a member stands twice")
    return tuple(members)


def _query_of(name: str) -> str:
    """Where the question of a member stands."""
    return name.partition(".")[0] + QUERY


def _hash(value: object) -> str:
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise CheckError("a hash is no SHA-256 in hexadecimal")
    return value


def weakest_rows(rows: Sequence[QueryRow]) -> dict[Row, tuple[Fraction, bool]]:
    """Of rows with the same coefficients, in units of the first, the weakest one: constant, and if it is strict."""
    found: dict[Row, tuple[Fraction, bool]] = {}
    for row in rows:
        key, constant, strict = _in_units(row)
        old = found.get(key)
        if old is None or constant > old[0] or (constant == old[0] and not strict):
            found[key] = constant, strict
    return found


def _in_units(row: QueryRow) -> tuple[Row, Fraction, bool]:
    terms = [*sorted(row.x.items()), *sorted(row.y.items())]
    unit = next((abs(c) for _, c in terms if c), Fraction(1))
    x, y = (tuple((i, c / unit) for i, c in sorted(part.items()) if c) for part in (row.x, row.y))
    return (x, y), row.constant / unit, row.strict


def implies(case: QueryCase, rows: dict[Row, tuple[Fraction, bool]]) -> bool:
    """Whether each of its rows makes one of ``rows`` true."""
    for key, constant, strict in map(_in_units, case.rows):
        if key not in rows:
            return False
        weakest, also_strict = rows[key]
        if constant > weakest or (constant == weakest and also_strict and not strict):
            return False
    return not case.empty


def holds_cell(case: QueryCase, low: Sequence[Fraction], up: Sequence[Fraction]) -> bool:
    """Whether the cell lies in the box of the case, and in its ball: there the farthest corner does."""
    if not within(low, up, case.lower, case.upper):
        return False
    if case.ball is None:
        return True
    return case.ball.contains([l if c - l > u - c else u for c, l, u in zip(case.ball.center, low, up, strict=True)])


def within(low: Side, up: Side, lower: Side, upper: Side) -> bool:
    return all(a <= l and u <= b for a, l, u, b in zip(lower, low, up, upper, strict=True))


def _halves(word: list[object], low: tuple[Fraction, ...], up: tuple[Fraction, ...]) -> list[Box]:
    """The part above and, to be looked at first, the part below; both contain the cut."""
    if len(word) != 2:
        raise CheckError("a cut is an input and a place")
    k, at = natural(word[0]), rational(word[1])
    if k >= len(low) or not low[k] <= at <= up[k]:
        raise CheckError("a cut lies outside its cell")
    return [((*low[:k], at, *low[k + 1 :]), up), (low, (*up[:k], at, *up[k + 1 :]))]


def _volume(box: Box) -> Fraction:
    return math.prod((u - l for l, u in zip(*box)), start=Fraction(1))


def _shown(low: Sequence[Fraction], up: Sequence[Fraction]) -> str:
    if len(low) > 8:
        return f"a box of {len(low)} numbers"
    return " x ".join(f"[{l}, {u}]" for l, u in zip(low, up))


def _count(things: Collection[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _no(reason: str) -> Verdict:
    return Verdict(False, reason, (), 0, math.nan)
