"""The alpha step: one evaluation of the dual bound and its gradient under the root's frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from bench.micro.budget import Budget
from bench.micro.questions import Question
from bench.micro.timing import Measurement, measured, seconds_per_call
from relaxations.bounds.boxes import BoxBounder
from relaxations.bounds.dual import Duals, Frame, Pass, evaluate, lines
from relaxations.lowering import lower
from relaxations.network import ReluNetwork
from verifier.engine.phases.search import target_of

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
    lower, upper = zip(*bounder.bounds(low[None], up[None]).ranges, strict=True)
    mid, rad = ((low + up) / 2).astype(bounder.dtype), ((up - low) / 2).astype(bounder.dtype)
    slopes = tuple(np.tile((u > -l).astype(bounder.dtype), (batch, 1)) for l, u in zip(lower, upper, strict=True))
    frame, unsplit = Frame(mid, rad, lower, upper), (None,) * len(slopes)
    duals = Duals(slopes, unsplit, np.ones((batch, 1), dtype=bounder.dtype))
    target = target_of(network, bounder.rows, np.array([0, 1])).layer
    return partial(evaluate, network, target, frame, lines(frame, unsplit, np), duals, np)
