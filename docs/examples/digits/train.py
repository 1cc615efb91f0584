"""Trains the network of this example and writes digits.pt2 and images.npz beside this file.

Needs torch and scikit-learn. Takes about ten seconds on one core.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

HERE = Path(__file__).parent
SEED = 7
EPOCHS = 120
EPSILON = 0.05  # largest pixel change trained against, on the scale [0, 1]
IMAGES = 20  # test images shipped with the example


def data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Shuffled pixels in [0, 1] of shape (count, 8, 8) and labels: 1500 to train with, 297 to test."""
    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))
    pixels = torch.tensor(digits.images[order] / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target[order])
    return pixels[:1500], labels[:1500], pixels[1500:], labels[1500:]


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
    )  # fmt: skip


def worst_logits(model: nn.Sequential, x: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """Interval bounds: the lowest score of the true label beside the highest of every other."""
    lower, upper = (x - epsilon).clamp(0, 1), (x + epsilon).clamp(0, 1)
    for layer in model:
        if isinstance(layer, nn.Linear):
            centre, radius = (upper + lower) / 2, (upper - lower) / 2
            centre, radius = layer(centre), functional.linear(radius, layer.weight.abs())
            lower, upper = centre - radius, centre + radius
        else:
            lower, upper = layer(lower), layer(upper)
    true = functional.one_hot(labels, 10).bool()
    return torch.where(true, lower, upper)


def train(model: nn.Sequential, x: Tensor, labels: Tensor) -> None:
    """Cross-entropy on the images mixed with that of the interval bounds, whose radius grows over the epochs."""
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(EPOCHS):
        share = min(1.0, epoch / (0.6 * EPOCHS))
        for batch in torch.randperm(len(x)).split(50):
            clean = functional.cross_entropy(model(x[batch]), labels[batch])
            worst = worst_logits(model, x[batch], labels[batch], share * EPSILON)
            loss = clean + 0.5 * share * functional.cross_entropy(worst, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def save(model: nn.Sequential, x: Tensor, labels: Tensor) -> None:
    exported = torch.export.export(model.eval(), (x[:1].clone(),))
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names directories of the machine
    torch.export.save(exported, HERE / "digits.pt2")
    np.savez_compressed(HERE / "images.npz", images=x[:IMAGES, None].numpy(), labels=labels[:IMAGES].numpy())


def main() -> None:
    torch.manual_seed(SEED)
    x, labels, test_x, test_labels = data()
    model = network()
    train(model, x, labels)
    with torch.no_grad():
        accuracy = (model(test_x).argmax(1) == test_labels).float().mean()
        for epsilon in (0.03, EPSILON):
            proved = (worst_logits(model, test_x, test_labels, epsilon).argmax(1) == test_labels).float().mean()
            print(f"proved by interval bounds at {epsilon}: {proved:.1%} of the test images")
    print(f"test accuracy: {accuracy:.1%}")
    save(model, test_x, test_labels)


if __name__ == "__main__":
    main()
