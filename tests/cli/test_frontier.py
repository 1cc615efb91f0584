"""``certify frontier``: what its table says is true, and what it measures is what is there."""

from __future__ import annotations

import csv
import json
import math
import sys
import time
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from relaxations.registry import Registry
from tests.cli.conftest import write_network, write_query
from tests.strategies import question
from verifier.checking import run_checker
from verifier.cli import main
from verifier.interruption import Stopped

WIDENED = 1e-4  # of values of order one: ranges are up to 3e-5 of themselves wider than CROWN's
SOLVER = 1e-4  # of a value: the tolerance of the semidefinite program, the coarsest of the solvers
SLOW_MACHINE = 5.0  # seconds that other work on the machine may take
CERTIFIED = ("ibp", "crown", "alpha-crown", "lp", "sdp", "milp", "smt")


def measured(*arguments: object, folder: Path) -> tuple[dict, dict[str, dict]]:
    """The JSON of the only requirement, and its rows by name."""
    file = folder / "frontier.json"
    assert main(["frontier", *map(str, arguments), "--json", str(file)]) == 0
    [found] = json.loads(file.read_text())["frontiers"]
    return found, {row["relaxation"]: row for row in found["rows"]}


def table(printed: str) -> list[list[str]]:
    """The words of the lines below the header."""
    lines = printed.splitlines()
    first = next(i for i, line in enumerate(lines) if line.split()[:1] == ["relaxation"])
    return [line.split() for line in lines[first + 1 :]]


def test_values_of_a_network_that_is_done_by_hand(absolute, holds, tmp_path):
    """|x| - 2 over [-1, 1]: intervals add 1 and 1, the upper lines of both ReLUs add up to 1."""
    found, rows = measured(absolute, holds, folder=tmp_path)
    expected = {"ibp": 0.0, **dict.fromkeys(("crown", "alpha-crown", "lp", "sdp", "milp", "smt"), -1.0)}
    for name, value in expected.items():
        assert rows[name]["value"] == pytest.approx(value, abs=WIDENED)
        assert rows[name]["gap"] == rows[name]["value"] - found["attack"]["score"]
        assert rows[name]["attack"] <= found["attack"]["score"]
    assert found["attack"]["score"] == -1.0
    assert abs(found["attack"]["point"][0]) == 1.0
    assert (found["inputs"], found["neurons"], found["unstable"], found["cases"]) == (1, 2, 2, 1)
    assert rows["milp"]["exploited"] == 0
    assert rows["ibp"]["exploited"] > 0
    assert rows["enumerate"]["value"] is None
    assert "not finitely many" in rows["enumerate"]["note"]


def test_bytes_are_those_of_files_that_the_checker_accepts(absolute, holds, tmp_path):
    out = tmp_path / "o"
    _, rows = measured(absolute, holds, "--out", out, folder=tmp_path)
    proved = {name for name, row in rows.items() if row["value"] is not None and row["value"] < -WIDENED}
    without_rule = {"sos"}  # there is no way to write their duals yet
    assert all(rows[name]["bytes"] is None for name in without_rule)
    proved -= without_rule
    assert proved == {"crown", "alpha-crown", "lp", "sdp", "milp", "smt"}
    for name in proved:
        file = Path(rows[name]["file"])
        assert file == out / f"holds.{name}.nncert"
        assert file.stat().st_size == rows[name]["bytes"] > rows[name]["proof_bytes"] > 0
        assert rows[name]["checked_by"] == "checker"
        assert rows[name]["check_seconds"] > 0
        assert run_checker(file, absolute, holds, exact=True, parameters={}).accepted
    assert {file.suffix for file in out.iterdir()} <= {".nncert", ".csv", ".svg"}


def test_multipliers_of_somebody_elses_relaxation_become_a_certificate(absolute, holds, tmp_path, monkeypatch):
    registry = Registry({"mine": "relaxations.lp.triangle:Triangle"})
    monkeypatch.setattr("verifier.engine.frontier.measure.relaxations", registry)
    monkeypatch.setattr("relaxations.registry.relaxations", registry)  # last: importing the other takes the real one
    _, rows = measured(absolute, holds, "--methods", "mine", "--out", tmp_path / "o", folder=tmp_path)
    assert rows["mine"]["checked_by"] == "checker"
    assert run_checker(Path(rows["mine"]["file"]), absolute, holds, exact=True, parameters={}).accepted


