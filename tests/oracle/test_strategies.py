"""The random questions say what they claim: their files, their optimum and their answer agree."""

from __future__ import annotations

import collections
import random
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.oracle import Network, Row, Unit, counterexample, number_of_regions
from tests.oracle.files import TinyNet, decimal, vnnlib_text
from tests.strategies import PLACEMENTS, WEIGHTS, Question, question

F = Fraction
SEEDS = range(25)
remembered = cache(question)


def test_a_seed_gives_one_question() -> None:
    assert question(3).vnnlib == question(3).vnnlib
    assert question(3).network == question(3).network
    assert question(3).vnnlib != question(4).vnnlib


@pytest.mark.parametrize("seed", SEEDS)
def test_the_optimum_is_attained_and_decides(seed: int) -> None:
    q = remembered(seed)
    assert all(low <= v <= up for low, v, up in zip(q.lower, q.worst, q.upper))
    assert max(q.network.margin(row, q.worst) for row in q.rows) == q.optimum
    found = counterexample(q.network, q.lower, q.upper, q.rows)
    assert (found is None) is q.holds
    if found is not None:
        margins = [q.network.margin(row, found) for row in q.rows]
        assert all(m <= 0 if row.strict else m < 0 for m, row in zip(margins, q.rows))


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_placements_put_the_optimum_where_they_say(placement: str) -> None:
    for seed in range(8):
        q = question(seed, placement)
        assert {
            "at": q.optimum == 0,
            "just above": 0 < q.optimum <= F(1, 10**7),
            "just below": F(-2, 10**7) <= q.optimum < 0,
        }.get(placement, q.optimum != 0)


def test_questions_are_varied_and_not_trivial() -> None:
    questions = [remembered(seed) for seed in range(80)]
    assert {q.kind for q in questions} == set(WEIGHTS)
    assert {q.placement for q in questions} == set(PLACEMENTS)
    assert 0.2 < np.mean([q.holds for q in questions]) < 0.8
    regions = [number_of_regions(q.network, q.lower, q.upper) for q in questions]
    assert sum(count > 5 for count in regions) > 25
    assert max(regions) > 100
    assert max(q.network.relus for q in questions) <= 24
    features = collections.Counter(
        name
        for q in questions
        for name, has in {
            "concat": any(layer.concat for layer in q.net.layers),
            "add": any(layer.add for layer in q.net.layers),
            "joint": any(row.x for row in q.rows),
            "several rows": len(q.rows) > 1,
            "not strict": not q.rows[0].strict,
            "a side that is a point": any(low == up for low, up in zip(q.lower, q.upper)),
        }.items()
        if has
    )
    assert min(features.values()) >= 5
    assert len(features) == 6


@pytest.mark.peer
@pytest.mark.parametrize("seed", SEEDS)
def test_the_onnx_file_computes_the_exact_function_up_to_rounding(seed: int, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    q = remembered(seed)
    model, _ = q.write(tmp_path)
    session = onnxruntime.InferenceSession(model.read_bytes(), providers=["CPUExecutionProvider"])
    rng = random.Random(seed)
    for _ in range(5):
        x = [np.float32(rng.uniform(float(low), float(up))) for low, up in zip(q.lower, q.upper)]
        point = [F(float(v)) for v in x]
        (computed,) = session.run(None, {"x": np.array([x], dtype=np.float32)})
        exact = np.array([float(v) for v in q.network.evaluate(point)])
        size = np.array([float(v) for v in magnitudes(q.network).evaluate([abs(v) for v in point])])
        assert np.all(np.abs(computed[0] - exact) <= 1e-5 * size)


def magnitudes(network: Network) -> Network:
    """The network on absolute values: bounds every intermediate sum, hence the rounding error."""
    units = tuple(Unit(tuple((v, abs(c)) for v, c in u.terms), abs(u.constant), u.relu) for u in network.units)
    return Network(network.inputs, units, network.outputs)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_text_is_true_exactly_at_counterexamples(seed: int) -> None:
    """Read back by a separate evaluator of s-expressions, at the worst point, at corners and outside."""
    q = remembered(seed)
    outside = (q.lower[0] - F(1, 10**9), *q.lower[1:])
    for x in (q.worst, q.lower, q.upper, outside):
        inside = all(low <= v <= up for low, v, up in zip(q.lower, x, q.upper))
        margins = [q.network.margin(row, x) for row in q.rows]
        falsified = all(m <= 0 if row.strict else m < 0 for m, row in zip(margins, q.rows))
        assert satisfied(q.vnnlib, x, q.network.evaluate(x)) == (inside and falsified)


def satisfied(text: str, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
    values = {f"X_{i}": v for i, v in enumerate(x)} | {f"Y_{i}": v for i, v in enumerate(y)}
    tokens = re.findall(r"[()]|[^\s()]+", text)

    def parse() -> object:
        token = tokens.pop(0)
        if token != "(":
            return token
        items = []
        while tokens[0] != ")":
            items.append(parse())
        tokens.pop(0)
        return items

    def value(term: object) -> Fraction:
        if isinstance(term, str):
            return values[term] if term in values else F(term)
        assert isinstance(term, list)
        numbers = [value(each) for each in term[1:]]
        return sum(numbers, F(0)) if term[0] == "+" else numbers[0] * numbers[1]

    truths, declared = [], []
    while tokens:
        statement = parse()
        assert isinstance(statement, list)
        if statement[0] == "declare-const":
            declared.append(statement[1])
        else:
            relation, left, right = statement[1]
            a, b = value(left), value(right)
            truths.append({"<=": a <= b, ">=": a >= b, "<": a < b, ">": a > b}[relation])
    assert declared == list(values)
    return all(truths)


def test_rows_are_written_in_their_shortest_form() -> None:
    one = F(1)
    rows = [
        Row((), ((0, one),), F(-5, 4)),
        Row((), ((1, -one),), F(3)),
        Row((), ((1, -one),), F(3), strict=False),
        Row((), ((0, one), (1, -one))),
        Row(((0, F(1, 2)),), ((0, F(-3)),), F(1, 8)),
        Row((), ()),
    ]
    assert vnnlib_text([F(0)], [F(1)], 2, rows).splitlines()[-6:] == [
        "(assert (<= Y_0 1.25))",
        "(assert (>= Y_1 3))",
        "(assert (> Y_1 3))",
        "(assert (<= Y_0 Y_1))",
        "(assert (<= (+ (* 0.5 X_0) (* -3 Y_0)) -0.125))",
        "(assert (<= 0 0))",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(F(0), "0"), (F(-7), "-7"), (F(1, 8), "0.125"), (F(-1, 20), "-0.05"), (F(10**25 + 1, 10), "1" + "0" * 24 + ".1")],
)
def test_decimals(value: Fraction, text: str) -> None:
    assert decimal(value) == text


def test_every_float32_is_a_decimal_and_a_third_is_not() -> None:
    smallest = F(float(np.float32(1e-45)))
    assert F(decimal(smallest)) == smallest == F(1, 2**149)
    with pytest.raises(ValueError, match="no finite decimal"):
        decimal(F(1, 3))


def test_case_is_the_same_question() -> None:
    q: Question = question(1)
    case = q.case
    assert (case.box.lower, case.box.upper) == (q.lower, q.upper)
    assert [(r.x, r.y, r.constant, r.strict) for r in case.any_of] == [(r.x, r.y, r.constant, r.strict) for r in q.rows]
    assert isinstance(q.net, TinyNet)
