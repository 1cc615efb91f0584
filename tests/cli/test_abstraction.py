"""Inputs that are abstracted: what is proved of what the abstraction may give, and what follows for the inputs."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli, write_network
from tests.oracle import Row as OracleRow
from tests.oracle import minimum

Layers = list[tuple[np.ndarray, np.ndarray]]
FIRST = OracleRow((), ((0, Fraction(1)),), Fraction(0), True)


def random_layers(rng: np.random.Generator, *sizes: int) -> Layers:
    """Weights of shape (in, out), multiples of 1/8."""
    return [(rng.integers(-8, 9, (n, m)) / 8, rng.integers(-8, 9, m) / 8) for n, m in pairwise(sizes)]


def write(path: Path, layers: Layers) -> Path:
    return write_network(path, *((w.tolist(), b.tolist()) for w, b in layers))


def run(layers: Layers, x: np.ndarray) -> np.ndarray:
    """In float64; exact where weights are multiples of 1/8 and there are few of them."""
    for number, (w, b) in enumerate(layers):
        x = x @ w + b
        x = x if number == len(layers) - 1 else np.maximum(x, 0)
    return x


def dense(*layers: Layers) -> list[tuple[list, list]]:
    """As the oracle takes them; networks after one another, the seams multiplied together."""
    joined = list(layers[0])
    for after in layers[1:]:
        (w, b), (v, c) = joined.pop(), after[0]
        joined += [(w @ v, b @ v + c), *after[1:]]
    return [(w.T.tolist(), b.tolist()) for w, b in joined]


def spec(folder: Path, abstraction: str, condition: str, more: str = "", x: str = "box: {lo: -1, hi: 1}") -> Path:
    path = folder / "spec.yaml"
    path.write_text(
        f'certify: "1.0"\nname: abstract\nmodels:\n  target: {{path: "$MODEL"}}\n'
        f"inputs:\n  x:\n    shape: [4]\n    {x}\n    abstract_by: {{network: alpha.onnx{abstraction}}}\n"
        f'require:\n  - id: safe\n    assert: "{condition}"\n{more}'
    )
    return path


def decided(cli: Cli, folder: Path, *arguments: object) -> tuple[dict, dict]:
    """The requirement, and the one that says what the abstraction gives."""
    done = cli(*arguments, "--out", "out", "--json", "r.json")
    assert done.returncode in (0, 1, 3), done.stderr + done.stdout
    safe, reachable = json.loads((folder / "r.json").read_text())["requirements"]
    assert (safe["id"], reachable["id"]) == ("safe", "x-abstraction-reachable")
    return safe, reachable


@pytest.fixture
def networks(tmp_path: Path) -> tuple[Layers, Layers, Path]:
    rng = np.random.default_rng(3)
    alpha, target = random_layers(rng, 4, 5, 2), random_layers(rng, 2, 5, 1)
    write(tmp_path / "alpha.onnx", alpha)
    return alpha, target, write(tmp_path / "m.onnx", target)


BOX = ", box: {lo: [-6, -6], hi: [6, 6]}"


def test_the_answer_on_bounds_that_are_given_is_the_exact_one(
    cli: Cli, tmp_path: Path, networks: tuple[Layers, Layers, Path]
) -> None:
    """Two numbers in a box: the exact least value, which a grid comes near to from above, and what follows for x."""
    alpha, target, model = networks
    least = minimum(dense(target), [Fraction(-6)] * 2, [Fraction(6)] * 2, FIRST)
    axis = np.linspace(-6, 6, 241)
    grid = run(target, np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)).min()
    assert float(least) <= grid <= float(least) + 0.25
    path = spec(tmp_path, BOX, f"target(x)[0] >= {float(least) - 1 / 64!r}")
    safe, reachable = decided(cli, tmp_path, model, path)
    assert (safe["verdict"], reachable["verdict"]) == ("certified", "certified")
    assert "SO THE SAME HOLDS FOR ALL x IN {x[0] in [-1, 1]" in safe["sentence"]
    on_inputs = minimum(dense(alpha, target), [Fraction(-1)] * 4, [Fraction(1)] * 4, FIRST)
    cost = float(safe["sentence"].partition("COSTS AT MOST ")[2].split(":")[0])
    assert cost >= float(on_inputs - least)
    assert safe["bracket"][0] >= float(on_inputs - least)
    for name in ("safe", "x-abstraction-reachable"):
        done = cli("check", f"out/spec.{name}.nncert", "--model", model, "--spec", path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_violation_has_an_input_or_is_relaxed(
    cli: Cli, tmp_path: Path, networks: tuple[Layers, Layers, Path]
) -> None:
    alpha, target, model = networks
    on_box = minimum(dense(target), [Fraction(-6)] * 2, [Fraction(6)] * 2, FIRST)
    on_inputs = minimum(dense(alpha, target), [Fraction(-1)] * 4, [Fraction(1)] * 4, FIRST)
    assert on_box < on_inputs - 1
    path = spec(tmp_path, BOX, f"target(x)[0] >= {float(on_inputs) + 1 / 64!r}")
    safe, _ = decided(cli, tmp_path, model, path)
    assert safe["verdict"] == "violated"
    x = np.array([float(Fraction(v)) for v in safe["attack"]["input_exact"]])
    assert x.shape == (4,)
    assert (np.abs(x) <= 1).all()
    assert run(target, run(alpha, x))[0] < float(on_inputs) + 1 / 64
    assert set(safe["attack"]["input_raw"]) == {"x[0]", "x[1]", "x[2]", "x[3]"}
    done = cli("check", "out/spec.safe.nnwitness", "--model", model, "--spec", path)
    assert done.returncode == 0, done.stdout + done.stderr
    path = spec(tmp_path, BOX, f"target(x)[0] >= {float(on_inputs) - 1 / 64!r}")
    safe, _ = decided(cli, tmp_path, model, path)
    assert safe["verdict"] == "unknown"
    assert safe["reason"].startswith("relaxed: ")
    o = np.array(safe["relaxed_attack"]["input"])
    assert o.shape == (2,)
    assert run(target, o)[0] < float(on_inputs) - 1 / 64
    assert not list((tmp_path / "out").glob("spec.safe.nnc*"))


@pytest.mark.parametrize("hull", ["box", "octagon"])
def test_bounds_that_are_found_contain_what_the_abstraction_gives(
    cli: Cli, tmp_path: Path, networks: tuple[Layers, Layers, Path], hull: str
) -> None:
    """The answer on them is no better than the exact one about inputs, and not better than that on the box of it."""
    alpha, target, model = networks
    on_inputs = minimum(dense(alpha, target), [Fraction(-1)] * 4, [Fraction(1)] * 4, FIRST)
    solve = "    solve_for: {t: {maximize: true, range: [-60, 40], resolution: 0.05}}\n"
    path = spec(tmp_path, f", hull: {hull}", "target(x)[0] >= t", solve)
    safe, reachable = decided(cli, tmp_path, model, path, "--timeout", 50)
    assert (safe["verdict"], reachable["verdict"]) == ("certified", "certified")
    proved = Fraction(safe["parameter"]["proved"])
    assert proved <= on_inputs
    if safe["parameter"]["refuted"] is not None:
        assert Fraction(safe["parameter"]["refuted"]) > on_inputs
    assert "SO THE SAME HOLDS FOR ALL x" in safe["sentence"]


def test_bounds_that_the_abstraction_leaves_carry_no_proof(
    cli: Cli, tmp_path: Path, networks: tuple[Layers, Layers, Path]
) -> None:
    _, _, model = networks
    path = spec(tmp_path, ", box: {lo: -0.01, hi: 0.01}", "target(x)[0] >= -20")
    safe, reachable = decided(cli, tmp_path, model, path)
    assert reachable["verdict"] == "violated"
    assert safe["verdict"] == "unknown"
    assert safe["reason"].startswith("abstraction: ")
    assert "SO THE SAME HOLDS" not in safe["sentence"]


def test_what_rests_on_a_proof_that_does_not_carry_is_not_established(
    cli: Cli, tmp_path: Path, networks: tuple[Layers, Layers, Path]
) -> None:
    _, _, model = networks
    assume = "assume:\n  - {id: C1, kind: checked, text: x is fine, check: {requirement: safe}}\n"
    for box, status in ((", box: {lo: -0.01, hi: 0.01}", "NOT ESTABLISHED: safe is unknown"), (BOX, "holds")):
        path = spec(tmp_path, box, "target(x)[0] >= -100", assume)
        _, reachable = decided(cli, tmp_path, model, path)
        assert f"C1 (checked, {status}" in reachable["sentence"]


def test_a_proof_that_has_to_be_exact_rests_on_one_that_is(
    cli: Cli, tmp_path: Path, networks: tuple[Layers, Layers, Path]
) -> None:
    _, _, model = networks
    path = spec(tmp_path, BOX, "target(x)[0] >= -100", "    accept_class: exact\n")
    safe, reachable = decided(cli, tmp_path, model, path)
    assert (safe["class"], reachable["class"]) == ("exact", "exact")
    path = spec(tmp_path, BOX, "target(x)[0] >= -100", "    severity: info\ngate: {require_class: {info: exact}}\n")
    safe, reachable = decided(cli, tmp_path, model, path)
    assert (safe["verdict"], safe["class"], reachable["class"]) == ("certified", "sound", "sound")


def test_equal_inputs_of_which_one_is_abstracted(cli: Cli, tmp_path: Path) -> None:
    """What the abstraction makes of z is 5 everywhere: that x is equal to z does not mean that z is given as it is."""
    model = write(tmp_path / "m.onnx", [(np.array([[1.0]]), np.array([0.0]))])
    write(tmp_path / "alpha.onnx", [(np.array([[0.0]]), np.array([5.0]))])
    path = tmp_path / "spec.yaml"
    path.write_text(
        'certify: "1.0"\nname: twins\nmodels:\n  target: {path: "$MODEL"}\ninputs:\n'
        "  x: {shape: [1], box: {lo: 0, hi: 1}}\n"
        '  z: {shape: [1], box: {lo: 0, hi: 1}, linear: "z[0] == x[0]", abstract_by: {network: alpha.onnx}}\n'
        'require:\n  - {id: safe, assert: "target(z)[0] <= 1.5"}\n'
    )
    done = cli(model, path, "--out", "out", "--json", "r.json")
    assert done.returncode == 1, done.stderr
    safe = json.loads((tmp_path / "r.json").read_text())["requirements"][0]
    assert safe["verdict"] == "violated"


def test_an_abstraction_that_hides_the_trigger_certifies_nothing(cli: Cli, tmp_path: Path) -> None:
    """The overseer looks at x[3], which the abstraction does not pass on: reading it beside the abstraction is refused.

    Put into the abstraction it is a trigger that some input sets, and bounds too wide for it make a relaxed attack.
    """
    model = write(tmp_path / "m.onnx", [(np.array([[1.0], [1.0]]), np.array([0.0]))])
    write(tmp_path / "alpha.onnx", [(np.eye(4)[:, :2], np.zeros(2))])
    path = spec(tmp_path, "", "x[3] <= 0.5 or target(x)[0] >= 5")
    done = cli(model, path)
    assert done.returncode == 2
    assert "x is read beside what its abstraction makes of it" in done.stderr
    assert "spec.yaml:" in done.stderr
    path = spec(tmp_path, "", "target(x)[0] >= 5", '    where: "x[3] >= 0.5"\n')
    done = cli(model, path)
    assert done.returncode == 2
    assert "is read beside" in done.stderr
    # o = (x0, x0): o0 - o1 is 0 for every input, which a box of o forgets.
    write(tmp_path / "alpha.onnx", [(np.eye(4)[:, [0, 0]], np.zeros(2))])
    model = write(tmp_path / "m.onnx", [(np.array([[1.0], [-1.0]]), np.array([0.0]))])
    path = spec(tmp_path, ", hull: box", "target(x)[0] <= 0.5")
    safe, reachable = decided(cli, tmp_path, model, path)
    assert (safe["verdict"], reachable["verdict"]) == ("unknown", "certified")
    assert "relaxed" in safe["reason"]
    path = spec(tmp_path, ", hull: octagon", "target(x)[0] <= 0.5")
    safe, _ = decided(cli, tmp_path, model, path)
    assert safe["verdict"] == "certified"


def test_restrictions_of_the_input_count_for_what_the_abstraction_can_give(cli: Cli, tmp_path: Path) -> None:
    """Normalised, in a smaller box; o = x0 / 2 for x0 in [0, 1/2]."""
    model = write(tmp_path / "m.onnx", [(np.array([[1.0]]), np.array([0.0]))])
    write(tmp_path / "alpha.onnx", [(np.eye(4)[:, :1], np.zeros(1))])
    x = "normalize: {mean: 0, range: 2}\n    box: {lo: 0, hi: [0.5, 1, 1, 1]}"
    for bound, verdict in ((0.26, "certified"), (0.24, "violated")):
        safe, _ = decided(cli, tmp_path, model, spec(tmp_path, "", f"target(x)[0] <= {bound}", x=x))
        assert safe["verdict"] == verdict


FAULTS = [
    (", box: {lo: 1, hi: 0}", "target(x)[0] >= 0", "is empty: lo is above hi"),
    (", box: {lo: [0, 0, 0], hi: 1}", "target(x)[0] >= 0", "3 numbers for the 2 values"),
    (", hull: ball", "target(x)[0] >= 0", "hull"),
    ("", "target(x[0:2])[0] >= 0", "is read beside"),
]


@pytest.mark.parametrize(("abstraction", "condition", "message"), FAULTS)
def test_faults_are_told_with_their_place(
    cli: Cli, tmp_path: Path, networks: tuple[Layers, Layers, Path], abstraction: str, condition: str, message: str
) -> None:
    _, _, model = networks
    done = cli("lint", model, spec(tmp_path, abstraction, condition))
    assert done.returncode == 2
    assert message in done.stderr
    assert "spec.yaml:" in done.stderr


def test_an_abstraction_of_another_size_is_refused(cli: Cli, tmp_path: Path) -> None:
    model = write(tmp_path / "m.onnx", [(np.array([[1.0]]), np.array([0.0]))])
    write(tmp_path / "alpha.onnx", [(np.eye(3), np.zeros(3))])
    done = cli("lint", model, spec(tmp_path, "", "target(x)[0] >= 0"))
    assert done.returncode == 2
    assert "takes its 4 values" in done.stderr


def test_lint_says_what_is_abstracted(cli: Cli, tmp_path: Path, networks: tuple[Layers, Layers, Path]) -> None:
    _, _, model = networks
    done = cli("lint", model, spec(tmp_path, "", "target(x)[0] >= 0"))
    assert done.returncode == 0, done.stderr
    assert "abstraction of x (alpha.onnx): [1, 4] to [1, 2]" in done.stdout
    assert "anything within box bounds on what alpha.onnx makes of x, in place of x" in done.stdout