def test_the_table_and_the_csv_say_what_the_json_says(absolute, holds, tmp_path, capsys):
    out = tmp_path / "o"
    found, rows = measured(absolute, holds, "--out", out, folder=tmp_path)
    printed = table(capsys.readouterr().out)
    assert [words[0] for words in printed] == list(rows)
    values = [row["value"] for row in found["rows"]]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert values[: len(known)] == known, "what has no value comes last"
    for words, row in zip(printed, found["rows"]):
        assert words[1] == ("-" if row["value"] is None else format(row["value"], ".6g"))
        assert words[3] == ("-" if row["proof_bytes"] is None else str(row["proof_bytes"]))
    with (out / "frontier.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["relaxation"] for line in lines] == list(rows)
    for line in lines:
        row = rows[line["relaxation"]]
        for column in ("value", "gap", "bytes", "proof_bytes", "check_seconds", "exploited"):
            assert line[column] == ("" if row[column] is None else str(row[column]))


def test_twelve_binary_inputs_are_listed_one_by_one(tmp_path):
    random = np.random.default_rng(5)
    layers = [(random.normal(size=(12, 8)), random.normal(size=8)), (random.normal(size=(8, 1)), random.normal(size=1))]
    model = write_network(tmp_path / "binary.onnx", *layers)
    query = write_query(tmp_path / "binary.vnnlib", 12, "(>= Y_0 1000)")
    found, rows = measured(model, query, "--grid", 2, "--out", tmp_path / "o", folder=tmp_path)
    (w, b), (v, c) = [tuple(np.float32(part).astype(float) for part in layer) for layer in layers]
    cube = np.array(list(product((-1.0, 1.0), repeat=12)))
    truth = float((np.maximum(cube @ w + b, 0) @ v + c).max()) - 1000
    row = rows["enumerate"]
    assert row["value"] == pytest.approx(truth, rel=1e-12)
    assert found["attack"]["score"] == pytest.approx(truth, rel=1e-12)
    assert {abs(x) for x in found["attack"]["point"]} == {1.0}, "the attack is a point of the grid"
    listed = Path(row["file"])
    with listed.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 4096
    points = {tuple(float(line[f"x{i}"]) for i in range(12)) for line in lines}
    assert points == set(product((-1.0, 1.0), repeat=12))
    assert min(float(line["value"]) for line in lines) == pytest.approx(-truth, rel=1e-12)
    assert listed.stat().st_size == row["bytes"]
    assert row["checked_by"] == "evaluation"
    for name in CERTIFIED:
        assert rows[name]["value"] >= truth - SOLVER * abs(truth)


def test_a_grid_of_too_many_points_is_declined(hard, tmp_path):
    _, rows = measured(*hard, "--grid", 10, "--methods", "enumerate", folder=tmp_path)
    assert rows["enumerate"]["value"] is None
    assert "its list would have 1.0e+20 rows" in rows["enumerate"]["note"]


@pytest.mark.parametrize(
    ("seed", "placement"), [*((s, "far") for s in range(8)), *((s, "near") for s in range(108, 114))]
)
def test_random_questions_are_bounded_above_the_truth_and_proved_where_that_says_so(seed, placement, tmp_path):
    asked = question(seed, placement)
    model, query = asked.write(tmp_path)
    found, rows = measured(model, query, "--methods", ",".join(CERTIFIED), folder=tmp_path)
    truth = -float(asked.optimum)
    assert found["attack"]["score"] <= truth + 1e-9 * (1 + abs(truth))
    for name, row in rows.items():
        if row["value"] is None:
            assert name == "milp", row["note"]  # its solver gives up on numbers of all sizes at once
            continue
        tolerance = SOLVER if name == "milp" else 1e-9  # all others' values are those of their duals
        assert row["value"] >= truth - tolerance * (1 + abs(row["value"]))
        if row["bytes"] is not None:
            assert row["value"] < 0
            assert asked.optimum > 0
        if row["value"] < -0.01 * (1 + abs(truth)) and name not in ("alpha-crown", "sdp"):  # these round their duals
            assert row["bytes"] is not None, row["note"]


@pytest.mark.parametrize("seed", [33, 59, 102, 161])
def test_what_intervals_prove_and_lines_do_not_has_a_certificate_all_the_same(seed, tmp_path):
    asked = question(seed, "far")
    _, rows = measured(*asked.write(tmp_path), "--methods", "ibp,crown", folder=tmp_path)
    assert asked.optimum > 0
    for row in rows.values():
        assert row["value"] == rows["ibp"]["value"] < 0, "the query was chosen for this"
        assert row["checked_by"] == "checker", row["note"]


def test_several_cases_and_boxes_are_one_question(tmp_path):
    """|x| over two boxes: the adversary takes the better one, and proofs are about both."""
    model = write_network(tmp_path / "m.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))
    query = tmp_path / "q.vnnlib"
    query.write_text(
        "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n(assert (or (and (>= X_0 -1) (<= X_0 1) (>= Y_0 4))"
        "(and (>= X_0 1) (<= X_0 3) (>= Y_0 4)) (and (>= X_0 1) (<= X_0 3) (<= Y_0 0.5))))\n"
    )
    found, rows = measured(model, query, folder=tmp_path)
    assert found["cases"] == 3
    assert found["attack"]["score"] == -0.5
    assert found["attack"]["case"] == 2
    for name in ("crown", "alpha-crown", "lp", "sdp", "milp", "smt"):
        assert sorted(rows[name]["values"]) == pytest.approx([-3, -1, -0.5], abs=10 * WIDENED)
        assert rows[name]["value"] == max(rows[name]["values"])
        assert rows[name]["checked_by"] == "checker"


def test_a_network_without_relus_is_measured_as_well(tmp_path):
    model = write_network(tmp_path / "affine.onnx", ([[1.0]], [0.0]))
    _, rows = measured(
        model, write_query(tmp_path / "q.vnnlib", 1, "(>= Y_0 2)"), "--methods", "crown,lp", folder=tmp_path
    )
    assert all(rows[name]["value"] == pytest.approx(-1, abs=1e-6) for name in ("crown", "lp"))
    assert all(rows[name]["proof_bytes"] for name in ("crown", "lp"))


def test_a_violated_property_has_an_attack_and_no_proof(absolute, fails, tmp_path, capsys):
    found, rows = measured(absolute, fails, folder=tmp_path)
    assert found["attack"]["score"] == pytest.approx(0.1)
    assert all(row["bytes"] is None for row in rows.values())
    assert "the property fails there" in capsys.readouterr().out


def test_the_time_given_holds_for_everything(cli, hard, tmp_path):
    started = time.monotonic()
    done = cli("frontier", *hard, "--timeout", "3", "--json", "f.json")
    spent = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    assert spent < 3 + 2 + SLOW_MACHINE  # the interpreter's own start and end are not counted
    [found] = json.loads((tmp_path / "f.json").read_text())["frontiers"]
    for row in found["rows"]:
        assert row["value"] is not None or row["note"], row
    milp = next(row for row in found["rows"] if row["relaxation"] == "milp")
    assert "time" in milp["note"]
    assert milp["value"] is None or milp["value"] >= -0.001, "the network is 0 everywhere"


def test_what_ignores_its_time_is_ended_and_the_rest_is_told(absolute, holds, tmp_path, monkeypatch):
    monkeypatch.setattr("relaxations.bounds.relaxed.Interval.solve", lambda self, seconds: time.sleep(30))
    started = time.monotonic()
    _, rows = measured(absolute, holds, "--methods", "crown,ibp,lp", "--timeout", "1", folder=tmp_path)
    assert time.monotonic() - started < 3 + SLOW_MACHINE
    assert rows["crown"]["value"] == pytest.approx(-1, abs=WIDENED)
    assert rows["ibp"]["note"] == rows["lp"]["note"] == "timeout"
    assert rows["ibp"]["value"] is rows["lp"]["value"] is None


def test_no_time_at_all_is_no_error(cli, hard, tmp_path):
    done = cli("frontier", *hard, "--timeout", "0.01")
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    assert "time" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say which model and which specification: certify frontier MODEL SPEC"),
        (["MODEL", "SPEC", "--methods", "crwn"], "unknown relaxation 'crwn'. Did you mean 'crown'?"),
        (["MODEL", "SPEC", "--methods", "lp,enumerat"], "unknown relaxation 'enumerat'. Did you mean 'enumerate'?"),
        (["MODEL", "SPEC", "--requirement", "hold"], "there is no requirement 'hold'. Did you mean 'holds'?"),
        (["MODEL", "SPEC", "--grid", "1"], "--grid: a grid has at least 2 values of each input"),
        (["MODEL", "SPEC", "--timeout", "0"], "--timeout: expected a positive number of seconds, not '0'"),
        (["MODEL", "SPEC", "--metods", "lp"], "unknown option '--metods'. Did you mean '--methods'?"),
        (["SPEC", "MODEL"], "model and specification are swapped: say certify frontier"),
        (["MODEL", "SPEC", "--json", "no/f.json"], "make no first"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, message, absolute, holds, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"MODEL": str(absolute), "SPEC": str(holds)}
    assert main(["frontier", *(names.get(word, word) for word in arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["absolute.onnx", "holds.vnnlib"]


def test_methods_are_the_ones_asked_for(absolute, holds, tmp_path):
    _, rows = measured(absolute, holds, "--methods", "lp,ibp,lp", folder=tmp_path)
    assert sorted(rows) == ["ibp", "lp"]


def test_without_matplotlib_there_is_a_line_and_the_csv(absolute, holds, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["frontier", str(absolute), str(holds), "--methods", "ibp", "--out", str(tmp_path / "o")]) == 0
    assert capsys.readouterr().err == "certify frontier: no plot: matplotlib is not installed: pip install matplotlib\n"
    assert [file.name for file in (tmp_path / "o").iterdir()] == ["frontier.csv"]


def test_the_plot_is_a_picture_that_names_every_relaxation(absolute, holds, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "o"
    _, rows = measured(absolute, holds, "--methods", "ibp,lp", "--out", out, folder=tmp_path)
    picture = (out / "frontier.svg").read_text()
    assert picture.startswith("<?xml")
    for name in rows:
        assert f"<!-- {name} -->" in picture


def test_the_front_is_what_nothing_beats():
    from verifier.report.frontier_plot import front

    rng = np.random.default_rng(0)
    for _ in range(50):
        points = [tuple(p) for p in rng.integers(0, 8, size=(10, 2)).tolist()]
        kept = front(points)
        beaten = {p for p in points for q in points if q != p and q[0] <= p[0] and q[1] <= p[1]}
        assert set(kept) == set(points) - beaten
        assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(kept))
    assert front([]) == []
    assert not math.isnan(front([(1.0, 2.0)])[0][1])


SEVERAL = """\
certify: "1.0"
name: distances
models:
  target: {path: absolute.onnx}
inputs:
  x: {shape: [1], box: {lo: [-1], hi: [1]}}
let:
  y: target(x)
require:
  - {id: below-two, severity: malign, assert: "y[0] < 2"}
  - {id: below-three, severity: malign, assert: "y[0] < 3"}
"""


def test_each_requirement_has_a_table_of_its_own(absolute, tmp_path, capsys):
    spec = tmp_path / "several.yaml"
    spec.write_text(SEVERAL)
    assert main(["frontier", str(spec), "--methods", "lp", "--json", str(tmp_path / "f.json")]) == 0
    two, three = json.loads((tmp_path / "f.json").read_text())["frontiers"]
    assert (two["id"], three["id"]) == ("below-two", "below-three")
    assert two["rows"][0]["value"] == pytest.approx(-1, abs=WIDENED)
    assert three["rows"][0]["value"] == pytest.approx(-2, abs=WIDENED)
    assert capsys.readouterr().out.count("relaxation ") == 2
    found, _ = measured(spec, "--methods", "lp", "--requirement", "below-three", folder=tmp_path)
    assert found["id"] == "below-three"


def test_a_stop_ends_all_requirements(absolute, tmp_path, monkeypatch, capsys):
    spec = tmp_path / "several.yaml"
    spec.write_text(SEVERAL)

    def interrupted(self, seconds):
        raise Stopped("interrupted")

    monkeypatch.setattr("relaxations.lp.triangle.Triangle.solve", interrupted)
    out = tmp_path / "o"
    assert main(["frontier", str(spec), "--methods", "crown,lp,milp", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "interrupted: nothing was measured of below-three" in printed.err
    assert [words[-1] for words in table(printed.out)][1:] == ["interrupted", "interrupted"]
    assert {file.name for file in out.iterdir()} - {"frontier.svg"} == {"frontier.csv", "below-two.crown.nncert"}


def test_an_input_that_breaks_a_proof_is_a_contradiction(absolute, holds, monkeypatch, capsys):
    monkeypatch.setattr("verifier.engine.frontier.measure._score", lambda query, points: np.full(len(points), 0.5))
    assert main(["frontier", str(absolute), str(holds), "--methods", "lp"]) == 70
    assert "CONTRADICTION: requirement holds: proved by lp, but an input of score 0.5" in capsys.readouterr().err


def test_signs_are_for_the_list_alone(tmp_path):
    """sign(x - 0.5) + sign(x + 0.5) on -1, 0, 1 is -2, 0, 2."""
    onnx = pytest.importorskip("onnx")
    model = write_network(tmp_path / "s.onnx", ([[1, 1]], [-0.5, 0.5]), ([[1], [1]], [0]))
    graph = onnx.load(model)
    for node in graph.graph.node:
        node.op_type = "Sign" if node.op_type == "Relu" else node.op_type
    onnx.save(graph, model)
    query = write_query(tmp_path / "s.vnnlib", 1, "(>= Y_0 3)")
    found, rows = measured(model, query, "--grid", 3, folder=tmp_path)
    assert rows["enumerate"]["value"] == found["attack"]["score"] == -1.0
    assert "3 inputs listed" in rows["enumerate"]["note"]
    for name in CERTIFIED:
        assert rows[name]["value"] is None
        assert rows[name]["note"] == "declines: it is for ReLUs, and the network has signs"
