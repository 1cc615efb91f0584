"""Files about polynomials from strangers: whatever is not exactly of the format is refused, and in little time."""

from __future__ import annotations

import copy
import io
import json
import struct
import time
import tracemalloc
import zipfile
from typing import Any

import pytest

from tests.checker.sos_files import archive, below_zero, packed, square_proof
from verifier.checker.container import read_evidence as read_network_evidence
from verifier.checker.errors import CheckError
from verifier.checker.sos import verdict_on_polynomials
from verifier.checker.sos_format import is_about_polynomials, read_evidence


def accepted(data: bytes) -> bool:
    return verdict_on_polynomials(read_evidence(data)).accepted


def refused(data: bytes) -> bool:
    """Unreadable or rejected."""
    try:
        return not accepted(data)
    except CheckError:
        return True


def test_the_file_that_all_others_are_changes_of_is_accepted():
    assert accepted(archive(below_zero(), square_proof()))


@pytest.mark.parametrize(
    "manifest",
    [
        {"version": 2},
        {"version": True},
        {"version": 1.0},
        {"format": "nncert"},
        {"semantics": "float"},
        {"proof": "0" * 64},
        {"problem": "0" * 64},
        {"problem": 7},
        {"claim": None},
        {"extra": 1},
        {"question": {"requirement": 1, "parameters": {}}},
        {"question": {"requirement": "r", "parameters": []}},
        {"question": {"requirement": "r", "parameters": {"rho": 1}}},
        {"format": "nnsoswitness"},
    ],
)
def test_manifests(manifest):
    with pytest.raises(CheckError):
        read_evidence(archive(below_zero(), square_proof(), manifest))


PROBLEMS = {
    "a key too many": lambda p: p.update(more=1),
    "a key too few": lambda p: p.pop("box"),
    "no box": lambda p: p.update(box=[]),
    "an empty box": lambda p: p.update(box=[["1", "-1"]]),
    "a box of floats": lambda p: p.update(box=[[-1.0, 1.0]]),
    "a name that is none": lambda p: p.update(variables=[1]),
    "too many variables": lambda p: p.update(variables=["x"] * 600, box=[["0", "1"]] * 600),
    "division by zero": lambda p: p["cases"][0]["strict"][0].append(["1/0", []]),
    "a decimal": lambda p: p["cases"][0]["strict"][0].append(["0.5", []]),
    "not a number": lambda p: p["cases"][0]["strict"][0].append(["nan", []]),
    "an integer that is no text": lambda p: p["cases"][0]["strict"][0].append([1, []]),
    "a number too long": lambda p: p["cases"][0]["strict"][0].append(["1" * 1300, []]),
    "other digits": lambda p: p["cases"][0]["strict"][0].append(["١", []]),
    "a monomial twice": lambda p: p["cases"][0]["strict"][0].append(["1", [[0, 2]]]),
    "a variable out of range": lambda p: p["cases"][0]["strict"][0].append(["1", [[1, 1]]]),
    "a negative variable": lambda p: p["cases"][0]["strict"][0].append(["1", [[-1, 1]]]),
    "an exponent of 0": lambda p: p["cases"][0]["strict"][0].append(["1", [[0, 0]]]),
    "an exponent too large": lambda p: p["cases"][0]["strict"][0].append(["1", [[0, 61]]]),
    "a boolean exponent": lambda p: p["cases"][0]["strict"][0].append(["1", [[0, True]]]),
    "a variable twice in a monomial": lambda p: p["cases"][0]["strict"][0].append(["1", [[0, 1], [0, 3]]]),
    "a case that is no mapping": lambda p: p.update(cases=[[]]),
    "conditions that are no list": lambda p: p["cases"][0].update(strict={}),
    "more cases than proofs": lambda p: p["cases"].append(p["cases"][0]),
    "no cases, one proof": lambda p: p.update(cases=[]),
}


