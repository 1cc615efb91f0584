"""What each ONNX operator means: one short translation rule per operator, exact in the reals.

A rule reads one stored operator and returns its results. One that does not know a case raises ``CheckError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import numpy as np

from verifier.checker.errors import CheckError
from verifier.checker.network import Relu, Sign
from verifier.checker.onnx_builder import (
    Builder,
    Computed,
    Value,
    add,
    axes_of,
    bounded,
    concatenate,
    matmul,
    move,
    negate,
    reshape,
    scale,
    take,
    total,
)
from verifier.checker.onnx_images import IMAGE_OPERATORS
from verifier.checker.onnx_node import Node, Rule
from verifier.checker.onnx_piecewise import PIECEWISE_OPERATORS


def _add(builder: Builder, node: Node) -> Sequence[Value]:
    return [add(builder, node.value(0), node.value(1))]


def _sub(builder: Builder, node: Node) -> Sequence[Value]:
    return [add(builder, node.value(0), negate(builder, node.value(1)))]


def _mul(builder: Builder, node: Node) -> Sequence[Value]:
    return [scale(builder, node.value(0), node.value(1))]


def _div(builder: Builder, node: Node) -> Sequence[Value]:
    return [scale(builder, node.value(0), node.value(1), divide=True)]


def _neg(builder: Builder, node: Node) -> Sequence[Value]:
    return [negate(builder, node.value(0))]


def _relu(builder: Builder, node: Node) -> Sequence[Value]:
    value = node.value(0)
    return [builder.emit(Relu(builder.whole(value)), value.shape)]


def _sign(builder: Builder, node: Node) -> Sequence[Value]:
    value = node.value(0)
    return [builder.emit(Sign(builder.whole(value)), value.shape)]


def _matmul(builder: Builder, node: Node) -> Sequence[Value]:
    return [matmul(builder, node.value(0), node.value(1))]


def _gemm(builder: Builder, node: Node) -> Sequence[Value]:
    a, b, c = node.value(0), node.value(1), node.optional(2)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise CheckError("a factor is not a matrix")
    if node.integer("transA", 0):
        a = move(a, np.transpose)
    if node.integer("transB", 0):
        b = move(b, np.transpose)
    alpha, beta = node.real("alpha", 1.0), node.real("beta", 1.0)
    result = matmul(builder, a, b)
    if alpha != 1.0:
        result = scale(builder, result, np.array(alpha))
    if c is None:
        return [result]
    if np.broadcast_shapes(c.shape, result.shape) != result.shape:
        raise CheckError(f"C of shape {list(c.shape)} does not broadcast to {list(result.shape)}")
    if beta != 1.0:
        c = scale(builder, c, np.array(beta))
    return [add(builder, result, c)]


def _reduce(node: Node, since: int) -> tuple[Value, list[int], bool]:
    value, axes = node.value(0), node.integers("axes", 1, since)
    if not axes:
        if since <= node.opset and node.integer("noop_with_empty_axes", 0):
            raise CheckError("noop_with_empty_axes is not supported")
        axes = list(range(len(value.shape)))
    elif since <= node.opset:
        node.integer("noop_with_empty_axes", 0)  # only matters without axes
    return value, axes_of(axes, len(value.shape)), node.integer("keepdims", 1) != 0


def _reduce_sum(builder: Builder, node: Node) -> Sequence[Value]:
    return [total(builder, *_reduce(node, 13))]


def _reduce_mean(builder: Builder, node: Node) -> Sequence[Value]:
    value, axes, keepdims = _reduce(node, 18)
    count = prod(value.shape[axis] for axis in axes)
    return [scale(builder, total(builder, value, axes, keepdims), np.array(float(count)), divide=True)]


def _concat(builder: Builder, node: Node) -> Sequence[Value]:
    parts = [node.value(position) for position in range(len(node.inputs))]
    if "axis" not in node.attributes:
        raise CheckError("the axis is missing")
    (axis,) = axes_of([node.integer("axis", 0)], len(parts[0].shape))
    return [concatenate(builder, parts, axis)]


def _identity(builder: Builder, node: Node) -> Sequence[Value]:
    return [node.value(0)]


def _dropout(builder: Builder, node: Node) -> Sequence[Value]:
    """Inference only; the second output, the mask, is not provided."""
    node.attributes.pop("ratio", None)
    node.attributes.pop("seed", None)
    if node.opset < 12 and len(node.inputs) > 1:
        raise CheckError(f"has {len(node.inputs)} inputs in opset {node.opset}")
    training = node.optional(2)
    if training is not None and (isinstance(training, Computed) or training.any()):
        raise CheckError("training mode is not supported")
    return [node.value(0)]


def _flatten(builder: Builder, node: Node) -> Sequence[Value]:
    value, axis = node.value(0), node.integer("axis", 1)
    rank = len(value.shape)
    if not -rank <= axis <= rank:
        raise CheckError(f"axis {axis} does not fit a tensor of rank {rank}")
    axis = axis + rank if axis < 0 else axis
    return [reshape(value, (prod(value.shape[:axis]), prod(value.shape[axis:])))]


def _reshape(builder: Builder, node: Node) -> Sequence[Value]:
    value, shape = node.value(0), node.integers("shape", 1, 5)
    if shape is None or node.integer("allowzero", 0):
        raise CheckError("the shape is missing, or allowzero is set")
    if any(size < -1 or (size == 0 and axis >= len(value.shape)) for axis, size in enumerate(shape)):
        raise CheckError(f"shape {shape} does not fit a tensor of rank {len(value.shape)}")
    return [reshape(value, [value.shape[axis] if size == 0 else size for axis, size in enumerate(shape)])]


def _squeeze(builder: Builder, node: Node) -> Sequence[Value]:
    value, axes = node.value(0), node.integers("axes", 1, 13)
    if axes is None:
        axes = [axis for axis, size in enumerate(value.shape) if size == 1]
    elif not axes:
        raise CheckError("an empty list of axes is ambiguous")
    return [move(value, lambda array: np.squeeze(array, tuple(axes_of(axes, array.ndim))))]


def _unsqueeze(builder: Builder, node: Node) -> Sequence[Value]:
    value, axes = node.value(0), node.integers("axes", 1, 13)
    if axes is None:
        raise CheckError("axes are missing")
    return [move(value, lambda array: np.expand_dims(array, tuple(axes_of(axes, array.ndim + len(axes)))))]


def _transpose(builder: Builder, node: Node) -> Sequence[Value]:
    value, order = node.value(0), node.attributes.pop("perm", None)
    rank = len(value.shape)
    axes = list(range(rank))[::-1] if order is None else order
    if not isinstance(axes, list) or sorted(axes) != list(range(rank)):
        raise CheckError(f"perm {axes} is no permutation of {rank} axes")
    return [move(value, lambda array: np.transpose(array, axes))]


def _gather(builder: Builder, node: Node) -> Sequence[Value]:
    value, indices = node.value(0), node.value(1)
    if isinstance(indices, Computed) or indices.dtype.kind != "i":
        raise CheckError("the indices are not constant integers")
    (axis,) = axes_of([node.integer("axis", 0)], len(value.shape))
    bounded(value.shape[:axis] + indices.shape + value.shape[axis + 1 :])
    return [take(value, indices.astype(np.int64), axis)]


def _slice(builder: Builder, node: Node) -> Sequence[Value]:
    value = node.value(0)
    starts, ends = node.integers("starts", 1, 10), node.integers("ends", 2, 10)
    if starts is None or ends is None:
        raise CheckError("starts or ends are missing")
    axes, steps = node.integers("axes", 3, 10), node.integers("steps", 4, 10)
    axes = axes_of(list(range(len(starts))) if axes is None else axes, len(value.shape))
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise CheckError("starts, ends, axes and steps differ in length")
    cut = [slice(None)] * len(value.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps):
        if step == 0 or (step < 0 and start < -value.shape[axis]):  # there Python and ONNX clamp differently
            raise CheckError(f"start {start} and step {step} are not supported")
        cut[axis] = slice(start, end, step)
    return [move(value, lambda array: array[tuple(cut)])]


def _split(builder: Builder, node: Node) -> Sequence[Value]:
    value, sizes = node.value(0), node.integers("split", 1, 13)
    (axis,) = axes_of([node.integer("axis", 0)], len(value.shape))
    parts, length = node.outputs, value.shape[axis]
    if not parts:
        raise CheckError("has no output")
    if node.opset >= 18 and node.integer("num_outputs", parts) != parts:
        raise CheckError("num_outputs is not the number of outputs")
    if sizes is None:
        if node.opset < 18 and length % parts:
            raise CheckError(f"an axis of {length} does not split into {parts} equal parts")
        each = -(-length // parts)
        sizes = [each] * (parts - 1) + [length - each * (parts - 1)]
    if len(sizes) != parts or sum(sizes) != length or min(sizes) < 0:
        raise CheckError(f"an axis of {length} does not split into {sizes}")
    cuts = [sum(sizes[:part]) for part in range(parts + 1)]
    return [take(value, np.arange(start, end), axis) for start, end in pairwise(cuts)]


def _expand(builder: Builder, node: Node) -> Sequence[Value]:
    value, shape = node.value(0), node.integers("shape", 1, 8)
    if shape is None or min(shape, default=1) < 0:
        raise CheckError("the shape is missing or negative")
    wide = bounded(np.broadcast_shapes(value.shape, tuple(shape)))
    return [move(value, lambda array: np.broadcast_to(array, wide))]


def _pad(builder: Builder, node: Node) -> Sequence[Value]:
    value, pads, axes = node.value(0), node.integers("pads", 1, 11), None
    mode, fill = node.attributes.pop("mode", "constant"), node.real("value", 0.0) if node.opset < 11 else 0.0
    extra = node.optional(2)
    if node.opset >= 18:
        axes = node.integers("axes", 3, 18)
    elif len(node.inputs) > 3:
        raise CheckError(f"input 3 is not allowed in opset {node.opset}")
    axes = axes_of(list(range(len(value.shape))) if axes is None else axes, len(value.shape))
    zero = fill == 0.0 and (extra is None or (not isinstance(extra, Computed) and not extra.any()))
    if mode != "constant" or not zero or not isinstance(value, Computed):
        raise CheckError("only a computed tensor is padded, and only with the constant 0")
    if pads is None or len(pads) != 2 * len(axes) or min(pads, default=0) < 0:
        raise CheckError(f"pads {pads} do not fit, or are negative")
    widths = [(0, 0)] * len(value.shape)
    for position, axis in enumerate(axes):
        widths[axis] = (pads[position], pads[position + len(axes)])
    bounded([size + before + after for size, (before, after) in zip(value.shape, widths)])
    return [Computed(value.node, np.pad(value.index, widths, constant_values=-1))]


def _constant(builder: Builder, node: Node) -> Sequence[Value]:
    if len(node.attributes) != 1:
        raise CheckError("has not exactly one attribute")
    name, value = node.attributes.popitem()
    if name == "value" and isinstance(value, np.ndarray):
        return [value]
    if name in ("value_int", "value_ints") and isinstance(value, int | list):
        return [np.array(value, dtype=np.int64)]
    if name in ("value_float", "value_floats") and isinstance(value, float | np.ndarray):
        return [np.asarray(value, dtype=np.float32)]
    raise CheckError(f"attribute {name!r} is not supported")


def _constant_of_shape(builder: Builder, node: Node) -> Sequence[Value]:
    shape, fill = node.integers("shape", 0, 9), node.attributes.pop("value", np.zeros(1, dtype=np.float32))
    if shape is None or min(shape, default=1) < 0 or not isinstance(fill, np.ndarray) or fill.size != 1:
        raise CheckError("the shape or the value does not fit")
    return [np.broadcast_to(fill.reshape(()), bounded(shape))]


def _shape(builder: Builder, node: Node) -> Sequence[Value]:
    shape = node.value(0).shape
    if node.opset < 15:
        return [np.array(shape, dtype=np.int64)]
    start, end = node.integer("start", 0), node.integer("end", len(shape))
    return [np.array(shape[slice(start, end)], dtype=np.int64)]


def _cast(builder: Builder, node: Node) -> Sequence[Value]:
    """Integers to int64, floating-point constants to a wider type, computed values to float64."""
    value, target = node.value(0), node.integer("to", 0)
    node.attributes.pop("saturate", None)  # concerns 8-bit floats only
    if isinstance(value, Computed):
        if target != 11:
            raise CheckError("a computed value is only cast to double, which rounds nothing")
        return [value]
    kinds: dict[int, tuple[str, type[np.generic]]] = {1: ("f", np.float32), 7: ("i", np.int64), 11: ("f", np.float64)}
    kind, dtype = kinds.get(target, ("", np.float64))
    if value.dtype.kind != kind or value.dtype.itemsize > np.dtype(dtype).itemsize:
        raise CheckError(f"cast of {value.dtype} to element type {target} may change a value")
    return [value.astype(dtype)]


# operator: (rule, fewest inputs, most inputs)
OPERATORS: dict[str, tuple[Rule, int, int]] = {
    "Add": (_add, 2, 2),
    "Cast": (_cast, 1, 1),
    "Concat": (_concat, 1, 10_000),
    "Constant": (_constant, 0, 0),
    "ConstantOfShape": (_constant_of_shape, 1, 1),
    "Div": (_div, 2, 2),
    "Dropout": (_dropout, 1, 3),
    "Expand": (_expand, 2, 2),
    "Flatten": (_flatten, 1, 1),
    "Gather": (_gather, 2, 2),
    "Gemm": (_gemm, 2, 3),
    "Identity": (_identity, 1, 1),
    "MatMul": (_matmul, 2, 2),
    "Mul": (_mul, 2, 2),
    "Neg": (_neg, 1, 1),
    "Pad": (_pad, 1, 4),
    "ReduceMean": (_reduce_mean, 1, 2),
    "ReduceSum": (_reduce_sum, 1, 2),
    "Relu": (_relu, 1, 1),
    "Reshape": (_reshape, 2, 2),
    "Shape": (_shape, 1, 1),
    "Sign": (_sign, 1, 1),
    "Slice": (_slice, 1, 5),
    "Split": (_split, 1, 2),
    "Squeeze": (_squeeze, 1, 2),
    "Sub": (_sub, 2, 2),
    "Transpose": (_transpose, 1, 1),
    "Unsqueeze": (_unsqueeze, 1, 2),
    **IMAGE_OPERATORS,
    **PIECEWISE_OPERATORS,
}
