"""Answers that defer, a stop that is obeyed, and what optimising a reward that is a little wrong can come to."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import write_network
from verifier.api import certify

HEAD = """certify: "1.0"
name: deference
models: {r: {path: "$MODEL"}}
"""
LINE = "inputs: {x: {shape: [1], box: {lo: -1, hi: 1}}}\n"
WORST = """require:
  - id: safe
    assert: "r(x)[2] + e < max(r(x)) - e"
    solve_for: {e: {maximize: true, range: [0, 8], resolution: 0.0005}}
"""

Exact = list[list[Fraction]]


def write(folder: Path, text: str) -> Path:
    path = folder / "deference.yaml"
    path.write_text(text)
    return path


def rewards(x: Fraction, layers: tuple[Exact, list[Fraction], Exact, list[Fraction]]) -> list[Fraction]:
    first, bias, second, last = layers
    hidden = [max(Fraction(0), w * x + b) for w, b in zip(first[0], bias)]
    return [c + sum(h * row[j] for h, row in zip(hidden, second)) for j, c in enumerate(last)]


def least_lead(layers: tuple[Exact, list[Fraction], Exact, list[Fraction]], bad: int) -> tuple[Fraction, Fraction]:
    """The least lead of the best action over the bad one on [-1, 1], exactly, and where it is.

    Between two kinks rewards are linear: the largest lead is least at a kink or where two actions are equal.
    """
    bends = [-b / w for w, b in zip(layers[0][0], layers[1]) if w and abs(b) < abs(w)]
    kinks = sorted({Fraction(-1), Fraction(1), *bends})
    places = set(kinks)
    for low, up in pairwise(kinks):
        at_low, at_up = rewards(low, layers), rewards(up, layers)
        for i, j in combinations(range(len(at_low)), 2):
            here, there = at_low[i] - at_low[j], at_up[i] - at_up[j]
            if here * there < 0:
                places.add(low + (up - low) * here / (here - there))
    return min((max(values) - values[bad], x) for x in places for values in [rewards(x, layers)])


@pytest.mark.parametrize("seed", range(3))
def test_the_error_of_a_reward_from_which_a_bad_action_can_be_optimal_is_half_the_least_lead(
    tmp_path: Path, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(-16, 17, shape) / 8 for shape in ((1, 6), (6,), (6, 3), (3,))]
    drawn[3][2] -= 4
    exact = [np.vectorize(Fraction, otypes=[object])(part).tolist() for part in drawn]
    delta, _ = least_lead((exact[0], exact[1], exact[2], exact[3]), 2)
    while delta <= 0:
        exact[3][2] -= 4
        drawn[3][2] -= 4
        delta, _ = least_lead((exact[0], exact[1], exact[2], exact[3]), 2)
    model = write_network(tmp_path / "r.onnx", (drawn[0], drawn[1]), (drawn[2], drawn[3]))
    report = certify(model, write(tmp_path, HEAD + LINE + WORST), out=tmp_path / "out", workers=1)
    (answer,) = report.requirements
    assert answer.verdict == "certified", answer.reason
    assert answer.solution is not None
    proved, refuted = answer.solution.proved, answer.solution.refuted
    assert proved < delta / 2 <= refuted
    assert refuted - proved <= Fraction(1, 1000)
    x = answer.outcome.attack.point[0]  # there the bad action is optimal for a reward this close to the given one
    values = rewards(Fraction(x), (exact[0], exact[1], exact[2], exact[3]))
    moved = [value + (refuted if k == 2 else -refuted) for k, value in enumerate(values)]
    assert moved[2] >= max(moved)


def test_all_nearly_optimal_actions_are_acceptable_below_the_threshold_and_not_above(tmp_path: Path) -> None:
    """Rewards 1, |x|, -1/2 and harms -1, x - 3/4, 1: the second action does harm above 3/4, the third one always."""
    model = write_network(
        tmp_path / "r.onnx",
        ([[1, -1]], [0, 0]),
        ([[0, 1, 0, 0, 1, 0], [0, 1, 0, 0, -1, 0]], [1, 0, -0.5, -1, -0.75, 1]),
    )
    parts = " and ".join(f"implies(r(x)[{k}] + e >= max(r(x)[0:3]) - e, r(x)[{k + 3}] <= 0)" for k in range(3))
    text = HEAD + LINE + f'require:\n  - {{id: all, assert: "{parts}"}}\n'
    for error, verdict in (("0", "violated"), ("0.125", "violated")):
        spec = write(tmp_path, text.replace(" + e ", f" + {error} ").replace(" - e,", f" - {error},"))
        assert certify(model, spec, workers=1).verdict == verdict
    inside = text.replace("lo: -1, hi: 1", "lo: -0.5, hi: 0.5")  # there the first action leads by at least 1/2
    for error, verdict in (("0.2", "certified"), ("0.8", "violated")):
        spec = write(tmp_path, inside.replace(" + e ", f" + {error} ").replace(" - e,", f" - {error},"))
        assert certify(model, spec, workers=1).verdict == verdict


DEFERS = """inputs:
  x: {shape: [2], names: [state, stop], box: {lo: [-1, 0], hi: [1, 1]}}
let: {y: r(x)}
require:
  - {id: stops, assert: "argmax(y[0:2]) == 0", where: "x.stop == 1"}
  - {id: acceptable, severity: malign, assert: "y[0] > y[1] or y[2] >= 0"}
"""


@pytest.mark.parametrize("obeys", [True, False])
def test_a_stop_is_obeyed_and_what_is_not_deferred_is_acceptable(tmp_path: Path, obeys: bool) -> None:
    """Action 0 defers. It has stop in its favour by 3 or by 1/2, state against it; what is done is bad below -1/2."""
    strength = 3 if obeys else 0.5
    weights = [[0.0, 1.0, 1.0], [strength, 0.0, 0.0]]
    model = write_network(tmp_path / "r.onnx", (weights, [0.0, 0.25, 0.5]))
    report = certify(model, write(tmp_path, HEAD + DEFERS), workers=1)
    assert report["stops"].verdict == ("certified" if obeys else "violated")
    assert report["acceptable"].verdict == "certified"
