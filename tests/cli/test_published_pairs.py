"""Queries of ReluDiff (Paulsen, Wang and Wang, ICSE 2020): networks against their copies in float16."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli
from tests.cli.test_composed import write_spec
from verifier.checker.container import Certificate, read_evidence

pytestmark = pytest.mark.shared
SPEC = """models:
  a: {{path: {a}}}
  b: {{path: {b}}}
inputs:
  x: {{shape: [{size}], box: {{lo: [{lo}], hi: [{hi}]}}}}
require:
  - {{id: same, assert: "abs(a(x)[{k}] - b(x)[{k}]) <= {most}"}}
"""


@pytest.fixture
def reludiff(shared_dir: Path) -> Path:
    folder = shared_dir / "papers" / "reludiff2020"
    if not folder.is_dir():
        pytest.skip("needs the shared data of papers")
    return folder


def leaves(cli: Cli, folder: Path, spec: Path) -> int:
    """Of the accepted certificate: the words of trees over boxes that are leaves."""
    done = cli(spec, "--certificate", "same.nncert", "--timeout", "60", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    evidence = read_evidence((folder / "same.nncert").read_bytes())
    assert isinstance(evidence, Certificate)
    assert len(evidence.pairs) > 0
    return sum(int((chunk == 0).sum()) for chunk in evidence.chunks)


@pytest.mark.parametrize(("net", "number", "most_leaves"), [("acasxu_1_1", "3", 20), ("acasxu_3_3", "4", 20)])
def test_acas_xu_and_its_copy_in_half_precision(
    cli: Cli, tmp_path: Path, reludiff: Path, net: str, number: str, most_leaves: int
) -> None:
    """Without differences the first takes hundreds of leaves."""
    with (reludiff / "acasxu_queries.csv").open() as file:
        asked = next(q for q in csv.DictReader(file) if (q["net_f"], q["property"]) == (f"{net}.onnx", number))
    text = SPEC.format(
        a=reludiff / asked["net_f"],
        b=reludiff / asked["net_g"],
        size=5,
        lo=", ".join(asked[f"l{i}"] for i in range(5)),
        hi=", ".join(asked[f"u{i}"] for i in range(5)),
        k=asked["output"],
        most=asked["eps"],
    )
    assert leaves(cli, tmp_path, write_spec(tmp_path, text)) <= most_leaves


def test_a_digit_classifier_and_its_copy_in_half_precision(
    cli: Cli, tmp_path: Path, reludiff: Path, shared_dir: Path
) -> None:
    """The first global query, with a limit that is 20 times smaller: no box is split."""
    asked = np.load(reludiff / "mnist_queries.npz")
    images = np.load(shared_dir / "papers" / "mnist" / "mnist_test.npz")["X"]
    image = images[asked["test_index"][0]].reshape(-1).astype(int)
    low, up = np.maximum(image - 3, 0), np.minimum(image + 3, 255)
    text = SPEC.format(
        a=reludiff / "mnist_3_100.onnx",
        b=reludiff / "mnist_3_100_fp16.onnx",
        size=784,
        lo=", ".join(str(v / 255) for v in low.tolist()),
        hi=", ".join(str(v / 255) for v in up.tolist()),
        k=asked["target"][0],
        most=0.05,
    )
    assert leaves(cli, tmp_path, write_spec(tmp_path, text)) == 2
