"""Constants, values that depend on shapes alone, and operators that pass their input on."""

from __future__ import annotations

from math import ceil, prod

import numpy as np

from specs.loading.graph_builder import MAX_ELEMENTS, MAX_INDEX
from specs.loading.onnx_call import Call, Converter, UnsupportedForm


def constant(call: Call) -> str:
    """Exactly one of the value attributes is given."""
    for name, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        if call.has(name):
            value = call.attribute(name, 0.0) if dtype is np.float32 else call.attribute(name, 0)
            return call.literal(np.asarray(value, dtype=dtype))
    if (floats := call.floats("value_floats")) is not None:
        return call.literal(np.asarray(floats, dtype=np.float32))
    if (ints := call.ints("value_ints")) is not None:
        return call.literal(np.asarray(ints, dtype=np.int64))
    tensor = call.tensor("value")
    if tensor is None:
        raise UnsupportedForm(f"Constant({', '.join(call.node.attributes)})")
    return call.literal(tensor)


def constant_of_shape(call: Call) -> str:
    """The one-element attribute ``value`` (float32 zero if absent), repeated."""
    shape = call.constant_ints(0)
    value = call.tensor("value")
    if value is None:
        value = np.zeros(1, dtype=np.float32)
    if shape is None or any(n < 0 for n in shape):
        raise ValueError(f"cannot make a tensor of shape {shape}")
    if prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"a constant of shape {shape} has more than {MAX_ELEMENTS:,} elements")
    if value.size != 1:
        raise ValueError("attribute value must have one element")
    return call.literal(np.broadcast_to(value.reshape(()), shape))


def shape_of(call: Call) -> str:
    """The sizes of the axes ``start`` to ``end``."""
    sizes = call.shape(call.input(0))
    start, end = call.attribute("start", 0), call.attribute("end", len(sizes))
    return call.literal(np.asarray(sizes[start:end], dtype=np.int64))


def size_of(call: Call) -> str:
    """The number of elements."""
    return call.literal(np.asarray(prod(call.shape(call.input(0))), dtype=np.int64))


def number_range(call: Call) -> str:
    """``start, start + delta, ...`` up to and without ``limit``."""
    parts = [call.constant(index) for index in range(3)]
    if any(part is None or part.size != 1 for part in parts):
        raise ValueError("start, limit and delta must be single numbers")
    start, limit, delta = (part.reshape(())[()] for part in parts if part is not None)
    count = max(0, ceil((float(limit) - float(start)) / float(delta)))
    if count > MAX_INDEX:
        raise ValueError(f"a range of {count:,} elements is too long")
    call.builder.charge(count)
    return call.literal(np.asarray(start + np.arange(count).astype(start.dtype) * delta))


def identity(call: Call) -> str:
    """The input itself."""
    return call.input(0)


def dropout(call: Call) -> str:
    """The input itself: nothing is dropped at inference."""
    call.ignore("ratio", "seed", "is_test", "consumed_inputs")
    call.optional(1)
    training = call.constant(2)
    if training is not None and training.any():
        raise UnsupportedForm("Dropout(training_mode=1)")
    return call.input(0)


CONVERTERS: dict[str, Converter] = {
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Shape": shape_of,
    "Size": size_of,
    "Range": number_range,
    "Identity": identity,
    "Dropout": dropout,
}
