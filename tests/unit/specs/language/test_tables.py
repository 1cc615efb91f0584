"""Answer tables: read exactly, and composed so that a requirement means what it says point by point."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.graph import Graph
from specs.language.spec import Spec
from specs.language.tables.tables import Seen, read_table
from specs.property import Requirement, is_counterexample
from tests.unit.specs.compose.modules import random_dense
from tests.unit.specs.language.networks import reader

TARGET = random_dense(np.random.default_rng(3), 2, 4, 2)
Read = Callable[..., Spec]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reader(tmp_path, {"target.onnx": TARGET})


def written(folder: Path, text: str) -> Path:
    (folder / "a.csv").write_text(text)
    return folder / "a.csv"


X = Seen("x", size=2)
OUT = {"bad": 0, "ok": 1}


def test_columns_in_any_order_and_exact_numbers(tmp_path: Path) -> None:
    file = written(tmp_path, 'ok, x[1],bad,x[0]\r\n0.1,2,1/3,-1e-3\r\n\r\n"5",.5,0,7\r\n0.10,2,1/3,-0.001\r\n')
    table = read_table(file, [X], OUT)
    third, tenth = Fraction(1, 3), Fraction(1, 10)
    assert table.answers == {
        (Fraction(-1, 1000), Fraction(2)): (third, tenth),
        (Fraction(7), Fraction(1, 2)): (Fraction(0), Fraction(5)),
    }
    assert table.columns == ("x[0]", "x[1]")
    assert table.sizes == (2,)


def test_several_things_seen_and_names(tmp_path: Path) -> None:
    file = written(tmp_path, "t,x.speed,x.mass,ok\n1,2,3,4\n")
    table = read_table(file, [Seen("x", ("mass", "speed"), 2), Seen("t", size=1)], {"ok": 0})
    assert table.answers == {(Fraction(3), Fraction(2), Fraction(1)): (Fraction(4),)}
    assert table.sizes == (2, 1)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        (
            "x[0],x[1],bad,ok\n1,2,0,1\n3,4,0,0\n1.0,2,0,0.5\n",
            "another answer at x[0] = 1, x[1] = 2 than line 2",
            4,
        ),
        ("x[0],bad,ok\n1,2,0\n", "has no column x[1]: x is 2 number(s)", 1),
        ("x[0],x[1],ok\n1,2,0\n", "has no column 'bad', which is one of the outputs", 1),
        ("x[0],x[1],bad,ok,oks\n1,2,0,0,0\n", "the column 'oks' is nothing the overseer sees, and no output", 1),
        ("x[0],x[1],bad,ok\n1,2,zero,1\n", "expected a number under bad, found 'zero'", 2),
        ("x[0],x[1],bad,ok\n1,2,nan,1\n", "expected a number under bad, found 'nan'", 2),
        ("x[0],x[1],bad,ok\n1,2,1\n", "has 3 values under 4 columns", 2),
        ("x[0],x[1],bad,ok\n", "has no answers", 1),
        ("x[0],x[1],bad,ok,ok\n1,2,1,1,1\n", "names the column 'ok' twice", 1),
        ('x[0],x[1],bad,ok\n1,2,1,"1\n', "is no CSV file", 2),
        ("", "has no column x[0]", 1),
    ],
)
def test_what_is_wrong_with_a_table(tmp_path: Path, text: str, message: str, line: int) -> None:
    with pytest.raises(SpecError) as caught:
        read_table(written(tmp_path, text), [X], OUT)
    assert message in str(caught.value)
    assert (caught.value.line, caught.value.file) == (line, tmp_path / "a.csv")


def spec(condition: str, points: str, more: str = "", table: str = "a.csv", x: str = "", sees: str = "x") -> str:
    return f"""certify: "1.0"
name: t
models: {{target: {{path: target.onnx}}}}
overseers:
  judge: {{table: {table}, sees: [{sees}], outputs: {{bad: 0, ok: 1}}}}
inputs:
  x: {{shape: [2], {points}{x}}}
{more}
require:
  - {{id: r, assert: "{condition}"}}
