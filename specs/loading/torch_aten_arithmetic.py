"""ATen operators that compute element by element, and matrix products. Parameters carry ATen's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf, sqrt

from specs.graph import Op, ops
from specs.loading.torch_builder import Builder, Value

Operand = Value | float
Rule = Callable[..., object]


def operand(b: Builder, value: Operand | None) -> Value:
    """A tensor, or a number as a constant."""
    if isinstance(value, Value):
        return value
    if not isinstance(value, int | float):
        raise ValueError(f"{value!r} is neither a tensor nor a number")
    return b.scalar(value)


def real(b: Builder, value: Operand) -> Value:
    """The operand as a real number or tensor."""
    tensor = operand(b, value)
    if tensor.kind == "float":
        return tensor
    if tensor.array is None:
        return b.emit(ops.Cast("float"), tensor)
    return b.constant(tensor.array.astype(b.real_type))


def promoted(b: Builder, *values: Operand) -> list[Value]:
    """The operands in one kind of number: all real if one of them is."""
    tensors = [operand(b, value) for value in values]
    return [real(b, tensor) for tensor in tensors] if any(t.kind == "float" for t in tensors) else tensors


def unary(op: Op) -> Rule:
    def rule(b: Builder, self: Value) -> Value:
        return b.emit(op, self)

    return rule


def binary(op: Op) -> Rule:
    def rule(b: Builder, self: Operand, other: Operand) -> Value:
        return b.emit(op, *promoted(b, self, other))

    return rule


def mirrored(op: Op) -> Rule:
    """``op(other, self)``."""

    def rule(b: Builder, self: Operand, other: Operand) -> Value:
        return b.emit(op, *promoted(b, other, self))

    return rule


def _scaled(b: Builder, value: Operand, factor: float) -> Value:
    tensor = operand(b, value)
    return tensor if factor == 1 else b.emit(ops.Mul(), *promoted(b, tensor, factor))


def add(b: Builder, self: Operand, other: Operand, alpha: float = 1) -> Value:
    return b.emit(ops.Add(), *promoted(b, self, _scaled(b, other, alpha)))


def sub(b: Builder, self: Operand, other: Operand, alpha: float = 1) -> Value:
    return b.emit(ops.Sub(), *promoted(b, self, _scaled(b, other, alpha)))


def rsub(b: Builder, self: Operand, other: Operand, alpha: float = 1) -> Value:
    return sub(b, other, self, alpha)


def div(b: Builder, self: Operand, other: Operand, rounding_mode: str | None = None) -> Value:
    quotient = b.emit(ops.Div(), real(b, self), real(b, other))  # PyTorch's quotient of integers is real too
    if rounding_mode is None:
        return quotient
    if rounding_mode == "floor":
        return b.emit(ops.Floor(), quotient)
    raise ValueError(f"rounding_mode {rounding_mode!r}")


def power(b: Builder, self: Operand, exponent: Operand) -> Value:
    return b.emit(ops.Pow(), *promoted(b, self, exponent))


def square(b: Builder, self: Value) -> Value:
    return b.emit(ops.Mul(), self, self)


def rsqrt(b: Builder, self: Value) -> Value:
    return b.emit(ops.Reciprocal(), b.emit(ops.Sqrt(), self))


def log1p(b: Builder, self: Value) -> Value:
    return b.emit(ops.Log(), b.emit(ops.Add(), self, b.scalar(1.0)))


def expm1(b: Builder, self: Value) -> Value:
    return b.emit(ops.Sub(), b.emit(ops.Exp(), self), b.scalar(1.0))


def floor_divide(b: Builder, self: Operand, other: Operand) -> Value:
    return div(b, self, other, "floor")


def linear(b: Builder, input: Value, weight: Value, bias: Value | None = None) -> Value:
    return _plus(b, b.emit(ops.MatMul(), input, transposed(b, weight)), bias)


def matmul(b: Builder, self: Value, other: Value) -> Value:
    return b.emit(ops.MatMul(), self, other)


def mm(b: Builder, self: Value, mat2: Value) -> Value:
    return b.emit(ops.MatMul(), self, mat2)


def mv(b: Builder, self: Value, vec: Value) -> Value:
    return b.emit(ops.MatMul(), self, vec)


def addmm(b: Builder, self: Value, mat1: Value, mat2: Value, beta: float = 1, alpha: float = 1) -> Value:
    return b.emit(ops.Add(), _scaled(b, b.emit(ops.MatMul(), mat1, mat2), alpha), _scaled(b, self, beta))


def transposed(b: Builder, matrix: Value) -> Value:
    """The last two axes exchanged."""
    rank = len(matrix.shape)
    if rank < 2:
        return matrix
    return b.emit(ops.Transpose((*range(rank - 2), rank - 1, rank - 2)), matrix)


def _plus(b: Builder, value: Value, bias: Value | None) -> Value:
    return value if bias is None else b.emit(ops.Add(), value, bias)


def leaky_relu(b: Builder, self: Value, negative_slope: float = 0.01) -> Value:
    return b.emit(ops.LeakyRelu(b.number(negative_slope)), self)


def prelu(b: Builder, self: Value, weight: Value) -> Value:
    if len(weight.shape) == 1 and weight.shape[0] > 1 and len(self.shape) > 1:
        weight = b.emit(ops.Reshape((weight.shape[0], *(1,) * (len(self.shape) - 2))), weight)
    return b.emit(ops.PRelu(), self, weight)


def elu(b: Builder, self: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Value:
    if scale == 1 and input_scale == 1:
        return b.emit(ops.Elu(b.number(alpha)), self)
    if input_scale == 1:
        return b.emit(ops.Selu(b.number(alpha), b.number(scale)), self)
    raise ValueError(f"input_scale {input_scale}")


def selu(b: Builder, self: Value) -> Value:
    return b.emit(ops.Selu(b.number(1.6732632423543772), b.number(1.0507009873554805)), self)


def clamp(b: Builder, self: Value, min: Operand | None = None, max: Operand | None = None) -> Value:
    if isinstance(min, Value) or isinstance(max, Value):
        low = self if min is None else b.emit(ops.Max(), *promoted(b, self, min))
        return low if max is None else b.emit(ops.Min(), *promoted(b, low, max))
    return b.emit(ops.Clip(-inf if min is None else b.number(min), inf if max is None else b.number(max)), self)


def hardtanh(b: Builder, self: Value, min_val: float = -1, max_val: float = 1) -> Value:
    return clamp(b, self, min_val, max_val)


def relu6(b: Builder, self: Value) -> Value:
    return b.emit(ops.Clip(0.0, 6.0), self)


def hardsigmoid(b: Builder, self: Value) -> Value:
    return b.emit(ops.HardSigmoid(b.number(1 / 6), 0.5), self)


def hardswish(b: Builder, self: Value) -> Value:
    return b.emit(ops.Mul(), self, hardsigmoid(b, self))


def silu(b: Builder, self: Value) -> Value:
    return b.emit(ops.Mul(), self, b.emit(ops.Sigmoid(), self))


def gelu(b: Builder, self: Value, approximate: str = "none") -> Value:
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate {approximate!r}")
    return b.emit(ops.Gelu(approximate), self)


def softplus(b: Builder, self: Value, beta: float = 1, threshold: float = 20) -> Value:
    # Beyond the threshold PyTorch returns x: softplus(x) up to 2e-9 at 20, another function at less.
    if threshold < 20:
        raise ValueError(f"threshold {threshold}; 20 or more is read")
    soft = b.emit(ops.Softplus(), _scaled(b, self, beta))
    return soft if beta == 1 else b.emit(ops.Div(), soft, b.scalar(float(beta)))


def softmax(b: Builder, self: Value, dim: int, dtype: str | None = None, half_to_float: bool = False) -> Value:
    return b.emit(ops.Softmax(dim), self)


def log_softmax(b: Builder, self: Value, dim: int, dtype: str | None = None, half_to_float: bool = False) -> Value:
    return b.emit(ops.LogSoftmax(dim), self)


def where(b: Builder, condition: Value, self: Operand, other: Operand) -> Value:
    return b.emit(ops.Where(), condition, *promoted(b, self, other))


def not_equal(b: Builder, self: Operand, other: Operand) -> Value:
    return b.emit(ops.Not(), b.emit(ops.Equal(), operand(b, self), operand(b, other)))


def masked_fill(b: Builder, self: Value, mask: Value, value: Operand) -> Value:
    return b.emit(ops.Where(), mask, *promoted(b, value, self))


def attention(
    b: Builder,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """``softmax(scale * query @ key^T + mask) @ value``."""
    if dropout_p or is_causal or enable_gqa or (attn_mask is not None and attn_mask.kind != "float"):
        raise ValueError("dropout, boolean or causal masks and grouped queries are not read")
    factor = b.scalar(1 / sqrt(query.shape[-1]) if scale is None else float(scale))
    scores = b.emit(ops.Mul(), b.emit(ops.MatMul(), query, transposed(b, key)), factor)
    return b.emit(ops.MatMul(), b.emit(ops.Softmax(-1), _plus(b, scores, attn_mask)), value)


RULES: Mapping[str, Rule] = {
    "add": add, "sub": sub, "rsub": rsub, "mul": binary(ops.Mul()), "div": div, "neg": unary(ops.Neg()),
    "floor_divide": floor_divide, "log1p": log1p, "expm1": expm1, "pow": power,
    "square": square, "sqrt": unary(ops.Sqrt()), "rsqrt": rsqrt,
    "reciprocal": unary(ops.Reciprocal()), "abs": unary(ops.Abs()), "exp": unary(ops.Exp()), "log": unary(ops.Log()),
    "sin": unary(ops.Sin()), "cos": unary(ops.Cos()), "tan": unary(ops.Tan()), "atan": unary(ops.Atan()),
    "erf": unary(ops.Erf()), "sign": unary(ops.Sign()), "floor": unary(ops.Floor()), "ceil": unary(ops.Ceil()),
    "round": unary(ops.Round()), "maximum": binary(ops.Max()), "minimum": binary(ops.Min()),
    "linear": linear, "matmul": matmul, "mm": mm, "bmm": mm, "mv": mv, "addmm": addmm,
    "scaled_dot_product_attention": attention,
    "relu": unary(ops.Relu()), "relu6": relu6, "leaky_relu": leaky_relu, "prelu": prelu, "_prelu_kernel": prelu,
    "elu": elu, "selu": selu, "sigmoid": unary(ops.Sigmoid()), "tanh": unary(ops.Tanh()), "clamp": clamp,
    "clamp_min": clamp, "clamp_max": clamp, "clip": clamp, "hardtanh": hardtanh, "hardsigmoid": hardsigmoid,
    "hardswish": hardswish, "silu": silu, "gelu": gelu, "softplus": softplus, "softsign": unary(ops.Softsign()),
    "softmax": softmax, "_softmax": softmax, "log_softmax": log_softmax, "_log_softmax": log_softmax,
    "where": where, "masked_fill": masked_fill, "eq": binary(ops.Equal()), "ne": not_equal, "lt": binary(ops.Less()),
    "le": binary(ops.LessOrEqual()), "gt": mirrored(ops.Less()), "ge": mirrored(ops.LessOrEqual()),
    "logical_and": binary(ops.And()), "logical_or": binary(ops.Or()), "logical_not": unary(ops.Not()),
}  # fmt: skip
