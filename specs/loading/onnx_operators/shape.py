"""Moving elements: everything about shapes, slices and indices, resolved to static numbers."""

from __future__ import annotations

from math import prod

import numpy as np

from specs.graph import ops
from specs.graph.graph import Array, Shape
from specs.graph.ops.base import normal_axis
from specs.loading.graph_builder import MAX_INDEX
from specs.loading.onnx_call import Call, Converter, UnsupportedForm


def reshape(call: Call) -> str:
    """0 copies a size (unless ``allowzero``), -1 is the one that fits."""
    call.ignore("consumed_inputs")
    x = call.input(0)
    sizes = call.shape(x)
    wanted = call.constant_ints(1) if call.opset >= 5 else call.ints("shape")
    if wanted is None:
        raise ValueError("the new shape is missing")
    copy = not call.attribute("allowzero", 0)
    if copy and any(n == 0 and i >= len(sizes) for i, n in enumerate(wanted)):
        raise ValueError(f"{sizes} cannot be reshaped to {wanted}: a 0 copies an axis that is not there")
    new = [sizes[i] if n == 0 and copy else n for i, n in enumerate(wanted)]
    if new.count(-1) == 1:
        rest = prod(n for n in new if n != -1)
        if rest == 0 or prod(sizes) % rest:
            raise ValueError(f"{sizes} cannot be reshaped to {wanted}")
        new[new.index(-1)] = prod(sizes) // rest
    return _reshaped(call, x, tuple(new))


def flatten(call: Call) -> str:
    """A matrix: the axes before ``axis`` together, and the others together."""
    x = call.input(0)
    sizes = call.shape(x)
    axis = call.attribute("axis", 1)
    if not -len(sizes) <= axis <= len(sizes):
        raise ValueError(f"axis {axis} is outside an input of shape {sizes}")
    axis = axis + len(sizes) if axis < 0 else axis
    return _reshaped(call, x, (prod(sizes[:axis]), prod(sizes[axis:])))


def squeeze(call: Call) -> str:
    """Drops axes of size 1: the given ones, or all."""
    x = call.input(0)
    sizes = call.shape(x)
    given = call.constant_ints(1) if call.opset >= 13 else call.ints("axes")
    axes = [i for i, n in enumerate(sizes) if n == 1] if given is None else [normal_axis(a, len(sizes)) for a in given]
    if any(sizes[axis] != 1 for axis in axes):
        raise ValueError(f"axes {given} of shape {sizes} are not all of size 1")
    return _reshaped(call, x, tuple(n for i, n in enumerate(sizes) if i not in axes))


def unsqueeze(call: Call) -> str:
    """Inserts axes of size 1, so that they stand at ``axes`` of the result."""
    x = call.input(0)
    given = call.constant_ints(1) if call.opset >= 13 else call.ints("axes")
    if given is None:
        raise ValueError("axes are missing")
    rank = len(call.shape(x)) + len(given)
    axes = {normal_axis(axis, rank) for axis in given}
    if len(axes) != len(given):
        raise ValueError(f"axes {given} name an axis twice")
    rest = iter(call.shape(x))
    return _reshaped(call, x, tuple(1 if i in axes else next(rest) for i in range(rank)))


def transpose(call: Call) -> str:
    """Axes in the order ``perm``, or reversed."""
    x = call.input(0)
    perm = call.ints("perm")
    return call.add(ops.Transpose(tuple(reversed(range(len(call.shape(x))))) if perm is None else perm), x)


def slice_(call: Call) -> str:
    """Bounds are attributes before opset 10 and inputs since."""
    x = call.input(0)
    if call.opset < 10:
        starts, ends, axes, steps = call.ints("starts"), call.ints("ends"), call.ints("axes"), None
    else:
        starts, ends, axes, steps = (call.constant_ints(index) for index in range(1, 5))
    if starts is None or ends is None:
        raise ValueError("starts or ends are missing")
    axes = tuple(range(len(starts))) if axes is None else axes
    rank = len(call.shape(x))
    axes = tuple(normal_axis(axis, rank) for axis in axes)
    return call.add(ops.Slice(starts, ends, axes, (1,) * len(axes) if steps is None else steps), x)


