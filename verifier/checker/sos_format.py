"""Reading evidence about polynomials: a ZIP of a manifest, a problem and a proof, all JSON, all from a stranger.

docs/relaxations/sos.md is the specification. Every size is capped, every key and type is checked; whatever is not
exactly of the format is refused.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from verifier.checker.container import has_member
from verifier.checker.errors import CheckError
from verifier.checker.json_object import json_object
from verifier.checker.sos_polynomial import BITS, Polynomial

PROOF, WITNESS, VERSION = "nnsos", "nnsoswitness", 1
MANIFEST, PROBLEM, PROOF_FILE = "manifest.json", "problem.json", "proof.json"
KEYS = {
    PROOF: {"format", "version", "semantics", "problem", "proof", "question", "claim", "producer"},
    WITNESS: {"format", "version", "semantics", "problem", "question", "case", "x", "claim", "producer"},
}
LARGEST_MEMBER = 1 << 22
LONGEST_CLAIM = 100_000  # characters
MOST_NOTES = 64  # of the producer, and parameters
MOST_VARIABLES, MOST_CASES, MOST_CONDITIONS, MOST_TERMS = 512, 4096, 20_000, 200_000
MOST_MONOMIALS = 400  # of one Gram matrix
MOST_FACTORS = 16
LARGEST_EXPONENT = 60  # the degree of what is stated in the file
LONGEST_NUMBER = 1200  # characters
WIDEST_INTEGER = 4096  # bits


@dataclass(frozen=True)
class Case:
    """Points at which every ``strict`` is > 0, every ``weak`` >= 0 and every ``zero`` = 0."""

    strict: tuple[Polynomial, ...]
    weak: tuple[Polynomial, ...]
    zero: tuple[Polynomial, ...]


@dataclass(frozen=True)
class Problem:
    """Claimed to be empty: each case's part of the box."""

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Square:
    """``z^T Q z`` times the product of conditions named in ``factors``; ``gram`` is the lower triangle of Q."""

    factors: tuple[tuple[str, int], ...]
    basis: tuple[int, ...]
    degree: int
    gram: tuple[tuple[int, ...], ...]
    denominator: int


@dataclass(frozen=True)
class CaseProof:
    """Everything in ``t`` where ``x = centre + scale t``. ``positive`` are weights of products of strict conditions."""

    centre: tuple[Fraction, ...]
    scale: tuple[Fraction, ...]
    positive: tuple[tuple[Fraction, tuple[int, ...]], ...]
    squares: tuple[Square, ...]
    multipliers: tuple[tuple[int, Polynomial], ...]


@dataclass(frozen=True)
class Evidence:
    """A problem with a proof for each of its cases, or with a point in one of them.

    ``question`` says which one of a specification it is said to be: a requirement and values of parameters.
    """

    problem: Problem
    problem_hash: str
    question: tuple[str, dict[str, str]]
    claim: str
    proofs: tuple[CaseProof, ...] | None
    case: int
    point: tuple[Fraction, ...]


def is_about_polynomials(source: bytes | Path) -> bool:
    """Whether this is an archive, or the path of one, with a problem in it."""
    return has_member(source, PROBLEM)


def read_evidence(data: bytes) -> Evidence:
    """Parse a file; raises CheckError for anything that is not exactly of the format."""
    members = _members(data)
    manifest = json_object(members[MANIFEST], MANIFEST)
    kind, version, semantics = (manifest.get(key) for key in ("format", "version", "semantics"))
    if kind not in (PROOF, WITNESS) or type(version) is not int or version != VERSION or semantics != "real":
        raise CheckError(
            f"format {kind!r} version {version!r} semantics {semantics!r}: this checker knows "
            f"{PROOF!r} and {WITNESS!r} version {VERSION} semantics 'real'"
        )
    _keys(manifest, KEYS[kind], MANIFEST)
    if (PROOF_FILE in members) != (kind == PROOF):
        raise CheckError(f"{PROOF_FILE} has to be there in a proof, and only there")
    problem_hash = _hashed(members, PROBLEM, manifest["problem"])
    problem = _problem(json_object(members[PROBLEM], PROBLEM))
    question = _question(manifest["question"])
    claim = _text(manifest["claim"], "claim", LONGEST_CLAIM)
    claim = "".join(c if c.isprintable() else "?" for c in claim)  # it will meet a terminal
    _texts(manifest["producer"], "producer")
    if kind == WITNESS:
        case = _natural(manifest["case"], "case", len(problem.cases))
        point = _numbers(manifest["x"], "x", len(problem.lower))
        return Evidence(problem, problem_hash, question, claim, None, case, point)
    _hashed(members, PROOF_FILE, manifest["proof"])
    proof = json_object(members[PROOF_FILE], PROOF_FILE)
    _keys(proof, {"cases"}, PROOF_FILE)
    entries = _list(proof["cases"], "cases of the proof", MOST_CASES)
    if len(entries) != len(problem.cases):
        raise CheckError(f"{len(entries)} proofs for {len(problem.cases)} cases")
    proofs = tuple(_proof(entry, case, len(problem.lower)) for entry, case in zip(entries, problem.cases))
    return Evidence(problem, problem_hash, question, claim, proofs, 0, ())


