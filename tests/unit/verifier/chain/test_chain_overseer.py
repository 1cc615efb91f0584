"""The last network of a chain as overseer: claims survive its error or are withdrawn; its statement is judged again."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.errors import CertificateError, SpecError
from specs.language.chains.archive import MANIFEST
from specs.language.load_spec import load_spec
from specs.loading import load_model
from tests.cli.conftest import write_network
from tests.unit.verifier.chain.test_chain import SUM, chain_text, summing
from verifier import api
from verifier.chain.premise import recheck
from verifier.checking import run_checker
from verifier.report.report import Answer
from verifier.rests import resting_on_chains

TOLERANCE, LARGER = Fraction(1, 64), Fraction(1251, 10_000)


def build(folder: Path, offset: float, tolerance: Fraction) -> Path:
    """A chain to the sum of four: M1 and M2 add ``offset`` to what is right. Its error is three times the tolerance."""
    folder.mkdir()
    (folder / "core.py").write_text(SUM)
    for k in range(2):
        summing(folder / f"m{k + 1}.onnx", 2 << k, offset)
    (folder / "c.yaml").write_text(chain_text([str(float(tolerance))] * 2))
    report = api.certify(None, folder / "c.yaml", out=folder, timeout=50)
    assert report.verdict == "certified"
    summing(folder / "target.onnx", 4, 2.0**-10)  # another network than M2, or the two would be one
    return folder


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("right") / "c", 0.0, TOLERANCE)


@pytest.fixture(scope="module")
def low(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("low") / "c", -0.125, LARGER)


BOX = "{lo: 0, hi: 1}"


def question(folder: Path, name: str, *require: str, judge: str = "chain: c.nnchain", box: str = BOX) -> Path:
    path = folder / f"{name}.yaml"
    rows = "\n".join(f"  - {{id: r{k}, {one}}}" for k, one in enumerate(require))
    path.write_text(
        f'certify: "1.0"\nname: {name}\nmodels: {{target: {{path: target.onnx}}}}\n'
        f'overseers:\n  judge: {{{judge}}}\n  H: {{symbolic: {{python: "core.py:core"}}}}\n'
        f"inputs: {{q: {{shape: [4], box: {box}}}}}\nrequire:\n{rows}\n"
    )
    return path


def test_a_claim_survives_the_error_of_the_chain_or_is_withdrawn(right: Path) -> None:
    """E = 3/64: a proof with a slack of 4/64 carries over to the core, one with at most 0.04 does not."""
    close = 'assert: "abs(target(q)[0] - judge(q)[0]) <= 0.125"'
    file = question(
        right, "close", f"{close}, slack: 0.0625", close.replace("0.125", "0.04"), 'assert: "target(q)[0] <= 5"'
    )
    report = api.certify(None, file, timeout=60, out=right / "close")
    kept, withdrawn, other = report.requirements
    assert [one.verdict for one in report.requirements] == ["certified", "unknown", "certified"]
    assert withdrawn.reason.startswith("assumption: judge.chain allows for an error of judge of 0.046875")
    (premise,) = kept.premises
    assert premise.assumption.error == 3 * TOLERANCE
    assert premise.status.startswith("holds: the checker accepted its statement")
    assert "its trusted core core.py:core says, unrolled" in kept.sentence
    assert "that the core core.py:core behind judge is right" in kept.sentence
    assert other.premises == ()


def test_what_survives_holds_of_the_core_itself(low: Path) -> None:
    """The models say 1/8 too little. What is true of them and false of the sum is never certified; what is, is true."""
    true, false = 'assert: "judge(q)[0] <= 4.5", slack: 0.5', 'assert: "judge(q)[0] <= 3.9"'
    report = api.certify(None, question(low, "sum", true, false), timeout=60)
    assert [one.verdict for one in report.requirements] == ["certified", "unknown"]
    model = load_model(low / "m2.onnx")
    corner = np.ones(4)
    assert model.evaluate_flat(corner)[0] <= 3.9 < corner.sum()
    for q in np.random.default_rng(0).uniform(0, 1, (1000, 4)):
        assert abs(model.evaluate_flat(q)[0] - q.sum()) <= 3 * LARGER
        assert q.sum() <= 4.5


def test_the_graph_of_premises_goes_from_the_core_to_the_requirement(right: Path) -> None:
    (answer,) = api.certify(
        None, question(right, "g", 'assert: "judge(q)[0] <= 5", slack: 0.0625'), timeout=60
    ).requirements
    (told,) = answer.to_json()["assumptions"]
    graph = {one["statement"]: one["rests_on"] for one in told["graph"]}
    reached, stack = set(), ["requirement r0"]
    while stack:
        statement = stack.pop()
        reached.add(statement)
        stack += graph[statement]
    assert reached == set(graph)
    trusted = {one["statement"] for one in told["graph"] if not one["rests_on"]}
    assert trusted == {"core core.py:core says what is right", "files are the ones hashed"}
    assert told["error"] == {"overseer": "judge", "at_most": "3/64"}


def test_an_error_that_goes_through_something_else_is_not_followed(right: Path) -> None:
    file = question(right, "through", 'assert: "H(judge(q)[0], q[0])[0] <= 9", slack: 1')
    (answer,) = api.certify(None, file, timeout=60).requirements
    assert answer.verdict == "unknown"
    assert answer.reason.startswith("assumption")


def altered(folder: Path, name: str, change: Callable[[dict], None]) -> str:
    with zipfile.ZipFile(folder / "c.nnchain") as archive, zipfile.ZipFile(folder / name, "w") as out:
        for info in archive.infolist():
            data = archive.read(info)
            if info.filename == MANIFEST:
                manifest = json.loads(data)
                change(manifest)
                data = json.dumps(manifest).encode()
            out.writestr(info, data)
    return name


def test_a_statement_that_the_checker_refuses_is_an_error(right: Path) -> None:
    lied = altered(right, "lied.nnchain", lambda manifest: manifest.update(errors=[["M1", "1/64"], ["M2", "1/64"]]))
    file = question(right, "lied", 'assert: "judge(q)[0] <= 5"', judge=f"chain: {lied}")
    with pytest.raises(
        SpecError, match=r"overseers\.judge\.chain: the statement was refused: its errors do not follow"
    ):
        api.certify(None, file, timeout=60)
    joint = altered(right, "joint.nnchain", lambda manifest: manifest.update(joint="1/100000"))
    file = question(right, "joint", 'assert: "judge(q)[0] <= 5"', judge=f"chain: {joint}")
    with pytest.raises(SpecError, match=r"the statement was refused: joint\.yaml is not what"):
        api.certify(None, file, timeout=60)


@pytest.mark.parametrize(
    ("judge", "box", "message"),
    [
        ("chain: core.py", BOX, "not the file of a chain"),
        ("chain: none.nnchain", BOX, "there is no file"),
        ("chain: c.nnchain, network: {path: m1.onnx}", BOX, "is another than the one given"),
        ("chain: c.nnchain, network: {path: m2.onnx}", "{lo: 0, hi: 1.5}", "but q can be anything in [0, 1.5]"),
        ("chain: c.nnchain", "{lo: 0, hi: 1}, normalize: {mean: 0.5, range: 0.25}", "q can be anything in [-2, 2]"),
        (
            f"chain: {{path: c.nnchain, sha256: '{'0' * 64}'}}",
            "{lo: 0, hi: 1}",
            "it is another file than the one meant",
        ),
        ("chain: c.nnchain, outputs: {sum: 1}", BOX, "there is no output 1: the network has 1"),
    ],
)
def test_what_is_no_overseer(right: Path, judge: str, box: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(question(right, "no", 'assert: "judge(q)[0] <= 5"', judge=judge, box=box))
    assert message in str(caught.value)
    assert "no.yaml:" in str(caught.value)


def test_the_error_is_not_claimed_of_a_network_that_is_changed(right: Path) -> None:
    """What is written into a layer moves the answers away from the core, by as much as one likes."""
    file = question(right, "written", 'assert: "judge(q)[0] >= 20", slack: 1')
    written = "}, z: {shape: [1], box: {lo: 100, hi: 101}, inject: INTO}}\nrequire:"
    text = file.read_text().replace("}}\nrequire:", written)
    for place in ("{model: judge, at: add2, mode: add}", "{model: judge, at: relu1, mode: replace}"):
        file.write_text(text.replace("INTO", place))
        with pytest.raises(SpecError, match="judge is the network of a chain, whose error is known of it as it is"):
            load_spec(file)


def test_the_error_is_not_claimed_of_what_an_abstraction_makes_of_a_question(right: Path) -> None:
    """The question lies in the box of the chain; what the overseer would be shown is four times as large."""
    write_network(right / "alpha.onnx", (np.diag([4.0] * 4).tolist(), [0.0] * 4))
    shown = "{lo: 0, hi: 1}, abstract_by: {network: alpha.onnx, box: {lo: -1, hi: 5}}"
    file = question(right, "shown", 'assert: "judge(q)[0] <= 30", slack: 1', box=shown)
    with pytest.raises(SpecError, match="not supported beside channels and abstractions"):
        load_spec(file)


def test_questions_are_what_the_network_is_given(right: Path) -> None:
    """Raw values from 10 to 12 are normalised to ones from 0 to 1."""
    box = "{lo: 10, hi: 12}, normalize: {mean: 10, range: 2}"
    (requirement,) = load_spec(question(right, "units", 'assert: "judge(q)[0] <= 5"', box=box)).requirements
    (case,) = requirement.problem.cases
    assert (case.box.lower, case.box.upper) == ((0,) * 4, (1,) * 4)
    assert requirement.problem.graph.evaluate_flat([1.0] * 4)[0] == pytest.approx(4)


def test_outputs_may_be_asked_about_within_the_questions(right: Path) -> None:
    text = 'assert: "judge(clip(target(q)[0] + q, 0, 1))[0] <= 5"'
    (requirement,) = load_spec(question(right, "clip", text)).requirements
    for q in np.random.default_rng(0).uniform(0, 1, (200, 4)):
        asked = np.clip(q.sum() + 2.0**-10 + q, 0, 1)
        assert requirement.problem.graph.evaluate_flat(q)[0] == pytest.approx(asked.sum(), abs=1e-6)


def test_evidence_is_about_the_network_and_the_chain_is_judged_again(right: Path) -> None:
    file = question(right, "again", 'assert: "judge(q)[0] <= 5", slack: 0.0625', judge="chain: copy.nnchain")
    copy = right / "copy.nnchain"
    copy.write_bytes((right / "c.nnchain").read_bytes())
    (answer,) = api.certify(None, file, timeout=60, out=right / "again").requirements
    result = run_checker(answer.certificate.path, None, file, False, {})
    assert result.accepted
    assert "about judge as it is, within 0.046875 of its core: its chain was accepted again" in result.reason
    altered(right, "copy.nnchain", lambda manifest: manifest.update(errors=[["M1", "1/64"], ["M2", "1/64"]]))
    with pytest.raises((CertificateError, SpecError), match="the statement was refused"):
        run_checker(answer.certificate.path, None, file, False, {})


def test_without_time_nothing_rests_on_it(right: Path) -> None:
    file = question(right, "time", 'assert: "judge(q)[0] <= 5", slack: 0.0625')
    (answer,) = api.certify(None, file, timeout=60).requirements
    assert isinstance(answer, Answer)
    late = recheck([one.assumption for one in answer.premises], time.monotonic())
    assert not late["judge.chain"].accepted
    found = resting_on_chains(answer, late)
    assert (answer.verdict, found.verdict) == ("certified", "unknown")
    assert found.reason.startswith("timeout: the statement of c.nnchain")
    assert found.premises[0].status.startswith("NOT ESTABLISHED")
