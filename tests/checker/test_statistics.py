"""Statements of probability: what is accepted is supported by its ledger, and forged or changed files are refused."""

from __future__ import annotations

import io
import json
import math
import zipfile
from fractions import Fraction

import numpy as np
import pytest

from verifier.checker.errors import CheckError
from verifier.checker.statistics import read_statement, verdict_on_statement
from verifier.checker.statistics_ledger import read_ledger
from verifier.checking import run_checker
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


def written(folder, plan, data=None, answered=None):
    file = folder / "l.jsonl"
    with Queries(file, Disc(), Budget(1000)) as queries:
        queries.ask([[0.5, 0.5]], "look around")
        if answered is None:
            queries.run(plan, lambda x: [x], data)
        else:
            queries.announce(plan)
            for number, x in zip(range(answered), draws(plan.sampler, plan.seed)):
                queries.ask([x.tolist()], plan.name, number)
    target = folder / "claim.nnstat"
    return target, statements.write_statement(target, file, plan.name, data)


def verdict(data: bytes):
    return verdict_on_statement(read_statement(data))


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


@pytest.mark.parametrize("which", PLANS)
def test_what_the_ledger_supports_is_accepted_and_hardly_more(tmp_path, which):
    plan = PLANS[which]
    file, stated = written(tmp_path, plan, TABLE if which == "rows" else None)
    data = file.read_bytes()
    found = verdict(data)
    assert found.accepted, found.reason
    assert "rests on" in found.reason
    assert 0 < stated.bounds.upper < 1
    if which not in ("rows", "renyi", "domination"):
        assert stated.bounds.lower <= F(math.pi / 64) <= stated.bounds.upper  # holds for these seeds
    tighter = stated.bounds.upper * (1 - F(1, 10**7))
    assert not verdict(restated(data, upper=f"{tighter.numerator}/{tighter.denominator}")).accepted
    higher = stated.bounds.lower + F(1, 10**6)
    assert not verdict(restated(data, lower=f"{higher.numerator}/{higher.denominator}")).accepted


def test_bounds_that_need_all_draws_are_not_stated_early_and_betting_may_be(tmp_path):
    with pytest.raises(statements.StatementError, match="50 of 200"):
        written(tmp_path, make(), answered=50)
    (tmp_path / "b").mkdir()
    file, stated = written(tmp_path / "b", make(method="betting"), answered=50)
    assert stated.answered == 50
    assert verdict(file.read_bytes()).accepted


def test_command_line_accepts_and_says_the_law(tmp_path):
    file, _ = written(tmp_path, make())
    result = run_checker(file, None, None, False, {})
    assert result.accepted
    assert result.kind == "statistical"
    assert "[0.0, 1.0]^2" in result.reason
    file.write_bytes(restated(file.read_bytes(), upper="1/1000"))
    assert not run_checker(file, None, None, False, {}).accepted


def test_every_changed_byte_of_the_ledger_is_refused(tmp_path):
    file, _ = written(tmp_path, make(queries=3))
    parts = members(file.read_bytes())
    ledger = parts["ledger.jsonl"]
    stated = json.loads(parts["statement.json"])["ledger"]
    read_ledger(ledger, stated["sha256"], stated["lines"])
    for at in range(len(ledger)):
        for flip in (1, 32, 128):
            changed = ledger[:at] + bytes([ledger[at] ^ flip]) + ledger[at + 1 :]
            with pytest.raises(CheckError):
                read_ledger(changed, stated["sha256"], stated["lines"])
    for cut in (1, 10, 200):
        with pytest.raises(CheckError):
            read_statement(packed({**parts, "ledger.jsonl": ledger[:-cut]}))


def _set(kind, number, **changes):
    def change(lines):
        [line for line in lines if line["kind"] == kind][number].update(changes)

    return change


def _drop_a_failure(lines):
    """Leave out a draw that failed, and renumber: the oldest trick."""
    bad = next(l["to"] for l in lines if l["kind"] == "answer" and float.fromhex(l["answer"]) < 0)
    kept = [l for l in lines if l["n"] != bad and l.get("to") != bad]
    places = {l["n"]: k for k, l in enumerate(kept)}
    count = 0
    for line in kept:
        line["n"] = places[line["n"]]
        if "to" in line:
            line["to"] = places[line["to"]]
        if line["kind"] == "ask" and line["draw"] is not None:
            line["draw"], count = count, count + 1
    next(l for l in kept if l["kind"] == "plan")["plan"]["queries"] = count
    return kept


def _ask_again(lines):
    """Ask a second time about a draw that failed, and get a better answer."""
    bad = next(l for l in lines if l["kind"] == "answer" and float.fromhex(l["answer"]) < 0)
    ask = {**lines[bad["to"]], "n": len(lines)}
    answer = {**bad, "n": len(lines) + 1, "to": len(lines), "answer": (1.0).hex()}
    return [*lines, ask, answer]


def _plan_afterwards(lines):
    plan = next(l for l in lines if l["kind"] == "plan")
    lines.remove(plan)
    kept = [*lines, plan]
    places = {l["n"]: k for k, l in enumerate(kept)}
    for line in kept:
        line["n"] = places[line["n"]]
        if "to" in line:
            line["to"] = places[line["to"]]
    return kept


