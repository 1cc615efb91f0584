"""Statements about a known share of a square, and the tools of a forger: files taken apart and sealed anew."""

from __future__ import annotations

import contextlib
import io
import json
import math
import zipfile
from fractions import Fraction
from unittest.mock import patch

import numpy as np

from specs.overseer.python_overseer import OverseerError
from verifier.checker.errors import CheckError
from verifier.checker.statistics import read_statement, verdict_on_statement
from verifier.statistics import statement as statements
from verifier.statistics.betting import Bets
from verifier.statistics.ledger import START, sealed
from verifier.statistics.plan import Plan
from verifier.statistics.queries import Budget, Queries
from verifier.statistics.sampling import Blocks, Box, Mixture, Rows, draws
from verifier.statistics.strata import Cell

F = Fraction
SQUARE = Box((0.0, 0.0), (1.0, 1.0))
CORNER = Box((0.75, 0.75), (1.0, 1.0))
FAR = F(-6, 25)  # within 1/100 of the point
HIGH = F(99, 100)
TABLE = np.arange(12.0).reshape(6, 2) / 12


class Disc:
    """Unacceptable within 1/4 of the point (1, 1): a share of pi/64 of the square."""

    name, sha256 = "disc.py:judge", "0" * 64

    def ask(self, arguments, seconds):
        (x, y), *_ = arguments
        return math.hypot(1 - x, 1 - y) - 0.25


def make(name="audit", sampler=SQUARE, seed=5, queries=200, confidence=HIGH, **options):
    return Plan(name, sampler, seed, queries, confidence, **options)


CELLS = (
    Cell(F(1, 16), "sampled", (0.75, 0.75), (1.0, 1.0), 120, F(1, 2)),
    Cell(F(14, 16), "certified", evidence="sha256:1234"),
    Cell(F(1, 16), "sampled", (0.0, 0.0), (0.25, 0.25), 80, F(1, 2)),
)
PLANS = {
    "clopper-pearson": make(),
    "both sides": make(sides="both"),
    "betting": make(method="betting"),
    "betting both sides": make(method="betting", sides="both", bets=Bets(F(9, 10), 200)),
    "domination": make(sampler=CORNER, method="domination", kappa=F(16), below=FAR, nature="the square's failures"),
    "renyi": make(sampler=CORNER, method="renyi", divergence=F(1), order=F(3), below=FAR, nature="a law on the square"),
    "importance": make(sampler=Mixture((F(1, 4), F(3, 4)), (SQUARE, CORNER)), method="importance"),
    "stratified": make(
        sampler=Blocks((120, 80), (CORNER, Box((0.0, 0.0), (0.25, 0.25)))), method="stratified", cells=CELLS
    ),
    "rows": make(sampler=Rows(6, 2, statements.rows_hash(TABLE))),
}


@contextlib.contextmanager
def asking(file, overseer, deterministic=True):
    """Questions whose ledger is not forced to the disk line by line, which is slow: nothing here is about a crash."""
    with patch("verifier.statistics.ledger.os.fsync"), Queries(file, overseer, Budget(1000), deterministic) as queries:
        yield queries


def _run(queries, plan, data):
    """All draws, on behind every question that gets no answer."""
    while True:
        try:
            return queries.run(plan, lambda x: [x], data)
        except OverseerError:
            continue


def written(folder, plan, data=None, answered=None, overseer=None, deterministic=True):
    file = folder / "l.jsonl"
    with asking(file, overseer or Disc(), deterministic) as queries:
        with contextlib.suppress(OverseerError):
            queries.ask([[0.5, 0.5]], "look around")
        if answered is None:
            _run(queries, plan, data)
        else:
            queries.announce(plan)
            for number, x in zip(range(answered), draws(plan.sampler, plan.seed)):
                queries.ask([x.tolist()], plan.name, number)
    target = folder / "claim.nnstat"
    return target, statements.write_statement(target, file, plan.name, data)


def stand(folder, name):
    """What the ledger ``l.jsonl`` says of this plan, and whether the checker accepts it."""
    stated = statements.write_statement(folder / "s.nnstat", folder / "l.jsonl", name)
    return stated, verdict((folder / "s.nnstat").read_bytes()).accepted


def verdict(data: bytes):
    return verdict_on_statement(read_statement(data))


def passes(data: bytes) -> bool:
    """Whether the checker accepts; it may refuse by a verdict or as unreadable, but never in another way."""
    try:
        return verdict(data).accepted
    except CheckError:
        return False


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def restated(data: bytes, **changes) -> bytes:
    parts = members(data)
    manifest = {**json.loads(parts["statement.json"]), **changes}
    return packed({**parts, "statement.json": json.dumps(manifest).encode()})


def forged(data: bytes, change) -> bytes:
    """The file with its lines changed by ``change`` and the whole chain of hashes made anew, as a forger would."""
    parts = members(data)
    lines = [json.loads(line) for line in parts["ledger.jsonl"].splitlines()]
    for line in lines:
        del line["sha256"]
    lines = change(lines) or lines
    previous, raw = START, []
    for line in lines:
        text, previous = sealed(line, previous)
        raw.append(text + b"\n")
    manifest = {**json.loads(parts["statement.json"]), "ledger": {"sha256": previous, "lines": len(lines)}}
    return packed({**parts, "ledger.jsonl": b"".join(raw), "statement.json": json.dumps(manifest).encode()})
