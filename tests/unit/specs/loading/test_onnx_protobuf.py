"""The wire format: numbers and texts survive, random bytes never do worse than ``WireError``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs.loading.protobuf import (
    BYTES,
    WireError,
    as_bytes,
    as_float,
    as_floats,
    as_int,
    as_ints,
    as_text,
    read_fields,
    write_bytes,
    write_float,
    write_int,
    write_ints,
    write_text,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.integers(1, 2**29 - 1)


@given(NUMBER, INT64)
def test_an_integer_survives(number: int, value: int) -> None:
    ((field, _, content),) = read_fields(memoryview(write_int(number, value)))
    assert (field, as_int(content)) == (number, value)


@given(NUMBER, st.lists(INT64))
def test_packed_integers_survive(number: int, values: list[int]) -> None:
    ((field, wire, content),) = read_fields(memoryview(write_ints(number, values)))
    assert (field, as_ints(wire, content).tolist()) == (number, values)


@given(NUMBER, st.text(), st.binary(), st.floats(width=32, allow_nan=False))
def test_texts_bytes_and_floats_survive(number: int, text: str, data: bytes, value: float) -> None:
    message = write_text(number, text) + write_bytes(number, data) + write_float(number, value)
    first, second, third = (content for _, _, content in read_fields(memoryview(message)))
    assert (as_text(first), bytes(as_bytes(second)), as_float(third)) == (text, data, value)


@given(st.binary(max_size=60))
def test_random_bytes_are_fields_or_a_wire_error(data: bytes) -> None:
    try:
        fields = list(read_fields(memoryview(data)))
    except WireError:
        return
    for _, wire, value in fields:
        for decode in (as_int, as_bytes, as_text, as_float, lambda v: as_floats(v, 4), lambda v: as_ints(BYTES, v)):
            try:
                decode(value)
            except WireError:
                continue
        assert wire in (0, 1, 2, 5)


def test_known_encodings() -> None:
    # The examples of the protobuf encoding guide.
    assert write_int(1, 150) == bytes.fromhex("089601")
    assert write_text(2, "testing") == bytes.fromhex("120774657374696e67")
    assert write_ints(6, [3, 270, 86942]) == bytes.fromhex("3206038e029ea705")
    assert write_int(1, -2) == bytes.fromhex("08feffffffffffffffff01")


@pytest.mark.parametrize(
    "data",
    ["00", "08", "0880", "08ffffffffffffffffffff01", "0a05ab", "0b", "0f", "0d0000", "0900000000", "0aff7f"],
)
def test_malformed_messages_are_wire_errors(data: str) -> None:
    with pytest.raises(WireError):
        list(read_fields(memoryview(bytes.fromhex(data))))
