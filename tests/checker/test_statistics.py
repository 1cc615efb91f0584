"""Statements of probability: what is accepted is supported by its ledger, and forged or changed files are refused."""

from __future__ import annotations

import json
import math

import pytest

from tests.checker.statements import PLANS, TABLE, F, forged, make, members, packed, passes, restated, verdict, written
from verifier.checker.errors import CheckError
from verifier.checker.statistics import read_statement, verdict_on_statement
from verifier.checker.statistics_ledger import read_ledger
from verifier.checking import run_checker
from verifier.statistics import statement as statements
from verifier.statistics.sampling import Blocks, Box
from verifier.statistics.strata import Cell


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """The file of the plan that forgers start from."""
    return written(tmp_path_factory.mktemp("honest"), make())[0].read_bytes()


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
def test_a_ledger_that_was_forged_with_its_hashes_is_refused(honest, which):
    assert not passes(forged(honest, FORGERIES[which]))


def test_the_tools_of_the_forger_work(honest):
    assert passes(forged(honest, lambda lines: lines))


def test_other_numbers_of_the_plan_do_not_pass(honest):
    for changes in ({"seed": 6}, {"confidence": "999/1000"}, {"below": "1/10"}, {"queries": 199}, {"sides": "both"}):

        def change(lines, changes=changes):
            next(l for l in lines if l["kind"] == "plan")["plan"].update(changes)

        assert not passes(forged(honest, change)), changes


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
def test_what_is_not_of_the_format_is_refused(honest, changes):
    with pytest.raises(CheckError):
        verdict(restated(honest, **changes))


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
