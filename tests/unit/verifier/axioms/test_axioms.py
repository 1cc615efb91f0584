"""Overseers known by axioms: counts of queries against the optimum, dips, networks in front, and forged statements."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
import pytest

from specs.errors import CertificateError, SpecError
from specs.language.axioms.axioms import AxiomSet, with_axiom
from specs.language.axioms.spec import read_axiom_spec
from specs.language.expressions.expression import ExpressionFault, parse_expression
from verifier import api
from verifier.checker.axioms import read_axioms, verdict_on_axioms
from verifier.checker.errors import CheckError
from verifier.checking import run_checker

LIPSCHITZ = "abs(g(a) - g(b)) <= 1 * norm(a - b, inf)"
Ask = Callable[..., api.Report]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def run(body: str, *axioms: str, size: int = 1, condition: str = "g(x) >= 0", queries: int = 100) -> api.Report:
        (tmp_path / "lab.py").write_text(f"def measure(x):\n    return float({body})\n")
        listed = "".join(f"\n      - {json.dumps(axiom)}" for axiom in axioms or (LIPSCHITZ,))
        (tmp_path / "s.yaml").write_text(
            f'certify: "1.0"\nname: s\noverseers:\n  g:\n    python: "lab.py:measure"\n'
            f"    budget: {{queries: {queries}}}\n    axioms:{listed}\n"
            f"inputs: {{x: {{shape: [{size}], box: {{lo: 0, hi: 1}}}}}}\n"
            f'require:\n  - {{id: r, assert: "{condition}"}}\n'
        )
        return api.certify(None, tmp_path / "s.yaml", out=tmp_path / "out", timeout=50)

    return run


@pytest.mark.parametrize("margin", ["1/2", "1/8", "1/16"])
def test_a_constant_takes_no_fewer_queries_than_is_possible(ask: Ask, margin: str, tmp_path: Path) -> None:
    """An answer m makes safe an interval of the length 2 m."""
    optimum = ceil(1 / (2 * Fraction(margin)))
    (answer,) = ask(margin).requirements
    assert answer.verdict == "certified"
    assert optimum <= answer.answers <= 2.5 * optimum
    assert answer.claim_class == "exact"
    assert LIPSCHITZ in answer.sentence
    result = run_checker(answer.certificate.path, None, None, False, {})
    assert result.accepted
    assert result.exact


def test_a_threshold_moves_what_is_enough(ask: Ask) -> None:
    """g = 5/8 is at least 1/2 by 1/8: four intervals of the length 1/4."""
    (answer,) = ask("0.625", condition="g(x) >= 0.5").requirements
    assert answer.verdict == "certified"
    assert 4 <= answer.answers <= 10


def test_a_narrow_dip_is_found_and_its_witness_accepted(ask: Ask) -> None:
    (answer,) = ask("min(0.5, abs(x[0] - 0.37) - 0.004)", "abs(g(a) - g(b)) <= 1.001 * norm(a - b, inf)").requirements
    assert answer.verdict == "violated"
    assert answer.answers <= 10
    assert abs(answer.point[0] - 0.37) < 0.004
    assert answer.value == min(0.5, abs(answer.point[0] - 0.37) - 0.004) < 0
    assert run_checker(answer.witness, None, None, False, {}).accepted


def test_the_budget_is_hard_and_a_later_run_goes_on(ask: Ask) -> None:
    (first,) = ask("0.0625", queries=3).requirements
    assert (first.verdict, first.answers) == ("unknown", 3)
    assert first.value < 0
    (again,) = ask("0.0625", queries=3).requirements
    assert (again.verdict, again.asked, again.answers) == ("unknown", 0, 3)


def test_answers_against_the_axioms_prove_nothing(ask: Ask) -> None:
    (answer,) = ask("0.25 if x[0] > 0.4 else 0.9").requirements
    assert answer.verdict == "unknown"
    assert "contradict" in answer.reason


def test_an_overseer_that_fails_to_answer_proves_nothing(ask: Ask) -> None:
    (answer,) = ask("1 / 0").requirements
    assert answer.verdict == "unknown"
    assert "ZeroDivisionError" in answer.reason


def test_monotony_saves_queries(ask: Ask) -> None:
    (answer,) = ask(
        "0.25", LIPSCHITZ, "implies(a[0] <= b[0] and a[1] == b[1], g(a) <= g(b))", "g(a) >= -1", size=2
    ).requirements
    assert answer.verdict == "certified"
    assert 2 <= answer.answers <= 5  # four squares of side 1/2 without it, two strips with it


# --- forgeries --------------------------------------------------------------------------------------------------------


def changed(source: Path, target: Path, change: Callable[[dict], None]) -> Path:
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["axioms.json"])
    change(manifest)
    members["axioms.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


FORGERIES: dict[str, Callable[[dict], None]] = {
    "a weaker slope": lambda m: m["axioms"].update(lipschitz="2"),
    "a higher threshold": lambda m: m.update(threshold="1/100"),
    "a wider box": lambda m: m.update(upper=["3"]),
    "all space": lambda m: m.update(lower=[None], upper=[None]),
    "one answer for all": lambda m: m.update(cover=[0]),
    "the range": lambda m: m.update(cover=[-1]),
    "nothing there": lambda m: m.update(cover=["empty"]),
    "a cover that ends early": lambda m: m.update(cover=m["cover"][:-1]),
    "a cover that goes on": lambda m: m.update(cover=[*m["cover"], 0]),
    "an answer that is not there": lambda m: m.update(cover=[10_000]),
    "a cut elsewhere": lambda m: m.update(cover=[[0, "2"], *m["cover"]]),
    "strictly": lambda m: m.update(strict=True),
    "another coordinate": lambda m: m["axioms"].update(increasing=[1]),
    "a ledger cut off": lambda m: m["ledger"].update(lines=m["ledger"]["lines"] - 1),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_statement_is_refused(ask: Ask, name: str, tmp_path: Path) -> None:
    """The answers are 1/8 on a grid that just covers the box, as far as the constant's own proof goes."""
    (answer,) = ask("0.125").requirements
    bad = changed(answer.certificate.path, tmp_path / "bad.nnaxioms", FORGERIES[name])
    try:
        accepted = run_checker(bad, None, None, False, {}).accepted
    except CertificateError:
        accepted = False
    assert not accepted


