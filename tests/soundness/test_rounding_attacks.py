"""Inputs that do what a state does: found where exact enumeration says that some do, never where it says that none."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from tests.oracle import Row, minimum
from tests.soundness.deciding import CheckerHere
from tests.unit.specs.compose.modules import dense, write
from verifier.api import certify, check
from verifier.latent.rounding import Rounded
from verifier.report.report import Answer

ONE, STEP = Fraction(1), Fraction(1, 32)
Layers = list[tuple[np.ndarray, np.ndarray]]
BOX = "box: {lo: -1, hi: 1}"


def layers(seed: int, *sizes: int) -> Layers:
    rng = np.random.default_rng(seed)
    return [(rng.integers(-8, 9, (n, m)) / 8, rng.integers(-8, 9, m) / 8) for n, m in pairwise(sizes)]


def hidden(net: Layers, x: np.ndarray) -> np.ndarray:
    return np.maximum(x @ net[0][0] + net[0][1], 0)


def output(net: Layers, x: np.ndarray) -> float:
    return float((np.maximum(hidden(net, x) @ net[1][0] + net[1][1], 0) @ net[2][0] + net[2][1])[0])


def greatest(net: Layers) -> Fraction:
    """The exact greatest output over the inputs, with nothing written."""
    exact = [(w.T.tolist(), b.tolist()) for w, b in net]
    return -minimum(exact, [-1, -1], [1, 1], Row((), ((0, -ONE),)))


def asked(
    folder: Path, net: Layers, limit: float, x: str, delta: str, more: str = "", condition: str = "", seed: int = 0
) -> Answer:
    model, path = write(folder / "m.onnx", dense(*net)), folder / "s.yaml"
    path.write_text(f"""certify: "1.0"
name: rounding
models: {{target: {{path: "$MODEL", taps: {{h: relu1}}}}}}
inputs:
  x: {{shape: [2], {x}}}
  d: {{shape: [3], inject: {{model: target, at: h, {delta}}}}}
require:
  - {{id: r, assert: "target(x)[0] <= {limit!r}{condition}"}}
adversary:
  moves: [latent]
{more}""")
    return certify(model, path, workers=1, timeout=40, seed=seed, out=folder, start_checker=CheckerHere.start)["r"]


def realised(answer: Answer) -> Rounded:
    assert answer.realised is not None
    return answer.realised


ADD = "mode: add}, box: {lo: -2, hi: 2"
REPLACE = "mode: replace}, box: {lo: 0, hi: 4"
ROUND = "  round: {to: input, steps: 120, restarts: 24}\n"


@pytest.mark.parametrize("delta", [ADD, REPLACE])
@pytest.mark.parametrize("seed", range(5))
def test_an_input_is_found_exactly_where_there_is_one(tmp_path: Path, seed: int, delta: str) -> None:
    net = layers(seed, 2, 3, 3, 1)
    best = greatest(net)
    found = asked(tmp_path, net, float(best - STEP), BOX, delta.removesuffix("}"), ROUND)
    assert found.verdict == "violated"
    attack = realised(found).attack
    assert attack is not None, realised(found)
    x = np.array([float(v) for v in attack.point])[:2]  # what is written comes after it, and is 0 or unread
    assert np.abs(x).max() <= 1
    assert output(net, x) > float(best - STEP) - 1e-6
    assert attack.path is not None
    assert attack.path.name == "s.realised.nnwitness"
    assert check(attack.path)
    assert "REALISED BY AN INPUT (s.realised.nnwitness)" in found.sentence

    none = asked(tmp_path, net, float(best + STEP), BOX, delta.removesuffix("}"), ROUND)
    if none.verdict == "violated":
        assert realised(none).attack is None
        assert "NOT REALISED BY ANY INPUT TRIED among the inputs of the specification" in none.sentence
        assert realised(none).value >= float(STEP) - 1e-6


def test_the_verdict_and_its_attack_are_what_they_are_without(tmp_path: Path) -> None:
    net = layers(1, 2, 3, 3, 1)
    limit = float(greatest(net) + STEP)
    with_it, without = (asked(tmp_path, net, limit, BOX, ADD, more) for more in (ROUND, ""))
    assert without.realised is None
    assert with_it.verdict == without.verdict == "violated"
    assert with_it.attack is not None
    assert without.attack is not None
    assert with_it.attack.point == without.attack.point
    assert with_it.claim_class == without.claim_class == "sound"


def test_the_distance_is_that_of_the_nearest_point_of_a_finite_set(tmp_path: Path) -> None:
    """Each point is looked at: distances by NumPy, of what the layer holds in the attack, what is added included."""
    net = layers(2, 2, 3, 3, 1)
    points = np.random.default_rng(5).integers(-16, 17, (30, 2)) / 16
    best = max(output(net, x) for x in points)
    answer = asked(tmp_path, net, best + 0.01, f"points: {points.tolist()}", ADD, ROUND)
    assert answer.verdict == "violated"
    assert answer.attack is not None
    assert answer.requirement.inputs is not None
    attack = np.array([float(v) for v in answer.attack.point])
    state = hidden(net, attack[:2]) + attack[2:]
    wanted = min(np.linalg.norm(hidden(net, x) - state) for x in points)
    assert realised(answer).distance == pytest.approx(wanted, rel=1e-6)
    assert realised(answer).value == pytest.approx(0.01, rel=1e-3)
    nearest = np.array([float(v) for v in realised(answer).nearest])[:2]
    assert np.linalg.norm(hidden(net, nearest) - state) == pytest.approx(wanted, rel=1e-6)


def test_the_descent_reaches_a_state_that_some_input_has(tmp_path: Path) -> None:
    """A layer that is the input, doubled: the state of the attack is that of exactly one input."""
    net = [(2 * np.eye(2, 3), np.array([2.0, 2.0, 0.5])), *layers(3, 3, 3, 1)]
    box = "mode: replace}, box: {lo: [0.5, 0.5, 0.5], hi: [3.5, 3.5, 0.5]}"
    limit = float(greatest(net)) - 0.75
    answer = asked(tmp_path, net, limit, BOX, box.removesuffix("}"), ROUND)
    assert answer.verdict == "violated"
    assert realised(answer).distance < 0.02


def test_a_box_to_look_in_may_be_larger_than_the_set(tmp_path: Path) -> None:
    net = layers(1, 2, 3, 3, 1)
    best = float(greatest(net))
    point = "points: [[0, 0]]"
    assert output(net, np.zeros(2)) < best - 0.1
    outside = asked(tmp_path, net, best - 0.05, point, ADD, ROUND.replace("24", f"24, {BOX}"))
    assert outside.verdict == "violated"
    assert realised(outside).attack is not None
    assert "in the box that `round` gives" in outside.sentence
    inside = asked(tmp_path, net, best - 0.05, point, ADD, ROUND)
    assert realised(inside).attack is None


def test_what_counts_beside_the_requirement_is_looked_for_as_well(tmp_path: Path) -> None:
    """A probe of the layer: inputs whose state counts are found exactly where some input has one."""
    net = layers(1, 2, 3, 3, 1)
    prefix = [(net[0][0], net[0][1]), (np.eye(3)[:, :1], np.zeros(1))]
    best = -minimum([(w.T.tolist(), b.tolist()) for w, b in prefix], [-1, -1], [1, 1], Row((), ((0, -ONE),)))
    for offset, wanted in ((-STEP, True), (STEP, False)):
        counts = f'  expand_catastrophe: {{counts_when: "tap(target, h)(x)[0] >= {float(best + offset)!r}"}}\n'
        asked(tmp_path, net, 99, BOX, ADD, ROUND + counts)
        report = certify(
            tmp_path / "m.onnx", tmp_path / "s.yaml", workers=1, timeout=40, out=tmp_path,
            start_checker=CheckerHere.start,
        )  # fmt: skip
        assert (report["r"].verdict, report["r+"].verdict) == ("certified", "violated")
        attack = realised(report["r+"]).attack
        assert (attack is not None) == wanted
        if attack is not None:
            x = np.array([float(v) for v in attack.point])[:2]
            assert hidden(net, x)[0] >= float(best + offset) - 1e-6


def test_there_has_to_be_something_to_go_back_from(tmp_path: Path) -> None:
    write(tmp_path / "m.onnx", dense(*layers(0, 2, 3, 3, 1)))
    path = tmp_path / "s.yaml"
    path.write_text("""certify: "1.0"
