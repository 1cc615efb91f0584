"""A proof against every state that a layer can hold is a proof about every input, on random networks and exactly."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.language.load_spec import load_spec
from tests.oracle import Row, holds, minimum
from tests.soundness.deciding import CheckerHere
from tests.unit.specs.compose.modules import dense, write
from verifier.api import certify
from verifier.reach import reach

ONE, STEP = Fraction(1), Fraction(1, 64)
Layers = list[tuple[np.ndarray, np.ndarray]]


def random_layers(rng: np.random.Generator, *sizes: int) -> Layers:
    """Weights (in, out) and biases that are multiples of 1/8."""
    return [(rng.integers(-8, 9, (n, m)) / 8, rng.integers(-8, 9, m) / 8) for n, m in pairwise(sizes)]


def for_oracle(layers: Layers) -> list[tuple[list, list]]:
    return [(weight.T.tolist(), bias.tolist()) for weight, bias in layers]


def greatest(layers: Layers, low: list, up: list, direction: list[tuple[int, Fraction]]) -> Fraction:
    """The exact greatest value of a direction of the outputs over a box."""
    return -minimum(for_oracle(layers), low, up, Row((), tuple((i, -c) for i, c in direction)))


def write_spec(folder: Path, limit: Fraction, size: int, kind: str, mode: str = "replace", more: str = "") -> Path:
    path = folder / "s.yaml"
    path.write_text(f"""certify: "1.0"
name: latent
models: {{target: {{path: "$MODEL", taps: {{h: relu2}}}}}}
inputs:
  x: {{shape: [2], box: {{lo: -1, hi: 1}}}}
  d: {{shape: [{size}], inject: {{model: target, at: h, mode: {mode}}}, natural: {{reachable: {kind}}}{more}}}
require:
  - {{id: safe, assert: "target(x)[0] <= {float(limit)!r}"}}
