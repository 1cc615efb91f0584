"""One claim that is false, or true, for each rule of the checker: a rule left out lets it through."""

import hashlib
import io
import json
import zipfile

import pytest

from tests.checker.sos_files import archive, below_zero, packed, square_proof
from verifier.checker.errors import CheckError
from verifier.checker.sos import verdict_on_polynomials
from verifier.checker.sos_format import read_evidence

X, Y = [[0, 1]], [[1, 1]]


def case(strict=(), weak=(), zero=()):
    return {"strict": list(strict), "weak": list(weak), "zero": list(zero)}


def judged(cases, proofs, box=(("-1", "1"),), **manifest):
    problem = {"variables": ["x"] * len(box), "box": [list(b) for b in box], "cases": cases}
    return verdict_on_polynomials(read_evidence(archive(problem, {"cases": proofs}, manifest or None))).accepted


def proof(positive=(("1", ()),), squares=(), multipliers=(), centre=("0",), scale=("1",)):
    return {
        "centre": list(centre),
        "scale": list(scale),
        "positive": [[w, list(f)] for w, f in positive],
        "squares": list(squares),
        "multipliers": list(multipliers),
    }


def square(*factors, gram=((1,),), basis=((),), denominator=1):
    return {
        "factors": [list(f) for f in factors],
        "basis": [[list(p) for p in m] for m in basis],
        "gram": [list(r) for r in gram],
        "denominator": denominator,
    }


@pytest.mark.parametrize("positive", [(), (("0", ()),), (("0", ()), ("0", ())), (("-1", ()),), (("1", ()), ("-1", ()))])
def test_nothing_is_no_proof_of_anything(positive):
    assert not judged([case()], [proof(positive)])  # R = 0; every point is in a case without conditions


def test_every_square_has_to_be_one():
    bad = square(gram=((-1,),))
    assert not judged([case()], [proof(squares=[bad])])
    assert not judged([case()], [proof(squares=[square(gram=((0,),)), bad])])


def test_a_negative_denominator_is_refused():
    with pytest.raises(CheckError, match="denominator"):
        judged([case()], [proof(squares=[square(denominator=-1)])])


@pytest.mark.parametrize("rest", ["1/10000000", f"1/{10**60}"])
def test_no_rest_is_small_enough(rest):
    assert not judged([case([[[rest, []]]])], [proof([("1", (0,))])])
    assert judged([case([[["-" + rest, []]]])], [proof([("1", (0,))])])


def test_every_case_needs_its_proof():
    empty, full = case([[["-1", []]]]), case([[["1", []]]])
    one = proof([("1", (0,))])
    assert judged([empty, empty], [one, one])
    for cases in ([empty, full], [full, empty], [empty, full, empty]):
        assert not judged(cases, [one] * len(cases))


@pytest.mark.parametrize(
    ("side", "strict", "true"),
    [
        ("lower", [["-1", X], ["2", []]], True),  # 2 - x > 0 ... on [2, 3] false: + (x - 2) = 0
        ("upper", [["1", X], ["-3", []]], True),  # x - 3 > 0 on [2, 3] false: + (3 - x) = 0
        ("lower", [["1", X], ["-2", []]], False),
        ("upper", [["-1", X], ["3", []]], False),
        ("lower", [["-1", X], ["5/2", []]], False),
        ("upper", [["1", X], ["-5/2", []]], False),
    ],
)
@pytest.mark.parametrize(("centre", "scale"), [("0", "1"), ("5/2", "1/2"), ("2", "3")])
def test_sides_of_the_box(side, strict, true, centre, scale):
    found = proof([("1", (0,))], [square((side, 0))], centre=(centre,), scale=(scale,))
    assert judged([case([strict])], [found], [("2", "3")]) == true


def test_weights_count_in_full():
    # p = 1 > 0 holds everywhere, q = -1 + ... : w p + q with w = 1/2 or 2 has another sign than p + q.
    conditions = case([[["1", []]], [["-3/2", []]]])
    assert not judged([conditions], [proof([("2", (0,)), ("1", (1,))])])
    assert judged([conditions], [proof([("1", (0,)), ("1", (1,))])])
    small = case([[["1", []]], [["-1", []]]])
    assert not judged([small], [proof([("1", (0,)), ("1/2", (1,))])])


