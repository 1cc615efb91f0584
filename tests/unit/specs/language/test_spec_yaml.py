"""spec.yaml: what it compiles to, agreement with its plain meaning, and what a user reads when it is wrong."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specs.errors import SpecError
from specs.language.load_spec import load_spec
from specs.language.spec import Spec
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import parse_vnnlib
from specs.language.vnnlib.writer import write_vnnlib
from specs.property import is_counterexample
from tests.unit.specs.language.canonical import canonical
from tests.unit.specs.language.networks import network

Read = Callable[..., Spec]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads the text of a specification for a network with so many inputs and outputs."""

    def reader(text: str, n_inputs: int = 2, n_outputs: int = 3, **parameters: str) -> Spec:
        path = tmp_path / "s.yaml"
        path.write_text(text, encoding="utf-8")
        graph = network(n_inputs, n_outputs)
        return load_spec(path, Path("net.onnx"), parameters, lambda file, **options: graph)

    return reader


def spec(condition: str, sets: str = "box: {lo: -1, hi: 1}", more: str = "") -> str:
    return f"""certify: "1.0"
name: test
models:
  target: {{path: "$MODEL", output_names: [COC, WL, WR]}}
inputs:
  x:
    shape: [2]
    {sets}
let:
  y: target(x)
require:
  - id: r
    assert: "{condition}"
{more}"""


ACAS = """
certify: "1.0"
name: collision-avoidance
description: An intruder straight ahead never makes clear-of-conflict the best advice.
models:
  target: {path: "$MODEL", output_names: [COC, WL, WR, SL, SR]}
inputs:
  x:
    shape: [5]
    units: [ft, rad, rad, ft/s, ft/s]
    names: [rho, theta, psi, v_own, v_int]
    normalize: {mean: [20000, 0, 0.0, 650, 600], range: [64000, 6.4, 6.4, 1024, 1280]}
    box:
      lo: [1500, -0.06, 3.1, 980, 960]
      hi: [1800, 0.06, 3.14, 1200, 1200]
let:
  y: target(x)
require:
  - id: not-coc
    assert: "not (y.COC <= y.WL and y.COC <= y.WR and y.COC <= y.SL and y.COC <= y.SR)"
"""


def acas_query() -> str:
    """The same property as VNN-LIB: bounds normalised by hand, all finite decimals because the ranges allow it."""
    lines = [f"(declare-const X_{i} Real)" for i in range(5)] + [f"(declare-const Y_{i} Real)" for i in range(5)]
    bounds = [
        ("-0.2890625", "-0.284375"),  # (1500 - 20000)/64000, (1800 - 20000)/64000
        ("-0.009375", "0.009375"),  # 0.06/6.4
        ("0.484375", "0.490625"),  # 3.1/6.4, 3.14/6.4
        ("0.322265625", "0.537109375"),  # 330/1024, 550/1024
        ("0.28125", "0.46875"),  # 360/1280, 600/1280
    ]
    for i, (low, up) in enumerate(bounds):
        lines += [f"(assert (<= X_{i} {up}))", f"(assert (>= X_{i} {low}))"]
    lines += [f"(assert (<= Y_0 Y_{j}))" for j in (4, 3, 2, 1)]
    return "\n".join(lines)


def test_yaml_and_vnnlib_of_one_property_are_the_same_problem(read: Read) -> None:
    (requirement,) = read(ACAS, 5, 5).requirements
    graph = requirement.problem.graph
    query = compile_vnnlib(parse_vnnlib(acas_query()), graph)
    assert canonical(requirement.problem) == canonical(query)
    assert canonical(compile_vnnlib(parse_vnnlib(write_vnnlib(requirement.problem)), graph)) == canonical(query)


def test_canonical_form_forgets_order_and_nothing_else(read: Read) -> None:
    problem = read(spec("argmax(y) == 0")).requirements[0].problem
    reordered = type(problem)(problem.graph, problem.cases[::-1])
    assert reordered != problem
    assert canonical(reordered) == canonical(problem)
    other = read(spec("y[0] >= y[1] and y[0] > y[2]")).requirements[0].problem
    assert canonical(type(problem)(problem.graph, other.cases)) != canonical(problem)


