"""Whether a ledger's draws of a requirement were shown, and answered by networks, as its specification says now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from specs.language.rates.question import StatisticalQuestion


def other_questions(lines: list[dict[str, Any]], question: StatisticalQuestion, plan: str = "") -> Iterator[str]:
    """Draws of which something else was shown, or found, than the specification says; ``plan``: if not of its name."""
    answers = {line["to"]: line["answer"] for line in lines if line["kind"] == "answer"}
    for line in lines:
        if line["kind"] not in ("ask", "hit") or line["purpose"] != (plan or question.id):
            continue
        draw, *shown = [[float.fromhex(v) for v in values] for values in line["arguments"]]
        found = [[float(v) for v in values] for values in question.evaluated(np.array(draw))]
        if question.program is not None:
            if shown != found:
                yield f"what draw {line['draw']} shows (which float64 of another machine may do, too) and the ledger"
            continue
        answer = lines[line["to"]]["answer"] if line["kind"] == "hit" else answers.get(line["n"])
        if answer is not None and [[float.fromhex(answer)]] != found:
            yield f"what the networks compute for draw {line['draw']} and the ledger"
