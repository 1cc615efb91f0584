"""Made-up certificates of false claims: whatever tree they carry, they are refused, soon and in little memory."""

from __future__ import annotations

import random
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.checker.phase_words import chunk, proof, random_tree
from tests.conftest import REPOSITORY
from tests.soundness.certificates import Parts, false_questions, zipped
from tests.soundness.seeds import BASE_SEED, seeds
from tests.strategies import Question, question
from verifier.checker.__main__ import make_checker
from verifier.checker.check import Checker
from verifier.checker.container import Certificate, Source
from verifier.checker.errors import CheckError

pytest.importorskip("onnx")

LEAF, CLIP, REF, PHASES, SPLIT = 0, 1, 2, 3, 16
SECONDS, MEGABYTES = 20, 1500  # for one certificate in a process of its own
NOTHING = Source("", "", None)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Question, Checker, bytes, bytes]]:
    folder = tmp_path_factory.mktemp("false")
    found = []
    for q in false_questions(20):
        model, query = (file.read_bytes() for file in q.write(folder))
        found.append((q, make_checker(model, query), model, query))
    return found


def accepted(checker: Checker, *chunks: list[int]) -> bool:
    words = tuple(np.array(chunk, dtype=np.uint16) for chunk in chunks)
    try:
        return checker.check(Certificate(NOTHING, NOTHING, 1, words, ""), None).accepted
    except CheckError:
        return False


def random_box_tree(rng: random.Random, inputs: int, depth: int) -> list[int]:
    """Each place is split with probability 0.9 until ``depth``; clips anywhere."""
    clip = [CLIP] * (rng.random() < 0.4)
    if depth == 0 or rng.random() < 0.1:
        return [*clip, LEAF]
    here = [*clip, SPLIT + rng.randrange(inputs)]
    return here + random_box_tree(rng, inputs, depth - 1) + random_box_tree(rng, inputs, depth - 1)


def test_random_trees(asked: list[tuple[Question, Checker, bytes, bytes]]) -> None:
    rng = random.Random(f"{BASE_SEED}-fabricated")
    for q, checker, _, _ in asked:
        for depth in (0, 1, 3, 5, 7, 9):
            assert not accepted(checker, random_box_tree(rng, q.net.inputs, depth)), (q.seed, depth)


def test_trees_that_chase_the_violation(asked: list[tuple[Question, Checker, bytes, bytes]]) -> None:
    """Chains of splits and clips, to where halving a box no longer changes it."""
    for q, checker, _, _ in asked:
        for chain in ([SPLIT], [CLIP], [SPLIT, CLIP], [SPLIT + q.net.inputs - 1, CLIP, CLIP]):
            splits = [word for word in chain * 80 if word >= SPLIT]
            assert not accepted(checker, [*chain * 80, LEAF, *[LEAF] * len(splits)]), (q.seed, chain)
    right_deep = [SPLIT, LEAF] * 80
    for q, checker, _, _ in asked[:5]:
        assert not accepted(checker, [*right_deep, LEAF]), q.seed


def test_phase_trees_with_made_up_hints(asked: list[tuple[Question, Checker, bytes, bytes]]) -> None:
    """Any frames, slopes, weights and multipliers, on splits that repeat and contradict each other."""
    rng = random.Random(f"{BASE_SEED}-phases")
    for q, checker, _, _ in asked:
        for depth in (0, 1, 2, 4, 6) * 4:
            chunks = [random_tree(rng, checker, depth, empties=rng.choice((0.0, 0.2, 1.0))) for _ in range(2)]
            whole, halves = [PHASES, 0, 1], [SPLIT + rng.randrange(q.net.inputs), PHASES, 0, 1, PHASES, 0, 2]
            assert not accepted(checker, whole, chunks[0]), (q.seed, depth)
            assert not accepted(checker, halves, *chunks), (q.seed, depth)


def test_phase_trees_with_made_up_hints_prove_what_is_plain(tmp_path: Path) -> None:
    """The hints above are good enough for easy questions, so that the test above means something."""
    rng, proved = random.Random(f"{BASE_SEED}-plain"), 0
    for seed in seeds(40, stream=4):
        q = question(seed, placement="far")
        model, query = (file.read_bytes() for file in q.write(tmp_path))
        checker = make_checker(model, query)
        found = [accepted(checker, [PHASES, 0, 1], random_tree(rng, checker, depth)) for depth in (0, 0, 1, 1, 2)]
        assert q.holds or not any(found), seed
        proved += any(found)
    assert proved >= 5