def test_a_witness_returns_to_raw_units_exactly(read: Read) -> None:
    (inputs,) = read(ACAS, 5, 5).inputs
    raw = (Fraction(1600), Fraction(1, 100), Fraction(31, 10), Fraction(1000), Fraction(961))
    assert inputs.to_raw(inputs.to_model(raw)) == raw
    assert inputs.to_model(raw)[0] == Fraction(1600 - 20000, 64000)
    assert inputs.element(3) == "x.v_own"
    assert "x.rho in [1500, 1800] ft" in inputs.describe()


CONDITIONS = [
    "argmax(y) == 1",
    "argmax(y) != 0 or x[0] > 0",
    "y.COC - 2 * y.WL <= x[0] + 0.5",
    "implies(x[0] >= 0.5, y[0] < y[1])",
    "norm(x, inf) <= 1 and abs(y[0] - y[1]) < 1",
    "max(y) - min(y) <= 1.5",
    "1 in top(y, 2) and margin(y, 1) > -1",
    "not (x[0] == x[1] and y[0] == 0)",
    "2 * x[0] - x[1] < 1 or y[2] >= relu(y[0])",
]
SETS = [
    "box: {lo: -1, hi: 1}",
    "box: {lo: [-1, 0], hi: 1}\n    ball: {norm: inf, eps: 1/2, center: [0.5, 0]}",
    'box: {lo: -2, hi: 2}\n    linear: ["x[0] + x[1] <= 1", "x[0] < 1.5"]',
    "box: {lo: -1, hi: 1}\n    normalize: {mean: [1, -0.5], std: [2, 1/3]}",
    'box: {lo: -1, hi: 1}\n    linear: "abs(x[0]) >= 0.5 or x[1] == 0"\n    normalize: {range: 3}',
]


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("sets", SETS)
def test_compiled_problem_and_plain_meaning_agree(read: Read, condition: str, sets: str) -> None:
    loaded = read(spec(condition, sets, more='    where: ["x[1] <= 1"]\n'))
    (requirement,) = loaded.requirements
    (inputs,) = loaded.inputs
    assert requirement.judge is not None
    rng = random.Random(condition + sets)
    found = set()
    for _ in range(600):
        raw = [Fraction(rng.randint(-2, 3), 2) for _ in range(2)]
        y = [Fraction(rng.randint(-2, 3), 2) for _ in range(3)]
        x = inputs.to_model(raw)
        expected = requirement.is_violated_at(x, y)
        assert is_counterexample(requirement.problem, x, y) == expected, (raw, y)
        found.add(expected)
    assert found == {True, False}


def test_slack_tightens_comparisons_of_outputs_only(read: Read) -> None:
    text = spec("implies(x[0] >= 0.5, y[0] > y[1])", more="    slack: 0.25\n")
    (requirement,) = read(text).requirements
    at = [Fraction(1, 2), Fraction(0)]
    assert not requirement.is_violated_at(at, [Fraction(1), Fraction(1, 2), Fraction(0)])
    assert requirement.is_violated_at(at, [Fraction(1), Fraction(3, 4), Fraction(0)])
    assert not requirement.is_violated_at([Fraction(1, 4), Fraction(0)], [Fraction(1), Fraction(3, 4), Fraction(0)])


def test_requirements_and_options_arrive(read: Read) -> None:
    text = spec(
        "y[0] > $low",
        more="""    severity: benign
    accept_class: exact
  - {id: second, severity: info, assert: "y.WL <= 1"}
engine: {methods: [crown, bab], budget: {seconds: 2.5, memory_mb: 500}, seed: 7, workers: 2}
emit: [report, certificate]
gate: {require_class: {malign: sound}}
""",
    )
    loaded = read(text, low="-1/4")
    first, second = loaded.requirements
    assert (first.id, first.severity, first.accept_class, first.line) == ("r", "benign", "exact", 13)
    assert (second.severity, second.text) == ("info", "y.WL <= 1")
    assert first.problem.cases[0].any_of[0].constant == Fraction(1, 4)
    engine = loaded.engine
    assert (engine.methods, engine.seconds, engine.memory_mb, engine.seed, engine.workers) == (
        ("crown", "bab"), 2.5, 500, 7, 2
    )  # fmt: skip
    assert loaded.emit == ("report", "certificate")
    assert loaded.gates.require_class == {"malign": "sound"}
    assert "compiled to 1 case(s) with 1 linear row(s)" in loaded.describe()


