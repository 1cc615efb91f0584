"""Claims about parts of a set made into one about the whole: a cover is looked for, written, and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import verifier
from specs.errors import CertifyError
from specs.graph import Graph, Node, ops
from specs.language.vnnlib.writer import write_vnnlib
from specs.problem import Box, Case, Problem, Row
from verifier.archives import save_archive
from verifier.checker.combined import COMBINED, KEYS, WHOLE, implies, weakest_rows
from verifier.checker.container import unpack
from verifier.checker.errors import CheckError
from verifier.checker.vnnlib import QueryCase, QueryRow, read_query
from verifier.checking import CheckResult, run_checker
from verifier.combining.cover import Gap, Part, Vector, Word, cover
from verifier.combining.members import Claim, Claims
from verifier.report.words import number, property_in_words, set_in_words

SUFFIX = ".nncombined"


@dataclass(frozen=True)
class Whole:
    """The question that is to be answered: ``query`` is a VNN-LIB file, which may be compressed, ``claim`` is in words.

    ``premises`` are what it rests on beside the network, in words.
    """

    query: bytes
    claim: str
    silent_on: tuple[str, ...] = ("anything about inputs outside this set",)
    premises: tuple[str, ...] = ()


@dataclass(frozen=True)
class Combined:
    """What became of it: the checker's judgement of ``path``, or ``gap``, a point that no file is about."""

    whole: Whole
    claims: Claims
    path: Path | None = None
    cells: int = 0
    checked: CheckResult | None = None
    gap: Vector = ()

    @property
    def verdict(self) -> str:
        if self.checked is None or not self.checked.accepted:
            return "unknown"
        return "statistical" if self.checked.kind == "statistical" else "certified"

    @property
    def sentence(self) -> str:
        """What is claimed, how strongly, and what it rests on."""
        weights = ", ".join((f"(declared) weights = sha256:{self.claims.model.sha256}", *self.whole.premises))
        silence = "; ".join((*self.whole.silent_on, "anything about other weights, or a float runtime's own rounding"))
        if self.checked is None or not self.checked.accepted:
            return f"UNDECIDED WHETHER {self.whole.claim}."
        if self.verdict == "statistical":
            return (
                f"{self.checked.reason}; {weights}. {told(self.claims, self.whole)}. DOES NOT SAY: which inputs fail; "
                "anything about other laws."
            )
        strength = "exact (rational arithmetic)" if self.checked.exact else "sound (outward-rounded float64)"
        files = ", ".join(claim.told for claim in self.claims.all)
        return (
            f"{self.whole.claim}, CLASS {strength}, CHECKED BY certify-check {verifier.__version__} IN "
            f"{self.checked.seconds:.2f} s. RESTS ON: A1 {weights}, A2 (checked) {files}, A3 (checked) their "
            f"sets cover the whole, in rational arithmetic: {self.cells} cells. DOES NOT SAY: {silence}."
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "claim": told(self.claims, self.whole),
            "sentence": self.sentence,
            "statement": None if self.path is None else str(self.path),
            "cells": self.cells,
            "gap": [str(value) for value in self.gap] or None,
            "model": self.claims.model.sha256,
            "members": [{"file": str(claim.file), "sha256": claim.sha256} for claim in self.claims.all],
            "check": None if self.checked is None else dict(vars(self.checked)),
        }


def whole_of(claims: Claims, box: tuple[Vector, Vector] | None) -> Whole:
    """The property of the first certificate on ``box``, or on the least box that holds the sets of all files."""
    if box is None:
        sides = list(zip(*claims.boxes, strict=True))
        if not sides:
            raise CertifyError("no file is about any input: there is nothing to combine")
        box = tuple(map(min, zip(*sides[0], strict=True))), tuple(map(max, zip(*sides[1], strict=True)))
    first = next(claim for claim in claims.all if claim.sampled is None)
    rows = dict.fromkeys(tuple(map(_row, case.rows)) for case in first.cases)
    problem = Problem(_of_sizes(claims), tuple(Case(Box(*box), group) for group in rows))
    words = property_in_words(problem) or f"the property of {first.file.name}"
    return Whole(write_vnnlib(problem).encode(), f"FOR ALL X IN {set_in_words(problem)}: {words}")


