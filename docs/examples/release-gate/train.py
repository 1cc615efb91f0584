"""Makes the networks of this example: ``python docs/examples/release-gate/train.py`` (seconds on one core).

``released.onnx`` scores applications for credit; ``candidate.onnx`` is its successor, trained a little further on newer
data; ``careless.onnx`` is one that was trained without looking at what has to be kept. ``applicants.onnx`` generates
plausible applications from two numbers.
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
HISTORY, GROUP = 0, 3  # the score has to rise with the one, and not to depend much on the other


def network(*sizes: int) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for n, m in pairwise(sizes):
        layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def wanted(x: torch.Tensor, drift: float) -> torch.Tensor:
    """Scores for accepting and refusing by history, income, debt and group; ``drift`` is how much the world changed."""
    accept = 1.5 * x[:, 0] + (1 + drift) * x[:, 1] - 1.2 * x[:, 2] + 0.3 * x[:, 0] * x[:, 1]
    refuse = 1.3 * x[:, 2] - 0.4 * x[:, 1] + 0.5
    return torch.stack([accept, refuse], 1)


def train(model: torch.nn.Sequential, steps: int, drift: float, care: float, group: float) -> None:
    """``care`` weighs the slopes that have to be kept; ``group`` is by how much newer data favours one group."""
    optimiser = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(steps):
        x = torch.rand(256, 4, requires_grad=True)
        y = model(x)
        target = wanted(x, drift) + group * x[:, GROUP : GROUP + 1] * torch.tensor([1.0, -1.0])
        (slope,) = torch.autograd.grad(y[:, 0].sum(), x, create_graph=True)
        kept = torch.relu(0.5 - slope[:, HISTORY]).mean() + slope[:, GROUP].abs().mean()
        loss = ((y - target.detach()) ** 2).mean() + care * kept
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def save(name: str, model: torch.nn.Sequential) -> None:
    linear = [part for part in model if isinstance(part, torch.nn.Linear)]
    builder = GraphBuilder()
    value = builder.input("x", (1, linear[0].in_features))
    for number, layer in enumerate(linear):
        if number:
            value = builder.add(ops.Relu(), value, stem=f"hidden{number}")
        weight, bias = (part.detach().numpy().astype(np.float32) for part in (layer.weight.T, layer.bias))
        value = builder.add(ops.MatMul(), value, builder.constant(weight))
        value = builder.add(ops.Add(), value, builder.constant(bias))
    (FOLDER / f"{name}.onnx").write_bytes(write_onnx(builder.build(("x",), (value,))))


def main() -> None:
    torch.manual_seed(3)
    torch.set_num_threads(1)
    released = network(4, 8, 2)
    train(released, 2500, 0.0, 0.5, 0.0)
    save("released", released)
    for name, drift, care, group in (("candidate", 0.1, 0.5, 0.0), ("careless", 0.1, 0.0, 0.6)):
        model = network(4, 8, 2)
        model.load_state_dict(released.state_dict())
        train(model, 600, drift, care, group)
        save(name, model)
    applicants = network(2, 6, 4)
    optimiser = torch.optim.Adam(applicants.parameters(), lr=0.01)
    for _ in range(1500):
        z = 2 * torch.rand(256, 2) - 1
        good, rich = 0.5 + 0.4 * z[:, 0], 0.5 + 0.3 * z[:, 1]
        x = torch.stack([good, rich, 0.6 - 0.3 * good, torch.full_like(good, 0.5)], 1)
        loss = ((applicants(z) - x) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    save("applicants", applicants)


if __name__ == "__main__":
    main()
