"""``where: {activation_hull: ...}`` and ``monitor:``: what they compile to, and what is wrong with them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.graph import Graph
from specs.hulls import HullShape, activations, hull_of
from specs.language.load_spec import load_spec
from specs.language.spec import Spec
from tests.unit.specs.compose.modules import random_dense

GRAPH = random_dense(np.random.default_rng(1), 3, 5, 4, 2)
DATA = np.random.default_rng(2).integers(0, 9, (30, 3)) / 8
HULL = "{activation_hull: {model: target, taps: [a1, pre2], data: train.npz}}"


def read(folder: Path, where: str = HULL, rest: str = "", inputs: str = "box: {lo: 0, hi: 1}") -> Spec:
    np.savez(folder / "train.npz", inputs=DATA)
    (folder / "spec.yaml").write_text(
        f"""certify: "1.0"
name: restricted
models: {{target: {{path: "$MODEL", taps: {{a1: pre1}}}}}}
inputs: {{x: {{shape: [3], {inputs}}}}}
let: {{y: target(x)}}
require:
  - {{id: plain, assert: "y[0] <= y[1] + 1"}}
  - {{id: restricted, where: {where}, assert: "y[0] <= y[1] + 1"}}
{rest}"""
    )
    networks: dict[str, Graph] = {"given": GRAPH}
    return load_spec(folder / "spec.yaml", Path("given.onnx"), load=lambda file, **options: networks[file.stem])


def faults(folder: Path, **given: str) -> str:
    with pytest.raises(SpecError) as caught:
        read(folder, **given)
    return str(caught.value)


@pytest.mark.parametrize(
    ("where", "shape", "more"),
    [
        (HULL, HullShape(), 0),
        (f"[{HULL}]", HullShape(), 0),
        (f'["x[0] + x[1] <= 1", {HULL}]', HullShape(), 1),
        (HULL.replace("data:", "kind: octagon, pairs: 3, data:"), HullShape("octagon", pairs=3), 0),
        (HULL.replace("data:", "kind: polytope, directions: 2, data:"), HullShape("polytope", directions=2), 0),
        (HULL.replace("data:", "min_support: 2, margin: 1/8, data:"), HullShape("box", 2, Fraction(1, 8)), 0),
    ],
)
def test_rows_and_meaning_are_those_of_the_hull(tmp_path: Path, where: str, shape: HullShape, more: int) -> None:
    """At random points the compiled problem, the meaning as written and a recount agree; inside and outside occur."""
    loaded = read(tmp_path, where)
    _, restricted = loaded.requirements
    found = activations(GRAPH, DATA, ["pre1", "pre2"])
    hulls = [hull_of(found.values[tap], shape) for tap in ("pre1", "pre2")]
    (case,) = restricted.problem.cases
    assert len(case.any_of) == more + 1 + sum(len(hull.rows) for hull in hulls)
    probes = np.random.default_rng(3).integers(0, 17, (400, 3)) / 16
    seen = activations(GRAPH, probes, ["pre1", "pre2"])
    violated = total = 0
    for k, x in enumerate(probes):
        y = GRAPH.evaluate_flat(x)
        inside = all(hull.contains(seen.values[tap][k].tolist()) for tap, hull in zip(("pre1", "pre2"), hulls))
        inside = inside and (not more or x[0] + x[1] <= 1)
        values = restricted.problem.graph.evaluate_flat(x)
        expected = inside and bool(y[0] > y[1] + 1)
        assert restricted.is_violated_at(x.tolist(), values.tolist()) == expected
        failed = all(
            row.constant + sum(c * Fraction(x[i]) for i, c in row.x) + sum(c * Fraction(values[i]) for i, c in row.y)
            <= (0 if row.strict else -Fraction(1, 10**30))
            for row in case.any_of
        )
        assert failed == expected
        violated, total = violated + expected, total + inside
    assert 0 < total < 400


def test_it_says_what_it_is_about(tmp_path: Path) -> None:
    loaded = read(tmp_path)
    plain, restricted = loaded.requirements
    (text,) = restricted.where
    sha256 = loaded.hulls["restricted"][0].sha256
    assert text == (
        f"activations of target at a1, pre2 in the box hull of train.npz (30 examples, 18 rows, sha256:{sha256})"
    )
    assert loaded.files["data train.npz"] == tmp_path / "train.npz"
    assert plain.where == ()
    assert not loaded.warnings
    assert text in loaded.describe()


def test_data_is_in_raw_units(tmp_path: Path) -> None:
    normalised = read(tmp_path, inputs="box: {lo: 0, hi: 1}, normalize: {mean: 0.5, range: 2}")
    found = activations(GRAPH, (DATA - 0.5) / 2, ["pre1"]).values["pre1"]
    assert normalised.hulls["restricted"][0].taps[0].hull.rows == hull_of(found, HullShape()).rows


def test_a_hull_that_no_example_of_the_set_is_in_is_told(tmp_path: Path) -> None:
    loaded = read(tmp_path, inputs="box: {lo: 5, hi: 6}")
    (warning,) = loaded.warnings
    assert "none of the 30 examples of train.npz is both in the set of inputs and in the hull" in warning


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model: target", "model: tarjet", "'tarjet' is no network. Did you mean 'target'"),
        ("[a1, pre2]", "[a1, pre9]", "has no layer 'pre9'"),
        ("[a1, pre2]", "[]", "at least one entry"),
        ("train.npz", "tests.npz", "cannot be read"),
        ("data: train.npz", "data: train.npz, on: 'x[0:2]'", "takes 3 values"),
        ("data: train.npz", f"data: train.npz, sha256: {'a' * 64}", "it is other data than meant"),
        ("data: train.npz", "data: train.npz, min_support: 29", "the hull is empty: with min_support 29"),
        ("data: train.npz", "data: train.npz, min_support: 31", "fewer than min_support"),
        ("data: train.npz", "data: train.npz, min_support: 0", "at least 1"),
        ("data: train.npz", "data: train.npz, kind: ball", "'box', 'octagon' or 'polytope'"),
        ("data: train.npz", "data: train.npz, margins: 1", "unknown key 'margins'"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    message = faults(tmp_path, where=HULL.replace(old, new))
    assert f"{tmp_path / 'spec.yaml'}:8:" in message
    assert said in message


def test_data_of_another_size_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((4, 5)))
    assert "the examples have 5 values, but x has 3" in faults(tmp_path, where=HULL.replace("train.npz", "wide.npy"))


def test_a_monitor_computes_what_the_model_does(tmp_path: Path) -> None:
    loaded = read(tmp_path, rest="monitor: {from: restricted, export: m.onnx}\nemit: [monitor]")
    assert loaded.monitor is not None
    y, _, (accept,) = loaded.monitor.graph.evaluate(DATA[0])
    assert np.array_equal(y.reshape(-1), GRAPH.evaluate_flat(DATA[0]))
    assert accept
    assert (loaded.monitor.requirement, loaded.monitor.conditions) == ("restricted", ())


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("monitor: {from: restrict, export: m.onnx}", "monitor.from: there is no requirement 'restrict'. Did you"),
        ("monitor: {from: plain, export: m.onnx}", "plain has no activation_hull"),
        ("monitor: {from: restricted, export: ../m.onnx}", "monitor.export: expected the name of a file"),
        ("monitor: {from: restricted, export: m.onnx, held_out: no.npz}", "monitor.held_out: there is no file"),
        ("monitor: {from: restricted, export: m.onnx, on_reject: crash}", "'abstain'"),
        ("emit: [monitor]", "emit: there is no section monitor"),
    ],
)
def test_monitors_that_cannot_be_are_refused(tmp_path: Path, rest: str, said: str) -> None:
    assert said in faults(tmp_path, rest=rest)
