"""The protobuf wire format, read strictly.

A message is read against a schema that names every field it may hold. An unknown field, a wire type that does not
fit, a truncated value or a singular field given twice is refused: nothing is skipped in silence. Payloads stay views
of the file's bytes. Source: the protocol buffers encoding guide (wire types 0, 1, 2 and 5; groups are refused).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from verifier.checker.errors import CheckError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


class Message:
    """One message: values by field name, in file order. ``what`` names it in errors."""

    def __init__(self, what: str, schema: Mapping[str, int], data: memoryview) -> None:
        """Raises ``CheckError`` unless ``data`` is exactly one message of the schema ``{field name: number}``."""
        self.what = what
        self._fields: dict[str, list[tuple[int, int | memoryview]]] = {name: [] for name in schema}
        names = {number: name for name, number in schema.items()}
        position = 0
        while position < len(data):
            key, position = _varint(data, position, what)
            number, wire = key >> 3, key & 7
            if number not in names:
                raise CheckError(f"{what}: field number {number} is not supported")
            payload: int | memoryview
            if wire == VARINT:
                payload, position = _varint(data, position, what)
            elif wire in (FIXED64, LENGTH, FIXED32):
                size = {FIXED64: 8, FIXED32: 4}.get(wire, 0)
                if wire == LENGTH:
                    size, position = _varint(data, position, what)
                if size > len(data) - position:
                    raise CheckError(f"{what}: the file ends inside field {names[number]!r}")
                payload, position = data[position : position + size], position + size
            else:
                raise CheckError(f"{what}: field {names[number]!r} has wire type {wire}, which is not supported")
            self._fields[names[number]].append((wire, payload))

    def blobs(self, name: str) -> list[memoryview]:
        """All values of a repeated field of strings, bytes or messages."""
        found = []
        for wire, payload in self._fields[name]:
            if wire != LENGTH or not isinstance(payload, memoryview):
                raise CheckError(f"{self.what}: field {name!r} has wire type {wire} where bytes were expected")
            found.append(payload)
        return found

    def blob(self, name: str) -> memoryview | None:
        """The value of an optional field of bytes or a message."""
        found = self.blobs(name)
        self._single(name, len(found))
        return found[0] if found else None

    def texts(self, name: str) -> list[str]:
        """All values of a repeated string field."""
        try:
            return [str(payload, "utf-8") for payload in self.blobs(name)]
        except UnicodeDecodeError as error:
            raise CheckError(f"{self.what}: field {name!r} is not UTF-8 text") from error

    def text(self, name: str) -> str:
        """The value of an optional string field, empty when absent."""
        found = self.texts(name)
        self._single(name, len(found))
        return found[0] if found else ""

    def integers(self, name: str) -> list[int]:
        """All values of a repeated integer field, packed or not, as signed 64-bit numbers."""
        found = []
        for wire, payload in self._fields[name]:
            if isinstance(payload, int):
                found.append(_signed(payload))
            elif wire == LENGTH:
                position = 0
                while position < len(payload):
                    value, position = _varint(payload, position, self.what)
                    found.append(_signed(value))
            else:
                raise CheckError(f"{self.what}: field {name!r} has wire type {wire} where integers were expected")
        return found

    def integer(self, name: str, default: int = 0) -> int:
        """The value of an optional integer field."""
        found = self.integers(name)
        self._single(name, len(found))
        return found[0] if found else default

    def reals(self, name: str, bits: int) -> NDArray[np.generic]:
        """All values of a repeated floating-point field of 32 or 64 bits, packed or not."""
        chunks = []
        for wire, payload in self._fields[name]:
            if wire not in (LENGTH, FIXED32 if bits == 32 else FIXED64) or isinstance(payload, int):
                raise CheckError(f"{self.what}: field {name!r} has wire type {wire} where reals were expected")
            chunks.append(bytes(payload))
        data = b"".join(chunks)
        if len(data) % (bits // 8):
            raise CheckError(f"{self.what}: field {name!r} does not hold a whole number of values")
        return np.frombuffer(data, dtype=f"<f{bits // 8}")

    def real(self, name: str) -> float:
        """The value of an optional 32-bit floating-point field, 0 when absent."""
        found = self.reals(name, 32)
        self._single(name, len(found))
        return float(found[0]) if len(found) else 0.0

    def _single(self, name: str, count: int) -> None:
        if count > 1:
            raise CheckError(f"{self.what}: field {name!r} occurs {count} times, at most once is allowed")


def _varint(data: memoryview, position: int, what: str) -> tuple[int, int]:
    """The variable-length integer at ``position`` (at most 64 bits) and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise CheckError(f"{what}: the file ends inside a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64:
                break
            return value, position
    raise CheckError(f"{what}: a number is longer than 64 bits")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
