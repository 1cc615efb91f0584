"""Specifications about several networks: values as composed by hand, coupled inputs, and messages."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.graph import Graph, ops
from specs.joint import JointSet
from specs.language.load_spec import load_spec
from specs.language.spec import Spec
from specs.property import Requirement, is_counterexample
from tests.unit.specs.compose.modules import dense, random_dense
from tests.unit.specs.language.networks import reader

RNG = np.random.default_rng(7)
NETWORKS = {
    "target.onnx": random_dense(RNG, 3, 4, 4, 2),
    "judge.onnx": random_dense(RNG, 9, 4, 2),
    "fast.onnx": random_dense(RNG, 3, 3, 2),
    "small.onnx": random_dense(RNG, 2, 3, 1),
    "gen.onnx": random_dense(RNG, 2, 4, 3),
}
TARGET, JUDGE, FAST, SMALL, GEN = NETWORKS.values()
TAPPED = Graph(TARGET.nodes, TARGET.inputs, (*TARGET.outputs, "hidden2"))
POINTS = 10_000

Read = Callable[..., Spec]


def spec(condition: str, more: str = "", x: str = "box: {lo: -1, hi: 1}", inputs: str = "") -> str:
    return f"""certify: "1.0"
name: several
models:
  target: {{path: target.onnx, taps: {{plan: relu2}}, output_names: [go, stop]}}
  fast: {{path: fast.onnx}}
  small: {{path: small.onnx}}
  gen: {{path: gen.onnx, role: generator}}
overseers:
  judge: {{network: {{path: judge.onnx}}, sees: [x, y, plan], outputs: {{malign: 0, benign: 1}}}}
inputs:
  x: {{shape: [3], {x}}}
{inputs}
let:
  y: target(x)
  g: judge(x, y, tap(target, plan)(x))
