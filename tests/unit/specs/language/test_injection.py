"""Inputs written into a layer: values as composed by hand, balls on them around finite sets, and messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.joint import JointSet
from specs.language.spec import Spec
from specs.property import Requirement, is_counterexample
from tests.unit.specs.compose.modules import random_dense
from tests.unit.specs.language.networks import reader

RNG = np.random.default_rng(11)
TARGET = random_dense(RNG, 3, 4, 5, 2)
JUDGE = random_dense(RNG, 5, 3, 1)
NETWORKS = {"target.onnx": TARGET, "judge.onnx": JUDGE}
WEIGHTS = [node.op.value.astype(float) for node in TARGET.nodes if not node.inputs and hasattr(node.op, "value")]
POINTS = 10_000

Read = Callable[..., Spec]


def spec(condition: str, delta: str, x: str = "box: {lo: -1, hi: 1}", more: str = "") -> str:
    return f"""certify: "1.0"
name: latent
models:
  target: {{path: target.onnx, taps: {{h1: relu1, h2: relu2}}}}
  clean: {{path: target.onnx, taps: {{h2: relu2}}}}
overseers:
  judge: {{network: {{path: judge.onnx}}, sees: [h2]}}
inputs:
  x: {{shape: [3], {x}}}
  delta: {{{delta}}}
