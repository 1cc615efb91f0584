"""Chains with known errors: they hold exactly where they should, and every break is caught at its step."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.compose import Composer
from specs.errors import CertificateError, SpecError
from specs.graph import ops
from specs.language.chains.archive import MANIFEST
from specs.language.chains.parts import joint_spec
from specs.language.chains.spec import read_chain_spec
from specs.language.load_spec import load_spec
from specs.loading.onnx_writer import write_onnx
from verifier import api
from verifier.chain.folder import lay_out
from verifier.checking import run_checker

SUM = "def core(a, b):\n    return a + b\n"
MAX = "def core(a, b):\n    return max(a, b)\n"


def network(path: Path, inner: list, bias: list, outer: list, offset: float = 0.0) -> Path:
    """``offset + outer @ relu(inner @ q + bias)``."""
    composer = Composer()
    q = composer.input("q", (len(inner[0]),))
    weight = composer.constant(np.array(inner, dtype=np.float32))
    pre = composer.add(ops.Add(), composer.add(ops.MatMul(), weight, q), composer.constant(np.float32(bias)))
    hidden = composer.add(ops.Relu(), pre)
    product = composer.add(ops.MatMul(), composer.constant(np.array([outer], dtype=np.float32)), hidden)
    out = composer.add(ops.Add(), product, composer.constant(np.array([offset], dtype=np.float32)))
    path.write_bytes(write_onnx(composer.build([q], [out])))
    return path


def summing(path: Path, size: int, offset: float = 0.0) -> Path:
    """The sum of numbers in [0, 1], each through a ReLU of its own."""
    return network(path, np.eye(size).tolist(), [0.0] * size, [1.0] * size, offset)


def chain_text(tolerances: list[str], boxes: Mapping[int, str] | None = None, amplify2: str = "") -> str:
    boxes = boxes or {}
    steps = []
    for k, tolerance in enumerate(tolerances):
        size = 2 << k
        before = f"H(M{k}(q[0:{size // 2}]), M{k}(q[{size // 2}:{size}]))" if k else "H(q[0], q[1])"
        before = amplify2 if k == 1 and amplify2 else before
        box = boxes.get(k, "{lo: 0, hi: 1}")
        steps.append(
            f"    - {{id: M{k + 1}, questions: {{shape: [{size}], box: {box}}}, "
            f'amplify: "{before}", model: m{k + 1}.onnx, tol: {tolerance}}}'
        )
    size = 1 << len(tolerances)
    return (
        'certify: "1.0"\nname: c\noverseers: {H: {symbolic: {python: "core.py:core"}}}\n'
        f"inputs: {{q: {{shape: [{size}], box: {{lo: 0, hi: 1}}}}}}\n"
        "chain:\n  core: H\n  steps:\n" + "\n".join(steps) + "\n"
    )


Make = Callable[..., Path]


@pytest.fixture
def sums(tmp_path: Path) -> Make:
    """A chain of sums; every model adds ``offset`` to what is right."""

    def make(steps: int = 2, offset: float = 0.0, tolerance: str = "1/64", core: str = SUM, **more: object) -> Path:
        (tmp_path / "core.py").write_text(core)
        for k in range(steps):
            summing(tmp_path / f"m{k + 1}.onnx", 2 << k, offset)
        path = tmp_path / "c.yaml"
        path.write_text(chain_text([tolerance] * steps, **more))
        return path

    return make


def test_sum_of_eight_is_linear_and_holds(sums: Make, tmp_path: Path) -> None:
    """A sum of two doubles an error in both: E = t, t + 2 t, t + 2 (3 t)."""
    report = api.certify(None, sums(3, tolerance="1/64"), out=tmp_path / "out", timeout=50)
    *steps, whole = report.requirements
    assert [one.verdict for one in steps] == ["certified"] * 3
    assert [row.growth for row in whole.rows] == [0, 2, 2]
    assert [row.error for row in whole.rows] == [Fraction(k, 64) for k in (1, 3, 7)]
    assert whole.verdict == "certified"
    assert whole.error == Fraction(7, 64)
    assert whole.sampled == pytest.approx(0, abs=1e-6)
    assert run_checker(whole.certificate.path, None, tmp_path / "c.yaml", False, {}).accepted


def test_the_error_of_the_whole_can_be_gated_and_compared_with_an_earlier_run(sums: Make, tmp_path: Path) -> None:
    spec = sums(2, tolerance="1/64")  # E = 3/64
    text = spec.read_text() + "emit: [baseline]\n"
    spec.write_text(text + "gate: {max: {chain.error: 0.05}, require_class: {malign: sound}}\n")
    assert api.certify(None, spec, out=tmp_path / "first", timeout=50).exit_code == 0
    spec.write_text(text + "gate: {max: {chain.error: 0.04}}\n")
    missed = api.certify(None, spec, timeout=50)
    assert (missed.verdict, missed.exit_code) == ("certified", 4)
    assert missed.missed == ("chain.error: at most 0.04 is wanted, 0.046875 is proved",)
    regression = "gate: {regression: {baseline: first/baseline.json, max_drop: {chain.error: DROP}}}\n"
    worse = text.replace("tol: 1/64", "tol: 1/32")
    spec.write_text(worse + regression.replace("DROP", "0.04"))
    lost = api.certify(None, spec, out=tmp_path / "later", timeout=50)
    assert lost.exit_code == 4
    assert "chain: error = 0.046875 in the baseline, 0.09375 now: it may get worse by 0.04" in lost.missed
    assert [told.partition(":")[0] for told in lost.missed] == ["M1.gap", "M2.gap", "chain"], "other questions, too"
    spec.write_text(text + regression.replace("DROP", "0"))
    again = api.certify(None, spec, out=tmp_path / "later", timeout=50)
    assert again.exit_code == 0
    whole = again["chain"].certificate.path
    assert run_checker(whole, None, None, False, {}).accepted, "the archive is checked where no baseline is"


def test_what_is_composed_covers_what_really_happens(sums: Make, tmp_path: Path) -> None:
    """M1 adds 1/8 to a sum: A2 is off by 1/4, and M2, which adds 1/8 to what is right, strays from A2 by 1/8."""
    report = api.certify(None, sums(2, 0.125, "0.1251"), out=tmp_path / "out", timeout=50)
    *_, whole = report.requirements
    assert whole.verdict == "certified"
    assert whole.rows[-1].error == 3 * Fraction("0.1251")
    assert whole.sampled == pytest.approx(0.125, abs=1e-6)
    assert whole.rows[-1].attained == pytest.approx(0.125, abs=1e-5)
    assert whole.sampled <= whole.error


def test_a_spike_in_the_first_model_is_caught_there(tmp_path: Path) -> None:
    """M1 is max(a, b) but for a spike of height 1 at a = 3/4, of half width 1/64."""
    (tmp_path / "core.py").write_text(MAX)
    spike = [64.0, -128.0, 64.0]
    network(
        tmp_path / "m1.onnx",
        [[1, -1], [0, 1], [1, 0], [1, 0], [1, 0]],
        [0, 0, -0.75 + 1 / 64, -0.75, -0.75 - 1 / 64],
        [1, 1, *spike],
    )
    network(tmp_path / "m2.onnx", np.eye(4).tolist(), [0] * 4, [0.25] * 4)
    path = tmp_path / "c.yaml"
    path.write_text(chain_text(["0.25", "2"]))
    report = api.certify(None, path, out=tmp_path / "out", timeout=50)
    step, whole = report.requirements
    assert (step.id, step.verdict) == ("M1.gap", "violated")
    a, _ = (float(v) for v in step.attack.point)
    assert abs(a - 0.75) < 1 / 64
    assert whole.verdict == "unknown"
    assert whole.error is None
    assert "M1.gap is violated" in whole.reason
    assert report.exit_code == 1
    assert run_checker(step.attack.path, None, None, False, {}).accepted


def test_a_chain_without_its_first_step_is_refused(sums: Make) -> None:
    path = sums(2)
    lines = [line for line in path.read_text().splitlines() if "{id: M1," not in line]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(SpecError, match="'M1' is no function"):
        api.certify(None, path, timeout=10)


@pytest.mark.parametrize(
    ("amplify", "boxes", "value"),
    [
        ("H(M1(q[0:2]), M1([q[2], 2 * q[3]]))", None, 2.0),
        ("H(M1(q[0:2]), M1([q[2] - q[3], q[3]]))", None, -1.0),
        ("", {0: "{lo: 0, hi: 0.5}"}, 1.0),
        ("", {0: "{lo: [0, 0.25], hi: 1}"}, 0.0),
    ],
)
def test_a_sub_question_outside_the_domain_is_caught(
    sums: Make, amplify: str, boxes: dict | None, value: float
) -> None:
    report = api.certify(None, sums(2, boxes=boxes, amplify2=amplify), timeout=30)
    (whole,) = report.requirements
    assert whole.verdict == "violated"
    assert whole.outside.step == "M2"
    assert float(whole.outside.value) == value
    assert all(0 <= v <= 1 for v in whole.outside.question)
    assert report.exit_code == 1


PARITY = {
    "by branches": ("def core(a, b):\n    return 1.0 if (a > 0.5) != (b > 0.5) else 0.0\n", "condition on data"),
    "by nested branches": (
        "def core(a, b):\n    if a > 0.5:\n        return 0.0 if b > 0.5 else 1.0\n"
        "    return 1.0 if b > 0.5 else 0.0\n",
        "not proved to be continuous",
    ),
    "as a polynomial": ("def core(a, b):\n    return a + b - 2 * a * b\n", "a product of data"),
}


@pytest.mark.parametrize("name", PARITY)
def test_parity_is_refused(sums: Make, name: str) -> None:
    core, message = PARITY[name]
    with pytest.raises(SpecError, match=message):
        api.certify(None, sums(3, core=core), timeout=10)


def test_continuous_parity_composes_to_nothing_of_use(sums: Make) -> None:
    """|a - b| is parity on corners; errors double in every round, so that 1/8 at each of three is 7/8 at the end."""
    chain = read_chain_spec(sums(3, core="def core(a, b):\n    return abs(a - b)\n", tolerance="1/8"), {})
    assert [step.lipschitz for step in chain.steps] == [0, 2, 2]
    assert chain.errors()["M3"] == Fraction(7, 8) > Fraction(1, 2)


def test_what_the_core_says_unrolled_is_what_python_computes(tmp_path: Path) -> None:
    (tmp_path / "core.py").write_text(MAX)
    for k in range(3):
        summing(tmp_path / f"m{k + 1}.onnx", 2 << k)
    path = tmp_path / "c.yaml"
    path.write_text(chain_text(["1"] * 3))
    chain = read_chain_spec(path, {})
    folder = tmp_path / "parts"
    folder.mkdir()
    lay_out(chain, folder)
    (folder / "joint.yaml").write_text(joint_spec(chain, Fraction(1)))
    (requirement,) = load_spec(folder / "joint.yaml").requirements
    for q in np.random.default_rng(0).integers(0, 17, (500, 8)) / 16:
        total, greatest = requirement.problem.graph.evaluate_flat(q)
        assert (total, greatest) == (q.sum(), q.max())


def test_a_composed_core_need_not_be_the_same_in_both_languages(sums: Make) -> None:
    """Sums of sequences mean concatenation to Python and elements to a specification: neither is taken."""
    with pytest.raises(SpecError, match="a sequence is used as a number"):
        api.certify(None, sums(2, amplify2="H(M1(q[0:2] + q[2:4]), 0)"), timeout=10)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("box: {lo: 0, hi: 2}", "M2 is for fewer questions than these"),
        ("box: {lo: [0, 0, 0, -0.5], hi: 1}", "M2 is for fewer questions than these"),
        ("box: {lo: [0, 0], hi: 1}", "2 bounds for 4 numbers"),
        (
            "box: {lo: 0, hi: 1}, normalize: {mean: 0, range: 2}",
            "normalize: a chain is about the questions of its last",
        ),
        ("ball: {norm: 2, eps: 9, center: 0}", "ball: a chain is about the questions of its last step"),
    ],
)
def test_the_input_is_no_other_set_than_what_is_claimed_about(sums: Make, given: str, message: str) -> None:
    path = sums(2)
    text = path.read_text()
    assert "{q: {shape: [4], box: {lo: 0, hi: 1}}}" in text
    path.write_text(text.replace("{q: {shape: [4], box: {lo: 0, hi: 1}}}", f"{{q: {{shape: [4], {given}}}}}"))
    with pytest.raises(SpecError, match=message):
        api.certify(None, path, timeout=10)


def test_sub_questions_may_not_depend_on_answers(sums: Make) -> None:
    with pytest.raises(SpecError, match="may not depend on answers"):
        api.certify(None, sums(2, amplify2="H(M1([M1(q[0:2]), q[2]]), 0)"), timeout=10)


# --- forgeries --------------------------------------------------------------------------------------------------------


def changed(source: Path, target: Path, change: Callable[[dict[str, bytes], dict], None]) -> Path:
    """The archive with changed members, hashes in its manifest made to fit."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop(MANIFEST))
    change(members, manifest)
    manifest["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def replaced(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes], dict], None]:
    def change(members: dict[str, bytes], manifest: dict) -> None:
        assert old in members[name]
        members[name] = members[name].replace(old, new)

    return change


def swapped(members: dict[str, bytes], manifest: dict) -> None:
    members["M1.gap.nncert"], members["M2.gap.nncert"] = members["M2.gap.nncert"], members["M1.gap.nncert"]


FORGERIES: dict[str, Callable[[dict[str, bytes], dict], None]] = {
    "a smaller tolerance": replaced("chain.yaml", b"tol: 1/64", b"tol: 1/65"),
    "a smaller tolerance in a part": replaced("M2.yaml", b"<= 0.015625", b"<= 0.01"),
    "another core": replaced("core.py", b"a + b", b"a - b"),
    "another truth": replaced("truth.py", b"a + b", b"a - b"),
    "a wider box": replaced("chain.yaml", b"questions: {shape: [4], box: {lo: 0, hi: 1}}",
                            b"questions: {shape: [4], box: {lo: 0, hi: 2}}"),
    "another model": lambda m, _: m.update({"M2.onnx": m["M2.onnx"].replace(np.float32([1, 0, 0, 0]).tobytes(),
                                                                            np.float32([1, 0, 0, 1]).tobytes(), 1)}),
    "certificates swapped": swapped,
    "a certificate is missing": lambda m, _: m.pop("M2.gap.nncert"),
    "a smaller error": lambda _, manifest: manifest.update(errors=[["M1", "1/64"], ["M2", "1/64"]]),
    "a joint bound without proof": lambda _, manifest: manifest.update(joint="1/1024"),
    "errors of another kind": lambda _, manifest: manifest.update(errors=[1]),
    "a bound by zero": lambda _, manifest: manifest.update(joint="1/0"),
    "no models": lambda _, manifest: manifest.update(models={}),
    "a file outside": lambda m, _: m.update({"../evil": b"x"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_chain_is_refused(sums: Make, name: str, tmp_path: Path) -> None:
    report = api.certify(None, sums(2), out=tmp_path / "out", timeout=50)
    good = report["chain"].certificate.path
    bad = changed(good, tmp_path / "bad.nnchain", FORGERIES[name])
    try:
        accepted = run_checker(bad, None, None, False, {}).accepted
    except (CertificateError, SpecError):
        accepted = False
    assert not accepted
    assert run_checker(changed(good, tmp_path / "same.nnchain", lambda m, _: None), None, None, False, {}).accepted


def test_a_chain_is_about_the_users_own_files(sums: Make, tmp_path: Path) -> None:
    path = sums(2)
    good = api.certify(None, path, out=tmp_path / "out", timeout=50)["chain"].certificate.path
    assert run_checker(good, None, path, False, {}).accepted
    summing(tmp_path / "m1.onnx", 2, 1 / 1024)
    with pytest.raises(CertificateError, match=r"m1\.onnx"):
        run_checker(good, None, path, False, {})


@pytest.mark.parametrize(("bound", "verdict"), [("0.1", "certified"), ("-0.1", "unknown")])
def test_further_requirements_are_part_of_the_chain(sums: Make, bound: str, verdict: str, tmp_path: Path) -> None:
    path = sums(2)
    path.write_text(path.read_text() + f'require:\n  - {{id: all, assert: "M2(q)[0] - sum(q) <= {bound}"}}\n')
    report = api.certify(None, path, out=tmp_path / "out", timeout=50)
    assert report["all"].verdict == ("certified" if verdict == "certified" else "violated")
    assert report["chain"].verdict == verdict
    if verdict == "certified":
        good = report["chain"].certificate.path
        assert run_checker(good, None, path, False, {}).accepted
        bad = changed(good, tmp_path / "bad.nnchain", lambda m, _: m.pop("all.nncert"))
        assert not run_checker(bad, None, None, False, {}).accepted


def test_an_assumption_graph_ends_in_the_core_and_the_files(sums: Make, tmp_path: Path) -> None:
    whole = api.certify(None, sums(2), timeout=50)["chain"].to_json()
    nodes = {node["statement"]: node for node in whole["assumptions"]}
    leaves = {name for name, node in nodes.items() if not node["rests_on"]}
    assert leaves == {"core core.py:core says what is right", "files are the ones hashed"}
    reached, stack = set(), ["E(M2)"]
    while stack:
        one = stack.pop()
        reached.add(one)
        stack += nodes[one]["rests_on"]
    assert reached == set(nodes)
    assert whole["core"]["listing"] == SUM
