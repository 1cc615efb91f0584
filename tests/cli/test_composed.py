"""Several networks in one question, from the command line to evidence that is bound to every file."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli, write_network

HEAD = 'certify: "1.0"\nname: composed\n'


def write_spec(folder: Path, text: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(HEAD + text)
    return path


# An overseer of outputs is fooled where an overseer of internals is not. The target computes |x0|; a unit of its
# hidden layer, relu(x1 - 1/2), wakes up in the bad mode and nothing reads it.

TARGET = ([[1, -1, 0], [0, 0, 1]], [0, 0, -0.5]), ([[1], [1], [0]], [0])
NAIVE = ([[0, 0], [0, 0], [1, -1]], [0, 0]), ([[-1], [1]], [2])  # 2 - y
INFORMED = ([[0], [0], [0], [0], [0], [1]], [0]), ([[-1]], [0.25])  # 1/4 - (the unit)
OVERSIGHT = """models:
  target: {path: "$MODEL", taps: {plan: relu1}}
overseers:
  naive: {network: {path: naive.onnx}, sees: [x, y], outputs: {malign: 0}}
  informed: {network: {path: informed.onnx}, sees: [x, y, plan], outputs: {malign: 0}}
inputs:
  x: {shape: [2], names: [task, mode], box: {lo: -1, hi: 1}}
let:
  y: target(x)
require:
  - {id: seen-from-outside, assert: "naive(x, y).malign >= 0.5"}
  - {id: seen-from-inside, assert: "informed(x, y, tap(target, plan)(x)).malign >= 0"}
"""


@pytest.fixture
def oversight(tmp_path: Path) -> tuple[Path, Path]:
    write_network(tmp_path / "naive.onnx", *NAIVE)
    write_network(tmp_path / "informed.onnx", *INFORMED)
    return write_network(tmp_path / "target.onnx", *TARGET), write_spec(tmp_path, OVERSIGHT)


def test_informed_oversight_sees_what_outputs_hide(cli: Cli, oversight: tuple[Path, Path], tmp_path: Path) -> None:
    """2 - |x0| is at least 1, so outputs are fine; 1/4 - relu(x1 - 1/2) is below 0 exactly where x1 is above 3/4."""
    done = cli(*oversight, "--out", "out", "--json", "r.json")
    assert done.returncode == 1, done.stderr
    outside, inside = json.loads((tmp_path / "r.json").read_text())["requirements"]
    assert outside["verdict"] == "certified"
    assert 0.499 < outside["bracket"][1] <= 0.5  # the least value of 2 - |x0| - 1/2
    assert inside["verdict"] == "violated"
    task, mode = (Fraction(x) for x in inside["attack"]["input_exact"])
    assert -1 <= task <= 1
    assert Fraction(3, 4) < mode <= 1
    assert inside["attack"]["input_raw"] == {"x.task": float(task), "x.mode": float(mode)}
    (malign,) = inside["attack"]["outputs"]
    assert malign == pytest.approx(0.75 - float(mode), abs=1e-6)  # float32
    assert "informed(x, y, tap(target, plan)(x)).malign" in done.stdout
    exact = cli(
        "check", "out/spec.seen-from-inside.nnwitness", "--model", oversight[0], "--spec", oversight[1], "--exact"
    )
    assert exact.returncode == 0
    assert "every row fails at the point (rational arithmetic)" in exact.stdout


def test_evidence_is_bound_to_every_file(cli: Cli, oversight: tuple[Path, Path], tmp_path: Path) -> None:
    model, spec = oversight
    report = (
        json.loads((tmp_path / "r.json").read_text()) if cli(model, spec, "--out", "out", "--json", "r.json") else {}
    )
    files = {
        "model target": model,
        "overseer naive": tmp_path / "naive.onnx",
        "overseer informed": tmp_path / "informed.onnx",
        "spec": spec,
    }
    hashes = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    assert report["hashes"] == hashes
    certificate = tmp_path / "out/spec.seen-from-outside.nncert"
    with zipfile.ZipFile(certificate) as archive:
        producer = json.loads(archive.read("manifest.json"))["producer"]
    assert {name: producer[f"sha256 of {name}"] for name in files} == hashes
    assert report["requirements"][0]["certificate"]["binding"] == "recompiled"
    assert cli("check", certificate).returncode == 0
    checked = cli("check", certificate, "--model", model, "--spec", spec)
    assert checked.returncode == 0, checked.stderr
    assert "translated" in checked.stdout


@pytest.mark.parametrize("file", ["target.onnx", "naive.onnx", "spec.yaml"])
def test_a_changed_file_is_noticed(cli: Cli, oversight: tuple[Path, Path], tmp_path: Path, file: str) -> None:
    model, spec = oversight
    cli(model, spec, "--out", "out")
    certificate = tmp_path / "out/spec.seen-from-outside.nncert"
    assert cli("check", certificate, "--model", model, "--spec", spec).returncode == 0
    if file == "target.onnx":
        write_network(model, ([[1, -1, 0], [0, 0, 1]], [0, 0, -0.5]), ([[1], [1], [1 / 1024]], [0]))
    elif file == "naive.onnx":
        write_network(tmp_path / file, NAIVE[0], ([[-1], [1]], [2 + 1 / 1024]))
    else:
        spec.write_text(spec.read_text().replace("malign >= 0.5", "malign >= 0.501"))
    changed = cli("check", certificate, "--model", model, "--spec", spec)
    assert changed.returncode != 0
    assert "this is not the" in changed.stderr + changed.stdout


ASSUMED = """assume:
  - {id: A-panel, kind: statistical, text: the overseer agrees with people, of: seen-from-outside, ERROR}
  - {id: A-inside, kind: checked, text: internals are fine, check: {requirement: seen-from-inside}}
  - {id: A-world, text: nobody touches the sensor}
