"""Expanded catastrophes: values as composed by hand, meaning and compiled problem against each other, and messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.language.spec import Spec
from specs.property import Requirement, is_counterexample
from tests.unit.specs.compose.modules import random_dense
from tests.unit.specs.compose.residual import Residual
from tests.unit.specs.language.networks import reader

RNG = np.random.default_rng(31)
NET = Residual.random(RNG, 2, 3, 3, 2)
PROBE = random_dense(RNG, 3, 2, 1)
JUDGE = random_dense(RNG, 2 + 2 + 3, 2, 1)
CHAIN = random_dense(RNG, 2, 3, 3, 2)
NETWORKS = {"target.onnx": NET.graph(), "probe.onnx": PROBE, "judge.onnx": JUDGE, "chain.onnx": CHAIN}

Read = Callable[..., Spec]

PROBED = 'probe: {path: probe.onnx, at: h}, counts_when: "probe(h) >= 0.5"'
MOVED = "transfer: {context: x2, at: h}"


def spec(expand: str, condition: str = "C <= 1", more: str = "", target: str = "target.onnx") -> str:
    return f"""certify: "1.0"
name: expanded
models:
  target: {{path: {target}, taps: {{h: relu1, u: relu2}}}}
overseers:
  judge: {{network: {{path: judge.onnx}}, sees: [x, y, h]}}
inputs:
  x: {{shape: [2], box: {{lo: -1, hi: 1}}}}
  x2: {{shape: [2], box: {{lo: -2, hi: 2}}}}
{more}let:
  y: target(x)
  C: y[0] - 2 * y[1]
require:
  - {{id: r, severity: malign, assert: "{condition}"}}
adversary:
  expand_catastrophe: {{{expand}}}
