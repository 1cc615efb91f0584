"""Attacks on the checker by somebody who forges statements about relaxed checkers, ledgers and hashes included."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from tests.checker.relaxed_statements import (
    CONFIDENCE,
    NATURE,
    SQUARE,
    TAU,
    Corner,
    F,
    Near,
    Same,
    composed,
    make,
    natural_inputs,
    parts_of,
    passes,
    repacked,
    restated,
    verdict,
)
from tests.checker.statements import asking, forged
from tests.checker.statements import passes as stands
from tests.checker.statements import restated as told_anew
from tests.checker.statements import verdict as judged
from verifier.checker.errors import CheckError
from verifier.relaxed_checker.adversary import Climb
from verifier.relaxed_checker.asking import Flags, Misses, Runs
from verifier.relaxed_checker.compose import compose
from verifier.relaxed_checker.plans import calibration_plan, domination_plan, search_plan
from verifier.relaxed_checker.statements import Stated
from verifier.statistics.plan import Plan
from verifier.statistics.queries import ask_all, content_key
from verifier.statistics.sampling import Mixture, Rows, Sample, Seeds
from verifier.statistics.statement import rows_bytes, rows_hash, write_statement

RUNS = 40
DATA = natural_inputs(60)


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """The composed file, the two files it is made of, and who answered the second."""
    folder = tmp_path_factory.mktemp("honest")
    flagged, missed, misses = make(folder)
    compose(folder / "natural.nnstat", flagged, missed, misses)
    return (folder / "natural.nnstat").read_bytes(), flagged, missed, misses


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """D1: runs of an adversary that is too weak to succeed always."""
    return _stated(tmp_path_factory.mktemp("s"), _runs(), search_plan("search", RUNS, TAU, CONFIDENCE)).read_bytes()


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """A calibration on sixty rows."""
    plan = calibration_plan("missed", DATA, NATURE, CONFIDENCE)
    return _stated(tmp_path_factory.mktemp("c"), _misses(), plan, DATA).read_bytes()


def _runs(radius=0.3):
    return Runs(Near(radius), Climb(SQUARE, starts=4, rounds=1, tries=2))


def _misses(radius=0.3, tau=TAU):
    return Misses(Near(radius), Same(), Corner(), tau)


def _stated(folder, overseer, plan, data=None):
    with asking(folder / f"{plan.name}.jsonl", overseer) as queries:
        ask_all(queries, plan, lambda x: [x.tolist()], data)
    write_statement(folder / f"{plan.name}.nnstat", folder / f"{plan.name}.jsonl", plan.name, data)
    return folder / f"{plan.name}.nnstat"


def _plan(lines):
    return next(line for line in lines if line["kind"] == "plan")["plan"]


def _upper(data: bytes) -> str:
    return json.loads(parts_of(data)["composition.json"])["upper"]


BENT = {
    "a smaller bound": {"upper": "0.01"},
    "a bound a little smaller": lambda d: {"upper": str(F(_upper(d)) - F(1, 10**12))},
    "a bound below 0": {"upper": "-1"},
    "a bound above 1": {"upper": "2"},
    "a bound that is no number": {"upper": "nan"},
    "a bound as a float": {"upper": 0.5},
    "more confidence": {"confidence": "99/100"},
    "a little more confidence": {"confidence": str(F(98, 100) + F(1, 10**9))},
    "confidence of 1": {"confidence": "1"},
    "no confidence": {"confidence": "0"},
    "another level": {"tau": "1/4"},
    "a level beyond 1": {"tau": "3/2"},
    "a level in other words": {"tau": "0.5"},
    "another version": {"version": 2},
    "a version that is true": {"version": True},
    "another format": {"format": "nnstat"},
    "a key more": {"note": ""},
    "no parts": {"parts": []},
    "parts without names": {"parts": {"relaxed_checker": "near", "embedding": "same", "overseer": "corner"}},
}


@pytest.mark.parametrize("which", BENT)
def test_bent_compositions_are_refused(honest, which):
    data, change = honest[0], BENT[which]
    assert passes(data)
    assert not passes(restated(data, **(change(data) if callable(change) else change)))


@pytest.mark.parametrize("part", ["relaxed_checker", "embedding", "overseer"])
def test_the_parts_are_bound_by_their_hashes(honest, part):
    parts = json.loads(parts_of(honest[0])["composition.json"])["parts"]
    assert not passes(restated(honest[0], parts={**parts, part: "9" * 64}))


def test_members_are_what_they_are_called(honest):
    parts = parts_of(honest[0])
    flagged, missed = parts["flagged.nnstat"], parts["missed.nnstat"]
    assert not passes(repacked({**parts, "flagged.nnstat": missed, "missed.nnstat": flagged}))
    assert not passes(repacked({**parts, "missed.nnstat": flagged}))
    assert not passes(repacked({**parts, "flagged.nnstat": honest[0]}))
    assert not passes(repacked({**parts, "extra": b""}))
    assert not passes(repacked({name: part for name, part in parts.items() if name != "missed.nnstat"}))
    assert not passes(repacked(parts, zipfile.ZIP_DEFLATED))
    with pytest.raises(CheckError):
        verdict(honest[0][:-40])


def _joined(honest, flagged=None, missed=None) -> bytes:
    parts = parts_of(honest[0])
    changed = {"flagged.nnstat": flagged or parts["flagged.nnstat"], "missed.nnstat": missed or parts["missed.nnstat"]}
    return restated(repacked({**parts, **changed}), upper="1")


def test_a_refused_half_is_a_refused_whole(honest):
    assert not passes(_joined(honest, flagged=told_anew(honest[1].file.read_bytes(), upper="0.0001")))
    assert not passes(_joined(honest, missed=told_anew(honest[2].file.read_bytes(), upper="0.0001")))


class _Called:
    """Whoever answers under the hash of somebody else: always that all is well."""

    name = "somebody"

    def __init__(self, sha256):
        self.sha256 = sha256

    def ask(self, arguments, seconds):
        return 0.0


HALVES = {
    "flags of a checker that is blind": lambda: (Flags(Near(0.01)), _domination()),
    "flags at a higher level": lambda: (Flags(Near()), _domination(tau=F(3, 4))),
    "flags under another law": lambda: (Flags(Near()), _domination(nature="points anywhere")),
    "flags of the proposal itself": lambda: (
        Flags(Near()),
        Plan("flagged", SQUARE, 7, 60, CONFIDENCE, -TAU, nature=NATURE),
    ),
    "runs of an adversary": lambda: (_runs(), search_plan("flagged", RUNS, TAU, CONFIDENCE)),
    "runs called flags": lambda: (
        _Called(Flags(Near()).sha256),
        Plan("flagged", Seeds(), 0, 60, CONFIDENCE, -TAU, nature=NATURE),
    ),
    "flags of the rows of a file": lambda: (
        Flags(Near()),
        replace(_domination(), sampler=Rows(*DATA.shape, rows_hash(DATA))),
        DATA,
    ),
}


def _domination(tau=TAU, nature=NATURE):
    return domination_plan("flagged", SQUARE, 7, 60, tau, CONFIDENCE, nature, F(4))


@pytest.mark.parametrize("which", HALVES)
def test_flags_of_something_else_do_not_count(tmp_path, honest, which):
    file = _stated(tmp_path, *HALVES[which]())
    assert stands(file.read_bytes())
    assert not passes(_joined(honest, flagged=file.read_bytes()))


MISSES = {
    "misses of another relaxed checker": lambda: (_misses(0.4), _calibration()),
    "misses at another level": lambda: (_misses(tau=F(1, 4)), _calibration()),
    "misses under another law": lambda: (_misses(), _calibration(nature="points anywhere")),
    "misses on a file, drawn again and again": lambda: (
        _misses(),
        replace(_calibration(), sampler=Rows(*DATA.shape, rows_hash(DATA))),
    ),
    "misses by more than a little": lambda: (_misses(), replace(_calibration(), below=F(-1, 10))),
    "flags called misses": lambda: (Flags(Near()), replace(_calibration(), below=-F(1, 2))),
    "misses of a proposal, dominated": lambda: (
        _misses(),
        replace(_domination(), name="missed", below=F(0)),
    ),
}


def _calibration(nature=NATURE):
    return calibration_plan("missed", DATA, nature, CONFIDENCE)


@pytest.mark.parametrize("which", MISSES)
def test_misses_of_something_else_do_not_count(tmp_path, honest, which):
    overseer, plan = MISSES[which]()
    data = DATA if isinstance(plan.sampler, Rows | Sample) else None
    file = _stated(tmp_path, overseer, plan, data)
    assert stands(file.read_bytes())
    assert not passes(_joined(honest, missed=file.read_bytes()))


def test_errors_of_both_halves_add_up(tmp_path):
    data, natural = composed(tmp_path, flags=60, inputs=60, level=F(3, 4))
    assert natural.confidence == F(1, 2)
    assert passes(data)
    assert not passes(restated(data, confidence="3/4"))


def _answers(lines):
    asked = {line["n"] for line in lines if line["kind"] == "ask" and line["draw"] is not None}
    return [line for line in lines if line["kind"] == "answer" and line["to"] in asked]


def test_honest_searches_and_calibrations_stand(searched, sampled):
    assert "this is not about inputs" in judged(searched).reason
    assert f"{len(DATA)} rows" in judged(sampled).reason
    assert f"{len(DATA)} of them different" in judged(sampled).reason


def _about(line, seed):
    """A question that was about another seed; its key is that of its arguments."""
    line.update(arguments=[[float(seed).hex()]], key=content_key([[float(seed)]]))


def _skip(lines):
    for line in lines:
        if line["kind"] == "ask" and line["draw"] > 3:
            _about(line, line["draw"] + 1)


SEARCHES = {
    "a seed is left out": _skip,
    "a seed is run twice": lambda lines: _about(next(line for line in lines if line.get("draw") == 5), 4),
    "a seed that is no number of a run": lambda lines: _about(next(l for l in lines if l.get("draw") == 5), 5.5),
    "runs that speak of nature": lambda lines: _plan(lines).update(method="domination", kappa="1", nature="inputs"),
    "a divergence": lambda lines: _plan(lines).update(method="renyi", divergence="0", order="2", nature="inputs"),
    "weights": lambda lines: _plan(lines).update(method="importance"),
    "cells": lambda lines: _plan(lines).update(method="stratified"),
    "seeds from 7 on": lambda lines: _plan(lines)["sampler"].update(first=7),
    "fewer runs": lambda lines: _plan(lines).update(queries=RUNS - 1),
    "more runs": lambda lines: _plan(lines).update(queries=RUNS + 1),
    "a last run that was cut off": lambda lines: lines[:-1],
    "a lower bar": lambda lines: _plan(lines).update(below="-1"),
}  # fmt: skip


@pytest.mark.parametrize("which", SEARCHES)
def test_forged_searches_are_refused(searched, which):
    assert stands(searched)
    data = forged(searched, SEARCHES[which])
    if which == "a lower bar":  # a true statement about another event; the words say which
        assert "answer < -1]" in judged(data).reason
    else:
        assert not stands(data)


def test_seeds_that_were_tried_before_are_refused(tmp_path):
    """Look how the runs come out, then choose the level."""
    runs = _runs()
    with asking(tmp_path / "l.jsonl", runs) as queries:
        for seed in range(RUNS):
            queries.ask([[float(seed)]], "look")
        ask_all(queries, search_plan("search", RUNS, TAU, CONFIDENCE), lambda x: [x.tolist()])
    write_statement(tmp_path / "s", tmp_path / "l.jsonl", "search")
    found = judged((tmp_path / "s").read_bytes())
    assert not found.accepted
    assert "before the plan" in found.reason


ROWS = {
    "rows left out": lambda lines: _plan(lines)["sampler"].update(count=len(DATA) - 1),
    "of no law": lambda lines: _plan(lines).update(nature=""),
    "fewer than there are": lambda lines: _plan(lines).update(queries=len(DATA) - 1),
    "dominated": lambda lines: _plan(lines).update(method="domination", kappa="1"),
    "drawn again and again": lambda lines: _plan(lines)["sampler"].update(kind="rows"),
    "another file": lambda lines: _plan(lines)["sampler"].update(sha256="0" * 64),
    "another size": lambda lines: _plan(lines)["sampler"].update(count=2 * len(DATA), size=1),
    "a row asked about twice": lambda lines: next(line for line in lines if line.get("draw") == 5).update(
        {key: next(line for line in lines if line.get("draw") == 4)[key] for key in ("arguments", "key")}
    ),
}


@pytest.mark.parametrize("which", ROWS)
def test_forged_calibrations_are_refused(sampled, which):
    assert stands(sampled)
    assert not stands(forged(sampled, ROWS[which]))


def test_rows_of_another_file_are_refused(sampled):
    parts = parts_of(sampled)
    assert not stands(repacked({**parts, "rows.bin": rows_bytes(np.flip(DATA, axis=0))}))
    assert not stands(repacked({name: part for name, part in parts.items() if name != "rows.bin"}))


def test_rows_that_were_known_are_refused(tmp_path):
    """Ask about all natural inputs first; whoever has seen the answers may choose the relaxed checker by them."""
    with asking(tmp_path / "l.jsonl", _misses()) as queries:
        queries.ask([DATA[3].tolist()], "look")
        ask_all(queries, _calibration(), lambda x: [x.tolist()], DATA)
    write_statement(tmp_path / "s", tmp_path / "l.jsonl", "missed", DATA)
    assert not stands((tmp_path / "s").read_bytes())


def test_a_row_many_times_over_is_told(tmp_path):
    data = np.repeat(DATA[:1], 50, axis=0)
    found = judged(
        _stated(tmp_path, _misses(), calibration_plan("missed", data, NATURE, CONFIDENCE), data).read_bytes()
    )
    assert found.accepted
    assert "50 rows" in found.reason
    assert "1 of them different" in found.reason


def test_the_producer_refuses_what_the_checker_would(honest, tmp_path):
    flagged, missed, misses = honest[1:]
    other = Stated(flagged.file, replace(flagged.statement, plan=replace(flagged.statement.plan, nature="another")))
    with pytest.raises(ValueError, match="laws"):
        compose(tmp_path / "x", other, missed, misses)
    with pytest.raises(ValueError, match="laws or levels"):
        compose(tmp_path / "x", flagged, missed, replace(misses, tau=F(1, 4)))
    for bad in (
        lambda: Plan("p", Seeds(), 0, 5, CONFIDENCE, method="domination", kappa=F(2), nature="n"),
        lambda: Plan("p", Sample(4, 2, "0" * 64), 0, 5, CONFIDENCE, nature="n"),
        lambda: Plan("p", Sample(5, 2, "0" * 64), 0, 5, CONFIDENCE),
    ):
        with pytest.raises(ValueError, match="sample"):
            bad()


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_byte_changes_nothing_or_is_refused(tmp_path, seed):
    """Whatever is accepted after one byte was changed says the same, but for the producer's own words."""
    data, _ = composed(tmp_path, flags=30, inputs=30)
    told, rng, refused = verdict(data).reason, np.random.default_rng(seed), 0
    for _ in range(100):
        changed = bytearray(data)
        changed[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        try:
            found = verdict(bytes(changed))
        except CheckError:
            refused += 1
            continue
        if found.accepted:
            assert found.reason == told
        else:
            refused += 1
    assert refused > 80


def test_a_mixture_may_be_the_proposal(tmp_path, honest):
    """Half of the draws near the corner: the density of nature is at most 8/5 of the proposal's."""
    near = replace(SQUARE, lower=(0.5, 0.5))
    plan = domination_plan(
        "flagged", Mixture((F(1, 2), F(1, 2)), (SQUARE, near)), 7, 60, TAU, CONFIDENCE, NATURE, F(8, 5)
    )
    assert passes(_joined(honest, flagged=_stated(tmp_path, Flags(Near()), plan).read_bytes()))


def test_where_misses_are_drawn_is_told(tmp_path, honest):
    """Far from the corner nothing is missed, and the name of nature's law is the forger's to choose."""
    far = Plan("missed", replace(SQUARE, upper=(0.125, 0.125)), 5, 60, CONFIDENCE, nature=NATURE)
    found = verdict(_joined(honest, missed=_stated(tmp_path, _misses(), far).read_bytes()))
    assert found.accepted
    assert "rests on: P is the uniform law on [0.0, 0.125]^2, and in the statement of flags" in found.reason
    assert "rests on: P is a law of inputs, and" in verdict(honest[0]).reason