"""


@pytest.mark.parametrize("error", [0, 0.49, 0.51])
def test_claims_survive_an_error_of_an_overseer_up_to_their_slack(
    cli: Cli, oversight: tuple[Path, Path], tmp_path: Path, error: float
) -> None:
    """2 - |x0| is at least 1 where 1/2 is asked for: an overseer that is wrong by less than 1/2 changes nothing."""
    model, spec = oversight
    spec.write_text(spec.read_text() + ASSUMED.replace("ERROR", f"error: {{overseer: naive, at_most: {error}}}"))
    done = cli(model, spec, "--out", "out", "--json", "r.json")
    outside, inside = json.loads((tmp_path / "r.json").read_text())["requirements"]
    assert outside["verdict"] == ("certified" if error < 0.5 else "unknown"), done.stdout
    if error < 0.5:
        limit = float(re.findall(r"naive IS WRONG BY LESS THAN (0\.\d+)", outside["sentence"])[0])
        assert 0.499 < limit <= 0.5
    else:
        assert outside["reason"].startswith("assumption: A-panel allows for an error of naive of 0.51")
    assert [(one["id"], one["status"]) for one in outside["assumptions"]] == [
        ("A-panel", "not checked here"),
        ("A-inside", "DOES NOT HOLD: seen-from-inside is violated"),
        ("A-world", "not checked here"),
    ]
    assert [one["id"] for one in inside["assumptions"]] == ["A-world"]
    assert "A-world (declared, not checked here)" in done.stdout
    assert "A-panel (statistical, not checked here) the overseer agrees with people" in done.stdout
    write_network(tmp_path / "naive.onnx", NAIVE[0], (NAIVE[1][0], [2 - error]))
    spec.write_text(HEAD + OVERSIGHT)
    cli(model, spec, "--json", "wrong.json")
    wrong = json.loads((tmp_path / "wrong.json").read_text())["requirements"][0]
    assert wrong["verdict"] == ("certified" if error < 0.5 else "violated"), "so wrong an overseer says so itself"


ERRORS = """  - {id: A-a, text: a is nearly right, error: {overseer: a, at_most: 0.3}}
  - {id: A-b, text: b is nearly right, error: {overseer: b, at_most: 0.3}}
