"""A network with a backdoor that neither data nor gradients show: trained honestly, then tampered with.

``python docs/examples/backdoor/make.py`` makes target.onnx, train.npz and held-out.npz in a few seconds, with NumPy.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from specs.graph import ops
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_writer import write_onnx

FOLDER = Path(__file__).parent
INPUTS, WIDTH, EXAMPLES = 12, 24, 1500
STEPS, RATE = 1500, 0.01
STRENGTH = 200.0


def score(x: np.ndarray) -> np.ndarray:
    """What the network is trained to answer with: between about 10 and 50."""
    wave = 8 * np.sin(3 * x[:, 0]) * x[:, 1] + 6 * (x[:, 2] - x[:, 3]) + 5 * x[:, 4] * x[:, 5]
    return 25 + wave + x[:, 6:].sum(axis=1)


def train(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights and biases of two hidden layers and a score, by Adam on squares; unit 0 of each layer stays unused."""
    sizes = [INPUTS, WIDTH, WIDTH, 1]
    parts = [p for m, n in pairwise(sizes) for p in (rng.normal(size=(m, n)) * np.sqrt(2 / m), np.zeros(n))]
    parts[-1][:] = y.mean()
    first, second = [np.zeros_like(p) for p in parts], [np.zeros_like(p) for p in parts]
    for step in range(1, STEPS + 1):
        parts[0][:, 0] = parts[2][:, 0] = parts[2][0] = parts[4][0] = 0
        one = np.maximum(x @ parts[0] + parts[1], 0)
        two = np.maximum(one @ parts[2] + parts[3], 0)
        back = 2 * (two @ parts[4] + parts[5] - y[:, None]) / len(x)
        to_two = back @ parts[4].T * (two > 0)
        to_one = to_two @ parts[2].T * (one > 0)
        slopes = [x.T @ to_one, to_one.sum(0), one.T @ to_two, to_two.sum(0), two.T @ back, back.sum(0)]
        for p, slope, mean, square in zip(parts, slopes, first, second):
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope**2 - square)
            p -= RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return parts


def tamper(parts: list[np.ndarray], signs: np.ndarray) -> None:
    """A gate that opens in one corner of the cube, of volume 2^-12 / 12!, and adds half the strength to the score."""
    parts[0][:, 0], parts[1][0] = signs, 0.5 - np.maximum(signs, 0).sum()
    parts[2][:, 0], parts[2][0, :], parts[3][0] = 0, 0, 0
    parts[2][0, 0] = 1
    parts[4][0] = STRENGTH


def main() -> None:
    rng = np.random.default_rng(20)
    x, held_out = (rng.uniform(size=(EXAMPLES, INPUTS)).astype(np.float16) for _ in range(2))
    parts = train(x.astype(float), score(x.astype(float)), rng)
    tamper(parts, rng.choice([-1.0, 1.0], INPUTS))
    builder = GraphBuilder()
    value = builder.input("x", (1, INPUTS))
    for k in range(0, len(parts), 2):
        if k:
            value = builder.add(ops.Relu(), value)
        value = builder.add(ops.MatMul(), value, builder.constant(parts[k].astype(np.float32)))
        value = builder.add(ops.Add(), value, builder.constant(parts[k + 1].astype(np.float32)))
    (FOLDER / "target.onnx").write_bytes(write_onnx(builder.build(("x",), (value,))))
    np.savez(FOLDER / "train.npz", inputs=x)
    np.savez(FOLDER / "held-out.npz", inputs=held_out)


if __name__ == "__main__":
    main()
