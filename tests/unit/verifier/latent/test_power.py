"""Power of a latent adversary: closed forms in the brackets, verdicts monotone in the radius, baselines as they are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from specs.errors import CertifyError
from specs.graph import ops
from tests.unit.specs.compose.modules import dense, random_dense, write
from verifier.latent.baselines import constant_safe, random_init
from verifier.latent.power import Power, calibrate

WEIGHTS = ([[1, 0.5], [-1, 1]], [0.25, 0.5]), ([[1], [-2]], [1])
POINTS = np.array([[0.5, 0.25], [1.0, -1.0]])
LIMIT = 5.0


def written(folder: Path, at: str, more: str = "", radius: float = 0.5, size: int = 2) -> Power:
    model = write(folder / "m.onnx", dense(*WEIGHTS))
    listed = ", ".join(f"[{a}, {b}]" for a, b in POINTS)
    (folder / "s.yaml").write_text(f"""certify: "1.0"
name: power
models: {{target: {{path: "$MODEL"}}}}
inputs:
  x: {{shape: [2], points: [{listed}]}}
  delta: {{shape: [{size}], inject: {{model: target, at: {at}}}, ball: {{norm: 2, eps: {radius}, center: 0}}}}
require: [{{id: r, assert: "target(x)[0] <= {LIMIT}"}}]
{more}""")
    return calibrate(model, folder / "s.yaml", {}, 60, samples=1)


def layers(graph) -> list[np.ndarray]:
    return [node.op.value.astype(float) for node in graph.nodes if isinstance(node.op, ops.Constant)]


def least_radius(w1: np.ndarray, b1: np.ndarray, w2: np.ndarray, b2: np.ndarray) -> float:
    """With a linear suffix the output rises by the radius times the length of its weights."""
    greatest = float((np.maximum(POINTS @ w1 + b1, 0) @ w2 + b2).max())
    return (LIMIT - greatest) / float(np.linalg.norm(w2))


def test_brackets_hold_the_closed_form(tmp_path: Path) -> None:
    more = "adversary: {moves: latent, calibrate_power: {baseline: constant-safe, must_fail: false}}"
    power = written(tmp_path, "relu1", more)
    networks = [dense(*WEIGHTS), random_init(dense(*WEIGHTS), 0)]
    for bracket, graph in zip(power.brackets, networks):
        least = least_radius(*layers(graph))
        assert bracket.proved <= max(least, -1) + 1e-9
        assert bracket.attained >= least - 1e-9
        assert bracket.attained <= 1.06 * bracket.proved
        radii = sorted(bracket.at)
        verdicts = [bracket.at[radius] for radius in radii]
        assert verdicts == sorted(verdicts, key=["certified", "violated"].index)  # monotone in the radius
        assert all((verdict == "violated") == (radius >= least) for radius, verdict in bracket.at.items())
    safe = power.brackets[-1]
    assert safe.name == "constant-safe"
    assert (safe.attained, power.too_strong, power.missed) == (math.inf, "no", "")
    assert safe.proved == 32


def test_an_adversary_that_writes_the_answer_itself_is_too_strong(tmp_path: Path) -> None:
    """Added to the last layer it needs the distance from the safe answer to the limit, whatever the weights are."""
    more = "adversary: {calibrate_power: {baseline: constant-safe, must_fail: false}}"
    power = written(tmp_path, "linear2", more, radius=8, size=1)
    assert power.too_strong == "yes"
    assert power.missed == "constant-safe must not fail at 8: yes"
    assert "gate missed" in power.text()
    answer = float(
        (np.maximum(POINTS @ np.array(WEIGHTS[0][0]) + WEIGHTS[0][1], 0) @ np.array(WEIGHTS[1][0]) + 1)[0, 0]
    )
    assert power.brackets[-1].proved <= LIMIT - answer <= power.brackets[-1].attained


def test_random_weights_have_the_variance_and_no_bias() -> None:
    graph = random_dense(np.random.default_rng(0), 40, 300, 50)
    w1, b1, w2, b2 = layers(random_init(graph, 3))
    assert not b1.any()
    assert not b2.any()
    for weight, fan_in in ((w1, 40), (w2, 300)):
        spread = math.sqrt(2 / fan_in)
        # The standard deviation of n normal numbers errs by spread / sqrt(2 n): five of these.
        assert abs(weight.std() - spread) < 5 * spread / math.sqrt(2 * weight.size)
    assert not np.array_equal(w1, layers(random_init(graph, 4))[0])
    assert np.array_equal(w1, layers(random_init(graph, 3))[0])


def test_a_constant_network_is_constant() -> None:
    rng = np.random.default_rng(1)
    graph = constant_safe(random_dense(rng, 3, 5, 2), [0.5, -2])
    for _ in range(20):
        assert graph.evaluate_flat(rng.normal(size=3)).tolist() == [0.5, -2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("ball: {norm: 2, eps: 0.5, center: 0}", "box: {lo: -1, hi: 1}"),
            "needs one input with `inject` and a `ball`",
        ),
        (("eps: 0.5", "eps: 0"), "has the radius 0"),
        (("target(x)[0] <= 3.0", "clean(x)[0] <= 3.0"), "no requirement depends on delta"),
    ],
)
def test_messages(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    model = write(tmp_path / "m.onnx", dense(*WEIGHTS))
    text = """certify: "1.0"
name: power
models: {target: {path: "$MODEL"}, clean: {path: "$MODEL"}}
inputs:
  x: {shape: [2], box: {lo: 1, hi: 1}}
  delta: {shape: [2], inject: {model: target, at: relu1}, ball: {norm: 2, eps: 0.5, center: 0}}
require: [{id: r, assert: "target(x)[0] <= 3.0"}]
"""
    (tmp_path / "s.yaml").write_text(text.replace(*change))
    with pytest.raises(CertifyError, match=message):
        calibrate(model, tmp_path / "s.yaml", {}, 20)
