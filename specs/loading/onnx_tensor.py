"""ONNX tensors as arrays, in their stored dtype; weights in a file next to the model included."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from specs.errors import UnsafeModelFileError
from specs.graph.graph import Array
from specs.loading.protobuf import WireError, as_bytes, as_floats, as_int, as_ints, as_text, read_fields

FLOAT, INT32, INT64, BOOL, FLOAT16, DOUBLE, BFLOAT16 = 1, 6, 7, 9, 10, 11, 16

DTYPES: dict[int, np.dtype[np.generic]] = {
    FLOAT: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    4: np.dtype("<u2"),
    5: np.dtype("<i2"),
    INT32: np.dtype("<i4"),
    INT64: np.dtype("<i8"),
    BOOL: np.dtype("?"),
    FLOAT16: np.dtype("<f2"),
    DOUBLE: np.dtype("<f8"),
    12: np.dtype("<u4"),
    13: np.dtype("<u8"),
    BFLOAT16: np.dtype("<u2"),
}
"""How the elements of TensorProto.data_type are stored."""

_MOST_ELEMENTS = 1 << 40
"""Beyond any file; empty tensors may still declare such sizes."""

_TYPED_FIELD = {FLOAT: 4, DOUBLE: 10, INT64: 7, 12: 11, 13: 11}
_SMALL_FIELD = 5
"""Field of TensorProto for the elements of a type, and for those of all other types."""


def parse_tensor(data: memoryview, folder: Path | None) -> Array:
    """The tensor as a read-only array; bfloat16 becomes float32, which holds it exactly.

    ``folder`` is where external data may lie; None refuses external data. Raises ``WireError`` when the content does
    not match the declared type and shape, ``UnsafeModelFileError`` for external data outside ``folder``.
    """
    shape: list[int] = []
    element, raw, external, typed, entries = 0, None, False, [], []
    for number, wire, value in read_fields(data):
        if number == 1:
            shape += as_ints(wire, value).tolist()
        elif number == 2:
            element = as_int(value)
        elif number == 9:
            raw = as_bytes(value)
        elif number in (4, 5, 7, 10, 11):
            typed.append((number, wire, value))
        elif number == 13:
            entries.append(as_bytes(value))
        elif number == 14:
            external = as_int(value) == 1
    if element not in DTYPES:
        raise WireError(f"tensors of element type {element} have no meaning here")
    if any(n < 0 for n in shape) or prod(max(n, 1) for n in shape) > _MOST_ELEMENTS:
        raise WireError(f"a tensor has shape {shape}")
    dtype = DTYPES[element]
    if external:
        raw = _external(entries, prod(shape) * dtype.itemsize, folder)
    if raw is not None and typed:
        raise WireError("a tensor keeps its data in two places")
    if raw is None:
        flat = _typed(typed, element, dtype)
    elif len(raw) % dtype.itemsize:
        raise WireError(f"a tensor has {len(raw)} bytes, no whole number of elements")
    else:
        flat = np.frombuffer(raw, dtype=dtype)
    if flat.size != prod(shape):
        raise WireError(f"a tensor of shape {shape} has {flat.size} elements")
    if element == BFLOAT16:
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    # A copy: offsets inside the file are not aligned, and a view would keep the whole file in memory.
    array = flat.astype(flat.dtype.newbyteorder("=")).reshape(shape)
    array.flags.writeable = False
    return array


def _typed(fields: list[tuple[int, int, int | memoryview]], element: int, dtype: np.dtype[np.generic]) -> Array:
    """Elements from the typed fields; 16-bit floats and small integers are stored in int32_data."""
    parts: list[Array] = []
    for number, wire, value in fields:
        if number != _TYPED_FIELD.get(element, _SMALL_FIELD):
            raise WireError(f"a tensor of element type {element} keeps its data in field {number}")
        parts.append(as_floats(value, 4 if number == 4 else 8) if number in (4, 10) else as_ints(wire, value))
    flat: Array = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    if element == FLOAT16:
        return flat.astype(np.uint16).view(np.float16)
    return flat.astype(dtype)


def _external(entries: list[memoryview], size: int, folder: Path | None) -> memoryview:
    """``size`` bytes of a file inside ``folder``."""
    keys = {}
    for entry in entries:
        texts = {number: as_text(value) for number, _, value in read_fields(entry)}
        keys[texts.get(1, "")] = texts.get(2, "")
    location = keys.get("location", "")
    if folder is None:
        raise WireError(f"its weights lie in another file, {location!r}")
    root = folder.resolve()
    try:
        path = (root / location).resolve()
        if not location or Path(location).is_absolute() or not path.is_relative_to(root):
            raise UnsafeModelFileError(f"external data {location!r} lies outside the model's folder: refused")
        offset, length = int(keys.get("offset") or 0), int(keys.get("length") or size)
        if not path.is_file():
            raise WireError(f"external data {location!r} is missing next to the model")
        if offset < 0 or length != size or offset + size > path.stat().st_size:
            raise WireError(f"external data {location!r} does not hold {size} bytes at offset {offset}")
        with path.open("rb") as file:
            file.seek(offset)
            return memoryview(file.read(size))
    except (OSError, RuntimeError) as error:
        raise WireError(f"external data {location!r} cannot be read: {error}") from None