@pytest.mark.parametrize("edit", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_problems(edit):
    problem = below_zero()
    edit(problem)
    with pytest.raises(CheckError):
        read_evidence(archive(problem, square_proof()))


def in_proof(change: Any) -> Any:
    return lambda proof: change(proof["cases"][0])


def in_square(change: Any) -> Any:
    return lambda proof: change(proof["cases"][0]["squares"][0])


PROOFS = {
    "a key too many": in_proof(lambda p: p.update(more=1)),
    "no positive part": in_proof(lambda p: p.update(positive=[])),
    "a weight of 0": in_proof(lambda p: p.update(positive=[["0", [0]]])),
    "a negative weight": in_proof(lambda p: p.update(positive=[["-1", [0]], ["2", [0]]])),
    "a strict condition out of range": in_proof(lambda p: p.update(positive=[["1", [1]]])),
    "a strict condition by negative number": in_proof(lambda p: p.update(positive=[["1", [-1]]])),
    "a scale of 0": in_proof(lambda p: p.update(scale=["0"])),
    "a negative scale": in_proof(lambda p: p.update(scale=["-1"])),
    "too few centres": in_proof(lambda p: p.update(centre=[])),
    "a multiplier of no equation": in_proof(lambda p: p.update(multipliers=[[0, []]])),
    "no squares": in_proof(lambda p: p.update(squares=[])),
    "an equation as a factor": in_square(lambda s: s.update(factors=[["zero", 0]])),
    "a weak factor that is not there": in_square(lambda s: s.update(factors=[["weak", 0]])),
    "a side of no variable": in_square(lambda s: s.update(factors=[["lower", 1]])),
    "a factor that is no pair": in_square(lambda s: s.update(factors=[["lower"]])),
    "a factor of unhashable kind": in_square(lambda s: s.update(factors=[[["lower"], 0]])),
    "a factor too many": in_square(lambda s: s.update(factors=[["strict", 0]])),
    "a negative denominator": in_square(lambda s: s.update(denominator=-1)),
    "a denominator of 0": in_square(lambda s: s.update(denominator=0)),
    "a float": in_square(lambda s: s.update(gram=[[1.0], [-1, 1]])),
    "a boolean": in_square(lambda s: s.update(gram=[[True], [-1, 1]])),
    "a text": in_square(lambda s: s.update(gram=[["1"], [-1, 1]])),
    "a full matrix": in_square(lambda s: s.update(gram=[[1, -1], [-1, 1]])),
    "a row too few": in_square(lambda s: s.update(gram=[[1]])),
    "too wide an integer": in_square(lambda s: s.update(gram=[[1 << 5000], [0, 1]])),
    "not semidefinite": in_square(lambda s: s.update(gram=[[1], [-2, 1]])),
    "negative": in_square(lambda s: s.update(gram=[[1], [-1, -1]])),
    "too large": in_square(lambda s: s.update(gram=[[1], [-1, 2]])),
    "too small": in_square(lambda s: s.update(denominator=2)),
    "another basis": in_square(lambda s: s.update(basis=[[], [[0, 2]]])),
}


@pytest.mark.parametrize("edit", PROOFS.values(), ids=PROOFS.keys())
def test_proofs(edit):
    proof = square_proof()
    edit(proof)
    assert refused(archive(below_zero(), proof))


def test_other_archives():
    members = {"manifest.json": b"{}", "problem.json": b"{}", "proof.json": b"{}"}
    for hostile in (
        b"",
        b"PK\x03\x04",
        packed({"problem.json": b"{}"}),
        packed({**members, "more.json": b"{}"}),
        packed({**members, "manifest.json": b"[" * 100_000}),
        packed({**members, "manifest.json": b"1" * 5000}),
        packed({**members, "manifest.json": b"\xff\xfe"}),
        archive(below_zero(), square_proof(), compression=zipfile.ZIP_DEFLATED),
    ):
        with pytest.raises(CheckError):
            read_evidence(hostile)


def test_no_file_makes_the_test_for_this_kind_fail():
    assert not is_about_polynomials(b"")
    assert not is_about_polynomials(b"PK\x03\x04 nonsense")
    assert is_about_polynomials(archive(below_zero(), square_proof()))


def test_truncated_and_changed_bytes_never_crash():
    data = archive(below_zero(), square_proof())
    for end in range(0, len(data), 7):
        assert refused(data[:end])
    for position in range(0, len(data), 3):
        changed = bytearray(data)
        changed[position] ^= 0x55
        refused(bytes(changed))  # accepted or not: where nothing of the claim has changed it may be


@pytest.mark.parametrize("size", [300, 400])
def test_a_proof_that_asks_for_endless_arithmetic_is_cut_short(size):
    wide = (1 << 4000) + 1
    proof = square_proof()
    square = proof["cases"][0]["squares"][0]
    square["basis"] = [[[0, 1]]] * size
    square["gram"] = [[wide if i == j else 1 for j in range(i + 1)] for i in range(size)]
    started = time.monotonic()
    with pytest.raises(CheckError, match="arithmetic"):
        accepted(archive(below_zero(), proof))
    assert time.monotonic() - started < 20


def test_a_substitution_that_would_explode_is_cut_short():
    size = 60
    problem = {
        "variables": ["x"] * size,
        "box": [["0", "1"]] * size,
        "cases": [{"strict": [[["1", [[k, 1] for k in range(size)]]]], "weak": [], "zero": []}],
    }
    proof = {
        "centre": ["1/2"] * size,
        "scale": ["1/2"] * size,
        "positive": [["1", [0]]],
        "squares": [],
        "multipliers": [],
    }
    started = time.monotonic()
    with pytest.raises(CheckError):
        accepted(archive(problem, {"cases": [proof]}))
    assert time.monotonic() - started < 20


def test_denominators_without_end_are_refused():
    primes = [str(10**300 + k) for k in range(1, 400, 2)]
    problem = below_zero()
    problem["cases"][0]["strict"] = [[[f"1/{p}", [[0, k % 59 + 1]]] for k, p in enumerate(primes[:59])]]
    with pytest.raises(CheckError, match="denominator"):
        read_evidence(archive(problem, square_proof()))


def test_a_huge_rest_is_told_without_overflow():
    problem = copy.deepcopy(below_zero())
    problem["cases"][0]["strict"][0][0][0] = "1" + "0" * 1000
    verdict = verdict_on_polynomials(read_evidence(archive(problem, square_proof())))
    assert not verdict.accepted
    assert "1e300" in verdict.reason
    assert json.dumps(verdict.reason)


def many_terms(count: int, variables: tuple[int, int, int]) -> list[Any]:
    """So many different monomials with the coefficient 1."""
    powers = ((i, j, d - i - j) for d in range(61) for i in range(d + 1) for j in range(d - i + 1))
    return [["1", [[v, e] for v, e in zip(variables, p) if e]] for p, _ in zip(powers, range(count))]


def judged_quickly(cases: list[Any], changes: dict[str, Any], size: int = 3) -> str:
    """What is said of a proof with ``changes`` on the unit cube, within 20 s."""
    problem = {"variables": ["x"] * size, "box": [["0", "1"]] * size, "cases": cases}
    proof = {"centre": ["0"] * size, "scale": ["1"] * size, "positive": [["1", []]], "squares": [], "multipliers": []}
    data = archive(problem, {"cases": [{**proof, **changes}] * len(cases)})
    started = time.process_time()
    try:
        return verdict_on_polynomials(read_evidence(data)).reason
    except CheckError as error:
        return str(error)
    finally:
        assert time.process_time() - started < 20


def only(**conditions: list[Any]) -> dict[str, Any]:
    return {"strict": [], "weak": [], "zero": [], **conditions}


def test_multiplying_by_nothing_is_work_too():
    case = only(zero=[many_terms(30_000, (0, 1, 2))])
    assert "rest" in judged_quickly([case], {"multipliers": [[0, []]] * 5})
    assert "arithmetic" in judged_quickly([case], {"multipliers": [[0, []]] * 20_000})


def test_products_are_added_up_as_they_come_and_the_sum_is_capped():
    case = only(zero=[many_terms(1400, (506, 507, 508))])
    multiplier = many_terms(1400, (509, 510, 511))
    assert "500000 terms" in judged_quickly([case], {"multipliers": [[0, multiplier]] * 4}, size=512)
    small = {"zero": [many_terms(200, (506, 507, 508))]}
    tracemalloc.start()
    judged_quickly([only(**small)], {"multipliers": [[0, multiplier[:200]]] * 40}, size=512)
    assert tracemalloc.get_traced_memory()[1] < 100e6, "40,000 terms of one sum, not 1.6 million of 40 products"
    tracemalloc.stop()


def test_conditions_that_grow_when_they_are_moved_are_capped_together():
    power = [["1", [[0, 20], [1, 20], [2, 20]]]]
    assert "500000 terms" in judged_quickly([only(weak=[power] * 60)], {"centre": ["1"] * 3})


def test_finding_the_exponents_among_many_variables_is_work_too():
    terms = [["1", [[i, e], [j, 1]]] for i in range(480, 511) for j in range(i + 1, 512) for e in range(1, 60)]
    found = judged_quickly([only(strict=[terms[:5000]])] * 20, {}, size=512)
    assert "rest" in found or "arithmetic" in found


def test_coefficients_over_a_wide_denominator_are_not_reduced_for_free():
    wide = [f"1/{3**2500 + 2 * k}" for k in range(2)]
    case = only(weak=[[[wide[0], []], [wide[1], [[0, 1]]]]], zero=[many_terms(20_000, (0, 1, 2))])
    square = {"factors": [["weak", 0]] * 3, "basis": [[]], "gram": [[1]], "denominator": 1}
    assert "arithmetic" in judged_quickly([case], {"multipliers": [[0, [["1", []]]]], "squares": [square]})


def test_thousands_of_empty_squares_are_work_too():
    square = {"factors": [["lower", 0]] * 16, "basis": [], "gram": [], "denominator": 1}
    found = judged_quickly([only()], {"squares": [square] * 10_000})
    assert "rest" in found or "arithmetic" in found


SERIES = {
    "products": lambda k: (
        {"multipliers": [[0, many_terms(50, (0, 1, 2))]] * k},
        {"zero": [many_terms(1500, (0, 1, 2))]},
    ),
    "moved": lambda k: ({"centre": ["1/7"] * 3, "scale": ["1/3"] * 3}, {"strict": [many_terms(100, (0, 1, 2))] * k}),
    "reach": lambda k: ({"scale": ["1/3"] * 3, "positive": [["1", [0]]] * k}, {"strict": [many_terms(500, (0, 1, 2))]}),
    "elimination": lambda k: ({"squares": [square_of(10 * k)]}, {}),
}


def square_of(size: int) -> dict[str, Any]:
    gram = [[1000 if i == j else (i * j) % 7 for j in range(i + 1)] for i in range(size)]
    return {"factors": [], "basis": [[[0, 1]]] * size, "gram": gram, "denominator": 1}


@pytest.mark.slow
@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES.keys())
def test_a_file_that_just_fits_takes_less_than_20_seconds(series):
    """Doubled until it is refused, or the file is full: the last one that is judged has more than half of the work."""
    k, found = 1, "rest"
    while "rest" in found:
        changes, conditions = series(k)
        found = judged_quickly([only(**conditions)], changes)
        k *= 2
    assert "arithmetic" in found or "MiB" in found or "not a list" in found or "terms" in found, found


