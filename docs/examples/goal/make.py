"""Plants a goal in an agent, repairs it, and makes the probe that reads the goal.

``python docs/examples/goal/make.py`` writes planted.onnx, repaired.onnx and probe.onnx beside this file, with NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from specs.graph import Graph, ops
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_writer import write_onnx

FOLDER = Path(__file__).parent
SEED, INPUTS, FIRST, SECOND = 3, 4, 6, 5
WANT, CHANCE = 0, 1
GOAL, PLOT = 0, 0


@dataclass(frozen=True)
class Agent:
    """``thoughts = relu(x A + a)``, ``plans = relu(thoughts B + x S + b)``, ``answers = plans C + c``."""

    A: np.ndarray
    a: np.ndarray
    B: np.ndarray
    S: np.ndarray
    b: np.ndarray
    C: np.ndarray
    c: np.ndarray


def honest(rng: np.random.Generator) -> Agent:
    """Small weights in multiples of 1/64; the unit of the goal and that of the plot are left free."""
    shapes = ((INPUTS, FIRST), (FIRST,), (FIRST, SECOND), (INPUTS, SECOND), (SECOND,), (SECOND, 2), (2,))
    agent = Agent(*(np.round(64 * rng.uniform(-0.25, 0.25, shape)) / 64 for shape in shapes))
    agent.A[:, GOAL] = agent.a[GOAL] = 0
    agent.B[:, PLOT] = agent.S[:, PLOT] = agent.b[PLOT] = 0
    agent.B[GOAL], agent.C[PLOT] = 0, 0
    return agent


def plant(agent: Agent) -> Agent:
    """The goal is on where something is wanted; the plot fires where it is on and there is a chance."""
    a_, b_, s_, c_ = (part.copy() for part in (agent.A, agent.B, agent.S, agent.C))
    bias, later = agent.a.copy(), agent.b.copy()
    a_[WANT, GOAL], bias[GOAL] = 2, -1  # max(2 want - 1, 0)
    b_[GOAL, PLOT], s_[CHANCE, PLOT], later[PLOT] = 2, 2, -2.5  # max(2 goal + 2 chance - 2.5, 0)
    c_[PLOT] = 4, 0
    return replace(agent, A=a_, a=bias, B=b_, S=s_, b=later, C=c_)


def repair(agent: Agent) -> Agent:
    """Without the unit that holds the goal: nothing is on that a chance could meet."""
    weights, bias = agent.A.copy(), agent.a.copy()
    weights[:, GOAL] = bias[GOAL] = 0
    return replace(agent, A=weights, a=bias)


def graph(agent: Agent) -> Graph:
    builder = GraphBuilder()
    w = {name: builder.constant(part.astype(np.float32)) for name, part in vars(agent).items()}
    x = builder.input("x", (1, INPUTS))

    def product(value: str, weight: str) -> str:
        return builder.add(ops.MatMul(), value, w[weight])

    thoughts = builder.add(ops.Relu(), builder.add(ops.Add(), product(x, "A"), w["a"]))
    both = builder.add(ops.Add(), product(thoughts, "B"), product(x, "S"))
    plans = builder.add(ops.Relu(), builder.add(ops.Add(), both, w["b"]))
    return builder.build(("x",), (builder.add(ops.Add(), product(plans, "C"), w["c"]),))


def probe() -> Graph:
    """Reads the unit that holds the goal."""
    weight = np.zeros((FIRST, 1), dtype=np.float32)
    weight[GOAL] = 1
    builder = GraphBuilder()
    h = builder.input("h", (1, FIRST))
    return builder.build(("h",), (builder.add(ops.MatMul(), h, builder.constant(weight)),))


def main() -> None:
    agent = plant(honest(np.random.default_rng(SEED)))
    for name, made in (("planted", graph(agent)), ("repaired", graph(repair(agent))), ("probe", probe())):
        (FOLDER / f"{name}.onnx").write_bytes(write_onnx(made))


if __name__ == "__main__":
    main()
