"""Questions about polynomials from the command line: verdicts, exit codes, files, and what the checker says of them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

pytest.importorskip("cvxpy")

CUBIC = """\
certify: "1.0"
name: cubic
inputs:
  x: {shape: [1], box: {lo: -2, hi: 2}}
let:
  V: "x[0]**2"
  dV: "2*x[0]*(x[0]**3 - x[0])"
require:
  - id: roa
    assert: "implies(0 < V and V < rho, dV < 0)"
    solve_for: {rho: {maximize: true, range: [0.0, 3.0], resolution: 0.01}}
engine: {methods: [sample, {sos: {degree: 4, multiplier: origin-vanishing}}]}
gate: {min: {roa.rho: GATE}}
"""


VAN_DER_POL = """\
certify: "1.0"
name: van-der-pol-region-of-attraction
description: Largest level set of V on which V decreases along the time-reversed Van der Pol flow.
inputs:
  x: {shape: [2], box: {lo: -3.5, hi: 3.5}}
let:
  V: "1.5*x[0]**2 - x[0]*x[1] + x[1]**2"
  f0: "-x[1]"
  f1: "x[0] + x[1]*(x[0]**2 - 1)"
  dV: "(3*x[0] - x[1])*f0 + (2*x[1] - x[0])*f1"
require:
  - id: roa
    severity: malign
    assert: "implies(0 < V and V < rho, dV < 0)"
    solve_for: {rho: {maximize: true, range: [0.0, 10.0], resolution: 0.0005}}
engine:
  methods: [sample, {sos: {degree: 4, solver: clarabel, round: exact-rational, multiplier: origin-vanishing}}]
  extract_attack: {moments: true, flat_tolerance: 0.0001}
  budget: {seconds: 60}
