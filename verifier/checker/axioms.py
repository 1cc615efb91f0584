"""The verdict on a statement under axioms: a box cut into cells, in each of which one answer shows what is claimed.

The axioms together say ``g(a) - g(b) <= L rho(a, b)``, where a coordinate's part of rho is ``(a_k - b_k)^+`` if g
increases in it, ``(b_k - a_k)^+`` if it decreases, and ``|a_k - b_k|`` if neither; rho is the greatest part or their
sum. So g is at least ``g_i - L rho(a_i, .)``, which is least at a corner of a cell. Everything here is rational.

Where g judges a network's outputs, some cells are ones that no output lies in. That is a certificate of its own, which
is embedded and proved too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from verifier.checker.check import Verdict
from verifier.checker.container import has_member
from verifier.checker.errors import CheckError
from verifier.checker.json_object import json_object
from verifier.checker.statement import LEDGER, known_format, read_members
from verifier.checker.statistics_ledger import LedgerContent, natural, rational, read_ledger, text
from verifier.checker.vnnlib import QueryCase

STATEMENT, OUTPUTS = "axioms.json", "outputs.nncert"
MOST_CELLS = 1 << 20
MOST_COORDINATES, MOST_ANSWERS = 10_000, 10_000
KEYS = {
    *("format", "version", "axioms", "threshold", "strict", "lower", "upper", "cover", "ledger", "failing", "claim"),
    "outputs",
}
AXIOMS = {"dimension", "lipschitz", "norm", "increasing", "decreasing", "lower", "upper"}

End = Fraction | None  # None: no end on this side
Cell = tuple[list[End], list[End]]
Proven = Callable[[bytes], tuple[Verdict, tuple[QueryCase, ...]]]


@dataclass(frozen=True)
class AxiomEvidence:
    """What the file states, and its parts."""

    manifest: dict[str, Any]
    ledger: LedgerContent
    sha256: str
    outputs: bytes
    claim: str

    @property
    def is_attack(self) -> bool:
        """Whether it shows that an answer fails, and not that none can."""
        return self.manifest["failing"] is not None


def is_about_axioms(source: bytes | Path) -> bool:
    """Whether this is an archive, or the path of one, with a statement under axioms in it."""
    return has_member(source, STATEMENT)


def read_axioms(data: bytes) -> AxiomEvidence:
    """Parse a file; raises CheckError for what is not exactly of the format, and for a ledger that was changed."""
    members = read_members(data, STATEMENT, OUTPUTS)
    manifest = json_object(members[STATEMENT], STATEMENT)
    if set(manifest) != KEYS or not isinstance(manifest["ledger"], dict) or not isinstance(manifest["axioms"], dict):
        raise CheckError(f"{STATEMENT} does not have exactly the keys {sorted(KEYS)}")
    known_format(manifest, "nnaxioms")
    if set(manifest["axioms"]) != AXIOMS or type(manifest["strict"]) is not bool:
        raise CheckError(f"axioms have exactly the keys {sorted(AXIOMS)}")
    if (manifest["outputs"] is not None) != (OUTPUTS in members):
        raise CheckError(f"{OUTPUTS} is there exactly if cells without outputs are claimed")
    head, count = text(manifest["ledger"].get("sha256")), natural(manifest["ledger"].get("lines"))
    ledger = read_ledger(members[LEDGER], head, count)
    return AxiomEvidence(manifest, ledger, head, members.get(OUTPUTS, b""), text(manifest["claim"]))


def verdict_on_axioms(evidence: AxiomEvidence, prove: Proven) -> Verdict:
    """Accepted only if the cover proves the bound for every function with the axioms and the answers.

    ``prove`` judges an embedded certificate, and tells the cases of its query.
    """
    return _Judge(evidence, prove).verdict()


class _Judge:
    def __init__(self, evidence: AxiomEvidence, prove: Proven) -> None:
        self.evidence, self.prove = evidence, prove
        stated = evidence.manifest["axioms"]
        self.dimension = natural(stated["dimension"])
        self.lipschitz = _end(stated["lipschitz"])
        self.total = stated["norm"] == "1"
        self.increasing, self.decreasing = (_coordinates(stated[key]) for key in ("increasing", "decreasing"))
        self.least, self.most = _end(stated["lower"]), _end(stated["upper"])
        self.threshold = rational(evidence.manifest["threshold"])
        self.strict: bool = evidence.manifest["strict"]
        if not 1 <= self.dimension <= MOST_COORDINATES or len(evidence.ledger.answers) > MOST_ANSWERS:
            raise CheckError("there are too many coordinates or answers, or none")
        if stated["norm"] not in ("inf", "1") or (self.lipschitz is not None and self.lipschitz < 0):
            raise CheckError("the norm is inf or 1, and the Lipschitz constant not negative")
        if self.increasing & self.decreasing or not self.increasing | self.decreasing <= set(range(self.dimension)):
            raise CheckError("coordinates are from 0, and increase or decrease")
        self.known: list[tuple[list[Fraction], Fraction]] = []
        for arguments, value in evidence.ledger.answers:
            if len(arguments) != 1 or len(arguments[0]) != self.dimension:
                raise CheckError(f"an answer of the ledger is not about one vector of {self.dimension} numbers")
            if value is not None:
                self.known.append(([Fraction(v) for v in arguments[0]], Fraction(value)))
        self.box = self._box()

    def verdict(self) -> Verdict:
        clash = self._contradiction()
        if clash:
            return self._no(clash)
        if self.evidence.is_attack:
            return self._attack()
        cases: tuple[QueryCase, ...] = ()
        if self.evidence.outputs:
            proved, cases = self.prove(self.evidence.outputs)
            if not proved.accepted:
                return self._no(f"{OUTPUTS}: {proved.reason}")
            wrong = self._inputs_differ(cases)
            if wrong:
                return self._no(wrong)
        cells = 0
        stack: list[Cell] = [self.box]
        words = self.evidence.manifest["cover"]
        if not isinstance(words, list) or len(words) > MOST_CELLS:
            raise CheckError("the cover is no list of cells and cuts, or too long")
        for word in words:
            if not stack:
                raise CheckError("the cover goes on after its last cell")
            low, up = stack.pop()
            if isinstance(word, list):
                stack += self._halves(word, low, up)
                continue
            cells += 1
            if word == "empty":
                if not any(_holds_no_output(case, low, up) for case in cases):
                    return self._no(f"cell {cells} may hold outputs of the network")
            elif type(word) is not int or not -1 <= word < len(self.known):
                raise CheckError(f"{str(word)[:40]!r} is neither a cut, nor an answer, nor 'empty'")
            elif not self._safe(word, low, up):
                return self._no(f"cell {cells} does not follow from answer {word}" if word >= 0 else "the range is low")
        if stack:
            raise CheckError("the cover ends before its last cell")
        about = f"every point of {_shown(*self.box)}"
        if self.evidence.outputs:
            about = f"every output of the network on {_shown(*self._inputs())}"
        sign = ">" if self.strict else ">="
        reason = (
            f"g {sign} {self.threshold} at {about}, for every g with the axioms ({self._axioms()}) and the "
            f"{len(self.known)} answers of {self.evidence.ledger.overseer}; {cells} cells"
        )
        return Verdict(True, reason, (), cells, math.inf)

    def _attack(self) -> Verdict:
        """An answer in the box that fails."""
        number = natural(self.evidence.manifest["failing"])
        if number >= len(self.known) or self.evidence.outputs:
            raise CheckError("no answer has this number")
        point, value = self.known[number]
        low, up = self.box
        if any((l is not None and x < l) or (u is not None and x > u) for x, l, u in zip(point, low, up)):
            return self._no("the failing answer is about a point outside the box")
        if value > self.threshold or (value == self.threshold and not self.strict):
            return self._no("the answer does not fail")
        told = ", ".join(str(x) for x in point)
        return Verdict(True, f"{self.evidence.ledger.overseer} answered {value} at ({told})", (), 1, math.inf)

    def _axioms(self) -> str:
        parts = (
            [] if self.lipschitz is None else [f"Lipschitz {self.lipschitz} in the {'1' if self.total else 'inf'}-norm"]
        )
        parts += [f"increasing in {k}" for k in sorted(self.increasing)]
        parts += [f"decreasing in {k}" for k in sorted(self.decreasing)]
        parts += [f"at least {self.least}"] if self.least is not None else []
        parts += [f"at most {self.most}"] if self.most is not None else []
        return ", ".join(parts)

    def _box(self) -> Cell:
        ends = []
        for key in ("lower", "upper"):
            value = self.evidence.manifest[key]
            if not isinstance(value, list) or len(value) != self.dimension:
                raise CheckError(f"{key} does not have {self.dimension} ends")
            ends.append([_end(v) for v in value])
        return ends[0], ends[1]

    def _inputs_differ(self, cases: tuple[QueryCase, ...]) -> str:
        """Cells are about all inputs only if every case has the inputs that are stated."""
        lower, upper = self._inputs()
        for case in cases:
            if case.empty or case.ball is not None or len(case.lower) != len(lower):
                return f"{OUTPUTS} is about other inputs"
            sides = zip(case.lower, case.upper, lower, upper, strict=True)
            if any(low is None or up is None or l > low or up > u for l, u, low, up in sides):
                return f"{OUTPUTS} is about fewer inputs"
        return ""

    def _inputs(self) -> Cell:
        """The box of the network's inputs that is stated."""
        stated = self.evidence.manifest["outputs"]
        if not isinstance(stated, dict) or set(stated) != {"lower", "upper"}:
            raise CheckError("outputs state the box of inputs, lower and upper")
        lower, upper = stated["lower"], stated["upper"]
        if not isinstance(lower, list) or not isinstance(upper, list) or len(lower) != len(upper):
            raise CheckError("the box of inputs has as many lower as upper ends")
        return [_end(v) for v in lower], [_end(v) for v in upper]

    def _contradiction(self) -> str:
        """Answers that no function with these axioms gives: from them anything would follow."""
        for point, value in self.known:
            if (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
                return f"the answer {value} is outside the range of the axioms"
            for other, rival in self.known:
                allowed = self._allowed(point, [*other], [*other])
                if allowed is not None and value - rival > allowed:
                    return f"the answers {value} and {rival} contradict the axioms"
        return ""

    def _halves(self, word: list[object], low: list[End], up: list[End]) -> list[Cell]:
        """The part above and, to be looked at first, the part below; both contain the cut."""
        if len(word) != 2:
            raise CheckError("a cut is a coordinate and a place")
        k, at = natural(word[0]), rational(word[1])
        l, u = (low[k], up[k]) if k < self.dimension else (None, None)
        if k >= self.dimension or (l is not None and at < l) or (u is not None and at > u):
            raise CheckError("a cut lies outside its cell")
        return [([*low[:k], at, *low[k + 1 :]], up), (low, [*up[:k], at, *up[k + 1 :]])]

    def _safe(self, number: int, low: list[End], up: list[End]) -> bool:
        value = self.least
        if number >= 0:
            point, answer = self.known[number]
            allowed = self._allowed(point, low, up)
            value = None if allowed is None else answer - allowed
        if value is None:
            return False
        return value > self.threshold if self.strict else value >= self.threshold

    def _allowed(self, point: list[Fraction], low: list[End], up: list[End]) -> Fraction | None:
        """By how much g may fall from the point to any point of the cell; None: by any amount."""
        parts: list[Fraction | None] = []
        for k, (a, l, u) in enumerate(zip(point, low, up)):
            down = None if l is None else max(a - l, Fraction(0))
            above = None if u is None else max(u - a, Fraction(0))
            if k in self.increasing:
                parts.append(down)
            elif k in self.decreasing:
                parts.append(above)
            else:
                parts.append(None if down is None or above is None else max(down, above))
        if self.lipschitz == 0:
            return Fraction(0)
        if None in parts or (self.lipschitz is None and any(parts)):
            return None
        if self.lipschitz is None:
            return Fraction(0)
        finite = [part for part in parts if part is not None]
        return self.lipschitz * (sum(finite, Fraction(0)) if self.total else max(finite, default=Fraction(0)))

    def _no(self, reason: str) -> Verdict:
        return Verdict(False, reason, (), 0, math.nan)


def _holds_no_output(case: QueryCase, low: list[End], up: list[End]) -> bool:
    """Whether every row of a proved case fails all over the cell: then no output lies in it."""
    for row in case.rows:
        if row.x:
            return False
        greatest = row.constant
        for k, c in row.y.items():
            end = (up if c > 0 else low)[k]
            if end is None:
                return False
            greatest += c * end
        if greatest > 0 or (greatest == 0 and not row.strict):
            return False
    return True


def _shown(low: list[End], up: list[End]) -> str:
    if len(low) > 8:
        return f"a box of {len(low)} numbers"
    return " x ".join(f"[{l}, {u}]" for l, u in zip(low, up))


def _end(value: object) -> End:
    return None if value is None else rational(value)


def _coordinates(value: object) -> set[int]:
    if not isinstance(value, list):
        raise CheckError("coordinates are a list of numbers")
    return {natural(v) for v in value}
