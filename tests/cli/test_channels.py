"""Channels in front of a model, against enumeration of all that they let through."""

from __future__ import annotations

import json
import zipfile
from fractions import Fraction
from itertools import pairwise, product
from math import floor
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli, write_network
from tests.oracle import Row as OracleRow
from tests.oracle import minimum

Layers = list[tuple[np.ndarray, np.ndarray]]


def random_layers(rng: np.random.Generator, *sizes: int) -> Layers:
    """Weights of shape (in, out), multiples of 1/8."""
    return [(rng.integers(-8, 9, (n, m)) / 8, rng.integers(-8, 9, m) / 8) for n, m in pairwise(sizes)]


def write(path: Path, layers: Layers) -> Path:
    return write_network(path, *((w.tolist(), b.tolist()) for w, b in layers))


def value(layers: Layers, x: list[Fraction]) -> Fraction:
    """The first output, in rational arithmetic."""
    held = x
    for number, (w, b) in enumerate(layers):
        rows = [[Fraction(float(v)) for v in row] for row in w.T]
        held = [sum((c * v for c, v in zip(row, held)), Fraction(float(d))) for row, d in zip(rows, b)]
        held = held if number == len(layers) - 1 else [max(v, Fraction(0)) for v in held]
    return held[0]


def quantized(x: Fraction, low: Fraction, up: Fraction, count: int) -> Fraction:
    step = (up - low) / (count - 1)
    return low + step * min(count - 1, max(0, floor((x - low) / step + Fraction(1, 2))))


def spec(folder: Path, front: str, x: str, condition: str, more: str = "") -> Path:
    path = folder / "spec.yaml"
    path.write_text(
        f'certify: "1.0"\nname: channels\nmodels:\n  target: {{path: "$MODEL", front: {{{front}}}}}\n'
        f'inputs:\n  x: {{{x}}}\nrequire:\n  - id: safe\n    assert: "{condition}"\n{more}'
    )
    return path


def decided(cli: Cli, folder: Path, *arguments: object) -> dict:
    done = cli(*arguments, "--out", "out", "--json", "r.json")
    assert done.returncode in (0, 1, 3), done.stderr + done.stdout
    return json.loads((folder / "r.json").read_text())["requirements"][0]


