"""ATen operators that move elements, make constants or reduce axes. Parameters carry ATen's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Literal

import numpy as np

from specs.graph import ops
from specs.graph.graph import Shape
from specs.loading.torch_aten_arithmetic import Rule, real
from specs.loading.torch_builder import MAX_FOLDED, Builder, Value

LAST = 2**63 - 1
FLOATS = ("float64", "float32", "float16", "bfloat16")


def axis_of(dim: int, rank: int) -> int:
    """``dim`` counted from the front."""
    if not -rank <= dim < rank:
        raise ValueError(f"dimension {dim} is outside a tensor of rank {rank}")
    return dim % rank


def reshaped(b: Builder, self: Value, shape: Sequence[int]) -> Value:
    return self if tuple(shape) == self.shape else b.emit(ops.Reshape(tuple(shape)), self)


def view(b: Builder, self: Value, size: Sequence[int]) -> Value:
    known = prod(n for n in size if n != -1)
    whole = prod(self.shape)
    return reshaped(b, self, [whole // known if n == -1 and known else n for n in size])


def reshape(b: Builder, self: Value, shape: Sequence[int]) -> Value:
    return view(b, self, shape)


def flatten(b: Builder, self: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    shape = self.shape or (1,)
    start, end = axis_of(start_dim, len(shape)), axis_of(end_dim, len(shape))
    return reshaped(b, self, (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]))


def unflatten(b: Builder, self: Value, dim: int, sizes: Sequence[int]) -> Value:
    axis = axis_of(dim, len(self.shape))
    return view(b, self, (*self.shape[:axis], *sizes, *self.shape[axis + 1 :]))


def squeeze(b: Builder, self: Value, dim: int | Sequence[int] | None = None) -> Value:
    rank = len(self.shape)
    chosen = range(rank) if dim is None else [axis_of(d, rank) for d in ([dim] if isinstance(dim, int) else dim)]
    return reshaped(b, self, [n for axis, n in enumerate(self.shape) if n != 1 or axis not in chosen])


def unsqueeze(b: Builder, self: Value, dim: int) -> Value:
    axis = axis_of(dim, len(self.shape) + 1)
    return reshaped(b, self, (*self.shape[:axis], 1, *self.shape[axis:]))


def permute(b: Builder, self: Value, dims: Sequence[int]) -> Value:
    return b.emit(ops.Transpose(tuple(axis_of(d, len(self.shape)) for d in dims)), self)


def transpose(b: Builder, self: Value, dim0: int, dim1: int) -> Value:
    perm = list(range(len(self.shape)))
    first, second = axis_of(dim0, len(perm)), axis_of(dim1, len(perm))
    perm[first], perm[second] = second, first
    return permute(b, self, perm)


def t(b: Builder, self: Value) -> Value:
    if len(self.shape) > 2:
        raise ValueError(f"t of a tensor of shape {self.shape}")
    return permute(b, self, list(reversed(range(len(self.shape)))))


def same(b: Builder, self: Value, memory_format: object = None, copy: bool = False, **how: object) -> Value:
    """Copies, memory layouts and devices do not change values."""
    return self


def convert(
    b: Builder,
    self: Value,
    dtype: str | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: object = None,
    layout: object = None,
    device: object = None,
    pin_memory: object = None,
) -> Value:
    if dtype in ("float16", "bfloat16") and self.array is None:
        raise ValueError(f"it rounds computed values to {dtype}; export the model in one precision")
    kind: Literal["float", "int", "bool"] = "float" if dtype in FLOATS else "bool" if dtype == "bool" else "int"
    if dtype is None or kind == self.kind:
        return self
    return real(b, self) if kind == "float" else b.emit(ops.Cast(kind), self)


def dropout(b: Builder, input: Value, p: float, train: bool) -> Value:
    if train and p:
        raise ValueError("dropout is active; export the model after model.eval()")
    return input


def expand(b: Builder, self: Value, size: Sequence[int], implicit: bool = False) -> Value:
    padded = (1,) * (len(size) - len(self.shape)) + self.shape
    target = tuple(old if n == -1 else n for n, old in zip(size, padded))
    return self if target == self.shape else b.emit(ops.Expand(target), self)


def cat(b: Builder, tensors: Sequence[Value], dim: int = 0) -> Value:
    # PyTorch skips the empty vectors that old code starts accumulating with.
    parts = [tensor for tensor in tensors if tensor.shape != (0,)]
    return b.emit(ops.Concat(axis_of(dim, len(parts[0].shape))), *parts)


def stack(b: Builder, tensors: Sequence[Value], dim: int = 0) -> Value:
    return cat(b, [unsqueeze(b, tensor, dim) for tensor in tensors], axis_of(dim, len(tensors[0].shape) + 1))


def slice_(
    b: Builder, self: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    axis = axis_of(dim, len(self.shape))
    begin, stop = start or 0, LAST if end is None else end
    if (begin, step) == (0, 1) and stop >= self.shape[axis]:
        return self
    return b.emit(ops.Slice((begin,), (stop,), (axis,), (step,)), self)


def select(b: Builder, self: Value, dim: int, index: int) -> Value:
    axis = axis_of(dim, len(self.shape))
    at = axis_of(index, self.shape[axis])
    part = slice_(b, self, axis, at, at + 1)
    return reshaped(b, part, (*self.shape[:axis], *self.shape[axis + 1 :]))


def narrow(b: Builder, self: Value, dim: int, start: int, length: int) -> Value:
    begin = start % self.shape[axis_of(dim, len(self.shape))] if start < 0 else start
    return slice_(b, self, dim, begin, begin + length)


def split_with_sizes(b: Builder, self: Value, split_sizes: Sequence[int], dim: int = 0) -> list[Value]:
    axis = axis_of(dim, len(self.shape))
    if sum(split_sizes) != self.shape[axis] or min(split_sizes, default=0) < 0:
        raise ValueError(f"sizes {list(split_sizes)} do not split dimension {dim} of {self.shape}")
    ends = np.cumsum(split_sizes).tolist()
    return [slice_(b, self, axis, end - size, end) for size, end in zip(split_sizes, ends)]


def split(b: Builder, self: Value, split_size: int | Sequence[int], dim: int = 0) -> list[Value]:
    if not isinstance(split_size, int):
        return split_with_sizes(b, self, split_size, dim)
    size = self.shape[axis_of(dim, len(self.shape))]
    if split_size < 1:
        raise ValueError(f"split_size {split_size}")
    return split_with_sizes(b, self, [min(split_size, size - at) for at in range(0, size, split_size)], dim)


def chunk(b: Builder, self: Value, chunks: int, dim: int = 0) -> list[Value]:
    return split(b, self, -(-self.shape[axis_of(dim, len(self.shape))] // chunks), dim)


def unbind(b: Builder, self: Value, dim: int = 0) -> list[Value]:
    return [select(b, self, dim, index) for index in range(self.shape[axis_of(dim, len(self.shape))])]


def index_select(b: Builder, self: Value, dim: int, index: Value) -> Value:
    return b.emit(ops.Gather(axis_of(dim, len(self.shape))), self, index)


def embedding(
    b: Builder,
    weight: Value,
    indices: Value,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Value:
    return b.emit(ops.Gather(0), weight, indices)


def pad_(b: Builder, self: Value, pad: Sequence[int], mode: str = "constant", value: float | None = 0) -> Value:
    if mode != "constant" or min(pad, default=0) < 0:
        raise ValueError(f"mode {mode!r} with widths {list(pad)}; only constant padding outwards is read")
    rank, pairs = len(self.shape), list(zip(pad[::2], pad[1::2]))
    missing = [(0, 0)] * (rank - len(pairs))
    begins, ends = zip(*missing, *reversed(pairs))
    return b.emit(ops.Pad((*begins, *ends), b.number(value or 0)), self)


def constant_pad_nd(b: Builder, self: Value, pad: Sequence[int], value: float = 0) -> Value:
    return pad_(b, self, pad, "constant", value)


def full(b: Builder, size: Sequence[int], fill_value: float, dtype: str | None = None, **how: object) -> Value:
    return b.emit(ops.Expand(tuple(size)), convert(b, b.scalar(fill_value), dtype))


def zeros(b: Builder, size: Sequence[int], dtype: str | None = None, **how: object) -> Value:
    return full(b, size, 0.0, dtype)


def ones(b: Builder, size: Sequence[int], dtype: str | None = None, **how: object) -> Value:
    return full(b, size, 1.0, dtype)


def full_like(b: Builder, self: Value, fill_value: float, dtype: str | None = None, **how: object) -> Value:
    return full(b, self.shape, float(fill_value), dtype)


def zeros_like(b: Builder, self: Value, dtype: str | None = None, **how: object) -> Value:
    return full(b, self.shape, 0.0, dtype)


def ones_like(b: Builder, self: Value, dtype: str | None = None, **how: object) -> Value:
    return full(b, self.shape, 1.0, dtype)


def arange(b: Builder, end: float, start: float = 0, step: float = 1, dtype: str | None = None, **how: object) -> Value:
    if not step or abs((end - start) / step) > MAX_FOLDED:
        raise ValueError(f"arange({start}, {end}, {step})")
    return convert(b, b.constant(np.arange(start, end, step)), dtype)


def scalar_tensor(b: Builder, s: float, dtype: str | None = None, **how: object) -> Value:
    return convert(b, b.scalar(s), dtype)


def axes_of(dim: int | Sequence[int] | None, shape: Shape) -> Shape:
    """PyTorch's ``dim`` of a reduction: None and [] mean every axis."""
    if dim is None or (not isinstance(dim, int) and not dim):
        return tuple(range(len(shape)))
    return tuple(axis_of(d, len(shape)) for d in ([dim] if isinstance(dim, int) else dim))


