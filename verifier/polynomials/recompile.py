"""A specification about polynomials translated once more, to be compared with what a file of evidence embeds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from specs.errors import CertificateError
from specs.language.polynomials.spec import read_polynomial_spec
from specs.language.text.decimals import exact
from specs.language.text.yaml_tree import parse_number
from verifier.polynomials.evidence import canonical_problem


@dataclass(frozen=True)
class Translation:
    """The SHA-256 of the canonical problem of a requirement; ``gates`` whether the file has gates about it."""

    sha256: str
    gates: bool


def translated(spec: Path, parameters: Mapping[str, str], requirement: str, values: Mapping[str, str]) -> Translation:
    """A requirement's problem, for the value of the parameter it is solved for.

    Raises ``CertificateError`` when the specification has no such requirement or parameter, or looks for the
    parameter elsewhere.
    """
    read = read_polynomial_spec(spec, parameters)
    try:
        question = read[requirement]
    except KeyError:
        raise CertificateError(f"{spec}: there is no requirement {requirement!a} in it") from None
    wanted = [] if question.unknown is None else [question.unknown.name]
    if list(values) != wanted:
        raise CertificateError(f"{spec}: {requirement} is solved for {wanted}, the file states {list(values)}")
    value = None
    if question.unknown is not None:
        try:
            value = parse_number(values[question.unknown.name])
        except OverflowError:
            value = None
        if value is None:
            raise CertificateError("the value of the parameter that the file states is not a number")
        unknown = question.unknown
        if not unknown.lower <= value <= unknown.upper:
            ends = f"[{exact(unknown.lower)}, {exact(unknown.upper)}]"
            raise CertificateError(
                f"{spec}: the file is about {unknown.name} = {exact(value)}, outside the range {ends}"
            )
    digest = hashlib.sha256(canonical_problem(question.problem(value))).hexdigest()
    return Translation(digest, read.gates.about(requirement))