def test_members_and_numbers_of_entries_are_capped():
    with pytest.raises(CheckError, match="4 MiB"):
        read_evidence(packed({"manifest.json": b" " * (1 << 22) + b" ", "problem.json": b"{}", "proof.json": b"{}"}))


def at_offset(data: bytes, offset: int) -> bytes:
    """The archive whose first entry is said to start there (ZIP64)."""
    end = data.rfind(b"PK\x05\x06")
    start = int.from_bytes(data[end + 16 : end + 20], "little")
    directory, last = data[start:end], bytearray(data[end:])
    name = int.from_bytes(directory[28:30], "little")
    extra = struct.pack("<HHQ", 1, 8, offset)
    changed = bytearray(directory[: 46 + name] + extra + directory[46 + name :])
    changed[30:32] = struct.pack("<H", len(extra))
    changed[42:46] = b"\xff" * 4
    last[12:16] = struct.pack("<L", len(changed))
    return data[:start] + bytes(changed) + bytes(last)


@pytest.mark.parametrize("offset", [2**62, 2**63 - 1, 2**63, 2**64 - 1])
def test_entries_that_start_beyond_any_file(offset):
    data = at_offset(archive(below_zero(), square_proof()), offset)
    is_about_polynomials(data)
    with pytest.raises(CheckError):
        read_evidence(data)
    other = at_offset(packed({"manifest.json": b"{}"}), offset)
    with pytest.raises(CheckError):
        read_network_evidence(other)


