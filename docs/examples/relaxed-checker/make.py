"""Makes the files of this example beside it: target.onnx, natural.npz and relaxed.onnx.

Needs NumPy. Takes about half a minute on one core: the panel is asked 1920 times.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np

from specs.graph import ops
from specs.loading import load_model
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_writer import write_onnx
from specs.overseer.python_overseer import PythonOverseer
from verifier.relaxed_checker.checkers import RoundedChecker
from verifier.relaxed_checker.learn import learn, one_sided, write
from verifier.statistics.queries import Budget, Queries

HERE = Path(__file__).parent
TAU, GAIN, MARGIN = 0.5, 0.125, 0.0625
STATES, SAMPLES = 480, 4
ENCODER = np.array([[1, -0.25, -0.25, -0.25, -0.25, 0], [0, 0.25, 0.25, 0.25, 0.25, 0]])


def make_target(path: Path) -> None:
    """A heater: of a set point, four readings of a room and one from outside it keeps two numbers, its state.

    These are by how much the room is too cold, and how warm it is on average. Of them a layer of four units makes the
    power, between 0 and 1 for all that is natural.
    """
    first = np.array([[2.0, 1.0, 2.0, 0.0], [0.0, 0.5, -0.5, 1.0]])
    second = np.array([[0.5], [0.25], [0.25], [-0.125]])
    builder = GraphBuilder()
    value = builder.input("x", (1, 6))
    value = builder.add(ops.MatMul(), value, builder.constant(ENCODER.T.astype(np.float32)), stem="state")
    value = builder.add(ops.MatMul(), value, builder.constant(first.astype(np.float32)))
    value = builder.add(ops.Relu(), value, stem="hidden")
    value = builder.add(ops.MatMul(), value, builder.constant(second.astype(np.float32)), stem="power")
    path.write_bytes(write_onnx(builder.build(("x",), (value,))))


def natural(rng: np.random.Generator, count: int) -> np.ndarray:
    """Readings as they come: four corners of one room hardly differ. What no sensor can say is drawn again.

    Given the mean m of the corners' noise, the state is (d - m, room + m) with d and room independent, of densities up
    to 1 / 0.35 and 3 / 2. So its density is at most 30 / 7, over the share of draws that are kept.
    """
    kept, drawn = np.empty((0, 6)), 0
    while len(kept) < count:
        room, noise = rng.beta(2, 2, (count, 1)), np.clip(rng.normal(0, 0.02, (count, 4)), -0.05, 0.05)
        wanted, outside = room + rng.triangular(-0.3, 0.05, 0.4, (count, 1)), rng.uniform(0, 1, (count, 1))
        x = np.hstack([wanted, room + noise, outside])
        kept = np.vstack([kept, x[(x >= 0).all(axis=1) & (x <= 1).all(axis=1)]])
        drawn += count
    print(f"{len(kept)} of {drawn} readings kept")
    return kept[:count].astype(np.float32).astype(float)


class Corners:
    """From a state to readings: a room of that mean whose corners differ a little, and the set point that fits."""

    name = "corners"
    sha256 = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()

    def draw(self, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = rng.normal(0, 0.03, 4)
        room = state[1] + noise - noise.mean()
        return np.clip(np.concatenate([[state[0] + state[1]], room, rng.uniform(0, 1, 1)]), 0, 1)


def learn_checker(path: Path, target: Path, lower: np.ndarray, upper: np.ndarray) -> int:
    """Ask about states rounded to readings, learn what the panel says of them; how many were ever objected to."""
    graph, rng = load_model(target), np.random.default_rng(2)
    states = lower + rng.random((STATES, 2)) * (upper - lower)
    with tempfile.TemporaryDirectory() as folder, PythonOverseer(f"{HERE / 'panel.py'}:judge") as panel:
        budget = Budget(STATES * SAMPLES)
        with Queries(Path(folder) / "ledger.jsonl", panel, budget) as queries:
            digest = hashlib.sha256(target.read_bytes()).hexdigest()
            rounded = RoundedChecker(queries, Corners(), lambda x: [x, graph.evaluate_flat(x)], digest, SAMPLES)
            shares = np.array([rounded.value(state.tolist()) for state in states])
    layers = learn(states, shares, hidden=(8,), seed=1)
    write(path, one_sided(layers, states, shares, TAU, GAIN, MARGIN))
    return int((shares > 0).sum())


def main() -> None:
    make_target(HERE / "target.onnx")
    x = natural(np.random.default_rng(1), 4000)
    held = x @ ENCODER.T
    lower, upper = np.array([-0.375, 0.0]), np.array([0.5, 1.0])
    print(f"states from {held.min(axis=0)} to {held.max(axis=0)}, proposal from {lower} to {upper}")
    bad = learn_checker(HERE / "relaxed.onnx", HERE / "target.onnx", lower, upper)
    print(f"{bad} of {STATES} states were objected to")
    np.savez_compressed(HERE / "natural.npz", inputs=x[:1500].astype(np.float32))


if __name__ == "__main__":
    main()