def combine(
    claims: Claims, whole: Whole, path: Path, model: Path | None, exact: bool, producer: Mapping[str, str]
) -> Combined:
    """Cover every case of the whole question by what the files prove, write the statement and have it checked.

    Raises ``CertifyError`` where a file proves something else, and where no cover is found that is no gap, either.
    """
    try:
        cases = read_query(unpack(whole.query, "query").decode(), claims.inputs, claims.outputs)
    except (CheckError, UnicodeDecodeError) as error:
        raise CertifyError(f"the whole question cannot be read: {error}") from None
    _check_properties(claims, cases)
    covers: list[list[Word]] = []
    known: dict[tuple[Any, ...], int] = {}
    numbers = []
    for case in cases:
        parts = _parts(claims, case)
        key = (case.lower, case.upper, tuple((p.member, p.case.lower, p.case.upper, p.case.ball) for p in parts))
        if key not in known:
            try:
                covers.append([] if case.empty else cover(case.lower, case.upper, parts))
            except Gap as gap:
                return Combined(whole, claims, gap=gap.point)
            known[key] = len(covers) - 1
        numbers.append(known[key])
    write(path, claims, whole, covers, numbers, producer)
    checked = run_checker(path, model, None, exact, {})
    if not checked.accepted:
        path.unlink()
        raise CertifyError(f"the checker rejects it: {checked.reason}")
    cells = sum(type(word) is int for cell in covers for word in cell)
    return Combined(whole, claims, path, cells, checked)


def write(
    path: Path,
    claims: Claims,
    whole: Whole,
    covers: Sequence[Sequence[Word]],
    cases: Sequence[int],
    producer: Mapping[str, str],
) -> None:
    """The archive: the statement, the whole question, the files, and their questions where they carry none."""
    names = [f"{k}{claim.suffix}" for k, claim in enumerate(claims.all)]
    manifest = {
        "format": "nncombined",
        "version": 1,
        "semantics": "real",
        "model": {"sha256": claims.model.sha256, "path": claims.model.path},
        "members": [{"file": name, "sha256": claim.sha256} for name, claim in zip(names, claims.all)],
        "covers": covers,
        "cases": list(cases),
        "claim": told(claims, whole)[:10_000],
        "producer": dict(producer),
    }
    assert set(manifest) == KEYS
    members = {COMBINED: json.dumps(manifest).encode(), WHOLE: whole.query}
    for k, (name, claim) in enumerate(zip(names, claims.all)):
        members[name] = claim.data
        if claim.query is not None:
            members[f"{k}.vnnlib"] = claim.query
    save_archive(path, members)


def told(claims: Claims, whole: Whole) -> str:
    """What the files claim: where some of them bound rates, the whole is claimed in the cells of the others alone."""
    if all(claim.sampled is None for claim in claims.all):
        return whole.claim
    return f"PROVED IN THE CELLS OF CERTIFICATES ONLY: {whole.claim}"


def shown(point: Sequence[Fraction]) -> str:
    """A point, exactly where its numbers are short."""
    if len(point) > 32:
        return f"a point of {len(point)} numbers (see --json)"
    return "(" + ", ".join(str(v) if len(str(v)) <= 24 else number(v) for v in point) + ")"


def _parts(claims: Claims, case: QueryCase) -> list[Part]:
    """What the files prove of the case, or bound its rate of."""
    rows = weakest_rows(case.rows)
    parts = [Part(k, own) for k, claim in enumerate(claims.all) for own in claim.cases if implies(own, rows)]
    for k, claim in enumerate(claims.all):
        if claim.sampled is not None:
            parts += [Part(k, QueryCase(*box, False, ())) for box, _ in claim.sampled.boxes]
    return parts


def _check_properties(claims: Claims, cases: Sequence[QueryCase]) -> None:
    """Every certificate has to prove some case of the whole: one that does not is about something else."""
    wanted = [weakest_rows(case.rows) for case in cases]
    for claim in claims.all:
        if claim.sampled is None and not any(implies(own, rows) for own in claim.cases for rows in wanted):
            raise CertifyError(_another(claim))


def _another(claim: Claim) -> str:
    conditions = any(row.x for case in claim.cases for row in case.rows)
    told = "; conditions on inputs that are no intervals are part of it" if conditions else ""
    return f"{claim.file} does not prove the property of the whole, on any set{told}"


def _row(row: QueryRow) -> Row:
    return Row(tuple(sorted(row.x.items())), tuple(sorted(row.y.items())), row.constant, row.strict)


def _of_sizes(claims: Claims) -> Graph:
    """A graph that has as many inputs and outputs, and computes nothing: queries are written for sizes alone."""
    sizes = {"x": claims.inputs, "y": claims.outputs}
    x, y = (Node(name, ops.Input((size,)), (), (size,)) for name, size in sizes.items())
    return Graph((x, y), (x.name,), (y.name,))
