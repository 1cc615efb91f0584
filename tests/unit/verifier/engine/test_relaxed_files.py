"""What the engine hands over passes validation against the model, whichever search it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from relaxations.bounds.boxes import Rows
from specs.problem import Box
from tests.unit.verifier.engine.made import made
from tests.unit.verifier.engine.made_phases import Asked, asked, go_on, started
from verifier.engine.outcome import RelaxedAttack
from verifier.engine.phases.group import Group
from verifier.engine.phases.search import PhaseSearch
from verifier.engine.relaxed import (
    MOST_NEURONS,
    TOO_MANY,
    relaxed_attack,
    relaxed_attack_by_intervals,
    relaxed_attack_by_phases,
)
from verifier.relaxed.contents import File, Outputs, RelaxedFile
from verifier.relaxed.validate import Subject, Validation, validate

SEEDS = range(400, 440)


def judged(found: RelaxedAttack, subject: Subject) -> Validation:
    action = found.action
    here = File("0" * 64, "")
    attack = RelaxedFile(
        action.relaxation,
        found.case,
        action.lower,
        action.upper,
        action.rows,
        action.score,
        action.content,
        here,
        here,
        action.splits,
        action.weights,
        action.tolerance,
    )
    return validate(attack, subject)


def exact(lower: np.ndarray, upper: np.ndarray) -> Box:
    from fractions import Fraction

    return Box(tuple(map(Fraction, lower.tolist())), tuple(map(Fraction, upper.tolist())))


@pytest.mark.parametrize("how", [relaxed_attack, relaxed_attack_by_intervals])
def test_of_a_search_over_boxes(how, tmp_path: Path) -> None:
    stood = 0
    for seed in SEEDS:
        one = made(seed, tmp_path)
        found = how([one.case()])
        if found is None or found.action is None:
            continue
        subject = Subject(one.explorer.network, one.explorer.rows, exact(one.lower, one.upper))
        checked = judged(found, subject)
        assert checked.valid, checked.checks
        assert checked.score == pytest.approx(-found.bound)
        assert checked.real == pytest.approx(-found.value)
        stood += 1
    assert stood >= 10


def subject_of(one: Asked) -> Subject:
    network, size = one.lowered, len(one.lower)
    (rows,) = one.cases
    x, y = np.zeros((len(rows), size)), np.zeros((len(rows), len(one.network.outputs)))
    for r, row in enumerate(rows):
        for matrix, terms in ((x, row.x), (y, row.y)):
            for i, value in terms:
                matrix[r, i] = float(value)
    return Subject(network, Rows(x, y, np.array([float(row.constant) for row in rows])), Box(one.lower, one.upper))


def unproved(tmp_path: Path) -> Iterator[tuple[Asked, PhaseSearch]]:
    """Questions whose search over phases is not at its end after a few nodes."""
    for seed in range(60):
        one = asked(seed, tmp_path)
        search = go_on(started(one), nodes=4)
        if search.unproved:
            yield one, search


def test_of_a_search_over_phases(tmp_path: Path) -> None:
    stood = split = 0
    for one, search in unproved(tmp_path):
        found = relaxed_attack_by_phases([Group((0,), {0: search})])
        assert found.bound <= 0 or found.action is None
        if found.action is None:
            continue
        checked = judged(found, subject_of(one))
        assert checked.valid, checked.checks
        assert checked.score == pytest.approx(-found.bound, rel=1e-6, abs=1e-6)
        assert checked.real == pytest.approx(-found.value, rel=1e-6, abs=1e-6)
        stood += 1
        split += bool(found.action.splits)
    assert stood >= 10
    assert split >= 3


def test_units_of_large_networks_are_left_out_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_NEURONS >= 100_000
    monkeypatch.setattr("verifier.engine.relaxed.MOST_NEURONS", 0)
    told = 0
    for one in (made(seed, tmp_path) for seed in SEEDS):
        found = relaxed_attack([one.case()])
        if found.action is None:
            continue
        assert isinstance(found.action.content, Outputs)
        assert found.action.note == TOO_MANY
        checked = judged(found, Subject(one.explorer.network, one.explorer.rows, exact(one.lower, one.upper)))
        assert checked.valid, checked.checks
        assert checked.score == pytest.approx(-found.bound)
        told += bool(found.exploits)
    assert told >= 5