"""


DELTA = "  delta: {shape: [3], inject: {model: target, at: h}, box: {lo: -0.5, hi: 0.5}}\n"
LATER = "  delta: {shape: [3], inject: {model: target, at: u}, box: {lo: -0.5, hi: 0.5}}\n"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reader(tmp_path, NETWORKS)


def plus(loaded: Spec) -> Requirement:
    plain, more = loaded.requirements
    assert (plain.id, more.id, plain.expands, more.expands) == ("r", "r+", "", "r")
    return more


def drawn(rng: np.random.Generator, size: int, width: int = 16) -> np.ndarray:
    return rng.integers(-width, width + 1, size) / 16  # dyadic: float64 computes all of it exactly


def catastrophe(y: np.ndarray) -> bool:
    return bool(y[0] - 2 * y[1] > 1)


def thought(h: np.ndarray) -> bool:
    return bool(PROBE.evaluate_flat(h)[0] >= 0.5)


def judged(x: np.ndarray, y: np.ndarray, h: np.ndarray) -> float:
    return float(JUDGE.evaluate_flat(np.concatenate([x, y, h]))[0])


def h_of(x: np.ndarray, delta: np.ndarray) -> np.ndarray:
    return NET.hidden(x) + delta


def later(x: np.ndarray, at: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """The outputs on ``x`` with the first layer ``at``, and delta added to the second one."""
    return (NET.behind(at, x) + delta) @ NET.C + NET.c


Bad = Callable[[np.ndarray, np.ndarray, np.ndarray], bool]
CASES: list[tuple[str, str, str, Bad]] = [
    (PROBED, "C <= 1", "", lambda x, x2, d: catastrophe(NET.rest(NET.hidden(x), x)) or thought(NET.hidden(x))),
    (MOVED, "C <= 1", "", lambda x, x2, d:
        catastrophe(NET.rest(NET.hidden(x), x)) or catastrophe(NET.rest(NET.hidden(x), x2))),
    (f"{PROBED}, {MOVED}", "target(x)[0] - 2 * target(x)[1] <= 1", "", lambda x, x2, d:
        thought(NET.hidden(x)) or any(catastrophe(NET.rest(NET.hidden(x), at)) for at in (x, x2))),
    (MOVED, "tap(target, u)(x)[1] <= 1.5", "", lambda x, x2, d:
        any(NET.behind(NET.hidden(x), at)[1] > 1.5 for at in (x, x2))),
    (MOVED, "judge(x, y, tap(target, h)(x))[0] <= 0.5 or x[0] > 0", "", lambda x, x2, d:
        any(judged(at, NET.rest(NET.hidden(x), at), NET.hidden(x)) > 0.5 and at[0] <= 0 for at in (x, x2))),
    (f"{PROBED}, {MOVED}", "C <= 1", DELTA, lambda x, x2, d:
        thought(h_of(x, d)) or any(catastrophe(NET.rest(h_of(x, d), at)) for at in (x, x2))),
    (MOVED, "C <= 1", LATER, lambda x, x2, d: any(catastrophe(later(at, NET.hidden(x), d)) for at in (x, x2))),
    ('counts_when: "y[1] >= 2"', "C <= 1", "", lambda x, x2, d:
        catastrophe(NET.rest(NET.hidden(x), x)) or NET.rest(NET.hidden(x), x)[1] >= 2),
]  # fmt: skip


@pytest.mark.parametrize(("expand", "condition", "more", "bad"), CASES)
def test_meaning_and_problem_are_what_composing_by_hand_says(
    read: Read, expand: str, condition: str, more: str, bad: Bad
) -> None:
    requirement = plus(read(spec(expand, condition, more)))
    graph, rng, found = requirement.problem.graph, np.random.default_rng(7), set()
    for _ in range(1500):
        x, x2, delta = drawn(rng, 2), drawn(rng, 2, 32), drawn(rng, 3, 8)
        by_name = {"x": x, "x2": x2, "delta": delta if more else delta * 0}
        given = np.concatenate([by_name[name] for name in graph.inputs]) if graph.inputs else np.zeros(0)
        exact = [Fraction(v) for v in given.tolist()]
        outputs = [Fraction(v) for v in graph.evaluate_flat(given).tolist()]
        expected = bad(x, x2, by_name["delta"])
        assert requirement.is_violated_at(exact, outputs) == expected
        assert is_counterexample(requirement.problem, exact, outputs) == expected
        found.add(expected)
    assert found == {True, False}


def test_the_plain_requirement_is_as_before(read: Read) -> None:
    plain, more = read(spec(f"{PROBED}, {MOVED}")).requirements
    assert plain.text == "C <= 1"
    assert plain.problem.graph.inputs == ("x",)
    assert more.problem.graph.inputs == ("x", "x2")
    assert more.severity == "malign"
    assert more.line == plain.line
    assert "probe(h) >= 0.5" in more.text
    assert "run on x2 with h as here" in more.text


def test_a_chain_forgets_the_context(read: Read) -> None:
    """What comes after the layer depends on nothing else there: the run with it is the run itself."""
    plain, more = read(spec(MOVED, target="chain.onnx")).requirements
    assert more.problem.graph.inputs == plain.problem.graph.inputs == ("x",)
    assert {row for case in more.problem.cases for row in case.any_of} == {
        row for case in plain.problem.cases for row in case.any_of
    }


def test_what_is_said(read: Read) -> None:
    loaded = read(spec(f"{PROBED}, {MOVED}"))
    told = loaded.describe()
    assert "r+ (malign) has to hold: (C <= 1) and not (probe(h) >= 0.5)" in told
    assert "stronger than r; it counts as a catastrophe, too, that probe(h) >= 0.5" in told
    assert "in which h of target holds what it does here" in told
    assert "that the answers of judge and probe are right" in loaded.does_not_say
    assert {"overseer probe", "model target"} <= set(loaded.files)


def test_only_malign_requirements_are_expanded(read: Read) -> None:
    text = spec(PROBED).replace("require:\n", 'require:\n  - {id: b, severity: benign, assert: "y[0] <= 9"}\n')
    assert [one.id for one in read(text).requirements] == ["b", "r", "r+"]
    loaded = read(text.replace("C <= 1", "x[0] <= 2").replace(PROBED, f"{PROBED}, {MOVED}"))
    assert loaded.requirements[2].problem.graph.inputs == ("x",)  # it is about no run of the model


def test_assumptions_of_the_plain_one_are_those_of_the_other(read: Read) -> None:
    text = spec(PROBED) + "assume:\n  - {id: a, text: t, of: [r]}\n"
    (one,) = read(text).assumptions
    assert one.of == ("r", "r+")


MESSAGES = [
    ('probe: {path: probe.onnx, at: h}', "C <= 1", "says not when it counts; give counts_when"),
    ("", "C <= 1", "says not what counts; give counts_when, with a probe, or transfer"),
    (PROBED.replace("probe(h)", "prob(h)"), "C <= 1",
     r"s\.yaml:16:72: let\.counts_when \(adversary\): 'prob' is neither a model"),
    (PROBED.replace("at: h", "at: k"), "C <= 1", "'h' is not defined"),
    (PROBED.replace("at: h", "at: k").replace("(h)", "(k)"), "C <= 1", "target has no layer 'k'"),
    (PROBED.replace("at: h", "at: y").replace("(h)", "(y)"), "C <= 1", "'y' names something else already"),
    (PROBED.replace("at: h", "at: h, model: targte"), "C <= 1", "there is no model 'targte'.*target"),
    (PROBED.replace("at: h", "at: h, of: z"), "C <= 1", "there is no input 'z'"),
    (PROBED, "target(x2)[0] + C <= 1", r"of which input\? Say `of`: x, x2"),
    (MOVED.replace("x2", "z"), "C <= 1", "there is no input 'z'; give it under inputs"),
    (MOVED.replace("at: h", "at: k"), "C <= 1", r"s\.yaml:16:52: adversary\.expand_catastrophe\.transfer\.at: target "),
    (MOVED.replace("x2", "x"), "C <= 1", "target is not called on x2, so nothing is moved from there"),
    (MOVED.replace("at: h", "at: h, of: x2"), "C <= 1", "x2 is no other input that target is called on"),
    (f"{MOVED}, counts_wen: a", "C <= 1", r"unknown key 'counts_wen'. Did you mean 'counts_when'"),
    (MOVED, "C <= z", r"s\.yaml:14:45: require\[0\]\.assert: 'z' is not defined"),
]  # fmt: skip


@pytest.mark.parametrize(("expand", "condition", "message"), MESSAGES)
def test_messages(read: Read, expand: str, condition: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(spec(expand, condition))
    found = str(caught.value)
    assert re.search(message, found), found
    assert found.count("is not defined") <= 1, found  # R+ does not say it again


def test_what_is_solved_for_is_not_expanded(read: Read) -> None:
    text = spec(MOVED, "C <= t").replace('<= t"', '<= t", solve_for: {t: {minimize: true, range: [0, 9]}}')
    with pytest.raises(SpecError, match=r"s\.yaml:14:5: require\[0\]: r is solved for"):
        read(text)


def test_normalised_inputs_are_moved_between_as_networks_consume_them(read: Read) -> None:
    text = spec(MOVED).replace("{shape: [2], box", "{shape: [2], normalize: {mean: 0.5, range: 2}, box")
    requirement = plus(read(text))
    graph, rng, found = requirement.problem.graph, np.random.default_rng(3), set()
    for _ in range(300):
        z, z2 = drawn(rng, 2, 8), drawn(rng, 2, 8)
        given = [Fraction(v) for v in (*z.tolist(), *z2.tolist())]
        raw, raw2 = 0.5 + 2 * z, 0.5 + 2 * z2
        inside = bool((np.abs(raw) <= 1).all() and (np.abs(raw2) <= 2).all())
        y = [Fraction(v) for v in graph.evaluate_flat([*z, *z2]).tolist()]
        expected = inside and any(catastrophe(NET.rest(NET.hidden(z), at)) for at in (z, z2))
        assert requirement.is_violated_at(given, y) == expected
        assert is_counterexample(requirement.problem, given, y) == expected
        found.add((inside, expected))
    assert found == {(True, True), (True, False), (False, False)}


def test_every_example_of_a_context_has_its_own_label(read: Read, tmp_path: Path) -> None:
    """`label(x)` is asked for that of the context there: here of two points with different labels each."""
    points = {"x": np.array([[0.5, -0.25], [-1, 1]]), "x2": np.array([[1.5, 0.5], [-0.5, 2]])}
    labels = {"x": np.array([0, 1]), "x2": np.array([1, 0])}
    text = spec(MOVED, "argmax(y) == label(x)")
    for name in points:
        np.savez(tmp_path / f"{name}.npz", inputs=points[name], labels=labels[name])
        text = re.sub(rf"  {name}: .*", f"  {name}: {{shape: [2], points: {{dataset: {name}.npz}}}}", text)
    requirement = plus(read(text))
    graph = requirement.problem.graph
    for x, label in zip(points["x"], labels["x"]):
        for x2, label2 in zip(points["x2"], labels["x2"]):
            given = [Fraction(v) for v in (*x.tolist(), *x2.tolist())]
            y = [Fraction(v) for v in graph.evaluate_flat([*x, *x2]).tolist()]
            here, there = NET.rest(NET.hidden(x), x), NET.rest(NET.hidden(x), x2)
            expected = here[label] <= here[1 - label] or there[label2] <= there[1 - label2]
            assert requirement.is_violated_at(given, y) == expected
            assert is_counterexample(requirement.problem, given, y) == expected