@pytest.mark.parametrize(
    ("condition", "more", "why"),
    [
        ("x[0] <= 1", "", "holds whatever the network computes"),
        ("x[0] < 1 or y[0] > y[0] - 1", "", "holds whatever the network computes"),
        ("false", "", "fails whatever the network computes"),
        ("x[0] + x[1] > 0", "", "does not look at the outputs"),
        ("y[0] > 0", '    where: ["x[0] > 3"]\n', "excludes every input"),
        ("y[0] > 0", "", ""),
    ],
)
def test_vacuous_requirements_are_flagged(read: Read, condition: str, more: str, why: str) -> None:
    loaded = read(spec(condition, more=more))
    (requirement,) = loaded.requirements
    assert (why in requirement.vacuous) == bool(why) or requirement.vacuous == why
    assert bool(loaded.warnings) == bool(why)
    assert any(warning.endswith(requirement.vacuous) for warning in loaded.warnings) or not why


def test_a_single_point_is_flagged(read: Read) -> None:
    assert "single point" in read(spec("y[0] > 0", "box: {lo: 1, hi: 1}")).warnings[0]


# data sets


def write_data(folder: Path, **arrays: Any) -> None:
    np.savez(folder / "d.npz", **arrays)


BALL = "box: {lo: 0, hi: 1}\n    ball: {norm: inf, eps: 0.25, center: {dataset: d.npz, index: 1}}"


def test_an_example_of_a_data_set_and_its_label(read: Read, tmp_path: Path) -> None:
    write_data(tmp_path, images=np.array([[0, 0], [0.5, 0.1]], dtype=np.float32), labels=np.array([0, 2]))
    loaded = read(spec("argmax(y) == label(x)", BALL))
    (requirement,) = loaded.requirements
    box = requirement.problem.cases[0].box
    third = Fraction(float(np.float32(0.1)))
    assert box.lower == (Fraction(1, 4), 0)
    assert box.upper == (Fraction(3, 4), third + Fraction(1, 4))
    assert {case.any_of[0].y[-1] for case in requirement.problem.cases} == {(2, Fraction(1))}
    assert loaded.does_not_say[1] == "that the label 2 of the example is right"