def test_references_to_nothing_and_in_circles(asked: list[tuple[Question, Checker, bytes, bytes]]) -> None:
    for _, checker, _, _ in asked:
        itself, missing = [REF, 0, 1], [REF, 0, 9]
        assert not accepted(checker, [REF, 0, 0])
        assert not accepted(checker, itself)
        assert not accepted(checker, itself, itself)
        assert not accepted(checker, missing, [LEAF])
        assert not accepted(checker, [REF, 0xFFFF, 0xFFFF], [LEAF])
        assert not accepted(checker, itself, [REF, 0, 2], itself)
        assert not accepted(checker, itself, [CLIP, REF, 0, 2], [CLIP, REF, 0, 1])
        assert not accepted(checker, *([REF, 0, k + 1] for k in range(200)), [LEAF])


BOMBS = {
    "itself twice": [[REF, 0, 1], [SPLIT, REF, 0, 1, REF, 0, 1]],
    "the next one twice": [[REF, 0, 1], *([SPLIT, REF, 0, k, REF, 0, k] for k in range(2, 62)), [LEAF]],
    "the next one twice, clipped": [[REF, 0, 1], *([SPLIT, CLIP, REF, 0, k, REF, 0, k] for k in range(2, 62)), [LEAF]],
    "a thousand times the next one": [
        [REF, 0, 1], *([*[SPLIT] * 999, *[REF, 0, k] * 1000] for k in range(2, 40)), [LEAF],
    ],
    "clips": [[CLIP] * 4_000 + [LEAF]],
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_small_certificates_that_ask_for_much_work(
    asked: list[tuple[Question, Checker, bytes, bytes]], tmp_path: Path, bomb: str
) -> None:
    """The work a certificate may ask for is in proportion to its size, not exponential in it."""
    _, _, model, query = asked[0]
    parts = Parts(MANIFEST, BOMBS[bomb], model, query)
    assert refused(parts.to_bytes(), tmp_path)


PHASE_BOMBS = {
    "deep": [1, 0, *[3, 0, 0] * 1_000_000],
    "wide": [1, 0, *[3, 0, 0] * 1500, *([4] * 1500)],
    "columns": [1, 0, 1, 0xFFFF, *[0, 0] * 0xFFFF, 0, 4],
    "frames": [1, 0, *[1, 0, 0] * 3000, 4],
    "proofs": chunk([0], proof(0, [1] * 3) * 500, [4]),
}


@pytest.mark.parametrize("bomb", PHASE_BOMBS)
def test_small_phase_trees_that_ask_for_much_work(
    asked: list[tuple[Question, Checker, bytes, bytes]], tmp_path: Path, bomb: str
) -> None:
    _, _, model, query = asked[0]
    assert refused(Parts(MANIFEST, [[PHASES, 0, 1], PHASE_BOMBS[bomb]], model, query).to_bytes(), tmp_path)


def test_these_files_would_be_read_if_they_told_the_truth(tmp_path: Path) -> None:
    """What is refused above is refused for its trees: the same archive with a plain claim and a leaf is accepted."""
    q = next(q for q in map(question, seeds(100, stream=4)) if q.holds and q.placement == "far" and not q.rows[0].x)
    model, query = (file.read_bytes() for file in q.write(tmp_path))
    words = next(tree for tree in ([[LEAF]], [[SPLIT, LEAF, LEAF]]) if accepted(make_checker(model, query), *tree))
    assert not refused(Parts(MANIFEST, words, model, query).to_bytes(), tmp_path)


@pytest.mark.parametrize("words", [1 << 20, 1 << 26, 1 << 29])
def test_a_certificate_that_unpacks_to_much(
    asked: list[tuple[Question, Checker, bytes, bytes]], tmp_path: Path, words: int
) -> None:
    """A megabyte of zlib data can hold a gigabyte of leaves: too many, or a tree that goes on after its end."""
    _, _, model, query = asked[0]
    members = Parts({**MANIFEST}, [[LEAF]], model, query).members()
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    trees = b"".join(packer.compress(block) for _ in range(2 * words >> 20)) + packer.flush()
    stated = members["manifest.json"].replace(b'"chunks": [1]', b'"chunks": [%d]' % words)
    assert stated != members["manifest.json"]
    assert refused(zipped({**members, "manifest.json": stated, "trees.bin": trees}), tmp_path)


MANIFEST = {
    "format": "nncert",
    "version": 7,
    "semantics": "real",
    "model": {"path": ""},
    "query": {"path": ""},
    "cases": 1,
    "pairs": [],
    "claim": "made up",
    "producer": {},
}


def refused(certificate: bytes, folder: Path, *options: str) -> bool:
    """Whether the checker's command line, short of time and memory, answers with "rejected" or an error in one line."""
    file = folder / "made-up.nncert"
    file.write_bytes(certificate)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({MEGABYTES << 20},) * 2)"
    program = f"{limit}; from verifier.checker.__main__ import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, str(file), "--workers", "1", *options]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ran.stderr == "", ran.stderr[-500:]
    return ran.returncode in (1, 2)
