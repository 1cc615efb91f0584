"""States in the level set of a Gaussian: closed forms and dense sampling decide, and the command agrees."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from specs.ellipsoids import EllipsoidSet
from specs.errors import CertificateError, SpecError
from specs.hulls import Ellipsoid
from specs.language.load_spec import load_spec
from specs.language.spec import Spec
from specs.property import is_counterexample
from tests.soundness.deciding import CheckerHere
from tests.unit.specs.compose.modules import dense, write
from tests.unit.specs.compose.residual import Residual
from verifier.api import certify, check

Layers = list[tuple[np.ndarray, np.ndarray]]
HULL = "natural: {data: train.npy, hull: gaussian(0.9)}"


def layers(seed: int, *sizes: int) -> Layers:
    rng = np.random.default_rng(seed)
    return [(rng.integers(-8, 9, (n, m)) / 8, rng.integers(-8, 9, m) / 8) for n, m in pairwise(sizes)]


def write_spec(
    folder: Path, condition: str, size: int, more: str = HULL, mode: str = "replace", where: str = "", x: str = ""
) -> Path:
    np.save(folder / "train.npy", np.random.default_rng(9).integers(-16, 17, (80, 2)) / 16)
    path = folder / "s.yaml"
    path.write_text(f"""certify: "1.0"
name: gaussian
models: {{target: {{path: "$MODEL", taps: {{h: relu1}}}}}}
inputs:
  x: {{shape: [2], {x or "box: {lo: -1, hi: 1}"}}}
  d: {{shape: [{size}], inject: {{model: target, at: h, mode: {mode}}}, {more}}}
require:
  - {{id: r, assert: "{condition}"{where}}}