@pytest.mark.parametrize("value", [None, -1, 10**40, "x", "1/0", [], {}, [[]], True, 1.5, {"lower": 3, "upper": [1]}])
def test_a_stranger_is_told_and_nothing_breaks(ask: Ask, value: object, tmp_path: Path) -> None:
    (answer,) = ask("0.5").requirements
    good = answer.certificate.path
    with zipfile.ZipFile(good) as archive:
        manifest = json.loads(archive.read("axioms.json"))
    places = [*((key,) for key in manifest), *(("axioms", key) for key in manifest["axioms"])]
    for place in places:

        def change(found: dict, place: tuple = place) -> None:
            (found[place[0]] if len(place) > 1 else found)[place[-1]] = value

        bad = changed(good, tmp_path / "bad.nnaxioms", change)
        data = bad.read_bytes()
        try:
            evidence = read_axioms(data)
            accepted = verdict_on_axioms(evidence, None).accepted
        except CheckError:
            continue
        before = (manifest[place[0]] if len(place) > 1 else manifest)[place[-1]]
        assert not accepted or value == before or place == ("claim",)


def test_a_statement_is_bound_to_its_specification_and_overseer(ask: Ask, tmp_path: Path) -> None:
    (answer,) = ask("0.5").requirements
    good, spec = answer.certificate.path, tmp_path / "s.yaml"
    assert run_checker(good, None, spec, False, {}).accepted
    text = spec.read_text()
    spec.write_text(text.replace("g(x) >= 0", "g(x) >= 0.1"))
    with pytest.raises(CertificateError, match="not the specification"):
        run_checker(good, None, spec, False, {})
    spec.write_text(text)
    (tmp_path / "lab.py").write_text("def measure(x):\n    return 0.25\n")
    with pytest.raises(CertificateError, match="not the overseer"):
        run_checker(good, None, spec, False, {})


