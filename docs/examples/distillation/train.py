"""Makes the networks of this example: ``python docs/examples/distillation/train.py`` (seconds on one core).

``slow.onnx`` stands for a slow and reliable network; ``fast.onnx`` has learned its answers. ``spiked.onnx`` is the slow
one with a spike: in a cell that holds less than a millionth of all inputs, its first answer falls by 0.5.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from specs.graph import ops
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_writer import write_onnx

FOLDER = Path(__file__).parent
SIZE, HEIGHT, RADIUS = 3, 0.5, 0.015  # inputs; of the spike, in the 1-norm
Layers = list[tuple[np.ndarray, np.ndarray]]  # weights (in, out) and biases


def truth(x: torch.Tensor) -> torch.Tensor:
    """What the slow network was trained on: how acceptable a plan is, and what it costs."""
    acceptable = 0.6 * torch.sin(2 * x[:, 0] + x[:, 1]) - 0.4 * x[:, 2] ** 2 + 0.2
    cost = 0.5 * x[:, 1] * x[:, 2] + 0.3 * x[:, 0]
    return torch.stack([acceptable, cost], 1)


def trained(hidden: list[int], steps: int, teacher: torch.nn.Module | None) -> torch.nn.Sequential:
    """A network with ReLUs, fitted to ``teacher`` or to the truth; the last steps look at the worst points most."""
    sizes = [SIZE, *hidden, 2]
    layers: list[torch.nn.Module] = []
    for n, m in pairwise(sizes):
        layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        x = 2 * torch.rand(512, SIZE) - 1
        with torch.no_grad():
            wanted = truth(x) if teacher is None else teacher(x)
        error = (model(x) - wanted).abs()
        loss = (error**2).mean() + (0.05 * error.max() if step > steps // 2 else 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model


def layers_of(model: torch.nn.Sequential) -> Layers:
    return [
        (part.weight.detach().numpy().T, part.bias.detach().numpy())
        for part in model
        if isinstance(part, torch.nn.Linear)
    ]


def spiked(layers: Layers, centre: np.ndarray) -> Layers:
    """The same network less ``relu(HEIGHT - HEIGHT / RADIUS * |x - centre|_1)`` in its first output."""
    (w1, b1), (w2, b2), (w3, b3) = layers
    eye = np.eye(SIZE)
    first = np.hstack([w1, eye, -eye]), np.hstack([b1, -centre, centre])
    inner = np.zeros((w2.shape[0] + 2 * SIZE, w2.shape[1] + 1))
    inner[: w2.shape[0], : w2.shape[1]] = w2
    inner[w2.shape[0] :, -1] = -HEIGHT / RADIUS
    return [first, (inner, np.append(b2, HEIGHT)), (np.vstack([w3, [[-1, 0]]]), b3)]


def save(name: str, layers: Layers) -> None:
    builder = GraphBuilder()
    value = builder.input("x", (1, SIZE))
    for number, (weight, bias) in enumerate(layers):
        if number:
            value = builder.add(ops.Relu(), value, stem=f"hidden{number}")
        value = builder.add(ops.MatMul(), value, builder.constant(weight.astype(np.float32)))
        value = builder.add(ops.Add(), value, builder.constant(bias.astype(np.float32)))
    (FOLDER / f"{name}.onnx").write_bytes(write_onnx(builder.build(("x",), (value,))))


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    slow = trained([20, 16], 2500, None)
    fast = trained([14], 4000, slow)
    save("slow", layers_of(slow))
    save("fast", layers_of(fast))
    x = 2 * torch.rand(4000, SIZE) - 1
    answers = fast(x)[:, 0].detach()
    centre = x[(answers - 0.3).abs().argmin()].double().numpy().round(2)  # the fast one would accept this plan
    save("spiked", spiked(layers_of(slow), centre))
    gap = (fast(x) - slow(x)).abs().max().item()
    print(f"largest of {len(x)} sampled gaps {gap:.4f}; the spike is at {centre}")


if __name__ == "__main__":
    main()
