"""Equivalence of a network and its copy from the command line: certificates with pairs, and tampering with them."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli, write_network
from tests.cli.test_composed import write_spec
from tests.soundness.certificates import Parts
from verifier.checker.__main__ import make_checker
from verifier.checker.container import Certificate, read_evidence
from verifier.checker.errors import CheckError
from verifier.checker.exact_tree import audit

WIDTH = 12
SPEC = """models:
  a: {{path: a.onnx}}
  b: {{path: b.onnx}}
inputs:
  x: {{shape: [2], box: {{lo: -1, hi: 1}}}}
require:
  - {{id: same, assert: "abs(a(x)[0] - b(x)[0]) <= {most}"}}
"""


@pytest.fixture
def copies(tmp_path: Path) -> tuple[Path, float]:
    """A network of two hidden layers, its copy with weights in steps of 1/256, and how far a sample sees them apart."""
    rng = np.random.default_rng(5)
    sizes = (2, WIDTH, WIDTH, 1)
    layers = [
        (rng.normal(size=(before, after)) / np.sqrt(before), rng.normal(size=after) * 0.2)
        for before, after in pairwise(sizes)
    ]
    rounded = [(np.round(weight * 256) / 256, bias) for weight, bias in layers]
    x = rng.uniform(-1, 1, (20_000, 2))
    values = []
    for name, network in (("a", layers), ("b", rounded)):
        write_network(tmp_path / f"{name}.onnx", *((w.tolist(), b.tolist()) for w, b in network))
        y = x
        for k, (weight, bias) in enumerate(network):
            y = y @ weight + bias
            y = np.maximum(y, 0) if k < 2 else y
        values.append(y)
    return tmp_path, float(np.abs(values[0] - values[1]).max())


def test_a_copy_is_proved_to_be_one(cli: Cli, copies: tuple[Path, float]) -> None:
    folder, seen = copies
    most = round(3 * seen, 6)
    spec = write_spec(folder, SPEC.format(most=most))
    done = cli(spec, "--certificate", "same.nncert", "--timeout", "40", timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "certified: same" in done.stdout
    proof = (folder / "same.nncert").read_bytes()
    evidence = read_evidence(proof)
    assert isinstance(evidence, Certificate)
    assert evidence.pairs == ((0, 2), (1, 3))
    assert cli("check", "same.nncert", "--spec", spec).returncode == 0
    tampered(proof, str(most), str(seen / 2))


def tampered(proof: bytes, limit: str, too_small: str) -> None:
    """What is still accepted is proved again with rationals; a false claim is accepted with no list of pairs."""
    evidence = read_evidence(proof)
    assert isinstance(evidence, Certificate)
    model, query = evidence.model.embedded, evidence.query.embedded
    assert model is not None
    assert query is not None
    checker = make_checker(model, query)
    assert checker.check(evidence, None).accepted
    assert audit(checker, replace(evidence, chunks=evidence.chunks)).accepted
    assert not checker.check(replace(evidence, pairs=()), None).accepted, "without differences the leaves are too large"
    parts = Parts.of(proof, model, query)
    false = parts.query.decode().replace(limit, too_small)
    assert false != parts.query.decode()
    rng = random.Random(0)
    for _ in range(12):
        pairs = [rng.sample(range(4), 2) for _ in range(rng.randint(0, 2))]
        changed = replace(parts, manifest={**parts.manifest, "pairs": pairs})
        if accepted(changed):
            assert audit(checker, replace(evidence, pairs=tuple(map(tuple, pairs)))).accepted
        assert not accepted(replace(changed, query=false.encode())), "a sampled difference is larger"


def accepted(parts: Parts) -> bool:
    try:
        evidence = read_evidence(parts.to_bytes())
        assert isinstance(evidence, Certificate)
        return make_checker(parts.model, parts.query).check(evidence, None).accepted
    except CheckError:
        return False


def test_networks_that_are_not_copies_have_no_pairs(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in "ab":
        write_network(tmp_path / f"{name}.onnx", (rng.normal(size=(2, 5)).tolist(), [0.0] * 5), ([[0.1]] * 5, [0.0]))
    spec = write_spec(tmp_path, SPEC.format(most=20))
    assert cli(spec, "--certificate", "c.nncert").returncode == 0
    assert Parts.of((tmp_path / "c.nncert").read_bytes(), b"", b"").manifest["pairs"] == []
