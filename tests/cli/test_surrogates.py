"""Surrogates of slow programs, seen from outside: sound about the surrogate, statistical about the program."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specs.errors import CertificateError, CertifyError, SpecError
from specs.loading import load_model
from tests.cli.conftest import Cli, write_network
from verifier.api import certify, check
from verifier.surrogate.network import Network

HEAD = """certify: "1.0"
name: learned
models: {f: {path: "$MODEL"}}
overseers:
  slow: {python: "slow.py:judge", budget: {queries: 400}}
  fast: {surrogate: {of: slow, arch: [3, 16, 16, 1], queries: 200, select: [random, attack-guided]}}
inputs:
  x: {shape: [2], box: {lo: -1, hi: 1}}
  P: {distribution: {of: x, sampler: {uniform: true}}}
let: {y: f(x)}
require:
"""
LEAST = (
    '  - {id: least, assert: "fast(x, y) >= m", solve_for: {m: {maximize: true, range: [0, 2], resolution: 0.125}}}\n'
)
ABOVE = '  - {id: least, assert: "fast(x, y) >= 0.25"}\n'
JUDGE = "def judge(x, y):\n    return 1.5 - abs(float(y[0]) - float(x[1])) / 2\n"


@pytest.fixture
def absolute(tmp_path: Path) -> Path:
    """f(x) = |x[0]|, so that the program's answers are from 0.5 to 1.5."""
    return write_network(tmp_path / "absolute.onnx", ([[1, -1], [0, 0]], [0, 0]), ([[1], [1]], [0]))


def written(folder: Path, *requirements: str, judge: str = JUDGE, head: str = HEAD) -> Path:
    (folder / "slow.py").write_text(judge)
    path = folder / "learned.yaml"
    path.write_text(head + "".join(requirements))
    return path


def rare(event: str, queries: int = 200, **terms: Any) -> str:
    told = "".join(
        f", {k}: {v}" for k, v in {"distribution": "P", "queries": queries, "max_rate": 0.05, **terms}.items()
    )
    return f'  - {{id: rare, severity: benign, statistical: {{event: "{event}"{told}}}}}\n'


def dense(file: Path, model: Path, count: int = 100) -> np.ndarray:
    """The surrogate's answers on a grid of the box."""
    surrogate, network = load_model(file), load_model(model)
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, count)]), axis=-1).reshape(-1, 2)
    return np.array([float(surrogate.evaluate_flat([*x, *network.evaluate_flat(x)])[0]) for x in grid])


def test_both_claims_in_one_report(tmp_path: Path, absolute: Path) -> None:
    spec = written(tmp_path, LEAST, rare("slow(x, y) < 0.375"))
    report = certify(absolute, spec, out=tmp_path / "out", timeout=100)
    least, audit = report.requirements
    assert (least.verdict, audit.verdict, report.exit_code) == ("certified", "certified", 0), report.sentence
    (learned,) = report.learned
    values = dense(learned.file, absolute)
    assert len(values) == 10_000
    assert float(least.solution.proved) <= values.min() + 1e-6
    assert values.min() <= float(least.solution.refuted) + 0.02  # a witness is somewhere between points of the grid
    assert least.solution.proved > 0.25
    assert "about the overseer slow itself: fast is a surrogate" in least.sentence
    assert (least.claim_class, audit.claim_class) == ("sound", "statistical(0.999)")
    assert float(audit.rate.upper) == pytest.approx(1 - 0.001 ** (1 / 200), rel=1e-7)
    assert audit.spent.queries == 400  # 200 to learn from, 200 to audit
    assert any("without regard to the 200 answers before it" in one for one in audit.rate.assumptions)
    found = check(audit.rate.file)
    assert found.accepted
    assert "fixed without regard to the 200 answers before it" in found.reason
    told = json.loads(report.json_text())
    assert told["learned"][0]["sha256"] == told["hashes"]["overseer fast"]

    again = certify(absolute, spec, out=tmp_path / "out", timeout=100)
    assert again.learned[0].asked == again["rare"].asked == 0
    assert again.learned[0].sha256 == learned.sha256

    proof = tmp_path / "out" / "learned.nncert"
    assert check(proof, absolute, spec)
    shutil.copy(proof, tmp_path / "alone.nncert")
    with pytest.raises(CertificateError, match=r"learned.fast.onnx, is not beside it"):
        check(tmp_path / "alone.nncert", absolute, spec)
    changed = load_model(learned.file)
    layers = [n.op.value for n in changed.nodes if n.name.startswith(("weights", "biases"))]
    layers[-1] = layers[-1] + np.float32(1)  # a surrogate that is larger by 1 everywhere
    from specs.loading.onnx_writer import write_onnx

    pairs = tuple(zip(layers[::2], layers[1::2]))
    learned.file.write_bytes(write_onnx(Network(pairs).graph()))
    with pytest.raises(CertificateError, match="this is not the model the certificate is about"):
        check(proof, absolute, spec)


