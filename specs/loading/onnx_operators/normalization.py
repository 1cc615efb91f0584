"""Normalisations, at inference. Those over the data's own statistics are spelled out in elementary operators."""

from __future__ import annotations

from math import prod

from specs.graph import ops
from specs.loading.onnx_call import Call, Converter, UnsupportedForm

_EPSILON = 9.99999974737875163555145263671875e-06  # float32(1e-5), the schema's default


def batch_normalization(call: Call) -> str:
    """Normalisation by stored statistics."""
    call.ignore("momentum", "is_test", "consumed_inputs")
    if call.attribute("training_mode", 0) or not call.attribute("spatial", 1):
        raise UnsupportedForm("BatchNormalization(training_mode=1 or spatial=0)")
    return call.add(ops.BatchNormalization(call.attribute("epsilon", _EPSILON)), *(call.input(i) for i in range(5)))


def layer_normalization(call: Call) -> str:
    """Normalisation over the axes from ``axis`` on, then scale and bias of their shape."""
    call.ignore("stash_type")  # the precision of a runtime, not of the function
    x, scale, bias = call.input(0), call.input(1), call.optional(2)
    rank = len(call.shape(x))
    first = call.attribute("axis", -1)
    axes = tuple(range(first + rank if first < 0 else first, rank))
    result = call.add(ops.Mul(), _standardised(call, x, axes, call.attribute("epsilon", _EPSILON)), scale)
    return result if bias is None else call.add(ops.Add(), result, bias)


def instance_normalization(call: Call) -> str:
    """Normalisation of each channel over space."""
    call.ignore("consumed_inputs")
    x = call.input(0)
    rank = len(call.shape(x))
    result = _standardised(call, x, tuple(range(2, rank)), call.attribute("epsilon", _EPSILON))
    return _per_channel(call, result, call.input(1), call.input(2))


def group_normalization(call: Call) -> str:
    """Normalisation of ``num_groups`` groups of channels; scale and bias per channel, before opset 21 per group."""
    call.ignore("stash_type")
    x, groups = call.input(0), call.attribute("num_groups", 0)
    shape = call.shape(x)
    if len(shape) < 2 or groups < 1 or shape[1] % groups:
        raise ValueError(f"{groups} groups do not divide an input of shape {shape}")
    grouped = call.add(ops.Reshape((shape[0], groups, prod(shape[1:]) // groups)), x)
    result = _standardised(call, grouped, (2,), call.attribute("epsilon", _EPSILON))
    if call.opset < 21:
        return call.add(ops.Reshape(shape), _per_channel(call, result, call.input(1), call.input(2)))
    return _per_channel(call, call.add(ops.Reshape(shape), result), call.input(1), call.input(2))


def _standardised(call: Call, x: str, axes: tuple[int, ...], epsilon: float) -> str:
    """``(x - mean) / sqrt(variance + epsilon)`` over ``axes``."""
    centred = call.add(ops.Sub(), x, call.add(ops.ReduceMean(axes, True), x))
    variance = call.add(ops.ReduceMean(axes, True), call.add(ops.Mul(), centred, centred))
    return call.add(ops.Div(), centred, call.add(ops.Sqrt(), call.add(ops.Add(), variance, call.scalar(epsilon))))


def _per_channel(call: Call, x: str, scale: str, bias: str) -> str:
    shape = call.shape(x)
    column = ops.Reshape((shape[1], *(1,) * (len(shape) - 2)))
    scaled = call.add(ops.Mul(), x, call.add(column, scale))
    return call.add(ops.Add(), scaled, call.add(column, bias))


CONVERTERS: dict[str, Converter] = {
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "InstanceNormalization": instance_normalization,
    "GroupNormalization": group_normalization,
}
