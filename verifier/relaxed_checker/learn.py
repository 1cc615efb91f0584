"""A small classifier of states as a relaxed checker: trained on labelled states, made one-sided, written as ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from specs.graph import ops
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_writer import write_onnx

Layers = list[tuple[np.ndarray, np.ndarray]]
STEPS, RATE, BETA, GAMMA = 2000, 5e-3, 0.9, 0.999


def learn(
    states: np.ndarray, shares: np.ndarray, hidden: Sequence[int] = (16, 16), seed: int = 0, decay: float = 1e-3
) -> Layers:
    """Layers of a ReLU network whose one output is the logit of a state's share of catastrophes.

    ``states`` (N, d) and ``shares`` (N,) in [0, 1], from rounding or from verdicts of the overseer. Cross-entropy by
    Adam on all of the data, both classes weighed alike; the input is scaled by the data's range, which becomes part of
    the first layer. Nothing of this is part of any claim.
    """
    rng = np.random.default_rng(seed)
    lower, width = states.min(axis=0), np.maximum(np.ptp(states, axis=0), 1e-9)
    x = 2 * (states - lower) / width - 1
    bad = shares > 0
    weights = np.where(bad, 0.5 / max(1, bad.sum()), 0.5 / max(1, (~bad).sum()))
    sizes = (states.shape[1], *hidden, 1)
    layers = [(rng.normal(0, (2 / n) ** 0.5, (n, m)), np.zeros(m)) for n, m in pairwise(sizes)]
    first, second = ([[np.zeros_like(p) for p in layer] for layer in layers] for _ in range(2))
    for step in range(1, STEPS + 1):
        held = _forward(layers, x)
        logit = held[-1][:, 0]
        slope = (weights * (1 / (1 + np.exp(-np.clip(logit, -50, 50))) - shares))[:, None]
        for k in reversed(range(len(layers))):
            weight, bias = layers[k]
            slopes = (held[k].T @ slope + decay * weight / len(layers), slope.sum(axis=0))
            slope = (slope @ weight.T) * (held[k] > 0)
            moved = []
            for part, value in enumerate((weight, bias)):
                first[k][part] = BETA * first[k][part] + (1 - BETA) * slopes[part]
                second[k][part] = GAMMA * second[k][part] + (1 - GAMMA) * slopes[part] ** 2
                up = first[k][part] / (1 - BETA**step)
                moved.append(value - RATE * up / (np.sqrt(second[k][part] / (1 - GAMMA**step)) + 1e-8))
            layers[k] = (moved[0], moved[1])
    weight, bias = layers[0]
    scaled = weight * (2 / width)[:, None]
    layers[0] = (scaled, bias - (2 * lower / width + 1) @ weight)
    return layers


def one_sided(layers: Layers, states: np.ndarray, shares: np.ndarray, tau: float, gain: float, margin: float) -> Layers:
    """The same network, its output times ``gain`` and shifted so that all states with a share above 0 are flagged.

    The least of them gets ``tau + margin``. Whether unseen ones are flagged is for calibration to say.
    """
    weight, bias = layers[-1]
    scores = gain * _forward(layers, states)[-1][:, 0]
    least = scores[shares > 0].min() if (shares > 0).any() else 0.0
    return [*layers[:-1], (gain * weight, gain * bias + (tau + margin - least))]


def write(path: Path, layers: Layers) -> None:
    """The network as an ONNX file in float32: equal layers give equal bytes."""
    builder = GraphBuilder()
    value = builder.input("state", (1, len(layers[0][0])))
    for number, (weight, bias) in enumerate(layers, start=1):
        value = builder.add(ops.MatMul(), value, builder.constant(weight.astype(np.float32)))
        value = builder.add(ops.Add(), value, builder.constant(bias.astype(np.float32)))
        if number < len(layers):
            value = builder.add(ops.Relu(), value, stem="hidden")
    path.write_bytes(write_onnx(builder.build(("state",), (value,))))


def _forward(layers: Layers, x: np.ndarray) -> list[np.ndarray]:
    held = [x]
    for number, (weight, bias) in enumerate(layers, start=1):
        z = held[-1] @ weight + bias
        held.append(np.maximum(z, 0) if number < len(layers) else z)
    return held
