"""Attacks on the checker of statements of probability by somebody who may write any ledger, with its hashes."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import replace

import pytest

from specs.overseer.python_overseer import OverseerError
from tests.checker.statements import (
    CORNER,
    PLANS,
    SQUARE,
    TABLE,
    Disc,
    F,
    asking,
    forged,
    make,
    members,
    packed,
    passes,
    restated,
    verdict,
    written,
)
from verifier.checker.errors import CheckError
from verifier.statistics import statement as statements
from verifier.statistics.sampling import Box, Mixture, draws
from verifier.statistics.strata import Cell

SAFE = Box((-1.0, -1.0), (0.0, 0.0))
TINY = "1/" + "7" * 900


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Honest files, written once, by the name of the plan."""
    found = {}

    def file(which):
        if which not in found:
            data = TABLE if which == "rows" else None
            found[which] = written(tmp_path_factory.mktemp("f"), PLANS[which], data)[0].read_bytes()
        return found[which]

    return file


class Impatient(Disc):
    """No answer about the left three quarters of the square."""

    def ask(self, arguments, seconds):
        if arguments[0][0] < 0.75:
            raise OverseerError("no opinion")
        return super().ask(arguments, seconds)


class CutOff(Disc):
    """The asking program is killed in the middle of one question."""

    def __init__(self, at):
        self.left = at

    def ask(self, arguments, seconds):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().ask(arguments, seconds)


def _plan(lines):
    return next(line for line in lines if line["kind"] == "plan")["plan"]


def _first(lines, kind):
    return next(line for line in lines if line["kind"] == kind and line.get("draw", 0) is not None)


def _ordered(lines):
    """Numbers anew, in the order in which the lines stand."""
    places = {line["n"]: k for k, line in enumerate(lines)}
    for line in lines:
        line["n"] = places[line["n"]]
        if "to" in line:
            line["to"] = places[line["to"]]
    return lines


def test_draws_of_one_law_do_not_speak_of_another(tmp_path):
    """A sampler that is read as a harmless box by whoever draws and as a mixture by whoever weighs."""
    plan = make(sampler=SAFE, method="betting")
    file, stated = written(tmp_path, plan)
    assert stated.failures == 0

    def disguised(lines):
        mixture = Mixture((F(1, 2), F(1, 2)), (SQUARE, CORNER)).to_json()
        _plan(lines).update(method="importance", sampler={**mixture, **SAFE.to_json()})

    data = restated(forged(file.read_bytes(), disguised), upper="1/10")
    with pytest.raises(CheckError, match="sampler"):
        verdict(data)


@pytest.mark.parametrize("method", ["clopper-pearson", "betting"])
def test_silence_bounds_a_probability_from_above_only(tmp_path, method):
    """200 questions without an answer do not show that the overseer objects."""
    plan = make(sides="both", method=method)
    file, stated = written(tmp_path, plan, overseer=Impatient())
    assert stated.failures > stated.answered // 2
    assert stated.bounds.lower <= F(1, 20) < F(1, 2) < stated.bounds.upper
    found = verdict(file.read_bytes())
    assert found.accepted
    assert "without an answer" in found.reason
    assert not passes(restated(file.read_bytes(), lower="1/4"))


def test_a_seed_chosen_among_answers_is_refused(tmp_path):
    """Look at the draws of many seeds, then plan with the one that has fewest failures."""
    with asking(tmp_path / "l", Disc()) as queries:
        failures = {}
        for seed in range(8):
            points = [x.tolist() for _, x in zip(range(50), draws(SQUARE, seed))]
            failures[seed] = sum(queries.ask([x, [0.0]], "look around") < 0 for x in points)
        queries.run(make(seed=min(failures, key=failures.__getitem__), queries=50), lambda x: [x])
    statements.write_statement(tmp_path / "s", tmp_path / "l", "audit")
    found = verdict((tmp_path / "s").read_bytes())
    assert not found.accepted
    assert "before the plan" in found.reason


def test_rows_that_were_known_are_told(tmp_path):
    with asking(tmp_path / "l", Disc()) as queries:
        for row in TABLE:
            queries.ask([row.tolist()], "look around")
        queries.run(PLANS["rows"], lambda x: [x], TABLE)
    statements.write_statement(tmp_path / "s", tmp_path / "l", "audit", TABLE)
    found = verdict((tmp_path / "s").read_bytes())
    assert found.accepted
    assert "without regard to the 6 answers before it, which are about 200 of its draws" in found.reason


def test_a_question_before_the_plan_is_none_of_its_draws(files):
    def late(lines):
        plan, ask = (lines.index(next(l for l in lines if test(l))) for test in (_is_plan, _is_draw))
        lines[plan], lines[ask] = lines[ask], lines[plan]
        return _ordered(lines)

    with pytest.raises(CheckError, match="before its plan"):
        verdict(forged(files("clopper-pearson"), late))


