"""Twelve specifications that use all of the language: what is there is read, what is not yet there is said."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from specs.errors import SpecError
from specs.graph import Graph
from specs.joint import JointSet
from specs.language.axioms.spec import read_axiom_spec
from specs.language.chains.spec import read_chain_spec
from specs.language.load_spec import load_spec
from specs.language.polynomials.spec import is_polynomial_spec, read_polynomial_spec
from specs.language.rates.spec import read_statistical_spec
from specs.language.rates.surrogates import read_surrogates
from specs.language.rates.trained import adjusted
from specs.language.spec import Spec
from tests.soundness.deciding import CheckerHere
from tests.unit.specs.compose.modules import dense, random_dense, write
from verifier.api import certify

FOLDER = Path(__file__).parent / "twelve"
FILES = sorted(FOLDER.glob("*.yaml"))

MISSING = {
    "01": ["20:29: emit[2]: the artefact junit"],
    "02": ["22:33: engine.methods[3]: options of a method", "24:37: emit[3]: the artefact vnnlib"],
    "03": ["32:60: emit[4]: the artefact sarif"],
    "04": ["17:1: distill"],
    "07": ["15:1: sweep"],
    "09": ["18:10: adversary.moves:", "23:1: policy"],
    "12": ["7:46: models.gen.recall", "17:1: incremental and policy"],
}


def read(path: Path, **networks: Graph) -> Spec:
    return load_spec(path, Path("given.onnx"), load=lambda file, **options: networks[file.stem])


def test_there_are_twelve() -> None:
    assert [path.name[:2] for path in FILES] == [f"{k:02}" for k in range(1, 13)]
    assert is_polynomial_spec(FILES[7])
    assert [one.id for one in read_polynomial_spec(FILES[7], {}).questions] == ["roa"]


@pytest.mark.parametrize("path", [path for path in FILES if path.name[:2] in MISSING], ids=lambda path: path.stem)
def test_one_message_names_every_feature_that_is_missing(path: Path) -> None:
    parameters = {"eps": "0.02"} if "$eps" in path.read_text() else {}
    with pytest.raises(SpecError) as caught:
        load_spec(path, Path("given.onnx"), parameters)
    lines = [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
    assert all(re.fullmatch(r"\d+:\d+: .* not supported (here )?yet(;.*)?", line) for line in lines), lines
    for expected in MISSING[path.name[:2]]:
        assert any(line.startswith(f"{expected} ") for line in lines), (expected, lines)


def test_a_chain(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_chain_spec(FILES[4], {})
    assert all(line.endswith(" not supported yet") for line in str(caught.value).splitlines())
    assert "chain.steps[0].distill is not supported yet" in str(caught.value)
    assert "require[0].solve_for is not supported yet" in str(caught.value)
    (tmp_path / "core.py").write_text("def pairwise_max(a, b):\n    return max(a, b)\n")
    path = without(
        FILES[4],
        tmp_path,
        (r"distill: \{[^}]*\}", "model: m.onnx"),
        (r"^    solve_for: [^\n]*\n", ""),
        (r"<= E", "<= 0.7"),
        (r"^gate[^\n]*\n", ""),
    )
    chain = read_chain_spec(path, {})
    assert [step.id for step in chain.steps] == ["M1", "M2", "M3"]
    assert [float(error) for error in chain.errors().values()] == [0.3, 0.6, 1.0]
    assert chain.joint
    assert chain.outside() is None


def test_an_overseer_known_by_axioms(tmp_path: Path) -> None:
    (tmp_path / "lab.py").write_text("def measure(y): ...\n")
    path = without(FILES[10], tmp_path)
    spec = read_axiom_spec(path, Path("given.onnx"), {}, lambda file: random_dense(np.random.default_rng(6), 2, 4, 2))
    assert (spec.queries, spec.target, spec.axioms.lipschitz, spec.axioms.norm) == (200, "target", 1, "inf")
    assert (spec.axioms.increasing, spec.axioms.decreasing) == ({0}, frozenset())
    assert (spec.axioms.lower, spec.axioms.upper) == (-1, 1)
    (question,) = spec.questions
    assert (question.threshold, question.strict, question.through) == (0, False, True)


def test_a_program_that_can_only_be_asked(tmp_path: Path) -> None:
    (tmp_path / "panel.py").write_text("def judge(x, y): ...\n")
    networks = {"given": random_dense(np.random.default_rng(8), 10, 4)}
    load = lambda file: networks[file.stem]  # noqa: E731
    with pytest.raises(SpecError, match=r"34:5: require\[0\].adversarial is not supported yet"):
        read_statistical_spec(FILES[9], Path("given.onnx"), {}, load)
    path = without(FILES[9], tmp_path, (r"^    adversarial[^\n]*\n", ""))
    (learning,) = read_surrogates(path, Path("given.onnx"), {}, load)
    assert (learning.name, learning.program.name, learning.text) == ("panel_hat", "panel", "panel_hat(x, y)")
    assert (learning.arch, learning.queries) == ((14, 64, 64, 1), 1200)
    assert learning.select == ("random", "disagreement", "attack-guided")
    networks["panel_hat"] = random_dense(np.random.default_rng(9), 14, 64, 64, 1)
    trained = {"panel_hat": tmp_path / "panel_hat.onnx"}
    (question,) = read_statistical_spec(path, Path("given.onnx"), {}, load, trained).questions
    assert (question.text, question.terms.queries, question.terms.max_rate) == (
        "panel(x, y) < 0",
        800,
        Fraction(1, 100),
    )
    assert question.program is not None
    assert question.program.ledger == tmp_path / ".certify" / "panel.sqlite"
    assert question.program.budget.unit_cost * 2000 == 800
    assert [name for name, _ in question.models] == ["model target"]
    loaded = load_spec(path, Path("given.onnx"), load=load, adjust=adjusted(trained))
    (requirement,) = loaded.requirements
    assert requirement.output_names == ("panel_hat(x, y)[0]",)
    assert requirement.solved is not None
    assert (requirement.solved.maximize, requirement.solved.effect) == (True, "harder")
    assert any("panel itself" in line for line in loaded.does_not_say)


def without(path: Path, tmp_path: Path, *changes: tuple[str, str]) -> Path:
    """The specification with what is not there yet taken out, or made into what is there."""
    text = path.read_text()
    for pattern, instead in changes:
        assert re.search(pattern, text, re.DOTALL | re.MULTILINE), pattern
        text = re.sub(pattern, instead, text, flags=re.DOTALL | re.MULTILINE)
    target = tmp_path / path.name
    target.write_text(text)
    return target


def test_a_point_of_a_data_set(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 17, (8, 1, 8, 8)) / 16
    with (tmp_path / "digits-test").open("wb") as file:
        np.savez(file, images=data, labels=np.arange(8))
    path = without(FILES[0], tmp_path, (", junit", ""), (r", arch: \{.*?\]\}", ""))
    (requirement,) = read(path, given=random_dense(np.random.default_rng(1), 64, 3, 10)).requirements
    assert len(requirement.problem.cases) == 9


def test_advice_of_a_collision_avoidance_system(tmp_path: Path) -> None:
    path = without(FILES[1], tmp_path, (r", \{bab[^\n]*\]$", "]"), (", vnnlib", ""))
    loaded = read(path, given=random_dense(np.random.default_rng(2), 5, 4, 5))
    assert not loaded.composed
    assert loaded.inputs[0].is_normalized


def test_a_learned_overseer_that_reads_internals(tmp_path: Path) -> None:
    names = ", ".join(["debt", "income", "age", "years_employed", *(f"f{k}" for k in range(8))])
    path = without(
        FILES[2],
        tmp_path,
        (r"box: \{.*?\}", f"box: {{lo: 0, hi: 100}}\n    names: [{names}]"),
        (r", extrapolation, sarif", ""),
        (r", sha256: \"0+\"", ""),
    )
    rng = np.random.default_rng(3)
    networks = {"given": random_dense(rng, 12, 5, 4, 2), "overseer": random_dense(rng, 18, 5, 2)}
    np.savez(tmp_path / "train.npz", inputs=rng.uniform(0, 100, (20, 12)))
    (rare,) = read_statistical_spec(path, Path("given.onnx"), {}, lambda file: networks[file.stem]).questions
    assert (rare.id, rare.rows.shape, rare.program) == ("few-benign", (20, 12), None)
    (requirement,) = read(path, **networks).requirements
    assert requirement.output_names == ("judge(x, y, tap(target, plan)(x)).malign",)
    (case,) = requirement.problem.cases
    assert len([row for row in case.any_of if not row.y]) == 2  # the two conditions on applicants


def test_a_fast_network_and_a_slow_one(tmp_path: Path) -> None:
    path = without(
        FILES[3],
        tmp_path,
        (r"^distill.*?(?=^engine)", ""),
        (r"\{differential: [^}]*\}\}, ", ""),
        (", model]", "]"),
    )
    rng = np.random.default_rng(4)
    loaded = read(path, given=random_dense(rng, 6, 4, 2), slow_overseer=random_dense(rng, 6, 8, 2))
    gap, one_sided = loaded.requirements
    assert gap.output_names == ("fast(x)[0]", "fast(x)[1]", "slow(x)[0]", "slow(x)[1]")
    assert len(gap.problem.cases) == 4
    assert one_sided.output_names == ("fast(x)[0]", "slow(x)[0]")
    assert gap.solved is not None
    assert (gap.solved.value, gap.solved.effect, gap.solved.rate) == (1, "easier", 1)
    assert loaded.gates.at_most == {("gap", "tol"): Fraction(1, 10)}


def digits(folder: Path) -> None:
    rng = np.random.default_rng(9)
    for name, count in (("train", 60), ("test", 50)):
        with (folder / f"digits-{name}").open("wb") as file:
            np.savez(file, images=rng.integers(0, 17, (count, 64)) / 16, labels=np.arange(count) % 10)


def scaled(rng: np.random.Generator, *layers: tuple[int, int, float]) -> Graph:
    return dense(*((np.round(rng.normal(size=(n, m)) * s * 64) / 64, np.zeros(m)) for n, m, s in layers))


def test_an_adversary_inside_a_network(tmp_path: Path) -> None:
    """The file as it is: 50 cases of each requirement, and the one that counts a probe as well."""
    digits(tmp_path)
    rng = np.random.default_rng(10)
    networks = {
        "given": scaled(rng, (64, 8, 0.2), (8, 64, 0.4), (64, 10, 0.1)), "deception_probe": scaled(rng, (64, 1, 0.02))
    }  # fmt: skip
    loaded = read(without(FILES[5], tmp_path), **networks)
    plain, more = loaded.requirements
    assert (plain.id, more.id, more.expands) == ("no-latent-catastrophe", "no-latent-catastrophe+", plain.id)
    assert [len(one.problem.cases) for one in loaded.requirements] == [50, 100]
    ball = more.problem.cases[0].ball
    assert ball is not None
    assert (set(ball.center[64:]), ball.bound) == ({Fraction(0)}, Fraction(4, 25))
    assert "probe(tap(target, h2)(x))[0]" in more.output_names
    assert loaded.engine.methods == ("pgd", "crown", "lp", "sdp")
    assert loaded.rounding is not None
    assert (loaded.rounding.steps, loaded.rounding.restarts) == (500, 20)


@pytest.mark.parametrize(("size", "verdict"), [(0.02, "certified"), (1.0, "violated")])
def test_an_adversary_inside_a_network_is_answered(tmp_path: Path, size: float, verdict: str) -> None:
    """With three of the examples; what is found is no input's state: the set of inputs is these examples."""
    digits(tmp_path)
    rng = np.random.default_rng(11)
    network = scaled(rng, (64, 8, 0.2), (8, 64, 0.4), (64, 10, size))
    model = write(tmp_path / "m.onnx", network)
    with np.load(tmp_path / "digits-test") as file:
        clean = [network.evaluate_flat(x) for x in file["images"][:3]]
    limit = max(float(y[3] - y[8]) for y in clean) + (0.5 if verdict == "certified" else 0.05)
    write(tmp_path / "deception_probe.onnx", scaled(rng, (64, 1, 0.02)))
    path = without(FILES[5], tmp_path, ("take: 50", "take: 3"), ("C <= 4.0", f"C <= {limit:.3f}"))
    report = certify(model, path, workers=1, timeout=60, out=tmp_path, start_checker=CheckerHere.start)
    for answer in report.requirements:
        assert answer.verdict == verdict, answer
        assert (answer.realised is not None) == (verdict == "violated")
    if verdict == "violated":
        assert "NOT REALISED BY ANY INPUT TRIED" in report.requirements[0].sentence


