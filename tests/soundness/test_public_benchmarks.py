"""Public networks: samples never contradict a certificate, and a known violation is never proved away."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from bench.instances import Instance, find_instances
from relaxations.lowering import lower
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import read_vnnlib
from specs.loading import load_model
from specs.problem import Case, Problem
from tests.conftest import find_shared_dir
from tests.soundness.certificates import Parts
from tests.soundness.deciding import checker_of, decide_files, float_verdict
from tests.soundness.seeds import BASE_SEED
from verifier.checker.container import Certificate, Source, read_evidence
from verifier.checker.errors import CheckError
from verifier.engine.floats import float_rows

pytestmark = [pytest.mark.shared]
pytest.importorskip("onnxruntime")

SAMPLES, AT_ONCE, CORNERS = 100_000, 10_000, 4_096
SECONDS = 6.0
LEAF, CLIP, SPLIT = 0, 1, 16
PATTERNS = {  # what is certified within seconds; a dozen in all
    "acasxu": r"_(1_1|2_3|4_5|5_2|3_6)_batch_2000.onnx vnnlib/prop_[34]\.",
    "rl_benchmarks": r"unsafe_\d\.",
    "safenlp": r"medical",
}


def instances(expected: str, each: int, patterns: dict[str, str]) -> list[Instance]:
    shared = find_shared_dir()
    if shared is None:
        return []
    found = []
    for benchmark, pattern in patterns.items():
        if (shared / "benchmarks" / benchmark).is_dir():
            known = find_instances(shared / "benchmarks", [benchmark], pattern)
            found += [instance for instance in known if instance.expected == expected][:each]
    return found


def name(instance: Instance) -> str:
    return f"{Path(instance.model).stem}-{Path(instance.spec).stem}"


HOLDS = instances("unsat", 4, PATTERNS)
FAILS = instances("sat", 3, dict.fromkeys(PATTERNS, "."))


@pytest.mark.parametrize("instance", HOLDS, ids=name)
def test_samples_and_corners_stay_above_the_proved_margin(instance: Instance, tmp_path: Path) -> None:
    certificate = tmp_path / "proof.nncert"
    outcome = decide_files(instance.model_path, instance.spec_path, certificate, SECONDS)
    assert outcome.verdict != "violated"
    if outcome.verdict == "unknown":
        pytest.skip(f"not certified within {SECONDS} s: {outcome.reason}")
    assert float_verdict(checker_of(instance.model_path, instance.spec_path), certificate).accepted
    problem = problem_of(instance)
    rng = np.random.default_rng(BASE_SEED)
    for case in problem.cases:
        network = lower(problem.graph)
        rows = float_rows(case, network.input_size, len(network.output.bias))
        for points in samples(case, rng):
            outputs = network.evaluate(points)
            terms = (points @ rows.x.T, outputs @ rows.y.T, rows.constant)
            best = sum(terms).max(axis=1)
            size = 1 + np.abs(outputs).max()
            assert best.min() >= outcome.proved - 1e-9 * size
            assert best.min() > -1e-9 * size


def samples(case: Case, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Uniform points in batches, then corners: all of them, or random ones where there are too many."""
    low, up = (np.array([float(v) for v in side]) for side in (case.box.lower, case.box.upper))
    for _ in range(SAMPLES // AT_ONCE):
        yield rng.uniform(low, up, (AT_ONCE, len(low)))
    if 2 ** len(low) <= CORNERS:
        yield np.array(list(product(*zip(low, up))))
    else:
        yield np.where(rng.random((CORNERS, len(low))) < 0.5, low, up)


def problem_of(instance: Instance) -> Problem:
    return compile_vnnlib(read_vnnlib(instance.spec_path), load_model(instance.model_path))


@pytest.mark.parametrize("instance", FAILS, ids=name)
def test_no_made_up_tree_proves_what_is_known_to_fail(instance: Instance) -> None:
    checker = checker_of(instance.model_path, instance.spec_path)
    rng, count = random.Random(f"{BASE_SEED}-{name(instance)}"), len(checker.cases)
    nothing = Source("", "", None)
    for depth in (0, 2, 5, 8):
        words = [random_tree(rng, checker.bounder.network.sizes[0], depth) for _ in range(count)]
        chunks = tuple(np.array(tree, dtype=np.int64) for tree in words)
        assert not checker.check(Certificate(nothing, nothing, count, chunks, ""), None).accepted


def random_tree(rng: random.Random, inputs: int, depth: int) -> list[int]:
    clip = [CLIP] * (rng.random() < 0.4)
    if depth == 0:
        return [*clip, LEAF]
    halves = random_tree(rng, inputs, depth - 1) + random_tree(rng, inputs, depth - 1)
    return [*clip, SPLIT + rng.randrange(inputs), *halves]


@pytest.mark.parametrize("instance", [i for i in HOLDS if "_1_1_batch" in i.model], ids=name)
def test_tampered_proofs_of_aircraft_networks(instance: Instance, tmp_path: Path) -> None:
    """These need splits, so one leaf is no proof; and only a whole tree is read at all."""
    certificate = tmp_path / "proof.nncert"
    if decide_files(instance.model_path, instance.spec_path, certificate, SECONDS).verdict != "certified":
        pytest.skip("not certified in time")
    model, query = (path.read_bytes() for path in (instance.model_path, instance.spec_path))
    parts = Parts.of(certificate.read_bytes(), model, query)
    checker = checker_of(instance.model_path, instance.spec_path)

    def accepted(changed: Parts) -> bool:
        try:
            evidence = read_evidence(changed.to_bytes())
            assert isinstance(evidence, Certificate)
            return checker.check(evidence, None).accepted
        except CheckError:
            return False

    assert accepted(parts)
    rng = random.Random(BASE_SEED)
    assert not accepted(replace(parts, chunks=[[LEAF] for _ in parts.chunks]))
    assert not accepted(replace(parts, chunks=parts.chunks[1:]))
    for _ in range(40):
        number = rng.randrange(len(parts.chunks))
        words = parts.chunks[number]
        at = rng.randrange(len(words))
        assert not accepted(parts.with_chunk(number, words[:at])), "a tree that ends early"
        assert not accepted(parts.with_chunk(number, [*words, LEAF])), "a tree that goes on after its end"
        assert not accepted(parts.with_chunk(number, [*words[:at], 15, *words[at + 1 :]])), "a word without meaning"