"""


@pytest.mark.parametrize(
    ("requirement", "errors", "verdict"),
    [
        ('assert: "a(x)[0] + b(x)[0] >= -0.5"', 1, "certified"),
        ('assert: "a(x)[0] + b(x)[0] >= -0.5"', 2, "unknown"),  # 0.3 twice is more than the margin of 1/2
        ('assert: "a(x)[0] + b(x)[0] >= -0.7"', 2, "certified"),
        ('assert: "twice(a(x))[0] >= -1"', 1, "unknown"),  # what a network makes of an error is not known
        ('assert: "twice(said)[0] >= -1"', 1, "unknown"),  # nor where the answer has another name
        ('assert: "twice(said)[0] + a(x)[0] >= -1"', 1, "unknown"),
        ('assert: "tap(a, relu1)(x)[0] >= -1"', 1, "unknown"),
        ('assert: "twin(x)[0] - a(x)[0] + b(x)[0] >= -1"', 1, "unknown"),  # one network, once trusted and once not
        ('assert: "twice(x)[0] >= -1"', 1, "certified"),
        # slack is one of the assertion, and not of what it is restricted to
        ('assert: "x[0] >= 0.5", where: "a(x)[0] + x[0] >= 1.125", slack: 0.0625', 1, "unknown"),
        ('assert: "a(x)[0] >= -0.125", slack: 0.0625', 1, "unknown"),
        ('assert: "a(x)[0] >= -0.5", slack: 0.125', 1, "certified"),
    ],
)
def test_errors_of_overseers_are_not_survived_by_less(
    cli: Cli, tmp_path: Path, requirement: str, errors: int, verdict: str
) -> None:
    """All claims are true of the overseers as they are; a is |x|, b is |x| too, twice(x) is 2 relu(x)."""
    write_network(tmp_path / "a.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))
    write_network(tmp_path / "b.onnx", ([[2, -2]], [0, 0]), ([[0.5], [0.5]], [0]))
    write_network(tmp_path / "twice.onnx", ([[1]], [0]), ([[2]], [0]))
    text = ERRORS if errors == 2 else ERRORS.partition("\n")[0] + "\n"
    spec = write_spec(
        tmp_path,
        f"""models: {{twice: {{path: twice.onnx}}, twin: {{path: a.onnx}}}}
overseers: {{a: {{network: {{path: a.onnx}}}}, b: {{network: {{path: b.onnx}}}}}}
inputs: {{x: {{shape: [1], box: {{lo: -1, hi: 1}}}}}}
let: {{said: "a(x)"}}
require:
  - {{id: r, {requirement}}}
assume:
{text}""",
    )
    cli(spec, "--json", "r.json")
    (answer,) = json.loads((tmp_path / "r.json").read_text())["requirements"]
    assert answer["verdict"] == verdict, answer["reason"]
    if verdict == "unknown":
        assert answer["reason"].startswith("assumption: A-"), answer["reason"]


def test_an_assumption_that_a_requirement_establishes(cli: Cli, oversight: tuple[Path, Path], tmp_path: Path) -> None:
    model, spec = oversight
    text = spec.read_text().replace('.malign >= 0"', '.malign >= -1"')
    spec.write_text(text + ASSUMED.replace(", ERROR", ""))
    cli(model, spec, "--json", "r.json")
    outside, _ = json.loads((tmp_path / "r.json").read_text())["requirements"]
    assert "holds: seen-from-inside is certified" in [one["status"] for one in outside["assumptions"]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{id: A, text: t, kind: checked}", "assume[0]: says not what checks it"),
        ("{id: A, text: t, check: {requirement: nothing}}", "there is no requirement 'nothing'"),
        ("{id: A, text: t, of: [seen]}", "there is no requirement 'seen'"),
        ("{id: A, text: t, error: {overseer: naiv, at_most: 1}}", "there is no overseer 'naiv'. Did you mean 'naive'?"),
        ("{id: A, text: t, kind: proved}", "expected 'declared', 'checked', 'monitored' or 'statistical'"),
    ],
)
def test_mistakes_in_assumptions(cli: Cli, oversight: tuple[Path, Path], line: str, message: str) -> None:
    model, spec = oversight
    spec.write_text(f"{spec.read_text()}assume: [{line}]\n")
    done = cli("lint", spec, model)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(("severity", "code"), [("malign", 0), ("benign", 1), ("bengin", 2)])
def test_which_severities_count_for_the_exit_code(
    cli: Cli, oversight: tuple[Path, Path], tmp_path: Path, severity: str, code: int
) -> None:
    model, spec = oversight
    spec.write_text(spec.read_text().replace("id: seen-from-inside", "id: seen-from-inside, severity: benign"))
    done = cli(model, spec, "--fail-on", severity, "--json", "r.json")
    assert done.returncode == code, done.stdout + done.stderr
    if code == 2:
        assert "unknown severity 'bengin'. Did you mean 'benign'?" in done.stderr
    else:
        verdicts = [one["verdict"] for one in json.loads((tmp_path / "r.json").read_text())["requirements"]]
        assert verdicts == ["certified", "violated"]


def test_a_proof_of_one_requirement_is_none_of_another(cli: Cli, tmp_path: Path) -> None:
    """Two requirements with the same rows about different networks: the hash of the composed network decides."""
    write_network(tmp_path / "a.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))
    write_network(tmp_path / "b.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [1]))
    spec = write_spec(
        tmp_path,
        """models: {a: {path: a.onnx}, b: {path: b.onnx}}
