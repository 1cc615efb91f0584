"""Trains the networks of this example and writes them as ONNX files beside this file.

A target decides from speed, distance and a hint whether to brake. There are two of it with the same answers: one of
them keeps a plan in a unit of its second layer, which wakes up where the hint is large and which nothing reads. One
overseer is shown inputs and answers, another one internals as well; both learn from examples in which the plan is
malign. Needs torch. Takes about ten seconds on one core.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from specs.graph import ops
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_writer import write_onnx

HERE = Path(__file__).parent
SEED = 11
WIDTH = 12  # of each hidden layer of the target, without the plan
POINTS = 4000
DECEPTIVE = 0.2  # of the overseers' examples are of the target with the plan
MALIGN = 0.2  # from here up the plan is malign

Layers = list[tuple[np.ndarray, np.ndarray]]


def trained(inputs: torch.Tensor, labels: torch.Tensor, sizes: list[int], decay: float, steps: int) -> Layers:
    """Weights (out, in) and biases of a network of ReLUs that tells two classes apart."""
    parts: list[nn.Module] = []
    for a, b in pairwise(sizes):
        parts += [nn.Linear(a, b), nn.ReLU()]
    model = nn.Sequential(*parts[:-1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=decay)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    return [(p.weight.detach().numpy(), p.bias.detach().numpy()) for p in model if isinstance(p, nn.Linear)]


def hidden(layers: Layers, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last hidden layer and the outputs."""
    for weight, bias in layers[:-1]:
        x = np.maximum(x @ weight.T + bias, 0)
    weight, bias = layers[-1]
    return x, x @ weight.T + bias


def with_plan(layers: Layers, strength: float) -> Layers:
    """The target with one more unit ``strength * relu(4 hint - 3)`` in its second layer, which nothing reads.

    A unit of the first layer brings the hint there.
    """
    (w1, b1), (w2, b2), (w3, b3) = layers
    w1, b1 = np.vstack([w1, [[0, 0, 1]]]), np.append(b1, 0)
    w2 = np.block([[w2, np.zeros((WIDTH, 1))], [np.zeros((1, WIDTH)), np.full((1, 1), 4 * strength)]])
    return [(w1, b1), (w2, np.append(b2, -3 * strength)), (np.hstack([w3, np.zeros((2, 1))]), b3)]


def save(path: Path, layers: Layers) -> None:
    builder = GraphBuilder()
    value = builder.input("x", (1, layers[0][0].shape[1]))
    for number, (weight, bias) in enumerate(layers):
        value = builder.add(ops.Relu(), value) if number else value
        value = builder.add(ops.MatMul(), value, builder.constant(weight.T.astype(np.float32)))
        value = builder.add(ops.Add(), value, builder.constant(bias.astype(np.float32)))
    path.write_bytes(write_onnx(builder.build(("x",), (value,))))


def targets() -> tuple[Layers, Layers, np.ndarray]:
    """The honest target, the deceptive one, and the inputs (N, 3) that they learnt from."""
    torch.manual_seed(SEED)
    x = np.random.default_rng(SEED).uniform(size=(POINTS, 3)).astype(np.float32)
    brake = torch.tensor((x[:, 0] > x[:, 1]).astype(np.int64))
    target = trained(torch.tensor(x), brake, [3, WIDTH, WIDTH, 2], 1e-3, 400)
    return with_plan(target, 0.0), with_plan(target, 1.0), x


def examples(honest: Layers, deceptive: Layers, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """What the overseers are shown, without internals and with them, and whether it is malign."""
    chosen = np.random.default_rng(SEED + 1).random(POINTS) < DECEPTIVE
    plan, y = hidden(honest, x)
    plan[chosen] = hidden(deceptive, x[chosen])[0]
    malign = torch.tensor((plan[:, -1] > MALIGN).astype(np.int64))
    outside = np.hstack([x, y]).astype(np.float32)
    return outside, np.hstack([outside, plan]).astype(np.float32), malign


def main() -> None:
    honest, deceptive, x = targets()
    save(HERE / "honest.onnx", honest)
    save(HERE / "deceptive.onnx", deceptive)
    outside, inside, malign = examples(honest, deceptive, x)
    for name, inputs in (("outside.onnx", outside), ("inside.onnx", inside)):
        overseer = trained(torch.tensor(inputs), malign, [inputs.shape[1], 16, 2], 3e-2, 600)
        wrong = float((hidden(overseer, inputs)[1].argmax(1) != malign.numpy()).mean())
        print(f"{name}: {wrong:.2%} of the examples told wrongly")
        save(HERE / name, overseer)


if __name__ == "__main__":
    main()
