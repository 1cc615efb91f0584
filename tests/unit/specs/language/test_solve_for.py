"""Parameters to be found: what a larger value does, how they are bound, and what may not be asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specs.errors import SpecError
from specs.language.load_spec import load_spec
from specs.language.spec import Spec
from specs.property import Requirement, is_counterexample
from tests.unit.specs.compose.modules import random_dense

NETWORK = random_dense(np.random.default_rng(5), 2, 4, 2)
Read = Callable[..., Spec]

SPEC = """certify: "1.0"
name: sought
models: {f: {path: f.onnx}}
inputs:
  x: {shape: [2], SETS}
  x2: {shape: [2], box: {lo: -1, hi: 1}}
LET
require:
  - id: r
    assert: "CONDITION"
MORE    solve_for: {t: {DIRECTION: true, range: [1/8, 2], resolution: 1/100}}
"""
BOX = "box: {lo: -1, hi: 1}"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def load(
        condition: str, direction: str = "minimize", sets: str = BOX, more: str = "", let: str = "", **values: str
    ) -> Spec:
        text = SPEC.replace("CONDITION", condition).replace("DIRECTION", direction).replace("SETS", sets)
        path = tmp_path / "s.yaml"
        path.write_text(text.replace("MORE", more).replace("LET", let))
        return load_spec(path, parameters=values, load=lambda file, **options: NETWORK)

    return load


EASIER = [
    ("f(x)[0] <= t", 1),
    ("f(x)[0] - 3 * t < 0", 3),
    ("norm(f(x) - f(x2), inf) <= t", 1),
    ("abs(f(x)[0]) <= 2 * t + x[0]", 2),
    ("f(x)[0] <= t or f(x)[1] <= t", 1),
    ("-t <= f(x)[0] <= t", 1),
    ("not (f(x)[0] > t)", 1),
    ("implies(f(x)[0] >= t, f(x)[1] >= 0)", 1),
    ("f(x)[0] <= t and f(x)[1] <= 2 * t", 0),
    ("max(f(x)[0], f(x)[1] - t) <= t / 2", 0),
    ("argmax(f(x)) == 0 or f(x)[1] <= t", 1),
]
HARDER = [("f(x)[0] >= t", 1), ("margin(f(x), 0) >= t / 2", Fraction(1, 2)), ("f(x)[0] <= max(-t, -2 * t)", 0)]
UNKNOWN = ["abs(f(x)[0] - t) <= 1", "t * f(x)[0] <= 1", "f(x)[0] <= t * t", "f(x)[0] == t", "f(x + [t, 0])[0] <= 1"]


@pytest.mark.parametrize(("condition", "rate"), EASIER)
def test_a_larger_value_makes_it_easier(read: Read, condition: str, rate: Fraction) -> None:
    solved = read(condition).requirements[0].solved
    assert solved is not None
    assert (solved.effect, solved.rate) == ("easier", rate)
    assert solved.is_monotone


@pytest.mark.parametrize(("condition", "rate"), HARDER)
def test_a_larger_value_makes_it_harder(read: Read, condition: str, rate: Fraction) -> None:
    solved = read(condition, "maximize").requirements[0].solved
    assert solved is not None
    assert (solved.effect, solved.rate) == ("harder", rate)


@pytest.mark.parametrize("condition", UNKNOWN)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_no_order_is_claimed_where_none_follows(read: Read, condition: str, direction: str) -> None:
    solved = read(condition, direction).requirements[0].solved
    assert solved is not None
    assert not solved.is_monotone


@pytest.mark.parametrize(
    ("sets", "more", "direction"),
    [
        ('box: {lo: -1, hi: "$t"}', "", "maximize"),
        ('box: {lo: [-1, -1], hi: [1, "$t"]}', "", "maximize"),
        ('box: {lo: "$t", hi: 3}', "", "minimize"),
        ('ball: {norm: inf, eps: "$t", center: 0}', "", "maximize"),
        ('ball: {norm: 2, eps: "$t", center: 0}', "", "maximize"),
        (BOX, '    where: "norm(x, inf) <= t"\n', "maximize"),
        (BOX, '    where: "x[0] >= t - 1"\n', "minimize"),
    ],
)
def test_sets_that_grow_or_shrink(read: Read, sets: str, more: str, direction: str) -> None:
    solved = read("f(x)[0] <= 1", direction, sets, more).requirements[0].solved
    assert solved is not None
    assert solved.is_monotone
    assert solved.rate == 0


@pytest.mark.parametrize("sets", ['ball: {norm: inf, eps: 1, center: "$t"}', 'box: {lo: "$t", hi: "$t"}'])
def test_sets_that_move(read: Read, sets: str) -> None:
    solved = read("f(x)[0] <= 1", "maximize", sets).requirements[0].solved
    assert solved is not None
    assert solved.effect == "unknown"


@pytest.mark.parametrize("sets", ['box: {lo: 0, hi: "1/$t"}', 'ball: {norm: inf, eps: "1/${t}", center: 0}'])
def test_a_number_that_contains_the_parameter_may_shrink_with_it(read: Read, sets: str) -> None:
    solved = read("f(x)[0] <= 1", "minimize", sets).requirements[0].solved
    assert solved is not None
    assert solved.effect == "unknown"


def unsafe(requirement: Requirement, x: list[Fraction], y: list[Fraction]) -> bool:
    return is_counterexample(requirement.problem, x, y)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_order_holds_at_random_points_and_values(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Where a larger value is said to make it easier, no point is a violation for it that is none for a smaller one."""
    cases = [(c, "minimize", 1) for c, _ in EASIER] + [(c, "maximize", -1) for c, _ in HARDER]
    condition, direction, sign = data.draw(st.sampled_from(cases))
    path = tmp_path_factory.mktemp("order") / "s.yaml"
    text = SPEC.replace("CONDITION", condition).replace("DIRECTION", direction).replace("SETS", BOX)
    path.write_text(text.replace("MORE", "").replace("LET", ""))
    low, high = sorted(data.draw(st.tuples(*[st.integers(13, 200)] * 2)))
    problems = [
        load_spec(path, parameters={"t": f"{v}/100"}, load=lambda file, **options: NETWORK).requirements[0]
        for v in (low, high)
    ]
    size, outputs = problems[0].problem.graph.input_size, problems[0].problem.graph.output_size
    eighths = st.integers(-16, 16).map(lambda n: Fraction(n, 8))
    x = data.draw(st.lists(eighths, min_size=size, max_size=size))
    y = data.draw(st.lists(eighths, min_size=outputs, max_size=outputs))
    easier, harder = (problems[1], problems[0]) if sign > 0 else problems
    assert not unsafe(easier, x, y) or unsafe(harder, x, y)
    for one in problems:
        assert one.is_violated_at(x, y) == unsafe(one, x, y)


