"""Trains the controller of this example and writes controller.onnx and readings.npz beside this file.

Needs NumPy and onnx. Takes a few seconds on one core.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx

HERE = Path(__file__).parent
SEED = 5
SIZES = (6, 16, 8, 1)
STEPS, RATE, DECAY = 3000, 3e-3, 3e-3
Layers = list[tuple[np.ndarray, np.ndarray]]


def power(x: np.ndarray) -> np.ndarray:
    """What the heater should give: x is the set point, four readings of the room, and one from outside."""
    wanted = 2 * (x[:, 0] - x[:, 1:5].mean(axis=1)) + 0.25 * (1 - x[:, 5])
    return np.clip(wanted, 0, 1)


def readings(rng: np.random.Generator, count: int) -> np.ndarray:
    """Four readings of one room hardly differ; that is what makes a state natural."""
    room, noise = rng.uniform(0.2, 0.8, (count, 1)), rng.normal(0, 0.02, (count, 4))
    return np.clip(np.hstack([rng.uniform(0.3, 0.7, (count, 1)), room + noise, rng.uniform(0, 1, (count, 1))]), 0, 1)


def forward(layers: Layers, x: np.ndarray) -> list[np.ndarray]:
    held = [x]
    for number, (weight, bias) in enumerate(layers):
        z = held[-1] @ weight + bias
        held.append(np.maximum(z, 0) if number + 1 < len(layers) else z)
    return held


def train(rng: np.random.Generator, x: np.ndarray, wanted: np.ndarray) -> Layers:
    """Squared error and weight decay, by Adam on all of the data."""
    layers = [(rng.normal(0, (2 / n) ** 0.5, (n, m)), np.zeros(m)) for n, m in pairwise(SIZES)]
    first = [[np.zeros_like(part) for part in layer] for layer in layers]
    second = [[np.zeros_like(part) for part in layer] for layer in layers]
    for step in range(1, STEPS + 1):
        held = forward(layers, x)
        slope = 2 * (held[-1] - wanted[:, None]) / len(x)
        for k in reversed(range(len(layers))):
            weight, bias = layers[k]
            slopes = [held[k].T @ slope + DECAY * weight, slope.sum(axis=0)]
            slope = (slope @ weight.T) * (held[k] > 0)
            moved = []
            for part, value in enumerate((weight, bias)):
                first[k][part] = 0.9 * first[k][part] + 0.1 * slopes[part]
                second[k][part] = 0.999 * second[k][part] + 0.001 * slopes[part] ** 2
                up, size = first[k][part] / (1 - 0.9**step), second[k][part] / (1 - 0.999**step)
                moved.append(value - RATE * up / (np.sqrt(size) + 1e-8))
            layers[k] = (moved[0], moved[1])
    return layers


def save(path: Path, layers: Layers) -> None:
    nodes, constants, value = [], [], "x"
    for number, (weight, bias) in enumerate(layers, start=1):
        for name, part in ((f"w{number}", weight), (f"b{number}", bias)):
            constants.append(onnx.numpy_helper.from_array(part.astype(np.float32), name))
        last = number == len(layers)
        nodes.append(
            onnx.helper.make_node("Gemm", [value, f"w{number}", f"b{number}"], ["y" if last else f"z{number}"])
        )
        if not last:
            nodes.append(onnx.helper.make_node("Relu", [f"z{number}"], [f"h{number}"]))
        value = f"h{number}"
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
            for name, size in (("x", SIZES[0]), ("y", SIZES[-1]))]  # fmt: skip
    graph = onnx.helper.make_graph(nodes, "controller", ends[:1], ends[1:], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def main() -> None:
    rng = np.random.default_rng(SEED)
    x = readings(rng, 2000)
    layers = train(rng, x, power(x))
    error = forward(layers, x)[-1][:, 0] - power(x)
    print(f"root of the mean squared error {np.sqrt((error**2).mean()):.3f}, largest {np.abs(error).max():.3f}")
    save(HERE / "controller.onnx", layers)
    np.savez_compressed(HERE / "readings.npz", inputs=np.round(x[:400] * 256) / 256)


if __name__ == "__main__":
    main()