def _members(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            known = {MANIFEST, PROBLEM, PROOF_FILE}
            if len(infos) != len(archive.infolist()) or not {MANIFEST, PROBLEM} <= set(infos) <= known:
                raise CheckError(f"not a certificate about polynomials: members are {sorted(infos)[:6]}")
            if any(i.file_size > LARGEST_MEMBER or i.compress_type != zipfile.ZIP_STORED for i in infos.values()):
                raise CheckError(f"a member is compressed or larger than {LARGEST_MEMBER >> 20} MiB")
            return {name: archive.read(info) for name, info in infos.items()}
    except (
        zipfile.BadZipFile,
        EOFError,
        OSError,
        NotImplementedError,
        OverflowError,
        RuntimeError,
        ValueError,
    ) as error:
        raise CheckError(f"not a certificate: {error}") from None


def _hashed(members: dict[str, bytes], name: str, stated: object) -> str:
    found = hashlib.sha256(members[name]).hexdigest()
    if found != stated:
        raise CheckError(f"{name} does not have the hash the manifest states")
    return found


def _keys(value: object, keys: set[str], name: str) -> None:
    if not isinstance(value, dict) or set(value) != keys:
        raise CheckError(f"{name} does not have exactly the keys {sorted(keys)}")


def _list(value: object, name: str, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise CheckError(f"{name}: not a list of at most {most} entries")
    return value


def _natural(value: object, name: str, below: int) -> int:
    if type(value) is not int or not 0 <= value < below:
        raise CheckError(f"{name}: not a whole number from 0 and below {below}")
    return value


def _number(value: object, name: str) -> Fraction:
    """An integer or a quotient of integers, as text."""
    if (
        not isinstance(value, str)
        or len(value) > LONGEST_NUMBER
        or not re.fullmatch(r"-?[0-9]+(/[0-9]*[1-9][0-9]*)?", value)
    ):
        raise CheckError(f"{name}: not a rational number written as text")
    return Fraction(value)


def _numbers(value: object, name: str, count: int) -> tuple[Fraction, ...]:
    values = _list(value, name, count)
    if len(values) != count:
        raise CheckError(f"{name}: {len(values)} numbers for {count} variables")
    return tuple(_number(v, name) for v in values)


def _question(value: object) -> tuple[str, dict[str, str]]:
    _keys(value, {"requirement", "parameters"}, "question")
    assert isinstance(value, dict)
    return _text(value["requirement"], "question", LONGEST_NUMBER), _texts(value["parameters"], "question")


def _text(value: object, name: str, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise CheckError(f"{name}: not a text of at most {most} characters")
    return value


def _texts(value: object, name: str) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MOST_NOTES:
        raise CheckError(f"{name}: not a mapping of at most {MOST_NOTES} texts")
    return {_text(key, name, LONGEST_NUMBER): _text(text, name, LONGEST_NUMBER) for key, text in value.items()}


def _problem(value: dict[str, Any]) -> Problem:
    _keys(value, {"variables", "box", "cases"}, PROBLEM)
    names = _list(value["variables"], "variables", MOST_VARIABLES)
    if not all(isinstance(name, str) for name in names):
        raise CheckError("variables: not names")
    sides = _list(value["box"], "box", MOST_VARIABLES)
    if len(sides) != len(names):
        raise CheckError(f"box: {len(sides)} intervals for {len(names)} variables")
    bounds = [_numbers(side, "box", 2) for side in sides]
    if any(low > up for low, up in bounds):
        raise CheckError("box: empty")
    cases = _list(value["cases"], "cases", MOST_CASES)
    return Problem(
        tuple(low for low, _ in bounds), tuple(up for _, up in bounds), tuple(_case(c, len(names)) for c in cases)
    )


def _case(value: object, size: int) -> Case:
    _keys(value, {"strict", "weak", "zero"}, "a case")
    assert isinstance(value, dict)
    parts = []
    for key in ("strict", "weak", "zero"):
        parts.append(tuple(_polynomial(p, key, size) for p in _list(value[key], key, MOST_CONDITIONS)))
    return Case(*parts)


def _polynomial(value: object, name: str, size: int) -> Polynomial:
    terms: dict[int, Fraction] = {}
    highest = 0
    for entry in _list(value, name, MOST_TERMS):
        if not isinstance(entry, list) or len(entry) != 2:
            raise CheckError(f"{name}: a term is not a coefficient and exponents")
        monomial, degree = _monomial(entry[1], name, size)
        if monomial in terms:
            raise CheckError(f"{name}: a monomial stands twice")
        terms[monomial] = _number(entry[0], name)
        highest = max(highest, degree)
    return Polynomial.of(terms, highest)


def _monomial(value: object, name: str, size: int) -> tuple[int, int]:
    """The monomial and its degree from pairs of a variable and an exponent."""
    monomial, degree, last = 0, 0, -1
    for pair in _list(value, name, LARGEST_EXPONENT):
        if not isinstance(pair, list) or len(pair) != 2:
            raise CheckError(f"{name}: not a pair of a variable and an exponent")
        variable = _natural(pair[0], name, size)
        power = _natural(pair[1], name, LARGEST_EXPONENT + 1)
        if variable <= last or power == 0:
            raise CheckError(f"{name}: variables have to ascend and exponents to be above 0")
        monomial, degree, last = monomial | power << (BITS * variable), degree + power, variable
    if degree > LARGEST_EXPONENT:
        raise CheckError(f"{name}: a degree above {LARGEST_EXPONENT}")
    return monomial, degree


def _proof(value: object, case: Case, size: int) -> CaseProof:
    _keys(value, {"centre", "scale", "positive", "squares", "multipliers"}, "a proof")
    assert isinstance(value, dict)
    centre, scale = _numbers(value["centre"], "centre", size), _numbers(value["scale"], "scale", size)
    if any(s <= 0 for s in scale):
        raise CheckError("scale: not positive")
    positive = []
    for entry in _list(value["positive"], "positive", MOST_CONDITIONS):
        if not isinstance(entry, list) or len(entry) != 2:
            raise CheckError("positive: not a weight and a list of conditions")
        named = _list(entry[1], "positive", MOST_FACTORS)
        chosen = tuple(_natural(k, "positive", len(case.strict)) for k in named)
        positive.append((_number(entry[0], "positive"), chosen))
    squares = tuple(_square(s, case, size) for s in _list(value["squares"], "squares", MOST_CONDITIONS))
    multipliers = []
    for entry in _list(value["multipliers"], "multipliers", MOST_CONDITIONS):
        if not isinstance(entry, list) or len(entry) != 2:
            raise CheckError("multipliers: not an equation and a polynomial")
        multipliers.append(
            (_natural(entry[0], "multipliers", len(case.zero)), _polynomial(entry[1], "multipliers", size))
        )
    return CaseProof(centre, scale, tuple(positive), squares, tuple(multipliers))


def _square(value: object, case: Case, size: int) -> Square:
    _keys(value, {"factors", "basis", "gram", "denominator"}, "a square")
    assert isinstance(value, dict)
    counts = {"strict": len(case.strict), "weak": len(case.weak), "lower": size, "upper": size}
    factors = []
    for entry in _list(value["factors"], "factors", MOST_FACTORS):
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str) or entry[0] not in counts:
            raise CheckError(f"factors: not one of {sorted(counts)} and a number")
        factors.append((entry[0], _natural(entry[1], "factors", counts[entry[0]])))
    basis, degrees = [], [0]
    for entry in _list(value["basis"], "basis", MOST_MONOMIALS):
        monomial, degree = _monomial(entry, "basis", size)
        basis.append(monomial)
        degrees.append(degree)
    rows = _list(value["gram"], "gram", MOST_MONOMIALS)
    if len(rows) != len(basis):
        raise CheckError(f"gram: {len(rows)} rows for {len(basis)} monomials")
    gram = []
    for i, row in enumerate(rows):
        entries = _list(row, "gram", i + 1)
        if len(entries) != i + 1:
            raise CheckError("gram: not a lower triangle")
        gram.append(tuple(_integer(v, "gram") for v in entries))
    denominator = _integer(value["denominator"], "denominator")
    if denominator <= 0:
        raise CheckError("denominator: not positive")
    return Square(tuple(factors), tuple(basis), max(degrees), tuple(gram), denominator)


def _integer(value: object, name: str) -> int:
    if type(value) is not int or value.bit_length() > WIDEST_INTEGER:
        raise CheckError(f"{name}: not an integer of at most {WIDEST_INTEGER} bits")
    return value