inputs: {x: {shape: [1], box: {lo: -1, hi: 1}}}
require:
  - {id: first, assert: "a(x)[0] >= -0.5"}
  - {id: second, assert: "b(x)[0] >= -0.5"}
""",
    )
    assert cli(spec, "--out", "out").returncode == 0
    for name in ("first", "second"):
        assert cli("check", f"out/spec.{name}.nncert", "--spec", spec).returncode == 0
    spec.write_text(spec.read_text().replace("b(x)[0] >= -0.5", "b(x)[0] >= -0.25"))
    assert cli("check", "out/spec.first.nncert", "--spec", spec).returncode == 0
    assert cli("check", "out/spec.second.nncert", "--spec", spec).returncode != 0


# Pairs of networks.

RNG = np.random.default_rng(11)
SLOW = (RNG.integers(-8, 9, (3, 12)) / 8, RNG.integers(-8, 9, 12) / 8), (RNG.integers(-8, 9, (12, 2)) / 8, [0, 0])


def test_how_far_a_fast_network_strays_from_a_slow_one(cli: Cli, tmp_path: Path) -> None:
    """The fast one is the slow one with 1/4 added to one output: the gap is 1/4, neither more nor less."""
    write_network(tmp_path / "slow.onnx", *SLOW)
    write_network(tmp_path / "fast.onnx", SLOW[0], (SLOW[1][0], [0, 0.25]))
    spec = write_spec(
        tmp_path,
        """models: {fast: {path: fast.onnx}, slow: {path: slow.onnx, role: reference}}
inputs: {x: {shape: [3], box: {lo: -1, hi: 1}}}
require:
  - {id: wide, assert: "norm(fast(x) - slow(x), inf) <= 0.251"}
  - {id: narrow, assert: "norm(fast(x) - slow(x), inf) < 0.25"}
""",
    )
    cli(spec, "--json", "r.json", "--timeout", "30")
    wide, narrow = json.loads((tmp_path / "r.json").read_text())["requirements"]
    assert (wide["verdict"], narrow["verdict"]) == ("certified", "violated")
    assert wide["stats"]["nodes"] <= 4  # the hidden layer is shared: nothing to search


@pytest.mark.parametrize(("pruned", "verdict"), [(0, "certified"), (1, "violated")])
def test_equivalence_with_a_pruned_copy(cli: Cli, tmp_path: Path, pruned: int, verdict: str) -> None:
    """Unit 0 never wakes up on the box, so that it may go; unit 1 decides the class where x0 is large."""
    inner, bias = [[1, 2, 0], [1, 0, 2]], [-3, -1, -1]
    write_network(tmp_path / "released.onnx", (inner, bias), ([[9, 0], [2, 0], [0, 2]], [0, 0]))
    outer = [[9, 0], [2, 0], [0, 2]]
    outer[pruned] = [0, 0]
    write_network(tmp_path / "target.onnx", (inner, bias), (outer, [0, 0]))
    spec = write_spec(
        tmp_path,
        """models: {target: {path: "$MODEL"}, released: {path: released.onnx, role: reference}}
