"""Trains the three models of the chain with Adam, each to do what the one before does, amplified.

Everything is NumPy and seeded. A network is small enough to be proved about: one hidden layer of ReLUs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from specs.compose import Composer
from specs.graph import ops
from specs.loading.onnx_writer import write_onnx

Layers = list[np.ndarray]
SIZES = {"m1": (2, 6), "m2": (4, 8), "m3": (8, 12)}


def outputs(layers: Layers, x: np.ndarray) -> np.ndarray:
    weight, bias, outer, offset = layers
    return np.maximum(x @ weight + bias, 0) @ outer + offset


def train(inputs: int, hidden: int, teacher: Callable[[np.ndarray], np.ndarray], seed: int, steps: int) -> Layers:
    """Adam on uniform questions, the loss a high power of the error: what counts is the worst question."""
    rng = np.random.default_rng(seed)
    layers = [
        rng.normal(0, 1 / np.sqrt(inputs), (inputs, hidden)),
        rng.normal(0, 0.1, hidden),
        rng.normal(0, 1 / np.sqrt(hidden), hidden),
        np.zeros(()),
    ]
    means, squares = [np.zeros_like(part) for part in layers], [np.zeros_like(part) for part in layers]
    for step in range(1, steps + 1):
        x = rng.uniform(0, 1, (256, inputs))
        x[:128] = rng.integers(0, 2, (128, inputs)) * rng.uniform(0, 1, (128, 1))  # corners of smaller boxes
        weight, bias, outer, _ = layers
        pre = x @ weight + bias
        active = np.maximum(pre, 0)
        error = outputs(layers, x) - teacher(x)
        slope = (error + 20 * error**3) / len(x)
        back = np.outer(slope, outer) * (pre > 0)
        gradients = [x.T @ back, back.sum(0), active.T @ slope, slope.sum()]
        rate = 0.01 * min(1.0, 2 - 2 * step / steps)
        for k, gradient in enumerate(gradients):
            means[k] = 0.9 * means[k] + 0.1 * gradient
            squares[k] = 0.999 * squares[k] + 0.001 * gradient**2
            scaled = means[k] / (1 - 0.9**step) / (np.sqrt(squares[k] / (1 - 0.999**step)) + 1e-8)
            layers[k] = layers[k] - rate * scaled
    return [part.astype(np.float32).astype(np.float64) for part in layers]


def chain(steps: int = 6000) -> dict[str, Layers]:
    """The models: M1 learns the core, M2 the core on answers of M1, M3 the core on answers of M2."""
    found: dict[str, Layers] = {}
    found["m1"] = train(2, SIZES["m1"][1], lambda q: q.max(1), 1, steps)
    for name, before, seed in (("m2", "m1", 2), ("m3", "m2", 3)):
        inputs, hidden = SIZES[name]
        half = inputs // 2

        def teacher(q: np.ndarray, layers: Layers = found[before], half: int = half) -> np.ndarray:
            return np.maximum(outputs(layers, q[:, :half]), outputs(layers, q[:, half:]))

        found[name] = train(inputs, hidden, teacher, seed, steps)
    return found


def save(layers: Layers, file: Path) -> None:
    weight, bias, outer, offset = (part.astype(np.float32) for part in layers)
    composer = Composer()
    x = composer.input("q", (1, len(weight)))
    pre = composer.add(ops.Add(), composer.add(ops.MatMul(), x, composer.constant(weight)), composer.constant(bias))
    hidden = composer.add(ops.Relu(), pre)
    product = composer.add(ops.MatMul(), hidden, composer.constant(outer[:, None]))
    file.write_bytes(
        write_onnx(composer.build([x], [composer.add(ops.Add(), product, composer.constant(offset[None]))]))
    )


if __name__ == "__main__":
    for name, layers in chain().items():
        save(layers, Path(__file__).with_name(f"{name}.onnx"))