def test_a_difference_and_a_proof_together(tmp_path: Path, absolute: Path) -> None:
    spec = written(tmp_path, ABOVE, rare("slow(x, y) < fast(x, y) - 0.125", given="least"))
    report = certify(absolute, spec, out=tmp_path / "out", timeout=100)
    assert [one.verdict for one in report.requirements] == ["certified"] * 2, report.sentence
    audit = report["rare"]
    assert audit.lifted.claim == f"Pr[slow(x, y) < 0] <= {math.ceil(float(audit.rate.upper) * 1e6) / 1e6:.6f}"
    assert "COMPOSED, CLASS statistical(0.999)" in audit.sentence
    assert "with an error of less than 0.125" in audit.sentence
    assert check(audit.rate.file, absolute, spec)
    lines = [json.loads(line) for line in (tmp_path / "out" / "learned.slow.ledger.jsonl").read_text().splitlines()]
    assert sum(line["kind"] == "ask" for line in lines) == 400  # the program's one budget
    own = [json.loads(line) for line in (tmp_path / "out" / "learned.rare.ledger.jsonl").read_text().splitlines()]
    surrogate = load_model(report.learned[0].file)
    for line in own[2:40]:
        if line["kind"] == "answer":
            x, y = ([float.fromhex(v) for v in part] for part in own[line["to"]]["arguments"])
            expected = 1.5 - abs(y[0] - x[1]) / 2 - float(surrogate.evaluate_flat([*x, *y])[0]) + 0.125
            assert float.fromhex(line["answer"]) == pytest.approx(expected, abs=1e-6)


def test_a_draw_that_was_known_before_is_no_audit(tmp_path: Path, absolute: Path) -> None:
    """Another surrogate, chosen when the draws had been answered, is refused the same draws."""
    spec = written(tmp_path, rare("slow(x, y) < fast(x, y) - 0.125", 60, max_rate=0.2))
    first = certify(absolute, spec, out=tmp_path / "out", timeout=100)
    assert first["rare"].rate.answered == 60
    spec.write_text(spec.read_text().replace("16, 16", "8, 8"))
    (tmp_path / "out" / "learned.rare.ledger.jsonl").unlink()
    with pytest.raises(CertifyError, match="had been asked about before the plan"):
        certify(absolute, spec, out=tmp_path / "out", timeout=100)


@pytest.mark.parametrize(
    ("event", "given", "told"),
    [
        ("slow(x, y) < 0", "least", "is for an event such as"),
        ("slow(x, y) < fast(x, y) - 0.1", "lesat", "Did you mean 'least'"),
        ("slow(x, y) < f(x)[0] - 0.1", "least", "is for an event such as"),
        ("slow(x, y) < fast(x, y) - slow(x, y)", "least", "can only be compared"),
    ],
)
def test_what_does_not_follow_is_refused(tmp_path: Path, absolute: Path, event: str, given: str, told: str) -> None:
    spec = written(tmp_path, ABOVE, rare(event, given=given))
    with pytest.raises(SpecError, match=told):
        certify(absolute, spec, out=tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())  # nothing was asked


def test_without_a_proof_nothing_follows(tmp_path: Path, absolute: Path) -> None:
    false = '  - {id: least, assert: "fast(x, y) >= 1.25"}\n'
    spec = written(tmp_path, false, rare("slow(x, y) < fast(x, y) - 0.125", 100, max_rate=0.1, given="least"))
    report = certify(absolute, spec, out=tmp_path / "out", timeout=60)
    assert [one.verdict for one in report.requirements] == ["violated", "certified"]
    assert report["rare"].lifted.why == "least is not certified, so nothing follows about answers below 0"
    assert "NOT COMPOSED" in report["rare"].sentence