def split(call: Call) -> tuple[str, ...]:
    """One slice per output: of the given sizes, or equal (the last one smaller if need be)."""
    x = call.input(0)
    sizes = call.shape(x)
    axis = normal_axis(call.attribute("axis", 0), len(sizes))
    given = call.constant_ints(1) if call.opset >= 13 or call.opset == 1 else call.ints("split")
    if call.opset == 1 and given is None:
        given = call.ints("split")
    count = call.attribute("num_outputs", len(call.node.outputs))
    if count != len(call.node.outputs):
        raise ValueError(f"{count} outputs are announced and {len(call.node.outputs)} are there")
    if given is None:
        each = -(-sizes[axis] // count)
        given = tuple(max(0, min(each, sizes[axis] - i * each)) for i in range(count))
    if sum(given) != sizes[axis] or min(given) < 0 or len(given) != count:
        raise ValueError(f"parts of size {given} do not make up axis {axis} of shape {sizes} in {count} outputs")
    ends = np.cumsum(given).tolist()
    return tuple(
        call.add(ops.Slice((end - size,), (end,), (axis,), (1,)), x) for size, end in zip(given, ends, strict=True)
    )


def concat(call: Call) -> str:
    """Inputs one after the other."""
    names = call.all_inputs()
    axis = normal_axis(call.attribute("axis", 1), len(call.shape(names[0])))
    return names[0] if len(names) == 1 else call.add(ops.Concat(axis), *names)


def gather(call: Call) -> str:
    """Elements at constant indices along ``axis``."""
    x, index = call.input(0), call.constant(1)
    sizes = call.shape(x)
    axis = normal_axis(call.attribute("axis", 0), len(sizes))
    if index is None or index.dtype.kind not in "iu":
        raise ValueError("indices must be integers")
    if index.size and not -sizes[axis] <= index.min() <= index.max() < sizes[axis]:
        raise ValueError(f"indices run from {index.min()} to {index.max()}, axis {axis} of shape {sizes} does not")
    return call.add(ops.Gather(axis), x, call.input(1))


def expand(call: Call) -> str:
    """The shape that both the input and the wanted shape broadcast to."""
    x = call.input(0)
    wanted = call.constant_ints(1)
    if wanted is None:
        raise ValueError("the new shape is missing")
    shape = np.broadcast_shapes(call.shape(x), wanted)
    return x if shape == call.shape(x) else call.add(ops.Expand(shape), x)


def tile(call: Call) -> str:
    """The input repeated along each axis."""
    x = call.input(0)
    repeats = call.constant_ints(1)
    if repeats is None or len(repeats) != len(call.shape(x)) or min(repeats, default=0) < 0:
        raise ValueError(f"repeats {repeats} do not fit an input of shape {call.shape(x)}")
    for axis, count in enumerate(repeats):
        if count != 1:
            size = call.shape(x)[axis]
            _check_length(size * count)
            x = picked(call, x, axis, np.tile(np.arange(size), count))
    return x


def pad(call: Call) -> str:
    """Negative pads cut off; modes other than ``constant`` pick elements."""
    x = call.input(0)
    sizes = call.shape(x)
    mode, pads, value = call.attribute("mode", "constant"), *_pads(call, sizes)
    rank = len(sizes)
    if mode == "constant":
        if min(pads, default=0) < 0:
            cut = [-min(p, 0) for p in pads]
            ends = tuple(n - c for n, c in zip(sizes, cut[rank:]))
            x = call.add(ops.Slice(tuple(cut[:rank]), ends, tuple(range(rank)), (1,) * rank), x)
        return call.add(ops.Pad(tuple(max(p, 0) for p in pads), value), x) if max(pads, default=0) > 0 else x
    if mode not in ("reflect", "edge", "wrap"):
        raise UnsupportedForm(f"Pad(mode={mode!r})")
    for axis in range(rank):
        begin, end, size = pads[axis], pads[axis + rank], sizes[axis]
        if begin or end:
            _check_length(size + abs(begin) + abs(end))
            x = picked(call, x, axis, _folded(np.arange(-begin, size + end), size, mode))
    return x


def _pads(call: Call, sizes: Shape) -> tuple[tuple[int, ...], float]:
    """Pads of every axis, and the value they are filled with."""
    rank = len(sizes)
    if call.opset < 11:
        pads = call.ints("pads" if call.opset >= 2 else "paddings")
        if pads is None:
            raise ValueError("pads are missing")
        return _checked(pads, rank), call.attribute("value", 0.0)
    given, fill, axes = call.constant_ints(1), call.constant(2), call.constant_ints(3)
    if given is None:
        raise ValueError("pads are missing")
    if axes is not None:
        _checked(given, len(axes))
        full = [0] * (2 * rank)
        for i, axis in enumerate(axes):
            full[normal_axis(axis, rank)] = given[i]
            full[normal_axis(axis, rank) + rank] = given[i + len(axes)]
        given = tuple(full)
    return _checked(given, rank), 0.0 if fill is None else float(fill.reshape(()))


def _checked(pads: tuple[int, ...], rank: int) -> tuple[int, ...]:
    if len(pads) != 2 * rank:
        raise ValueError(f"{len(pads)} pads do not fit {rank} axes")
    return pads


def _folded(position: Array, size: int, mode: str) -> Array:
    """Where in ``0..size-1`` each position outside is read."""
    if size == 0:
        raise ValueError(f"an empty axis cannot be padded with mode {mode!r}")
    if mode == "edge":
        return np.clip(position, 0, size - 1)
    if mode == "wrap":
        return np.asarray(np.remainder(position, size))
    if size == 1:
        return np.zeros_like(position)
    turn = np.remainder(position, 2 * size - 2)
    return np.asarray(np.minimum(turn, 2 * size - 2 - turn))


def _check_length(size: int) -> None:
    if size > MAX_INDEX:
        raise ValueError(f"an axis would grow to {size:,} elements")


def picked(call: Call, x: str, axis: int, index: Array) -> str:
    """The elements at ``index`` along ``axis``."""
    return call.add(ops.Gather(axis), x, call.literal(index.astype(np.int64)))


def depth_to_space(call: Call) -> str:
    """Blocks of channels become blocks of space."""
    x, block = call.input(0), call.attribute("blocksize", 0)
    mode = call.attribute("mode", "DCR")
    n, c, h, w = call.shape(x)
    if block < 1 or c % block**2 or mode not in ("DCR", "CRD"):
        raise ValueError(f"blocksize {block} and mode {mode!r} do not fit {c} channels")
    depth = c // block**2
    if mode == "DCR":
        parts, perm = (block, block, depth), (0, 3, 4, 1, 5, 2)
    else:
        parts, perm = (depth, block, block), (0, 1, 4, 2, 5, 3)
    split_up = call.add(ops.Reshape((n, *parts, h, w)), x)
    return call.add(ops.Reshape((n, depth, h * block, w * block)), call.add(ops.Transpose(perm), split_up))


def space_to_depth(call: Call) -> str:
    """Blocks of space become blocks of channels."""
    x, block = call.input(0), call.attribute("blocksize", 0)
    n, c, h, w = call.shape(x)
    if block < 1 or h % block or w % block:
        raise ValueError(f"blocksize {block} does not divide space of size {(h, w)}")
    split_up = call.add(ops.Reshape((n, c, h // block, block, w // block, block)), x)
    moved = call.add(ops.Transpose((0, 3, 5, 1, 2, 4)), split_up)
    return call.add(ops.Reshape((n, c * block**2, h // block, w // block)), moved)


def _reshaped(call: Call, x: str, shape: Shape) -> str:
    return x if shape == call.shape(x) else call.add(ops.Reshape(shape), x)


CONVERTERS: dict[str, Converter] = {
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Slice": slice_,
    "Split": split,
    "Concat": concat,
    "Gather": gather,
    "Expand": expand,
    "Tile": tile,
    "Pad": pad,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
