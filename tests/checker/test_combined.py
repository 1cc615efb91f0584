"""Combined statements against forgers: nothing is accepted that the members do not prove of the whole query."""

from __future__ import annotations

import io
import json
import math
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specs.compose import Composer
from specs.graph import ops
from specs.loading.onnx_writer import write_onnx
from tests.checker.statements import Disc, asking, forged, make, members, packed, verdict, written
from verifier.api import certify
from verifier.checker.__main__ import main
from verifier.checker.combined import read_combined
from verifier.checker.errors import CheckError
from verifier.combining.combine import combine, whole_of
from verifier.combining.members import read_claims
from verifier.statistics.sampling import Blocks, Box
from verifier.statistics.strata import Cell

F = Fraction


def network(folder: Path, factor: float = 1.0) -> Path:
    """y = factor (max(0, a) + max(0, b)) of two inputs."""
    composer = Composer()
    x = composer.input("x", (2,))
    relu = composer.add(ops.Relu(), x)
    y = composer.add(ops.ReduceSum((0,), True), relu)
    y = composer.add(ops.Mul(), y, composer.constant(np.array([factor], dtype=np.float32)))
    path = folder / f"sum{factor}.onnx"
    path.write_bytes(write_onnx(composer.build([x], [y])))
    return path


def query(low: tuple, up: tuple, bound: str = "3", relation: str = ">=") -> str:
    lines = ["(declare-const X_0 Real)", "(declare-const X_1 Real)", "(declare-const Y_0 Real)"]
    for i, (l, u) in enumerate(zip(low, up)):
        lines += [f"(assert (>= X_{i} {l}))", f"(assert (<= X_{i} {u}))"]
    return "\n".join([*lines, f"(assert ({relation} Y_0 {bound}))"]) + "\n"


