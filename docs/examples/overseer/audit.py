"""Bounds how often the panel objects: ``python audit.py FOLDER`` writes a ledger and a statement there."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

from specs.overseer.python_overseer import PythonOverseer
from verifier.statistics.plan import Plan
from verifier.statistics.queries import Budget, Queries
from verifier.statistics.sampling import Box
from verifier.statistics.statement import Statement, write_statement


def audit(folder: Path) -> Statement:
    plan = Plan("audit", Box((-1.0,) * 5, (1.0,) * 5), seed=7, queries=300, confidence=Fraction("0.999"))
    panel = Path(__file__).with_name("panel.py")
    ledger = folder / "ledger.jsonl"
    with PythonOverseer(f"{panel}:judge") as overseer, Queries(ledger, overseer, Budget(400, seconds=60)) as queries:
        queries.run(plan, lambda x: [x, [x[0] / 2]])
    return write_statement(folder / "audit.nnstat", ledger, "audit")


if __name__ == "__main__":
    print(audit(Path(sys.argv[1])).claim)
