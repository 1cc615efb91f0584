"""Matrix products and arithmetic."""

from __future__ import annotations

import numpy as np

from specs.graph import Op, ops
from specs.loading.onnx_call import Call, Converter, unary


def matmul(call: Call) -> str:
    """NumPy's matrix product."""
    return call.add(ops.MatMul(), call.input(0), call.input(1))


def gemm(call: Call) -> str:
    """``alpha * A' @ B' + beta * C``; factors that are 1 leave no node behind."""
    call.ignore("broadcast")  # opset < 7: what shapes say anyway
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    sides = []
    for index, name in enumerate(("transA", "transB")):
        side = call.input(index)
        if len(call.shape(side)) != 2:
            raise ValueError(f"input {index} of shape {call.shape(side)} is no matrix")
        sides.append(call.add(ops.Transpose((1, 0)), side) if call.attribute(name, 0) else side)
    product = call.add(ops.MatMul(), *sides)
    if alpha != 1.0:
        product = call.add(ops.Mul(), product, call.scalar(alpha))
    offset = call.optional(2)
    if offset is None:
        return product
    if beta != 1.0:
        offset = call.add(ops.Mul(), offset, call.scalar(beta))
    return call.add(ops.Add(), product, offset)


def binary(op: Op, swap: bool = False) -> Converter:
    """Converter of a broadcasting operator; ``swap`` exchanges its inputs."""

    def convert(call: Call) -> str:
        a, b = call.input(0), aligned(call)
        return call.add(op, b, a) if swap else call.add(op, a, b)

    return convert


def aligned(call: Call) -> str:
    """The second input; before opset 7 its axes line up with the first's from attribute ``axis`` on."""
    b = call.input(1)
    call.ignore("consumed_inputs")
    if call.opset >= 7:
        return b
    explicit = call.attribute("broadcast", 0)
    if not call.has("axis"):
        return b
    rank, mine = len(call.shape(call.input(0))), call.shape(b)
    axis = call.attribute("axis", 0)
    trailing = rank - (axis + rank if axis < 0 else axis) - len(mine)
    if not explicit or trailing < 0:
        raise ValueError(f"axis {axis} does not place an input of shape {mine}")
    return call.add(ops.Reshape((*mine, *(1,) * trailing)), b)


def total(call: Call) -> str:
    """Sum of any number of inputs."""
    call.ignore("consumed_inputs")
    result, *rest = call.all_inputs()
    for name in rest:
        result = call.add(ops.Add(), result, name)
    return result


def mean(call: Call) -> str:
    """Mean of any number of inputs."""
    result = total(call)
    count = np.float32(len(call.inputs))
    return result if count == 1 else call.add(ops.Div(), result, call.literal(np.asarray(count)))


CONVERTERS: dict[str, Converter] = {
    "MatMul": matmul,
    "Gemm": gemm,
    "Add": binary(ops.Add()),
    "Sub": binary(ops.Sub()),
    "Mul": binary(ops.Mul()),
    "Div": binary(ops.Div()),
    "Pow": binary(ops.Pow()),
    "Neg": unary(ops.Neg()),
    "Sum": total,
    "Mean": mean,
}
