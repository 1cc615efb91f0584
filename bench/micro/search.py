"""The throughput of a whole search, through the public interface: domains per second."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.micro.budget import Budget
from bench.micro.questions import Question
from bench.micro.timing import Measurement, measured, unmeasured
from specs.language.vnnlib.writer import write_vnnlib
from specs.loading.onnx_writer import write_onnx
from verifier.api import certify


def measure(question: Question, budget: Budget) -> Iterator[Measurement]:
    """Nodes of the tree per second of one process, everything counted that deciding takes: attacks, bounds, checks.

    ReLU phases are split where the engine does so, which is where there are many inputs, and boxes elsewhere. The
    note has the verdicts: a search that ends early says little about throughput.
    """
    rates, verdicts = [], set()
    for seed in range(budget.searches):
        with tempfile.TemporaryDirectory(prefix="certify-bench-") as scratch:
            model, query = Path(scratch, "model.onnx"), Path(scratch, "query.vnnlib")
            model.write_bytes(write_onnx(question.graph))
            query.write_text(write_vnnlib(question.problem), encoding="utf-8")
            report = certify(model, query, timeout=budget.search_seconds, workers=1, seed=seed, out=scratch)
        outcome = report.requirements[0].outcome
        verdicts.add(f"{outcome.verdict} {outcome.reason}".strip())
        if outcome.stats.get("nodes"):
            rates.append(outcome.stats["nodes"] / outcome.stats["seconds"])
    note = ", ".join(sorted(verdicts))
    if rates:
        yield measured("search", question.name, 0, "domains/s", rates, note)
    else:
        yield unmeasured("search", question.name, note)
