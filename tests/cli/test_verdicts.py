"""Each exit code by a question whose answer is known, and what is printed and written with it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, write_network

TOP_LEVEL = {
    "verdict",
    "class",
    "reason",
    "requirements",
    "seconds",
    "certificate",
    "attack",
    "relaxed_attack",
    "bracket",
    "stats",
    "versions",
    "hashes",
}


def read(file: Path) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(file.read_text(), parse_constant=refuse)


def test_certified_leaves_a_certificate_that_a_fresh_checker_accepts(cli, absolute, holds, tmp_path):
    done = cli(absolute, holds, "--json", "r.json")
    assert done.returncode == 0, done.stderr
    report = read(tmp_path / "r.json")
    assert set(report) == TOP_LEVEL
    assert (report["verdict"], report["class"], report["reason"]) == ("certified", "sound", "")
    certificate = report["certificate"]
    assert certificate["checked"] is True
    assert certificate["binding"] == "independent"
    file = tmp_path / "certify-out" / "holds.nncert"
    assert tmp_path / certificate["path"] == file
    assert certificate["bytes"] == file.stat().st_size
    attained, proved = report["bracket"]
    assert 0 < proved <= 1 <= attained <= 2  # 2 - |x| is at least 1 on [-1, 1]
    assert report["hashes"]["model"] == hashlib.sha256(absolute.read_bytes()).hexdigest()
    assert report["hashes"]["spec"] == hashlib.sha256(holds.read_bytes()).hexdigest()
    assert report["attack"] is None
    checked = cli("check", file, "--model", absolute, "--spec", holds)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("accepted")
    hashes = report["hashes"]
    assert f"model: given {str(absolute)!r}, SHA-256 {hashes['model']}" in checked.stdout
    assert f"query: given {str(holds)!r}, SHA-256 {hashes['spec']}" in checked.stdout
    assert "claim, in the producer's words: FOR ALL x IN" in checked.stdout
    assert f"model: recorded {str(absolute)!r}" in cli("check", file).stdout


def test_the_sentence_says_what_it_rests_on_and_what_it_does_not_say(cli, absolute, holds):
    done = cli(absolute, holds)
    weights = hashlib.sha256(absolute.read_bytes()).hexdigest()
    sentence = done.stdout.splitlines()[-1]
    assert re.search(r"FOR ALL x IN \[-1, 1\]: -Y_0 \+ 2 > 0 WITH SLACK >= (\d\.\d+|1)", sentence), sentence
    for part in (
        "SEVERITY malign",
        "CLASS sound (outward-rounded float64)",
        "CHECKED BY certify-check 0.1.0 IN",
        f"RESTS ON: A1 (declared) weights = sha256:{weights}, A2 (declared) specification = sha256:",
        "binding independent",
        "DOES NOT SAY: anything about inputs outside this set",
    ):
        assert part in sentence
    slack = float(re.search(r"SLACK >= ([\d.]+)", sentence)[1])
    assert 0.99 < slack <= 1


def test_violated_leaves_an_input_that_a_fresh_checker_and_arithmetic_confirm(cli, absolute, fails, tmp_path):
    done = cli(absolute, fails, "--json", "r.json", "--out", "o")
    assert done.returncode == 1, done.stderr
    report = read(tmp_path / "o" / "report.json")
    assert report == read(tmp_path / "r.json")
    assert report["verdict"] == "violated"
    assert report["class"] in ("sound", "exact")
    attack = report["attack"]
    (x,) = attack["input"]
    assert 0.9 <= abs(x) <= 1
    assert attack["outputs"] == pytest.approx([abs(x)], rel=1e-6)
    assert attack["proved"]
    witness = tmp_path / "o" / "fails.nnwitness"
    assert tmp_path / attack["witness"] == witness
    assert cli("check", witness, "--model", absolute, "--spec", fails).returncode == 0
    assert f"X_0 = {x!r}" in done.stdout
    assert str(witness.relative_to(tmp_path)) in done.stdout


def test_unknown_hands_over_the_bracket_and_the_relaxed_attack(cli, hard, tmp_path):
    done = cli(*hard, "--json", "r.json", "--timeout", "3", "--workers", "1")
    assert done.returncode == 3, (done.stdout, done.stderr)
    report = read(tmp_path / "r.json")
    assert (report["verdict"], report["class"], report["reason"]) == ("unknown", "heuristic", "timeout")
    attained, proved = report["bracket"]
    assert attained == pytest.approx(0.001, abs=1e-4)
    assert proved is None or proved <= 0
    relaxed = report["relaxed_attack"]
    assert relaxed["bound"] <= 0 < relaxed["value"]
    assert all(abs(x) <= 1 for x in relaxed["input"])
    assert {"layer", "neuron", "gap", "cost"} == set(relaxed["exploits"][0])
    for word in ("bracket", "relaxed", "exploits", "file", "try"):
        assert f"\n  {word} " in done.stdout
    assert relaxed["file"] == str(Path("certify-out") / "zero.nnrelax")
    assert [file.name for file in (tmp_path / "certify-out").iterdir()] == ["zero.nnrelax"]
    assert "NOT a counterexample" in done.stdout


def test_a_relaxed_attack_is_validated_and_is_no_counterexample(cli, hard, holds, tmp_path):
    assert cli(*hard, "--timeout", "3", "--workers", "1", "--out", "o").returncode == 3
    file = tmp_path / "o" / "zero.nnrelax"
    done = cli("check", file, "--model", hard[0], "--spec", hard[1], "--json", "c.json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "NOT a counterexample" in done.stdout
    answer = read(tmp_path / "c.json")
    assert (answer["valid"], answer["counterexample"]) == (True, False)
    assert answer["score"] >= 0 > answer["score_in_the_network"]
    assert cli("check", file).stdout.startswith("valid relaxed attack")  # by the paths it has recorded
    other = cli("check", file, "--model", hard[0], "--spec", holds)
    assert other.returncode == 2
    assert "error:" in other.stderr
    assert other.stderr.count("\n") == 1
    assert cli("check", file, "--exact").returncode == 2


def test_an_operator_without_proof_rules_is_named_once(cli, holds, tmp_path):
    onnx = pytest.importorskip("onnx")
    make, real = onnx.helper, onnx.TensorProto.FLOAT
    ends = [make.make_tensor_value_info(name, real, [1, 1]) for name in "xy"]
    graph = make.make_graph([make.make_node("Sin", ["x"], ["y"], name="wave")], "g", ends[:1], ends[1:])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "sine.onnx").write_bytes(model.SerializeToString())
    done = cli("sine.onnx", holds, "--json", "r.json")
    assert done.returncode == 3, done.stderr
    reason = read(tmp_path / "r.json")["reason"]
    assert reason.startswith("unsupported: Sin at node ")
    assert reason.count("unsupported") == 1
    assert done.stdout.startswith("unknown: holds (unsupported), ")


def test_an_error_is_one_line_and_is_in_the_json_too(cli, absolute, tmp_path):
    done = cli(absolute, "absent.vnnlib", "--json", "r.json")
    assert done.returncode == 2
    assert done.stderr == "certify: error: there is no file absent.vnnlib\n"
    assert read(tmp_path / "r.json") == {"verdict": "error", "message": "there is no file absent.vnnlib"}


def test_nothing_is_printed_on_standard_error_when_it_is_no_terminal(cli, hard):
    assert cli(*hard, "--timeout", "1").stderr == ""


def test_quiet_prints_the_verdict_alone(cli, absolute, holds):
    done = cli(absolute, holds, "-q")
    assert re.fullmatch(r"certified: holds, \d+\.\d\d s\n", done.stdout)


def test_a_certificate_that_proves_nothing_is_rejected(cli, absolute, fails, tmp_path):
    """A single leaf claimed for a property that does not hold."""
    import numpy as np

    from verifier.certificate.write import Draft, Source, save

    sources = [Source(file.read_bytes(), str(file), False) for file in (absolute, fails)]
    save(Draft(*sources, 1, [np.zeros(1, dtype=np.int64)], "a lie", {}), tmp_path / "lie.nncert")
    done = cli("check", "lie.nncert", "--json", "c.json")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("REJECTED")
    answer = read(tmp_path / "c.json")
    assert answer["accepted"] is False
    assert answer["reason"]


def test_a_certificate_about_another_query_is_refused_by_name(cli, absolute, holds, fails):
    assert cli(absolute, holds, "--certificate", "p.nncert").returncode == 0
    done = cli("check", "p.nncert", "--model", absolute, "--spec", fails)
    assert done.returncode == 2
    assert f"{fails}: this is not the query the certificate is about" in done.stderr


def test_exact_repeats_the_proof_in_rationals(cli, absolute, holds):
    assert cli(absolute, holds, "--certificate", "p.nncert").returncode == 0
    done = cli("check", "p.nncert", "--exact")
    assert done.returncode == 0, done.stderr
    assert "rational arithmetic" in done.stdout


def test_what_the_checker_refuses_to_read_ends_as_unknown(absolute, holds, tmp_path, monkeypatch):
    """The loader read the files, then they changed under the checker: it says why it cannot go on."""
    from verifier import certify
    from verifier.certificate.checking import CheckerProcess

    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no model")
    report = certify(
        absolute,
        holds,
        timeout=20,
        start_checker=lambda model, query, workers: CheckerProcess.start(damaged, query, workers),
    )
    assert report.verdict == "unknown"
    assert report["holds"].reason.startswith("certificate: the checker cannot use these files: ")
    assert "no answer in time" not in report["holds"].reason


def test_the_slack_of_a_bound_that_is_no_decimal_is_that_of_the_bound(cli: Cli, tmp_path: Path) -> None:
    """Its query says 3 y <= 4, whose margin is three times as large."""
    model = write_network(tmp_path / "m.onnx", ([[1.0]], [0.0]))
    path = tmp_path / "spec.yaml"
    path.write_text(
        'certify: "1.0"\nname: thirds\nmodels: {target: {path: "$MODEL"}}\n'
        "inputs:\n  x: {shape: [1], box: {lo: 0, hi: 0.25}}\n"
        'require:\n  - {id: r, assert: "target(x)[0] <= 4/3"}\n'
    )
    done = cli(model, path, "--json", "r.json")
    assert done.returncode == 0, done.stdout + done.stderr
    slack = json.loads((tmp_path / "r.json").read_text())["requirements"][0]["slack"]
    assert slack == pytest.approx(4 / 3 - 1 / 4, abs=1e-6)
    assert slack <= 4 / 3 - 1 / 4


@pytest.mark.parametrize("end", ["1e400", "-1e400"])
def test_a_box_beyond_float64_is_a_mistake(cli: Cli, tmp_path: Path, end: str) -> None:
    model = write_network(tmp_path / "m.onnx", ([[1]], [0]))
    spec = tmp_path / "far.yaml"
    lo, hi = sorted(("0", end), key=float)
    box = f"inputs: {{x: {{shape: [1], box: {{lo: {lo}, hi: {hi}}}}}}}"
    head, require = (
        'certify: "1.0"\nname: far\nmodels: {m: {path: "$MODEL"}}',
        'require:\n  - {id: r, assert: "m(x)[0] <= 1"}',
    )
    spec.write_text(f"{head}\n{box}\n{require}\n")
    done = cli(model, spec)
    assert done.returncode == 2
    assert f"{spec}:6: an input may be larger than all numbers of float64" in done.stderr
