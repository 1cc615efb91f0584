"""What is timed is what it claims to be, and what is said about it is what was measured."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.cli import main
from bench.micro import alpha, bounds, search
from bench.micro.budget import Budget
from bench.micro.questions import Question, question
from bench.micro.timing import FEWEST, Measurement, measured, seconds_per_call
from relaxations.bounds.boxes import BoxBounder
from relaxations.lowering import lower
from specs.errors import UnsupportedOpError

SHORT = Budget(call_seconds=0.01, search_seconds=1.0, searches=1)
SMALL = "dense-5-50x6"


def test_seconds_per_call_are_those_of_each_call_but_the_first() -> None:
    calls = []

    def call() -> None:
        calls.append(None)
        time.sleep(0.3 if len(calls) == 1 else 0.02)

    values = seconds_per_call(call, budget=0.2)
    assert len(calls) == len(values) + 1
    assert FEWEST <= len(values) <= 10
    assert min(values) >= 0.02
    assert sorted(values)[len(values) // 2] < 0.2


def test_a_slow_call_is_repeated_all_the_same() -> None:
    assert len(seconds_per_call(lambda: time.sleep(0.02), budget=1e-9)) == FEWEST


def test_median_and_quartiles() -> None:
    each = measured("b", "n", 1, "s", [5.0, 1.0, 4.0, 2.0, 3.0])
    assert (each.low, each.median, each.high, each.calls) == (2.0, 3.0, 4.0, 5)
    alone = measured("b", "n", 1, "s", [7.0])
    assert (alone.low, alone.median, alone.high, alone.calls) == (7.0, 7.0, 7.0, 1)


def test_slices_fill_the_box() -> None:
    low, up = bounds.slices(np.array([0.0, -1.0]), np.array([2.0, 1.0]), 4)
    assert low[:, 0].tolist() == [0.0, 0.5, 1.0, 1.5]
    assert up[:, 0].tolist() == [0.5, 1.0, 1.5, 2.0]
    assert (low[:, 1] == -1).all()
    assert (up[:, 1] == 1).all()


@pytest.mark.parametrize("name", [SMALL, "dense-784-256x4", "conv", "residual"])
def test_the_alpha_step_gives_the_bound_of_the_pass(name: str) -> None:
    """Its starting slopes are CROWN's, and the intermediate bounds are the same: so are the results."""
    asked = question(name)
    network = lower(asked.graph)
    low, up = asked.box
    crown = BoxBounder(network, asked.rows).bounds(low[None], up[None]).lower[0, 0]
    step = alpha.root_step(network, asked, 3)()
    assert step.bound == pytest.approx([crown] * 3)
    assert crown < 0  # there is something to search for


def test_passes_are_measured_on_one_and_on_many() -> None:
    asked = question(SMALL)
    best = BoxBounder(lower(asked.graph), asked.rows).boxes_at_once
    for module, name, batches in ((bounds, "bounds", [1, best]), (alpha, "alpha", list(alpha.BATCHES))):
        found = list(module.measure(asked, SHORT))
        assert [(each.benchmark, each.network, each.batch, each.unit) for each in found] == [
            (name, SMALL, batch, "s") for batch in batches
        ]
        assert all(0 < each.low <= each.median <= each.high < 10 for each in found)


def test_a_search_is_measured_through_the_public_interface() -> None:
    started = time.perf_counter()
    (each,) = search.measure(question(SMALL), Budget(search_seconds=3.0, searches=1))
    assert time.perf_counter() - started < 10
    assert (each.benchmark, each.unit, each.calls) == ("search", "domains/s", 1)
    assert each.median is not None
    assert each.median > 1
    assert each.note.split()[0] in ("certified", "unknown")


def test_domains_per_second_are_nodes_by_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = iter([{"nodes": 300, "seconds": 1.5}, {"nodes": 100, "seconds": 1.0}, {"nodes": 0, "seconds": 1.0}])

    def certify(model: Path, query: Path, **options: object) -> object:
        assert model.stat().st_size > 0
        assert "(declare-const X_0 Real)" in query.read_text(encoding="utf-8")
        outcome = SimpleNamespace(verdict="unknown", reason=f"seed {options['seed']}", stats=next(stats))
        return SimpleNamespace(requirements=[SimpleNamespace(outcome=outcome)])

    monkeypatch.setattr(search, "certify", certify)
    (each,) = search.measure(question(SMALL), Budget(searches=3))
    assert (each.median, each.low, each.high, each.calls) == (150.0, 125.0, 175.0, 2)
    assert each.note == "unknown seed 0, unknown seed 1, unknown seed 2"


def test_a_question_that_is_easy_says_so() -> None:
    easy = replace(question(SMALL), threshold=question(SMALL).threshold - 1000)
    (each,) = search.measure(easy, Budget(search_seconds=10.0, searches=1))
    assert each.note == "certified"


def run(*options: str) -> int:
    return main(["micro", "--seconds", "0.01", "--networks", SMALL, *options])


def test_the_table_and_both_files_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = tmp_path / "m.json", tmp_path / "m.csv"
    assert run("--only", "alpha", "-q", "--json", str(files[0]), "--csv", str(files[1])) == 0
    record = json.loads(files[0].read_text(encoding="utf-8"))
    with files[1].open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [each["batch"] for each in record["measurements"]] == [1, 32]
    assert [{name: str(value) for name, value in each.items()} for each in record["measurements"]] == rows
    assert record["machine"]
    assert record["versions"]["numpy"] == np.__version__
    assert record["threads"]["OPENBLAS_NUM_THREADS"] == "1"
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.split()[:3] for line in lines[2:]] == [["alpha", SMALL, "1"], ["alpha", SMALL, "32"]]
    assert f"{float(rows[0]['median']):.4g}" in lines[2]
    assert printed.err == ""


def test_what_cannot_be_lowered_is_a_line_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(asked: Question, budget: Budget) -> Iterator[Measurement]:
        yield measured("bounds", asked.name, 1, "s", [0.5])
        raise UnsupportedOpError([("Conv", "first")])

    monkeypatch.setattr(bounds, "measure", measure)
    assert run("--only", "bounds,alpha") == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert len(lines) == 4
    assert "unsupported operator(s): Conv at node 'first'" in lines[1]


def test_an_interrupt_keeps_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(asked: Question, budget: Budget) -> Iterator[Measurement]:
        yield measured("bounds", asked.name, 1, "s", [0.5])
        raise KeyboardInterrupt

    monkeypatch.setattr(bounds, "measure", measure)
    assert run("--only", "bounds,alpha") == 130
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "bounds,beta,gamma"], ["beta, gamma", "bounds, alpha, search"]),
        (["--networks", "dense,conv"], ["dense", "residual"]),
        (["--seconds", "0"], ["positive"]),
        (["--json", "/no/such/folder/m.json"], ["/no/such/folder"]),
    ],
)
def test_usage_errors_exit_2_and_measure_nothing(
    options: list[str], said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*options) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [part for part in said if part not in printed.err] == []
    assert "..." not in printed.err