@pytest.mark.parametrize("low_up", [("-3", "1"), ("-1", "3")])
@pytest.mark.parametrize(("centre", "scale"), [("0", "1"), ("0", "2"), ("1/2", "1"), ("7", "1"), ("-7", "1")])
@pytest.mark.parametrize("sign", ["", "-"])
def test_the_rest_is_judged_on_the_whole_box(low_up, centre, scale, sign):
    # +-x - 2 > 0 has a point if the side is 3; it has none if both conditions' largest value is at most 2
    longest = "3" if (low_up == ("-1", "3")) != (sign == "-") else "1"
    found = proof([("1", (0,))], centre=(centre,), scale=(scale,))
    accepted = judged([case([[[sign + "1", X], ["-2", []]]])], [found], [low_up])
    assert not (accepted and longest == "3")


@pytest.mark.parametrize(
    ("monomial", "even"), [([[0, 1], [1, 1]], False), ([[0, 2], [1, 1]], False), ([[0, 2], [1, 2]], True)]
)
def test_only_squares_are_never_negative(monomial, even):
    # - monomial > 0 on [-1, 1]^2
    found = proof([("1", (0,))], centre=("0", "0"), scale=("1", "1"))
    assert judged([case([[["-1", monomial]]])], [found], [("-1", "1")] * 2) == even


def test_powers_of_the_reach():
    # x^2 - 3 > 0 on [-2, 2], in t with x = t
    assert not judged([case([[["1", [[0, 2]]], ["-3", []]]])], [proof([("1", (0,))])], [("-2", "2")])
    assert judged([case([[["1", [[0, 2]]], ["-4", []]]])], [proof([("1", (0,))])], [("-2", "2")])


def test_each_condition_is_the_one_that_is_named():
    one, minus = [["1", []]], [["-1", []]]
    assert judged([case([one, minus])], [proof([("1", (1,))])])
    assert not judged([case([minus, one])], [proof([("1", (1,))])])
    assert judged([case(weak=[one, minus])], [proof(squares=[square(("weak", 1))])])
    assert not judged([case(weak=[minus, one])], [proof(squares=[square(("weak", 1))])])
    zero = [["1", X]], [["1", X], ["-1", []]]  # x = 0 and x = 1, by their numbers
    assert judged([case(zero=zero)], [proof(multipliers=[[1, [["1", []]]], [0, [["-1", []]]]])])
    assert not judged(
        [case([[["1", X]]], zero=zero[::-1][:1])], [proof([("1", (0,))], multipliers=[[0, [["-1", []]]]])]
    )
    assert not judged(
        [case([[["-1", X]]], zero=[[], [["1", X], ["1", []]]])], [proof([("1", (0,))], multipliers=[[1, [["1", []]]]])]
    )
    assert not judged([case(zero=[minus, [["0", []]]])], [proof(multipliers=[[1, [["1", []]]]])])
    # a weak condition is no strict one
    with pytest.raises(CheckError):
        judged([case(weak=[minus])], [proof([("1", (0,))])])
    with pytest.raises(CheckError):
        judged([case(strict=[minus])], [proof(squares=[square(("weak", 0))])])
    # strict factors stay strict ones where there are weak ones as well
    assert not judged([case([one], weak=[minus])], [proof(squares=[square(("strict", 0))])])


def test_powers_of_conditions():
    # p = -2: p > 0 is empty, but p^2 = 4 proves nothing, and 1 + p^2 is no contradiction
    p = [["-2", []]]
    assert not judged([case([p])], [proof([("1", (0, 0))])])
    assert not judged([case(weak=[p])], [proof(squares=[square(("weak", 0), ("weak", 0))])])
    assert judged([case([p])], [proof([("1", (0, 0, 0))])])


def test_entries_of_a_gram_matrix_that_meet_add_up():
    # z = (1, x, x^2): 1 + x^2 + x^4 - ... ; x^2 has the entries (2, 0) twice and (1, 1)
    gram, basis = ((1,), (0, 2), (1, 0, 1)), ((), ((0, 1),), ((0, 2),))
    p = [["-1", []], ["-4", [[0, 2]]], ["-1", [[0, 4]]]]
    assert judged([case([p])], [proof([("1", (0,))], [square(gram=gram, basis=basis)])])
    p = [["-1", []], ["-2", [[0, 2]]], ["-1", [[0, 4]]]]
    assert not judged([case([p])], [proof([("1", (0,))], [square(gram=gram, basis=basis)])], [("1", "2")])


