"""Reductions; norms and logarithmic sums are spelled out in elementary operators."""

from __future__ import annotations

from collections.abc import Callable

from specs.graph import Op, ops
from specs.graph.ops.base import normal_axis
from specs.loading.onnx_call import Call, Converter

Reduction = Callable[[tuple[int, ...], bool], Op]


def reduction(make: Reduction, axes_input_since: int, before: Op | None = None, after: Op | None = None) -> Converter:
    """Converter of ``after(reduce(before(x)))``; axes became an input in opset ``axes_input_since``."""

    def convert(call: Call) -> str:
        x = call.input(0)
        axes, empty = _axes(call, axes_input_since)
        keepdims = bool(call.attribute("keepdims", 1))
        if empty:
            return x
        inner = x if before is None else call.add(before, x)
        result = call.add(make(axes, keepdims), inner)
        return result if after is None else call.add(after, result)

    return convert


def squared(after: Op | None = None) -> Converter:
    """Converter of a sum of squares."""

    def convert(call: Call) -> str:
        x = call.input(0)
        axes, empty = _axes(call, 18)
        keepdims = bool(call.attribute("keepdims", 1))
        if empty:
            return x
        result = call.add(ops.ReduceSum(axes, keepdims), call.add(ops.Mul(), x, x))
        return result if after is None else call.add(after, result)

    return convert


def _axes(call: Call, input_since: int) -> tuple[tuple[int, ...], bool]:
    """Axes to reduce, and whether the operator leaves its input alone. No axes mean all of them, unless told."""
    axes = call.constant_ints(1) if call.opset >= input_since else call.ints("axes")
    untouched = bool(call.attribute("noop_with_empty_axes", 0)) and not axes
    rank = len(call.shape(call.input(0)))
    return tuple(sorted(normal_axis(axis, rank) for axis in axes or range(rank))), untouched


CONVERTERS: dict[str, Converter] = {
    "ReduceSum": reduction(ops.ReduceSum, 13),
    "ReduceMean": reduction(ops.ReduceMean, 18),
    "ReduceMax": reduction(ops.ReduceMax, 18),
    "ReduceMin": reduction(ops.ReduceMin, 18),
    "ReduceProd": reduction(ops.ReduceProd, 18),
    "ReduceL1": reduction(ops.ReduceSum, 18, before=ops.Abs()),
    "ReduceLogSum": reduction(ops.ReduceSum, 18, after=ops.Log()),
    "ReduceLogSumExp": reduction(ops.ReduceSum, 18, before=ops.Exp(), after=ops.Log()),
    "ReduceSumSquare": squared(),
    "ReduceL2": squared(after=ops.Sqrt()),
}
