"""The alpha step: one evaluation of the dual bound and its gradient under the root's frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from bench.micro.budget import Budget
from bench.micro.questions import Question
from bench.micro.timing import Measurement, measured, seconds_per_call
from relaxations.bounds.beta import Duals, Frame, Pass, evaluate
from relaxations.bounds.boxes import BoxBounder
from relaxations.lowering import lower
from relaxations.network import ReluNetwork

BATCHES = (1, 32)


def measure(question: Question, budget: Budget) -> Iterator[Measurement]:
    """Seconds per step in float32, for the root alone and for a batch of nodes. Raises ``UnsupportedOpError``."""
    network = lower(question.graph).astype(np.float32)
    for batch in BATCHES:
        values = seconds_per_call(root_step(network, question, batch), budget.call_seconds)
        yield measured("alpha", question.name, batch, "s", values)


def root_step(network: ReluNetwork, question: Question, batch: int) -> Callable[[], Pass]:
    """One step on ``batch`` copies of the root, in the dtype of the network.

    No ReLU is split and the slopes are those that ascent starts from: the cost of a step depends on neither.
    """
    bounder, (low, up) = BoxBounder(network, question.rows), question.box
    ranges = [(l[0], u[0]) for l, u in bounder.bounds(low[None], up[None]).ranges]
    mid, rad = ((low + up) / 2).astype(bounder.dtype), ((up - low) / 2).astype(bounder.dtype)
    frame = Frame(mid, rad, [l for l, _ in ranges], [u for _, u in ranges])
    unsplit = [np.zeros((batch, len(l)), dtype=bounder.dtype) for l, _ in ranges]
    slopes = [np.tile((u > -l).astype(bounder.dtype), (batch, 1)) for l, u in ranges]
    duals = Duals(slopes, unsplit, np.ones((batch, 1), dtype=bounder.dtype))
    return partial(evaluate, network, bounder.rows, frame, unsplit, duals, np)