def test_degrees_never_run_into_the_next_variable():
    # x^256 would be y: weak x^60 ... as factors; a square of basis x^60 twice and 4 factors x^34
    power = [["1", [[0, 34]]]]
    squares = [square(*[("weak", 0)] * 4, gram=((1,),), basis=(((0, 60),),))]
    found = proof([("1", ())], squares, centre=("0", "0"), scale=("1", "1"))
    with pytest.raises(CheckError, match="degree"):
        judged([case(weak=[power])], [found], [("-1", "1")] * 2)
    with pytest.raises(CheckError, match="degree"):
        judged([case([power])], [proof([("1", (0,) * 8)], centre=("0", "0"), scale=("1", "1"))], [("-1", "1")] * 2)
    with pytest.raises(CheckError, match="degree"):
        judged(
            [case([[["1", [[0, 31], [1, 30]]]]])],
            [proof([("1", (0,))], centre=("0", "0"), scale=("1", "1"))],
            [("-1", "1")] * 2,
        )


def test_a_box_of_one_point():
    assert judged([case([[["1", X], ["-1/3", []]]])], [proof([("1", (0,))], centre=("1/3",))], [("1/3", "1/3")])


def test_a_boolean_is_no_number():
    with pytest.raises(CheckError):
        judged([case([[["-1", [[0, True]]]]])], [proof([("1", (0,))])], [("0", "1")])
    with pytest.raises(CheckError):
        judged([case([[["-1", []]]])], [proof([("1", (False,))])])


def members(problem, **more):
    data = json.dumps(problem).encode()
    manifest = {
        "format": "nnsoswitness",
        "version": 1,
        "semantics": "real",
        "problem": hashlib.sha256(data).hexdigest(),
        "question": {"requirement": "r", "parameters": {}},
        "claim": "",
        "producer": {},
        **more,
    }
    return {"manifest.json": json.dumps(manifest).encode(), "problem.json": data}


def seen(cases, point, number=0, box=(("0", "1"),)):
    problem = {"variables": ["x"], "box": [list(b) for b in box], "cases": cases}
    return verdict_on_polynomials(read_evidence(packed(members(problem, case=number, x=[point])))).accepted


def test_points():
    line = [["1", X], ["-1/2", []]]
    anything = case()
    assert [seen([anything], x) for x in ("-1/9", "0", "1", "10/9")] == [False, True, True, False]
    assert [seen([case([line])], x) for x in ("1/3", "1/2", "2/3")] == [False, False, True]
    assert [seen([case(weak=[line])], x) for x in ("1/3", "1/2", "2/3")] == [False, True, True]
    assert [seen([case(zero=[line])], x) for x in ("1/3", "1/2", "2/3")] == [False, True, False]
    assert [seen([case([line]), anything], "0", k) for k in (0, 1)] == [False, True]
    assert [seen([anything, case([line])], "0", k) for k in (0, 1)] == [True, False]


def test_a_witness_has_no_proof_and_no_member_twice():
    problem = {"variables": ["x"], "box": [["0", "1"]], "cases": [case()]}
    good = members(problem, case=0, x=["0"])
    with pytest.raises(CheckError):
        read_evidence(packed({**good, "proof.json": b"{}"}))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in good.items():
            file.writestr(name, data)
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("problem.json", good["problem.json"])
    with pytest.raises(CheckError):
        read_evidence(out.getvalue())


def test_words_for_a_terminal_hold_no_controls():
    read = read_evidence(archive(below_zero(), square_proof(), {"claim": "a\x1b[31m\nb\ud800"}))
    assert read.claim == "a?[31m?b?"


def test_the_checker_takes_no_model(tmp_path, capsys):
    from verifier.checker.__main__ import main

    file = tmp_path / "p.nncert"
    file.write_bytes(archive(below_zero(), square_proof()))
    assert main([str(file)]) == 0
    for option in ("--model", "--query"):
        assert main([str(file), option, str(file)]) == 2
