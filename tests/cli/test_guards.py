"""From a specification with a range to be found to the guarded network that answers on it and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli, write_network

HEAD = 'certify: "1.0"\nname: range\nmodels: {f: {path: f.onnx}}\n'
SOLVED = "solve_for: {scale: {maximize: true, range: [0, 2], resolution: 0.01}}"
GUARD = "guard: {from: safe, export: guard.onnx, on_reject: abstain}\n"


def hinge(folder: Path) -> None:
    """f(x) = 10 max(0, x - 0.5), at most 2 exactly where x <= 0.7."""
    write_network(folder / "f.onnx", ([[1]], [-0.5]), ([[10]], [0]))


def planar(folder: Path) -> None:
    """f(x) = |x0| + |x1|, at most 1 exactly in a diamond."""
    write_network(folder / "f.onnx", ([[1, -1, 0, 0], [0, 0, 1, -1]], [0] * 4), ([[1]] * 4, [0]))


def written(folder: Path, inputs: str, requirement: str, guard: str = GUARD) -> Path:
    spec = folder / "spec.yaml"
    spec.write_text(f"{HEAD}inputs: {{x: {inputs}}}\nrequire:\n  - {{id: safe, {requirement}}}\n{guard}")
    return spec


def guarded(path: Path) -> Callable[[object], bool]:
    """Whether the guard accepts, after a look at its answer."""
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])

    def accepts(x: object) -> bool:
        y, accept = session.run(["y", "accept"], {"x": np.array(x, dtype=np.float32).reshape(1, -1)})
        assert np.isnan(y).all() != accept[0]
        return bool(accept[0])

    return accepts


def test_a_function_that_is_safe_on_a_range_is_answered_for_there_only(cli: Cli, tmp_path: Path) -> None:
    hinge(tmp_path)
    np.savez(tmp_path / "held.npz", inputs=np.linspace(0, 1, 101)[:, None])
    guard = "guard: {from: safe, export: guard.onnx, held_out: held.npz}\n"
    spec = written(tmp_path, '{shape: [1], box: {lo: 0, hi: "$scale"}}', f'assert: "f(x)[0] <= 2", {SOLVED}', guard)
    told = cli("lint", spec)
    assert "guard guard.onnx: f where x is in the set of safe, abstains elsewhere" in told.stdout
    done = cli(spec, "--out", "out", "--json", "r.json", "--timeout", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    proved = Fraction(report["requirements"][0]["parameter"]["proved"])
    assert Fraction(69, 100) <= proved < Fraction(7, 10)
    accepts = guarded(tmp_path / "out/guard.onnx")
    last = np.float32(proved)
    last = last if Fraction(float(last)) <= proved else np.nextafter(last, np.float32(0))
    assert accepts(last)
    assert not accepts(np.nextafter(last, np.float32(1)))
    assert accepts(0)
    for outside in (0.71, -1e-45, np.nan, np.inf, -np.inf, 5):
        assert not accepts(outside)
    sentence = report["guard"]["sentence"]
    assert sentence.startswith(
        "FOR ALL x of float32 numbers, also infinite and NaN: the guarded system guard.onnx (sha256:"
    )
    assert f"x[0] in [0.0, {float(last)!r}]" in sentence
    assert "abstains or satisfies: f(x)[0] <= 2 WITH scale" in sentence
    assert sentence in done.stdout
    assert report["guard"]["acceptance"]["accepted"] == sum(k / 100 <= proved for k in range(101))
    again = cli(spec, "--out", "again", "--set", f"scale={float(proved)!r}")
    assert again.returncode == 0, again.stdout + again.stderr
    assert (tmp_path / "again/guard.onnx").read_bytes() == (tmp_path / "out/guard.onnx").read_bytes()
    checked = cli("check", tmp_path / "out/spec.nncert", "--spec", spec)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_value_that_is_given_and_units_that_are_normalised(cli: Cli, tmp_path: Path) -> None:
    """The network consumes (x - 100) / 50: at 130 it is given 0.6."""
    hinge(tmp_path)
    spec = written(
        tmp_path,
        '{shape: [1], box: {lo: 100, hi: "$scale"}, normalize: {mean: 100, range: 50}}',
        'assert: "f(x)[0] <= 2", solve_for: {scale: {maximize: true, range: [100, 200]}}',
    )
    done = cli(spec, "--out", "out", "--set", "scale=130")
    assert done.returncode == 0, done.stdout + done.stderr
    accepts = guarded(tmp_path / "out/guard.onnx")
    last = np.float32(0.6)
    last = last if Fraction(float(last)) <= Fraction(6, 10) else np.nextafter(last, np.float32(0))
    assert accepts(last)
    assert not accepts(np.nextafter(last, np.float32(1)))
    assert "which here are normalised before" in done.stdout


@pytest.mark.parametrize("norm", ["1", "2", "inf"])
def test_the_largest_ball(cli: Cli, tmp_path: Path, norm: str) -> None:
    """The diamond is the unit ball of the norm 1; it holds the Euclidean one of radius 1/sqrt(2), the square of 1/2."""
    planar(tmp_path)
    ball = f'{{shape: [2], ball: {{center: [0, 0], norm: {norm}, eps: "$scale"}}}}'
    spec = written(tmp_path, ball, f'assert: "f(x)[0] <= 1", {SOLVED}')
    done = cli(spec, "--out", "out", "--json", "r.json", "--timeout", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    proved = Fraction(report["requirements"][0]["parameter"]["proved"])
    best = {"1": 1.0, "2": 0.5**0.5, "inf": 0.5}[norm]
    assert best - 0.02 <= float(proved) <= best
    accepts = guarded(tmp_path / "out/guard.onnx")
    rng = np.random.default_rng(3)
    for x in rng.uniform(-1, 1, (500, 2)).astype(np.float32):
        one, two = (Fraction(float(v)) for v in x)
        sizes = {"1": abs(one) + abs(two), "2": one**2 + two**2, "inf": max(abs(one), abs(two))}
        inside = sizes[norm] <= (proved**2 if norm == "2" else proved)
        assert accepts(x) == inside
        assert not inside or float(abs(one) + abs(two)) <= 1


def test_linear_conditions_and_conditions_of_the_requirement(cli: Cli, tmp_path: Path) -> None:
    planar(tmp_path)
    inputs = '{shape: [2], box: {lo: 0, hi: 1}, linear: ["x[0] + 2*x[1] <= scale", "x[1] <= x[0]"]}'
    spec = written(tmp_path, inputs, f'where: "x[0] < 0.75", assert: "f(x)[0] <= 1", {SOLVED}')
    done = cli(spec, "--out", "out", "--json", "r.json", "--timeout", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    proved = Fraction(report["requirements"][0]["parameter"]["proved"])
    assert Fraction(123, 100) <= proved <= Fraction(125, 100)  # beyond, (3/4, 1/4 and a little) is reached
    accepts = guarded(tmp_path / "out/guard.onnx")
    assert accepts([0.7, 0.1])
    assert not accepts([0.75, 0.1])
    assert accepts([np.nextafter(np.float32(0.75), np.float32(0)), 0.1])
    assert accepts([0.3, 0.3])
    assert not accepts([0.3, np.nextafter(np.float32(0.3), np.float32(1))])
    assert "but for a rim of rounding" in report["guard"]["sentence"]


def test_without_a_certificate_nothing_is_written(cli: Cli, tmp_path: Path) -> None:
    hinge(tmp_path)
    done = cli(written(tmp_path, "{shape: [1], box: {lo: 0, hi: 1}}", 'assert: "f(x)[0] <= 2"'), "--out", "out")
    assert done.returncode == 1
    assert "not written safe is not certified" in " ".join(done.stdout.split())
    assert not (tmp_path / "out/guard.onnx").exists()


def test_a_guard_of_a_set_that_rounding_fills_is_not_written(cli: Cli, tmp_path: Path) -> None:
    hinge(tmp_path)
    done = cli(written(tmp_path, "{shape: [1], box: {lo: 0.1, hi: 0.1}}", 'assert: "f(x)[0] <= 2"'), "--out", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no float32 number is in the interval of element 0" in done.stdout
    assert not (tmp_path / "out/guard.onnx").exists()


@pytest.mark.parametrize(
    ("requirement", "guard", "told"),
    [
        (
            'assert: "f(x)[0] <= 2"',
            "guard: {from: save, export: g.onnx}",
            "7:15: guard.from: there is no requirement 'save'",
        ),
        (
            'assert: "f(x)[0] <= 2"',
            "guard: {from: safe, export: a/g.onnx}",
            "guard.export: expected the name of a file",
        ),
        ('assert: "f(x)[0] <= 2"', "guard: {from: safe, export: g.onnx, held_out: no.npz}", "there is no file"),
        ('assert: "f(x)[0] <= 2", where: "f(x)[0] >= 0"', GUARD, "this is no condition on inputs"),
        ('assert: "f(x)[0] <= 2", where: "fine"', f'let: {{fine: "f(x)[0] >= 0"}}\n{GUARD}', "no condition on inputs"),
        (
            'assert: "f(x)[0] <= 2", where: "fine or x[0] >= 0"',
            f'let: {{fine: "f(x)[0] >= 0"}}\n{GUARD}',
            "no condition",
        ),
        ('assert: "f(x + 1)[0] <= 9"', GUARD, "f is called on something else than x"),
        ('assert: "f(z)[0] <= 9"', f'let: {{z: "x / 2"}}\n{GUARD}', "f is called on something else than x"),
        ('assert: "f(f(x))[0] <= 90"', GUARD, "f is called on something else than x"),
        ('assert: "f(x)[0] <= 2", where: "x[0] <= 0.2 or x[0] >= 0.4"', GUARD, "not alternatives"),
    ],
)
def test_what_no_guard_can_decide_is_refused(cli: Cli, tmp_path: Path, requirement: str, guard: str, told: str) -> None:
    hinge(tmp_path)
    done = cli("lint", written(tmp_path, "{shape: [1], box: {lo: 0, hi: 1}}", requirement, guard + "\n"))
    assert done.returncode == 2
    assert told in done.stderr


def test_points_and_pairs_are_refused(cli: Cli, tmp_path: Path) -> None:
    hinge(tmp_path)
    finite = cli("lint", written(tmp_path, "{shape: [1], points: [[0.1], [0.2]]}", 'assert: "f(x)[0] <= 2"'))
    assert "its set is finite" in finite.stderr
    pair = "{shape: [1], box: {lo: 0, hi: 1}}, z: {shape: [1], box: {lo: 0, hi: 1}}"
    both = cli("lint", written(tmp_path, pair, 'assert: "f(x)[0] - f(z)[0] <= 9"'))
    assert "the one input of a model" in both.stderr
