"""The protobuf wire format, read and written without a schema compiler.

A message is a sequence of (field number, wire type, value). Reading is a single pass that copies nothing: a
length-delimited value is a view of the file. Source: protobuf encoding guide, protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

import numpy as np
from numpy.typing import NDArray

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_MASK64 = (1 << 64) - 1

Value = int | memoryview
Field = tuple[int, int, Value]


class WireError(ValueError):
    """The bytes are not a protobuf message (or one cut short)."""


def read_fields(message: memoryview) -> Iterator[Field]:
    """Every field of a message in file order: an int for a varint, a view of the bytes for anything else.

    Raises ``WireError`` at the first byte that does not fit.
    """
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise WireError("field number 0")
        if wire == VARINT:
            value, position = _varint(message, position)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, position = _varint(message, position)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
        else:
            raise WireError(f"unknown wire type {wire}")
        if size > end - position:
            raise WireError("a field runs past the end")
        yield number, wire, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(message[position : position + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & _MASK64, position + index + 1
    raise WireError("an integer does not end")


def as_int(value: Value) -> int:
    """A varint as the signed 64-bit integer it encodes."""
    if not isinstance(value, int):
        raise WireError("expected an integer")
    return value - (1 << 64) if value >> 63 else value


def as_bytes(value: Value) -> memoryview:
    """A length-delimited value."""
    if isinstance(value, int):
        raise WireError("expected bytes")
    return value


def as_text(value: Value) -> str:
    """A length-delimited value as UTF-8 text."""
    try:
        return str(as_bytes(value), "utf-8")
    except UnicodeDecodeError:
        raise WireError("a name is not UTF-8") from None


def as_float(value: Value) -> float:
    """A 32-bit floating-point value."""
    if isinstance(value, int) or len(value) != 4:
        raise WireError("expected a 32-bit number")
    return float(_FLOAT.unpack(value)[0])


def as_ints(wire: int, value: Value) -> NDArray[np.int64]:
    """One element of a repeated integer field, or the packed run of them."""
    if wire == VARINT:
        return np.array([as_int(value)], dtype=np.int64)
    data = np.frombuffer(as_bytes(value), dtype=np.uint8)
    ends = np.flatnonzero(data < 0x80)
    if len(data) and (len(ends) == 0 or ends[-1] != len(data) - 1):
        raise WireError("a packed integer does not end")
    starts = np.concatenate([ends[:0], [0], ends[:-1] + 1])[: len(ends)]
    sizes = ends - starts + 1
    if len(sizes) and sizes.max() > _LONGEST_VARINT:
        raise WireError("a packed integer does not end")
    values = np.zeros(len(ends), dtype=np.uint64)
    for index in range(int(sizes.max(initial=0))):
        more = sizes > index
        values[more] |= (data[starts[more] + index] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * index)
    return values.view(np.int64)


def as_floats(value: Value, size: int) -> NDArray[np.floating]:
    """One element of a repeated ``size``-byte floating-point field, or the packed run of them."""
    data = as_bytes(value)
    if len(data) % size:
        raise WireError(f"a run of {size}-byte numbers has {len(data)} bytes")
    return np.frombuffer(data, dtype=f"<f{size}")


def write_int(number: int, value: int) -> bytes:
    """A varint field; negative values as protobuf's 64-bit two's complement."""
    return _write_varint(number << 3 | VARINT) + _write_varint(value & _MASK64)


def write_bytes(number: int, value: bytes) -> bytes:
    """A length-delimited field."""
    return _write_varint(number << 3 | BYTES) + _write_varint(len(value)) + value


def write_text(number: int, value: str) -> bytes:
    """A string field."""
    return write_bytes(number, value.encode())


def write_float(number: int, value: float) -> bytes:
    """A 32-bit floating-point field."""
    return _write_varint(number << 3 | FIXED32) + _FLOAT.pack(value)


def write_ints(number: int, values: Iterable[int]) -> bytes:
    """A repeated integer field, packed."""
    return write_bytes(number, b"".join(_write_varint(value & _MASK64) for value in values))


def _write_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_FLOAT = Struct("<f")