def proof(folder: Path, name: str, text: str, model: Path) -> Path:
    (folder / f"{name}.vnnlib").write_text(text)
    target = folder / f"{name}.nncert"
    report = certify(model, folder / f"{name}.vnnlib", certificate=target, timeout=30)
    assert report.verdict == "certified"
    return target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Proofs that y < 3 on the left, on the right, and on the right but for a billionth; the honest statement."""
    folder = tmp_path_factory.mktemp("combined")
    model = network(folder)
    proof(folder, "left", query((0, 0), (0.5, 1)), model)
    proof(folder, "right", query((0.5, 0), (1, 1)), model)
    proof(folder, "short", query(("0.500000001", 0), (1, 1)), model)
    proof(folder, "other", query((0.5, 0), (1, 1)), network(folder, 0.5))
    proof(folder, "looser", query((0.5, 0), (1, 1), "4"), model)
    proof(folder, "tighter", query((0.5, 0), (1, 1), "2.5"), model)
    claims = read_claims([folder / "left.nncert", folder / "right.nncert"], None)
    combine(claims, whole_of(claims, None), folder / "honest.nncombined", None, False, {})
    return folder


@pytest.fixture
def honest(folder: Path) -> bytes:
    return (folder / "honest.nncombined").read_bytes()


def judged(tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, *more: str) -> dict[str, Any]:
    file = tmp_path / "judged.nncombined"
    file.write_bytes(data)
    code = main([str(file), "--json", "--workers", "1", *more])
    answer = json.loads(capsys.readouterr().out)
    assert code == (0 if answer["accepted"] else 2 if "error" in answer else 1)
    return answer


def changed(data: bytes, **changes: Any) -> bytes:
    parts = members(data)
    return packed({**parts, "combined.json": json.dumps({**json.loads(parts["combined.json"]), **changes}).encode()})


def exchanged(data: bytes, folder: Path, name: str) -> bytes:
    """With another certificate in place of the second."""
    import hashlib

    content = (folder / f"{name}.nncert").read_bytes()
    parts = {**members(data), "1.nncert": content, "1.vnnlib": (folder / f"{name}.vnnlib").read_bytes()}
    stated = json.loads(parts["combined.json"])["members"]
    stated[1]["sha256"] = hashlib.sha256(content).hexdigest()
    return changed(packed(parts), members=stated)


def test_what_is_honest_is_accepted(honest: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ((), ("--exact",)):
        answer = judged(tmp_path, capsys, honest, *more)
        assert answer["accepted"], answer
        assert answer["kind"] == "proof"
        assert answer["reason"] == "2 accepted certificates cover the inputs of the query in 2 cells"


def test_a_whole_that_is_larger_or_asks_for_more_is_not_covered(
    honest: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def whole(text: str) -> dict[str, Any]:
        return judged(tmp_path, capsys, packed({**members(honest), "query.vnnlib": text.encode()}))

    assert whole(query((0, 0), (1, 1)))["accepted"]
    assert whole(query((0, 0.25), (1, 1)))["accepted"]
    assert whole(query((0, 0), (1, 1), "3", ">"))["accepted"]  # at most 3 follows from less than 3
    assert whole(query((0, 0), (1, 1), "3.5"))["accepted"]
    assert whole(query((0, 0), (1, 1)) + "(assert (>= Y_0 1))\n")["accepted"]  # a violation has to do more
    for text in (
        query((0, 0), ("1.000000001", 1)),
        query(("-0.000000001", 0), (1, 1)),
        query((0, 0), (1, 1), "2.999999999"),
        query((0, 0), (1, 1), "3", "<="),
        query((0, 0), (1, 1)).replace("(>= Y_0 3)", "(or (>= Y_0 3) (>= Y_0 2.5))"),
    ):
        answer = whole(text)
        assert not answer["accepted"], text
        assert "error" not in answer


def test_a_gap_of_a_billionth_is_one(
    honest: bytes, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = exchanged(honest, folder, "short")
    for at in ("1/2", "0.500000001", "0.5000000005"):
        answer = judged(tmp_path, capsys, changed(short, covers=[[[0, at], 0, 1]]))
        assert not answer["accepted"]
        assert "a cell is not in" in answer["reason"]
    gapless = packed({**members(short), "query.vnnlib": query(("0.500000001", 0), (1, 1)).encode()})
    assert judged(tmp_path, capsys, changed(gapless, covers=[[1]]))["accepted"]


def test_members_about_something_else(
    honest: bytes, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judged(tmp_path, capsys, exchanged(honest, folder, "tighter"))["accepted"]
    loose = judged(tmp_path, capsys, exchanged(honest, folder, "looser"))
    assert "1.nncert, or is not proved there" in loose["reason"]
    other = judged(tmp_path, capsys, exchanged(honest, folder, "other"))
    assert other["error"] == "1.nncert is about another model (SHA-256 differs)"


@pytest.mark.parametrize(
    "covers",
    [
        [[0]],
        [[1]],
        [[[0, "1/2"], 1, 0]],
        [[[0, "1/2"], 0, 0]],
        [[[0, "1/2"], 0]],
        [[[0, "1/2"], 0, 1, 1]],
        [[]],
        [],
        [[[0, "3/2"], 0, 1]],
        [[[2, "1/2"], 0, 1]],
        [[[0, "1/0"], 0, 1]],
        [[[0, 0.5], 0, 1]],
        [[[True, "1/2"], 0, 1]],
        [[[0, "1/2"], False, True]],
        [[[0, "1/2"], 0, -1]],
        [[[0, "1/2"], 0, 2]],
        [[[0, "1/2"], 0, None]],
        [[[0, "1/2", 1], 0, 1]],
        [[[0, "nan"], 0, 1]],
        [[[0, "1e3"], 0, 1]],
        ["01"],
        [[[0, "1/2"], "0", "1"]],
    ],
    ids=str,
)
def test_no_other_cover_is_accepted(
    honest: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], covers: list
) -> None:
    assert not judged(tmp_path, capsys, changed(honest, covers=covers))["accepted"]


def test_cases_have_the_covers_that_are_stated(
    honest: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for cases in ([], [1], [0, 0], [-1], [None], [0.0], "0"):
        assert not judged(tmp_path, capsys, changed(honest, cases=cases))["accepted"]


def refusal(data: bytes) -> str:
    with pytest.raises(CheckError) as error:
        read_combined(data)
    return str(error.value)


def test_the_archive_has_exactly_what_it_lists(honest: bytes) -> None:
    parts = members(honest)
    stated = json.loads(parts["combined.json"])
    assert "other members than it lists" in refusal(packed({**parts, "extra.txt": b""}))
    assert "other members" in refusal(packed({**parts, "../0.nncert": b""}))
    assert "not in the archive" in refusal(packed({k: v for k, v in parts.items() if k != "1.nncert"}))
    for name in ("../1.nncert", "/etc/passwd", "1.nncombined", "01.nncert", "1.nncert ", "2.nncert", "1.nnwitness"):
        other = [stated["members"][0], {**stated["members"][1], "file": name}]
        renamed = {**{k: v for k, v in parts.items() if k != "1.nncert"}, name: parts["1.nncert"]}
        assert "member 1 is called" in refusal(changed(packed(renamed), members=other))
    swapped = [stated["members"][0], {**stated["members"][1], "sha256": "0" * 64}]
    assert "does not have the hash" in refusal(changed(honest, members=swapped))
    twice = [stated["members"][0], {**stated["members"][0], "file": "1.nncert"}]
    doubled = {**parts, "1.nncert": parts["0.nncert"], "1.vnnlib": parts["0.vnnlib"]}
    assert "stands twice" in refusal(changed(packed(doubled), members=twice))
    for changes in ({"members": []}, {"members": {}}, {"members": [1]}, {"version": 2}, {"version": True}):
        refusal(changed(honest, **changes))
    for changes in ({"semantics": "float"}, {"format": "nncert"}, {"model": {}}, {"model": {"sha256": 1, "path": ""}}):
        refusal(changed(honest, **changes))
    assert "exactly the keys" in refusal(changed(honest, more=1))


def test_a_key_or_a_member_that_stands_twice_is_refused(honest: bytes) -> None:
    parts = members(honest)
    text = parts["combined.json"].decode()
    double = text.replace('"version": 1', '"version": 1, "version": 1')
    assert "twice" in refusal(packed({**parts, "combined.json": double.encode()}))
    buffer = io.BytesIO(honest)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("0.nncert", parts["0.nncert"])
    assert "not a combined statement" in refusal(buffer.getvalue())


def test_what_unpacks_to_more_than_it_is_is_refused(honest: bytes) -> None:
    parts = members(honest)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**parts, "query.vnnlib": b" " * (1 << 24)}.items():
            archive.writestr(name, content)
    assert "larger than the file" in refusal(buffer.getvalue())
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content, zipfile.ZIP_DEFLATED if name == "query.vnnlib" else zipfile.ZIP_STORED)
    assert "compressed" in refusal(buffer.getvalue()) or "larger" in refusal(buffer.getvalue())
    for cut in (0, 10, len(honest) // 2, len(honest) - 5):
        refusal(honest[:cut])


def test_a_witness_and_a_combination_are_no_members(
    honest: bytes, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import hashlib

    parts = members(honest)
    for content in (honest, b"", b"PK"):
        stated = json.loads(parts["combined.json"])["members"]
        stated[1]["sha256"] = hashlib.sha256(content).hexdigest()
        answer = judged(tmp_path, capsys, changed(packed({**parts, "1.nncert": content}), members=stated))
        assert "error" in answer


def test_a_question_beside_a_member_is_the_one_it_is_about(
    honest: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    larger = query((0.5, 0), (2, 1)).encode()
    answer = judged(tmp_path, capsys, packed({**members(honest), "1.vnnlib": larger}))
    assert answer["error"] == "1.nncert is about another query than the one beside it"


def test_a_proof_that_was_changed_is_none(
    honest: bytes, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bits of the manifest, the query and the second proof, turned over one at a time."""
    rng = np.random.default_rng(6)
    original = members(honest)
    for name in ("combined.json", "query.vnnlib", "1.nncert", "1.vnnlib"):
        for place in rng.integers(0, 8 * len(original[name]), 12):
            content = bytearray(original[name])
            content[place // 8] ^= 1 << (place % 8)
            answer = judged(tmp_path, capsys, packed({**original, name: bytes(content)}))
            if answer["accepted"]:  # a claim or producer in other words, or white space
                assert name in ("combined.json", "query.vnnlib")
                assert answer["reason"].startswith("2 accepted certificates")


def rate(folder: Path, name: str, low: tuple, up: tuple, seed: int, **options: Any) -> Path:
    """A bound of how often the disc around (1, 1) is hit under the uniform law on a box."""
    own = folder / name
    own.mkdir()
    target, _ = written(own, make(sampler=Box(low, up), seed=seed, **options))
    return target


def stated(text: str) -> float:
    """The bound in a sentence."""
    return float(text.partition("Pr[fails] <= ")[2].split()[0])


def test_proofs_and_rates_add_up(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The left half is proved, the right one sampled in two boxes of 3/8 and 1/8 of the square."""
    lower = rate(tmp_path, "lower", (0.5, 0.0), (1.0, 0.75), 11)
    upper = rate(tmp_path, "upper", (0.5, 0.75), (1.0, 1.0), 12, confidence=F(95, 100), queries=120)
    claims = read_claims([folder / "left.nncert", lower, upper], None)
    found = combine(claims, whole_of(claims, None), tmp_path / "mixed.nncombined", None, False, {})
    assert found.verdict == "statistical"
    shares = [claim.sampled.boxes[0][1] for claim in claims.all[1:] if claim.sampled is not None]
    total = float(shares[0] * F(3, 8) + shares[1] * F(1, 8))
    truth = math.pi / 64  # of the square, which is a quarter of the disc
    assert total >= truth
    assert total <= stated(found.sentence) <= total * 1.0001
    assert "at confidence 47/50" in found.sentence  # 1 - 0.01 - 0.05
    assert "rests on: an input fails where 'disc.py:judge'" in found.sentence
    data = (tmp_path / "mixed.nncombined").read_bytes()
    answer = judged(tmp_path, capsys, data)
    assert answer["accepted"]
    assert answer["kind"] == "statistical"
    larger = packed({**members(data), "query.vnnlib": query((0, 0), (1, "1.5")).encode()})
    assert not judged(tmp_path, capsys, larger)["accepted"]
    half = packed({**members(data), "query.vnnlib": query((0, 0), (1, "0.875")).encode()})
    smaller = judged(tmp_path, capsys, half)
    assert smaller["accepted"]  # the same bad volume is a larger share of a smaller box
    assert total / 0.875 <= stated(smaller["reason"]) <= total / 0.875 * 1.0001


def test_cells_of_a_stratified_statement_are_proved_instead_of_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its certified cell is left to a certificate; its sampled ones have their shares of the error."""
    lower, upper = Box((0.5, 0.0), (1.0, 0.75)), Box((0.5, 0.75), (1.0, 1.0))
    cells = (
        Cell(F(3, 8), "sampled", lower.lower, lower.upper, 80, F(1, 4)),
        Cell(F(1, 2), "certified", evidence="sha256:of the left half"),
        Cell(F(1, 8), "sampled", upper.lower, upper.upper, 120, F(3, 4)),
    )
    plan = make(sampler=Blocks((80, 120), (lower, upper)), method="stratified", cells=cells, confidence=F(9, 10))
    file, statement = written(tmp_path, plan)
    claims = read_claims([folder / "left.nncert", file], None)
    found = combine(claims, whole_of(claims, None), tmp_path / "mixed.nncombined", None, False, {})
    assert found.verdict == "statistical"
    assert stated(found.sentence) == pytest.approx(float(statement.bounds.upper), rel=1e-5)
    assert stated(found.sentence) >= math.pi / 64
    assert "at confidence 9/10" in found.sentence
    assert "of the left half" not in found.sentence
    short = read_claims([folder / "tighter.nncert", file], None)
    assert combine(short, whole_of(claims, None), tmp_path / "none.nncombined", None, False, {}).gap


def test_rates_under_other_laws_or_of_other_events_are_refused(folder: Path, tmp_path: Path) -> None:
    from specs.errors import CertifyError

    first = rate(tmp_path, "first", (0.5, 0.0), (1.0, 1.0), 1)
    other = rate(tmp_path, "other", (0.5, 0.0), (1.0, 0.5), 2, below=F(1, 100))
    with pytest.raises(CertifyError, match="another event"):
        read_claims([folder / "left.nncert", first, other], None)
    shifted = rate(tmp_path, "shifted", (0.5, 0.0), (1.0, 1.0), 3, method="domination", kappa=F(2), nature="a law")
    with pytest.raises(CertifyError, match="uniform law on a box"):
        read_claims([folder / "left.nncert", shifted], None)
    with pytest.raises(CertifyError, match="at least one certificate"):
        read_claims([first], None)


class Lenient:
    """Answers 1 to everything, of any size; goes by the name of the other one."""

    name, sha256 = Disc.name, Disc.sha256

    def ask(self, arguments: list, seconds: float) -> float:
        return 1.0


def test_a_rate_about_inputs_of_another_size_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether a cell is left to it or not."""
    import hashlib

    fitting = rate(tmp_path, "fitting", (0.5, 0.0), (1.0, 1.0), 11)
    claims = read_claims([folder / "left.nncert", fitting], None)
    combine(claims, whole_of(claims, None), tmp_path / "mixed.nncombined", None, False, {})
    honest = (tmp_path / "mixed.nncombined").read_bytes()
    stated = json.loads(members(honest)["combined.json"])["members"]
    for low, up in (((0.5,), (1.0,)), ((0.6,), (1.0,)), ((0.5, 0.0, 0.0), (1.0, 1.0, 1.0))):
        own = tmp_path / f"{len(low)}-{low[0]}"
        own.mkdir()
        content = written(own, make(sampler=Box(low, up)), overseer=Lenient())[0].read_bytes()
        entry = {"sha256": hashlib.sha256(content).hexdigest()}
        instead = packed({**members(honest), "1.nnstat": content})
        beside = packed({**members(honest), "2.nnstat": content})
        for data, of in (
            (changed(instead, members=[stated[0], {"file": "1.nnstat", **entry}]), 1),
            (changed(beside, members=[*stated, {"file": "2.nnstat", **entry}]), 2),
        ):
            assert judged(tmp_path, capsys, data)["reason"].startswith(f"{of}.nnstat draws {len(low)} numbers")


def test_a_part_that_is_never_drawn_from_is_refused(tmp_path: Path) -> None:
    """Behind the others it changes no draw, and no cell says what its bound is."""
    low, up = Box((0.5, 0.0), (1.0, 0.75)), Box((0.5, 0.75), (1.0, 1.0))
    cells = (Cell(F(1, 2), "sampled", low.lower, low.upper, 80, F(1)), Cell(F(1, 2), "open"))
    plan = make(sampler=Blocks((80,), (low,)), queries=80, method="stratified", cells=cells)
    file, _ = written(tmp_path, plan)

    def idle(lines: list) -> None:
        sampler = next(line["plan"]["sampler"] for line in lines if line["kind"] == "plan")
        sampler["counts"].append(0)
        sampler["parts"].append({"kind": "box", **{k: [v.hex() for v in getattr(up, k)] for k in ("lower", "upper")}})

    assert verdict(file.read_bytes()).accepted
    with pytest.raises(CheckError, match="parts belong to no cell"):
        verdict(forged(file.read_bytes(), idle))


def test_a_rate_that_was_chosen_among_several_says_so(folder: Path, tmp_path: Path) -> None:
    """So does one whose plan was made after some answers; and the whole is not claimed."""
    from verifier.statistics import statement as statements

    plans = [make(name, Box((0.5, 0.0), (1.0, 1.0)), seed=seed) for seed, name in enumerate(("first", "second"))]
    with asking(tmp_path / "l.jsonl", Disc()) as queries:
        for plan in plans:
            queries.run(plan, lambda x: [x], None)
    statements.write_statement(tmp_path / "second.nnstat", tmp_path / "l.jsonl", "second", None)
    claims = read_claims([folder / "left.nncert", tmp_path / "second.nnstat"], None)
    found = combine(claims, whole_of(claims, None), tmp_path / "mixed.nncombined", None, False, {})
    assert "the statement is one of 2 plans of the ledger, each with a confidence of its own" in found.sentence
    assert "were fixed without regard to the 200 answers before it" in found.sentence
    partial = "PROVED IN THE CELLS OF CERTIFICATES ONLY: FOR ALL X IN [0, 1]^2: -Y_0 + 3 > 0"
    assert partial in found.sentence
    assert found.checked is not None
    assert found.checked.claim == found.to_json()["claim"] == partial


IN_UNITS = """certify: "1.0"
name: units
models: {{f: {{path: {model}}}}}
inputs: {{x: {{shape: [2], box: {{lo: {low}, hi: {up}}}{more}}}}}
require:
  - {{id: small, assert: "f(x)[0] < 3"}}
"""


def test_what_is_drawn_and_what_is_proved_are_in_the_same_units(folder: Path, tmp_path: Path) -> None:
    """With ``normalize`` the draws of [0, 1] are what the network consumes as [-1, 1]: a cover of that is none."""
    from specs.errors import CertifyError
    from verifier.combining.question import whole_in

    drawn = rate(tmp_path, "drawn", (0.5, 0.0), (1.0, 1.0), 11)
    mixed = read_claims([folder / "left.nncert", drawn], None)
    proved = read_claims([folder / "left.nncert", folder / "right.nncert"], None)
    model = folder / "sum1.0.onnx"
    other, same = tmp_path / "other.yaml", tmp_path / "same.yaml"
    other.write_text(IN_UNITS.format(model=model, low=0.5, up=1, more=", normalize: {mean: 0.5, range: 0.5}"))
    same.write_text(IN_UNITS.format(model=model, low=0, up=1, more=""))
    with pytest.raises(CertifyError, match="with normalize these are different numbers"):
        whole_in(other, None, {}, "", mixed, False)
    whole, _ = whole_in(other, None, {}, "", proved, False)
    assert combine(proved, whole, tmp_path / "other.nncombined", None, False, {}).verdict == "certified"
    whole, _ = whole_in(same, None, {}, "", mixed, False)
    found = combine(mixed, whole, tmp_path / "same.nncombined", None, False, {})
    assert found.verdict == "statistical"
    assert "the numbers drawn are those that this network consumes, in its units" in found.sentence
