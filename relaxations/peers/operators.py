"""The operators of a graph as PyTorch computes them. Importing this imports PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from specs.graph import ops

Tensor = torch.Tensor


def convolution(op: ops.Conv, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    convolve = (F.conv1d, F.conv2d, F.conv3d)[weight.ndim - 3]
    half = len(op.pads) // 2
    begin, end = op.pads[:half], op.pads[half:]
    if begin != end:
        pads = [p for pair in zip(reversed(begin), reversed(end)) for p in pair]
        x, begin = F.pad(x, pads), (0,) * half
    return convolve(x, weight, bias, op.strides, begin, op.dilations, op.group)


def reshape(op: ops.Reshape, x: Tensor) -> Tensor:
    return x.flatten(1) if len(op.shape) == 2 else x.reshape(-1, *op.shape[1:])


def normalisation(op: ops.BatchNormalization, x: Tensor, *parameters: Tensor) -> Tensor:
    scale, bias, mean, var = parameters
    return F.batch_norm(x, mean, var, scale, bias, training=False, eps=op.epsilon)


OPERATORS: dict[type, Callable[..., Tensor]] = {
    ops.Add: lambda op, x, y: x + y,
    ops.BatchNormalization: normalisation,
    ops.Conv: convolution,
    ops.Div: lambda op, x, y: x / y,
    ops.LeakyRelu: lambda op, x: F.leaky_relu(x, op.alpha),
    ops.Mul: lambda op, x, y: x * y,
    ops.Neg: lambda op, x: -x,
    ops.Relu: lambda op, x: torch.relu(x),
    ops.Reshape: reshape,
    ops.Sigmoid: lambda op, x: torch.sigmoid(x),
    ops.Sub: lambda op, x, y: x - y,
    ops.Tanh: lambda op, x: torch.tanh(x),
}
"""By type: functions of the operator and the values of its inputs, whose leading axis is the batch."""