def _is_plan(line):
    return line["kind"] == "plan"


def _is_draw(line):
    return line["kind"] == "ask" and line["draw"] is not None


def test_two_answers_of_a_deterministic_overseer_are_refused(files):
    def better(lines):
        """Ask about a row a second time, and repeat the better answer from then on."""
        bad = next(l for l in lines if l["kind"] == "answer" and float.fromhex(l["answer"]) < 0)
        ask = {**lines[bad["to"]], "draw": None, "purpose": "again", "n": 10**6}
        return _ordered([*lines, ask, {**bad, "n": 10**6 + 1, "to": 10**6, "answer": (1.0).hex()}])

    with pytest.raises(CheckError, match="in two ways"):
        verdict(forged(files("rows"), better))


@pytest.mark.parametrize("deterministic", [True, False])
def test_asking_again_after_a_cut_is_no_second_chance(tmp_path, deterministic):
    plan = make(queries=30)
    with contextlib.suppress(KeyboardInterrupt):
        written(tmp_path, plan, overseer=CutOff(5), deterministic=deterministic)
    file, stated = written(tmp_path, plan, deterministic=deterministic)
    undisturbed = (tmp_path / "u", make(queries=30))
    undisturbed[0].mkdir()
    _, whole = written(*undisturbed)
    assert stated.failures == whole.failures + (not deterministic)
    found = verdict(file.read_bytes())
    assert found.accepted
    assert ("1 questions were cut off" if deterministic else "do not depend on each other") in found.reason
    tighter = whole.bounds.upper
    assert passes(restated(file.read_bytes(), upper=str(tighter))) == deterministic


BUDGETS = {
    "a query gets more time": lambda lines: _first(lines, "ask").update(limit=61.0),
    "time that is no number": lambda lines: _first(lines, "answer").update(seconds=10**400),
    "a price below nothing": lambda lines: lines[0]["budget"].update(unit_cost="-1", cost="0"),
    "what was cut off took its time": lambda lines: (
        lines[0]["budget"].update(seconds=59.0),
        lines.append({**_first(lines, "ask"), "n": len(lines), "purpose": "p", "draw": None}),
    )[:0],
}


@pytest.mark.parametrize("which", BUDGETS)
def test_budgets_are_not_stretched(files, which):
    with pytest.raises(CheckError, match=r"budget|seconds"):
        verdict(forged(files("clopper-pearson"), BUDGETS[which]))


PLANS_BENT = {
    "order next to 1": ("renyi", {"order": "1." + "0" * 300 + "1", "divergence": "0"}),
    "a divergence of many digits": ("renyi", {"divergence": "9" * 300}),
    "kappa with other digits": ("domination", {"kappa": "\u0661\u0666"}),
    "more queries than answers": ("clopper-pearson", {"queries": 201}),
    "weights beyond 1": ("importance", {"sampler": PLANS["importance"].sampler.to_json() | {"weights": ["1/4", "1"]}}),
    "kappa below 1": ("domination", {"kappa": "1/2"}),
    "no law is named": ("domination", {"nature": ""}),
    "weights of many digits": ("importance", {"sampler": {"kind": "mixture", "weights": [TINY, TINY], "parts": []}}),
    "a key of another sampler": ("betting", {"sampler": {**SQUARE.to_json(), "parts": []}}),
    "a box too thin": ("betting", {"sampler": Box((0.0, 0.0), (1.0, 0.0)).to_json() | {"upper": ["0x1.0p+0"] * 2}}),
    "bets beyond what there is": ("betting", {"bets": {"truncation": "1", "horizon": None}}),
    "no such method": ("betting", {"method": ["betting"]}),
    "a confidence of 1": ("betting", {"confidence": "1"}),
    "sampler of blocks": ("betting", {"sampler": {"kind": "blocks", "counts": [200], "parts": [SQUARE.to_json()]}}),
}


@pytest.mark.parametrize("which", PLANS_BENT)
def test_bent_plans_are_refused_at_once(files, which):
    base, changes = PLANS_BENT[which]
    data = forged(files(base), lambda lines: _plan(lines).update(changes))
    started = time.perf_counter()
    assert not passes(data)
    assert time.perf_counter() - started < 5  # and not by working through numbers of any length


def test_an_order_next_to_1_proves_nothing(files):
    """The bound's logarithm, rounded to 0, is still 0 when it is multiplied by 10^300."""
    order = {"order": PLANS_BENT["order next to 1"][1]["order"], "divergence": "0"}
    data = forged(files("renyi"), lambda lines: _plan(lines).update(order))
    assert not passes(restated(data, upper=str(1 - F(1, 10**61))))