def test_a_box_with_the_ends_of_data(read: Read, tmp_path: Path) -> None:
    third = Fraction(float(np.float32(0.1)))
    write_data(tmp_path, inputs=np.array([[0, 0.1], [0.5, 0.1], [-3, 7]], dtype=np.float32))
    (requirement,) = read(spec("y[0] > 0", "box: {lo: data-min, hi: [1, 9], data: d.npz}")).requirements
    assert requirement.problem.cases[0].box.lower == (-3, third)
    assert requirement.problem.cases[0].box.upper == (1, 9)
    loaded = read(spec("y[0] > 0", "box: {lo: data-min, hi: data-max, data: d.npz}\n    normalize: {range: 2}"))
    box = loaded.requirements[0].problem.cases[0].box
    assert (box.lower, box.upper) == ((Fraction(-3, 2), third / 2), (Fraction(1, 4), Fraction(7, 2)))
    assert "ends from d.npz" in loaded.inputs[0].words


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 3))}, "inputs.x.box.data: the examples have 3 values, the input has 2"),
        ({"images": np.full((2, 2), np.nan)}, "inputs.x.box.data: "),
    ],
)
def test_data_that_give_no_box(read: Read, tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    write_data(tmp_path, **arrays)
    with pytest.raises(SpecError, match=re.escape(message)):
        read(spec("y[0] > 0", "box: {lo: data-min, hi: data-max, data: d.npz}"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((1, 2))}, "has 1 examples; there is no example 1"),
        ({"images": np.zeros((2, 3))}, "the example has shape [3], the input [2]"),
        ({"images": np.full((2, 2), np.nan)}, "not finite"),
        ({"a": np.zeros((2, 2)), "b": np.zeros((2, 2))}, "expected one of inputs, images"),
        ({"images": np.zeros((2, 2)), "labels": np.zeros(3, int)}, "one whole number per example"),
        ({"images": np.array([{}, {}], dtype=object)}, "allow_pickle"),
    ],
)
def test_data_sets_that_do_not_fit(read: Read, tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    write_data(tmp_path, **arrays)
    with pytest.raises(SpecError, match=re.escape(message)):
        read(spec("y[0] > 0", BALL))


# errors


@pytest.mark.parametrize(
    ("change", "line", "column", "message"),
    [
        (("shape: [2]", "shap: [2]"), 7, 5, "inputs.x: unknown key 'shap'. Did you mean 'shape'?"),
        (("require:", "requires:"), 11, 1, "unknown key 'requires'. Did you mean 'require'?"),
        (("name: test\n", ""), 1, 1, "spec: the key 'name' is missing"),
        (("name: test", "name: 5"), 2, 7, "name: expected text (put it in quotes)"),
        (("name: test", "name: test\nname: again"), 3, 1, "the key 'name' is here twice, first in line 2"),
        (("name: test", "name: *a"), 2, 7, "alias"),
        (("name: test", "name: &a test"), 2, 7, "anchors and aliases"),
        (("name: test", "name: !!python/object:os.system test"), 2, 7, "tag"),
        (("name: test", "name: [test"), 3, 7, "is not valid YAML"),
        (("name: test", "name: test\nsweep: {}"), 3, 1, "sweep is not supported yet"),
        (('$MODEL"', '$MODEL", recall: {}'), 4, 28, "models.target.recall is not supported yet"),
        (
            ('$MODEL"', '$MODEL", taps: {a: z}'),
            4,
            38,
            "models.target.taps.a: the model has no layer 'z'; it has placeholder1",
        ),
        (("lo: -1", "lo: data-min"), 8, 15, "inputs.x.box.lo: name the file of the data under `data` of the box"),
        (("hi: 1}", "hi: data-min}"), 8, 23, "expected a number such as 0.1 or 8/255, found 'data-min'"),
        (("hi: 1}", "hi: 1, data: d.npz}"), 8, 32, "inputs.x.box.data: no end is taken from it; say data-min for lo"),
        (("hi: 1}", "hi: data-max, data: d.npz}"), 8, 39, "d.npz cannot be read"),
        (("lo: -1", "lo: .nan"), 8, 15, "expected a number"),
        (("lo: -1", "lo: .inf"), 8, 15, "expected a number"),
        (("lo: -1", "lo: 1e99999"), 8, 15, "exponent"),
        (("lo: -1", "lo: [1, 2, 3]"), 8, 15, "inputs.x.box.lo: has 3 numbers for 2 elements"),
        (("lo: -1", "lo: 2"), 8, 10, "inputs.x.box: is empty: lo 2 > hi 1 in element 0 (and 1 more)"),
        (("box: {", "ball: {norm: inf, eps: 0.1, center: [5, 0]}\n    box: {"), 7, 5, "box and ball do not intersect"),
        (("box: {lo: -1, hi: 1}", "names: [a, b]"), 7, 5, "no lower bound on x.a, x.b"),
        (("box: {", 'linear: ["x[0] > 3"]\n    box: {'), 7, 5, "do not intersect: x[0] is at least 3 and at most 1"),
        (("box: {", 'linear: ["target(x)[0] > 3"]\n    box: {'), 8, 13, "cannot use outputs"),
        (("box: {", "normalize: {range: [1, 0]}\n    box: {"), 8, 24, "expected numbers above 0"),
        (("y[0] > 0", "y[7] > 0"), 13, 14, "require[0].assert: y has 3 values; y[7] is out of range"),
        (("y[0] > 0", "y[0] > z"), 13, 21, "'z' is not defined"),
        (("y[0] > 0", "y.COW > 0"), 13, 14, "no element is called 'COW'"),
        (("y[0] > 0", "y[0] * y[1] > 0"), 13, 14, "nonlinear"),
        (("y[0] > 0", "argmax(y) == label(x)"), 13, 27, "x has no label"),
        (("y[0] > 0", "y[0] >"), 13, 20, "is not an expression"),
        (("y: target(x)", "y: tarjet(x)"), 10, 6, "Did you mean 'target'"),
        (("y: target(x)", "max: target(x)"), 10, 8, "a word of the expression language"),
        (("id: r", "id: r\n    severity: bad"), 13, 15, "expected 'malign', 'benign' or 'info', found 'bad'"),
        (("shape: [2]", "shape: [3]"), 7, 12, "has 3 elements, but the model takes 2"),
        (("[COC, WL, WR]", "[COC]"), 4, 42, "names 1 outputs, but the model has 3"),
        (("box: {", "names: [a, a]\n    box: {"), 8, 12, "names an element twice"),
        (("inputs:", "inputs:\n  z: {shape: [1]}"), 6, 6, "no lower bound on z[0]"),
        (('$MODEL"', '$MODEL", role: plant'), 4, 34, "models with the role plant are not supported yet"),
        (("inputs:", "engine: {methods: [pgd, {bab: {branch: input}}]}\ninputs:"), 5, 25, "options of a method"),
        (("inputs:", "emit: [model]\ninputs:"), 5, 8, "the artefact model is not supported yet"),
        (("id: r", "id: r\n    where: {activation_hull: {}}"), 13, 30, "the key 'taps' is missing"),
        (("box: {", "ball: {norm: inf, eps: 0.1, center: {dataset: d.npz}}\n    box: {"), 8, 41, "'index' is missing"),
        (("y[0] > 0", "y[0] > $eps"), 13, 13, "the parameter $eps has no value; add --set eps=VALUE"),
    ],
)
def test_mistakes_are_located(read: Read, change: tuple[str, str], line: int, column: int, message: str) -> None:
    text = spec("y[0] > 0").replace(*change, 1)
    assert text != spec("y[0] > 0")
    with pytest.raises(SpecError) as caught:
        read(text)
    assert message in str(caught.value)
    (found,) = [part for part in str(caught.value).splitlines() if message in part]
    assert f"s.yaml:{line}:{column}: " in found


def test_all_mistakes_at_once(read: Read) -> None:
    text = spec("y[7] > 0", more='    severity: bad\n    slak: 1\n  - {id: b, assert: "q > 0"}\n')
    with pytest.raises(SpecError) as caught:
        read(text)
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(SpecError) as caught:
        read(text.replace("    severity: bad\n    slak: 1\n", ""))
    assert [line.partition(": ")[2] for line in str(caught.value).splitlines()] == [
        "require[0].assert: y has 3 values; y[7] is out of range",
        "require[1].assert: 'q' is not defined; known are x, y",
    ]


def test_parameters_that_nothing_uses(read: Read) -> None:
    with pytest.raises(SpecError, match=re.escape("nothing uses the parameter(s) $esp. Did you mean 'eps'?")):
        read(spec("y[0] > $eps"), eps="1", esp="2")


def test_a_whole_value_may_be_a_parameter(read: Read) -> None:
    ball = 'ball: {norm: inf, eps: "$eps", center: 0}'
    for given in ("8/255", "0.5"):
        (requirement,) = read(spec("y[0] > 0", ball), eps=given).requirements
        assert requirement.problem.cases[0].box.upper[0] == Fraction(given)


def test_the_hash_of_the_model_is_checked(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    text = spec("y[0] > 0").replace('"$MODEL"', f"net.onnx, sha256: {digest}")
    (tmp_path / "s.yaml").write_text(text)
    loaded = load_spec(tmp_path / "s.yaml", load=lambda file, **options: network(2, 3))
    assert loaded.model_file == tmp_path / "net.onnx"
    (tmp_path / "net.onnx").write_bytes(b"others")
    with pytest.raises(SpecError, match="another model"):
        load_spec(tmp_path / "s.yaml", load=lambda file, **options: network(2, 3))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n",
        "certify",
        "a: " + "[" * 20_000,
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        "a: b: c\n",
        "\x00",
        "? [a, b]\n: c\n",
        "<<: {a: b}\n",
        "--- a\n--- b\n",
        "%YAML 9.9\n---\na: b\n",
        "a: !!binary aGVsbG8=\n",
        "a: 2001-01-01\n",
    ],
)
def test_hostile_or_broken_yaml_gives_one_clear_error(read: Read, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(text)
    assert "s.yaml" in str(caught.value)


def test_what_load_spec_refuses(tmp_path: Path) -> None:
    (tmp_path / "q.vnnlib").write_text("(declare-const X_0 Real)")
    with pytest.raises(SpecError, match="does not name its model"):
        load_spec(tmp_path / "q.vnnlib")
    with pytest.raises(SpecError, match="no parameters"):
        load_spec(tmp_path / "q.vnnlib", Path("m.onnx"), {"eps": "1"})
    with pytest.raises(SpecError, match="no specification by its name"):
        load_spec(tmp_path / "q.txt")


def test_a_query_is_a_specification_with_one_requirement(tmp_path: Path) -> None:
    (tmp_path / "q.vnnlib").write_text(acas_query())
    loaded = load_spec(tmp_path / "q.vnnlib", Path("m.onnx"), load=lambda file: network(5, 5))
    (requirement,) = loaded.requirements
    x = [
        (low + up) / 2
        for low, up in zip(requirement.problem.cases[0].box.lower, requirement.problem.cases[0].box.upper)
    ]
    assert requirement.is_violated_at(x, [Fraction(0)] * 5)
    assert not requirement.is_violated_at(x, [Fraction(1), *[Fraction(0)] * 4])
