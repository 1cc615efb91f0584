"""The operators, one frozen class each, by family."""

from specs.graph.ops.conv import AveragePool, BatchNormalization, Conv, ConvTranspose, MaxPool
from specs.graph.ops.linear import Add, Div, MatMul, Mul, Neg, Pow, Sub
from specs.graph.ops.logic import And, Cast, Equal, Less, LessOrEqual, Not, Or, Where
from specs.graph.ops.nonlinear import (
    Abs,
    Atan,
    Ceil,
    Clip,
    Cos,
    Elu,
    Erf,
    Exp,
    Floor,
    Gelu,
    HardSigmoid,
    LeakyRelu,
    Log,
    LogSoftmax,
    Max,
    Min,
    PRelu,
    Reciprocal,
    Relu,
    Round,
    Selu,
    Sigmoid,
    Sign,
    Sin,
    Softmax,
    Softplus,
    Softsign,
    Sqrt,
    Tan,
    Tanh,
)
from specs.graph.ops.reduce import ReduceMax, ReduceMean, ReduceMin, ReduceProd, ReduceSum
from specs.graph.ops.shape import Concat, Expand, Gather, Pad, Reshape, Slice, Transpose
from specs.graph.ops.source import Constant, Input

__all__ = [
    "Abs", "Add", "And", "Atan", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant",
    "Conv", "ConvTranspose", "Cos", "Div", "Elu", "Equal", "Erf", "Exp", "Expand", "Floor", "Gather", "Gelu",
    "HardSigmoid", "Input", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul", "Max", "MaxPool", "Min",
    "Mul", "Neg", "Not", "Or", "PRelu", "Pad", "Pow", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "Relu", "Reshape", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Slice", "Softmax",
    "Softplus", "Softsign", "Sqrt", "Sub", "Tan", "Tanh", "Transpose", "Where",
]  # fmt: skip
