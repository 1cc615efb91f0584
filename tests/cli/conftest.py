"""Questions with known answers, small enough to be made for each test, and the command in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def write_network(path: Path, *layers: tuple[list, list]) -> Path:
    """Fully connected float32 layers (weights of shape (in, out), bias) with ReLU between them."""
    onnx = pytest.importorskip("onnx")
    nodes, constants, value = [], [], "x"
    for number, (weight, bias) in enumerate(layers):
        w, b = np.asarray(weight, dtype=np.float32), np.asarray(bias, dtype=np.float32)
        constants += [onnx.numpy_helper.from_array(w, f"w{number}"), onnx.numpy_helper.from_array(b, f"b{number}")]
        last = number == len(layers) - 1
        name = "y" if last else f"z{number}"
        nodes.append(onnx.helper.make_node("Gemm", [value, f"w{number}", f"b{number}"], [name]))
        if not last:
            nodes.append(onnx.helper.make_node("Relu", [name], [f"a{number}"]))
        value = f"a{number}"
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "small",
        [onnx.helper.make_tensor_value_info("x", real, [1, len(layers[0][0])])],
        [onnx.helper.make_tensor_value_info("y", real, [1, len(layers[-1][1])])],
        constants,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def write_query(path: Path, inputs: int, unsafe: str) -> Path:
    """Inputs in [-1, 1], one output; ``unsafe`` is the assertion that must not come true."""
    declared = [f"(declare-const X_{i} Real)" for i in range(inputs)] + ["(declare-const Y_0 Real)"]
    bounds = [f"(assert (>= X_{i} -1))\n(assert (<= X_{i} 1))" for i in range(inputs)]
    path.write_text("\n".join([*declared, *bounds, f"(assert {unsafe})"]) + "\n")
    return path


@pytest.fixture
def absolute(tmp_path: Path) -> Path:
    """The network |x| = relu(x) + relu(-x)."""
    return write_network(tmp_path / "absolute.onnx", ([[1, -1]], [0, 0]), ([[1], [1]], [0]))


@pytest.fixture
def holds(tmp_path: Path) -> Path:
    """|x| >= 2 has no solution on [-1, 1]."""
    return write_query(tmp_path / "holds.vnnlib", 1, "(>= Y_0 2)")


@pytest.fixture
def fails(tmp_path: Path) -> Path:
    """|x| >= 0.9 has solutions on [-1, 1]."""
    return write_query(tmp_path / "fails.vnnlib", 1, "(>= Y_0 0.9)")


@pytest.fixture
def hard(tmp_path: Path) -> tuple[Path, Path]:
    return write_hard(tmp_path)


def write_hard(folder: Path) -> tuple[Path, Path]:
    """Zero written as the difference of two equal sums of ReLUs: it never reaches 0.001, and bounds cannot tell."""
    random = np.random.default_rng(7)
    inner, bias = random.normal(size=(20, 40)), random.normal(size=40)
    model = write_network(
        folder / "zero.onnx", (np.hstack([inner, inner]), np.hstack([bias, bias])), ([[1]] * 40 + [[-1]] * 40, [0])
    )
    return model, write_query(folder / "zero.vnnlib", 20, "(>= Y_0 0.001)")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """``cli(*arguments)``: the command in a fresh process whose working directory is the test's own."""

    def run(*arguments: object, python: tuple[str, ...] = (), timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments, python=python),
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


def command(*arguments: object, python: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, *python, "-m", "verifier", *map(str, arguments)]


def environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """The command started in a process group of its own."""

    def run(*arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(*arguments),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return run