name: plain
models: {target: {path: m.onnx}}
inputs: {x: {shape: [2], box: {lo: 0, hi: 1}}}
require: [{id: r, assert: "target(x)[0] <= 1"}]
adversary: {round: {to: input}}
""")
    with pytest.raises(SpecError, match=r"s\.yaml:6:20: adversary\.round: nothing is written into a layer"):
        certify(None, path)


def test_what_speaks_of_the_state_itself_is_not_looked_for(tmp_path: Path) -> None:
    net = layers(0, 2, 3, 3, 1)
    answer = asked(tmp_path, net, -9.0, BOX, REPLACE, ROUND, condition=" or d[0] > 5")
    assert answer.verdict == "violated"
    assert realised(answer).why == "the requirement speaks of what is written in place of the layer"
    assert "NO INPUT WAS LOOKED FOR THAT DOES THE SAME" in answer.sentence


def test_inputs_are_looked_for_in_a_box_of_their_own(tmp_path: Path) -> None:
    """The specification knows one point; in the box of `round` there are inputs that violate the requirement."""
    net = layers(0, 2, 3, 3, 1)
    limit = float(greatest(net) - STEP)
    assert output(net, np.zeros(2)) < limit
    box = "  round: {steps: 120, restarts: 24, box: {lo: -1, hi: 1}}\n"
    answer = asked(tmp_path, net, limit, "points: [[0, 0]]", ADD, box)
    assert answer.verdict == "violated"
    found = realised(answer)
    assert found.attack is not None
    assert output(net, np.array([float(v) for v in found.point[:2]])) > limit
    assert "in the box that `round` gives" in answer.sentence


def test_what_is_solved_for_has_the_value_of_the_attack(tmp_path: Path) -> None:
    """Next to nothing is written, so that an input does the same; at the easy end of the range nothing does."""
    net = layers(0, 2, 3, 3, 1)
    model, path = write(tmp_path / "m.onnx", dense(*net)), tmp_path / "s.yaml"
    path.write_text(f"""certify: "1.0"
name: solved
models: {{target: {{path: "$MODEL", taps: {{h: relu1}}}}}}
inputs:
  x: {{shape: [2], {BOX}}}
  d: {{shape: [3], inject: {{model: target, at: h}}, box: {{lo: -0.001, hi: 0.001}}}}
require:
  - id: r
    assert: "target(x)[0] <= t"
    solve_for: {{t: {{minimize: true, range: [-40, 40], resolution: 0.5}}}}
adversary:
  moves: [latent]
  round: {{steps: 120, restarts: 24}}
""")
    answer = certify(model, path, workers=1, timeout=40, out=tmp_path, start_checker=CheckerHere.start)["r"]
    assert answer.solution is not None
    assert answer.solution.refuted is not None
    found = realised(answer)
    assert (found.attack is not None) == (answer.solution.refuted < greatest(net))
    if found.attack is not None:
        assert output(net, np.array([float(v) for v in found.point[:2]])) > answer.solution.refuted
        assert check(found.attack.path)