def test_coverage_and_its_monitor(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", inputs=np.random.default_rng(6).uniform(size=(50, 20)))
    path = without(FILES[8], tmp_path, (r"^adversary.*?(?=^monitor)", ""), (r"^policy[^\n]*\n", ""))
    loaded = read(path, given=random_dense(np.random.default_rng(7), 20, 6, 5, 2))
    anywhere, restricted = loaded.requirements
    assert len(anywhere.problem.cases[0].any_of) == 1
    assert len(restricted.problem.cases[0].any_of) == 1 + 2 * (6 + 5)
    assert loaded.monitor is not None
    assert loaded.monitor.requirement == "on-exercised-paths"


def test_a_release(tmp_path: Path) -> None:
    path = without(
        FILES[11],
        tmp_path,
        (r", recall: \{.*?\}", ""),
        (r"^incremental.*?(?=^gate)", ""),
        (r"^  regression[^\n]*\n", ""),
        (r"\{differential: [^}]*\}\}, ", ""),
        (", junit, sarif, baseline", ""),
    )
    rng = np.random.default_rng(5)
    networks = {
        "given": random_dense(rng, 6, 4, 3), "v12": random_dense(rng, 6, 4, 3), "decoder": random_dense(rng, 3, 4, 6)
    }  # fmt: skip
    loaded = read(path, **networks)
    top1, monotone, steep, manifold = loaded.requirements
    assert {name: one.problem.graph.input_size for name, one in zip("tmlg", loaded.requirements)} == {
        "t": 7, "m": 7, "l": 7, "g": 3
    }  # fmt: skip
    assert isinstance(monotone.inputs, JointSet)
    assert monotone.inputs.places == ((0, 1, 2, 3, 4, 5), (6, 1, 2, 3, 4, 5))
    assert steep.solved is not None
    assert (steep.solved.upper, steep.solved.effect, steep.solved.rate) == (None, "easier", 1)
    assert manifold.output_names == ("target(gen(z))[0]",)
    assert len(top1.output_names) == 6
