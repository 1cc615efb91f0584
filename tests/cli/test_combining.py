"""Proofs about parts of a range put together by the command, and what it refuses to put together."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, write_network

SPEC = """certify: "1.0"
name: part
models: {{f: {{path: {model}}}}}
inputs: {{x: {{shape: [1], box: {{lo: $lo, hi: $hi}}}}}}
require:
  - {{id: safe, assert: "{promise}"}}
"""


@pytest.fixture
def parts(cli: Cli, tmp_path: Path) -> Path:
    """f(x) = 10 max(0, x - 0.5): at most 6 on two overlapping halves of [0, 1], and on one that leaves a billionth."""
    write_network(tmp_path / "f.onnx", ([[1]], [-0.5]), ([[10]], [0]))
    spec(tmp_path)
    for name, low, up in (("a", "0", "0.5"), ("b", "0.4", "1"), ("c", "0.500000001", "1")):
        prove(cli, name, low, up)
    return tmp_path


def spec(folder: Path, model: str = "f.onnx", promise: str = "f(x)[0] <= 6", name: str = "part.yaml") -> None:
    (folder / name).write_text(SPEC.format(model=model, promise=promise))


def prove(cli: Cli, name: str, low: str, up: str, file: str = "part.yaml") -> None:
    done = cli(file, "--set", f"lo={low}", "--set", f"hi={up}", "--certificate", f"{name}.nncert")
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_overlapping_halves_combine(cli: Cli, parts: Path) -> None:
    done = cli("combine", "a.nncert", "b.nncert", "--out", "all", "--json", "r.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("certified: 2 certificates, 2 cells")
    assert "FOR ALL X IN [0, 1]: -Y_0 + 6 >= 0, CLASS sound" in done.stdout
    assert "their sets cover the whole, in rational arithmetic: 2 cells" in done.stdout
    report = json.loads((parts / "r.json").read_text())
    assert report["verdict"] == "certified"
    assert report["check"]["accepted"]
    assert report["statement"] == "all.nncombined"
    checked = cli("check", "all.nncombined", "--exact")
    assert checked.returncode == 0
    assert "accepted: 2 accepted certificates cover the inputs of the query in 2 cells" in checked.stdout
    assert "rational arithmetic" in checked.stdout


def test_a_gap_of_a_billionth_is_told_and_nothing_is_written(cli: Cli, parts: Path) -> None:
    done = cli("combine", "a.nncert", "c.nncert", "--out", "all", "--json", "r.json")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "no file is about X = (1000000001/2000000000)" in done.stdout
    assert json.loads((parts / "r.json").read_text())["gap"] == ["1000000001/2000000000"]
    assert not (parts / "all.nncombined").exists()
    assert cli("combine", "a.nncert", "c.nncert", "b.nncert", "--out", "all").returncode == 0


def test_a_specification_is_the_whole_and_binds_it(cli: Cli, parts: Path) -> None:
    given = ["--spec", "part.yaml", "--set", "lo=0.1", "--set", "hi=0.9"]
    done = cli("combine", "a.nncert", "b.nncert", *given, "--out", "all.nncombined")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FOR ALL x IN {x[0] in [0.1, 0.9]}: f(x)[0] <= 6" in done.stdout
    assert cli("check", "all.nncombined", *given).returncode == 0
    assert cli("check", "all.nncombined", *given, "--model", "f.onnx").returncode == 0
    wider = cli("check", "all.nncombined", "--spec", "part.yaml", "--set", "lo=0.1", "--set", "hi=0.91")
    assert wider.returncode == 2
    assert "not the query the certificate is about" in wider.stderr
    write_network(parts / "g.onnx", ([[1]], [-0.5]), ([[10.001]], [0]))
    other = cli("check", "all.nncombined", *given, "--model", "g.onnx")
    assert other.returncode == 2
    assert "not the model" in other.stderr
    outside = cli("combine", "a.nncert", "b.nncert", "--spec", "part.yaml", "--set", "lo=0", "--set", "hi=1.5")
    assert outside.returncode == 3


def test_a_query_is_the_whole_as_it_lies_there(cli: Cli, parts: Path) -> None:
    """Compressed, and with the ends of lines that it has: its hash binds the result to the very file."""
    names = "(declare-const X_0 Real)\r\n(declare-const Y_0 Real)\r\n"
    text = names + "(assert (>= X_0 0.1))\r\n(assert (<= X_0 0.9))\r\n(assert (> Y_0 6))\r\n"
    (parts / "whole.vnnlib").write_bytes(text.encode())
    (parts / "whole.vnnlib.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("whole.vnnlib", "whole.vnnlib.gz"):
        done = cli("combine", "a.nncert", "b.nncert", "--spec", name, "--out", "all")
        assert done.returncode == 0, done.stdout + done.stderr
        assert cli("check", "all.nncombined", "--spec", name).returncode == 0
    (parts / "broken.vnnlib").write_bytes(b"\xff\xfe")
    for name, why in (("broken.vnnlib", "the whole question cannot be read"), ("none.vnnlib", "cannot be read")):
        refused = cli("combine", "a.nncert", "b.nncert", "--spec", name)
        assert refused.returncode == 2
        assert why in refused.stderr


def test_a_box_may_be_named(cli: Cli, parts: Path) -> None:
    done = cli("combine", "a.nncert", "c.nncert", "--box", "0.6:0.7", "--out", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FOR ALL X IN [0.6, 0.7]" in done.stdout
    for wrong in ("0.7:0.6", "0.6", "a:b", "0:1:2"):
        assert cli("combine", "a.nncert", "b.nncert", "--box", wrong).returncode == 2


def test_what_does_not_belong_together_is_refused(cli: Cli, parts: Path) -> None:
    write_network(parts / "g.onnx", ([[1]], [-0.5]), ([[10.001]], [0]))
    spec(parts, "g.onnx", name="g.yaml")
    prove(cli, "g", "0.5", "1", "g.yaml")
    model = cli("combine", "a.nncert", "g.nncert")
    assert model.returncode == 2
    assert "g.nncert is about another model than a.nncert" in model.stderr
    spec(parts, promise="f(x)[0] <= 7", name="weak.yaml")
    prove(cli, "weak", "0.5", "1", "weak.yaml")
    promise = cli("combine", "a.nncert", "weak.nncert")
    assert promise.returncode == 2
    assert "weak.nncert does not prove the property of the whole" in promise.stderr
    assert cli("combine", "weak.nncert", "a.nncert", "--out", "weaker").returncode == 0  # 6 is less than 7
    twice = cli("combine", "a.nncert", "a.nncert")
    assert "is the same file as" in twice.stderr
    nothing = cli("combine", "part.yaml")
    assert nothing.returncode == 2
    assert "not a certificate" in nothing.stderr
    gone = cli("combine", "a.nncert", "gone.nncert")
    assert "gone.nncert cannot be read" in gone.stderr


def test_a_violation_is_not_combined(cli: Cli, parts: Path) -> None:
    done = cli("part.yaml", "--set", "lo=0", "--set", "hi=2", "--out", "out")
    assert done.returncode == 1
    witness = next((parts / "out").glob("*.nnwitness"))
    told = cli("combine", "a.nncert", witness)
    assert told.returncode == 2
    assert "only proofs and bounds of rates are combined" in told.stderr


JUDGED = """certify: "1.0"
name: judged
models: {f: {path: f.onnx}}
overseers: {judge: {network: {path: judge.onnx}, sees: [y]}}
inputs: {x: {shape: [1], box: {lo: $lo, hi: $hi}}}
let: {y: f(x)}
require:
  - {id: right, assert: "argmax(judge(y)) == 0"}
