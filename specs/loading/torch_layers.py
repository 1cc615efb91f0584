"""The layers an ``arch`` in a specification may name: their weights, attributes and PyTorch operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

REQUIRED = object()


@dataclass(frozen=True)
class Layer:
    """``weights`` maps state-dict suffixes to operator arguments; ``required`` are those without which it is none, the
    first of them has one of ``ranks``.

    ``attributes`` maps names a user may write to their defaults (``REQUIRED`` when there is none); ``fixed`` are
    arguments nobody chooses. ``target`` None means the layer does nothing in evaluation mode.
    """

    target: str | None
    argument: str = "self"
    weights: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    required: tuple[str, ...] = ("weight",)
    ranks: tuple[int, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    fixed: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


AFFINE = {"weight": "weight", "bias": "bias"}
CONVOLUTION = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
MOMENTS = ("running_mean", "running_var")
STATISTICS = {"running_mean": "running_mean", "running_var": "running_var", **AFFINE}
EVALUATION = {"training": False, "momentum": 0.0, "cudnn_enabled": False}
POOL = {"kernel_size": REQUIRED, "stride": None, "padding": 0, "ceil_mode": False}


def _batch_norm() -> Layer:
    return Layer("aten.batch_norm.default", "input", STATISTICS, MOMENTS, (1,), {"eps": 1e-5}, EVALUATION)


LAYERS: Mapping[str, Layer] = {
    "linear": Layer("aten.linear.default", "input", AFFINE, ranks=(2,)),
    "conv1d": Layer("aten.conv1d.default", "input", AFFINE, ranks=(3,), attributes=CONVOLUTION),
    "conv2d": Layer("aten.conv2d.default", "input", AFFINE, ranks=(4,), attributes=CONVOLUTION),
    "batchnorm1d": _batch_norm(),
    "batchnorm2d": _batch_norm(),
    "relu": Layer("aten.relu.default"),
    "leakyrelu": Layer("aten.leaky_relu.default", attributes={"negative_slope": 0.01}),
    "sigmoid": Layer("aten.sigmoid.default"),
    "tanh": Layer("aten.tanh.default"),
    "softmax": Layer("aten.softmax.int", attributes={"dim": -1}),
    "flatten": Layer("aten.flatten.using_ints", attributes={"start_dim": 1, "end_dim": -1}),
    "reshape": Layer("aten.reshape.default", attributes={"shape": REQUIRED}),
    "maxpool2d": Layer("aten.max_pool2d.default", attributes={**POOL, "dilation": 1}),
    "avgpool2d": Layer("aten.avg_pool2d.default", attributes={**POOL, "count_include_pad": True}),
    "dropout": Layer(None, attributes={"p": 0.5}),
    "identity": Layer(None),
}