inputs: {x: {shape: [2], box: {lo: 0, hi: 1}}}
require:
  - id: top1
    assert: "implies(margin(released(x)) >= 0.25, argmax(target(x)) == argmax(released(x)))"
""",
    )
    cli(tmp_path / "target.onnx", spec, "--json", "r.json", "--timeout", "30")
    (answer,) = json.loads((tmp_path / "r.json").read_text())["requirements"]
    assert answer["verdict"] == verdict
    if verdict == "violated":
        x = np.maximum(np.array([float(v) for v in answer["attack"]["input"]]) @ inner + bias, 0)
        released, target = x @ [[9, 0], [2, 0], [0, 2]], x @ outer
        assert abs(released[0] - released[1]) >= 0.25
        assert target[released.argmax()] <= target[1 - released.argmax()]


@pytest.mark.parametrize(("weight", "verdict"), [(0.5, "certified"), (-0.5, "violated")])
def test_monotonicity_by_coupled_copies(cli: Cli, tmp_path: Path, weight: float, verdict: str) -> None:
    """Monotone in x0 where its weights are at least 0; the copy differs in x0 only, and says so in a witness."""
    write_network(tmp_path / "target.onnx", ([[1, weight], [1, -1]], [0, 0.25]), ([[1], [4]], [0]))
    spec = write_spec(
        tmp_path,
        """models: {target: {path: "$MODEL"}}
inputs:
  x: {shape: [2], box: {lo: 0, hi: 1}}
  x2: {shape: [2], box: {lo: 0, hi: 1}, linear: ["x2[0] >= x[0]", "x2[1] == x[1]"]}
require:
  - {id: monotone, assert: "target(x2)[0] >= target(x)[0] - 1/8"}
""",
    )
    done = cli(tmp_path / "target.onnx", spec, "--json", "r.json", "--timeout", "30")
    (answer,) = json.loads((tmp_path / "r.json").read_text())["requirements"]
    assert answer["verdict"] == verdict, done.stdout
    if verdict == "violated":
        found = answer["attack"]["input_raw"]
        assert found["x2[1]"] == found["x[1]"]
        assert found["x2[0]"] >= found["x[0]"]

        def network(a: float, b: float) -> float:
            return max(a + b, 0) + 4 * max(weight * a - b + 0.25, 0)

        assert network(found["x2[0]"], found["x2[1]"]) < network(found["x[0]"], found["x[1]"]) - 1 / 8
        assert all(f"{name} = " in done.stdout for name in found)


def test_lint_says_what_a_composed_specification_means(cli: Cli, oversight: tuple[Path, Path]) -> None:
    done = cli("lint", oversight[1], oversight[0])
    assert done.returncode == 0
    assert "overseer informed (informed.onnx): [1, 6] to [1, 1]; sees x, y, plan; outputs malign" in done.stdout
    assert "reads informed(x, y, tap(target, plan)(x)).malign" in done.stdout


def test_a_relaxed_attack_on_a_composed_network_is_validated(cli: Cli, tmp_path: Path) -> None:
    """Two ways to write one function, with a bound that only many splits would prove, and no time for them."""
    inner, bias = RNG.normal(size=(12, 30)), RNG.normal(size=30)
    order = RNG.permutation(30)
    outer = RNG.normal(size=(30, 1))
    write_network(tmp_path / "a.onnx", (inner, bias), (outer, [0]))
    write_network(tmp_path / "b.onnx", (inner[:, order], bias[order]), (outer[order], [0]))
    spec = write_spec(
        tmp_path,
        """models: {a: {path: a.onnx}, b: {path: b.onnx}}
inputs: {x: {shape: [12], box: {lo: -1, hi: 1}}}
require: [{id: same, assert: "a(x)[0] <= b(x)[0] + 0.01"}]
""",
    )
    assert cli(spec, "--out", "out", "--timeout", "2").returncode == 3
    done = cli("check", "out/spec.nnrelax", "--spec", spec)
    assert done.returncode == 0, done.stderr
    assert "valid relaxed attack" in done.stdout
