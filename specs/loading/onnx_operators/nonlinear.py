"""Nonlinear functions."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod

import numpy as np

from specs.graph import Op, ops
from specs.loading.onnx_call import Call, Converter, UnsupportedForm, unary


def _single(value: float) -> float:
    """A schema's default as the float32 it is."""
    return float(np.float32(value))


def parametric(make: Callable[..., Op], **defaults: float) -> Converter:
    """Converter of a one-input operator whose attributes are numbers with these defaults."""

    def convert(call: Call) -> str:
        call.ignore("consumed_inputs")
        values = {name: call.attribute(name, _single(default)) for name, default in defaults.items()}
        return call.add(make(**values), call.input(0))

    return convert


def prelu(call: Call) -> str:
    """Leaky ReLU with a slope for every element; before opset 7 a slope for every channel."""
    call.ignore("consumed_inputs")
    x, slope = call.input(0), call.input(1)
    sizes = call.shape(slope)
    if call.opset < 7 and len(sizes) == 1 and sizes[0] > 1:
        slope = call.add(ops.Reshape((sizes[0], *(1,) * (len(call.shape(x)) - 2))), slope)
    return call.add(ops.PRelu(), x, slope)


def celu(call: Call) -> str:
    """``max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))``."""
    alpha = call.scalar(call.attribute("alpha", 1.0))
    scaled = call.add(ops.Div(), call.input(0), alpha)
    return call.add(ops.Mul(), call.add(ops.Elu(1.0), scaled), alpha)


def thresholded_relu(call: Call) -> str:
    """``x`` where ``x > alpha``, else 0."""
    x, alpha = call.input(0), call.scalar(call.attribute("alpha", 1.0))
    return call.add(ops.Where(), call.add(ops.Less(), alpha, x), x, call.scalar(0.0))


def hard_swish(call: Call) -> str:
    """``x * max(0, min(1, x / 6 + 1 / 2))``."""
    x = call.input(0)
    return call.add(ops.Mul(), x, call.add(ops.HardSigmoid(1.0 / 6.0, 0.5), x))


def mish(call: Call) -> str:
    """``x * tanh(softplus(x))``."""
    x = call.input(0)
    return call.add(ops.Mul(), x, call.add(ops.Tanh(), call.add(ops.Softplus(), x)))


def swish(call: Call) -> str:
    """``x * sigmoid(alpha * x)``."""
    x, alpha = call.input(0), call.attribute("alpha", 1.0)
    inner = x if alpha == 1.0 else call.add(ops.Mul(), x, call.scalar(alpha))
    return call.add(ops.Mul(), x, call.add(ops.Sigmoid(), inner))


def gelu(call: Call) -> str:
    """Exact or tanh-approximated GELU."""
    approximate = call.attribute("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise UnsupportedForm(f"Gelu(approximate={approximate!r})")
    return call.add(ops.Gelu(approximate), call.input(0))


def clip(call: Call) -> str:
    """Bounds are attributes before opset 11 and inputs since; computed bounds become Max and Min."""
    call.ignore("consumed_inputs")
    x = call.input(0)
    if call.opset < 11:
        return call.add(ops.Clip(call.attribute("min", -inf), call.attribute("max", inf)), x)
    bounds = call.optional(1), call.optional(2)
    known = [None if name is None else call.builder.value(name) for name in bounds]
    if all(name is None or (value is not None and value.size == 1) for name, value in zip(bounds, known)):
        lower, upper = (None if value is None else float(value.reshape(())) for value in known)
        return call.add(ops.Clip(-inf if lower is None else lower, inf if upper is None else upper), x)
    lower_bound, upper_bound = bounds
    if lower_bound is not None:
        x = call.add(ops.Max(), x, lower_bound)
    return x if upper_bound is None else call.add(ops.Min(), x, upper_bound)


def variadic(op: Op) -> Converter:
    """Converter of an operator on any number of inputs that is the identity on one."""

    def convert(call: Call) -> str:
        call.ignore("consumed_inputs")
        names = call.all_inputs()
        return names[0] if len(names) == 1 else call.add(op, *names)

    return convert


def softmax(make: Callable[[int], Op]) -> Converter:
    """Converter of a softmax; before opset 13 it runs over all axes from ``axis`` on together."""

    def convert(call: Call) -> str:
        x = call.input(0)
        shape = call.shape(x)
        axis = call.attribute("axis", -1 if call.opset >= 13 else 1)
        axis = axis + len(shape) if axis < 0 else axis
        if not 0 <= axis < max(len(shape), 1):
            raise ValueError(f"axis {axis} is outside an input of shape {shape}")
        if call.opset >= 13 or axis == len(shape) - 1:
            return call.add(make(axis), x)
        flat = call.add(ops.Reshape((*shape[:axis], prod(shape[axis:]))), x)
        return call.add(ops.Reshape(shape), call.add(make(axis), flat))

    return convert


CONVERTERS: dict[str, Converter] = {
    **{
        op.__name__: unary(op())
        for op in (
            ops.Relu, ops.Sigmoid, ops.Tanh, ops.Softplus, ops.Softsign, ops.Exp, ops.Log, ops.Sqrt, ops.Reciprocal,
            ops.Sin, ops.Cos, ops.Tan, ops.Atan, ops.Erf, ops.Sign, ops.Floor, ops.Ceil, ops.Round, ops.Abs,
        )
    },
    "LeakyRelu": parametric(ops.LeakyRelu, alpha=0.01),
    "Elu": parametric(ops.Elu, alpha=1.0),
    "Selu": parametric(ops.Selu, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    "HardSigmoid": parametric(ops.HardSigmoid, alpha=0.2, beta=0.5),
    "PRelu": prelu,
    "Celu": celu,
    "ThresholdedRelu": thresholded_relu,
    "HardSwish": hard_swish,
    "Mish": mish,
    "Swish": swish,
    "Gelu": gelu,
    "Clip": clip,
    "Min": variadic(ops.Min()),
    "Max": variadic(ops.Max()),
    "Softmax": softmax(ops.Softmax),
    "LogSoftmax": softmax(ops.LogSoftmax),
}  # fmt: skip