""")
    return path


def ellipsoid(loaded: Spec) -> Ellipsoid:
    (natural,) = loaded.naturals
    assert isinstance(natural.hull, Ellipsoid)
    return natural.hull


def decided(model: Path, spec: Path, folder: Path) -> tuple[str, str]:
    report = certify(model, spec, workers=1, timeout=30, out=folder, start_checker=CheckerHere.start)
    answer = report["r"]
    if answer.verdict == "certified":
        assert check(folder / "s.nncert", model, spec, exact=True)
    elif answer.attack is not None:
        assert answer.attack.path is not None
        assert check(answer.attack.path, model, spec)
    return answer.verdict, answer.sentence


def test_a_linear_suffix_has_a_closed_form(tmp_path: Path) -> None:
    """The greatest of w h over {m + L z: |z|^2 <= q} is w m + sqrt(q) |L^T w|."""
    net = layers(1, 2, 4, 1)
    model = write(tmp_path / "m.onnx", dense(*net))
    found = ellipsoid(load_spec(write_spec(tmp_path, "target(x)[0] <= 0", 4), model))
    w = net[1][0][:, 0]
    center, factor = np.array(found.center, dtype=float), np.array(found.factor, dtype=float)
    worst = float(w @ center + net[1][1][0] + float(found.bound) ** 0.5 * np.linalg.norm(factor.T @ w))
    for limit, verdict in ((worst + 0.005, "certified"), (worst - 0.005, "violated")):
        told, sentence = decided(model, write_spec(tmp_path, f"target(x)[0] <= {limit!r}", 4), tmp_path)
        assert told == verdict
        assert "gaussian(0.9) hull of train.npy (80 examples, 7" in sentence  # 72 or 73 of them


@pytest.mark.parametrize("seed", range(4))
def test_a_layer_behind_it_is_decided_as_dense_sampling_does(tmp_path: Path, seed: int) -> None:
    """Two values and a layer of ReLUs: 400,000 points of the ellipse come within what their distance allows."""
    net = layers(seed + 10, 2, 2, 3, 1)
    model = write(tmp_path / "m.onnx", dense(*net))
    found = ellipsoid(load_spec(write_spec(tmp_path, "target(x)[0] <= 0", 2), model))
    center, factor = np.array(found.center, dtype=float), np.array(found.factor, dtype=float)
    angles, shares = np.linspace(0, 2 * np.pi, 4000)[:, None], np.sqrt(np.linspace(0, 1, 100))
    circle = np.stack([np.cos(angles) * shares, np.sin(angles) * shares], axis=-1).reshape(-1, 2)
    h = center + float(found.bound) ** 0.5 * circle @ factor.T
    worst = float((np.maximum(h @ net[1][0] + net[1][1], 0) @ net[2][0] + net[2][1]).max())
    for limit, verdict in ((worst + 0.06, "certified"), (worst - 0.01, "violated")):
        assert decided(model, write_spec(tmp_path, f"target(x)[0] <= {limit!r}", 2), tmp_path)[0] == verdict


def test_meaning_problem_and_values_by_hand_agree(tmp_path: Path) -> None:
    """What is consumed is z; the layer holds m + L z, and so does every expression that names the input."""
    net = layers(5, 2, 3, 1)
    graph = dense(*net)
    first = load_spec(write_spec(tmp_path, "target(x)[0] <= 0", 3), Path("m.onnx"), load=lambda *_, **__: graph)
    center = np.array(ellipsoid(first).center, dtype=float)
    limit = Fraction(round(8 * float(center @ net[1][0][:, 0] + net[1][1][0])), 8)
    where = f', where: "d[0] >= {float(center[0])!r}"'
    spec = write_spec(tmp_path, f"target(x)[0] <= {float(limit)!r}", 3, where=where)
    loaded = load_spec(spec, Path("m.onnx"), load=lambda file, **options: graph)
    (requirement,), found = loaded.requirements, ellipsoid(loaded)
    assert isinstance(loaded.inputs[1], EllipsoidSet)
    composed, rng, seen = requirement.problem.graph, np.random.default_rng(1), set()
    assert composed.inputs == ("d",)
    assert requirement.inputs is not None
    for _ in range(1000):
        z = [Fraction(v) for v in (rng.integers(-40, 41, 3) / 16).tolist()]
        h = found.state(z)
        assert requirement.inputs.to_raw(z) == h
        y = [Fraction(v) for v in composed.evaluate_flat([float(v) for v in z]).tolist()]
        by_hand = sum(Fraction(w) * v for w, v in zip(net[1][0][:, 0].tolist(), h)) + Fraction(float(net[1][1][0]))
        assert abs(by_hand - y[0]) < Fraction(1, 10**12)  # rounding of float64 alone
        expected = sum(v * v for v in z) <= found.bound and h[0] >= Fraction(float(center[0])) and y[0] > limit
        assert requirement.is_violated_at(z, y) == expected
        assert is_counterexample(requirement.problem, z, y) == expected
        seen.add((expected, found.contains(h)))
    assert seen == {(True, True), (False, True), (False, False)}


def test_beside_points_of_another_input(tmp_path: Path) -> None:
    """A way around the layer: the rest depends on x as well, whose points are fixed in every case."""
    net = Residual.random(np.random.default_rng(4), 2, 3, 2, 1)
    model = write(tmp_path / "m.onnx", net.graph())
    points = np.array([[0.5, -0.5], [1, 0.25]])
    spec = write_spec(tmp_path, "target(x)[0] <= 0", 3, x=f"points: {points.tolist()}")
    found = ellipsoid(load_spec(spec, model))
    center, factor = np.array(found.center, dtype=float), np.array(found.factor, dtype=float)
    z = np.random.default_rng(0).normal(size=(200_000, 3))
    h = center + float(found.bound) ** 0.5 * (z / np.linalg.norm(z, axis=1, keepdims=True)) @ factor.T
    worst = max(float(net.rest(h, x).max()) for x in points)
    for limit, verdict in ((worst + 0.1, "certified"), (worst - 0.05, "violated")):
        spec = write_spec(tmp_path, f"target(x)[0] <= {limit!r}", 3, x=f"points: {points.tolist()}")
        assert decided(model, spec, tmp_path)[0] == verdict


def test_other_data_is_another_question(tmp_path: Path) -> None:
    """The numbers of the ellipsoid are part of the network that a certificate is about."""
    model = write(tmp_path / "m.onnx", dense(*layers(6, 2, 3, 1)))
    spec = write_spec(tmp_path, "target(x)[0] <= 99", 3)
    assert decided(model, spec, tmp_path)[0] == "certified"
    data = np.load(tmp_path / "train.npy")
    data[0] = [1, -1]
    np.save(tmp_path / "train.npy", data)
    with pytest.raises(CertificateError, match="this is not the model the certificate is about"):
        check(tmp_path / "s.nncert", model, spec)


def test_how_much_of_other_data_is_natural(tmp_path: Path) -> None:
    """The interval is that of SciPy's beta quantiles, for the number of examples that are inside by hand."""
    stats = pytest.importorskip("scipy.stats")
    net = layers(6, 2, 3, 1)
    model = write(tmp_path / "m.onnx", dense(*net))
    other = np.random.default_rng(17).integers(-20, 21, (60, 2)) / 16
    np.save(tmp_path / "other.npy", other)
    more = "natural: {data: train.npy, hull: {gaussian: 0.9}, held_out: other.npy}"
    spec = write_spec(tmp_path, "target(x)[0] <= 99", 3, more)
    loaded = load_spec(spec, model)
    states = np.maximum(other @ net[0][0] + net[0][1], 0)
    inside = sum(ellipsoid(loaded).contains([Fraction(v) for v in h]) for h in states.tolist())
    assert 0 < inside < 60
    assert "data other.npy" in loaded.files
    _, sentence = decided(model, spec, tmp_path)
    low, up = (float(v) for v in re.search(r"share is in \[([\d.]+), ([\d.]+)\]", sentence).groups())  # type: ignore
    assert f"ON {inside} OF 60 EXAMPLES OF other.npy" in sentence
    assert low == pytest.approx(stats.beta.ppf(0.005, inside, 61 - inside), rel=1e-5)
    assert up == pytest.approx(stats.beta.ppf(0.995, inside + 1, 60 - inside), rel=1e-5)
    same = write_spec(tmp_path, "target(x)[0] <= 99", 3, more.replace("other", "train"))
    assert "says nothing about others" in decided(model, same, tmp_path)[1]


@pytest.mark.parametrize(
    ("more", "mode", "message"),
    [
        (HULL, "add", r"s\.yaml:6:\d+: inputs\.d\.inject: a gaussian hull holds .* say mode: replace"),
        (HULL + ", ball: {norm: 2, eps: 1, center: 0}", "replace", "beside a gaussian hull there are no other sets"),
        (HULL.replace("0.9", "1.5"), "replace", r"natural\.hull.*: expected a share above 0 and of at most 1"),
        (HULL.replace("0.9", "many"), "replace", r"natural\.hull: expected 'box', 'octagon' or 'polytope'"),
        (HULL.replace(")}", "), margin: 0.1}"), "replace", "has a share of the data in it, and no other options"),
        (HULL.replace("data: train.npy", "reachable: box"), "replace", "is one of data: give data, and no reachable"),
        (HULL.replace("train", "none"), "replace", "none.npy cannot be read"),
    ],
)
def test_messages(tmp_path: Path, more: str, mode: str, message: str) -> None:
    spec = write_spec(tmp_path, "target(x)[0] <= 0", 3, more, mode)
    with pytest.raises(SpecError) as caught:
        load_spec(spec, Path("m.onnx"), load=lambda file, **options: dense(*layers(0, 2, 3, 1)))
    assert re.search(message, str(caught.value)), str(caught.value)