def resaved(path: Path, point: list[Fraction]) -> Path:
    """The witness with another point."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(parts["manifest.json"])
    manifest["x"] = [str(v) for v in point]
    parts["manifest.json"] = json.dumps(manifest).encode()
    moved = path.with_stem("moved")
    with zipfile.ZipFile(moved, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return moved


SOLVE = "    solve_for: {t: {maximize: true, range: [-40, 40], resolution: 0.001}}\n"


@pytest.mark.parametrize(("n", "count", "seed"), [(1, 8, 0), (2, 8, 1), (3, 4, 2), (4, 3, 3)])
def test_the_worst_case_of_a_quantiser_is_that_of_all_combinations_of_levels(
    cli: Cli, tmp_path: Path, n: int, count: int, seed: int
) -> None:
    """The least output over all rounded inputs, solved for, is the least over the grid, in rational arithmetic."""
    layers = random_layers(np.random.default_rng(seed), n, 5, 1)
    levels = [Fraction(-1) + Fraction(2 * k, count - 1) for k in range(count)]
    least = min(value(layers, list(point)) for point in product(levels, repeat=n))
    model = write(tmp_path / "m.onnx", layers)
    path = spec(
        tmp_path, f"quantize: {count}", f"shape: [{n}], box: {{lo: -1, hi: 1}}", "target(x)[0] >= t", SOLVE
    )  # fmt: skip
    answer = decided(cli, tmp_path, model, path)
    assert answer["verdict"] == "certified"
    proved = Fraction(answer["parameter"]["proved"])
    assert proved <= least < proved + Fraction(1, 1000) + Fraction(1, 10**6)
    attained = Fraction(answer["parameter"]["refuted"])
    assert attained > least
    assert f"rounded to the nearest of {count} levels in [-1, 1], halves up" in answer["sentence"]
    done = cli("check", "out/spec.nncert", "--model", model, "--spec", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_input_of_a_violation_is_rounded_to_what_the_model_was_given(cli: Cli, tmp_path: Path) -> None:
    """On a part of the range, where levels lie outside of the set of inputs and are reached from inside."""
    layers = random_layers(np.random.default_rng(5), 2, 6, 1)
    low, up = Fraction(-7, 10), Fraction(6, 10)
    reached = [quantized(v, Fraction(-1), Fraction(1), 4) for v in (low, Fraction(0), up)]
    assert set(reached) == {Fraction(-1), Fraction(1, 3)}
    every = [Fraction(-1), Fraction(-1, 3), Fraction(1, 3)]
    least = min(value(layers, list(point)) for point in product(every, repeat=2))
    model = write(tmp_path / "m.onnx", layers)
    x, front = "shape: [2], box: {lo: -0.7, hi: 0.6}", "quantize: {levels: 4, lo: -1, hi: 1}"
    path = spec(tmp_path, front, x, f"target(x)[0] >= {float(least) + 0.01}")
    answer = decided(cli, tmp_path, model, path)
    assert answer["verdict"] == "violated"
    exact = [Fraction(v) for v in answer["attack"]["input_exact"]]
    assert all(low <= v <= up for v in exact[:2])
    assert [quantized(v, Fraction(-1), Fraction(1), 4) for v in exact[:2]] == exact[2:]
    assert value(layers, exact[2:]) == least
    done = cli("check", "out/spec.nnwitness", "--model", model, "--spec", path)
    assert done.returncode == 0, done.stdout + done.stderr
    path = spec(tmp_path, front, x, f"target(x)[0] >= {float(least) - 0.01}")
    assert decided(cli, tmp_path, model, path)["verdict"] == "certified"


def test_a_witness_beside_a_level_is_rejected(cli: Cli, tmp_path: Path) -> None:
    """1/3 is no decimal, so that the query allows for what is around it; the specification does not."""
    model = write(tmp_path / "m.onnx", [(np.array([[1.0]]), np.array([0.0]))])
    front = "quantize: {levels: 4, lo: 0, hi: 1}"
    path = spec(tmp_path, front, "shape: [1], box: {lo: 0.25, hi: 0.4}", "target(x)[0] >= 0.5")
    assert decided(cli, tmp_path, model, path)["verdict"] == "violated"
    evidence = tmp_path / "out" / "spec.nnwitness"
    assert cli("check", evidence, "--model", model, "--spec", path).returncode == 0
    moved = resaved(evidence, [Fraction(1, 4), Fraction(float(1 / 3))])
    assert cli("check", moved).returncode == 0
    done = cli("check", moved, "--model", model, "--spec", path)
    assert done.returncode == 1
    assert "the point is none that an input causes" in done.stdout


def test_what_is_rounded_and_what_is_not_hang_together(cli: Cli, tmp_path: Path) -> None:
    """x minus its rounding is at least minus half a step, and comes as near to half a step as one likes."""
    model = write(tmp_path / "m.onnx", [(np.array([[1.0]]), np.array([0.0]))])
    x = "shape: [1], box: {lo: 0, hi: 1}"
    for bound, verdict in (("-0.1251", "certified"), ("-0.1249", "violated")):
        path = spec(tmp_path, "quantize: 5", x, f"x[0] - target(x)[0] >= {bound}")
        assert decided(cli, tmp_path, model, path)["verdict"] == verdict
    # Half way is rounded up, so the difference never is half a step: strictly below, though at no distance.
    path = spec(tmp_path, "quantize: 5", x, "x[0] - target(x)[0] < 0.125")
    assert decided(cli, tmp_path, model, path)["verdict"] != "violated"
    path = spec(tmp_path, "quantize: 5", x, "x[0] - target(x)[0] < 0.1249")
    assert decided(cli, tmp_path, model, path)["verdict"] == "violated"


@pytest.mark.parametrize("seed", range(3))
def test_normalised_inputs_and_dropped_elements(cli: Cli, tmp_path: Path, seed: int) -> None:
    """Levels and what stands in place of dropped elements are in raw units; the model is given normalised values."""
    layers = random_layers(np.random.default_rng(seed + 10), 3, 5, 1)
    levels = [Fraction(k, 4) * 8 for k in range(5)]
    every = (
        [(point[0] - 4) / 2, (Fraction(3) - 4) / 2, (point[1] - 4) / 2] for point in product(levels, repeat=2)
    )  # fmt: skip
    least = min(value(layers, point) for point in every)
    model = write(tmp_path / "m.onnx", layers)
    front = "quantize: 5, drop: {indices: [1], value: 3}"
    x = "shape: [3], normalize: {mean: 4, range: 2}, box: {lo: 0, hi: 8}"
    path = spec(tmp_path, front, x, "target(x)[0] >= t", SOLVE)
    answer = decided(cli, tmp_path, model, path)
    proved = Fraction(answer["parameter"]["proved"])
    assert proved <= least < proved + Fraction(2, 1000)
    assert "elements 1 set to 3" in answer["sentence"]


@pytest.mark.parametrize("seed", range(3))
def test_noise_widens_the_set_exactly(cli: Cli, tmp_path: Path, seed: int) -> None:
    """The least output behind noise is that over the wider box, from an enumeration of the network's regions."""
    layers = random_layers(np.random.default_rng(seed + 20), 2, 4, 1)
    low, up = [Fraction(-5, 8)] * 2, [Fraction(5, 8)] * 2
    dense = [(w.T.tolist(), b.tolist()) for w, b in layers]
    least = minimum(dense, low, up, OracleRow((), ((0, Fraction(1)),), Fraction(0), True))
    model = write(tmp_path / "m.onnx", layers)
    for offset, verdict in ((Fraction(1, 128), "certified"), (Fraction(-1, 128), "violated")):
        bound = float(least - offset)
        path = spec(tmp_path, "noise: 0.125", "shape: [2], box: {lo: -0.5, hi: 0.5}", f"target(x)[0] >= {bound!r}")
        answer = decided(cli, tmp_path, model, path)
        assert answer["verdict"] == verdict
    exact = [Fraction(v) for v in answer["attack"]["input_exact"]]
    assert all(abs(v) <= Fraction(1, 2) for v in exact[:2])
    assert all(abs(v) <= Fraction(1, 8) for v in exact[2:])
    assert value(layers, [a + b for a, b in zip(exact[:2], exact[2:])]) < Fraction(bound)