def test_a_proof_about_fewer_inputs_is_no_proof_about_the_draws(tmp_path: Path, absolute: Path) -> None:
    half = '  - {id: least, assert: "fast(x, y) >= 0.25", where: "x[0] >= 0"}\n'
    spec = written(tmp_path, half, rare("slow(x, y) < fast(x, y) - 0.125", 100, max_rate=0.1, given="least"))
    report = certify(absolute, spec, out=tmp_path / "out", timeout=60)
    assert [one.verdict for one in report.requirements] == ["certified", "certified"]
    assert report["rare"].lifted.why.startswith("least holds under a condition, which draws may not meet")
    np.savez(tmp_path / "rows.npz", inputs=np.array([[0.5, 0.5], [0.0, 1.5]]))
    spec = written(tmp_path, ABOVE, rare("slow(x, y) < fast(x, y) - 0.125", 100, max_rate=0.9, given="least"))
    spec.write_text(spec.read_text().replace("uniform: true", "rows: rows.npz"))
    report = certify(absolute, spec, out=tmp_path / "rows", timeout=60)
    assert report["least"].verdict == "certified"
    assert report["rare"].lifted.why.startswith("examples that are drawn may be outside the set of least")
    assert "networks were not chosen by answers about the examples that are drawn" in report["rare"].sentence


def test_a_proof_about_coupled_inputs_is_no_proof_about_the_draws(tmp_path: Path, absolute: Path) -> None:
    """The condition stands under z, and leaves only some x for which there is a z."""
    coupled = HEAD.replace("  P: {", '  z: {shape: [1], box: {lo: 0.25, hi: 1}, linear: "x[0] >= z[0]"}\n  P: {')
    event = rare("slow(x, y) < fast(x, y) - 0.125", 100, max_rate=0.1, given="least")
    report = certify(absolute, written(tmp_path, ABOVE, event, head=coupled), out=tmp_path / "out", timeout=60)
    assert [one.verdict for one in report.requirements] == ["certified", "certified"]
    assert report["rare"].lifted.why.startswith("least is about other inputs as well")


@pytest.mark.parametrize(
    ("head", "asserted"),
    [
        (HEAD.replace("{y: f(x)}", "{y: f(x), v: m - 1}"), "fast(x, y) >= v"),
        (HEAD.replace("{lo: -1, hi: 1}", "{lo: [$m, -1], hi: [1, $m]}"), "fast(x, y) >= 0.25"),
        (HEAD.replace("{lo: -1, hi: 1}", "{lo: -1, hi: $m}"), "fast(x, y) >= m"),
    ],
)
def test_what_is_solved_for_has_to_be_the_least_value(tmp_path: Path, absolute: Path, head: str, asserted: str) -> None:
    """Whatever else it moves, the value that is found says nothing of the set and the function that are sampled."""
    least = f'  - {{id: least, assert: "{asserted}", solve_for: {{m: {{maximize: true, range: [0.125, 0.75]}}}}}}\n'
    spec = written(tmp_path, least, rare("slow(x, y) < fast(x, y) - 0.0625", given="least"), head=head)
    with pytest.raises(SpecError):
        certify(absolute, spec, out=tmp_path / "out", timeout=60)
    assert not list((tmp_path / "out").iterdir())


def test_without_a_folder_nothing_is_kept(tmp_path: Path, absolute: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = written(tmp_path, ABOVE)
    before = sorted(tmp_path.rglob("*"))
    report = certify(absolute, spec, timeout=60)
    assert report["least"].verdict == "certified", report.sentence
    assert not report.learned[0].file.name
    assert not report["least"].certificate.path.name
    assert sorted(tmp_path.rglob("*")) == before


def test_running_out_of_time_goes_on_with_the_same_command(cli: Cli, tmp_path: Path, absolute: Path) -> None:
    spec = written(tmp_path, ABOVE, judge="import time\n" + JUDGE.replace("return", "time.sleep(0.06)\n    return"))
    done = cli(absolute, spec, "--out", tmp_path / "out", "--timeout", "10")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "of 200 questions to learn fast from were asked; the same command goes on" in done.stdout
    again = cli(absolute, spec, "--out", tmp_path / "out", "--timeout", "60")
    assert again.returncode == 0, again.stdout + again.stderr
    lines = [json.loads(line) for line in (tmp_path / "out" / "learned.slow.ledger.jsonl").read_text().splitlines()]
    keys = [line["key"] for line in lines if line["kind"] in ("ask", "hit")]
    assert len(keys) == len(set(keys)) == 200


def test_lint_says_what_would_be_learned(cli: Cli, tmp_path: Path, absolute: Path) -> None:
    done = cli("lint", written(tmp_path, LEAST, rare("slow(x, y) < 0")), absolute)
    assert done.returncode == 0, done.stderr
    assert "fast (3-16-16-1, ReLU) is learned from 200 of the 400 questions that slow may be asked" in done.stdout
    assert "not about slow" in done.stdout
    assert "for the largest m in [0, 2]" in done.stdout


def test_a_wrong_specification_costs_no_question(tmp_path: Path, absolute: Path) -> None:
    spec = written(tmp_path, '  - {id: least, assert: "fast(x, y)[3] >= 0"}\n')
    with pytest.raises(SpecError):
        certify(absolute, spec, out=tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