def test_a_changed_answer_breaks_the_ledger(ask: Ask, tmp_path: Path) -> None:
    (answer,) = ask("0.125").requirements
    with zipfile.ZipFile(answer.certificate.path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["ledger.jsonl"] = members["ledger.jsonl"].replace((0.125).hex().encode(), (0.5).hex().encode(), 1)
    bad = tmp_path / "bad.nnaxioms"
    with zipfile.ZipFile(bad, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(CertificateError, match="chain of hashes"):
        run_checker(bad, None, None, False, {})


# --- reading ----------------------------------------------------------------------------------------------------------

READ = [
    ("abs(g(a) - g(b)) <= 2 * norm(a - b, 1)", {"lipschitz": 2, "norm": "1"}),
    ("abs(g(p) - g(q)) <= norm(q - p, inf) * 0.5", {"lipschitz": Fraction(1, 2)}),
    ("implies(a[0] == b[0] and b[1] >= a[1], g(b) <= g(a))", {"decreasing": {1}}),
    ("implies(a[0] <= b[0] and a[1] == b[1], g(b) >= g(a))", {"increasing": {0}}),
    ("-1 <= g(a) <= 1", {"lower": -1, "upper": 1}),
    ("g(a) <= 3", {"upper": 3}),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_axioms_are_read(text: str, expected: dict) -> None:
    found = with_axiom(AxiomSet(2), parse_expression(text), "g")
    assert {key: getattr(found, key) for key in expected} == expected


@pytest.mark.parametrize(
    "text",
    [
        "abs(g(a) - g(a)) <= 1 * norm(a - a, inf)",
        "abs(g(a) - g(b)) <= 1 * norm(a - c, inf)",
        "abs(g(a) - g(b)) < 1 * norm(a - b, inf)",
        "abs(g(a) - h(b)) <= 1 * norm(a - b, inf)",
        "implies(a[0] <= b[0], g(a) <= g(b))",
        "implies(a[0] <= b[0] and a[0] == b[0], g(a) <= g(b))",
        "implies(a[0] <= b[0] and a[1] <= b[1], g(a) <= g(b))",
        "g(a) == 0",
        "g(a) <= g(b)",
        "g(a) > 0",
    ],
)
def test_what_is_no_axiom_is_refused(text: str) -> None:
    with pytest.raises(ExpressionFault):
        with_axiom(AxiomSet(2), parse_expression(text), "g")


def test_faults_have_places(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        'certify: "1.0"\nname: s\noverseers:\n  g:\n    python: "lab.py:measure"\n    budget: {queries: 3}\n'
        '    axioms: ["g(a) <= 1", "g(a) == 2"]\ninputs: {x: {shape: [1], box: {lo: 0, hi: 1}}}\n'
        'require:\n  - {id: r, assert: "g(x) + g(x) >= 0"}\n'
    )
    with pytest.raises(SpecError) as caught:
        read_axiom_spec(tmp_path / "s.yaml", None, {}, lambda file: None)
    told = str(caught.value)
    assert ":7:28: overseers.g.axioms[1]: this is no axiom about g" in told
    assert ":10:" in told
    assert "only g(x) >= c" in told
    assert "no FILE.py:FUNCTION of a file that is there" in told
    assert "neither a Lipschitz constant nor a lower bound" in told


# --- a network in front -----------------------------------------------------------------------------------------------


def test_cells_leave_out_nothing() -> None:
    from relaxations.smt.axioms import Axioms, Known
    from verifier.axioms.cells import partition

    rng = np.random.default_rng(3)
    axioms = Axioms(2, Fraction(2), increasing=frozenset([0]))
    known = [
        Known((Fraction(float(a)), Fraction(float(b))), Fraction(int(v), 8))
        for a, b, v in zip(*rng.uniform(-1, 1, (2, 12)), rng.integers(-2, 5, 12))
    ]
    cells = partition(axioms, known, False)
    assert cells is not None
    for x in rng.uniform(-3, 3, (2000, 2)):
        point = tuple(Fraction(float(v)) for v in x)
        least = axioms.least(known, point)
        covered = any(
            all(l is None or l <= v for l, v in zip(low, point)) and all(u is None or v <= u for u, v in zip(up, point))
            for low, up in cells.empty
        )
        assert covered or (least is not None and least >= 0)