@pytest.mark.parametrize(
    ("member", "old", "new"),
    [
        ("manifest.json", b'"version": 1', b'"version": 1, "version": 1'),
        ("manifest.json", b'"requirement": "r"', b'"requirement": "s", "requirement": "r"'),
        ("manifest.json", b'"producer": {}', b'"producer": {"a": "b", "a": "c"}'),
    ],
)
def test_a_key_that_stands_twice_is_refused(member, old, new):
    with zipfile.ZipFile(io.BytesIO(archive(below_zero(), square_proof()))) as file:
        members = {name: file.read(name) for name in file.namelist()}
    assert old in members[member]
    with pytest.raises(CheckError, match="twice"):
        read_evidence(packed({**members, member: members[member].replace(old, new)}))


@pytest.mark.parametrize(
    "manifest",
    [
        {"claim": 7},
        {"claim": ["a"]},
        {"claim": "a" * 100_001},
        {"producer": "me"},
        {"producer": {"certify": 1}},
        {"producer": {"certify": "a" * 5000}},
        {"producer": {str(k): "" for k in range(100)}},
        {"question": {"requirement": "r" * 5000, "parameters": {}}},
        {"question": {"requirement": "r", "parameters": {str(k): "" for k in range(100)}}},
    ],
)
def test_words_in_the_manifest_are_texts_and_not_too_long(manifest):
    with pytest.raises(CheckError, match="text"):
        read_evidence(archive(below_zero(), square_proof(), manifest))