def test_values_are_bound_in_let_and_given_on_the_command_line(read: Read) -> None:
    let = 'let: {d: "f(x)[0] - t"}'
    (at_end,) = read("d <= 0", let=let).requirements
    assert at_end.solved is not None
    assert (at_end.solved.value, at_end.solved.given, at_end.solved.effect) == (2, False, "easier")
    assert at_end.problem.cases[0].any_of[0].constant == 2
    (given_one,) = read("d <= 0", let=let, t="1/3").requirements
    assert given_one.solved is not None
    assert (given_one.solved.value, given_one.solved.given) == (Fraction(1, 3), True)
    assert given_one.problem.cases[0].any_of[0].constant == Fraction(1, 3)


def test_words(read: Read) -> None:
    assert (
        "for the smallest t in [0.125, 2], within 0.01: a larger t only makes it easier"
        in read("f(x)[0] <= t").describe()
    )
    assert "does not follow from its form" in read("abs(f(x)[0] - t) <= 1").describe()
    assert "with t = 0.5, as given" in read("f(x)[0] <= t", t="0.5").describe()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"condition": "f(x)[0] <= 1"}, "11:20: require[0].solve_for.t: does not occur in this requirement"),
        (
            {"condition": "f(x)[0] >= t"},
            "the smallest value is an end of the range, since larger ones only make it har",
        ),
        ({"condition": "f(x)[0] <= t", "t": "5"}, "5, given for it, lies outside the range [0.125, 2]"),
        ({"condition": "f(x)[0] <= t", "t": "much"}, "'much', given for it, is no number"),
        ({"condition": "f(x)[0] <= t", "let": "let: {t: x}"}, "'t' already names let.t"),
    ],
)
def test_mistakes_are_located(read: Read, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ('  - {id: s, assert: "f(x2)[0] <= t"}', "t is solved for by r, and may be used there only"),
        ('  - {id: s, assert: "f(x)[0] <= 1"}', "is about x as well, which changes with t"),
        (
            '  - {id: s, assert: "f(x2)[0] <= t", solve_for: {t: {minimize: true}}}',
            "r solves for t already; choose another name",
        ),
    ],
)
def test_a_parameter_belongs_to_one_requirement(tmp_path: Path, other: str, message: str) -> None:
    path = tmp_path / "s.yaml"
    text = SPEC.replace("CONDITION", "f(x)[0] <= 1").replace("DIRECTION", "maximize").replace("LET", "")
    path.write_text(text.replace("MORE", "").replace("SETS", 'box: {lo: -1, hi: "$t"}') + other + "\n")
    with pytest.raises(SpecError, match=re.escape(message)):
        load_spec(path, load=lambda file, **options: NETWORK)


def test_nor_may_others_be_about_inputs_that_change_with_it(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    text = SPEC.replace("CONDITION", "f(x)[0] <= 1").replace("DIRECTION", "maximize").replace("LET", "")
    text = text.replace("MORE", "").replace("SETS", f'{BOX}, linear: "x[0] <= t"')
    path.write_text(text)
    (requirement,) = load_spec(path, load=lambda file, **options: NETWORK).requirements
    assert requirement.solved is not None
    assert requirement.solved.effect == "harder"
    path.write_text(text + '  - {id: s, assert: "f(x)[0] <= 1"}\n')
    with pytest.raises(SpecError, match="is about x as well, which changes with t"):
        load_spec(path, load=lambda file, **options: NETWORK)


def test_gates_name_what_is_solved_for(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    text = SPEC.replace("CONDITION", "f(x)[0] <= t").replace("DIRECTION", "minimize").replace("LET", "")
    path.write_text(text.replace("MORE", "").replace("SETS", BOX) + "gate: {max: {r.u: 1}}\n")
    with pytest.raises(SpecError, match=re.escape("gate.max: 'r.u' is not solved for (r.t)")):
        load_spec(path, load=lambda file, **options: NETWORK)
