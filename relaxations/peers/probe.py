"""What the installed auto_LiRPA can do, found by trying each method on tiny networks in a process of its own.

Versions differ in what they support, in ways their numbers do not tell; and a bound that a point refutes is as good as
none. Importing this imports neither auto_LiRPA nor PyTorch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relaxations.bounds.boxes import Rows
from relaxations.peers.auto_lirpa import METHODS, PeerError, bounds_by_method, installed, missing
from specs.graph import Graph, Op, ops
from specs.loading.graph_builder import GraphBuilder

ROUNDING = 1e-9
"""Of values of size about 1 after some hundred operations in float64, whose unit is 1e-16."""
PATIENCE = 60.0
"""Seconds after which the process counts as hanging."""


@dataclass(frozen=True)
class Capabilities:
    """``outcome[method][network]`` is "" where a method gave a bound that holds at sampled points, else why it is of
    no use."""

    version: str
    outcome: Mapping[str, Mapping[str, str]]

    def works(self, method: str, network: str) -> bool:
        return self.outcome[method][network] == ""

    @property
    def summary(self) -> str:
        """One line: the methods that work everywhere, and where the others do not."""
        everywhere = [method for method, tried in self.outcome.items() if not any(tried.values())]
        parts = [f"{', '.join(everywhere)} {'work' if len(everywhere) > 1 else 'works'}"] if everywhere else []
        for method, tried in self.outcome.items():
            failed = [f"{network} ({why})" for network, why in tried.items() if why]
            parts += [f"{method} not on {', '.join(failed)}"] if failed else []
        return "; ".join(parts)


def probe(seconds: float = PATIENCE) -> Capabilities:
    """Try out the installed version in a fresh process; raises PeerError where it is missing or cannot start."""
    version = installed()
    if not version:
        raise missing()
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-P", "-m", "relaxations.peers.probe"]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"auto_LiRPA {version}: no answer in {seconds:g} s") from None
    if done.returncode:
        raise PeerError(done.stderr.strip().rpartition("\n")[2] or f"auto_LiRPA {version}: exit {done.returncode}")
    return Capabilities(version, json.loads(done.stdout.strip().rpartition("\n")[2]))


def try_out() -> dict[str, dict[str, str]]:
    """The outcome of every method on every network, in this process."""
    tried = {name: _tried(graph) for name, graph in tiny_networks().items()}
    return {method: {name: outcome[method] for name, outcome in tried.items()} for method in METHODS}


def _tried(graph: Graph) -> dict[str, str]:
    rng = np.random.default_rng(0)
    lower = rng.uniform(-1, 1, graph.input_size)
    upper = lower + 0.2
    rows = Rows(np.zeros((graph.output_size, graph.input_size)), np.eye(graph.output_size), np.zeros(graph.output_size))
    points = rng.uniform(lower, upper, (200, graph.input_size))
    least = np.min([graph.evaluate_flat(point) for point in points], axis=0)
    found, failures = bounds_by_method(graph, rows, lower, upper)
    outcome = {method: type(error.__cause__).__name__ for method, error in failures.items()}
    for method, bounds in found.items():
        refuted = not (bounds <= least + ROUNDING * (1 + np.abs(least))).all()
        outcome[method] = "UNSOUND: a value lies below the bound" if refuted else ""
    return outcome


def tiny_networks() -> dict[str, Graph]:
    """A network for each kind of layer that an adapter hands over."""
    return {
        "dense": _dense(ops.Relu(), ops.Relu()),
        "convolution": _convolution(),
        "residual": _residual(),
        "leaky relu": _dense(ops.LeakyRelu(0.3), ops.LeakyRelu(0.3)),
        "sigmoid": _dense(ops.Sigmoid(), ops.Sigmoid()),
    }


class _Builder(GraphBuilder):
    """Adds layers with random weights."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.rng = np.random.default_rng(1)
        self.last = self.input("x", shape)

    def weight(self, *shape: int) -> str:
        return self.constant(self.rng.normal(size=shape).astype(np.float32))

    def then(self, op: Op, *others: str) -> str:
        self.last = self.add(op, self.last, *others)
        return self.last

    def linear(self, width: int) -> str:
        self.then(ops.MatMul(), self.weight(self.shape(self.last)[1], width))
        return self.then(ops.Add(), self.weight(width))

    def graph(self) -> Graph:
        return self.build(("x",), (self.last,))


def _dense(*activations: Op) -> Graph:
    builder = _Builder((1, 3))
    for activation in activations:
        builder.linear(5)
        builder.then(activation)
    builder.linear(2)
    return builder.graph()


def _convolution() -> Graph:
    builder = _Builder((1, 1, 5, 5))
    for channels, out in ((1, 2), (2, 3)):
        conv = ops.Conv((2, 2), (1, 1, 1, 1), (1, 1))
        builder.then(conv, builder.weight(out, channels, 3, 3), builder.weight(out))
        builder.then(ops.Relu())
    builder.then(ops.Reshape((1, 12)))
    builder.linear(2)
    return builder.graph()


def _residual() -> Graph:
    builder = _Builder((1, 3))
    builder.linear(5)
    skipped = builder.then(ops.Relu())
    builder.linear(5)
    builder.then(ops.Relu())
    builder.linear(5)
    builder.then(ops.Add(), skipped)
    builder.then(ops.Relu())
    builder.linear(2)
    return builder.graph()


if __name__ == "__main__":
    try:
        print(json.dumps(try_out()))
    except PeerError as error:
        sys.exit(str(error))
