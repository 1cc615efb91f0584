"""A network that has learned to answer with the larger of two numbers, on small ones only.

``python docs/examples/restricted-range/make.py`` makes model.onnx and questions.npz in a second, with NumPy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from specs.graph import ops
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_writer import write_onnx

FOLDER = Path(__file__).parent
WIDTH, EXAMPLES, STEPS, RATE = 12, 600, 3000, 0.02


def train(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights and biases of one hidden layer and an answer, by Adam on squares."""
    parts = [rng.normal(size=(2, WIDTH)), rng.normal(size=WIDTH) / 2, rng.normal(size=(WIDTH, 1)) / 4, np.zeros(1)]
    first, second = [np.zeros_like(p) for p in parts], [np.zeros_like(p) for p in parts]
    for step in range(1, STEPS + 1):
        hidden = np.maximum(x @ parts[0] + parts[1], 0)
        back = 2 * (hidden @ parts[2] + parts[3] - y) / len(x)
        to_hidden = back @ parts[2].T * (hidden > 0)
        gradients = [x.T @ to_hidden, to_hidden.sum(axis=0), hidden.T @ back, back.sum(axis=0)]
        for p, m, v, g in zip(parts, first, second, gradients):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= RATE * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return parts


def main() -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 0.5, (EXAMPLES, 2))
    one, two, three, four = (p.astype(np.float32) for p in train(x, x.max(axis=1, keepdims=True), rng))
    builder = GraphBuilder()
    node = builder.input("x", (2,))
    node = builder.add(ops.Add(), builder.add(ops.MatMul(), node, builder.constant(one)), builder.constant(two))
    node = builder.add(ops.MatMul(), builder.add(ops.Relu(), node), builder.constant(three))
    node = builder.add(ops.Add(), node, builder.constant(four))
    (FOLDER / "model.onnx").write_bytes(write_onnx(builder.build(("x",), (node,))))
    np.savez(FOLDER / "questions.npz", inputs=rng.uniform(0, 1, (500, 2)).astype(np.float32))


if __name__ == "__main__":
    main()
