"""Strided tensors over raw bytes: every index is proved to lie inside the storage before a view is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from specs.errors import ModelError, UnsafeModelFileError

Array = NDArray[np.generic]

DTYPES: Mapping[str, str] = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1", "uint8": "u1", "bool": "?",
}  # fmt: skip
"""NumPy letter of each tensor type that can be read; bfloat16 is stored as its 16 bits."""


def storage_array(raw: bytes, dtype: str, little_endian: bool, what: str, file: str) -> Array:
    """Flat read-only array of a storage. bfloat16 widens exactly to float32; the other types keep theirs."""
    letter = DTYPES.get(dtype)
    if letter is None:
        raise ModelError(f"{what} has type {dtype}; readable are {', '.join(DTYPES)}. Convert with model.float()", file)
    stored = np.dtype(letter).newbyteorder("<" if little_endian else ">")
    if len(raw) % stored.itemsize:
        raise UnsafeModelFileError(f"{what}: {len(raw)} bytes are not a whole number of {dtype} values", file)
    values: Array = np.frombuffer(raw, dtype=stored)
    if dtype == "bool" and np.frombuffer(raw, dtype=np.uint8).max(initial=0) > 1:
        raise UnsafeModelFileError(f"{what}: a bool is neither 0 nor 1", file)
    if not little_endian:
        values = values.astype(np.dtype(letter))
    if dtype == "bfloat16":
        values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    values.flags.writeable = False
    return values


def strided_view(
    storage: Array, sizes: Sequence[int], strides: Sequence[int], offset: int, what: str, file: str
) -> Array:
    """View of ``storage`` (flat) with element ``strides``; no memory is allocated.

    Raises ``UnsafeModelFileError`` when an index would leave the storage, or when the tensor has more elements than
    the storage (an expanded tensor, which a few bytes could blow up to any size).
    """
    numbers = [*sizes, *strides, offset]
    if len(sizes) != len(strides) or any(type(n) is not int or n < 0 for n in numbers) or len(sizes) > 16:
        raise UnsafeModelFileError(f"{what}: impossible sizes {sizes}, strides {strides}, offset {offset}", file)
    count = prod(sizes)
    last = offset + sum((n - 1) * stride for n, stride in zip(sizes, strides)) if count else offset
    if count > storage.size or (count and last >= storage.size):
        raise UnsafeModelFileError(
            f"{what}: shape {tuple(sizes)}, strides {tuple(strides)}, offset {offset} do not fit a storage of "
            f"{storage.size} values",
            file,
        )
    step = storage.itemsize
    if count == 0:
        return np.zeros(tuple(sizes), dtype=storage.dtype)
    return np.lib.stride_tricks.as_strided(
        storage[offset:], tuple(sizes), tuple(s * step for s in strides), writeable=False
    )


def require_finite(tensors: Mapping[str, Array], file: str) -> None:
    """Raises ``ModelError`` naming every tensor with a NaN or an infinity: no bound says anything about those."""
    bad = [name for name, value in tensors.items() if value.dtype.kind == "f" and not np.isfinite(value).all()]
    if bad:
        raise ModelError(f"NaN or infinite values in {', '.join(map(repr, bad))}; train or save the model again", file)