"""


def test_an_overseer_is_bound_with_the_model(cli: Cli, parts: Path) -> None:
    """Two cases, of a network composed of two; one weight of the overseer makes another question."""
    write_network(parts / "judge.onnx", ([[1, 0.5, -1]], [2, 1, 0]))
    (parts / "judged.yaml").write_text(JUDGED)
    prove(cli, "one", "0", "0.5", "judged.yaml")
    prove(cli, "two", "0.5", "1", "judged.yaml")
    given = ["--spec", "judged.yaml", "--set", "lo=0", "--set", "hi=1"]
    done = cli("combine", "one.nncert", "two.nncert", *given, "--out", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "that the answers of judge are right" in done.stdout
    assert cli("check", "all.nncombined", *given).returncode == 0
    write_network(parts / "judge.onnx", ([[1, 0.5, -1.0001]], [2, 1, 0]))
    changed = cli("check", "all.nncombined", *given)
    assert changed.returncode == 2
    assert "not the model" in changed.stderr
    assert cli("check", "all.nncombined").returncode == 0  # as it was then


TAKEN = (
    "assume: [{{id: near, text: the judge is nearly right, error: {{overseer: judge, at_most: {error}}}}}]\nrequire:"
)


def test_what_a_requirement_rests_on_is_told_and_an_error_that_is_not_survived_is_refused(
    cli: Cli, parts: Path
) -> None:
    write_network(parts / "judge.onnx", ([[1, 0.5, -1]], [2, 1, 0]))
    slack = JUDGED.replace("id: right", "id: right, slack: 0.5").replace("argmax(judge(y)) == 0", "judge(y)[0] >= 1")
    for name, error in (("near", "0.4"), ("far", "0.6")):
        (parts / f"{name}.yaml").write_text(slack.replace("require:", TAKEN.format(error=error)))
    prove(cli, "one", "0", "0.5", "near.yaml")
    prove(cli, "two", "0.5", "1", "near.yaml")
    whole = ["--set", "lo=0", "--set", "hi=1"]
    done = cli("combine", "one.nncert", "two.nncert", "--spec", "near.yaml", *whole, "--out", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "near (declared, not checked here) the judge is nearly right (an error of judge of up to 0.4)" in done.stdout
    assert "(declared) specification = sha256:" in done.stdout
    far = cli("combine", "one.nncert", "two.nncert", "--spec", "far.yaml", *whole)
    assert far.returncode == 2, far.stdout + far.stderr
    assert "near allows for an error of judge of 0.6" in far.stderr


def test_a_requirement_that_accepts_exact_proofs_only_gets_them(cli: Cli, parts: Path) -> None:
    (parts / "exact.yaml").write_text(
        (parts / "part.yaml").read_text().replace("id: safe", "id: safe, accept_class: exact")
    )
    given = [
        "combine",
        "a.nncert",
        "b.nncert",
        "--spec",
        "exact.yaml",
        "--set",
        "lo=0",
        "--set",
        "hi=1",
        "--out",
        "all",
    ]
    sound = cli(*given)
    assert sound.returncode == 2, sound.stdout
    assert "requirement safe accepts exact proofs only: say --exact" in sound.stderr
    exact = cli(*given, "--exact")
    assert exact.returncode == 0, exact.stderr
    assert "CLASS exact (rational arithmetic)" in exact.stdout


TABLED = """certify: "1.0"
name: tabled
models: {f: {path: f.onnx}}
overseers: {panel: {table: answers.csv, sees: [x], outputs: {ok: 0}}}
inputs: {x: {shape: [1], points: [[0.1], [0.5]]}}
require:
  - {id: agrees, assert: "f(x)[0] <= panel(x).ok"}
"""


def test_a_combined_claim_is_bound_to_an_answer_table(cli: Cli, parts: Path) -> None:
    answers = "x,ok\n0.1,1\n0.5,0.7\n2,1\n"
    (parts / "answers.csv").write_text(answers)
    (parts / "tabled.yaml").write_text(TABLED)
    done = cli("tabled.yaml", "--certificate", "t.nncert")
    assert done.returncode == 0, done.stdout + done.stderr
    done = cli("combine", "t.nncert", "--spec", "tabled.yaml", "--out", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cli("check", "all.nncombined", "--spec", "tabled.yaml").returncode == 0
    (parts / "answers.csv").write_text(answers.replace("2,1", "2,0"))
    changed = cli("check", "all.nncombined", "--spec", "tabled.yaml")
    assert changed.returncode == 2
    assert "is not the table the certificate is about" in changed.stderr
