"""Networks with signs decided end to end: no verdict contradicts what sampling shows, and all evidence is accepted."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.checker.models import model
from tests.oracle import Row
from tests.oracle.files import vnnlib_text
from tests.soundness.deciding import checker_of, decide_files, exact_verdict, float_verdict
from verifier.checker.__main__ import read_network
from verifier.checker.exact import evaluate

onnx_helper = pytest.importorskip("onnx.helper")
pytest.importorskip("onnxruntime")

SIDE = 41  # sampled points along each input, 0 among them
CONSTANT = np.array(0.1, dtype=np.float32)


def written(seed: int, folder: Path) -> tuple[Path, bytes]:
    """Two inputs, a layer of signs that are never 0, one of ReLUs, one of signs that may be 0, one output."""
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return (rng.integers(-8, 9, size=shape) / 4).astype(np.float32)

    n = onnx_helper.make_node
    nodes = [
        n("Gemm", ["x", "w1", "b1"], ["z1"]),
        n("Sign", ["z1"], ["s"]),
        n("Add", ["s", "c"], ["t"]),
        n("Sign", ["t"], ["s1"]),
        n("Gemm", ["s1", "w2", "b2"], ["z2"]),
        n("Relu", ["z2"], ["r"]),
        n("Gemm", ["r", "w3", "b3"], ["z3"]),
        n("Sign", ["z3"], ["s3"]),
        n("Concat", ["s3", "r", "x"], ["all"], axis=1),
        n("Gemm", ["all", "w4", "b4"], ["y"]),
    ]
    constants = {"w1": weights(2, 4), "b1": weights(4), "w2": weights(4, 3), "b2": weights(3), "w3": weights(3, 3)}
    constants |= {"b3": weights(3), "w4": weights(8, 1), "b4": weights(1), "c": CONSTANT}
    data = model(nodes, {"x": (1, 2)}, constants)
    path = folder / f"{seed}.onnx"
    path.write_bytes(data)
    return path, data


def sampled(data: bytes, box: list[tuple[Fraction, Fraction]]) -> Fraction:
    """The least output on a grid, in rational arithmetic."""
    network = read_network(data)
    axes = [[low + (up - low) * k / (SIDE - 1) for k in range(SIDE)] for low, up in box]
    return min(evaluate(network, [a, b])[0] for a in axes[0] for b in axes[1])


@pytest.mark.parametrize("group", range(4))
def test_no_verdict_is_wrong(group: int, tmp_path: Path) -> None:
    found: Counter[str] = Counter()
    for seed in range(10 * group, 10 * group + 10):
        rng = np.random.default_rng(seed)
        path, data = written(seed, tmp_path)
        width = Fraction(int(rng.choice([1, 4, 16])), 16)
        box = [(Fraction(int(a), 8) - width, Fraction(int(a), 8) + width) for a in rng.integers(-8, 9, 2)]
        least = sampled(data, box)
        above = Fraction(round(float(least) * 64), 64) + Fraction(int(rng.choice([-256, -16, -1, 1, 16])), 16)
        query = tmp_path / f"{seed}.vnnlib"
        query.write_text(vnnlib_text(*zip(*box, strict=True), 1, [Row((), ((0, Fraction(1)),), -above)]))
        certificate = tmp_path / f"{seed}.nncert"
        outcome = decide_files(path, query, certificate, seconds=0.7)
        found[outcome.verdict] += 1
        checker = checker_of(path, query)
        if outcome.verdict == "certified":
            assert least > above, f"seed {seed}: certified above {above}, but {least} is reached"
            assert float_verdict(checker, certificate).accepted
            assert exact_verdict(checker, certificate).accepted
        elif outcome.verdict == "violated":
            assert outcome.attack is not None
            assert evaluate(checker.bounder.network, list(outcome.attack.point))[0] <= above
            assert outcome.attack.path is not None
            assert float_verdict(checker, outcome.attack.path).accepted
        else:
            assert outcome.relaxed is not None
            assert outcome.relaxed.bound <= 1e-6
    assert found["certified"]
    assert found["violated"]
