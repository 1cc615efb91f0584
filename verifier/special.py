"""Specifications that are not answered by a search over inputs: overseers known by axioms, chains, and rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from specs.language.kinds import Kind, mentions_surrogate, special_kind
from specs.loading import load_model
from verifier.report.report import Report


def answer_special(
    kind: Kind,
    model: Path | None,
    spec: Path,
    deadline: float,
    parameters: Mapping[str, str],
    certify: Callable[..., Report],
    options: Mapping[str, Any],
    out: Path | None,
    surrogates: Mapping[str, Path] | None = None,
) -> Report | None:
    """The report, or None for every other kind; ``certify`` with ``options`` answers about networks.

    ``surrogates`` are networks learned from answers, by the names of their overseers.
    """
    if kind == "axioms":
        from verifier.axioms.answer import answer_axioms

        return answer_axioms(model, spec, deadline, parameters, load_model, partial(certify, **options), out)
    if kind == "chain":
        from verifier.chain.answer import answer_chain

        return answer_chain(model, spec, deadline, parameters, partial(certify, **options), out)
    return answer_rates(model, spec, deadline, parameters, out, surrogates) if kind == "statistical" else None


def answer_rates(
    model: Path | None,
    spec: Path,
    deadline: float,
    parameters: Mapping[str, str],
    out: Path | None,
    surrogates: Mapping[str, Path] | None = None,
) -> Report:
    """The report on the statistical requirements of a specification."""
    from verifier.statistics.answer import answer_statistical

    return answer_statistical(model, spec, deadline, parameters, load_model, out, surrogates or {})


def joined(report: Report, rates: Report) -> Report:
    """One report of both: what is asked for all inputs comes first."""
    seconds = {key: report.seconds.get(key, 0) + rates.seconds.get(key, 0) for key in (*report.seconds, *rates.seconds)}
    from verifier.statistics.lifting import lifted

    told = [replace(one, lifted=lifted(one.requirement, one, report.requirements)) for one in rates.requirements]
    answers = (*report.requirements, *told)
    return replace(report, requirements=answers, seconds=seconds, hashes={**rates.hashes, **report.hashes})


def describe_special(model: Path | None, spec: Path, parameters: Mapping[str, str]) -> str | None:
    """Such a specification in words, or None for every other."""
    kind = special_kind(spec)
    if kind not in ("axioms", "chain") and mentions_surrogate(spec):
        from verifier.surrogate.answer import describe_learning

        told = describe_learning(model, spec, parameters)
        if told:
            return told
    if kind == "axioms":
        from specs.language.axioms.spec import read_axiom_spec

        return read_axiom_spec(spec, model, parameters, load_model).describe()
    if kind == "chain":
        from specs.language.chains.spec import read_chain_spec

        return read_chain_spec(spec, parameters).describe()
    if kind in ("statistical", "mixed"):
        from specs.language.rates.spec import read_statistical_spec

        told = read_statistical_spec(spec, model, parameters, load_model).describe()
        if kind == "mixed":
            from specs.language.load_spec import load_spec
            from verifier.reach import reach

            told += "\n" + load_spec(spec, model, parameters, reach=reach).describe()
        return told
    return None