"""


def decimals(rng: random.Random) -> Fraction:
    return Fraction(rng.randrange(-20, 21), 10)


Point = tuple[Fraction, ...]


def record(folder: Path, answers: Mapping[Point, Point]) -> None:
    rows = [",".join(map(str, map(float, (*x, *answer)))) for x, answer in answers.items()]
    written(folder, "\n".join(["x[0],x[1],bad,ok", *rows]) + "\n")


def listed(points: list[Point]) -> str:
    return f"points: {[[float(v) for v in point] for point in points]}"


def failing(requirement: Requirement, pairs: list[Point]) -> list[bool]:
    """Of each point with its answers: whether some case of the problem fails there."""
    graph = requirement.problem.graph
    return [
        is_counterexample(requirement.problem, p, [Fraction(v) for v in graph.evaluate_flat([float(v) for v in p])])
        for p in pairs
    ]


def value(graph: Graph, x: Point, i: int) -> Fraction:
    return Fraction(graph.evaluate_flat([float(v) for v in x])[i])


CONDITIONS: list[tuple[str, Callable[[Point, Point], bool]]] = [
    ("judge(x).ok >= 0.5", lambda x, a: a[1] >= Fraction(1, 2)),
    ("judge(x).ok > 0.5", lambda x, a: a[1] > Fraction(1, 2)),
    (
        "implies(judge(x).bad >= 0.3, target(x)[0] >= 0.1)",
        lambda x, a: a[0] < Fraction(3, 10) or value(TARGET, x, 0) >= Fraction(1, 10),
    ),
    ("target(x)[1] + 2 * judge(x)[0] - x[1] <= 1", lambda x, a: value(TARGET, x, 1) + 2 * a[0] - x[1] <= 1),
    ("max(judge(x)) >= abs(x[0])", lambda x, a: max(a) >= abs(x[0])),
    ("argmax(judge(x)) == 1 or target(x)[0] > 0", lambda x, a: a[1] > a[0] or value(TARGET, x, 0) > 0),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "meaning"), CONDITIONS)
def test_a_requirement_fails_at_exactly_the_points_where_it_is_false(
    read: Read, tmp_path: Path, condition: str, meaning: Callable[[Point, Point], bool]
) -> None:
    rng = random.Random(condition)
    answers = {(decimals(rng), decimals(rng)): (decimals(rng), decimals(rng)) for _ in range(40)}
    answers[Fraction(0), Fraction(0)] = (Fraction(3, 10), Fraction(1, 2))
    record(tmp_path, answers)
    asked = list(answers)[10:]
    (requirement,) = read(spec(condition, listed(asked))).requirements
    pairs = [(*x, *answers[x]) for x in asked]
    wanted = [not meaning(x, answers[x]) for x in asked]
    # A requirement that reads no answer of the table is about x alone; all of these read one.
    assert failing(requirement, pairs) == wanted
    y = [requirement.problem.graph.evaluate_flat([float(v) for v in p]) for p in pairs]
    assert [requirement.is_violated_at(p, [Fraction(v) for v in out]) for p, out in zip(pairs, y)] == wanted
    # No case has room for an answer that is not the table's.
    for case in requirement.problem.cases:
        assert case.box.lower == case.box.upper
        assert case.box.lower in pairs


def test_two_questions_about_the_same_points_do_not_multiply(read: Read, tmp_path: Path) -> None:
    rng = random.Random(1)
    answers = {(Fraction(i, 8), decimals(rng)): (decimals(rng), decimals(rng)) for i in range(600)}
    mirrored = {(-a, b): answer for (a, b), answer in answers.items() if a}
    record(tmp_path, {**answers, **mirrored})
    text = spec("judge(x).ok + judge([-x[0], x[1]]).bad + target(x)[0] >= -1", listed(list(answers)))
    (requirement,) = read(text).requirements
    assert len(requirement.problem.cases) == 600
    pairs = [(*x, *answers[x], *{**answers, **mirrored}[-x[0], x[1]]) for x in answers]
    wanted = [p[3] + p[4] + value(TARGET, p[:2], 0) < -1 for p in pairs]
    assert failing(requirement, pairs) == wanted


def test_pairs_of_inputs_are_asked_about_one_by_one(read: Read, tmp_path: Path) -> None:
    """Of two inputs with x2[1] == x[1] only the pairs that agree there are points of the question."""
    rng = random.Random(2)
    points = [(Fraction(i), Fraction(i % 3)) for i in range(9)]
    answers = {x: (decimals(rng), decimals(rng)) for x in points}
    record(tmp_path, answers)
    more = f'  x2: {{shape: [2], {listed(points)}, linear: ["x2[1] == x[1]"]}}'
    (requirement,) = read(spec("judge(x).ok <= judge(x2).ok + 100 + target(x)[0]", listed(points), more)).requirements
    assert len(requirement.problem.cases) == 27
    assert requirement.problem.graph.input_size == 2 + 1 + 2 + 2


def test_what_is_asked_may_be_computed_from_inputs(read: Read, tmp_path: Path) -> None:
    written(tmp_path, "s,bad,ok\n0.3,1,0\n1.1,0,1\n")
    text = spec("judge(s).bad <= 0.5", "points: [[0.1, 0.2], [1, 0.1]]", "let: {s: 'x[0] + x[1]'}", sees="s")
    (requirement,) = read(text).requirements
    tenth = Fraction(1, 10)
    first, second = (tenth, 2 * tenth, Fraction(1), Fraction(0)), (Fraction(1), tenth, Fraction(0), Fraction(1))
    assert failing(requirement, [first, second]) == [True, False]


def test_points_are_compared_in_raw_units(read: Read, tmp_path: Path) -> None:
    record(tmp_path, {(Fraction(1, 2), Fraction(1)): (Fraction(0), Fraction(1))})
    x = ", normalize: {mean: 0.25, range: 3}"
    (requirement,) = read(spec("judge(x).ok >= target(x)[0] - 99", "points: [[0.5, 1]]", x=x)).requirements
    (case,) = requirement.problem.cases
    assert case.box.lower[:2] == (Fraction(1, 12), Fraction(1, 4))


def test_answers_hold_by_the_slack_as_outputs_do(read: Read, tmp_path: Path) -> None:
    """At least 3/10 is not at least 1/10 by 1/4; a comparison of inputs alone has no slack, and is not told to have."""
    record(tmp_path, {(Fraction(0), Fraction(0)): (Fraction(1, 10), Fraction(3, 10))})
    for slack, wrong in (("0.2", False), ("0.25", True)):
        text = spec("judge(x).ok >= 0.1", "points: [[0, 0]]").replace("assert:", f"slack: {slack}, assert:")
        (requirement,) = read(text).requirements
        assert requirement.decided != wrong
        assert requirement.slack == Fraction(slack)
        assert failing(requirement, [(Fraction(0), Fraction(0), Fraction(1, 10), Fraction(3, 10))]) == [wrong]
    (requirement,) = read(spec("x[0] <= 0", "points: [[0, 0]]").replace("assert:", "slack: 5, assert:")).requirements
    assert requirement.slack == 0


def test_answers_alone_decide_exactly(read: Read, tmp_path: Path) -> None:
    record(tmp_path, {(Fraction(0), Fraction(0)): (Fraction(1, 10), Fraction(3, 10))})
    (requirement,) = read(spec("judge(x).ok >= 0.3", "points: [[0, 0]]")).requirements
    assert requirement.decided
    assert failing(requirement, [(Fraction(0), Fraction(0), Fraction(1, 10), Fraction(3, 10))]) == [False]
    (requirement,) = read(spec("judge(x).ok >= 0.30000000000000000001", "points: [[0, 0]]")).requirements
    assert not requirement.decided
    assert failing(requirement, [(Fraction(0), Fraction(0), Fraction(1, 10), Fraction(3, 10))]) == [True]


@pytest.mark.parametrize(
    ("condition", "points", "message"),
    [
        (
            "judge(x).ok >= 0",
            "points: [[0, 0], [0.5, 1]]",
            "a.csv has no answer at x[0] = 0.5, x[1] = 1, which is asked about at the point x[0] = 0.5, x[1] = 1",
        ),
        ("judge(x).ok >= 0", "box: {lo: 0, hi: 1}", "x is no finite set: give x `points`"),
        ("judge(target(x)).ok >= 0", "points: [[0, 0]]", "target(x) is what a network computes"),
        ("judge([0, 0]).ok >= 0", "points: [[0, 0]]", "judge is called on constants only"),
        ("judge(x, x[0]).ok >= 0", "points: [[0, 0]]", "judge sees x[0], x[1] (2 number(s)), but is called on 2 and 1"),
        ("tap(judge, relu1)(x)[0] >= 0", "points: [[0, 0]]", "judge is an answer table and has no layers"),
        ("lipschitz(judge, norm=inf) <= 1", "points: [[0, 0]]", "judge is an answer table, which has no derivative"),
        ("judge(x).fine >= 0", "points: [[0, 0]]", "no element is called 'fine' (names are bad, ok)"),
        ("judge(x).ok * target(x)[0] >= 0", "points: [[0, 0]]", "nonlinear"),
    ],
)
def test_what_a_table_does_not_answer_is_told_with_its_place(
    read: Read, tmp_path: Path, condition: str, points: str, message: str
) -> None:
    record(tmp_path, {(Fraction(0), Fraction(0)): (Fraction(0), Fraction(1))})
    with pytest.raises(SpecError) as caught:
        read(spec(condition, points))
    assert message in str(caught.value)
    assert "s.yaml:10:" in str(caught.value)


def test_what_is_wrong_with_the_section(read: Read, tmp_path: Path) -> None:
    record(tmp_path, {(Fraction(0), Fraction(0)): (Fraction(0), Fraction(1))})
    good = spec("judge(x).ok >= 0", "points: [[0, 0]]")
    for old, new, message in [
        (", sees: [x]", "", "give sees, as in [x]"),
        (", outputs: {bad: 0, ok: 1}", "", "give outputs, as in {ok: 0}"),
        ("ok: 1}", "ok: 2}", "expected the places 0, 1 and so on, each once"),
        ("table: a.csv", "table: b.csv", "there is no file"),
        ("table: a.csv", f"table: {{path: a.csv, sha256: '{'0' * 64}'}}", "it is another file than the one meant"),
        ("table: a.csv", "table: a.csv, network: {path: target.onnx}", "has several ways to judge"),
        ("table: a.csv", "table: {path: a.csv, interpolate: cubic}", "expected '' or 'linear', found 'cubic'"),
    ]:
        with pytest.raises(SpecError) as caught:
            read(good.replace(old, new))
        assert message in str(caught.value)
        assert "overseers.judge" in str(caught.value)


def test_errors_of_a_table_are_not_known_to_carry_over(read: Read, tmp_path: Path) -> None:
    record(tmp_path, {(Fraction(0), Fraction(0)): (Fraction(0), Fraction(1))})
    found = read(spec("judge(x).ok + target(x)[0] >= -9", "points: [[0, 0]]")).requirements[0]
    assert found.sensitivity == {"judge": None}
    found = read(spec("target(x)[0] >= -9", "points: [[0, 0]]", "let: {g: judge(x)}")).requirements[0]
    assert found.sensitivity == {}
    assert found.inputs.name == "x"


def test_lint_says_what_it_is(read: Read, tmp_path: Path) -> None:
    record(tmp_path, {(Fraction(0), Fraction(0)): (Fraction(0), Fraction(1))})
    told = read(spec("judge(x).ok >= 0", "points: [[0, 0]]")).describe()
    assert "judge (a.csv): answers at 1 point and nothing else; sees x[0], x[1]; outputs bad, ok" in told
    assert "for all x, judge(x) together" in told


LINES = "t,bad,ok\n0,1,0\n1,2,0.5\n-2,0,4\n4,2.75,-1\n"


def along(t: Fraction) -> tuple[Fraction, Fraction]:
    """The broken lines through the points of LINES, by their definition."""
    known = [(-2, (0, 4)), (0, (1, 0)), (1, (2, Fraction(1, 2))), (4, (Fraction(11, 4), -1))]
    for (a, left), (b, right) in pairwise(known):
        if a <= t <= b:
            return tuple(Fraction(u) + (Fraction(v) - u) * (t - a) / (b - a) for u, v in zip(left, right))
    raise AssertionError


def interpolated(condition: str, box: str, t: str = "x[0]") -> str:
    return spec(condition, f"box: {box}", f"let: {{t: '{t}'}}", "{path: a.csv, interpolate: linear}", sees="t")


@pytest.mark.parametrize("place", [0, 1])
def test_interpolation_is_the_broken_line(read: Read, tmp_path: Path, place: int) -> None:
    written(tmp_path, LINES)
    found = read(interpolated(f"judge(x[0])[{place}] >= 0", "{lo: -2, hi: 4}"))
    (requirement,) = found.requirements
    (case,) = requirement.problem.cases
    (row,) = case.any_of
    for i in range(-128, 257):
        y = requirement.problem.graph.evaluate_flat([i / 64, 0.5])
        assert row.constant + sum(c * Fraction(y[k]) for k, c in row.y) == along(Fraction(i, 64))[place]
    assert "that judge is linear between the points of a.csv" in found.does_not_say
    assert requirement.sensitivity == {"judge": 1}


@pytest.mark.parametrize(
    ("rows", "call", "box", "message"),
    [
        (LINES, "x[0]", "{lo: -3, hi: 4}", "but x[0] can be anything in [-3, 4]; ask it about clip(x[0], -2, 4)"),
        (LINES, "target(x)[0]", "{lo: -2, hi: 4}", "but target(x)[0] can be any number"),
        (LINES, "x[0]", "{lo: 0, hi: 1}, normalize: {mean: 0.25, range: 0.5}", "interpolates answers in raw units"),
        (LINES, "x", "{lo: -2, hi: 4}", "judge sees t (1 number(s)), but is called on 2"),
        ("t,bad,ok\n0,0,0\n3,1,0\n", "x[0]", "{lo: 0, hi: 1}", "cannot be interpolated exactly: 0.333333333333"),
        ("t,bad,ok\n0,0,0\n", "x[0]", "{lo: 0, hi: 1}", "there is only one point: no line can be drawn"),
    ],
)  # fmt: skip
def test_where_lines_cannot_be_drawn(read: Read, tmp_path: Path, rows: str, call: str, box: str, message: str) -> None:
    written(tmp_path, rows)
    with pytest.raises(SpecError) as caught:
        read(interpolated(f"judge({call}).ok >= 0", box))
    assert message in str(caught.value)


def test_outputs_within_the_range_may_be_asked_about(read: Read, tmp_path: Path) -> None:
    written(tmp_path, LINES)
    text = interpolated("judge(t).bad >= 0", "{lo: -1, hi: 1}", "clip(target(x)[0], -2, 4)")
    (requirement,) = read(text).requirements
    (case,) = requirement.problem.cases
    (row,) = case.any_of
    for x in np.random.default_rng(0).uniform(-1, 1, (500, 2)):
        y = requirement.problem.graph.evaluate_flat(x)
        t = min(max(value(TARGET, tuple(x), 0), Fraction(-2)), Fraction(4))
        found = float(row.constant + sum(c * Fraction(y[k]) for k, c in row.y))
        assert found == pytest.approx(float(along(t)[0]), abs=1e-12)  # float64 rounds within the composed network


def test_examples_with_their_labels(read: Read, tmp_path: Path) -> None:
    """Examples of a data file, told apart by label as well: each point with its own answer and its own label."""
    rng = random.Random(5)
    answers = {(Fraction(i, 8), Fraction(i * i % 7, 8)): (decimals(rng), decimals(rng)) for i in range(24)}
    record(tmp_path, answers)
    labels = [rng.randrange(2) for _ in answers]
    np.savez(tmp_path / "d.npz", inputs=np.array([[float(v) for v in x] for x in answers]), labels=np.array(labels))
    text = spec("argmax(target(x)) == label(x) or judge(x).ok >= 0.3", "points: {dataset: d.npz}")
    (requirement,) = read(text).requirements
    wanted = [
        not (value(TARGET, x, label) > value(TARGET, x, 1 - label) or answers[x][1] >= Fraction(3, 10))
        for x, label in zip(answers, labels)
    ]
    assert failing(requirement, [(*x, *answers[x]) for x in answers]) == wanted
    assert any(wanted)
    assert not all(wanted)


def test_a_parameter_is_solved_for_beside_a_table(read: Read, tmp_path: Path) -> None:
    record(tmp_path, {(Fraction(0), Fraction(0)): (Fraction(0), Fraction(1))})
    sought = ", solve_for: {t: {maximize: true, range: [-10, 10]}}"
    text = spec("judge(x).ok + target(x)[0] >= t", "points: [[0, 0]]").replace('t"}', f't"{sought}}}')
    (requirement,) = read(text).requirements
    assert requirement.solved is not None
    assert requirement.solved.effect == "harder"
