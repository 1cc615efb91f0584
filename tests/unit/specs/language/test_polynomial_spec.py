"""Specifications about polynomials: what they mean, and what is said about those that mean nothing."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import pytest

from specs.errors import SpecError
from specs.language.polynomials.spec import is_polynomial_spec, read_polynomial_spec

HEAD = 'certify: "1.0"\nname: test\ninputs:\n  x: {shape: [2], box: {lo: -2, hi: [1, 3]}}\n'


def spec(path: Path, text: str, head: str = HEAD):
    file = path / "spec.yaml"
    file.write_text(head + text)
    return read_polynomial_spec(file, {})


def requiring(path: Path, condition: str, more: str = ""):
    return spec(path, f'let:\n  p: "x[0]**2 - x[1]"\nrequire:\n  - id: r\n    assert: "{condition}"\n{more}')


POINTS = [(Fraction(a, 4), Fraction(b, 4)) for a in range(-8, 5) for b in range(-8, 13)]

MEANINGS = {
    "p >= 0": lambda x, y: x * x - y >= 0,
    "p > 0": lambda x, y: x * x - y > 0,
    "x[0]*x[1] < 0.5 or p == 0": lambda x, y: x * y < Fraction(1, 2) or x * x == y,
    "implies(0 < p and p <= 1, -x[0] + 2*(x[1] - 1) > 3/2)": lambda x, y: (
        not 0 < x * x - y <= 1 or -x + 2 * (y - 1) > Fraction(3, 2)
    ),
    "iff(x[0] > 0, x[1] > 0)": lambda x, y: (x > 0) == (y > 0),
    "not (x[0] != x[1])": lambda x, y: x == y,
    "0 <= x[0]**3 < x[1] / 2": lambda x, y: 0 <= x**3 < y / 2,
    "sum(x) != 1": lambda x, y: x + y != 1,
    "x[-1] >= 0": lambda x, y: y >= 0,
    "true": lambda x, y: True,
    "1 > 2": lambda x, y: False,
}


@pytest.mark.parametrize("condition", MEANINGS)
def test_a_condition_is_violated_exactly_where_python_says(tmp_path, condition):
    problem = requiring(tmp_path, condition).questions[0].problem()
    assert problem.lower == (-2, -2)
    assert problem.upper == (1, 3)
    for point in POINTS:
        assert (problem.violated(point) is not None) == (not MEANINGS[condition](*point)), point


def test_where_and_linear_are_part_of_the_set(tmp_path):
    head = HEAD.replace("hi: [1, 3]}", 'hi: [1, 3]}, linear: "x[0] >= 0"')
    text = 'require:\n  - id: r\n    assert: "x[0] < 0"\n    where: "x[1] > x[0]"\n'
    problem = spec(tmp_path, text, head).questions[0].problem()
    assert problem.violated((Fraction(1), Fraction(2))) == 0
    assert problem.violated((Fraction(1), Fraction(1))) is None
    assert problem.violated((Fraction(-1), Fraction(2))) is None


def test_a_parameter_is_a_number_once_it_has_a_value(tmp_path):
    text = "    solve_for: {rho: {maximize: true, range: [0.0, 8/2], resolution: 0.01}}\n"
    question = requiring(tmp_path, "p + rho**2 >= 0", text).questions[0]
    assert question.unknown.maximize
    assert (question.unknown.lower, question.unknown.upper) == (0, 4)
    assert question.unknown.step == Fraction(1, 1000)
    assert question.problem(Fraction(1)).violated((Fraction(0), Fraction(1))) is None
    assert question.problem(Fraction(1)).violated((Fraction(0), Fraction(2))) == 0
    assert all(max(p.variables, default=0) < 2 for case in question.problem(Fraction(1)).cases for p in case.all)


def test_numbers_are_exact_decimals(tmp_path):
    problem = requiring(tmp_path, "x[0] >= 0.1").questions[0].problem()
    assert problem.violated((Fraction(1, 10), Fraction(0))) is None
    assert problem.violated((Fraction(1, 10) - Fraction(1, 10**30), Fraction(0))) == 0


def test_methods_gates_and_their_options(tmp_path):
    read = requiring(
        tmp_path,
        "p + rho >= 0",
        "    solve_for: {rho: {minimize: true, range: [0, 1]}}\n"
        "engine:\n  methods: [sos, {sample: {starts: 3}}]\n  budget: {seconds: 7}\n"
        "  extract_attack: {flat_tolerance: 0.01}\n"
        "gate: {max: {r.rho: 0.5}}\n",
    )
    assert read.methods.sos.degree == 4
    assert read.methods.sample.starts == 3
    assert read.seconds == 7
    assert read.extract.flat_tolerance == Fraction(1, 100)
    assert read.gates.at_most == {("r", "rho"): Fraction(1, 2)}


FAULTS = {
    "x[2] > 0": "x[2]",
    "y > 0": "'y' is not defined",
    "x > 0": "is an array",
    "net(x) > 0": "no function of polynomials",
    "1 / x[0] > 0": "divides",
    "x[0]**x[1] > 0": "whole number",
    "x[0]**-1 > 0": "exponent",
    "x[0]**30 * x[1]**30 > 0": "degree above 40",
    "x[0] + 1": "is no condition",
    "implies(x[0] > 0)": "takes 2 argument(s)",
    "p in [1, 2]": "in has no meaning",
}


@pytest.mark.parametrize("condition", FAULTS)
def test_faults_are_told_where_they_stand(tmp_path, condition):
    with pytest.raises(SpecError) as error:
        requiring(tmp_path, condition)
    assert FAULTS[condition] in str(error.value)
    assert f"{tmp_path / 'spec.yaml'}:9" in str(error.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("    solve_for: {rho: {range: [0, 1]}}\n", "maximize: true or minimize: true"),
        ("    solve_for: {rho: {maximize: true, range: [1, 0]}}\n", "the lower one first"),
        ("    solve_for: {a: {maximize: true, range: [0, 1]}, b: {maximize: true, range: [0, 1]}}\n", "one parameter"),
        ("    slack: 1\n", "not supported yet"),
        ("engine: {methods: [bab]}\n", "sample and sos"),
        ("engine: {methods: [{sos: {degree: 3}}]}\n", "even number"),
        ("engine: {methods: [{sos: {degre: 4}}]}\n", "Did you mean 'degree'?"),
        ("gate: {min: {r.rho: 1}}\n", "is not solved for"),
        ("requir: 1\n", "unknown key 'requir'"),
    ],
)
def test_faults_of_the_rest(tmp_path, more, message):
    with pytest.raises(SpecError) as error:
        requiring(tmp_path, "p > 0", more)
    assert message in str(error.value)


def test_every_variable_needs_bounds(tmp_path):
    head = 'certify: "1.0"\nname: test\ninputs:\n  x: {shape: [2]}\n'
    with pytest.raises(SpecError, match="lower and an upper bound"):
        spec(tmp_path, 'require:\n  - {id: r, assert: "x[0] > 0"}\n', head)


def test_what_names_a_model_is_no_question_about_polynomials(tmp_path):
    file = tmp_path / "spec.yaml"
    for text, expected in [
        ("inputs: {}\nrequire: []\n", True),
        ("inputs: {}\nrequire: []\nmodels: {}\n", False),
        ("inputs: {}\n", False),
        ("- a list\n", False),
        ("a: [", False),
        ("", False),
    ]:
        file.write_text(text)
        assert is_polynomial_spec(file) == expected, text


@pytest.mark.parametrize(
    ("condition", "holds"), [("0 > 0", False), ("0 >= 0", True), ("x[0] - x[0] < 0", False), ("x[0] <= x[0]", True)]
)
def test_conditions_on_constants_are_decided(tmp_path, condition, holds):
    problem = requiring(tmp_path, condition).questions[0].problem()
    assert (problem.violated((Fraction(0), Fraction(0))) is None) == holds


def test_linear_alone(tmp_path):
    head = HEAD.replace("hi: [1, 3]}", 'hi: [1, 3]}, linear: "x[0] >= 0"')
    problem = spec(tmp_path, 'require:\n  - {id: r, assert: "x[1] > 0"}\n', head).questions[0].problem()
    assert problem.violated((Fraction(-1), Fraction(0))) is None
    assert problem.violated((Fraction(0), Fraction(0))) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('let: {false: "x[0] > -10"}\nrequire: [{id: r, assert: "false"}]\n', "'false' is a word"),
        ('let: {sum: "x[0]"}\nrequire: [{id: r, assert: "sum > 0"}]\n', "'sum' is a word"),
        ('let: {x: "1"}\nrequire: [{id: r, assert: "x > 0"}]\n', "'x' already names inputs.x"),
        (
            'require: [{id: r, assert: "x > 0", solve_for: {x: {maximize: true, range: [0, 1]}}}]\n',
            "'x' already names inputs.x",
        ),
        (
            'let: {p: "1"}\nrequire: [{id: r, assert: "p > 0", solve_for: {p: {maximize: true, range: [0, 1]}}}]\n',
            "'p' already names let.p",
        ),
        (
            'require: [{id: r, assert: "true > 0", solve_for: {true: {maximize: true, range: [0, 1]}}}]\n',
            "'true' is a word",
        ),
    ],
)
def test_a_name_has_one_meaning(tmp_path, text, message):
    with pytest.raises(SpecError) as error:
        spec(tmp_path, text)
    assert message in str(error.value)


def test_an_input_is_no_word_of_the_language(tmp_path):
    with pytest.raises(SpecError, match="'implies' is a word"):
        spec(tmp_path, 'require: [{id: r, assert: "true"}]\n', HEAD.replace("  x:", "  implies:"))


@pytest.mark.parametrize("end", ["1.0000000000004", "1/3", "1000000.0000004", "-0.1", "1e-20", "123456789012345678"])
def test_the_box_in_the_claim_is_the_box(tmp_path, end):
    head = HEAD.replace("lo: -2, hi: [1, 3]", f"lo: {end}, hi: 1e18")
    region = spec(tmp_path, 'require:\n  - {id: r, assert: "x[1] > 0"}\n', head).questions[0].region
    shown = region.partition("[")[2].partition("[")[2].partition(",")[0]
    assert Fraction(shown) == Fraction(end)


def test_conditions_in_the_claim_are_grouped(tmp_path):
    head = HEAD.replace("hi: [1, 3]}", 'hi: [1, 3]}, linear: "x[0] > 0 or x[1] > 0"')
    text = 'require:\n  - {id: r, assert: "x[1] > 0", where: ["x[0] > 1", "x[0] > 2 or x[1] > 2"]}\n'
    region = spec(tmp_path, text, head).questions[0].region
    assert region.endswith("and (x[0] > 0 or x[1] > 0) and (x[0] > 1) and (x[0] > 2 or x[1] > 2)}")


def test_values_given_for_parameters_are_part_of_the_question(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text(HEAD + 'let: {p: "x[0] - $c"}\nrequire:\n  - {id: r, assert: "p <= 0"}\n')
    (question,) = read_polynomial_spec(file, {"c": "3"}).questions
    assert question.parameters == (("c", "3"),)


@pytest.mark.parametrize(
    "condition",
    [
        "x[0] < 1e9999",
        "x[0] < (1e2000)**3",
        "1e400*x[0] < 1",
        "x[0] < ((1e2000)**40)**40",
        "x[0] < 1e-2000",
        "(1e300*x[0])**2 > 1",
    ],
)
def test_numbers_that_no_evidence_could_hold_are_one_fault(tmp_path, condition):
    with pytest.raises(SpecError) as error:
        requiring(tmp_path, condition)
    assert "digits" in str(error.value)
    assert f"{tmp_path / 'spec.yaml'}:9" in str(error.value)


def test_boxes_and_ranges_that_no_float_reaches_are_faults(tmp_path):
    text = 'require: [{id: r, assert: "x[0] > c", solve_for: {c: {maximize: true, range: [0, 1e301]}}}]\n'
    for head, wrong in ((HEAD.replace("lo: -2, hi: [1, 3]", "lo: 1e400, hi: 1e401"), "inputs.x"), (HEAD, "range")):
        with pytest.raises(SpecError, match="digits") as error:
            spec(tmp_path, text, head)
        assert wrong in str(error.value)


@pytest.mark.parametrize("depth", [18, 40])
def test_nested_conditions_take_no_exponential_time(tmp_path, depth):
    either = "(x[0] > 0 or x[1] > 0)"
    started = time.monotonic()
    requiring(tmp_path, "not (" + f"({either} and " * depth + "(1 < 0)" + ")" * depth + ")")
    with pytest.raises(SpecError, match="too large"):
        requiring(tmp_path, "iff(true, " * depth + "x[0] > 0" + ")" * depth)
    assert time.monotonic() - started < 10


def test_euclidean_balls_are_refused(tmp_path: Path):
    head = HEAD.replace("box: {lo: -2, hi: [1, 3]}", "ball: {norm: 2, eps: 1, center: 0}")
    with pytest.raises(SpecError, match="balls are not supported for polynomials"):
        spec(tmp_path, 'require:\n  - id: r\n    assert: "x[0] <= 1"\n', head)