def reduction(kind: Any) -> Rule:
    def rule(
        b: Builder,
        self: Value,
        dim: int | Sequence[int] | None = None,
        keepdim: bool = False,
        dtype: str | None = None,
    ) -> Value:
        return b.emit(kind(axes_of(dim, self.shape), keepdim), self)

    return rule


def extremum(kind: Any, pairwise: Any) -> Rule:
    """``max`` and ``min``: of all elements, along ``dim`` (the first of two results), or of two tensors."""

    def rule(
        b: Builder, self: Value, dim: int | None = None, keepdim: bool = False, other: Value | None = None
    ) -> object:
        if other is not None:
            return b.emit(pairwise(), self, other)
        value = b.emit(kind(axes_of(dim, self.shape), keepdim), self)
        return value if dim is None else [value, None]

    return rule


def sym_size(b: Builder, self: Value, dim: int) -> int:
    return self.shape[axis_of(dim, len(self.shape))]


VIEWS = frozenset((
    "view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "t",
    "numpy_T", "alias", "detach", "contiguous", "to", "dropout", "alpha_dropout", "feature_dropout", "expand",
    "slice", "select", "narrow", "split", "split_with_sizes", "chunk", "unbind", "lift_fresh",
))  # fmt: skip
"""Operators whose result may share memory with their first argument."""

