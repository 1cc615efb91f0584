"""The bound pass: forward form, refined intermediate bounds and CROWN rows, as a search by boxes calls it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from bench.micro.budget import Budget
from bench.micro.questions import Question
from bench.micro.timing import Measurement, measured, seconds_per_call
from relaxations.bounds.boxes import BoxBounder
from relaxations.lowering import lower


def measure(question: Question, budget: Budget) -> Iterator[Measurement]:
    """Seconds per pass in float32, on the whole box and on the batch that the bounder thinks best.

    A batch is the box cut into as many slices along the first input. Raises ``UnsupportedOpError``.
    """
    network = lower(question.graph).astype(np.float32)
    bounder = BoxBounder(network, question.rows)
    for batch in sorted({1, bounder.boxes_at_once}):
        values = seconds_per_call(partial(bounder.bounds, *slices(*question.box, batch)), budget.call_seconds)
        yield measured("bounds", question.name, batch, "s", values)


def slices(lower: np.ndarray, upper: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The box cut into ``count`` equal boxes (count, inputs) along its first input."""
    low, up = np.tile(lower, (count, 1)), np.tile(upper, (count, 1))
    cuts = np.linspace(lower[0], upper[0], count + 1)
    low[:, 0], up[:, 0] = cuts[:-1], cuts[1:]
    return low, up