require:
  - id: r
    assert: "{condition}"
{more}"""


ADD = "shape: [5], inject: {model: target, at: h2}, box: {lo: -1, hi: 1}"
REPLACE = "shape: [5], inject: {model: target, at: relu2, mode: replace}, box: {lo: -1, hi: 1}"
EARLY = "shape: [4], inject: {model: target, at: pre1, mode: add}, box: {lo: -1, hi: 1}"
BALL = "shape: [5], inject: {model: target, at: h2}, ball: {norm: 2, eps: 1/2, center: 0}"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reader(tmp_path, NETWORKS)


def hidden(x: np.ndarray, early: float | np.ndarray = 0.0) -> np.ndarray:
    """The second hidden layer, with ``early`` added to what the first activation function is given."""
    w1, b1, w2, b2 = WEIGHTS[:4]
    return np.maximum(np.maximum(x @ w1 + b1 + early, 0) @ w2 + b2, 0)


def rest(h: np.ndarray) -> np.ndarray:
    return h @ WEIGHTS[4] + WEIGHTS[5]


def judged(h: np.ndarray) -> float:
    return float(JUDGE.evaluate_flat(h)[0])


BY_HAND: list[tuple[str, str, int, Callable[[np.ndarray, np.ndarray], float]]] = [
    ("target(x)[1] >= 0", ADD, 8, lambda x, d: rest(hidden(x) + d)[1]),
    ("target(x)[1] >= 0", REPLACE, 5, lambda x, d: rest(d)[1]),
    ("target(x)[0] >= 0", EARLY, 7, lambda x, d: rest(hidden(x, d))[0]),
    ("tap(target, h2)(x)[2] >= 0", ADD, 8, lambda x, d: (hidden(x) + d)[2]),
    ("tap(target, h2)(x)[2] >= 0", EARLY, 7, lambda x, d: hidden(x, d)[2]),
    ("tap(clean, h2)(x)[2] >= 0", ADD, 3, lambda x, d: hidden(x)[2]),
    ("judge(tap(target, h2)(x))[0] >= 0", ADD, 8, lambda x, d: judged(hidden(x) + d)),
    ("judge(tap(target, h2)(x))[0] >= 0", REPLACE, 5, lambda x, d: judged(d)),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "delta", "size", "by_hand"), BY_HAND)
def test_values_are_those_of_composing_by_hand(
    read: Read, condition: str, delta: str, size: int, by_hand: Callable[[np.ndarray, np.ndarray], float]
) -> None:
    (requirement,) = read(spec(condition, delta)).requirements
    graph = requirement.problem.graph
    assert graph.input_size == size
    names = list(graph.inputs)
    rng = np.random.default_rng(5)
    for _ in range(POINTS // len(BY_HAND) + 1):
        x, d = rng.integers(-16, 17, 3) / 16, rng.integers(-16, 17, 4 if delta is EARLY else 5) / 16
        given = np.concatenate([{"x": x, "delta": d}[name] for name in names])
        found = graph.evaluate_flat([float(v) for v in given])
        assert Fraction(found[0]) == Fraction(float(by_hand(x, d)))  # dyadic throughout: float64 is exact


def test_a_difference_from_the_model_left_alone(read: Read) -> None:
    """One prefix, two suffixes: what the adversary changes is a function of both."""
    (requirement,) = read(spec("abs(target(x)[0] - clean(x)[0]) <= 1", ADD)).requirements
    graph = requirement.problem.graph
    kinds = [type(node.op).__name__ for node in graph.nodes]
    assert kinds.count("MatMul") == 4  # two of the prefix, one of each suffix
    rng = np.random.default_rng(6)
    for _ in range(200):
        x, d = rng.integers(-16, 17, 3) / 16, rng.integers(-16, 17, 5) / 16
        both = graph.evaluate_flat([*x, *d])
        assert list(both) == [rest(hidden(x) + d)[0], rest(hidden(x))[0]]


@pytest.mark.parametrize(
    ("delta", "points"), [(ADD, ""), (REPLACE, ""), (BALL, "points: [[0, 0, 0], [1, -0.5, 0.25]]")]
)
def test_compiled_problem_and_plain_meaning_agree(read: Read, delta: str, points: str) -> None:
    x = points or "box: {lo: -1, hi: 1}"
    (requirement,) = read(spec("target(x)[0] >= 0.25 or delta[0] > 0.5", delta, x)).requirements
    graph, rng = requirement.problem.graph, np.random.default_rng(8)
    found = set()
    for _ in range(1500):
        state = [Fraction(int(v), 8) for v in rng.integers(-9, 10, 5)]
        place = [[0, 0, 0], [1, Fraction(-1, 2), Fraction(1, 4)], [Fraction(1, 8), 0, 1]][rng.integers(0, 3)]
        given = [Fraction(v) for v in (place if graph.input_size == 8 else [])] + (
            [value / 4 for value in state] if delta is BALL else state
        )
        y = [Fraction(v) for v in graph.evaluate_flat([float(v) for v in given])]
        expected = requirement.is_violated_at(given, y)
        assert is_counterexample(requirement.problem, given, y) == expected
        found.add(expected)
    assert found == {True, False}


def radii(requirement: Requirement) -> list[tuple[Fraction, ...]]:
    balls = [case.ball for case in requirement.problem.cases]
    return [tuple(ball.bound / weight for weight in ball.weights) for ball in balls if ball is not None]


def test_a_ball_around_each_point_of_a_finite_set(read: Read) -> None:
    """In each case the other inputs are fixed, so the ball of all is the ball of one."""
    x = "points: [[0, 0, 0], [1, -0.5, 0.25], [2, 0, 0]], box: {lo: -1, hi: 1}"
    (requirement,) = read(spec("target(x)[0] <= 3", BALL, x)).requirements
    cases = requirement.problem.cases
    assert [case.box.lower[:3] for case in cases] == [(0, 0, 0), (1, Fraction(-1, 2), Fraction(1, 4))]
    for case in cases:
        assert case.box.lower[:3] == case.box.upper[:3]
        assert case.box.lower[3:] == (Fraction(-1, 2),) * 5
        ball = case.ball
        assert ball is not None
        fixed = list(case.box.lower[:3])
        for state in ([Fraction(1, 2), 0, 0, 0, 0], [Fraction(1, 4)] * 4 + [0]):
            assert ball.holds([*fixed, *map(Fraction, state)])
        assert not ball.holds([*fixed, Fraction(1, 2), Fraction(1, 1000), *[Fraction(0)] * 3])
    assert all(max(of[:3]) < min(of[3:]) / 1000 for of in radii(requirement))


def test_a_degenerate_box_is_a_point_too(read: Read) -> None:
    (requirement,) = read(spec("target(x)[0] <= 3", BALL, "box: {lo: 0.5, hi: 0.5}")).requirements
    (case,) = requirement.problem.cases
    assert case.ball is not None
    assert case.ball.center == (Fraction(1, 2),) * 3 + (Fraction(0),) * 5


def test_what_is_quantified_over_and_said(read: Read) -> None:
    loaded = read(spec("target(x)[0] <= 3", ADD, "points: [[0, 0, 0], [1, -0.5, 0.25]]"))
    inputs = loaded.requirements[0].inputs
    assert isinstance(inputs, JointSet)
    assert "delta (added to layer h2 of target): " in inputs.describe()
    assert "x: 3 values, one of 2 points" in inputs.describe()
    assert inputs.element(3) == "delta[0]"


@pytest.mark.parametrize(
    ("delta", "x", "message"),
    [
        (ADD.replace("h2", "h3"), "", r"s\.yaml:\d+:\d+: inputs\.delta\.inject\.at: target has no layer 'h3'"),
        (ADD.replace("model: target", "model: tarjet"), "", "there is no model 'tarjet'.*target"),
        (ADD.replace("[5]", "[4]"), "", r"layer h2 of target holds 5 values \(shape \[1, 5\]\), but delta has 4"),
        (ADD + ", normalize: {mean: 1}", "", "has no units of its own; remove normalize"),
        (BALL, "", "the ball of delta leaves out 3 other numbers of this requirement that are not fixed"),
        (ADD.replace(", box: {lo: -1, hi: 1}", ""), "", "no lower bound on delta"),
        (ADD, "points: [[2, 0, 0], [0, 3, 0]], box: {lo: -1, hi: 1}",
         r"none of the points lies in the other sets: in point 0 \(and 1 more points\) element 0 is 2, "
         "but has to be at least -1 and at most 1"),
        (ADD, "points: [[0, 0]]", r"inputs\.x\.points\.0: has 2 numbers for 3 elements"),
        (ADD, "points: 3", "expected a list of points"),
        (ADD, "points: {dataset: none.npz}", "none.npz cannot be read"),
        (ADD, "image_of: {generator: gen, of: z}", r"inputs\.x\.image_of: .* written as a call: make z the input"),
    ],
)  # fmt: skip
def test_messages(read: Read, delta: str, x: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(spec("target(x)[0] <= 3", delta, x or "box: {lo: -1, hi: 1}"))
    assert re.search(message, str(caught.value)), str(caught.value)
    assert re.match(r".*s\.yaml:\d+:\d+: ", str(caught.value))


def test_points_of_a_data_set(read: Read, tmp_path: Path) -> None:
    images = RNG.integers(-16, 17, (6, 3)) / 16
    np.savez(tmp_path / "data.npz", images=images, labels=np.array([0, 1, 1, 0, 1, 1]))
    for which, wanted in (
        ("", [0, 1, 2, 3, 4, 5]),
        (", take: 2", [0, 1]),
        (", index: [4, 1]", [4, 1]),
        (", index: 3", [3]),
    ):
        loaded = read(spec("target(x)[0] <= 3", ADD, f"points: {{dataset: data.npz{which}}}"))
        points = [tuple(map(Fraction, images[k].tolist())) for k in wanted]
        assert list(loaded.inputs[0].points) == points
    with pytest.raises(SpecError, match="has 6 examples; there is no example 7"):
        read(spec("target(x)[0] <= 3", ADD, "points: {dataset: data.npz, index: 7}"))
    with pytest.raises(SpecError, match="has 6 examples; there is no example 6"):
        read(spec("target(x)[0] <= 3", ADD, "points: {dataset: data.npz, take: 9}"))


def test_every_point_has_its_own_label(read: Read, tmp_path: Path) -> None:
    """`argmax(y) == label(x)` asks of each example for its own class: one case each, for two classes."""
    images = RNG.integers(-16, 17, (4, 3)) / 16
    labels = np.array([1, 0, 0, 1])
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    (requirement,) = read(spec("argmax(target(x)) == label(x)", ADD, "points: {dataset: data.npz}")).requirements
    cases = requirement.problem.cases
    assert sorted(case.box.lower[:3] for case in cases) == sorted(tuple(map(Fraction, x)) for x in images.tolist())
    for x, label in zip(images, labels):
        for state in RNG.integers(-16, 17, (40, 5)) / 16:
            given = [Fraction(v) for v in (*x.tolist(), *state.tolist())]
            y = rest(hidden(x) + state)
            assert requirement.is_violated_at(given, y) == (y[label] <= y[1 - label])
            assert is_counterexample(requirement.problem, given, [Fraction(v) for v in y]) == (y[label] <= y[1 - label])


def test_one_example_twice_with_different_labels_is_refused(read: Read, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", images=np.zeros((2, 3)), labels=np.array([1, 0]))
    with pytest.raises(SpecError, match="the same example has different labels"):
        read(spec("argmax(target(x)) == label(x)", ADD, "points: {dataset: data.npz}"))


# where the layer has to stay


DATA = RNG.integers(-16, 17, (40, 3)) / 16


@pytest.mark.parametrize("mode", ["add", "replace"])
def test_a_hull_of_data_keeps_the_state(read: Read, tmp_path: Path, mode: str) -> None:
    """The layer, delta included, between the least and the largest that it held on data: by hand, at random points."""
    np.savez(tmp_path / "train.npz", inputs=DATA)
    delta = f"shape: [5], inject: {{model: target, at: h2, mode: {mode}}}, natural: {{data: train.npz}}"
    delta += ", box: {lo: -2, hi: 2}" if mode == "add" else ""
    loaded = read(spec("target(x)[0] <= 0.25", delta))
    (requirement,) = loaded.requirements
    assert "outside the hull of train.npz" in " ".join(loaded.does_not_say)
    assert any("delta keeps h2 of target in the box hull of train.npz" in part for part in requirement.where)
    held = hidden(DATA)
    low, up = held.min(axis=0), held.max(axis=0)
    graph, rng, found = requirement.problem.graph, np.random.default_rng(9), set()
    for _ in range(1500):
        x = rng.integers(-16, 17, 3) / 16
        at = np.where(rng.random(5) < 0.97, np.round(rng.uniform(low, up) * 8) / 8, low - 0.125)
        d = at - hidden(x) if mode == "add" else at
        given = [*x, *d] if mode == "add" else [*d]
        inside = bool((low <= at).all() and (at <= up).all() and (np.abs(d) <= 2).all())
        inside = inside if mode == "add" else bool((low <= at).all() and (at <= up).all())
        expected = inside and rest(at)[0] > 0.25
        exact = [Fraction(float(v)) for v in given]
        y = [Fraction(v) for v in graph.evaluate_flat([float(v) for v in given])]
        assert requirement.is_violated_at(exact, y) == expected
        assert is_counterexample(requirement.problem, exact, y) == expected
        found.add((inside, expected))
    assert found == {(True, True), (True, False), (False, False)}


def test_an_octagon_has_more_rows(read: Read, tmp_path: Path) -> None:
    np.save(tmp_path / "train.npy", DATA)
    box = "shape: [5], inject: {model: target, at: h2}, box: {lo: -1, hi: 1}, natural: {data: train.npy}"
    rows = {}
    for kind in ("box", "octagon"):
        loaded = read(spec("target(x)[0] <= 3", box.replace("train.npy", f"train.npy, hull: {kind}, pairs: 3")))
        (case,) = loaded.requirements[0].problem.cases
        rows[kind] = len(case.any_of)
    assert rows == {"box": 11, "octagon": 23}


NATURAL = "shape: [5], inject: {model: target, at: h2, mode: replace}, natural: {%s}"


@pytest.mark.parametrize(
    ("delta", "message"),
    [
        (NATURAL % "data: none.npz", r"inputs\.delta\.natural: .*none.npz cannot be read"),
        (NATURAL % "data: a.npz, reachable: box", "say either data or reachable"),
        (NATURAL % "hull: box", "say either data or reachable"),
        (NATURAL % "reachable: box", "reachable needs bounds, which reading a specification alone has none of"),
        ("shape: [3], box: {lo: 0, hi: 1}, natural: {reachable: box}", "only what is written into a layer by inject"),
    ],
)
def test_messages_of_natural_sets(read: Read, delta: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read(spec("target(x)[0] <= 3", delta))


def test_a_derivative_is_one_of_what_nothing_is_written_into_by_what_is_called_on(read: Read) -> None:
    """A model that is written into has no derivative; what is written is no input to take one by, whatever fits."""
    with pytest.raises(SpecError, match="something is written into target: of what is this the derivative"):
        read(spec("lipschitz(target, norm=inf) <= 1 and target(x)[0] <= 1", ADD))
    wide = "shape: [5], inject: {model: target, at: h2}, box: {lo: -1, hi: 1}"
    with pytest.raises(SpecError, match="there is no input that has 5 elements, as judge takes"):
        read(spec("lipschitz(judge, norm=inf) <= 1 and target(x)[0] <= 1", wide))
    with pytest.raises(SpecError, match="x are single points"):
        read(spec("lipschitz(clean, norm=inf) <= 1 and target(x)[0] <= 1", ADD, x="points: [[0, 0, 0], [1, 1, 1]]"))
