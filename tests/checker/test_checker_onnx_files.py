"""The networks of the competition benchmarks: read as onnxruntime reads them, or refused with all reasons."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.checker.models import forward, run
from verifier.checker.errors import CheckError
from verifier.checker.onnx import read_network
from verifier.checker.onnx_operators import OPERATORS

pytestmark = [pytest.mark.shared, pytest.mark.peer]
DECIDED = (
    "acasxu",
    "cifar10_resnet",
    "cifar_biasfield",
    "collins_rul_cnn",
    "cora_mnist",
    "linearizenn",
    "malbeware",
    "marabou_cifar10",
    "mnist_fc",
    "oval21",
    "rl_benchmarks",
    "safenlp",
    "sat_relu",
    "sri_resnet_a",
    "test",
    "tllverifybench",
    "verivital",
)


def stored(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.mark.parametrize("benchmark", DECIDED)
def test_network_agrees_with_the_reference_runtime(shared_dir: Path, benchmark: str) -> None:
    paths = sorted((shared_dir / "benchmarks" / benchmark / "onnx").glob("*.onnx*"))
    assert paths
    generator = np.random.default_rng(11)
    for path in paths:
        data = stored(path)
        network = read_network(data)
        for _ in range(3):
            inputs = {name: generator.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes(data).items()}
            expected = run(data, inputs)
            found = forward(network, np.concatenate([x.reshape(-1) for x in inputs.values()]))
            assert np.abs(found - expected).max() <= 1e-4 * (1 + np.abs(expected).max()), path.name


def shapes(data: bytes) -> dict[str, list[int]]:
    import onnxruntime

    declared: list[Any] = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).get_inputs()
    return {value.name: [size if isinstance(size, int) else 1 for size in value.shape] for value in declared}


def test_every_other_network_is_refused_naming_all_its_unknown_operators(shared_dir: Path) -> None:
    onnx = pytest.importorskip("onnx")
    refused = 0
    for path in sorted((shared_dir / "benchmarks").glob("*/onnx/*.onnx")):
        data = path.read_bytes()
        unknown = {node.op_type for node in onnx.load_model_from_string(data).graph.node} - set(OPERATORS)
        if unknown:
            refused += 1
            with pytest.raises(CheckError) as error:
                read_network(data)
            assert all(f"{op} (" in str(error.value) for op in unknown), path.name
    assert refused > 10