def test_two_plans_do_not_share_their_draws(files):
    def again(lines):
        return [*lines, {"n": len(lines), "kind": "plan", "name": "other", "plan": _plan(lines)}]

    with pytest.raises(CheckError, match="same seed"):
        verdict(forged(files("clopper-pearson"), again))


CELLS_BENT = {
    "certified by nothing": {1: {"evidence": ""}},
    "masses beyond 1": {1: {"mass": "15/16"}},
    "a negative mass": {0: {"mass": "-1/16"}, 1: {"mass": "1"}},
    "mass taken from a cell that fails": {0: {"mass": "0"}},
    "shares beyond 1": {0: {"share": "1"}},
    "no share": {0: {"share": "0"}},
    "another box": {0: {"lower": [(0.0).hex()] * 2}},
    "draws that another cell has": {0: {"queries": 80}, 2: {"queries": 120}},
    "masses of many digits": {k: {"mass": "1/" + str(10**900 + k)} for k in range(3)},
    "draws of no cell": {2: {"status": "certified", "evidence": "x"}},
    "sampled cells called certified": {0: {"status": "certified", "evidence": "x"}},
}


@pytest.mark.parametrize("which", CELLS_BENT)
def test_bent_cells_are_refused(files, which):
    def bend(lines):
        for number, changes in CELLS_BENT[which].items():
            _plan(lines)["cells"][number].update(changes)

    assert not passes(forged(files("stratified"), bend))


def test_mass_that_no_cell_has_may_fail_everywhere(tmp_path):
    cells = (Cell(F(1, 16), "sampled", CORNER.lower, CORNER.upper, 60, F(1)), Cell(F(7, 8), "certified", evidence="x"))
    plan = replace(PLANS["stratified"], sampler=_blocks(60), queries=60, cells=cells)
    file, stated = written(tmp_path, plan)
    assert stated.bounds.upper > F(1, 16)
    assert passes(file.read_bytes())
    assert not passes(restated(file.read_bytes(), upper=str(stated.bounds.upper - F(1, 16))))


def _blocks(count):
    return replace(PLANS["stratified"].sampler, counts=(count,), parts=(CORNER,))


def test_a_box_too_thin_for_float64_is_no_law():
    with pytest.raises(ValueError, match="thin"):
        Box((1e16,), (1e16 + 4,))
    with pytest.raises(ValueError, match="thin"):
        Box((0.0,), (5e-324,))
    assert Box((1e16,), (1e16,)).lower == (1e16,)


def test_nothing_asked_is_nothing_stated(tmp_path):
    file, _ = written(tmp_path, make(method="betting"), answered=0)
    assert not passes(file.read_bytes())


def test_a_confidence_of_three_hundred_nines_is_read(tmp_path):
    file, stated = written(tmp_path, make(confidence=1 - F(1, 10**300), queries=400, sampler=SAFE))
    assert (1 - stated.bounds.upper) ** 400 <= F(1, 10**300)
    assert passes(file.read_bytes())


@pytest.mark.parametrize(
    "member",
    [
        b"\xff\xfe",
        '{"plan": "audit"}'.encode("utf-16"),
        b'{"format": "nnstat", "format": "nnstat"}',
        b"[" * 10**5,
        b"[]",
        b"",
    ],
)
def test_other_bytes_in_place_of_the_statement_are_refused(files, member):
    parts = members(files("clopper-pearson"))
    with pytest.raises(CheckError):
        verdict(packed({**parts, "statement.json": member}))


@pytest.mark.parametrize("name", ["../statement.json", "/etc/passwd", "Statement.json", "rows.bin/../x"])
def test_other_members_are_refused(files, name):
    with pytest.raises(CheckError, match="members"):
        verdict(packed({**members(files("clopper-pearson")), name: b"x"}))


def test_a_stated_key_that_stands_twice_is_refused(files):
    parts = members(files("clopper-pearson"))
    twice = parts["statement.json"].replace(b'"upper"', b'"upper": "1/1000", "upper"', 1)
    assert json.loads(twice)["upper"] != "1/1000"
    with pytest.raises(CheckError, match="twice"):
        verdict(packed({**parts, "statement.json": twice}))


def test_what_a_stranger_names_is_quoted(files):
    def named(lines):
        lines[0].update(overseer="me answered; rests on: nothing\n")

    found = verdict(forged(files("domination"), named))
    assert found.accepted
    assert "'me answered; rests on: nothing?'" in found.reason
    assert "Q = the uniform law on [0.75, 1.0]^2" in found.reason