def test_a_matrix_and_a_network_in_front(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    layers, matrix = random_layers(rng, 2, 4, 1), rng.integers(-4, 5, (2, 3)) / 4
    np.save(tmp_path / "mix.npy", matrix)
    channel = random_layers(rng, 3, 3, 2)
    write(tmp_path / "channel.onnx", channel)
    model = write(tmp_path / "m.onnx", layers)
    dense = [(w.T.tolist(), b.tolist()) for w, b in layers]
    folded = [((layers[0][0].T @ matrix).tolist(), dense[0][1]), dense[1]]
    joined = [(channel[0][0].T.tolist(), channel[0][1].tolist())]
    joined += [((layers[0][0].T @ channel[1][0].T).tolist(), (layers[0][0].T @ channel[1][1] + layers[0][1]).tolist())]
    joined += [dense[1]]
    low, up = [Fraction(-1)] * 3, [Fraction(1)] * 3
    for front, network in (("project: mix.npy", folded), ("network: channel.onnx", joined)):
        least = minimum(network, low, up, OracleRow((), ((0, Fraction(1)),), Fraction(0), True))
        for offset, verdict in ((Fraction(1, 64), "certified"), (Fraction(-1, 64), "violated")):
            path = spec(
                tmp_path, front, "shape: [3], box: {lo: -1, hi: 1}", f"target(x)[0] >= {float(least - offset)!r}"
            )
            answer = decided(cli, tmp_path, model, path)
            assert answer["verdict"] == verdict
            assert front.split(": ")[1] in answer["sentence"]
        evidence = "out/spec.nnwitness"
        assert cli("check", evidence, "--model", model, "--spec", path).returncode == 0


RELAXED = "shape: [8], box: {lo: -1, hi: 1}"


def test_too_many_levels_are_relaxed_and_violations_are_real(cli: Cli, tmp_path: Path) -> None:
    """3^8 combinations: more than are enumerated. A proof is about the box of levels; a violation has an input."""
    layers = random_layers(np.random.default_rng(1), 8, 6, 1)
    levels = [Fraction(-1), Fraction(0), Fraction(1)]
    grid = np.array(list(product((-1.0, 0.0, 1.0), repeat=8)))
    hidden = np.maximum(grid @ layers[0][0] + layers[0][1], 0)
    least = Fraction(float((hidden @ layers[1][0] + layers[1][1]).min()))  # exact: all are multiples of 1/64
    model = write(tmp_path / "m.onnx", layers)
    path = spec(tmp_path, "quantize: 3", RELAXED, f"target(x)[0] >= {float(least) + 0.25}")
    answer = decided(cli, tmp_path, model, path)
    assert answer["verdict"] == "violated"
    exact = [Fraction(v) for v in answer["attack"]["input_exact"]]
    assert set(exact[8:]) <= set(levels)
    assert [quantized(v, Fraction(-1), Fraction(1), 3) for v in exact[:8]] == exact[8:]
    assert value(layers, exact[8:]) < least + Fraction(1, 4)
    assert cli("check", "out/spec.nnwitness", "--model", model, "--spec", path).returncode == 0
    shifted = [v * Fraction(1023, 1024) + Fraction(int(not v), 4096) for v in exact[8:]]
    assert value(layers, shifted) < least + Fraction(1, 4)
    moved = resaved(tmp_path / "out" / "spec.nnwitness", [*exact[:8], *shifted])
    assert cli("check", moved).returncode == 0  # of the question it embeds, which allows more
    done = cli("check", moved, "--model", model, "--spec", path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the point is none that an input causes" in done.stdout
    path = spec(tmp_path, "quantize: 3", RELAXED, f"target(x)[0] >= {float(least) - 20}")
    answer = decided(cli, tmp_path, model, path)
    assert answer["verdict"] == "certified"
    assert "RELAXED to anything between the lowest and the highest level, as there are 6,561" in answer["sentence"]


def test_a_violation_between_levels_is_a_relaxed_attack_only(cli: Cli, tmp_path: Path) -> None:
    """A dip between two levels, -|x0 - 1/2| > -1/8: no level is near 1/2, so that no input causes it."""
    first = np.zeros((8, 2))
    first[0] = [1, -1]
    model = write(tmp_path / "m.onnx", [(first, np.array([-0.5, 0.5])), (np.array([[1.0], [1.0]]), np.array([0.0]))])
    path = spec(tmp_path, "quantize: 4", RELAXED, "target(x)[0] >= 0.125")
    answer = decided(cli, tmp_path, model, path)
    assert answer["verdict"] == "unknown"
    assert answer["reason"].startswith("relaxed: ")
    relaxed = answer["relaxed_attack"]
    assert abs(relaxed["input"][8] - 0.5) < 0.125
    assert answer["bracket"][1] is None
    assert answer["bracket"][0] == pytest.approx(1 / 6 - 0.125)  # at the level 1/3
    # Few enough to be enumerated, the same is proved.
    sides = "lo: [-1, 0, 0, 0, 0, 0, 0, 0], hi: [1, 0, 0, 0, 0, 0, 0, 0]"
    path = spec(tmp_path, "quantize: 4", f"shape: [8], box: {{{sides}}}", "target(x)[0] >= 0.125")
    assert decided(cli, tmp_path, model, path)["verdict"] == "certified"


def test_examples_are_rounded_one_by_one(cli: Cli, tmp_path: Path) -> None:
    layers = random_layers(np.random.default_rng(8), 4, 5, 1)
    points = np.random.default_rng(9).integers(0, 65, (6, 4)) / 64
    rounded = [[quantized(Fraction(float(v)), Fraction(0), Fraction(1), 6) for v in point] for point in points]
    least = min(value(layers, point) for point in rounded)
    model = write(tmp_path / "m.onnx", layers)
    x = f"shape: [4], box: {{lo: 0, hi: 1}}, points: {points.tolist()}"
    for offset, verdict in ((0.001, "certified"), (-0.001, "violated")):
        path = spec(tmp_path, "quantize: 6", x, f"target(x)[0] >= {float(least) - offset!r}")
        answer = decided(cli, tmp_path, model, path)
        assert answer["verdict"] == verdict
    exact = [Fraction(v) for v in answer["attack"]["input_exact"]]
    assert exact[:4] in points.tolist()
    assert exact[4:] in rounded


def test_two_inputs_through_one_quantiser(cli: Cli, tmp_path: Path) -> None:
    """Equal elements are rounded alike; the steepest step of one element is found among pairs of levels."""
    layers = random_layers(np.random.default_rng(12), 2, 4, 1)
    levels = [Fraction(k, 3) for k in range(4)]
    steepest = max(
        value(layers, [b, c]) - value(layers, [a, c]) for a in levels for b in levels for c in levels if a <= b
    )
    model = write(tmp_path / "m.onnx", layers)
    path = tmp_path / "spec.yaml"
    for offset, verdict in ((0.001, "certified"), (-0.001, "violated")):
        path.write_text(
            'certify: "1.0"\nname: pair\nmodels:\n  target: {path: "$MODEL", front: {quantize: 4}}\ninputs:\n'
            "  x: {shape: [2], box: {lo: 0, hi: 1}}\n"
            '  z: {shape: [2], box: {lo: 0, hi: 1}, linear: ["z[0] >= x[0]", "z[1] == x[1]"]}\nrequire:\n'
            f'  - {{id: rise, assert: "target(z)[0] - target(x)[0] <= {float(steepest) + offset!r}"}}\n'
        )
        assert decided(cli, tmp_path, model, path)["verdict"] == verdict


def test_equal_inputs_are_given_what_their_own_channel_makes_of_them(cli: Cli, tmp_path: Path) -> None:
    """Their terms are the same, their noise is not, nor are levels between the ends of different boxes."""
    model = write(tmp_path / "m.onnx", [(np.array([[1.0]]), np.array([0.0]))])
    path = tmp_path / "spec.yaml"

    def asked(front: str, up: int, condition: str) -> None:
        path.write_text(
            f'certify: "1.0"\nname: twins\nmodels:\n  target: {{path: "$MODEL", front: {{{front}}}}}\ninputs:\n'
            f"  x: {{shape: [1], box: {{lo: 0, hi: 1}}}}\n"
            f'  z: {{shape: [1], box: {{lo: 0, hi: {up}}}, linear: "z[0] == x[0]"}}\nlet: {{alias: z}}\nrequire:\n'
            f'  - {{id: twins, assert: "{condition}"}}\n'
        )

    for bound, verdict in ((0.51, "certified"), (0.49, "violated")):
        asked("noise: 0.25", 1, f"target(x)[0] - target(z)[0] <= {bound}")
        assert decided(cli, tmp_path, model, path)["verdict"] == verdict
    for call, verdict in (("z", "certified"), ("x", "violated")):
        asked("quantize: 2", 4, f"target({call})[0] <= 0.5 and target(x)[0] + target(z)[0] <= 1.5")
        assert decided(cli, tmp_path, model, path)["verdict"] == verdict
    asked("noise: 0.25", 1, "target(x)[0] - target(alias)[0] + target(z)[0] <= 3")
    done = cli("lint", model, path)
    assert done.returncode == 2
    assert "alias is equal to x and z, of which target is not given the same" in done.stderr


def test_levels_between_the_ends_of_data_have_to_be_given(cli: Cli, tmp_path: Path) -> None:
    model = write(tmp_path / "m.onnx", [(np.array([[1.0]]), np.array([0.0]))])
    np.savez(tmp_path / "data.npz", inputs=np.array([[0.25], [0.5]]), labels=np.array([0, 1]))
    x = "shape: [1], box: {lo: data-min, hi: data-max, data: data.npz}"
    done = cli("lint", model, spec(tmp_path, "quantize: 3", x, "target(x)[0] <= 1"))
    assert done.returncode == 2
    assert "the box of x has its ends from data; give lo and hi of the levels" in done.stderr


def test_a_channel_that_is_solved_for_belongs_to_one_requirement(cli: Cli, tmp_path: Path) -> None:
    model = write(tmp_path / "m.onnx", random_layers(np.random.default_rng(0), 2, 3, 1))
    solve = "    solve_for: {t: {maximize: true, range: [0, 4], resolution: 0.5}}\n"
    other = '  - {id: other, assert: "target(x)[0] <= 40"}\n'
    path = spec(
        tmp_path, "drop: {indices: [0], value: $t}", "shape: [2], box: {lo: 0, hi: 1}", "target(x)[0] <= 40",
        solve + other,
    )  # fmt: skip
    done = cli("lint", model, path)
    assert done.returncode == 2
    assert "t is solved for by safe, and may be used there only" in done.stderr


FAULTS = [
    ("quantize: 1", "shape: [2], box: {lo: 0, hi: 1}", "target(x)[0] >= 0", "whole number of at least 2"),
    ("quantize: 4", "shape: [2], ball: {norm: inf, eps: 1, center: 0}", "target(x)[0] >= 0", "Give lo and hi"),
    ("noise: -1", "shape: [2], box: {lo: 0, hi: 1}", "target(x)[0] >= 0", "at least 0"),
    ("noise: 1, quantize: 2", "shape: [2], box: {lo: 0, hi: 1}", "target(x)[0] >= 0", "together are not supported"),
    ("", "shape: [2], box: {lo: 0, hi: 1}", "target(x)[0] >= 0", "says nothing"),
    ("drop: {indices: [2]}", "shape: [2], box: {lo: 0, hi: 1}", "target(x)[0] >= 0", "no element 2 to drop"),
    ("project: none.npy", "shape: [2], box: {lo: 0, hi: 1}", "target(x)[0] >= 0", "none.npy"),
    ("gaussian: 0.5", "shape: [2], box: {lo: 0, hi: 1}", "target(x)[0] >= 0", "random channels"),
    ("quantize: 4", "shape: [2], box: {lo: 0, hi: 1}", "target(2 * x)[0] >= 0", "called on one input as it is"),
    ("noise: 1", "shape: [2], box: {lo: 0, hi: 1}", "target(x[0], x[1])[0] >= 0", "called on one input as it is"),
    ("drop: {indices: [1], value: 1}", "shape: [2], normalize: {mean: 1, range: 2}, box: {lo: 0, hi: 1}",
     "target([x[1], x[0]])[0] >= 0", "dropped of normalised inputs as they are"),
    ("drop: {indices: [1], value: 0.1}", "shape: [2], normalize: {mean: 0, range: 3}, box: {lo: 0, hi: 1}",
     "target(x)[0] >= 0", "no exact float64"),
    ("quantise: 4", "shape: [2], box: {lo: 0, hi: 1}", "target(x)[0] >= 0", "Did you mean 'quantize'?"),
]  # fmt: skip


@pytest.mark.parametrize(("front", "x", "condition", "message"), FAULTS)
def test_faults_are_told_with_their_place(
    cli: Cli, tmp_path: Path, front: str, x: str, condition: str, message: str
) -> None:
    model = write(tmp_path / "m.onnx", random_layers(np.random.default_rng(0), 2, 3, 1))
    done = cli("lint", model, spec(tmp_path, front, x, condition))
    assert done.returncode == 2
    assert message in done.stderr + done.stdout
    assert "spec.yaml:" in done.stderr + done.stdout


def test_another_channel_is_another_network(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    np.save(tmp_path / "mix.npy", rng.integers(-4, 5, (2, 2)) / 4)
    model = write(tmp_path / "m.onnx", random_layers(rng, 2, 4, 1))
    path = spec(tmp_path, "project: mix.npy", "shape: [2], box: {lo: -1, hi: 1}", "target(x)[0] >= -30")
    answer = decided(cli, tmp_path, model, path)
    assert answer["verdict"] == "certified"
    assert "channel of target = sha256:" in answer["sentence"]
    np.save(tmp_path / "mix.npy", rng.integers(-4, 5, (2, 2)) / 4)
    done = cli("check", "out/spec.nncert", "--model", model, "--spec", path)
    assert done.returncode != 0


def test_a_noise_is_solved_for(cli: Cli, tmp_path: Path) -> None:
    """2 x0 on [0, 1/2] behind noise: at most 1 + 2 eps, so eps may be 0.265 under a limit of 1.53."""
    model = write(tmp_path / "m.onnx", [(np.array([[2.0], [0.0]]), np.array([0.0]))])
    solve = "    solve_for: {eps: {maximize: true, range: [0, 1], resolution: 0.001}}\n"
    path = spec(tmp_path, "noise: $eps", "shape: [2], box: {lo: 0, hi: 0.5}", "target(x)[0] <= 1.53", solve)
    parameter = decided(cli, tmp_path, model, path)["parameter"]
    assert Fraction(parameter["proved"]) <= Fraction(265, 1000) < Fraction(parameter["refuted"])
    assert Fraction(parameter["refuted"]) - Fraction(parameter["proved"]) <= Fraction(1, 1000)
    assert parameter["monotone"] is True


def test_levels_that_move_with_the_box_are_not_monotone(cli: Cli, tmp_path: Path) -> None:
    model = write(tmp_path / "m.onnx", [(np.array([[1.0]]), np.array([0.0]))])
    solve = "    solve_for: {h: {maximize: true, range: [0.5, 1], resolution: 0.1}}\n"
    path = spec(tmp_path, "quantize: 3", "shape: [1], box: {lo: 0, hi: $h}", "target(x)[0] <= 2", solve)
    assert decided(cli, tmp_path, model, path)["parameter"]["monotone"] is False


def test_data_for_a_layer_behind_rounding_is_refused(cli: Cli, tmp_path: Path) -> None:
    model = write(tmp_path / "m.onnx", random_layers(np.random.default_rng(0), 2, 3, 1))
    np.save(tmp_path / "data.npy", np.zeros((3, 2)))
    where = "    where: {activation_hull: {model: target, taps: relu1, data: data.npy}}\n"
    path = spec(tmp_path, "quantize: 3", "shape: [2], box: {lo: 0, hi: 1}", "target(x)[0] >= 0", where)
    done = cli("lint", model, path)
    assert done.returncode == 2
    assert "target is not given what the data holds" in done.stderr


RATE = """  - id: rare
    accept_class: statistical
    statistical: {event: "target(x)[0] < 0", distribution: P, queries: 100, max_rate: 0.5}
"""


def test_kinds_of_specification_that_know_no_channels_refuse_them(cli: Cli, tmp_path: Path) -> None:
    """Leaving one out would be an answer to another question."""
    model = write(tmp_path / "m.onnx", random_layers(np.random.default_rng(0), 2, 3, 1))
    path = spec(tmp_path, "quantize: 3", "shape: [2], box: {lo: 0, hi: 1}", "target(x)[0] >= -40", RATE)
    path.write_text(
        path.read_text().replace("require:", "  P: {distribution: {of: x, sampler: {uniform: true}}}\nrequire:")
    )
    done = cli(model, path)
    assert done.returncode == 2, done.stdout
    assert "spec.yaml:4:" in done.stderr
    assert "a channel in front of a model is not supported beside statistical requirements yet" in done.stderr
