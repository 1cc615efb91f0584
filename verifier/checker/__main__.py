"""``python -m verifier.checker CERTIFICATE [--model M] [--query Q]``: 0 accepted, 1 rejected, 2 unreadable.

With ``--serve MODEL QUERY`` it reads one certificate path a line and answers each with one line of JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads: one thread per process is fastest here

import numpy as np

from verifier.checker.axioms import is_about_axioms, read_axioms, verdict_on_axioms
from verifier.checker.check import Checker, Verdict
from verifier.checker.combined import is_about_combined, read_combined, verdict_on_combined
from verifier.checker.container import Certificate, Origin, Source, Witness, read_evidence, read_source, unpack
from verifier.checker.errors import CheckError
from verifier.checker.exact_tree import audit
from verifier.checker.network import Network
from verifier.checker.onnx import read_network
from verifier.checker.parallel import prove_all
from verifier.checker.relaxed_checker import (
    RelaxedEvidence,
    is_about_relaxed_checker,
    read_relaxed,
    verdict_on_relaxed,
)
from verifier.checker.selftest import self_test
from verifier.checker.smoothing import (
    SmoothingEvidence,
    is_about_smoothing,
    read_smoothing,
    verdict_on_smoothing,
)
from verifier.checker.sos import verdict_on_polynomials
from verifier.checker.sos_format import is_about_polynomials
from verifier.checker.sos_format import read_evidence as read_polynomials
from verifier.checker.statistics import (
    StatisticalEvidence,
    is_about_statistics,
    read_statement,
    verdict_on_statement,
)
from verifier.checker.vnnlib import QueryCase, read_query
from verifier.checker.witness import refute

REPORTED = 2000  # failing leaves listed in an answer
LEDGER = {"query": "ledger"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="certify check", description="Check a certificate with NumPy alone.")
    parser.add_argument("certificate", nargs="?", type=Path, help=".nncert file")
    parser.add_argument("--model", type=Path, help="the model the claim is about (default: embedded or recorded)")
    parser.add_argument("--query", "--spec", type=Path, help="the VNN-LIB query (default: embedded or recorded)")
    parser.add_argument("--exact", action="store_true", help="also prove every leaf in rational arithmetic")
    parser.add_argument("--json", action="store_true", help="answer with one line of JSON")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--serve", nargs=2, metavar=("MODEL", "QUERY"), type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.workers < 1:
        parser.error(f"--workers has to be at least 1, not {options.workers}")
    try:
        self_test()
        if options.serve:
            model_path, query_path = options.serve
            return serve(model_path, query_path, options.workers)
        if options.certificate is None:
            parser.error("name a certificate")
        started = time.perf_counter()
        data = _bytes(options.certificate)
        if is_about_polynomials(data):
            return check_polynomials(data, options, started)
        if is_about_statistics(data) or is_about_relaxed_checker(data) or is_about_smoothing(data):
            return check_statistics(data, options, started)
        if is_about_axioms(data):
            return check_axioms(data, options, started)
        if is_about_combined(data):
            return check_combined(data, options, started)
        evidence = read_evidence(data)
        model = read_source(evidence.model, options.model, "model")
        query = read_source(evidence.query, options.query, "query")
        origins = {
            "model": Origin.of(evidence.model, options.model),
            "query": Origin.of(evidence.query, options.query),
        }
        checker = make_checker(model, query)
        verdict = verdict_on(checker, evidence, options.workers)
        if options.exact and verdict.accepted:
            verdict = exact_verdict_on(checker, evidence)
    except (CheckError, MemoryError) as error:
        as_json = options.json or options.serve
        print(json.dumps({"accepted": False, "error": _told(error)}) if as_json else f"certify check: {_told(error)}")
        return 2
    arithmetic = "rational arithmetic" if options.exact else "outward-rounded float64"
    kind = "witness" if isinstance(evidence, Witness) else "proof"
    detail = f"{verdict.leaves} leaves, {arithmetic}"
    return _tell(verdict, options, started, kind, options.exact, evidence.claim, detail, origins)


def _tell(
    verdict: Verdict,
    options: argparse.Namespace,
    started: float,
    kind: str,
    exact: bool,
    claim: str,
    detail: str,
    origins: Mapping[str, Origin],
    names: Mapping[str, str] = MappingProxyType({}),
    more: Mapping[str, object] = MappingProxyType({}),
) -> int:
    """Print a verdict for programs or people; the exit code.

    ``origins`` are those of the model and the query, by these keys; ``names`` what people are to read for a key.
    ``more`` goes into the answer for programs.
    """
    seconds = time.perf_counter() - started
    if options.json:
        about = {"seconds": round(seconds, 4), "exact": exact, "kind": kind, "claim": claim, **more}
        sources = {what: vars(origins[what]) if what in origins else {} for what in ("model", "query")}
        print(json.dumps({**_answer(verdict), **about, **sources}))
    else:
        word = "accepted" if verdict.accepted else "REJECTED"
        print(f"{word}: {verdict.reason}; {detail}{', ' if detail else ''}{seconds:.2f} s")
        for what, origin in origins.items():
            print(f"{names.get(what, what)}: {origin}")
        print(f"claim, in the producer's words: {claim}")
    return 0 if verdict.accepted else 1


def check_polynomials(data: bytes, options: argparse.Namespace, started: float) -> int:
    """Judge evidence about polynomials, which carries its question along: there is no other file to read."""
    if options.model or options.query:
        raise CheckError("a file about polynomials states its own problem; the checker takes no model and no query")
    evidence = read_polynomials(data)
    verdict = verdict_on_polynomials(evidence)
    kind = "witness" if evidence.proofs is None else "proof"
    requirement, parameters = evidence.question
    about = {"question": {"requirement": requirement, "parameters": parameters}}
    problem = {"query": Origin("embedded", "", evidence.problem_hash)}
    names = {"query": "problem"}
    return _tell(verdict, options, started, kind, True, evidence.claim, "rational arithmetic", problem, names, about)


def check_statistics(data: bytes, options: argparse.Namespace, started: float) -> int:
    """Judge a statement of probability, or one that is made of such, which carries its ledger along."""
    if options.model or options.query:
        raise CheckError("a statement of probability carries its ledger; the checker takes no model and no query")
    evidence: StatisticalEvidence | RelaxedEvidence | SmoothingEvidence
    if is_about_relaxed_checker(data):
        evidence = read_relaxed(data)
        verdict = verdict_on_relaxed(evidence)
    elif is_about_smoothing(data):
        evidence = read_smoothing(data)
        verdict = verdict_on_smoothing(evidence)
    else:
        evidence = read_statement(data)
        verdict = verdict_on_statement(evidence)
    detail = f"{verdict.leaves} lines, outward-rounded decimals"
    ledger = {"query": Origin("embedded", "", evidence.sha256)}
    return _tell(verdict, options, started, "statistical", False, evidence.claim, detail, ledger, LEDGER)


def check_axioms(data: bytes, options: argparse.Namespace, started: float) -> int:
    """Judge a statement under axioms, which carries its ledger and, if it has one, its certificate about outputs."""
    if options.query:
        raise CheckError("a statement under axioms carries its question; the checker takes no query")
    evidence = read_axioms(data)
    origins: dict[str, Origin] = {}

    def prove(embedded: bytes) -> tuple[Verdict, tuple[QueryCase, ...]]:
        inner = read_evidence(embedded)
        if not isinstance(inner, Certificate):
            raise CheckError("what is embedded about outputs is no certificate")
        origins["model"] = Origin.of(inner.model, options.model)
        checker = make_checker(
            read_source(inner.model, options.model, "model"), read_source(inner.query, None, "query")
        )
        return verdict_on(checker, inner, options.workers), checker.cases

    verdict = verdict_on_axioms(evidence, prove)
    origins["query"] = Origin("embedded", "", evidence.sha256)
    kind = "witness" if evidence.is_attack else "proof"
    return _tell(verdict, options, started, kind, not evidence.outputs, evidence.claim, "", origins, LEDGER)


def check_combined(data: bytes, options: argparse.Namespace, started: float) -> int:
    """Judge combined claims, whose members are all in the file; they are about one model."""
    evidence = read_combined(data)
    query = read_source(evidence.query_source, options.query, "query")
    networks: list[tuple[Network, Source]] = []  # read once, from the first member that is about it

    def prove(name: str, certificate: bytes, own: bytes | None) -> tuple[Verdict, tuple[QueryCase, ...]]:
        inner = read_evidence(certificate)
        if not isinstance(inner, Certificate):
            raise CheckError(f"{name} is no certificate")
        if inner.model.sha256 != evidence.model.sha256:
            raise CheckError(f"{name} is about another model (SHA-256 differs)")
        if not networks:
            networks.append(
                (read_network(unpack(read_source(inner.model, options.model, "model"), "model")), inner.model)
            )
        question = inner.query if own is None else Source(inner.query.sha256, "", own)
        if own is not None and hashlib.sha256(own).hexdigest() != inner.query.sha256:
            raise CheckError(f"{name} is about another query than the one beside it")
        checker = checker_of(networks[0][0], read_source(question, None, "query"))
        verdict = verdict_on(checker, inner, options.workers)
        if options.exact and verdict.accepted:
            verdict = exact_verdict_on(checker, inner)
        return verdict, checker.cases

    verdict = verdict_on_combined(evidence, lambda: checker_of(networks[0][0], query).cases, prove)
    origins = {"query": Origin.of(evidence.query_source, options.query)}
    if networks:
        origins["model"] = Origin.of(networks[0][1], options.model)
    kind = "statistical" if any(one.name.endswith(".nnstat") for one in evidence.members) else "proof"
    return _tell(verdict, options, started, kind, options.exact, evidence.claim, f"{verdict.leaves} cells", origins)


def make_checker(model: bytes, query: bytes) -> Checker:
    """A checker for the bytes of a model (.onnx, possibly gzipped) and of a query (.vnnlib, possibly gzipped)."""
    return checker_of(read_network(unpack(model, "model")), query)


def checker_of(network: Network, query: bytes) -> Checker:
    """A checker for a network and the bytes of a query."""
    try:
        text = unpack(query, "query").decode()
    except UnicodeDecodeError as error:
        raise CheckError(f"query: {error}") from None
    return Checker(network, read_query(text, network.sizes[0], network.sizes[-1]))


def verdict_on(checker: Checker, evidence: Certificate | Witness, workers: int) -> Verdict:
    if isinstance(evidence, Witness):
        return refute(checker, evidence)
    return checker.check(evidence, lambda jobs, streams: prove_all(checker, jobs, streams, workers), workers)


def exact_verdict_on(checker: Checker, evidence: Certificate | Witness) -> Verdict:
    if isinstance(evidence, Witness):
        return refute(checker, evidence, exact=True)
    return audit(checker, evidence)


def serve(model: Path, query: Path, workers: int) -> int:
    """Answer certificate paths from standard input until it closes; what was proved once is not proved again."""
    sources = _bytes(model), _bytes(query)
    checker = make_checker(*sources)
    print(json.dumps({"ready": True, "empty": [case.empty for case in checker.cases]}), flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        try:
            evidence = read_evidence(_bytes(Path(line.rstrip("\n"))))
            for source, data, what in zip((evidence.model, evidence.query), sources, ("model", "query"), strict=True):
                if hashlib.sha256(data).hexdigest() != source.sha256:
                    raise CheckError(f"the file is about another {what}")
            answer = _answer(verdict_on(checker, evidence, workers))
        except (CheckError, MemoryError) as error:
            answer = {"accepted": False, "error": _told(error)}
        print(json.dumps({**answer, "seconds": round(time.perf_counter() - started, 4)}), flush=True)
    return 0


def _told(error: CheckError | MemoryError) -> str:
    return str(error) if isinstance(error, CheckError) else "there is not enough memory for this check"


def _answer(verdict: Verdict) -> dict[str, object]:
    return {
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "leaves": verdict.leaves,
        "margin": verdict.margin if np.isfinite(verdict.margin) else None,
        "failures": [
            {
                "case": case,
                "chunk": chunk,
                "position": failure.position,
                "lower": failure.lower.tolist(),
                "upper": failure.upper.tolist(),
            }
            for case, chunk, failure in verdict.failures[:REPORTED]
        ],
    }


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckError(f"cannot read {path}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