gate: {min: {roa.rho: 2.30}}
emit: [report, certificate, relaxed-attack]
"""


def write(folder: Path, text: str, name: str = "spec.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def simple(assertion: str, degree: int = 4) -> str:
    return (
        'certify: "1.0"\nname: simple\ninputs:\n  x: {shape: [2], box: {lo: -3, hi: 3}}\nlet:\n'
        '  motzkin: "x[0]**4*x[1]**2 + x[0]**2*x[1]**4 - 3*x[0]**2*x[1]**2 + 1"\n'
        f'require:\n  - {{id: r, assert: "{assertion}"}}\n'
        f"engine: {{methods: [sample, {{sos: {{degree: {degree}}}}}]}}\n"
    )


def test_the_cubic_region_is_bracketed_about_1(cli, tmp_path):
    spec = write(tmp_path, CUBIC.replace("GATE", "0.98"))
    done = cli(spec, "--json", "r.json", "--out", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "r.json").read_text())
    (answer,) = told["requirements"]
    proved, refuted = (Fraction(answer["parameter"][end]) for end in ("proved", "refuted"))
    assert proved <= 1 < refuted, "1 is the truth, and at 1 it still holds"
    assert refuted - proved <= Fraction(1, 50)
    assert (told["verdict"], told["class"]) == ("certified", "exact")
    assert f"rho = {answer['bracket'][0]}" in answer["sentence"]
    x = Fraction(answer["attack"]["input_exact"][0])
    assert 0 < x**2 < refuted
    assert 2 * x * (x**3 - x) >= 0
    for file in ("out/spec.nncert", "out/spec.nnwitness"):
        assert cli("check", file, "--spec", spec).returncode == 0


@pytest.mark.slow
def test_the_van_der_pol_region_is_bracketed_about_2_3045(cli, tmp_path):
    spec = write(tmp_path, VAN_DER_POL)
    done = cli(spec, "--json", "r.json", "--out", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    (answer,) = json.loads((tmp_path / "r.json").read_text())["requirements"]
    proved, refuted = (Fraction(answer["parameter"][end]) for end in ("proved", "refuted"))
    assert Fraction("2.3035") <= proved < refuted <= Fraction("2.3055")
    assert cli("check", "out/spec.nncert", "--spec", spec).returncode == 0
    a, b = (Fraction(v) for v in answer["attack"]["input_exact"])
    value = Fraction(3, 2) * a**2 - a * b + b**2
    slope = (3 * a - b) * -b + (2 * b - a) * (a + b * (a**2 - 1))
    assert 0 < value < refuted
    assert slope >= 0


def test_a_missed_gate_is_exit_code_4(cli, tmp_path):
    done = cli(write(tmp_path, CUBIC.replace("GATE", "1.5")), "--json", "r.json")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "1.5" in json.loads((tmp_path / "r.json").read_text())["gates_missed"][0]
    assert "gate" in done.stdout


def test_a_missed_gate_from_above_is_exit_code_4(cli, tmp_path):
    text = simple("x[0]**2 <= c").replace('"}\n', '", solve_for: {c: {minimize: true, range: [0, 16]}}}\n', 1)
    assert cli(write(tmp_path, text + "gate: {max: {r.c: 9.1}}\n")).returncode == 0, "the largest value is 9"
    done = cli(write(tmp_path, text + "gate: {max: {r.c: 8.9}}\n"))
    assert done.returncode == 4, done.stdout + done.stderr


def test_a_refutation_at_the_far_end_alone_is_exit_code_3(cli, tmp_path):
    text = CUBIC.replace("gate: {min: {roa.rho: GATE}}\n", "").replace(
        "[sample, {sos: {degree: 4, multiplier: origin-vanishing}}]", "[sample]"
    )
    done = cli(write(tmp_path, text))
    assert done.returncode == 3, done.stdout + done.stderr


def test_certified_violated_and_unknown(cli, tmp_path):
    assert cli(write(tmp_path, simple("motzkin >= -1", 6))).returncode == 0
    violated = cli(write(tmp_path, simple("motzkin > 0", 6)), "--json", "v.json")
    assert violated.returncode == 1
    point = [Fraction(v) for v in json.loads((tmp_path / "v.json").read_text())["attack"]["input_exact"]]
    a, b = point
    assert a**4 * b**2 + a**2 * b**4 - 3 * a**2 * b**2 + 1 <= 0
    unknown = cli(write(tmp_path, simple("motzkin >= -0.01", 6)), "--json", "u.json")
    assert unknown.returncode == 3
    relaxed = json.loads((tmp_path / "u.json").read_text())["relaxed_attack"]
    assert relaxed["flat"] is False
    assert relaxed["atoms"] is None
    assert relaxed["violation"] < 1e-6
    moments = {tuple(map(tuple, m)): v for m, v in relaxed["moments"]}
    assert moments[()] == pytest.approx(1)
    assert relaxed["strict"][0] >= -1e-6, "it expects of -motzkin - 0.01 what no point has"


def test_a_certificate_of_another_specification_is_refused(cli, tmp_path):
    first = write(tmp_path, simple("motzkin >= -1", 6))
    assert cli(first, "--certificate", "p.nncert").returncode == 0
    other = write(tmp_path, simple("motzkin >= -0.5", 6), "other.yaml")
    done = cli("check", "p.nncert", "--spec", other)
    assert done.returncode == 2
    assert "not the specification" in done.stderr
    assert cli("check", "p.nncert", "--spec", first, "--json", "c.json").returncode == 0
    told = json.loads((tmp_path / "c.json").read_text())
    assert told["accepted"] is True
    assert told["query"]["taken"] == "translated"


def test_a_file_about_polynomials_has_no_model(cli, tmp_path, absolute):
    assert cli(write(tmp_path, simple("motzkin >= -1", 6)), "--certificate", "p.nncert").returncode == 0
    done = cli("check", "p.nncert", "--model", absolute)
    assert done.returncode == 2
    assert "no model" in done.stderr


def test_lint_says_what_is_asked(cli, tmp_path):
    done = cli("lint", write(tmp_path, CUBIC.replace("GATE", "1")))
    assert done.returncode == 0
    assert "largest rho in [0, 3]" in done.stdout
    assert "1 set(s) that have to be empty, of degree 4" in done.stdout


def test_no_time_at_all_is_unknown(cli, tmp_path):
    done = cli(write(tmp_path, CUBIC.replace("GATE", "0.9")), "--timeout", "0.05")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "timeout" in done.stdout


def test_an_error_in_the_specification_is_exit_code_2(cli, tmp_path):
    done = cli(write(tmp_path, simple("motzkin >= z")))
    assert done.returncode == 2
    assert "'z' is not defined" in done.stderr