""")
    return path


@pytest.mark.parametrize("seed", range(50))
def test_a_certificate_on_reachable_states_implies_one_on_inputs(tmp_path: Path, seed: int) -> None:
    """Just above the exact greatest value over the states the adversary is kept to there is a proof, and the inputs
    satisfy the property, too, as region enumeration says; just below it there is a state that violates it.
    """
    rng = np.random.default_rng(seed)
    sizes = [2, int(rng.integers(2, 5)), int(rng.integers(2, 4)), int(rng.integers(2, 4)), 1]
    layers = random_layers(rng, *sizes)
    model = write(tmp_path / "m.onnx", dense(*layers))
    kind = "octagon" if seed % 5 == 0 else "box"
    hull = load_spec(write_spec(tmp_path, ONE, sizes[2], kind), model, reach=reach).naturals[0].hull
    prefix = [*layers[:2], (np.eye(sizes[2]), np.zeros(sizes[2]))]
    for row in hull.rows:  # each bound is one
        assert greatest(prefix, [-1, -1], [1, 1], list(row.terms)) <= row.bound
    if kind == "octagon":
        low, up = zip(*hull.bounds)
        limit = greatest(layers[2:], list(low), list(up), [(0, ONE)]) + STEP
    else:
        low, up = zip(*hull.bounds)
        worst = greatest(layers[2:], list(low), list(up), [(0, ONE)])
        below = certify(
            model,
            write_spec(tmp_path, worst - STEP, sizes[2], kind),
            workers=1,
            timeout=20,
            start_checker=CheckerHere.start,
        )
        assert below["safe"].verdict == "violated"
        state = [Fraction(v) for v in below["safe"].attack.point]
        assert all(a <= v <= b for a, v, b in zip(low, state, up))
        assert below["safe"].natural == ""
        limit = worst + STEP
    report = certify(
        model, write_spec(tmp_path, limit, sizes[2], kind), workers=1, timeout=20, start_checker=CheckerHere.start
    )
    assert report["safe"].verdict == report["d-reachable"].verdict == "certified"
    assert report["safe"].natural.startswith("COVERS EVERY NATURAL FAILURE")
    assert holds(for_oracle(layers), [-1, -1], [1, 1], [Row((), ((0, -ONE),), Fraction(float(limit)))])


@pytest.mark.parametrize("seed", range(5))
def test_states_that_are_added_to_are_kept_there_too(tmp_path: Path, seed: int) -> None:
    """With delta up to 1/4 in every element and the sum kept to what is reachable: never more than either alone."""
    rng = np.random.default_rng(1000 + seed)
    layers = random_layers(rng, 2, 3, 2, 2, 1)
    model = write(tmp_path / "m.onnx", dense(*layers))
    spec = write_spec(tmp_path, ONE, 2, "box", "add", ", box: {lo: -0.25, hi: 0.25}")
    loaded = load_spec(spec, model, reach=reach)
    low, up = zip(*loaded.naturals[0].hull.bounds)
    (safe, support) = loaded.requirements
    assert safe.covered_by == support.id == "d-reachable"
    worst = greatest(layers[2:], list(low), list(up), [(0, ONE)])
    report = certify(
        model,
        write_spec(tmp_path, worst + STEP, 2, "box", "add", ", box: {lo: -0.25, hi: 0.25}"),
        workers=1,
        timeout=20,
        start_checker=CheckerHere.start,
    )
    assert report["safe"].verdict == "certified"
    assert "COVERS EVERY NATURAL FAILURE" in report.sentence
    found = set()
    graph = safe.problem.graph
    for _ in range(300):
        x, d = rng.integers(-16, 17, 2) / 16, rng.integers(-4, 5, 2) / 16
        h = np.maximum(np.maximum(x @ layers[0][0] + layers[0][1], 0) @ layers[1][0] + layers[1][1], 0) + d
        y = float((np.maximum(h @ layers[2][0] + layers[2][1], 0) @ layers[3][0] + layers[3][1])[0])
        inside = all(a <= Fraction(v) <= b for a, v, b in zip(low, h.tolist(), up))
        given = [Fraction(v) for v in (*x, *d)]
        violated = safe.is_violated_at(given, graph.evaluate_flat([*x, *d]))
        assert violated == (inside and y > 1)
        found.add((inside, violated))
    assert True in {inside for inside, _ in found}


@pytest.mark.parametrize(
    ("mode", "more", "covered"),
    [
        ("replace", "", True),
        ("replace", ", box: {lo: 0, hi: 1}", False),  # not every natural state may be written
        ("replace", ", ball: {norm: 2, eps: 1, center: 0}", False),
        ("add", ", box: {lo: -1, hi: 1}", True),
        ("add", ", box: {lo: 0.125, hi: 1}", False),  # what is there by itself always changes
        ("add", ', box: {lo: -1, hi: 1}, linear: ["d[0] >= 0"]', False),
    ],
)
def test_what_covers_every_natural_failure(tmp_path: Path, mode: str, more: str, covered: bool) -> None:
    model = write(tmp_path / "m.onnx", dense(*random_layers(np.random.default_rng(3), 2, 3, 2, 2, 1)))
    fixed = "box: {lo: 0.25, hi: 0.25}" if "ball" in more else "box: {lo: -1, hi: 1}"
    spec = write_spec(tmp_path, ONE, 2, "box", mode, more)
    spec.write_text(spec.read_text().replace("x: {shape: [2], box: {lo: -1, hi: 1}}", f"x: {{shape: [2], {fixed}}}"))
    safe = load_spec(spec, model, reach=reach).requirements[0]
    assert (safe.covered_by == "d-reachable") == covered


@pytest.mark.parametrize(
    ("condition", "covered"),
    [
        ("x[0] >= 0", True),
        ("d[0] >= 0.5", False),  # a condition that stands under x is one on what is written
        ("d[0] >= x[0]", False),  # then the layer by itself is met for some inputs only
    ],
)
def test_conditions_that_stand_under_another_input_cover_less(tmp_path: Path, condition: str, covered: bool) -> None:
    model = write(tmp_path / "m.onnx", dense(*random_layers(np.random.default_rng(3), 2, 3, 2, 2, 1)))
    spec = write_spec(tmp_path, ONE, 2, "box", "add", ", box: {lo: -1, hi: 1}")
    text = spec.read_text()
    assert "hi: 1}}\n  d:" in text
    spec.write_text(text.replace("hi: 1}}\n  d:", f'hi: 1}}, linear: ["{condition}"]}}\n  d:', 1))
    safe = load_spec(spec, model, reach=reach).requirements[0]
    assert (safe.covered_by == "d-reachable") == covered


def test_bounds_on_a_layer_do_not_stay_where_the_inputs_move(tmp_path: Path) -> None:
    """They would be those of one value of the parameter; a parameter of the claim alone leaves them as they are."""
    model = write(tmp_path / "m.onnx", dense(*random_layers(np.random.default_rng(3), 2, 3, 2, 2, 1)))
    spec = write_spec(tmp_path, ONE, 2, "box", "add", ", box: {lo: -1, hi: 1}")
    text = spec.read_text()
    moved = text.replace("x: {shape: [2], box: {lo: -1, hi: 1}}", 'x: {shape: [2], box: {lo: -1, hi: "$t"}}')
    spec.write_text(moved.replace('1.0"}', '1.0", solve_for: {t: {maximize: true, range: [0, 1]}}}'))
    with pytest.raises(SpecError, match="d-reachable is about x as well, which changes with t"):
        load_spec(spec, model, reach=reach)
    spec.write_text(text.replace('1.0"}', 't", solve_for: {t: {minimize: true, range: [0, 1]}}}'))
    safe = load_spec(spec, model, reach=reach).requirements[0]
    assert safe.solved is not None
    assert safe.solved.is_monotone
    assert safe.covered_by == "d-reachable"


def test_a_restricted_requirement_covers_less(tmp_path: Path) -> None:
    model = write(tmp_path / "m.onnx", dense(*random_layers(np.random.default_rng(3), 2, 3, 2, 2, 1)))
    spec = write_spec(tmp_path, ONE, 2, "box")
    spec.write_text(spec.read_text().replace("{id: safe,", '{id: safe, where: "d[0] <= 1",'))
    assert load_spec(spec, model, reach=reach).requirements[0].covered_by == ""


def test_one_state_in_place_of_two_covers_nothing(tmp_path: Path) -> None:
    """Two calls hold different states by themselves, and the adversary writes one into both: not every natural pair."""
    model = write(tmp_path / "m.onnx", dense(*random_layers(np.random.default_rng(3), 2, 3, 2, 2, 1)))
    spec = write_spec(tmp_path, ONE, 2, "box")
    text = spec.read_text().replace("inputs:\n", "inputs:\n  z: {shape: [2], box: {lo: 0, hi: 1}}\n")
    spec.write_text(text.replace("<= 1.0", "<= target(z)[0]"))
    with pytest.raises(SpecError, match="target is called on different things, so it is not clear what it can reach"):
        load_spec(spec, model, reach=reach)