require:
  - id: r
    assert: "{condition}"
{more}"""


PAIR = '  x2: {shape: [3], box: {lo: -1, hi: 1}, linear: ["x2[0] >= x[0]", "x2[1:3] == x[1:3]"]}'
SEED = "  z: {shape: [2], box: {lo: -1, hi: 1}}"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reader(tmp_path, NETWORKS)


def value(requirement: Requirement, x: np.ndarray) -> Fraction:
    """The one row of a requirement ``e >= 0`` that reads outputs, at a flat input: the value of e."""
    (case,) = requirement.problem.cases
    (row,) = [row for row in case.any_of if row.y]
    y = requirement.problem.graph.evaluate_flat(x)
    return row.constant + sum(c * Fraction(x[i]) for i, c in row.x) + sum(c * Fraction(y[i]) for i, c in row.y)


def flat(graph: Graph, x: np.ndarray) -> np.ndarray:
    return graph.evaluate_flat(x)


def judged(x: np.ndarray) -> np.ndarray:
    outputs = TAPPED.evaluate(x.reshape(1, 3))
    return flat(JUDGE, np.concatenate([x, *(part.reshape(-1) for part in outputs)]))


BY_HAND: list[tuple[str, str, int, Callable[[np.ndarray], float]]] = [
    ("g.malign >= 0", "", 3, lambda x: judged(x)[0]),
    ("g.benign - 2 * y.stop + x[1] >= 1", "", 3, lambda x: judged(x)[1] - 2 * flat(TARGET, x)[1] + x[1] - 1),
    ("fast(x)[0] - target(x)[1] >= 0", "", 3, lambda x: flat(FAST, x)[0] - flat(TARGET, x)[1]),
    ("sum(tap(target, plan)(x)) >= 0", "", 3, lambda x: TAPPED.evaluate(x.reshape(1, 3))[1].sum()),
    ("small(x[0:2])[0] >= small([x[2], x[1]])[0]", "", 3, lambda x: flat(SMALL, x[:2])[0] - flat(SMALL, x[[2, 1]])[0]),
    ("small(target(x))[0] >= 0", "", 3, lambda x: flat(SMALL, flat(TARGET, x))[0]),
    ("small(y - fast(x))[0] >= 0", "", 3, lambda x: flat(SMALL, flat(TARGET, x) - flat(FAST, x))[0]),
    ("small([x[0] + 0.5, 2 * y.go - 0.25])[0] >= 0", "", 3,
     lambda x: flat(SMALL, np.array([x[0] + 0.5, 2 * flat(TARGET, x)[0] - 0.25]))[0]),
    ("small([max(x[0], y.go), abs(x[1])])[0] >= 0", "", 3,
     lambda x: flat(SMALL, np.array([max(x[0], flat(TARGET, x)[0]), abs(x[1])]))[0]),
    ("fast(clip(x, -0.5, 0.5))[1] >= 0", "", 3, lambda x: flat(FAST, np.clip(x, -0.5, 0.5))[1]),
    ("target(gen(z))[0] >= 0", SEED, 2, lambda z: flat(TARGET, flat(GEN, z))[0]),
    ("target(x2)[0] >= target(x)[0]", PAIR, 4,
     lambda v: flat(TARGET, np.array([v[3], v[1], v[2]]))[0] - flat(TARGET, v[:3])[0]),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "inputs", "size", "by_hand"), BY_HAND)
def test_values_are_those_of_composing_by_hand(
    read: Read, condition: str, inputs: str, size: int, by_hand: Callable[[np.ndarray], float]
) -> None:
    (requirement,) = read(spec(condition, inputs=inputs)).requirements
    assert requirement.problem.graph.input_size == size
    for x in np.random.default_rng(8).integers(-16, 17, (POINTS // 10, size)) / 16:
        assert value(requirement, x) == Fraction(by_hand(x))  # dyadic weights and inputs: float64 is exact


def test_an_informed_overseer_at_many_points(read: Read) -> None:
    (requirement,) = read(spec("g.malign >= 0")).requirements
    assert requirement.output_names == ("judge(x, y, tap(target, plan)(x)).malign",)
    for x in np.random.default_rng(9).integers(-16, 17, (POINTS, 3)) / 16:
        assert value(requirement, x) == Fraction(judged(x)[0])


def test_the_outputs_are_exactly_what_is_read(read: Read) -> None:
    (requirement,) = read(spec("y.stop <= 1 or g.malign >= 0")).requirements
    graph = requirement.problem.graph
    assert graph.output_size == 2
    assert requirement.output_names == ("target(x).stop", "judge(x, y, tap(target, plan)(x)).malign")
    assert sum(isinstance(node.op, ops.Relu) for node in graph.nodes) == 3  # target once, and the judge
    (other,) = read(spec("y.stop <= 1")).requirements
    assert sum(isinstance(node.op, ops.Relu) for node in other.problem.graph.nodes) == 2


def test_a_difference_of_one_and_the_same_is_nothing(read: Read) -> None:
    loaded = read(spec("target(x)[0] - y.go <= 0 and tap(target, plan)(x)[1] == tap(target, relu2)(x)[1]"))
    assert loaded.requirements[0].problem.cases == ()
    assert "holds whatever the network computes" in loaded.requirements[0].vacuous


# compiled against written

CONDITIONS = [
    ("argmax(target(x)) == argmax(fast(x))", ""),
    ("argmax(y) != argmax(fast(x)) or g.malign > 0", ""),
    ("implies(margin(fast(x)) >= 0.5, argmax(target(x)) == argmax(fast(x)))", ""),
    ("norm(fast(x) - target(x), inf) <= 1.5", ""),
    ("max(g) > min(y) and abs(small(y)[0]) < 1", ""),
    ("margin(y) <= margin(g)", ""),
    ("target(x2)[0] >= target(x)[0]", PAIR),
    ("x2[1] == x[1] and y.go >= 0", PAIR),
    ("target(gen(z))[0] <= 0.9 or z[0] > 0", SEED),
]


@pytest.mark.parametrize(("condition", "inputs"), CONDITIONS)
def test_compiled_problem_and_plain_meaning_agree(read: Read, condition: str, inputs: str) -> None:
    """At points whose outputs are made up as well as computed: the two forms have to agree on any numbers."""
    (requirement,) = read(spec(condition, inputs=inputs)).requirements
    graph, rng = requirement.problem.graph, random.Random(condition)
    found = set()
    for number in range(400):
        x = [Fraction(rng.randint(-5, 5), 4) for _ in range(graph.input_size)]
        computed = [Fraction(v) for v in graph.evaluate_flat([float(v) for v in x])]
        made_up = [Fraction(rng.randint(-3, 3), 2) for _ in range(graph.output_size)]
        y = made_up if number % 2 else computed
        expected = requirement.is_violated_at(x, y)
        assert is_counterexample(requirement.problem, x, y) == expected, (x, y)
        found.add(expected)
    assert found == {True, False}


def test_slack_means_the_same_in_both_forms_of_an_agreement(read: Read) -> None:
    """Some class has to lead by the slack in both: 1 case for each pair of different classes."""
    text = spec("argmax(target(x)) == argmax(fast(x))", more="    slack: 0.25\n")
    (requirement,) = read(text).requirements
    assert len(requirement.problem.cases) == 2
    x = [Fraction(0)] * 3
    for a in range(-3, 4):
        for b in range(-3, 4):
            y = [Fraction(a, 8), Fraction(0), Fraction(b, 8), Fraction(0)]
            leads = any(Fraction(s * a, 8) > Fraction(1, 4) and Fraction(s * b, 8) > Fraction(1, 4) for s in (1, -1))
            assert is_counterexample(requirement.problem, x, y) != leads, (a, b)


# several inputs


def test_equal_elements_are_one_input_and_other_couplings_stay_rows(read: Read) -> None:
    (requirement,) = read(spec("target(x2)[0] >= target(x)[0]", inputs=PAIR)).requirements
    inputs = requirement.inputs
    assert isinstance(inputs, JointSet)
    assert inputs.places == ((0, 1, 2), (3, 1, 2))
    (case,) = requirement.problem.cases
    assert [row for row in case.any_of if not row.y] == [
        type(case.any_of[0])(((0, Fraction(1)), (3, Fraction(-1))), (), Fraction(0), strict=True)
    ]
    point = [Fraction(k, 8) for k in (1, 2, 3, 4)]
    assert inputs.to_raw(point) == tuple(Fraction(k, 8) for k in (1, 2, 3, 4, 2, 3))
    assert [inputs.element(i) for i in range(6)] == ["x[0]", "x[1]", "x[2]", "x2[0]", "x2[1]", "x2[2]"]


def test_boxes_of_equal_elements_intersect(read: Read) -> None:
    pair = '  x2: {shape: [3], box: {lo: -0.5, hi: [1, 0.25, 2]}, linear: ["x2 == x"]}'
    (requirement,) = read(spec("target(x2)[0] >= fast(x)[0]", inputs=pair)).requirements
    (case,) = requirement.problem.cases
    assert case.box.lower == (Fraction(-1, 2),) * 3
    assert case.box.upper == (Fraction(1), Fraction(1, 4), Fraction(1))


def test_elements_of_other_normalisation_are_not_the_same_number(read: Read) -> None:
    """Equal in raw units, they differ in what networks consume: the equality stays two rows."""
    pair = '  x2: {shape: [3], box: {lo: -1, hi: 1}, normalize: {mean: [1, 0, 0]}, linear: ["x2[0:2] == x[0:2]"]}'
    (requirement,) = read(spec("target(x2)[0] >= target(x)[0]", inputs=pair)).requirements
    inputs = requirement.inputs
    assert isinstance(inputs, JointSet)
    assert inputs.places == ((0, 1, 2), (3, 1, 4))
    (case,) = requirement.problem.cases
    assert len([row for row in case.any_of if not row.y]) == 2
    assert inputs.to_raw([Fraction(0)] * 5)[3] == 1


def test_an_alternative_couples_and_equates_nothing(read: Read) -> None:
    pair = '  x2: {shape: [3], box: {lo: -1, hi: 1}, linear: ["x2[0] == x[0] or x2[1] == x[1]"]}'
    (requirement,) = read(spec("target(x2)[0] >= 0", inputs=pair)).requirements
    assert requirement.problem.graph.input_size == 6
    assert len(requirement.problem.cases) == 2


def test_a_requirement_is_about_what_it_reads_and_what_is_coupled_with_that(read: Read) -> None:
    both = f"{PAIR}\n{SEED}"
    cases = {
        "y.go >= 0": ["x", "x2"],
        "target(gen(z))[0] <= 0.9": ["z"],
        "small(z)[0] <= y.go": ["x", "x2", "z"],
        "true": ["x", "x2", "z"],
    }
    for condition, expected in cases.items():
        inputs = read(spec(condition, inputs=both)).requirements[0].inputs
        assert isinstance(inputs, JointSet)
        assert [one.name for one in inputs.sets] == expected
    (requirement,) = read(spec("target(gen(z))[0] <= 0.9", more="    over: [z, x, x2]\n", inputs=both)).requirements
    assert requirement.problem.graph.inputs == ("x", "x2", "z")


def test_normalised_inputs_reach_the_networks_as_they_do_one_alone(read: Read) -> None:
    """Raw 3 with mean 1 and range 4 is 1/2 to the networks; expressions see 3."""
    x = "normalize: {mean: 1, range: 4}, box: {lo: -3, hi: 5}"
    (requirement,) = read(spec("fast(x)[0] - x[0] >= 0", x=x)).requirements
    at = np.array([0.5, -0.25, 0.75])
    assert value(requirement, at) == Fraction(flat(FAST, at)[0]) - 3
    (part,) = read(spec("small(x[1:3])[0] >= 0", x=x)).requirements
    assert value(part, at) == Fraction(flat(SMALL, at[1:])[0])


def test_the_question_in_words(read: Read) -> None:
    words = read(spec("target(x2)[0] >= g.malign", inputs=PAIR)).describe()
    for part in (
        "model target (target.onnx): [1, 3] to [1, 2]; outputs go, stop; taps plan (of 4 values)",
        "overseer judge (judge.onnx): [1, 9] to [1, 2]; sees x, y, plan; outputs malign, benign",
        "for all x, x2 together: 4 free numbers (2 of 6 elements equal others)",
        "reads judge(x, y, tap(target, plan)(x)).malign, target(x2).go",
    ):
        assert part in words
    assert "that the answers of judge are right" in read(spec("g.malign >= 0")).does_not_say


def test_one_model_on_its_one_input_is_not_composed(tmp_path: Path) -> None:
    graph = dense(([[1.0], [1.0]], [0.0]))
    text = """certify: "1.0"
