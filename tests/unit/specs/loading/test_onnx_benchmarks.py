"""Every network of the shared data loads and computes what onnxruntime computes."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from specs.graph import Graph, ops
from specs.loading import load_model

pytestmark = [pytest.mark.shared, pytest.mark.peer]

# Folders, rather than files, keep collection independent of the data being there.
FOLDERS = {
    "acasxu": 45, "cifar10_resnet": 2, "cifar_biasfield": 2, "collins_rul_cnn": 3, "cora_mnist": 2, "dist_shift": 1,
    "eran": 2, "linearizenn": 2, "lsnc": 2, "malbeware": 2, "marabou_cifar10": 2, "ml4acopf": 6, "mnist_fc": 3,
    "nn4sys": 6, "oval21": 3, "rl_benchmarks": 3, "safenlp": 2, "sat_relu": 66, "sri_resnet_a": 1, "test": 5,
    "tllverifybench": 14, "traffic_signs": 2, "verivital": 2, "vit": 2,
}  # fmt: skip
PAPERS = [
    "eran", "lyapunov2024", "mnist", "nesy2022", "oval", "raghunathan2018", "reludiff2020", "salman2019",
    "sdpcrown2025", "sdpfo2020", "verydiff2025",
]  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_every_benchmark_network_agrees_with_onnxruntime(benchmarks_dir: Path, name: str) -> None:
    files = models_in(benchmarks_dir / name)
    assert len(files) == FOLDERS[name]
    check_all(files)


@pytest.mark.parametrize("name", PAPERS)
def test_every_paper_network_agrees_with_onnxruntime(shared_dir: Path, name: str) -> None:
    folder = shared_dir / "papers" / name
    if not folder.is_dir():
        pytest.skip(f"needs {name}")
    files = models_in(folder)
    if not files:
        pytest.skip(f"{name} holds no ONNX file")
    check_all(files)


def models_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.endswith((".onnx", ".onnx.gz")))


def check_all(files: list[Path]) -> None:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    problems = []
    for path in files:
        graph = load_model(path)
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        graph, content = before_softmax(graph, content)
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        rng = np.random.default_rng(len(content))
        for draw in (rng.random, rng.standard_normal):
            points = [draw(graph.by_name[name].shape).astype(np.float32) for name in graph.inputs]
            expected = session.run(list(graph.outputs), dict(zip(graph.inputs, points)))
            for theirs, ours in zip(expected, graph.evaluate(*points), strict=True):
                if theirs.shape != ours.shape:
                    problems.append(f"{path.name}: shapes {theirs.shape} and {ours.shape}")
                elif not np.abs(theirs - ours).max() <= 2e-5 * (1e-2 + np.abs(theirs).max()):
                    problems.append(f"{path.name}: {np.abs(theirs - ours).max()} beside {np.abs(theirs).max()}")
    assert problems == []


def before_softmax(graph: Graph, content: bytes) -> tuple[Graph, bytes]:
    """A network that ends in a softmax, stopped before it: saturated outputs agree whatever precedes them."""
    (output, *others) = (graph.by_name[name] for name in graph.outputs)
    if others or not isinstance(output.op, ops.Softmax):
        return graph, content
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(content)
    (source,) = output.inputs
    model.graph.output.append(onnx.helper.make_tensor_value_info(source, onnx.TensorProto.FLOAT, None))
    return replace(graph, outputs=(source,)), model.SerializeToString()


def test_a_small_network_loads_within_milliseconds(benchmarks_dir: Path) -> None:
    from time import perf_counter

    path = models_in(benchmarks_dir / "acasxu")[0]
    load_model(path)
    durations = []
    for _ in range(10):
        start = perf_counter()
        load_model(path)
        durations.append(perf_counter() - start)
    assert min(durations) < 0.005


def test_mostly_zero_weights_stay_as_small_as_stored(benchmarks_dir: Path) -> None:
    import tracemalloc

    path = max(models_in(benchmarks_dir / "tllverifybench"), key=lambda path: path.stat().st_size)
    tracemalloc.start()
    graph = load_model(path)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    stored = sum(node.op.value.nbytes for node in graph.nodes if isinstance(node.op, ops.Constant))
    assert stored > 40_000_000
    assert held < 1.5 * stored
    assert peak < 2.5 * stored
