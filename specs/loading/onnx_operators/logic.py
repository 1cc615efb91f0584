"""Comparisons, selection and casts."""

from __future__ import annotations

from typing import Literal

import numpy as np

from specs.graph import ops
from specs.loading.onnx_call import Call, Converter, UnsupportedForm, unary
from specs.loading.onnx_operators.linear import binary
from specs.loading.onnx_tensor import BFLOAT16, BOOL, DTYPES

_KINDS: dict[str, Literal["float", "int", "bool"]] = {"f": "float", "i": "int", "u": "int", "b": "bool"}


def where(call: Call) -> str:
    """Selection by a condition."""
    return call.add(ops.Where(), call.input(0), call.input(1), call.input(2))


def cast(call: Call) -> str:
    """Conversion to ``to``. Between real types it is the identity: networks compute with real numbers here."""
    call.ignore("saturate", "round_mode")
    x, to = call.input(0), call.attribute("to", 0)
    if to not in DTYPES:
        raise UnsupportedForm(f"Cast(to={to})")
    value, dtype = call.builder.value(x), DTYPES[to].newbyteorder("=")
    if value is not None:
        if to == BFLOAT16:
            raise UnsupportedForm("Cast of a constant to bfloat16")
        call.builder.charge(value.size)
        with np.errstate(all="ignore"):
            return call.literal(value.astype(dtype))
    kind: Literal["float", "int", "bool"] = "float" if to == BFLOAT16 else "bool" if to == BOOL else _KINDS[dtype.kind]
    return x if kind == call.builder.kind(x) else call.add(ops.Cast(kind), x)


def not_of(comparison: ops.Less | ops.LessOrEqual | ops.Equal) -> Converter:
    """Converter of the negation of a comparison."""

    def convert(call: Call) -> str:
        return call.add(ops.Not(), call.add(comparison, call.input(0), call.input(1)))

    return convert


CONVERTERS: dict[str, Converter] = {
    "Equal": binary(ops.Equal()),
    "Less": binary(ops.Less()),
    "LessOrEqual": binary(ops.LessOrEqual()),
    "Greater": binary(ops.Less(), swap=True),
    "GreaterOrEqual": binary(ops.LessOrEqual(), swap=True),
    "And": binary(ops.And()),
    "Or": binary(ops.Or()),
    "Xor": not_of(ops.Equal()),
    "Not": unary(ops.Not()),
    "Where": where,
    "Cast": cast,
}
