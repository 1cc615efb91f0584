"""A specification about polynomials translated once more, to be compared with what a file of evidence embeds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from specs.errors import CertificateError
from specs.language.polynomial_spec import read_polynomial_spec
from specs.language.yaml_tree import parse_number
from verifier.polynomials.evidence import canonical_problem


def translated_hash(spec: Path, parameters: Mapping[str, str], requirement: str, values: Mapping[str, str]) -> str:
    """SHA-256 of the canonical problem of a requirement, for the value of the parameter it is solved for.

    Raises ``CertificateError`` when the specification has no such requirement or parameter.
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
    return hashlib.sha256(canonical_problem(question.problem(value))).hexdigest()