name: one
models: {target: {path: net.onnx}}
inputs: {x: {shape: [2], box: {lo: -1, hi: 1}}}
require:
  - {id: r, assert: "CONDITION"}
"""
    path = tmp_path / "s.yaml"
    for condition, composed in (("target(x)[0] <= 3", False), ("target([x[1], x[0]])[0] <= 3", True)):
        path.write_text(text.replace("CONDITION", condition))
        loaded = load_spec(path, load=lambda file: graph)
        assert loaded.composed == composed
        assert (loaded.model_file is None) == composed
        assert (loaded.requirements[0].problem.graph is graph) != composed


# errors


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("judge(x, y)[0] >= 0", "14: judge sees 3 things (x, y, plan), but is called on 2"),
        ("judge(x, y, x)[0] >= 0", "14: judge takes 9 values (shape [1, 9]), but x has 3 and y has 2 and x has 3"),
        ("target(y)[0] >= 0", "14: target takes 3 values (shape [1, 3]), but y has 2"),
        ("tap(target, relu7)(x)[0] >= 0", "14: target has no layer 'relu7'; the nearest are relu1, relu2"),
        ("tap(target, plam)(x)[0] >= 0", "14: target has no layer 'plam'"),
        ("tap(tarjet, plan)(x)[0] >= 0", "18: 'tarjet' is no model. Did you mean 'target'?"),
        ("tap(target)(x)[0] >= 0", "14: tap takes a model and a layer, as in tap(target, relu1)(x)"),
        ("tap(target, plan)[0] >= 0", "14: tap(target, plan) is a layer: call it"),
        ("target()[0] >= 0", "14: target() needs something to be called on"),
        ("small([1, 2])[0] >= 0", "14: small is called on constants only"),
        ("small(0.1 * y)[0] >= 0", "20: 0.1 * y: 0.1 has no exact float64"),
        ("small(argmax(y))[0] >= 0", "20: arithmetic on a class, not a number: argmax(y)"),
        ("argmax(y) == argmax(x)", "14: one has 2 classes, the other 3"),
        ("argmax(y) < argmax(g)", "14: argmax and argmin are compared with == != and in only"),
        ("g.malin >= 0", "14: no element is called 'malin' (names are malign, benign)"),
        ("y[0] >= 0 and lipschitz(target, norm=2) <= 1", "28: lipschitz takes a model and the norm inf"),
        ("lipschitz(tarjet, norm=inf) <= 1", "24: 'tarjet' is no model. Did you mean 'target'?"),
        ("lipschitz(judge, norm=inf) <= 1", "14: there is no input that has 9 elements, as judge takes"),
        ("lipschitz(target, norm=inf, z) <= 1", "43: is not an expression: positional argument follows keyword"),
        ("lipschitz(target, norm=inf) >= 1", "13: the size of a derivative can only be bounded from above"),
        ("not (y[0] >= 0 and lipschitz(target, norm=inf) <= 1)", "13: the size of a derivative can only be bounded"),
        (
            "lipschitz(target, norm=inf) <= lipschitz(fast, norm=inf)",
            "13: the size of a derivative can only be bounded",
        ),
        ("implies(lipschitz(target, norm=inf) <= 1, y[0] <= 0)", "13: the size of a derivative can only be bounded"),
        ("small([lipschitz(target, norm=inf), 1])[0] >= 0", "14: the size of a derivative is an upper bound"),
        ("norm(x, order=inf) <= 1", "14: functions take their arguments by position"),
        ("target >= 0", "14: 'target' is not defined; call it on an input, as in target(x)"),
    ],
)
def test_mistakes_in_calls_are_located(read: Read, condition: str, message: str) -> None:
    column, _, rest = message.partition(": ")
    with pytest.raises(SpecError) as caught:
        read(spec(condition))
    assert re.search(rf"s\.yaml:18:{column}: require\[0\]\.assert: {re.escape(rest)}", str(caught.value)), caught.value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("sees: [x, y, plan]", "sees: [x, y, plam]"), "sees[2]: 'plam' is no input, no let and no tap. Did you mean"),
        (("{plan: relu2}", "{plan: relu3}"), "taps.plan: the model has no layer 'relu3'; the nearest are relu1, relu2"),
        (("benign: 1", "benign: 2"), "overseers.judge.outputs.benign: there is no output 2: the network has 2"),
        (("network: {path: judge.onnx}, ", ""), "overseers.judge: says nothing about how it judges; give its network"),
        (("  small:", "  judge:"), "'judge' already names models.judge"),
        (("    assert:", "    over: [w]\n    assert:"), "require[0].over: 'w' is no input; known are x, x2, z"),
        (("    assert:", "    over: [z]\n    assert:"), "x is missing here: the requirement reads it"),
        (("    assert:", "    over: x\n    assert:"), "x2 is missing here: it is coupled with x"),
        (('"x2[0] >= x[0]"', '"x2[0] >= y[0]"'), "inputs.x2.linear: conditions on an input cannot use outputs"),
        (("x2: {shape: [3], box: {lo: -1", "x2: {shape: [3], box: {lo: 2"), "inputs.x2.box: is empty"),
        (("lo: -1, hi: 1}, linear", "lo: 2, hi: 3}, linear"), "do not intersect: x[1] is at least 2 and at most 1"),
        (("role: generator", "role: plant"), "models with the role plant are not supported yet"),
    ],
)
def test_mistakes_elsewhere_are_located(read: Read, change: tuple[str, str], message: str) -> None:
    text = spec("y[0] >= 0", inputs=f"{PAIR}\n{SEED}")
    with pytest.raises(SpecError) as caught:
        read(text.replace(*change, 1))
    assert message in str(caught.value)
    assert re.match(r".*s\.yaml:\d+:\d+: ", str(caught.value))


def test_arithmetic_beside_normalised_inputs_is_refused(read: Read) -> None:
    x = "normalize: {mean: 1}, box: {lo: -1, hi: 1}"
    for condition in ("small([x[0], 1])[0] >= 0", "fast(abs(x))[0] >= 0", "fast(2 * x)[0] >= 0"):
        with pytest.raises(SpecError, match="arithmetic beside a normalised input is not supported yet"):
            read(spec(condition, x=x))


def test_a_model_that_nothing_takes_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(spec("y[0] >= 0"), encoding="utf-8")
    with pytest.raises(SpecError, match=r"none of them has path: \"\$MODEL\""):
        load_spec(path, Path("other.onnx"), load=lambda file, **options: NETWORKS[file.name])


def test_a_ball_goes_with_its_input_and_with_inputs_equal_to_it(read: Read) -> None:
    """The composed network's ball is the input's own: what it holds, the direct meaning holds."""
    around = "ball: {norm: 2, eps: 1/2, center: [0.25, 0, -1]}, box: {lo: -1, hi: 1}"
    equal = '  x2: {shape: [3], box: {lo: -1, hi: 1}, linear: ["x2 == x"]}'
    for more in ("", equal):
        (requirement,) = read(spec("g.malign <= g.benign", x=around, inputs=more)).requirements
        for case in requirement.problem.cases:
            assert case.ball is not None
            assert case.ball.center == (Fraction(1, 4), Fraction(0), Fraction(-1))
            assert (case.ball.weights, case.ball.bound) == ((Fraction(1),) * 3, Fraction(1, 4))
            assert case.box.lower == (Fraction(-1, 4), Fraction(-1, 2), Fraction(-1))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (PAIR, "the ball of x leaves out 1 other numbers of this requirement that are not fixed"),
        (
            '  x2: {shape: [3], ball: {norm: 2, eps: 1, center: 0}, linear: ["x2 == x"]}',
            "x and x2 have different balls",
        ),
    ],
)
def test_balls_that_the_normal_form_cannot_say(read: Read, inputs: str, message: str) -> None:
    around = "ball: {norm: 2, eps: 1/2, center: 0}"
    with pytest.raises(SpecError, match=message):
        read(spec("target(x)[0] >= target(x2)[0]", x=around, inputs=inputs))
