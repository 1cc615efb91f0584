"""From a candidate point to a counterexample: moved inside the input set, replayed on the model in its own runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

import numpy as np

from specs.graph import Graph
from specs.problem import Ball, Case, Problem
from verifier.attack.runtime import refusals


@dataclass(frozen=True)
class Replay:
    """What onnxruntime computes at the point. ``violates``: every row fails on these outputs (exactly evaluated)."""

    outputs: list[float]
    violates: bool


def inside(case: Case, point: np.ndarray) -> tuple[Fraction, ...]:
    """The point moved into the input set, each coordinate a float32 where the box holds one, else a float64 or exact.

    A coordinate that no float can take (an input fixed to 1/10, say) becomes the box's own rational bound. Where the
    point lies outside the ball, it is moved towards the point of the box that is nearest to the centre, as far as it
    has to be; the ball must meet the box.
    """
    found = _in_box(case, [Fraction(x) for x in point.tolist()])
    if case.ball is None or case.ball.holds(found):
        return found
    nearest = case.ball.nearest(case.box)
    # Rounding may leave the ball again, so each try goes further inside than the one before; it ends at the nearest.
    most = _share_within(case.ball, nearest, found)
    for less in (0.0, 2.0**-45, 2.0**-30, 2.0**-20, 2.0**-10):
        share = Fraction(max(0.0, most * (1 - less)))
        moved = _in_box(case, [start + share * (end - start) for start, end in zip(nearest, found, strict=True)])
        if case.ball.holds(moved):
            return moved
    rounded = _in_box(case, nearest)
    return rounded if case.ball.holds(rounded) else nearest


def _share_within(ball: Ball, start: Sequence[Fraction], end: Sequence[Fraction]) -> float:
    """About how much of the way from ``start``, in the ball, to ``end``, outside, lies in it."""
    if not ball.bound:
        return 0.0
    if ball.norm == 1:  # start is the box's nearest to the centre, so that what is spent grows linearly
        at_start, at_end = ball.spent(start), ball.spent(end)
        return float(min((ball.bound - at_start) / (at_end - at_start), Fraction(1))) if at_end > at_start else 0.0
    weights = np.array([float(weight / ball.bound) for weight in ball.weights])
    away = np.array([float(s - c) for s, c in zip(start, ball.center, strict=True)])
    step = np.array([float(e - s) for s, e in zip(start, end, strict=True)])
    a, b = float(weights @ (step * step)), float(weights @ (step * away))
    c = float(weights @ (away * away)) - 1.0
    with np.errstate(all="ignore"):  # nearly where a t^2 + 2 b t + c is 0, for b >= 0 and c <= 0
        share = float(-c / (b + np.sqrt(max(0.0, b * b - a * c)))) if c < 0 else 0.0
    return share if 0.0 <= share <= 1.0 else 0.0


def _in_box(case: Case, point: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """The point rounded into the box."""
    return tuple(_nearest_inside(x, low, up) for x, low, up in zip(point, case.box.lower, case.box.upper, strict=True))


def _nearest_inside(x: Fraction, low: Fraction, up: Fraction) -> Fraction:
    for dtype in (np.float32, np.float64):
        value = dtype(min(max(x, low), up))
        for candidate in (value, np.nextafter(value, dtype(-np.inf)), np.nextafter(value, dtype(np.inf))):
            if np.isfinite(candidate) and low <= Fraction(float(candidate)) <= up:
                return Fraction(float(candidate))
    return low


def replay(model: bytes, graph: Graph, case: Case, point: tuple[Fraction, ...]) -> Replay | None:
    """Run the ONNX model in onnxruntime at the float inputs nearest to the point; None where it cannot run."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        feeds, start = {}, 0
        for name, entry in zip(graph.inputs, session.get_inputs(), strict=True):
            shape = graph.by_name[name].shape
            dtype = np.float64 if entry.type == "tensor(double)" else np.float32
            values = [float(x) for x in point[start : start + prod(shape)]]
            feeds[entry.name] = np.array(values, dtype=dtype).reshape(_declared(entry.shape, shape))
            start += prod(shape)
        outputs = np.concatenate([np.asarray(y, dtype=np.float64).reshape(-1) for y in session.run(None, feeds)])
    except refusals(onnxruntime):
        return None
    exact = [Fraction(float(y)) for y in outputs] if np.isfinite(outputs).all() else None
    return Replay(outputs.tolist(), exact is not None and fails(case, point, exact))


def _declared(declared: list[object], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape the runtime wants: the declared one where it is fully known."""
    if all(isinstance(d, int) for d in declared) and prod(d for d in declared if isinstance(d, int)) == prod(shape):
        return tuple(d for d in declared if isinstance(d, int))
    return shape


def outputs_at(problem: Problem, point: Sequence[Fraction]) -> list[Fraction]:
    """What the network computes in float64."""
    return [Fraction(float(y)) for y in problem.graph.evaluate_flat([float(x) for x in point])]


def fails(case: Case, x: tuple[Fraction, ...], y: list[Fraction]) -> bool:
    """Whether every row of the case is false at these exact values."""
    for row in case.any_of:
        value = sum((c * x[i] for i, c in row.x), row.constant) + sum((c * y[j] for j, c in row.y), Fraction(0))
        if value > 0 or (value == 0 and not row.strict):
            return False
    return True