def _extra_draws_beyond_blocks(lines):
    """A law that ends early, so that the last draws are anybody's."""
    plan = next(l for l in lines if l["kind"] == "plan")["plan"]
    plan["sampler"] = {"kind": "blocks", "counts": [0], "parts": [plan["sampler"]]}


def _repeat_another_answer(lines):
    good = next(l for l in lines if l["kind"] == "answer" and float.fromhex(l["answer"]) > 0)
    bad = next(l for l in lines if l["kind"] == "answer" and float.fromhex(l["answer"]) < 0)
    ask = lines[bad["to"]]
    hit = {**{k: ask[k] for k in ("n", "purpose", "draw", "arguments", "key")}, "kind": "hit", "to": good["n"]}
    lines[bad["to"]] = hit
    lines.remove(bad)
    places = {l["n"]: k for k, l in enumerate(lines)}
    for line in lines:
        line["n"] = places[line["n"]]
        if "to" in line:
            line["to"] = places[line["to"]]
    return lines


FORGERIES = {
    "another draw": _set("ask", 7, arguments=[[(0.5).hex(), (0.5).hex()]]),
    "another key": _set("ask", 7, key="0" * 64),
    "no number": _set("answer", 7, answer="nan"),
    "infinite": _set("answer", 7, answer="inf"),
    "sloppy number": _set("answer", 7, answer="0x1p0"),
    "no reason": _set("answer", 7, answer=None),
    "a reason as well": _set("answer", 7, failed="x"),
    "answer to nothing": _set("answer", 7, to=10**6),
    "time backward": _set("answer", 7, seconds=-1),
    "one key more": _set("answer", 7, note="x"),
    "budget exceeded": lambda lines: lines[0]["budget"].update(queries=10),
    "another version": lambda lines: lines[0].update(version=2),
    "no plan": lambda lines: [l for l in lines if l["kind"] != "plan"],
    "failure left out": _drop_a_failure,
    "asked again": _ask_again,
    "planned afterwards": _plan_afterwards,
    "draws that nobody gives": _extra_draws_beyond_blocks,
    "another answer repeated": _repeat_another_answer,
}


@pytest.mark.parametrize("which", FORGERIES)
def test_a_ledger_that_was_forged_with_its_hashes_is_refused(tmp_path, which):
    file, _ = written(tmp_path, make())
    data = forged(file.read_bytes(), FORGERIES[which])
    assert verdict(forged(file.read_bytes(), lambda lines: lines)).accepted  # the forger's own tools work
    try:
        found = verdict(data)
    except CheckError:
        return
    assert not found.accepted, found.reason


def test_other_numbers_of_the_plan_do_not_pass(tmp_path):
    file, _ = written(tmp_path, make())
    data = file.read_bytes()
    for changes in ({"seed": 6}, {"confidence": "999/1000"}, {"below": "1/10"}, {"queries": 199}, {"sides": "both"}):

        def change(lines, changes=changes):
            next(l for l in lines if l["kind"] == "plan")["plan"].update(changes)

        assert not verdict(forged(data, change)).accepted, changes


@pytest.mark.parametrize(
    "changes",
    [
        {"upper": "0.5e0"},
        {"upper": 0.5},
        {"upper": "nan"},
        {"upper": "1/0"},
        {"version": True},
        {"format": "x"},
        {"more": 1},
    ],
)
def test_what_is_not_of_the_format_is_refused(tmp_path, changes):
    file, _ = written(tmp_path, make(queries=3))
    with pytest.raises(CheckError):
        verdict(restated(file.read_bytes(), **changes))


def test_rows_of_another_file_are_refused(tmp_path):
    file, _ = written(tmp_path, PLANS["rows"], TABLE)
    parts = members(file.read_bytes())
    with pytest.raises(CheckError, match="rows"):
        verdict(packed({**parts, "rows.bin": parts["rows.bin"][:-8] + bytes(8)}))


def test_repeated_rows_cost_six_queries_at_most_and_the_checker_says_so(tmp_path):
    file, _ = written(tmp_path, PLANS["rows"], TABLE)
    evidence = read_statement(file.read_bytes())
    assert evidence.ledger.queries <= 7
    assert "deterministic" in verdict_on_statement(evidence).reason


def test_a_perfect_overseer_with_proved_cells_leaves_nothing(tmp_path):
    cells = (Cell(F(1, 2), "certified", evidence="a"), Cell(F(1, 2), "sampled", (0.0, 0.0), (0.5, 0.5), 50, F(1)))
    plan = make(sampler=Blocks((50,), (Box((0.0, 0.0), (0.5, 0.5)),)), queries=50, method="stratified", cells=cells)
    file, stated = written(tmp_path, plan)
    assert stated.bounds.upper <= F(1, 2) * (1 - F(7, 10) ** 1)  # half of less than 0.3
    assert (1 - 2 * stated.bounds.upper) ** 50 <= F(1, 100)
    assert verdict(file.read_bytes()).accepted
