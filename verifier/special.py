"""Specifications that are not answered one requirement after the other: overseers known by axioms, and chains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from specs.language.kinds import special_kind
from specs.loading import load_model
from verifier.report.report import Report


def answer_special(
    model: Path | None,
    spec: Path,
    deadline: float,
    parameters: Mapping[str, str],
    certify: Callable[..., Report],
    options: Mapping[str, Any],
    out: Path | None,
) -> Report | None:
    """The report, or None for every other specification; ``certify`` with ``options`` answers about networks."""
    kind = special_kind(spec)
    if kind == "axioms":
        from verifier.axioms.answer import answer_axioms

        return answer_axioms(model, spec, deadline, parameters, load_model, partial(certify, **options), out)
    if kind == "chain":
        from verifier.chain.answer import answer_chain

        return answer_chain(model, spec, deadline, parameters, partial(certify, **options), out)
    return None


def describe_special(model: Path | None, spec: Path, parameters: Mapping[str, str]) -> str | None:
    """Such a specification in words, or None for every other."""
    kind = special_kind(spec)
    if kind == "axioms":
        from specs.language.axiom_spec import read_axiom_spec

        return read_axiom_spec(spec, model, parameters, load_model).describe()
    if kind == "chain":
        from specs.language.chain_spec import read_chain_spec

        return read_chain_spec(spec, parameters).describe()
    return None