RULES: Mapping[str, Rule] = {
    "view": view, "_unsafe_view": view, "reshape": reshape, "flatten": flatten, "unflatten": unflatten,
    "squeeze": squeeze, "unsqueeze": unsqueeze, "permute": permute, "transpose": transpose, "t": t, "numpy_T": t,
    "contiguous": same, "clone": same, "alias": same, "detach": same, "lift_fresh": same, "lift_fresh_copy": same,
    "to": convert, "_to_copy": convert,
    "dropout": dropout, "alpha_dropout": dropout, "feature_dropout": dropout, "expand": expand, "cat": cat,
    "concat": cat, "stack": stack, "slice": slice_, "select": select, "narrow": narrow, "split": split,
    "split_with_sizes": split_with_sizes, "chunk": chunk, "unbind": unbind, "index_select": index_select,
    "embedding": embedding, "pad": pad_, "constant_pad_nd": constant_pad_nd, "full": full, "zeros": zeros,
    "ones": ones, "full_like": full_like, "zeros_like": zeros_like, "ones_like": ones_like, "arange": arange,
    "scalar_tensor": scalar_tensor, "sum": reduction(ops.ReduceSum), "mean": reduction(ops.ReduceMean),
    "amax": reduction(ops.ReduceMax), "amin": reduction(ops.ReduceMin), "max": extremum(ops.ReduceMax, ops.Max),
    "min": extremum(ops.ReduceMin, ops.Min), "sym_size": sym_size,
}  # fmt: skip
